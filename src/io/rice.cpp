#include "skyloom/io/rice.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <stdexcept>

namespace skyloom::io {
namespace {

constexpr int kCodeBits = 4;
constexpr int kValueBits = 16;
constexpr int kWord = 64;
/// Bits of a word that are surely of the stream, wherever in a byte it begins.
constexpr int kSureBits = 56;
/// Low bits of the code 15, whose differences are not split.
constexpr int kUnsplit = 14;
/// Longest run of zeros that 16-bit differences can have.
constexpr std::uint64_t kLongestRun = 65535;

/// Next bits of the stream, those that are not sure are zeros or bits.
std::uint64_t peek(const std::uint8_t* bytes, std::uint64_t position) {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes + (position >> 3U), sizeof word);
  if constexpr (std::endian::native == std::endian::little) {
    word = __builtin_bswap64(word);
  }
  return word << (position & 7U);
}

std::uint32_t unfolded(std::uint32_t u) {
  return (u >> 1U) ^ (0U - (u & 1U));
}

/// One tile on its way. Positions are bits of the whole buffer.
struct Stream {
  const std::uint8_t* bytes = nullptr;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::uint64_t position = 0;
  std::uint32_t last = 0;  ///< pixel before; its low 16 bits count
  int low_bits = 0;        ///< of the present block; -1: all pixels are equal
  std::int16_t* out = nullptr;
  bool damaged = false;

  std::uint32_t take(int bits) {
    const std::uint64_t value = peek(bytes, position) >> static_cast<unsigned>(kWord - bits);
    position += static_cast<std::uint64_t>(bits);
    return static_cast<std::uint32_t>(value);
  }

