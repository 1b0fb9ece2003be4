#include "skyloom/io/deflate.hpp"

#include <algorithm>
#include <limits>

#include <zlib.h>

#include "skyloom/core/errors.hpp"

namespace skyloom::io {

std::vector<std::uint8_t> deflated(std::span<const std::uint8_t> bytes, int level) {
  uLongf size = compressBound(bytes.size());
  std::vector<std::uint8_t> out(size);
  if (compress2(out.data(), &size, bytes.data(), bytes.size(), level) != Z_OK) {
    throw FatalError("zlib cannot compress");
  }
  out.resize(size);
  out.shrink_to_fit();
  return out;
}

std::vector<std::uint8_t> inflated(std::span<const std::uint8_t> stream) {
  constexpr std::size_t kBlock = std::size_t{1} << 18;
  z_stream state{};
  if (stream.size() > std::numeric_limits<uInt>::max() || inflateInit(&state) != Z_OK) {
    throw FatalError("zlib cannot begin");
  }
  state.next_in = const_cast<Bytef*>(stream.data());
  state.avail_in = static_cast<uInt>(stream.size());
  std::vector<std::uint8_t> out;
  int code = Z_OK;
  while (code == Z_OK) {
    const std::size_t done = out.size();
    out.resize(done + std::max(kBlock, done));
    state.next_out = out.data() + done;
    state.avail_out = static_cast<uInt>(
        std::min<std::size_t>(out.size() - done, std::numeric_limits<uInt>::max()));
    const uInt room = state.avail_out;
    code = inflate(&state, Z_NO_FLUSH);
    out.resize(done + (room - state.avail_out));
  }
  inflateEnd(&state);
  if (code != Z_STREAM_END) {
    throw FatalError("a compressed record is damaged");
  }
  return out;
}

}  // namespace skyloom::io
