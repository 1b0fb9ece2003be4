#include "pipelines/photometry/zeropoint/kernel.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "skyloom/numerics/robust.hpp"

namespace skyloom::photometry::zeropoint {
namespace {

const double kMagPerLog = 2.5 / std::log(10.0);

/// Magnitude error of a relative flux error; NaN where it is unknown.
double mag_error(double flux, double flux_err) {
  return std::isfinite(flux_err) && flux_err > 0.0 ? kMagPerLog * flux_err / flux
                                                   : std::numeric_limits<double>::quiet_NaN();
}

/// Robust scatter of the better-measured half, those with errors up to their median: what does not
/// come from photon noise. Of all values where that half is small.
double intrinsic_scatter(std::span<const double> values, std::span<const double> errors) {
  constexpr std::size_t kLeastValues = 5;
  const double limit = numerics::median(errors);
  std::vector<double> better;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (errors[i] <= limit) {
      better.push_back(values[i]);
    }
  }
  return numerics::robust_scatter(better.size() < kLeastValues ? values : better);
}

/// Centre and scatter of the kept stars into `out`.
void summarise(std::span<const double> values, std::span<const double> errors, ZeroPoint& out) {
  const double floor = intrinsic_scatter(values, errors);
  std::vector<double> known;
  std::vector<double> weights;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(errors[i])) {
      known.push_back(values[i]);
      weights.push_back(1.0 / (errors[i] * errors[i] + floor * floor));
    }
  }
  if (known.empty()) {
    out.zp_mag = numerics::median(values);
    out.scatter_mag = numerics::robust_scatter(values);
    return;
  }
  out.zp_mag = weighted_median(known, weights);
  std::vector<double> distances;
  for (const double value : known) {
    distances.push_back(std::abs(value - out.zp_mag));
  }
  out.scatter_mag = 1.4826 * weighted_median(distances, weights);
}

}  // namespace

std::vector<std::uint8_t> clip(std::span<const double> values, std::span<const double> errors,
                               const Options& options) {
  std::vector<std::uint8_t> keep(values.size(), 1);
  for (int round = 0; round < options.clip_max_iters; ++round) {
    std::vector<double> kept;
    std::vector<double> kept_errors;
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (keep[i] != 0) {
        kept.push_back(values[i]);
        kept_errors.push_back(errors[i]);
      }
    }
    const double centre = numerics::median(kept);
    const double sigma = intrinsic_scatter(kept, kept_errors);
    if (kept.size() < 3 || sigma == 0.0) {
      break;
    }
    std::vector<std::uint8_t> next(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double spread = std::isfinite(errors[i]) ? std::hypot(sigma, errors[i]) : sigma;
      next[i] = std::abs(values[i] - centre) <= options.clip_sigma * spread ? 1 : 0;
    }
    if (next == keep) {
      break;
    }
    keep = std::move(next);
  }
  return keep;
}

double weighted_median(std::span<const double> values, std::span<const double> weights) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  double sum = 0.0;
  for (const std::size_t i : order) {
    sum += weights[i];
    if (sum >= 0.5 * total) {
      return values[i];
    }
  }
  return order.empty() ? std::numeric_limits<double>::quiet_NaN() : values[order.back()];
}

ZeroPoint measure(std::span<const Star> stars, const Options& options) {
  ZeroPoint out;
  std::vector<double> values;
  std::vector<double> value_errors;
  for (const Star& star : stars) {
    out.stars.push_back(
        {star.mag + 2.5 * std::log10(star.flux), mag_error(star.flux, star.flux_err)});
    if (star.converged) {
      values.push_back(out.stars.back().zp_mag);
      value_errors.push_back(out.stars.back().err_mag);
    }
  }
  out.n_raw = values.size();
  out.n_nonconverged = stars.size() - values.size();
  const std::vector<std::uint8_t> keep = clip(values, value_errors, options);
  std::vector<double> kept;
  std::vector<double> errors;
  std::size_t next = 0;
  for (std::size_t i = 0; i < stars.size(); ++i) {
    if (!stars[i].converged) {
      continue;
    }
    Estimate& estimate = out.stars[i];
    estimate.kept = keep[next++] != 0;
    estimate.clipped = !estimate.kept;
    if (estimate.kept) {
      kept.push_back(estimate.zp_mag);
      errors.push_back(estimate.err_mag);
    }
  }
  out.n_kept = kept.size();
  out.n_clipped = out.n_raw - out.n_kept;
  if (!kept.empty()) {
    summarise(kept, errors, out);
  }
  return out;
}

Magnitude magnitude(double flux, double flux_err, const ZeroPoint& zero_point) {
  if (!(flux > 0.0) || !std::isfinite(flux) || !std::isfinite(zero_point.zp_mag)) {
    return {};
  }
  return {zero_point.zp_mag - 2.5 * std::log10(flux),
          std::hypot(mag_error(flux, flux_err), zero_point.scatter_mag)};
}

}  // namespace skyloom::photometry::zeropoint
