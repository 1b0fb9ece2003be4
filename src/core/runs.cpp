#include "skyloom/core/runs.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "skyloom/core/errors.hpp"

namespace skyloom {
namespace {

constexpr std::size_t kLongest = std::numeric_limits<std::uint16_t>::max();
constexpr std::size_t kRunBytes = 4;

void add_run(std::size_t length, std::uint16_t value, RunBytes& runs) {
  while (length > 0) {
    const std::size_t part = std::min(length, kLongest);
    for (const std::size_t number : {part, std::size_t{value}}) {
      runs.push_back(static_cast<std::uint8_t>(number & 0xFFU));
      runs.push_back(static_cast<std::uint8_t>(number >> 8U));
    }
    length -= part;
  }
}

/// First pixel from `begin` on that is not `value`.
std::size_t end_of_run(std::span<const std::uint16_t> row, std::size_t begin, std::uint16_t value) {
  constexpr std::size_t kAtOnce = 4;
  const std::uint64_t four = 0x0001000100010001U * std::uint64_t{value};
  std::size_t i = begin;
  for (std::uint64_t word = 0; i + kAtOnce <= row.size(); i += kAtOnce) {
    std::memcpy(&word, row.data() + i, sizeof word);
    if (word != four) {
      break;
    }
  }
  while (i < row.size() && row[i] == value) {
    ++i;
  }
  return i;
}

/// First bit from `begin` on that is not `value`, at most `width`.
int end_of_bits(std::span<const std::uint64_t> bits, int begin, int width, bool value) {
  int at = begin;
  while (at < width) {
    const std::uint64_t word = bits[static_cast<std::size_t>(at / 64)];
    const std::uint64_t differs = (value ? ~word : word) >> (at % 64);
    if (differs != 0) {
      return std::min(width, at + std::countr_zero(differs));
    }
    at = 64 * (at / 64 + 1);
  }
  return width;
}

}  // namespace

void add_runs(std::span<const std::uint16_t> row, RunBytes& runs) {
  for (std::size_t begin = 0; begin < row.size();) {
    const std::size_t end = end_of_run(row, begin, row[begin]);
    add_run(end - begin, row[begin], runs);
    begin = end;
  }
}

void add_bit_runs(std::span<const std::uint64_t> bits, int width, RunBytes& runs) {
  for (int begin = 0; begin < width;) {
    const bool value = (bits[static_cast<std::size_t>(begin / 64)] >> (begin % 64) & 1U) != 0;
    const int end = end_of_bits(bits, begin, width, value);
    add_run(static_cast<std::size_t>(end - begin), value ? 1 : 0, runs);
    begin = end;
  }
}

RunReader::Run RunReader::take(int most) {
  if (at_ + kRunBytes > runs_.size()) {
    throw FatalError("runs of a mask end before its rows");
  }
  const auto number = [&](std::size_t place) {
    return static_cast<int>(runs_[at_ + place]) | static_cast<int>(runs_[at_ + place + 1]) << 8U;
  };
  const Run run{number(0), static_cast<std::uint16_t>(number(2))};
  at_ += kRunBytes;
  if (run.length == 0 || run.length > most) {
    throw FatalError("runs of a mask do not end with its rows");
  }
  return run;
}

void RunReader::next(std::span<std::uint16_t> row) {
  for (std::size_t begin = 0; begin < row.size();) {
    const Run run = take(static_cast<int>(row.size() - begin));
    std::fill_n(row.begin() + static_cast<std::ptrdiff_t>(begin), run.length, run.value);
    begin += static_cast<std::size_t>(run.length);
  }
}

void RunReader::next_bits(int width, std::span<std::uint64_t> bits) {
  for (int begin = 0; begin < width;) {
    const Run run = take(width - begin);
    const int end = begin + run.length;
    for (int at = begin; run.value != 0 && at < end;) {
      const int stop = std::min(end, 64 * (at / 64 + 1));
      const int count = stop - at;
      const std::uint64_t ones = count == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1U;
      bits[static_cast<std::size_t>(at / 64)] |= ones << (at % 64);
      at = stop;
    }
    begin = end;
  }
}

}  // namespace skyloom
