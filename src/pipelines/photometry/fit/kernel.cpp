#include "pipelines/photometry/fit/kernel.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "pipelines/photometry/fit/kernel_errors.hpp"
#include "pipelines/photometry/fit/kernel_scene.hpp"
#include "pipelines/photometry/fit/kernel_solve.hpp"
#include "pipelines/photometry/fit/kernel_workspace.hpp"
#include "skyloom/core/errors.hpp"

namespace skyloom::photometry::fit {

namespace {

constexpr double kRadian = 180.0 / std::numbers::pi;

/// Position and shape with errors. @param first index of its first parameter, -1 when held
void write_shape(const Source& source, const Covariance& cov, int first,
                 const std::vector<double>& newton_step, SourceFit& fit) {
  fit.x = source.value[0];
  fit.y = source.value[1];
  const bool galaxy = source.type != SourceType::star;
  const auto ellipse = sky::to_ellipse({source.value[2], source.value[3], source.value[4]});
  if (galaxy) {
    fit.re_pix = ellipse.re_pix;
    fit.axis_ratio = ellipse.axis_ratio;
    fit.phi_deg = ellipse.phi_deg;
    constexpr double kIndex[] = {0.0, 1.0, 4.0};
    fit.sersic_n = source.type == SourceType::sersic
                       ? source.value[5]
                       : kIndex[static_cast<std::size_t>(source.type)];
  }
  if (first < 0) {
    fit.converged = true;
    return;
  }
  const auto n = static_cast<std::size_t>(cov.n);
  const auto at = [&](int i, int j) {
    return cov.theta[static_cast<std::size_t>(first + i) * n + static_cast<std::size_t>(first + j)];
  };
  const auto sigma = [&](int i) { return std::sqrt(std::max(0.0, at(i, i))); };
  fit.x_err = sigma(0);
  fit.y_err = sigma(1);
  if (galaxy) {
    fit.re_err_pix = ellipse.re_pix * sigma(2);
    const double ee = std::hypot(source.value[3], source.value[4]);
    const double c = ee > 0.0 ? source.value[3] / ee : 1.0;
    const double s = ee > 0.0 ? source.value[4] / ee : 0.0;
    const double along = c * c * at(3, 3) + 2.0 * c * s * at(3, 4) + s * s * at(4, 4);
    const double across = s * s * at(3, 3) - 2.0 * c * s * at(3, 4) + c * c * at(4, 4);
    const double q = ellipse.axis_ratio;
    fit.ell_err = 2.0 * std::exp(ee) * q * q * std::sqrt(std::max(0.0, along));
    // Of a direction that is not known at all: uniform over 180 degrees.
    const double unknown = 180.0 / std::sqrt(12.0);
    const double angle = 0.5 * kRadian * std::sqrt(std::max(0.0, across)) / std::max(ee, 1e-9);
    fit.theta_err_deg = std::min(unknown, angle);
  }
  if (source.type == SourceType::sersic) {
    fit.sersic_n_err = sigma(5);
  }
  for (int k = 0; k < source.n_parameters; ++k) {
    const double step = std::abs(newton_step[static_cast<std::size_t>(first + k)]);
    fit.last_step_sigma = std::max(fit.last_step_sigma, step / std::max(sigma(k), 1e-12));
    const auto p = static_cast<std::size_t>(k);
    if (source.value[p] <= source.lower[p] || source.value[p] >= source.upper[p]) {
      fit.flags |= kFlagAtBound;
    }
  }
  fit.converged = fit.last_step_sigma < kConvergedStep;
}

/// Sums under one source in one frame, weighted by its profile.
struct LightSums {
  double a = 0.0;         ///< sum u^2 w, sky noise
  double u = 0.0;         ///< sum u over good pixels
  double residual = 0.0;  ///< sum u w r^2
  double own = 0.0;       ///< sum u^2
  double others = 0.0;    ///< sum u (model - own light)
  int npix = 0;
};

/// The sums of a row in floats, eight of each kind: a fixed order that fits into vectors.
struct LightRow {
  float sky;
  float per_gain;
  float flux;

