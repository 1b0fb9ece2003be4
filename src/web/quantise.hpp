#pragma once
// Pictures as the page carries them: 16-bit codes on an asinh scale, fine near the typical value
// and relative far from it, so that contrast can be changed and values be read in the browser.

#include <cstdint>
#include <string>
#include <vector>

#include "skyloom/core/image.hpp"
#include "skyloom/web/report.hpp"

namespace skyloom::web {

/// Code of a pixel without a value (NaN or infinite).
constexpr std::uint16_t kBlank = 65535;

/// value = centre + soft * sinh(first + step * code), codes 0..65534.
struct Quantised {
  std::vector<std::uint16_t> codes;  ///< row-major, row 0 first
  double centre = 0.0;
  double soft = 1.0;
  double first = 0.0;
  double step = 0.0;

  [[nodiscard]] double value(std::uint16_t code) const;
};

struct Levels {
  double low = 0.0;
  double high = 1.0;
};

/// What is drawn darkest and brightest: the picture's own levels or, when both are equal, the 1 and
/// 99.5 percentiles (for diverging colours symmetric about 0). high > low always.
Levels display_levels(const Picture& picture);

/// Codes of all pixels. For values up to 1e9 display ranges from the median the error is below 1e-3
/// of the value's distance from the median plus 1e-4 of the display range.
Quantised quantise(const Image<float>& pixels, const Levels& levels);

/// Base 64 of the codes as little-endian bytes.
std::string base64_of(const std::vector<std::uint16_t>& codes);

}  // namespace skyloom::web
