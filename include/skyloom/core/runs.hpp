#pragma once
// Masks and maps of missing pixels as runs of equal values, row by row, so that none is ever held
// whole: pairs (length, value) of 16-bit little-endian integers, in the order of pixels. Runs end
// with rows; a run longer than 65535 pixels is several.

#include <cstdint>
#include <span>
#include <vector>

namespace skyloom {

using RunBytes = std::vector<std::uint8_t>;

/// Appends the runs of a row.
void add_runs(std::span<const std::uint16_t> row, RunBytes& runs);
/// The same of a row of bits, pixel i in bit i % 64 of word i / 64: values 0 and 1.
void add_bit_runs(std::span<const std::uint64_t> bits, int width, RunBytes& runs);

/// Gives the rows back, in order.
class RunReader {
 public:
  /// @param runs must outlive this object
  explicit RunReader(std::span<const std::uint8_t> runs) : runs_(runs) {}

  /// The next row. @throws FatalError when runs and rows do not fit together
  void next(std::span<std::uint16_t> row);
  /// The next row as bits, which must be 0; values other than 0 are 1.
  void next_bits(int width, std::span<std::uint64_t> bits);

 private:
  struct Run {
    int length;
    std::uint16_t value;
  };
  Run take(int most);

  std::span<const std::uint8_t> runs_;
  std::size_t at_ = 0;
};

}  // namespace skyloom
