#pragma once
// Which patches are fitted, which pixels of every image belong to them, and where these stand when
// they are saved. All of it follows from sources, WCS and configuration: no pixels are read.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "pipelines/photometry/epsf/kernel.hpp"
#include "pipelines/photometry/field.hpp"
#include "pipelines/photometry/patches/kernel.hpp"

namespace skyloom::photometry {

/// A row of /patches.
struct FieldPatch {
  std::size_t cell = 0;  ///< in FieldPatches::cells
  patches::Patch patch;
  std::vector<std::size_t> sources;  ///< of the field, whose positions lie in its base box
  std::uint64_t offset = 0;          ///< pixels of the patches before it, regions of interest
};

struct FieldPatches {
  std::vector<epsf::Cell> cells;  ///< active ones
  std::vector<FieldPatch> patches;
};

/// The patches of a field that are fitted, in order of cells and rows of patches.
/// @param sources the field's rows of /sources, with the position_columns()
/// @throws ConfigError when cells are smaller than epsf.ngrid pixels
FieldPatches patches_of_field(const Config& config, const Field& field, const Table& sources);

/// @throws ConfigError when the cells of a field are smaller than epsf.ngrid pixels
void check_patch_grid(const Config& config, const Field& field);

/// Where a frame sees a region of interest: frame pixel of its box = matrix * ROI pixel + (dx, dy).
struct Footprint {
  Box box;  ///< image pixels; empty when the frame does not see it
  std::array<double, 4> matrix{1.0, 0.0, 0.0, 1.0};
  double dx = 0.0;
  double dy = 0.0;
};

/// Footprints on the frames of a field; holds the WCS of those on grids of their own.
class FrameGrids {
 public:
  /// @param field must outlive this object
  explicit FrameGrids(const Field& field);
  /// Through the two WCS, linear about the centre of the region: over some hundred pixels the
  /// distortions of two images differ by far less than a tenth of a pixel from that.
  [[nodiscard]] Footprint footprint(std::size_t frame, const Box& roi) const;
  /// Where a frame sees a position of the white frame, in pixels of Field::used_box; NaN = nowhere.
  [[nodiscard]] std::pair<double, double> frame_pixel(std::size_t frame, double x, double y) const;

 private:
  const Field& field_;
  std::unique_ptr<sky::Wcs> white_;             ///< null when all frames are on the grid
  std::vector<std::unique_ptr<sky::Wcs>> own_;  ///< null for frames on the grid
};

/// Where the saved pixels of a field stand: one array per frame, patches one after the other.
struct PixelLayout {
  struct Place {
    std::uint64_t offset = 0;
    Footprint at;
  };
  std::vector<std::vector<Place>> places;  ///< [patch of the field][frame]
  std::vector<std::size_t> sizes;          ///< pixels of every frame
};
PixelLayout pixel_layout(const Field& field, const FieldPatches& patches);

/// Group of a frame's saved pixels: pixels/<band>, or pixels/<band>/<number> when the band has
/// several frames, in the group of its field when there are many.
std::string pixel_group(const Survey& survey, const Field& field, std::size_t frame);

}  // namespace skyloom::photometry
