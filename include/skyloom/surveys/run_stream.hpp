#pragma once
// Runs of masks and missing pixels (core/runs.hpp) as products of skycells store them: a zlib
// stream (RFC 1950), which every language reads.

#include <cstdint>
#include <span>
#include <vector>

#include "skyloom/core/runs.hpp"

namespace skyloom::surveys {

std::vector<std::uint8_t> run_stream(const RunBytes& runs);
/// @throws FatalError when the stream is damaged
RunBytes runs_of_stream(std::span<const std::uint8_t> stream);

}  // namespace skyloom::surveys
