#pragma once
// A simulated tessellation as files: images and masks as PS1 stores them, the metadata CSV, the
// truth, and a configuration ready to run.

#include <cstdint>
#include <filesystem>
#include <string>

namespace skyloom::skycells {

struct SimulationOptions {
  std::filesystem::path folder;
  /// "tiny" (15 cells of 330 x 300 pixels), "small" (29 of 700 x 680), "row" (10 cells of RINGS.V3
  /// and 2 of the next projection) or "full" (3 such rows, 9 GB).
  std::string size = "small";
  std::uint64_t seed = 1;
};

/// Writes into `options.folder`, which is created:
///   data/ps1_skycells/PPPP/0YX/rings.v3.skycell.PPPP.0YX.stk.<band>.unconv[.mask].fits
///   data/skycell_pixel_mapping/sector_0020/camera_3/ccd_3/
///     tess_s0020_3_3_master_skycells_list.csv, registration maps (simulate_maps.hpp), of "tiny"
///     also with oversampling 2 in .../oversampling_2/sector_0020/...
///   offsets.json (of downsample), truth.csv, skycells.toml
/// Images are RICE compressed integers of 16 bits, a row per tile, behind an empty primary HDU.
/// Memory: one plane, 8 bytes per pixel. Equal options give equal bytes.
/// @throws ConfigError for an unknown size
void simulate(const SimulationOptions& options);

}  // namespace skyloom::skycells
