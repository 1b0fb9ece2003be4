#include "pipelines/photometry/epsf/star_background.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "skyloom/numerics/robust.hpp"

namespace skyloom::photometry::epsf {
namespace {

constexpr int kClipRounds = 5;

}  // namespace

LocalBackground local_background(const Image<double>& data, const Image<double>& weight, double x,
                                 double y, const Options& options) {
  LocalBackground out;
  if (!options.star_local_bkg_subtract) {
    return out;
  }
  const double limit = std::max(2.0, (data.width() - 1) / 2 - 1.0);
  out.rout_pix = std::clamp(options.star_local_bkg_annulus_rout_pix, 2.0, limit);
  out.rin_pix = std::clamp(options.star_local_bkg_annulus_rin_pix, 0.0, out.rout_pix - 1.0);
  out.status = "fallback_zero";
  std::vector<double> values;
  for (int j = 0; j < data.height(); ++j) {
    for (int i = 0; i < data.width(); ++i) {
      const double r = std::hypot(i - x, j - y);
      if (r >= out.rin_pix && r <= out.rout_pix && std::isfinite(data(j, i)) &&
          weight(j, i) > 0.0) {
        values.push_back(data(j, i));
      }
    }
  }
  const auto enough = static_cast<std::size_t>(std::max(options.star_local_bkg_minpix, 1));
  if (values.size() < enough) {
    return out;
  }
  const double median =
      numerics::clip_about_median(values, options.star_local_bkg_sigma, kClipRounds);
  if (values.size() >= enough) {
    out.value = median;
    out.n_pixels = static_cast<int>(values.size());
    out.status = "ok";
  }
  return out;
}

}  // namespace skyloom::photometry::epsf
