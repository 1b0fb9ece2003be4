#include "skyloom/surveys/run_stream.hpp"

#include "skyloom/io/deflate.hpp"

namespace skyloom::surveys {

std::vector<std::uint8_t> run_stream(const RunBytes& runs) {
  // Runs are short already.
  constexpr int kDeflateLevel = 1;
  return io::deflated(runs, kDeflateLevel);
}

RunBytes runs_of_stream(std::span<const std::uint8_t> stream) {
  return io::inflated(stream);
}

}  // namespace skyloom::surveys
