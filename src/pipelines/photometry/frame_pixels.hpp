#pragma once
// What the stages that look at whole frames share: the pixels of a frame as the kernels of the ePSF
// want them, which frames those are, and rows of tables that belong to one of them.

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pipelines/photometry/epsf/kernel.hpp"
#include "pipelines/photometry/field.hpp"

namespace skyloom::photometry {

/// Reads boxes of the used part of a frame.
std::function<epsf::Pixels(const Box&)> box_reader(const surveys::FrameSpec& spec,
                                                   const surveys::FrameInfo& info, const Box& used);

/// A frame with its reader, open while a rank works on it.
struct OpenFrame {
  Box used;
  double fwhm_pix = 0.0;  ///< NaN = unknown
  std::function<epsf::Pixels(const Box&)> read;

  OpenFrame(const Survey& survey, std::size_t row);
};

/// Numbers of the frames of a field whose PSF is to be measured: they bring none, and the field has
/// active sources, or all are wanted, as configured.
std::vector<std::size_t> frames_to_measure(const Config& config, const Survey& survey,
                                           const engine::Products& before, const Field& field);

/// Row of /frames and number of the tile of a unit, which its source says.
std::pair<std::size_t, std::size_t> frame_and_part(const engine::Unit& unit);

/// Rows [first, second) of a table, which is not read, that belong to a row of /frames: found by
/// bisection of its column `frame`.
std::pair<std::size_t, std::size_t> rows_of_frame(const engine::Products& before,
                                                  std::string_view stage, std::string_view table,
                                                  int frame);

}  // namespace skyloom::photometry
