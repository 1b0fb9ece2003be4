#pragma once
// Private to the room: what a writer of HDF5 files keeps. Its parts are tables
// (hdf5_collective.cpp), big arrays (hdf5_arrays.cpp) and attributes (hdf5_attributes.cpp).

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "skyloom/io/hdf5.hpp"

#include "hdf5_handles.hpp"

namespace skyloom::io {

/// Datasets without times; `early` ones are allocated when they are made.
h5::Properties creation_of_dataset(bool early);
/// Bytes of the widest text, at least 1.
std::size_t text_width(const ColumnData& data);
/// Texts of fixed width, one after the other.
std::vector<char> packed(const std::vector<std::string>& texts, std::size_t width);

/// Where the rows of this rank lie among those of all.
struct RowRange {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
  std::uint64_t total = 0;
  std::uint64_t most = 0;  ///< largest count of any rank
};

struct Hdf5Writer::Impl {
  /// A table that gets its rows in parts.
  struct OpenTable {
    TableSchema schema;
    std::vector<std::size_t> widths;
    std::vector<h5::Dataset> columns;
    std::uint64_t next = 0;  ///< row that this rank writes next
    std::uint64_t total = 0;
  };

  std::string path;
  const parallel::Comm* comm = nullptr;
  h5::File file;
  h5::Properties transfer;
  std::map<std::string, std::uint64_t, std::less<>> offsets;
  std::map<std::string, OpenTable, std::less<>> tables;

  [[nodiscard]] std::string in(std::string_view what) const {
    return path + ": " + std::string(what);
  }
  [[nodiscard]] RowRange range(std::size_t rows) const;
  [[nodiscard]] std::size_t widest(std::size_t width) const;
  void group(const std::string& name) const;
  /// Creates a dataset, contiguous and allocated, or in compressed chunks.
  [[nodiscard]] h5::Dataset array(const SlabArray& array, bool compressed) const;
  void text_attribute(hid_t object, const char* name, std::string_view text) const;
  void write_rows(hid_t dataset, hid_t type, const Column& column, const char* values,
                  const RowRange& range, std::size_t row_bytes) const;
  [[nodiscard]] h5::Dataset create_column(const std::string& table, const Column& column,
                                          std::size_t width, std::uint64_t rows) const;
  void fill_column(hid_t dataset, const Column& column, std::size_t width, const ColumnData& data,
                   const RowRange& range) const;
  template <class T>
  void number_attribute(std::string_view object, std::string_view name, hid_t type, T value) const;
  void list_attribute(std::string_view object, std::string_view name, hid_t type, std::size_t count,
                      const void* values) const;
};

}  // namespace skyloom::io
