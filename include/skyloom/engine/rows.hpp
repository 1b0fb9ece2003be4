#pragma once
// What one unit produces: rows of the stage's tables and parts of its slab arrays. Filled by the
// stage's `append`, taken by the journal. All rows of a unit count, or none.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "skyloom/core/image.hpp"
#include "skyloom/core/table.hpp"

namespace skyloom::engine {

/// A rectangular part of a slab array: `count` elements from `start` along every axis, values
/// row-major. The engine writes it in place and journals its checksum.
struct SlabPart {
  std::size_t slab = 0;  ///< position in Schema::slabs
  std::vector<std::size_t> start;
  std::vector<std::size_t> count;
  std::vector<std::byte> bytes;
};

class Rows {
 public:
  explicit Rows(const Schema& schema);

  [[nodiscard]] const Schema& schema() const { return *schema_; }
  [[nodiscard]] Table& table(std::string_view name);
  [[nodiscard]] const std::vector<Table>& tables() const { return tables_; }
  [[nodiscard]] std::vector<Table>& tables() { return tables_; }
  [[nodiscard]] const std::vector<SlabPart>& slabs() const { return slabs_; }
  /// Parts go there as they come instead of into slabs(): a unit may write more than fits memory.
  void set_sink(std::function<void(const SlabPart&)> sink) { sink_ = std::move(sink); }

  /// Adds a 2-D part of a 2-D float32 or uint8 slab array, its first pixel at (y0, x0).
  /// @throws FatalError when it does not fit the declared shape and type
  void add_slab(std::string_view name, int y0, int x0, ImageView<const float> values);
  void add_slab(std::string_view name, int y0, int x0, ImageView<const std::uint8_t> values);
  /// The same of plane `plane` of a 3-D float32 or uint16 slab array.
  void add_slab(std::string_view name, std::size_t plane, int y0, int x0,
                ImageView<const float> values);
  void add_slab(std::string_view name, std::size_t plane, int y0, int x0,
                ImageView<const std::uint16_t> values);
  /// Adds a part of any shape.
  void add_slab(std::string_view name, SlabPart part);

  void clear();

 private:
  const Schema* schema_;
  std::vector<Table> tables_;
  std::vector<SlabPart> slabs_;
  std::function<void(const SlabPart&)> sink_;
};

}  // namespace skyloom::engine
