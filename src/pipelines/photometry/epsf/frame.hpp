#pragma once
// The pixels of a band, read part by part: with the background that the stage before measured, any
// box can be had as all later steps see it. Nothing here keeps an image.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pipelines/photometry/background/kernel.hpp"
#include "pipelines/photometry/epsf/kernel.hpp"
#include "skyloom/sky/background.hpp"

namespace skyloom::photometry::epsf {

/// A box of the band: background subtracted, bad pixels 0. Images are indexed from the box's
/// corner.
struct Frame {
  Box box;
  Image<float> data;
  Image<float> sigma;        ///< median of the band's good ones where bad
  Image<std::uint8_t> bad;   ///< bits of Pixels::bad, and not finite
  Image<std::uint8_t> mask;  ///< 1 = bad
};

/// @param sigma given to bad pixels   @throws UnitError (bad_input) when sizes differ from the
/// box's
[[nodiscard]] Frame as_frame(Pixels pixels, const Box& box, float sigma);

struct Band {
  const Input* input = nullptr;
  Box box;
  double sigma_median = 0.0;
  double gain = 0.0;
  std::optional<sky::MeshBackground> background;
  Image<float> masked;  ///< part of every box of the mesh; empty without a background
  std::string failure;  ///< why there is no background that was asked for

  /// @param part inside the band   @throws UnitError (bad_input) when sizes differ
  [[nodiscard]] Frame read(const Box& part) const;
  /// The same of pixels that were read already. @param pixels of `part`
  [[nodiscard]] Frame prepare(Pixels pixels, const Box& part) const;
  /// Level of the mesh at the nearest pixel, flux per pixel; 0 where none is subtracted.
  [[nodiscard]] double background_at(double x, double y) const;
  /// What is reported about the mesh of a cell.
  [[nodiscard]] BackgroundStats stats(const Box& cell, const Options& options) const;
};

/// Median of the values that are not masked; NaN when all are.
[[nodiscard]] double median_of_good(const Image<float>& values, const Image<std::uint8_t>& mask);

/// The band with the background that was measured. @param nodes of all tiles
/// @throws UnitError (no_good_data) when there are none
[[nodiscard]] Band make_band(const Input& input, const Options& options,
                             const std::vector<background::Node>& nodes);

/// The pixels near stars and their neighbours, in blocks of 16 x 16, kept for the whole build.
class NearPixels {
 public:
  static constexpr std::ptrdiff_t kAbsent = -1;

  explicit NearPixels(const Box& band);

  /// Asks for all pixels of a box (its part inside the band).
  void want(const Box& box);
  /// Reads what was asked for, from bottom to top.
  void fill(const Band& band);

  /// Place of a pixel in data(), sigma() and mask(); kAbsent when it is not kept.
  [[nodiscard]] std::ptrdiff_t offset(int y, int x) const {
    if (!band_.contains(x, y)) {
      return kAbsent;
    }
    const std::int32_t block = blocks_[static_cast<std::size_t>(y / kBlock) * columns_ +
                                       static_cast<std::size_t>(x / kBlock)];
    return block < 0 ? kAbsent
                     : static_cast<std::ptrdiff_t>(block) * kBlock * kBlock +
                           (y % kBlock) * kBlock + x % kBlock;
  }
  [[nodiscard]] const std::vector<float>& data() const { return data_; }
  [[nodiscard]] const std::vector<float>& sigma() const { return sigma_; }
  [[nodiscard]] const std::vector<std::uint8_t>& mask() const { return mask_; }
  [[nodiscard]] const Box& band() const { return band_; }

 private:
  static constexpr int kBlock = 16;

  void copy(const Frame& frame);

  Box band_;
  std::size_t columns_;
  std::vector<std::int32_t> blocks_;  ///< number of each block, -1 = not kept
  std::vector<float> data_;
  std::vector<float> sigma_;
  std::vector<std::uint8_t> mask_;
};

}  // namespace skyloom::photometry::epsf
