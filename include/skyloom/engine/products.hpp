#pragma once
// The finished products of a run directory, as later stages, the report and the exports read them.
// Tables are read once per process and kept.

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "skyloom/core/image.hpp"
#include "skyloom/core/table.hpp"

namespace skyloom::engine {

class Products {
 public:
  explicit Products(std::filesystem::path run_directory);
  ~Products();
  Products(const Products&) = delete;
  Products& operator=(const Products&) = delete;

  [[nodiscard]] const std::filesystem::path& directory() const { return directory_; }
  /// Path of a stage's product, whether it is there or not.
  [[nodiscard]] std::filesystem::path path(std::string_view stage) const;
  [[nodiscard]] bool has(std::string_view stage) const;
  /// A table of a finished stage, all columns. The reference stays valid until forget().
  /// @throws ConfigError when the product is missing, FatalError when it cannot be read
  [[nodiscard]] const Table& table(std::string_view stage, std::string_view table) const;
  [[nodiscard]] bool has_table(std::string_view stage, std::string_view table) const;
  /// Names of the columns of a table, which is not read.
  [[nodiscard]] std::vector<std::string> columns(std::string_view stage,
                                                 std::string_view table) const;
  /// Rows [first, last) of a table, not kept: of one that is too large to be read whole.
  [[nodiscard]] Table rows(std::string_view stage, std::string_view table, std::size_t first,
                           std::size_t last) const;
  /// The same of some columns; those that the table has not are left out.
  [[nodiscard]] Table rows(std::string_view stage, std::string_view table, std::size_t first,
                           std::size_t last, std::span<const std::string> columns) const;
  [[nodiscard]] std::size_t n_rows(std::string_view stage, std::string_view table) const;
  /// Part of a two-dimensional float32 array of a stage (slabs are followed through their links).
  [[nodiscard]] Image<float> image(std::string_view stage, std::string_view name,
                                   const Box& box) const;
  /// Whole array; and its (height, width).
  [[nodiscard]] Image<float> image(std::string_view stage, std::string_view name) const;
  [[nodiscard]] Box image_box(std::string_view stage, std::string_view name) const;
  [[nodiscard]] bool has_image(std::string_view stage, std::string_view name) const;
  /// Elements [first, first + count) of a one-dimensional dataset: T is float, double or uint8_t
  /// (slabs are followed through their links). @throws FatalError
  template <class T>
  [[nodiscard]] std::vector<T> range(std::string_view stage, std::string_view name,
                                     std::size_t first, std::size_t count) const {
    std::vector<T> out(count);
    read_range(stage, name, type_of<T>(), first, first + count,
               std::as_writable_bytes(std::span(out)));
    return out;
  }
  /// Rows and columns of plane `plane` of a three-dimensional dataset, T as above or uint16_t.
  template <class T>
  [[nodiscard]] Image<T> plane(std::string_view stage, std::string_view name, std::size_t plane,
                               const Box& box) const {
    Image<T> out(box.width(), box.height());
    read_plane(stage, name, type_of<T>(), plane, box, std::as_writable_bytes(out.pixels()));
    return out;
  }
  /// What `make` gives for the product of a stage: it is called once until forget().
  [[nodiscard]] std::string remembered(std::string_view stage, std::string_view what,
                                       const std::function<std::string()>& make) const;
  /// Drops what is cached of a stage (its product was rewritten).
  void forget(std::string_view stage);

 private:
  struct Cache;
  void read_range(std::string_view stage, std::string_view name, Type type, std::size_t first,
                  std::size_t last, std::span<std::byte> out) const;

  void read_plane(std::string_view stage, std::string_view name, Type type, std::size_t plane,
                  const Box& box, std::span<std::byte> out) const;

  std::filesystem::path directory_;
  std::unique_ptr<Cache> cache_;
};

}  // namespace skyloom::engine