  static constexpr int kSums = 8;
  struct Parts {
    float a[kSums] = {};
    float u[kSums] = {};
    float residual[kSums] = {};
    float own[kSums] = {};
    float others[kSums] = {};
    int npix[kSums] = {};
  };

  void add_pixel(float image, float w, float model, float data, Parts& p, int k) const {
    const float u = w > 0.0F ? image : 0.0F;
    const float r = data - sky - model;
    const float noise = 1.0F + w * (std::max(0.0F, model) * per_gain);
    p.a[k] += u * u * w;
    p.u[k] += u;
    p.residual[k] += u * w * (r * r) / noise;
    p.own[k] += u * u;
    p.others[k] += u * (model - flux * u);
    p.npix[k] += w > 0.0F ? 1 : 0;
  }

  void add(const float* image, const float* w, const float* model, const float* data, int width,
           LightSums& sums) const {
    Parts p;
    int x = 0;
    for (; x + kSums <= width; x += kSums) {
      for (int k = 0; k < kSums; ++k) {
        add_pixel(image[x + k], w[x + k], model[x + k], data[x + k], p, k);
      }
    }
    for (int k = 0; x < width; ++x, ++k) {
      add_pixel(image[x], w[x], model[x], data[x], p, k);
    }
    for (int k = 0; k < kSums; ++k) {
      sums.a += static_cast<double>(p.a[k]);
      sums.u += static_cast<double>(p.u[k]);
      sums.residual += static_cast<double>(p.residual[k]);
      sums.own += static_cast<double>(p.own[k]);
      sums.others += static_cast<double>(p.others[k]);
      sums.npix += p.npix[k];
    }
  }
};

void add_light(const Scene& scene, const Source& source, std::size_t f, double flux,
               LightSums& sums) {
  const Frame& frame = scene.frames()[f];
  const Placement& place = source.place[f];
  const double gain = frame.input->gain_e_per_flux;
  const LightRow row{static_cast<float>(frame.sky),
                     static_cast<float>(gain > 0.0 && std::isfinite(gain) ? 1.0 / gain : 0.0),
                     static_cast<float>(flux)};
  const int width = place.clip.width();
  for (int y = place.clip.y0; y < place.clip.y1; ++y) {
    const std::ptrdiff_t at = y * frame.stride + place.clip.x0;
    row.add(source.pixels.data() + place.offset + (y - place.clip.y0) * place.stride,
            frame.sky_weight.data() + at, frame.model.data() + at, frame.data.data() + at, width,
            sums);
  }
}

void write_band(const Scene& scene, const Covariance& cov, std::size_t s, int b, SourceFit& fit) {
  const Source& source = scene.sources()[s];
  BandFit& out = fit.bands[static_cast<std::size_t>(b)];
  out.flux = source.flux[static_cast<std::size_t>(b)];
  const BandSystem& band = scene.band(b);
  const auto found = std::find(band.source.begin(), band.source.end(), static_cast<int>(s));
  if (found == band.source.end()) {
    return;
  }
  const auto size = static_cast<std::size_t>(band.size());
  const auto i = static_cast<std::size_t>(found - band.source.begin());
  const auto& linear = cov.linear[static_cast<std::size_t>(b)];
  const double variance = linear[i * size + i];
  out.flux_err = variance > 0.0 ? std::sqrt(variance) : out.flux_err;
  const std::size_t skies = cov.sky_frame.size();
  for (std::size_t k = 0; k < skies; ++k) {
    fit.flux_per_sky[static_cast<std::size_t>(b) * scene.frames().size() +
                     static_cast<std::size_t>(cov.sky_frame[k])] =
        cov.flux_per_sky[static_cast<std::size_t>(b)][i * skies + k];
  }
  for (std::size_t k = band.source.size(); k < size; ++k) {
    const double correlation = linear[i * size + k] / std::sqrt(variance * linear[k * size + k]);
    if (std::abs(correlation) > 0.9) {
      fit.flags |= kFlagSkyDegenerate;
    }
  }
  // Diagonal of the inverse against the inverse of the diagonal: how much is left of its own.
  std::vector<double> unit(size, 0.0);
  unit[i] = 1.0;
  band.factor.solve_lower(unit);
  double inverse = 0.0;
  for (const double v : unit) {
    inverse += v * v;
  }
  if (inverse * band.matrix[i * size + i] > 1e6) {
    fit.flags |= kFlagSingular;
  }
  LightSums sums;
  for (std::size_t f = 0; f < scene.frames().size(); ++f) {
    if (scene.frames()[f].input->band == b && !source.place[f].clip.empty()) {
      add_light(scene, source, f, out.flux, sums);
    }
  }
  out.npix = sums.npix;
  out.flux_err_cond = sums.a > 0.0 ? 1.0 / std::sqrt(sums.a) : out.flux_err_cond;
  out.chi2 = sums.u > 0.0 ? sums.residual / sums.u : out.chi2;
  const double own = out.flux * sums.own;
  out.fracflux = own > 0.0 ? sums.others / own : out.fracflux;
}

constexpr int kParts = 4;  ///< partial sums: a fixed order that fits into vectors

double total(const double (&parts)[kParts]) {
  return (parts[0] + parts[1]) + (parts[2] + parts[3]);
}

/// Sums of w r and w over pixels [x0, x1) of a row; floats within pieces of it.
void add_residuals(const float* w, const float* data, const float* model, float sky, int x0, int x1,
                   double& sum, double& weight) {
  constexpr int kSums = 8;
  float wr[kSums] = {};
  float ww[kSums] = {};
  const auto add = [&](int x, int k) {
    wr[k] += w[x] * (data[x] - model[x] - sky);
    ww[k] += w[x];
  };
  int x = x0;
  for (; x + kSums <= x1; x += kSums) {
    for (int k = 0; k < kSums; ++k) {
      add(x + k, k);
    }
  }
  for (int k = 0; x < x1; ++x, ++k) {
    add(x, k);
  }
  for (int k = 0; k < kSums; ++k) {
    sum += static_cast<double>(wr[k]);
    weight += static_cast<double>(ww[k]);
  }
}

/// chi2 of a row of `width` pixels.
double row_chi2(const float* w, const float* data, const float* model, double sky, int width) {
  double parts[kParts] = {};
  const auto add = [&](int x, int k) {
    const double r = static_cast<double>(data[x]) - static_cast<double>(model[x]) - sky;
    parts[k] += static_cast<double>(w[x]) * r * r;
  };
  int x = 0;
  for (; x + kParts <= width; x += kParts) {
    for (int k = 0; k < kParts; ++k) {
      add(x + k, k);
    }
  }
  for (int k = 0; x < width; ++x, ++k) {
    add(x, k);
  }
  return total(parts);
}

/// chi2 of a frame with the weights of the sky alone.
double sky_chi2(const Frame& frame) {
  double chi2 = 0.0;
  for (int y = 0; y < frame.height; ++y) {
    const std::ptrdiff_t row = y * frame.stride;
    chi2 += row_chi2(frame.sky_weight.data() + row, frame.data.data() + row,
                     frame.model.data() + row, frame.sky, frame.width);
  }
  return chi2;
}

/// One Newton step of the sky on the pixels of the base box alone: their weighted residuals, over
/// their share of the information that the ROI has with all sources following the sky.
void measure_base_sky(const Input& input, const Frame& frame, FrameFit& fit) {
  const auto& m = frame.input->matrix;
  const double det = m[0] * m[3] - m[1] * m[2];
  const auto in_base = [&](int x, int y) {
    const double u = x - frame.input->dx;
    const double v = y - frame.input->dy;
    return input.base.empty() || input.base.contains((m[3] * u - m[1] * v) / det + 0.5,
                                                     (m[0] * v - m[2] * u) / det + 0.5);
  };
  double sum = 0.0;
  double weight = 0.0;
  for (int y = 0; y < frame.height; ++y) {
    // The base box is convex: of every row it holds one piece.
    int x0 = 0;
    int x1 = frame.width;
    while (x0 < x1 && !in_base(x0, y)) {
      ++x0;
    }
    while (x1 > x0 && !in_base(x1 - 1, y)) {
      --x1;
    }
    const std::ptrdiff_t row = y * frame.stride;
    add_residuals(frame.weight.data() + row, frame.data.data() + row, frame.model.data() + row,
                  static_cast<float>(frame.sky), x0, x1, sum, weight);
  }
  if (weight > 0.0) {
    const double information = weight / frame.sum_weight / (fit.sky_err * fit.sky_err);
    fit.base_sky = fit.sky + sum / information;
    fit.base_sky_err = 1.0 / std::sqrt(information);
  }
}

void write_frames(const Scene& scene, const Covariance& cov, Result& result) {
  for (std::size_t f = 0; f < scene.frames().size(); ++f) {
    const Frame& frame = scene.frames()[f];
    FrameFit fit;
    fit.sky = frame.n_good > 0 ? frame.offset + frame.sky : frame.input->sky_start;
    fit.npix = frame.n_good;
    fit.chi2 = scene.input().options.noise == Noise::sky ? frame.chi2 : sky_chi2(frame);
    const BandSystem& band = scene.band(frame.input->band);
    for (std::size_t k = 0; k < band.sky_frame.size(); ++k) {
      if (band.sky_frame[k] == static_cast<int>(f)) {
        const auto size = static_cast<std::size_t>(band.size());
        const std::size_t i = band.source.size() + k;
        fit.sky_err = std::sqrt(
            std::max(0.0, cov.linear[static_cast<std::size_t>(frame.input->band)][i * size + i]));
        measure_base_sky(scene.input(), frame, fit);
      }
    }
    result.frames.push_back(fit);
    if (scene.input().options.keep_models) {
      Image<float> model(frame.width, frame.height);
      for (int y = 0; y < frame.height; ++y) {
        const float* row = frame.model.data() + y * frame.stride;
        std::copy(row, row + frame.width, &model(y, 0));
      }
      result.models.push_back(std::move(model));
    }
  }
}

Result write_result(Scene& scene, const SolveReport& report, const Covariance& cov) {
  Result result;
  result.stopped = false;
  result.dlnp_last = report.dlnp_last;
  result.history = report.history;
  result.iterations = report.iterations;
  result.converged_all = true;
  int first = 0;
  for (std::size_t s = 0; s < scene.sources().size(); ++s) {
    const Source& source = scene.sources()[s];
    SourceFit fit;
    fit.flags = source.flags;
    fit.bands.resize(static_cast<std::size_t>(scene.n_bands()));
    fit.flux_per_sky.assign(fit.bands.size() * scene.frames().size(), 0.0);
    write_shape(source, cov, source.active ? first : -1, report.newton_step, fit);
    first += source.active ? source.n_parameters : 0;
    bool any = false;
    for (int b = 0; b < scene.n_bands(); ++b) {
      write_band(scene, cov, s, b, fit);
      any = any || std::isfinite(fit.bands[static_cast<std::size_t>(b)].flux);
    }
    fit.flags |= any ? 0U : static_cast<std::uint32_t>(kFlagNoData);
    result.converged_all = result.converged_all && fit.converged;
    result.sources.push_back(std::move(fit));
  }
  write_frames(scene, cov, result);
  return result;
}

}  // namespace

Result compute(const Input& input) {
  const auto work = input.workspace ? input.workspace : make_workspace();
  work->trim();
  Scene scene(input, *work);
  SolveReport report = solve(scene, true, 0);
  const int rounds = input.options.noise == Noise::total ? input.options.noise_rounds : 0;
  for (int round = 0; round < rounds && !report.stopped; ++round) {
    scene.use_total_weights();
    SolveReport next = solve(scene, false, report.iterations);
    next.iterations += report.iterations;
    next.history.insert(next.history.begin(), report.history.begin(), report.history.end());
    report = std::move(next);
  }
  if (report.stopped) {
    Result result;
    result.stopped = true;
    result.iterations = report.iterations;
    result.history = std::move(report.history);
    return result;
  }
  const Covariance cov =
      covariance(scene, report.inverse, report.inverse_hessian, report.prior_precision);
  return write_result(scene, report, cov);
}

}  // namespace skyloom::photometry::fit
