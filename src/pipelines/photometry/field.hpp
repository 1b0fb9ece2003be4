#pragma once
// The field that all stages of photometry look at: its frames, their bands, and the cropped pixel
// grid ("white frame") that every position refers to.

#include <string>
#include <vector>

#include "pipelines/photometry/config.hpp"
#include "skyloom/core/image.hpp"
#include "skyloom/engine/products.hpp"
#include "skyloom/sky/psf.hpp"
#include "skyloom/sky/wcs.hpp"
#include "skyloom/surveys/frame.hpp"

namespace skyloom::photometry {

struct Field {
  std::vector<surveys::FrameSpec> specs;  ///< in the order of the list
  std::vector<surveys::FrameInfo> infos;  ///< same order
  std::vector<std::string> bands;         ///< in order of first appearance
  std::vector<int> band_of_frame;
  int width = 0;  ///< of the white frame (cropped)
  int height = 0;
  int margin = 0;  ///< white pixel = image pixel - margin

  [[nodiscard]] Box box() const { return {0, width, 0, height}; }
  [[nodiscard]] std::size_t size() const { return specs.size(); }
};

/// Frame descriptions from [[inputs.images]] or the list file. @throws ConfigError
std::vector<surveys::FrameSpec> frame_specs(const Config& config);

/// Reads and checks the headers of all images. @throws ConfigError naming the file and the card
Field field_from_inputs(const Config& config);

/// The same from the finished stage `frames`, without touching the images.
Field field_from_product(const Config& config, const engine::Products& before);

/// WCS of the white frame (first image, cropped). @throws ConfigError
sky::Wcs white_wcs(const Config& config, const Field& field);

/// Parses rRR_cCC style numbers: two digits at least.
std::string cell_tag(int row, int column);

/// Cells of the white frame (photometry.md 6.1): `step = floor(N / ngrid)`, the last takes the
/// rest.
std::vector<Box> grid_boxes(const Box& box, int ngrid);

/// Catalogue rows of /sources that are fitted: not excluded, finite, inside the white frame.
std::vector<std::uint8_t> active_sources(const Table& sources, const Box& box);

}  // namespace skyloom::photometry
