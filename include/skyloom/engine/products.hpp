#pragma once
// The finished products of a run directory, as later stages, the report and the exports read them.
// Tables are read once per process and kept.

#include <filesystem>
#include <memory>
#include <string_view>

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
  /// Part of a two-dimensional float32 array of a stage (slabs are followed through their links).
  [[nodiscard]] Image<float> image(std::string_view stage, std::string_view name,
                                   const Box& box) const;
  /// Whole array; and its (height, width).
  [[nodiscard]] Image<float> image(std::string_view stage, std::string_view name) const;
  [[nodiscard]] Box image_box(std::string_view stage, std::string_view name) const;
  [[nodiscard]] bool has_image(std::string_view stage, std::string_view name) const;
  /// Drops what is cached of a stage (its product was rewritten).
  void forget(std::string_view stage);

 private:
  struct Cache;
  std::filesystem::path directory_;
  std::unique_ptr<Cache> cache_;
};

}  // namespace skyloom::engine
