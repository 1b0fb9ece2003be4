#pragma once
// What the Gaia table and the source catalogue say about the objects of a band.

#include <cstdint>
#include <vector>

#include "pipelines/photometry/epsf/kernel.hpp"
#include "pipelines/photometry/objects/kernel.hpp"

namespace skyloom::photometry::epsf {

/// One entry per object.
struct Knowledge {
  std::vector<std::uint8_t> gaia;         ///< a Gaia star that may serve
  std::vector<std::uint8_t> typed_star;   ///< the nearest row of the catalogue is a star
  std::vector<std::uint8_t> typed_other;  ///< ... or something else
};

/// Within gaia_match_r_pix.
[[nodiscard]] Knowledge match(const Input& input, const Options& options,
                              const std::vector<objects::Object>& objects);

}  // namespace skyloom::photometry::epsf
