#pragma once
// What ties skycells to a detector: maps that say on which of its pixels each pixel of a skycell
// falls, a master map with the detector's WCS, and the offsets for which templates are wanted.
// 0-based pixels.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "skyloom/core/image.hpp"
#include "skyloom/io/fits.hpp"

namespace skyloom::surveys {

/// Displacement on the detector in its pixels.
struct DetectorOffset {
  double dx = 0.0;
  double dy = 0.0;
};

/// A JSON file {"sector": 20, "camera": 3, "ccd": 3, "x_min": 0, "x_max": 2048, "y_min": 0,
/// "y_max": 2048, "groups": [{"group_dx": 0.0, "group_dy": 0.0}, ...]}; other keys are ignored,
/// only groups is needed.
struct OffsetList {
  std::optional<int> sector;
  std::optional<int> camera;
  std::optional<int> ccd;
  std::vector<DetectorOffset> offsets;
  /// The region of interest, pixels x_min .. x_max - 1; where the file says nothing, those of
  /// `detector`. @throws ConfigError when it is empty or leaves the detector
  [[nodiscard]] Box region(const Box& detector) const;

  std::string file;
  std::optional<int> limits[4];  ///< x_min, x_max, y_min, y_max
};

/// @throws ConfigError naming file and key: no groups, values that are none, two offsets that agree
/// to
///   three decimals
OffsetList read_offset_list(const std::filesystem::path& path);

/// An image of detector pixels in HDU 1, -1 = none: of a skycell y * width + x, width that of the
/// detector; of the master map the line of the metadata CSV.
class RegistrationMap {
 public:
  /// @throws ConfigError naming the file
  explicit RegistrationMap(const std::filesystem::path& path);

  [[nodiscard]] int width() const { return rows_.width(); }
  [[nodiscard]] int height() const { return rows_.height(); }
  /// Header, 80 characters per card.
  [[nodiscard]] const std::string& cards() const { return rows_.cards(); }
  /// The next row. @throws ConfigError naming the file
  void next(std::span<std::int32_t> pixels) { rows_.next(pixels); }

 private:
  io::FitsRows rows_;
};

/// The WCS of a detector (with SIP) and TELESCOP, INSTRUME for the pixels of a region with
/// oversampling F: u' = F (u - origin + 1/2) - 1/2.
/// @param cards header of the master map
std::vector<io::FitsCard> region_cards(const std::string& cards, const Box& region, int oversample);

}  // namespace skyloom::surveys