  /// A split difference of any length, checked at every step; at the end of the tile it goes beyond
  /// it, so that the block ends damaged.
  [[gnu::noinline]] std::uint32_t take_difference() {
    std::uint64_t zeros = 0;
    while (position < end && zeros <= kLongestRun) {
      const int run = std::countl_zero(peek(bytes, position));
      if (run < kSureBits) {
        zeros += static_cast<std::uint64_t>(run);
        position += static_cast<std::uint64_t>(run) + 1;
        if (zeros > kLongestRun) {
          break;
        }
        const std::uint32_t low = low_bits == 0 ? 0 : take(low_bits);
        return unfolded(static_cast<std::uint32_t>(zeros << static_cast<unsigned>(low_bits)) | low);
      }
      zeros += kSureBits;
      position += kSureBits;
    }
    position = end + 1;
    return 0;
  }
};

/// Split differences of `count` pixels of each stream, turn by turn: the position of a stream is a
/// chain of dependent steps, and the chains of several hide each other's latency.
template <int Streams>
void take_split(const std::array<Stream*, Streams>& streams, int count) {
  const std::uint8_t* const bytes = streams[0]->bytes;
  std::array<std::uint64_t, Streams> position{};
  std::array<std::uint32_t, Streams> last{};
  std::array<unsigned, Streams> low{};
  std::array<std::int16_t*, Streams> out{};
  for (std::size_t k = 0; k < Streams; ++k) {
    position[k] = streams[k]->position;
    last[k] = streams[k]->last;
    low[k] = static_cast<unsigned>(streams[k]->low_bits);
    out[k] = streams[k]->out;
  }
  constexpr unsigned kTop = kWord - 1;
  int i = 0;
  // Two differences per word. The one that ends the zeros is on top after the shift, and is what
  // the - 1 takes away.
  for (; i + 1 < count; i += 2) {
    for (std::size_t k = 0; k < Streams; ++k) {
      const std::uint64_t word = peek(bytes, position[k]);
      const auto zeros = static_cast<unsigned>(std::countl_zero(word | 1U));
      const std::uint64_t one = word << zeros;
      const std::uint64_t rest = one << low[k] << 1U;
      const auto more_zeros = static_cast<unsigned>(std::countl_zero(rest | 1U));
      const unsigned used = zeros + more_zeros + 2 * (low[k] + 1);
      std::uint32_t first = 0;
      std::uint32_t second = 0;
      if (used <= kSureBits) [[likely]] {
        first = unfolded(static_cast<std::uint32_t>(((std::uint64_t{zeros} - 1) << low[k]) +
                                                    (one >> (kTop - low[k]))));
        second = unfolded(static_cast<std::uint32_t>(((std::uint64_t{more_zeros} - 1) << low[k]) +
                                                     (rest << more_zeros >> (kTop - low[k]))));
        position[k] += used;
      } else {
        Stream& stream = *streams[k];
        stream.position = position[k];
        first = stream.take_difference();
        second = stream.take_difference();
        position[k] = stream.position;
      }
      out[k][i] = static_cast<std::int16_t>(last[k] += first);
      out[k][i + 1] = static_cast<std::int16_t>(last[k] += second);
    }
  }
  for (std::size_t k = 0; k < Streams; ++k) {
    Stream& stream = *streams[k];
    stream.position = position[k];
    if (i < count) {
      out[k][i] = static_cast<std::int16_t>(last[k] += stream.take_difference());
    }
    stream.last = last[k];
  }
}

void take_block(Stream& stream, int count) {
  if (stream.low_bits < 0) {
    std::fill_n(stream.out, count, static_cast<std::int16_t>(stream.last));
  } else if (stream.low_bits == kUnsplit) {
    for (int i = 0; i < count; ++i) {
      stream.out[i] = static_cast<std::int16_t>(stream.last += unfolded(stream.take(kValueBits)));
    }
  } else {
    take_split<1>({&stream}, count);
  }
}

template <int Streams>
void decode(std::array<Stream, Streams>& streams, int width, int block) {
  std::array<Stream*, Streams> each{};
  for (std::size_t k = 0; k < Streams; ++k) {
    each[k] = &streams[k];
    each[k]->last = each[k]->take(kValueBits);
  }
  for (int x = 0; x < width; x += block) {
    const int count = std::min(block, width - x);
    bool all_split = true;
    for (Stream* stream : each) {
      stream->low_bits = static_cast<int>(stream->take(kCodeBits)) - 1;
      all_split = all_split && stream->low_bits >= 0 && stream->low_bits < kUnsplit;
    }
    if (all_split) {
      take_split<Streams>(each, count);
    } else {
      for (Stream* stream : each) {
        take_block(*stream, count);
      }
    }
    for (Stream* stream : each) {
      stream->out += count;
      // A block goes beyond the end by less than kRiceMargin; from the start it cannot go further.
      if (stream->position > stream->end) {
        stream->damaged = true;
        stream->position = stream->begin;
      }
    }
  }
  for (Stream* stream : each) {
    stream->damaged = stream->damaged || (stream->position + 7) / 8 != stream->end / 8;
  }
}

}  // namespace

int decode_rice(std::span<const std::uint8_t> bytes, std::span<const RiceTile> tiles, int block,
                ImageView<std::int16_t> out) {
  if (tiles.size() != static_cast<std::size_t>(out.height()) || block < 1 ||
      block > kRiceBlockLimit) {
    throw std::invalid_argument("decode_rice: expected one tile per row, blocks of 1 to 32 pixels");
  }
  const auto stream_of = [&](int row) {
    const RiceTile& tile = tiles[static_cast<std::size_t>(row)];
    if (tile.offset > bytes.size() || bytes.size() - tile.offset < kRiceMargin ||
        tile.length > bytes.size() - tile.offset - kRiceMargin) {
      throw std::invalid_argument("decode_rice: a tile lacks the margin behind it");
    }
    Stream stream;
    stream.bytes = bytes.data();
    stream.begin = stream.position = 8 * std::uint64_t{tile.offset};
    stream.end = 8 * std::uint64_t{tile.offset + tile.length};
    stream.out = out.row(row).data();
    return stream;
  };
  for (int row = 0; row < out.height(); row += 2) {
    if (row + 1 < out.height()) {
      std::array<Stream, 2> pair{stream_of(row), stream_of(row + 1)};
      decode<2>(pair, out.width(), block);
      if (pair[0].damaged || pair[1].damaged) {
        return pair[0].damaged ? row : row + 1;
      }
    } else {
      std::array<Stream, 1> single{stream_of(row)};
      decode<1>(single, out.width(), block);
      if (single[0].damaged) {
        return row;
      }
    }
  }
  return out.height();
}

}  // namespace skyloom::io
