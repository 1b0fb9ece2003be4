#include "pipelines/skycells/combine/kernel.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "skyloom/core/errors.hpp"

namespace skyloom::skycells {

std::vector<float> band_table(const BandScaling& scaling, double weight) {
  const double to_asinh = std::log(10.0) / 2.5;
  std::vector<float> table;
  table.reserve(kTableSize);
  for (std::int64_t q = -kTableSize / 2; q < kTableSize / 2; ++q) {
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

namespace {

/// Pixels that some band lacks, from the others.
/// @param value of band b at pixel i
template <class Value>
void renormalise(std::span<const double> weights, const Value& value, std::span<float> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (!std::isnan(out[i])) {
      continue;
    }
    double sum = 0.0;
    double all = 0.0;
    double present = 0.0;
    for (std::size_t b = 0; b < weights.size(); ++b) {
      all += weights[b];
      if (!std::isnan(value(b, i))) {
        sum += static_cast<double>(value(b, i));
        present += weights[b];
      }
    }
    if (present > 0.0) {
      out[i] = static_cast<float>(sum * all / present);
    }
  }
}

template <std::size_t Bands>
void sum_looked_up(std::span<const StoredBand> bands, std::span<float> out) {
  std::array<const float*, Bands> table{};
  std::array<const std::int16_t*, Bands> stored{};
  for (std::size_t b = 0; b < Bands; ++b) {
    // The middle of the table: the stored integers are signed.
    table[b] = bands[b].table.data() + kTableSize / 2;
    stored[b] = bands[b].row.data();
  }
  for (std::size_t i = 0; i < out.size(); ++i) {
    double sum = 0.0;
    for (std::size_t b = 0; b < Bands; ++b) {
      sum += static_cast<double>(table[b][stored[b][i]]);
    }
    out[i] = static_cast<float>(sum);
  }
}

}  // namespace

void sum_bands(std::span<const std::span<const float>> bands, std::span<const double> weights,
               MissingPixel missing, std::span<float> out) {
  // Blocks that stay in the first cache, so that each band is one plain loop.
  constexpr std::size_t kBlock = 512;
  std::array<double, kBlock> sum{};
  for (std::size_t begin = 0; begin < out.size(); begin += kBlock) {
    const std::size_t count = std::min(kBlock, out.size() - begin);
    std::fill_n(sum.begin(), count, 0.0);
    for (const std::span<const float>& band : bands) {
      const float* from = band.data() + begin;
      for (std::size_t i = 0; i < count; ++i) {
        sum[i] += static_cast<double>(from[i]);
      }
    }
    for (std::size_t i = 0; i < count; ++i) {
      out[begin + i] = static_cast<float>(sum[i]);
    }
  }
  if (missing == MissingPixel::renormalise) {
    renormalise(
        weights, [&](std::size_t b, std::size_t i) { return bands[b][i]; }, out);
  }
}

void sum_bands(std::span<const StoredBand> bands, std::span<const double> weights,
               MissingPixel missing, std::span<float> out) {
  switch (bands.size()) {
    case 1:
      sum_looked_up<1>(bands, out);
      break;
    case 2:
      sum_looked_up<2>(bands, out);
      break;
    case 3:
      sum_looked_up<3>(bands, out);
      break;
    case 4:
      sum_looked_up<4>(bands, out);
      break;
    case 5:
      sum_looked_up<5>(bands, out);
      break;
    default:
      throw std::invalid_argument("sum_bands: expected 1 to 5 bands");
  }
  if (missing == MissingPixel::renormalise) {
    renormalise(
        weights,
        [&](std::size_t b, std::size_t i) {
          return bands[b].table[static_cast<std::size_t>(bands[b].row[i] + kTableSize / 2)];
        },
        out);
  }
}

}  // namespace skyloom::skycells
