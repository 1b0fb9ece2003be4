#include "skyloom/sky/background.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

extern "C" {
#include <sep.h>
}

#include "skyloom/core/errors.hpp"

namespace skyloom::sky {
namespace {

struct FreeBackground {
  void operator()(sep_bkg* map) const noexcept { sep_bkg_free(map); }
};

[[noreturn]] void fail(int status) {
  char text[80] = {};
  sep_get_errmsg(status, text);
  throw UnitError(Reason::numerical, std::string("mesh background: ") + text);
}

void check(int status) {
  if (status != 0) {
    fail(status);
  }
}

bool all_finite(const Image<float>& image) {
  return std::all_of(image.pixels().begin(), image.pixels().end(),
                     [](float value) { return std::isfinite(value); });
}

}  // namespace

BackgroundMap mesh_background(ImageView<const float> image, ImageView<const std::uint8_t> mask,
                              int box_size_pix, int filter_size_boxes) {
  // libsep wants contiguous arrays and non-masked finite values.
  std::vector<float> values;
  std::vector<std::uint8_t> masked;
  bool any = false;
  for (int y = 0; y < image.height(); ++y) {
    for (int x = 0; x < image.width(); ++x) {
      const bool good = mask(y, x) == 0 && std::isfinite(image(y, x));
      values.push_back(good ? image(y, x) : 0.0F);
      masked.push_back(good ? 0 : 1);
      any = any || good;
    }
  }
  if (!any) {
    throw UnitError(Reason::no_good_data, "mesh background: all pixels masked");
  }
  sep_image sep = {};
  sep.data = values.data();
  sep.dtype = SEP_TFLOAT;
  sep.mask = masked.data();
  sep.mdtype = SEP_TBYTE;
  sep.w = image.width();
  sep.h = image.height();
  sep_bkg* raw = nullptr;
  const int status = sep_background(&sep, box_size_pix, box_size_pix, filter_size_boxes,
                                    filter_size_boxes, 0.0, &raw);
  const std::unique_ptr<sep_bkg, FreeBackground> map(raw);
  check(status);
  BackgroundMap result{Image<float>(image.width(), image.height()),
                       Image<float>(image.width(), image.height())};
  check(sep_bkg_array(map.get(), result.level.pixels().data(), SEP_TFLOAT));
  check(sep_bkg_rmsarray(map.get(), result.rms.pixels().data(), SEP_TFLOAT));
  if (!all_finite(result.level) || !all_finite(result.rms)) {
    throw UnitError(Reason::numerical, "mesh background: the map is not finite");
  }
  return result;
}

Image<std::uint8_t> dilated(ImageView<const std::uint8_t> mask, int times) {
  const int width = mask.width();
  const int height = mask.height();
  Image<std::uint8_t> result(width, height);
  // A square of side 2 times + 1 is separable: rows first, then columns.
  Image<std::uint8_t> rows(width, height);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      if (mask(y, x) != 0) {
        for (int k = std::max(0, x - times); k <= std::min(width - 1, x + times); ++k) {
          rows(y, k) = 1;
        }
      }
    }
  }
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      if (rows(y, x) != 0) {
        for (int k = std::max(0, y - times); k <= std::min(height - 1, y + times); ++k) {
          result(k, x) = 1;
        }
      }
    }
  }
  return result;
}

}  // namespace skyloom::sky
