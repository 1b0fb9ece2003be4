#pragma once
// The sections of the skycells report. Those without content have no blocks.

#include <cstddef>
#include <string>
#include <vector>

#include "pipelines/skycells/config.hpp"
#include "skyloom/core/image.hpp"
#include "skyloom/core/table.hpp"
#include "skyloom/engine/products.hpp"
#include "skyloom/web/report.hpp"
#include "skyloom/web/section_writer.hpp"

namespace skyloom::skycells {

/// Pictures are drawn of so many projections, and tables hold so many rows.
inline constexpr std::size_t kProjectionsShown = 6;
inline constexpr std::size_t kRowsShown = 100;
inline constexpr std::size_t kSeamsShown = 10;

/// A convolved cell on the lattice of its projection (convolve/kernel_preview.hpp).
struct StoredPreview {
  std::string name;
  int x = 0;
  int y = 0;
  int first_x = 0;
  int first_y = 0;
  Image<float> points;
};

struct ReportInput {
  const Config& config;
  const engine::Products& products;
  Table cells;                   ///< a row per listed cell (tables.hpp)
  std::vector<int> projections;  ///< ascending

  /// Rows of `cells`.
  [[nodiscard]] std::vector<std::size_t> rows_of(int projection) const;
  /// "ok", or the stage in which the cell failed.
  [[nodiscard]] std::string ending(std::size_t row) const;
  [[nodiscard]] std::vector<StoredPreview> previews_of(int projection) const;
};

/// What a cell's ending is drawn in.
std::string ending_color(const std::string& ending);

/// Where the cells are on the sky, and how they ended.
web::Section sky_section(const ReportInput& input, std::vector<std::string>& problems);
/// The convolved cells of projections side by side, and what is missing in them.
web::Section projections_section(const ReportInput& input, std::vector<std::string>& problems);
/// Differences of neighbours where they overlap.
web::Section seams_section(const ReportInput& input, std::vector<std::string>& problems);
/// How the convolution was done, and how long it took.
web::Section method_section(const ReportInput& input, std::vector<std::string>& problems);
/// Stars removed or mended.
web::Section stars_section(const ReportInput& input, std::vector<std::string>& problems);
/// Failed cells with their reasons, then all.
web::Section cells_section(const ReportInput& input, std::vector<std::string>& problems);

}  // namespace skyloom::skycells
