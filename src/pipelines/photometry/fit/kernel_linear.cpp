// The linear solve for fluxes and skies, gradient and Schur complement, from the Gram matrices of
// kernel_gram.cpp: A = G(lin, lin), B(theta, j) = c G(theta, u_j) (Kaufman 1975), H = sum over
// bands of c c' G(theta, theta') - B A^-1 B^T.

#include <algorithm>
#include <cmath>
#include <limits>

#include "pipelines/photometry/fit/kernel_index.hpp"
#include "pipelines/photometry/fit/kernel_scene.hpp"
#include "skyloom/numerics/float_lanes.hpp"

namespace skyloom::photometry::fit {

namespace {

/// Keeps A factorable when two sources coincide; moves no flux that the data determine.
constexpr double kRidge = 1e-7;
constexpr double kRidgeDegenerate = 1e-6;

}  // namespace

void Scene::index_unknowns(const BandSystem& band) const {
  work_.unknown.assign(sources_.size(), -1);
  for (std::size_t i = 0; i < band.source.size(); ++i) {
    work_.unknown[static_cast<std::size_t>(band.source[i])] = static_cast<int>(i);
  }
}

void Scene::index_parameters() const {
  work_.first_parameter.assign(sources_.size(), -1);
  int n = 0;
  for (std::size_t s = 0; s < sources_.size(); ++s) {
    if (sources_[s].active) {
      work_.first_parameter[s] = n;
      n += sources_[s].n_parameters;
    }
  }
}

void Scene::linear_matrix(const Gram& gram, const BandSystem& band, int b,
                          std::span<double> a) const {
  const int size = band.size();
  std::fill(a.begin(), a.end(), 0.0);
  index_unknowns(band);
  const std::vector<int>& index = work_.unknown;
  for (std::size_t f = 0; f < frames_.size(); ++f) {
    if (frames_[f].input->band != b || frames_[f].n_good == 0) {
      continue;
    }
    for (std::size_t p = 0; p < pairs_.size(); ++p) {
      const int i = index[static_cast<std::size_t>(pairs_[p].low)];
      const int j = index[static_cast<std::size_t>(pairs_[p].high)];
      if (i >= 0 && j >= 0) {
        a[cell(j, i, size)] += gram.frame[f][p].g[0];
        if (i != j) {
          a[cell(i, j, size)] += gram.frame[f][p].g[0];
        }
      }
    }
  }
}

namespace {

/// Row of a frame's sky among the linear unknowns of its band, or -1.
int sky_row(const BandSystem& band, std::size_t f) {
  const auto found = std::find(band.sky_frame.begin(), band.sky_frame.end(), static_cast<int>(f));
  return found == band.sky_frame.end()
             ? -1
             : static_cast<int>(band.source.size() +
                                static_cast<std::size_t>(found - band.sky_frame.begin()));
}

}  // namespace

void Scene::solve_band(int b) {
  BandSystem& band = bands_[static_cast<std::size_t>(b)];
  band.source.clear();
  band.sky_frame.clear();
  for (std::size_t s = 0; s < sources_.size(); ++s) {
    double own = 0.0;
    for (std::size_t f = 0; f < frames_.size(); ++f) {
      own += frames_[f].input->band == b && frames_[f].n_good > 0 ? gram_.frame[f][s].g[0] : 0.0;
    }
    if (own > 0.0) {
      band.source.push_back(static_cast<int>(s));
    } else {
      sources_[s].flux[static_cast<std::size_t>(b)] = std::numeric_limits<double>::quiet_NaN();
    }
  }
  for (std::size_t f = 0; f < frames_.size(); ++f) {
    if (frames_[f].input->band == b && frames_[f].fit_sky) {
      band.sky_frame.push_back(static_cast<int>(f));
    }
  }
  const int size = band.size();
  const int n = static_cast<int>(band.source.size());
  band.matrix.resize(cell(size, 0, size));
  band.right.assign(static_cast<std::size_t>(size), 0.0);
  linear_matrix(gram_, band, b, band.matrix);
  for (std::size_t f = 0; f < frames_.size(); ++f) {
    const Frame& frame = frames_[f];
    if (frame.input->band != b || frame.n_good == 0) {
      continue;
    }
    const int k = sky_row(band, f);
    for (int i = 0; i < n; ++i) {
      const GramBlock& own =
          gram_.frame[f][static_cast<std::size_t>(band.source[static_cast<std::size_t>(i)])];
      band.right[static_cast<std::size_t>(i)] += own.data;
      if (k >= 0) {
        band.matrix[cell(i, k, size)] = own.sum[0];
        band.matrix[cell(k, i, size)] = own.sum[0];
      }
    }
    if (k >= 0) {
      band.matrix[cell(k, k, size)] = frame.sum_weight;
      band.right[static_cast<std::size_t>(k)] = frame.sum_weighted_data;
    }
  }
  // Relative to each unknown's own information: a share of the largest, that of the sky of a wide
  // patch, would be felt by the fluxes of extended galaxies.
  if (!band.factor.factor(band.matrix, size, kRidge)) {
    band.factor.factor(band.matrix, size, kRidgeDegenerate);
  }
  std::vector<double>& solution = band.solution;
  solution = band.right;
  band.factor.solve(solution);
  for (int i = 0; i < n; ++i) {
    sources_[static_cast<std::size_t>(band.source[static_cast<std::size_t>(i)])]
        .flux[static_cast<std::size_t>(b)] = solution[static_cast<std::size_t>(i)];
  }
  for (int i = n; i < size; ++i) {
    frames_[static_cast<std::size_t>(band.sky_frame[static_cast<std::size_t>(i - n)])].sky =
        solution[static_cast<std::size_t>(i)];
  }
}

double Scene::residuals() {
  double chi2 = 0.0;
  for (std::size_t f = 0; f < frames_.size(); ++f) {
    Frame& frame = frames_[f];
    if (frame.n_good == 0) {
      continue;
    }
    for (const RowPiece& piece : frame.lit) {
      float* row = frame.model.data() + piece.y * frame.stride;
      std::fill(row + piece.x0, row + piece.x1, 0.0F);
    }
    const auto b = static_cast<std::size_t>(frame.input->band);
    for (const Source& source : sources_) {
      const Placement& place = source.place[f];
      if (place.clip.empty() || !std::isfinite(source.flux[b])) {
        continue;
      }
      numerics::add_scaled(
          {source.pixels.data() + place.offset, place.stride}, static_cast<float>(source.flux[b]),
          place.clip.height(), place.clip.width(),
          frame.model.data() + place.clip.y0 * frame.stride + place.clip.x0, frame.stride);
    }
    frame.chi2 = frame.dark[2] - frame.sky * (2.0 * frame.dark[1] - frame.sky * frame.dark[0]);
    for (const RowPiece& piece : frame.lit) {
      const std::ptrdiff_t at = piece.y * frame.stride + piece.x0;
      frame.chi2 += numerics::weighted_residual(
          {frame.data.data() + at, frame.stride}, {frame.model.data() + at, frame.stride},
          static_cast<float>(frame.sky), {frame.weight.data() + at, frame.stride}, 1,
          piece.x1 - piece.x0, frame.weighted_residual.data() + at, frame.stride);
    }
    chi2 += frame.chi2;
  }
  return chi2;
}

double Scene::evaluate(bool derivatives) {
  bool changed = evaluated_weight_ != weight_id_ || evaluated_layout_ != layout_id_;
  for (Source& source : sources_) {
    const bool with_derivatives = derivatives && source.active;
    const bool value_there = source.value_valid && source.value_at == source.value;
    const bool derivatives_there =
        source.derivatives_valid && source.derivatives_at == source.value;
    if (!value_there || (with_derivatives && !derivatives_there)) {
      render(source, with_derivatives);
      changed = true;
    }
  }
  if (!changed) {
    return chi2_;
  }
  fill_gram(gram_, weights_, derivatives, weight_id_);
  for (int b = 0; b < input_.n_bands; ++b) {
    solve_band(b);
  }
  chi2_ = residuals();
  evaluated_weight_ = weight_id_;
  evaluated_layout_ = layout_id_;
  return chi2_;
}

void Scene::gradient(std::span<double> g) const {
  std::fill(g.begin(), g.end(), 0.0);
  std::size_t first = 0;
  for (const Source& source : sources_) {
    if (!source.active) {
      continue;
    }
    const auto n = static_cast<std::size_t>(source.n_parameters);
    for (std::size_t f = 0; f < frames_.size(); ++f) {
      const Frame& frame = frames_[f];
      const Placement& place = source.place[f];
      const double flux = source.flux[static_cast<std::size_t>(frame.input->band)];
      if (place.clip.empty() || !std::isfinite(flux)) {
        continue;
      }
      std::array<double, kMaxParameters> dot{};
      numerics::products(
          {pixel(frame.weighted_residual.data(), frame.stride, place.clip.x0, place.clip.y0),
           frame.stride},
          0, 1, {source.pixels.data() + place.offset + place.plane, place.stride}, place.plane,
          source.n_parameters, false, place.clip.height(), place.clip.width(), dot.data(),
          kMaxParameters);
      for (std::size_t k = 0; k < n; ++k) {
        g[first + k] -= flux * dot[k];
      }
    }
    first += n;
  }
}

void Scene::coupling_matrix(const Gram& gram, const BandSystem& band, int b,
                            std::span<double> c) const {
  const int n = active_parameters();
  std::fill(c.begin(), c.end(), 0.0);
  index_parameters();
  index_unknowns(band);
  const std::vector<int>& first = work_.first_parameter;
  const std::vector<int>& row = work_.unknown;
  for (std::size_t f = 0; f < frames_.size(); ++f) {
    if (frames_[f].input->band != b || frames_[f].n_good == 0) {
      continue;
    }
    const int k = sky_row(band, f);
    for (std::size_t p = 0; p < pairs_.size(); ++p) {
      const auto low = static_cast<std::size_t>(pairs_[p].low);
      const auto high = static_cast<std::size_t>(pairs_[p].high);
      if (row[low] < 0 || row[high] < 0) {
        continue;
      }
      const GramBlock& block = gram.frame[f][p];
      const auto add = [&](std::size_t moving, int unknown, bool moving_is_low) {
        const double flux = sources_[moving].flux[static_cast<std::size_t>(b)];
        for (int q = 0; q < sources_[moving].n_parameters; ++q) {
          c[cell(unknown, first[moving] + q, n)] +=
              flux * (moving_is_low ? block.g[cell(q + 1, 0, kMaxImages)]
                                    : block.g[static_cast<std::size_t>(q) + 1]);
        }
      };
      if (first[low] >= 0) {
        add(low, row[high], true);
      }
      if (low != high && first[high] >= 0) {
        add(high, row[low], false);
      }
      if (low == high && first[low] >= 0 && k >= 0) {
        const double flux = sources_[low].flux[static_cast<std::size_t>(b)];
        for (int q = 0; q < sources_[low].n_parameters; ++q) {
          c[cell(k, first[low] + q, n)] += flux * block.sum[static_cast<std::size_t>(q) + 1];
        }
      }
    }
  }
}

void Scene::direct_matrix(const Gram& gram, std::span<double> h) const {
  const int n = active_parameters();
  index_parameters();
  const std::vector<int>& first = work_.first_parameter;
  for (std::size_t f = 0; f < frames_.size(); ++f) {
    if (frames_[f].n_good == 0) {
      continue;
    }
    const auto b = static_cast<std::size_t>(frames_[f].input->band);
    for (std::size_t p = 0; p < pairs_.size(); ++p) {
      const auto low = static_cast<std::size_t>(pairs_[p].low);
      const auto high = static_cast<std::size_t>(pairs_[p].high);
      const double weight = sources_[low].flux[b] * sources_[high].flux[b];
      if (first[low] < 0 || first[high] < 0 || !std::isfinite(weight)) {
        continue;
      }
      const GramBlock& block = gram.frame[f][p];
      for (int i = 0; i < sources_[low].n_parameters; ++i) {
        for (int j = 0; j < sources_[high].n_parameters; ++j) {
          const double value = weight * block.g[cell(i + 1, j + 1, kMaxImages)];
          h[cell(first[low] + i, first[high] + j, n)] += value;
          if (low != high) {
            h[cell(first[high] + j, first[low] + i, n)] += value;
          }
        }
      }
    }
  }
}

void Scene::normal_matrix(std::span<double> h) {
  const int n = active_parameters();
  std::fill(h.begin(), h.end(), 0.0);
  fill_gram(gram_, weights_, true, weight_id_);
  direct_matrix(gram_, h);
  for (int b = 0; b < input_.n_bands; ++b) {
    const BandSystem& band = bands_[static_cast<std::size_t>(b)];
    const int size = band.size();
    if (size == 0) {
      continue;
    }
    work_.schur.resize(std::max(work_.schur.size(), cell(size, 0, n)));
    const std::span<double> rows{work_.schur.data(), cell(size, 0, n)};
    coupling_matrix(gram_, band, b, rows);
    band.factor.solve_lower_rows(rows, n);
    numerics::subtract_products(rows.data(), n, rows.data(), n, size, n, n, h.data(), n);
  }
}

void Scene::use_total_weights() {
  ++weight_id_;
  for (Frame& frame : frames_) {
    const double gain = frame.input->gain_e_per_flux;
    if (frame.n_good == 0 || !(gain > 0.0) || !std::isfinite(gain)) {
      continue;
    }
    double sum_w = 0.0;
    double sum_wd = 0.0;
    for (std::size_t i = 0; i < frame.weight.size(); ++i) {
      const double w = static_cast<double>(frame.sky_weight[i]);
      if (w > 0.0) {
        const double source = std::max(0.0, static_cast<double>(frame.model[i])) / gain;
        const double total = w / (1.0 + w * source);
        frame.weight[i] = static_cast<float>(total);
        sum_w += total;
        sum_wd += total * static_cast<double>(frame.data[i]);
      }
    }
    frame.sum_weight = sum_w;
    frame.sum_weighted_data = sum_wd;
    sum_dark_pixels(frame, nullptr);
  }
}

}  // namespace skyloom::photometry::fit
