#include "web/quantise.hpp"

#include <algorithm>
#include <cmath>
#include <string_view>

namespace skyloom::web {
namespace {

constexpr double kTopCode = 65534.0;

std::vector<float> finite_values(const Image<float>& pixels) {
  std::vector<float> values;
  values.reserve(pixels.pixels().size());
  std::copy_if(pixels.pixels().begin(), pixels.pixels().end(), std::back_inserter(values),
               [](float value) { return std::isfinite(value); });
  return values;
}

double percentile(std::vector<float>& values, double fraction) {
  const auto rank =
      static_cast<std::ptrdiff_t>(std::lround(fraction * static_cast<double>(values.size() - 1)));
  std::nth_element(values.begin(), values.begin() + rank, values.end());
  return static_cast<double>(values[static_cast<std::size_t>(rank)]);
}

}  // namespace

double Quantised::value(std::uint16_t code) const {
  return centre + soft * std::sinh(first + step * static_cast<double>(code));
}

Levels display_levels(const Picture& picture) {
  Levels levels{picture.low, picture.high};
  if (!(levels.high > levels.low)) {
    std::vector<float> values = finite_values(picture.pixels);
    if (values.empty()) {
      return {0.0, 1.0};
    }
    if (picture.colors == "diverging") {
      std::transform(values.begin(), values.end(), values.begin(),
                     [](float value) { return std::abs(value); });
      levels.high = percentile(values, 0.995);
      levels.low = -levels.high;
    } else {
      levels.low = percentile(values, 0.01);
      levels.high = percentile(values, 0.995);
    }
  }
  if (!(levels.high > levels.low)) {
    const double half = levels.low == 0.0 ? 0.5 : 0.5 * std::abs(levels.low);
    return {levels.low - half, levels.low + half};
  }
  return levels;
}

Quantised quantise(const Image<float>& pixels, const Levels& levels) {
  Quantised result;
  result.codes.assign(pixels.pixels().size(), kBlank);
  std::vector<float> values = finite_values(pixels);
  if (values.empty()) {
    return result;
  }
  const auto [least, greatest] = std::minmax_element(values.begin(), values.end());
  const double low = static_cast<double>(*least);
  const double high = static_cast<double>(*greatest);
  result.centre = percentile(values, 0.5);
  result.soft = (levels.high - levels.low) / 10.0;
  const auto coordinate = [&](double value) {
    return std::asinh((value - result.centre) / result.soft);
  };
  result.first = coordinate(low);
  result.step = (coordinate(high) - result.first) / kTopCode;
  if (!(result.step > 0.0)) {
    result.step = 0.0;
  }
  for (std::size_t i = 0; i < result.codes.size(); ++i) {
    const double value = static_cast<double>(pixels.pixels()[i]);
    if (std::isfinite(value)) {
      const double code =
          result.step > 0.0 ? (coordinate(value) - result.first) / result.step : 0.0;
      result.codes[i] = static_cast<std::uint16_t>(std::clamp(std::round(code), 0.0, kTopCode));
    }
  }
  return result;
}

std::string base64_of(const std::vector<std::uint16_t>& codes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const std::size_t n_bytes = 2 * codes.size();
  const auto byte = [&](std::size_t i) -> std::uint32_t {
    return i < n_bytes ? (i % 2 == 0 ? codes[i / 2] & 0xFFU : codes[i / 2] >> 8U) : 0U;
  };
  std::string text;
  text.reserve((n_bytes + 2) / 3 * 4);
  for (std::size_t i = 0; i < n_bytes; i += 3) {
    const std::uint32_t word = (byte(i) << 16U) | (byte(i + 1) << 8U) | byte(i + 2);
    text += kDigits[word >> 18U];
    text += kDigits[(word >> 12U) & 63U];
    text += i + 1 < n_bytes ? kDigits[(word >> 6U) & 63U] : '=';
    text += i + 2 < n_bytes ? kDigits[word & 63U] : '=';
  }
  return text;
}

}  // namespace skyloom::web
