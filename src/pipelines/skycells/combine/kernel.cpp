#include "pipelines/skycells/combine/kernel.hpp"

#include <cmath>
#include <limits>

#include "skyloom/core/errors.hpp"

namespace skyloom::skycells {

std::vector<float> band_table(const BandScaling& scaling, double weight) {
  const double to_asinh = std::log(10.0) / 2.5;
  std::vector<float> table;
  table.reserve(65536);
  for (std::int64_t q = -32768; q < 32768; ++q) {
    if (q == scaling.blank) {
      table.push_back(std::numeric_limits<float>::quiet_NaN());
      continue;
    }
    const double v = scaling.bzero + scaling.bscale * static_cast<double>(q);
    const double counts =
        scaling.linear ? v : scaling.boffset + 2.0 * scaling.bsoften * std::sinh(v * to_asinh);
    table.push_back(static_cast<float>(weight * counts / scaling.exptime_s));
    if (!std::isfinite(table.back())) {
      throw UnitError(Reason::bad_input,
                      "the stored value " + std::to_string(q) +
                          " is not finite after BSCALE, BSOFTEN and EXPTIME of its header");
    }
  }
  return table;
}

void sum_bands(std::span<const std::span<const float>> bands, std::span<const double> weights,
               MissingPixel missing, std::span<float> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    double sum = 0.0;
    for (const std::span<const float>& band : bands) {
      sum += static_cast<double>(band[i]);
    }
    out[i] = static_cast<float>(sum);
  }
  if (missing == MissingPixel::nan) {
    return;
  }
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (!std::isnan(out[i])) {
      continue;
    }
    double sum = 0.0;
    double all = 0.0;
    double present = 0.0;
    for (std::size_t b = 0; b < bands.size(); ++b) {
      all += weights[b];
      if (!std::isnan(bands[b][i])) {
        sum += static_cast<double>(bands[b][i]);
        present += weights[b];
      }
    }
    if (present > 0.0) {
      out[i] = static_cast<float>(sum * all / present);
    }
  }
}

}  // namespace skyloom::skycells
