#pragma once
// What an HDF5 file carries beside big arrays: tables and attributes; and what a FITS file holds.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "skyloom/core/table.hpp"
#include "skyloom/io/fits.hpp"

namespace skyloom::io {
class Hdf5Writer;
}  // namespace skyloom::io

namespace skyloom::engine {

using AttributeValue = std::variant<std::int32_t, std::int64_t, std::uint64_t, double, std::string,
                                    std::vector<std::string>, std::vector<double>>;
struct FileAttribute {
  std::string object;  ///< a group, which appears, or "/"
  std::string name;
  AttributeValue value;
};
struct FileContent {
  std::vector<Table> tables;  ///< groups with one dataset per column
  std::vector<FileAttribute> attributes;

  [[nodiscard]] bool empty() const { return tables.empty() && attributes.empty(); }
};

/// Collective where the writer is. @param with_rows false on the ranks that add no rows of their
/// own
void write_content(io::Hdf5Writer& writer, const FileContent& content, bool with_rows = true);

/// Content of a FITS file.
struct FitsContent {
  std::vector<io::FitsImage> images;
  std::shared_ptr<const void> pixels;  ///< keeps what the images view
};

/// Whole or not at all; compressed where the name ends in .gz. @throws FatalError
void write_fits_file(const std::filesystem::path& path, const FitsContent& content);

}  // namespace skyloom::engine
