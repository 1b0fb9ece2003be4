#pragma once
// What `combine` stored, as later stages read it: cell by cell, never a whole table of nodes.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "pipelines/skycells/combine/kernel_zones.hpp"
#include "skyloom/core/table.hpp"
#include "skyloom/engine/products.hpp"
#include "skyloom/surveys/skycell.hpp"
#include "skyloom/surveys/skycell_rows.hpp"

namespace skyloom::skycells {

/// Cells of a projection: planes of its arrays.
std::size_t cells_of(const surveys::ProjectionRows& projection);
/// "projections/PPPP"
std::string projection_group(int projection);
/// Name of the array of combined cells of a projection.
std::string combined_slab(int projection);

/// A listed cell, and where its records stand when it was combined.
struct StoredCell {
  surveys::SkycellId id;
  std::string name;
  std::size_t row = 0;    ///< of /list
  std::size_t plane = 0;  ///< of the arrays of its projection
  int width = 0;          ///< of the projection's largest cell
  int height = 0;
  bool is_present = false;   ///< was combined; what follows has a meaning then
  std::size_t cell_row = 0;  ///< of /cells
  std::size_t first_patch = 0;
  std::size_t patches = 0;
  std::size_t first_node = 0;
  std::size_t nodes = 0;
  std::size_t first_missing = 0;   ///< byte of /missing
  std::size_t missing_bytes = 0;   ///< of all rows
  std::size_t low_rim_bytes = 0;   ///< of rows overlap - edge .. overlap, after these
  std::size_t high_rim_bytes = 0;  ///< of rows step .. step + edge, after those
  std::size_t first_mask = 0;
  std::size_t mask_bytes = 0;
};

class StoredCells {
 public:
  explicit StoredCells(const engine::Products& products);

  /// In the order of /list.
  [[nodiscard]] const std::vector<StoredCell>& all() const { return cells_; }
  /// nullptr when it is not listed or was not combined.
  [[nodiscard]] const StoredCell* present(const surveys::SkycellId& id) const;
  /// Whether a row of a projection has any combined cell.
  [[nodiscard]] bool has_row(int projection, int y) const;
  /// Smallest x of the listed cells of a projection.
  [[nodiscard]] int first_column(int projection) const;

 private:
  std::vector<StoredCell> cells_;
};

/// Which rows of the map of missing pixels are wanted.
enum class MissingRows : std::uint8_t {
  all,
  low_rim,   ///< those that the row of cells below shows
  high_rim,  ///< those that the row above shows
};

/// A cell as the kernel of `convolve` takes it. @param with_weight of psf.missing = normalise
CombinedCell stored_cell(const engine::Products& products, const StoredCell& cell,
                         const CellGeometry& geometry, MissingRows rows, bool with_weight);
/// Runs of its mask.
std::vector<std::uint8_t> stored_mask(const engine::Products& products, const StoredCell& cell);

}  // namespace skyloom::skycells
