#include "skyloom/sky/detection.hpp"

#include <cmath>
#include <cstddef>
#include <limits>
#include <memory>
#include <string>

extern "C" {
#include <sep.h>
}

#include "skyloom/core/errors.hpp"

namespace skyloom::sky {
namespace {

constexpr int kSubObjectLimit = 200000;
constexpr std::size_t kPixelStack = 1000000;
constexpr int kSubpixels = 5;

struct FreeCatalogue {
  void operator()(sep_catalog* catalogue) const noexcept { sep_catalog_free(catalogue); }
};

void check(int status, const char* what) {
  if (status != 0) {
    char text[80] = {};
    char detail[520] = {};
    sep_get_errmsg(status, text);
    sep_get_errdetail(detail);
    throw UnitError(Reason::numerical, std::string(what) + ": " + text + " " + detail);
  }
}

template <class T>
const T* contiguous(ImageView<const T> view) {
  if (view.stride() != view.width()) {
    throw FatalError("detection needs contiguous images");
  }
  return view.data();
}

sep_image wrap(ImageView<const float> image, ImageView<const std::uint8_t> mask) {
  sep_image sep = {};
  sep.data = contiguous(image);
  sep.dtype = SEP_TFLOAT;
  sep.mask = contiguous(mask);
  sep.mdtype = SEP_TBYTE;
  sep.w = image.width();
  sep.h = image.height();
  return sep;
}

void set_noise(sep_image& sep, ImageView<const float> sigma) {
  sep.noise = contiguous(sigma);
  sep.ndtype = SEP_TFLOAT;
  sep.noise_type = SEP_NOISE_STDDEV;
}

}  // namespace

Detections detect(ImageView<const float> image, ImageView<const float> sigma,
                  ImageView<const std::uint8_t> mask, const DetectionOptions& options) {
  static const float kKernel[9] = {1, 2, 1, 2, 4, 2, 1, 2, 1};
  sep_set_sub_object_limit(kSubObjectLimit);
  sep_set_extract_pixstack(kPixelStack);
  sep_image sep = wrap(image, mask);
  set_noise(sep, sigma);
  sep_catalog* raw = nullptr;
  const int status =
      sep_extract(&sep, static_cast<float>(options.threshold_sigma), SEP_THRESH_REL,
                  options.min_area_pix, kKernel, 3, 3, SEP_FILTER_MATCHED, options.deblend_levels,
                  options.deblend_contrast, 1, options.clean_parameter, &raw);
  const std::unique_ptr<sep_catalog, FreeCatalogue> catalogue(raw);
  check(status, "detection");
  Detections result;
  result.segments = Image<std::int32_t>(image.width(), image.height());
  for (int i = 0; i < catalogue->nobj; ++i) {
    const sep_catalog& c = *catalogue;
    result.objects.push_back({c.x[i], c.y[i], c.a[i], c.b[i], c.flux[i], c.peak[i]});
    for (int k = 0; k < c.npix[i]; ++k) {
      result.segments.pixels()[static_cast<std::size_t>(c.pix[i][k])] = i + 1;
    }
  }
  return result;
}

ApertureSum sum_circle(ImageView<const float> image, ImageView<const float> sigma,
                       ImageView<const std::uint8_t> mask, double x, double y, double radius_pix) {
  sep_image sep = wrap(image, mask);
  set_noise(sep, sigma);
  ApertureSum sum;
  double area = 0.0;
  short flag = 0;
  check(
      sep_sum_circle(&sep, x, y, radius_pix, 0, kSubpixels, 0, &sum.flux, &sum.error, &area, &flag),
      "aperture");
  sum.masked = (flag & (SEP_APER_HASMASKED | SEP_APER_ALLMASKED)) != 0;
  return sum;
}

double half_light_radius(ImageView<const float> image, ImageView<const std::uint8_t> mask, double x,
                         double y, double limit_pix) {
  sep_image sep = wrap(image, mask);
  const double fraction = 0.5;
  double radius = 0.0;
  short flag = 0;
  const int status = sep_flux_radius(&sep, x, y, limit_pix, 0, kSubpixels, 0, nullptr, &fraction, 1,
                                     &radius, &flag);
  const bool usable =
      status == 0 && std::isfinite(radius) && radius > 0.0 && (flag & SEP_APER_ALLMASKED) == 0;
  return usable ? radius : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace skyloom::sky
