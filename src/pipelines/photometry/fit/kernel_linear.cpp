// Gram matrices, the linear solve for fluxes and skies, gradient and Schur complement. With
// U = [u, du/dtheta] of all sources and weights W: A = G(lin, lin), B(theta, j) = c G(theta, u_j)
// (Kaufman 1975), H = sum over bands of c c' G(theta, theta') - B A^-1 B^T.

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "pipelines/photometry/fit/kernel_scene.hpp"
#include "skyloom/numerics/float_lanes.hpp"

namespace skyloom::photometry::fit {

namespace {

std::size_t cell(int row, int column, int n) {
  return static_cast<std::size_t>(row) * static_cast<std::size_t>(n) +
         static_cast<std::size_t>(column);
}

const float* pixel(const float* image, std::ptrdiff_t stride, int x, int y) {
  return image + y * stride + x;
}

/// Keeps A factorable when two sources coincide; moves no flux that the data determine.
constexpr double kRidgeRelative = 1e-9;
constexpr double kRidgeOfLargest = 1e-12;

}  // namespace

void Scene::find_pairs() {
  // Products of pairs that stay are kept; the numbers of their images tell whether they hold.
  std::map<std::pair<int, int>, std::size_t> before;
  for (std::size_t p = 0; p < pairs_.size(); ++p) {
    before[{pairs_[p].low, pairs_[p].high}] = p;
  }
  const Gram old = std::move(gram_);
  pairs_.clear();
  neighbour_.assign(sources_.size(), {});
  const int n = static_cast<int>(sources_.size());
  for (int s = 0; s < n; ++s) {
    pairs_.push_back({s, s});
  }
  for (int s = 0; s < n; ++s) {
    for (int t = s + 1; t < n; ++t) {
      for (std::size_t f = 0; f < frames_.size(); ++f) {
        const auto& a = sources_[static_cast<std::size_t>(s)].place[f].clip;
        const auto& b = sources_[static_cast<std::size_t>(t)].place[f].clip;
        if (!a.intersect(b).empty()) {
          neighbour_[static_cast<std::size_t>(s)].push_back(static_cast<int>(pairs_.size()));
          neighbour_[static_cast<std::size_t>(t)].push_back(static_cast<int>(pairs_.size()));
          pairs_.push_back({s, t});
          break;
        }
      }
    }
  }
  gram_.frame.assign(frames_.size(), std::vector<GramBlock>(pairs_.size()));
  for (std::size_t p = 0; p < pairs_.size(); ++p) {
    const auto found = before.find({pairs_[p].low, pairs_[p].high});
    for (std::size_t f = 0; found != before.end() && f < old.frame.size(); ++f) {
      gram_.frame[f][p] = old.frame[f][found->second];
    }
  }
}

double Scene::influence(int s) const {
  double largest = 0.0;
  std::vector<double> light(static_cast<std::size_t>(input_.n_bands));
  std::vector<double> own(light.size());
  const Source& source = sources_[static_cast<std::size_t>(s)];
  for (const int p : neighbour_[static_cast<std::size_t>(s)]) {
    const Pair& pair = pairs_[static_cast<std::size_t>(p)];
    const auto other = static_cast<std::size_t>(pair.low == s ? pair.high : pair.low);
    if (sources_[other].role != Role::base) {
      continue;
    }
    std::fill(light.begin(), light.end(), 0.0);
    std::fill(own.begin(), own.end(), 0.0);
    for (std::size_t f = 0; f < frames_.size(); ++f) {
      const auto b = static_cast<std::size_t>(frames_[f].input->band);
      light[b] += gram_.frame[f][static_cast<std::size_t>(p)].g[0];
      own[b] += gram_.frame[f][other].g[0];
    }
    for (std::size_t b = 0; b < light.size(); ++b) {
      if (own[b] > 0.0 && std::isfinite(source.flux[b])) {
        largest = std::max(largest, std::abs(source.flux[b] * light[b]) / std::sqrt(own[b]));
      }
    }
  }
  return largest;
}

int Scene::images_needed(const Source& source, bool full) const {
  return full && source.active ? source.n_images : 1;
}

bool Scene::block_valid(const GramBlock& block, const Pair& pair, bool full,
                        std::uint64_t weight_id) const {
  const Source& low = sources_[static_cast<std::size_t>(pair.low)];
  const Source& high = sources_[static_cast<std::size_t>(pair.high)];
  return block.weight_id == weight_id && block.id_low == low.image_id &&
         block.id_high == high.image_id && block.n_low >= images_needed(low, full) &&
         block.n_high >= images_needed(high, full);
}

void Scene::fill_own(GramBlock& block, const Source& source, std::size_t f, int images) {
  const Placement& place = source.place[f];
  const Frame& frame = frames_[f];
  const float* pixels = source.pixels.data() + place.offset;
  const int rows = place.clip.height();
  const int width = place.clip.width();
  numerics::products({weighted_.data(), place.stride}, place.plane, images, {pixels, place.stride},
                     place.plane, images, true, rows, width, block.g.data(), kMaxImages);
  for (int a = 0; a < images; ++a) {
    for (int b = 0; b < a; ++b) {
      block.g[cell(a, b, kMaxImages)] = block.g[cell(b, a, kMaxImages)];
    }
    block.sum[static_cast<std::size_t>(a)] =
        numerics::total({weighted_.data() + a * place.plane, place.stride}, rows, width);
  }
  numerics::products(
      {weighted_.data(), place.stride}, 0, 1,
      {pixel(frame.data.data(), frame.stride, place.clip.x0, place.clip.y0), frame.stride}, 0, 1,
      false, rows, width, &block.data, 1);
}

void Scene::fill_pair(GramBlock& block, const Source& weighted, const Source& other, std::size_t f,
                      bool weighted_is_low, int n_weighted, int n_other) {
  const Placement& a = weighted.place[f];
  const Placement& b = other.place[f];
  const Box box = a.clip.intersect(b.clip);
  std::array<double, kMaxImages * kMaxImages> g{};
  if (!box.empty()) {
    numerics::products(
        {pixel(weighted_.data(), a.stride, box.x0 - a.clip.x0, box.y0 - a.clip.y0), a.stride},
        a.plane, n_weighted,
        {pixel(other.pixels.data() + b.offset, b.stride, box.x0 - b.clip.x0, box.y0 - b.clip.y0),
         b.stride},
        b.plane, n_other, false, box.height(), box.width(), g.data(), kMaxImages);
  }
  if (weighted_is_low) {
    block.g = g;
    return;
  }
  for (int i = 0; i < n_weighted; ++i) {
    for (int j = 0; j < n_other; ++j) {
      block.g[cell(j, i, kMaxImages)] = g[cell(i, j, kMaxImages)];
    }
  }
}

void Scene::fill_gram_frame(Gram& gram, std::size_t f, std::span<const float> weight, bool full,
                            std::uint64_t weight_id) {
  auto& blocks = gram.frame[f];
  for (std::size_t s = 0; s < sources_.size(); ++s) {
    const Source& source = sources_[s];
    const bool own = !block_valid(blocks[s], pairs_[s], full, weight_id);
    bool any = own;
    for (const int p : neighbour_[s]) {
      any = any || !block_valid(blocks[static_cast<std::size_t>(p)],
                                pairs_[static_cast<std::size_t>(p)], full, weight_id);
    }
    if (!any) {
      continue;
    }
    const Placement& place = source.place[f];
    const int images = images_needed(source, full);
    weighted_.resize(std::max(weighted_.size(), static_cast<std::size_t>(place.plane * images)));
    const numerics::Rows w{pixel(weight.data(), frames_[f].stride, place.clip.x0, place.clip.y0),
                           frames_[f].stride};
    for (int m = 0; m < images; ++m) {
      numerics::multiply({source.pixels.data() + place.offset + m * place.plane, place.stride}, w,
                         place.clip.height(), place.clip.width(),
                         weighted_.data() + m * place.plane, place.stride);
    }
    if (own) {
      fill_own(blocks[s], source, f, images);
      blocks[s].id_low = source.image_id;
      blocks[s].id_high = source.image_id;
      blocks[s].n_low = images;
      blocks[s].n_high = images;
      blocks[s].weight_id = weight_id;
    }
    for (const int p : neighbour_[s]) {
      const Pair& pair = pairs_[static_cast<std::size_t>(p)];
      GramBlock& block = blocks[static_cast<std::size_t>(p)];
      if (block_valid(block, pair, full, weight_id)) {
        continue;
      }
      const bool is_low = pair.low == static_cast<int>(s);
      const Source& other = sources_[static_cast<std::size_t>(is_low ? pair.high : pair.low)];
      const int n_other = images_needed(other, full);
      fill_pair(block, source, other, f, is_low, images, n_other);
      block.id_low = is_low ? source.image_id : other.image_id;
      block.id_high = is_low ? other.image_id : source.image_id;
      block.n_low = is_low ? images : n_other;
      block.n_high = is_low ? n_other : images;
      block.weight_id = weight_id;
    }
  }
}

void Scene::fill_gram(Gram& gram, const std::vector<std::span<const float>>& weight, bool full,
                      std::uint64_t weight_id) {
  if (gram.frame.size() != frames_.size() ||
      (!gram.frame.empty() && gram.frame[0].size() != pairs_.size())) {
    gram.frame.assign(frames_.size(), std::vector<GramBlock>(pairs_.size()));
  }
  for (std::size_t f = 0; f < frames_.size(); ++f) {
    if (frames_[f].n_good > 0) {
      fill_gram_frame(gram, f, weight[f], full, weight_id);
    }
  }
}

void Scene::linear_matrix(const Gram& gram, const BandSystem& band, int b,
                          std::span<double> a) const {
  const int size = band.size();
  const int n = static_cast<int>(band.source.size());
  std::fill(a.begin(), a.end(), 0.0);
  std::vector<int> index(sources_.size(), -1);
  for (int i = 0; i < n; ++i) {
    index[static_cast<std::size_t>(band.source[static_cast<std::size_t>(i)])] = i;
  }
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
  // Fluxes in units of their conditional errors: the ridge then does not depend on units.
  double largest = 0.0;
  for (int i = 0; i < size; ++i) {
    largest = std::max(largest, band.matrix[cell(i, i, size)]);
  }
  if (!band.factor.factor(band.matrix, size, kRidgeRelative, kRidgeOfLargest * largest)) {
    band.factor.factor(band.matrix, size, 1e-6, 1e-9 * largest);
  }
  std::vector<double> solution = band.right;
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
    std::fill(frame.model.begin(), frame.model.end(), 0.0F);
    if (frame.n_good == 0) {
      continue;
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
    frame.chi2 = numerics::weighted_residual(
        {frame.data.data(), frame.stride}, {frame.model.data(), frame.stride},
        static_cast<float>(frame.sky), {frame.weight.data(), frame.stride}, frame.height,
        frame.width, frame.weighted_residual.data(), frame.stride);
    chi2 += frame.chi2;
  }
  return chi2;
}

double Scene::evaluate(bool derivatives) {
  for (Source& source : sources_) {
    const bool with_derivatives = derivatives && source.active;
    const bool value_there = source.value_valid && source.value_at == source.value;
    const bool derivatives_there =
        source.derivatives_valid && source.derivatives_at == source.value;
    if (!value_there || (with_derivatives && !derivatives_there)) {
      render(source, with_derivatives);
    }
  }
  fill_gram(gram_, weights(), false, weight_id_);
  for (int b = 0; b < input_.n_bands; ++b) {
    solve_band(b);
  }
  return residuals();
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

namespace {

/// First parameter of each active source, -1 for others.
std::vector<int> parameter_index(const std::vector<Source>& sources) {
  std::vector<int> first(sources.size(), -1);
  int n = 0;
  for (std::size_t s = 0; s < sources.size(); ++s) {
    if (sources[s].active) {
      first[s] = n;
      n += sources[s].n_parameters;
    }
  }
  return first;
}

}  // namespace

void Scene::coupling_matrix(const Gram& gram, const BandSystem& band, int b,
                            std::span<double> c) const {
  const int n = active_parameters();
  std::fill(c.begin(), c.end(), 0.0);
  const auto first = parameter_index(sources_);
  std::vector<int> row(sources_.size(), -1);
  for (std::size_t i = 0; i < band.source.size(); ++i) {
    row[static_cast<std::size_t>(band.source[i])] = static_cast<int>(i);
  }
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
  const auto first = parameter_index(sources_);
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
  fill_gram(gram_, weights(), true, weight_id_);
  direct_matrix(gram_, h);
  for (int b = 0; b < input_.n_bands; ++b) {
    const BandSystem& band = bands_[static_cast<std::size_t>(b)];
    const int size = band.size();
    if (size == 0) {
      continue;
    }
    schur_.resize(std::max(schur_.size(), cell(size, 0, n)));
    const std::span<double> rows{schur_.data(), cell(size, 0, n)};
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
  }
}

}  // namespace skyloom::photometry::fit
