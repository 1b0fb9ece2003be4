#pragma once
// HDF5 files: serial reading (any driver-independent file, also while other ranks read it), and
// writing by one process or collectively by all ranks. One dataset per column under
// /<table>/<column> with attributes `unit` and `description`; no compound and no variable-length
// types are written. Knows no astronomy.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "skyloom/core/image.hpp"
#include "skyloom/core/table.hpp"
#include "skyloom/parallel/comm.hpp"

namespace skyloom::io {

/// Attribute of a group whose members are links to the columns of a table in other files: such a
/// group counts as a table.
inline constexpr const char* kLinkedColumnsName = "linked_columns";

/// A file open for reading. Calls from several threads are serialised (the library is not
/// thread-safe).
class Hdf5File {
 public:
  /// @throws ConfigError (file, what is wrong) when missing or not HDF5
  explicit Hdf5File(const std::filesystem::path& path);
  ~Hdf5File();
  Hdf5File(Hdf5File&&) noexcept;
  Hdf5File& operator=(Hdf5File&&) noexcept;

  [[nodiscard]] const std::string& path() const;
  /// True when the object, such as "units/key", is there; external links are followed.
  [[nodiscard]] bool has(std::string_view object) const;
  /// Groups of the root whose members are all datasets of one length, sorted by name;
  /// "provenance", whose datasets describe the file, is none.
  [[nodiscard]] std::vector<std::string> tables() const;
  [[nodiscard]] bool has_table(std::string_view name) const;
  [[nodiscard]] std::size_t rows(std::string_view table) const;
  /// Columns in the order they were written (by name in files that keep no order). Texts lose
  /// trailing blanks and nulls, h5py booleans become booleans, unsigned and small integers the next
  /// wider signed type. @throws FatalError when absent or damaged
  [[nodiscard]] Table read_table(std::string_view name) const;
  /// Rows [first, last) only.
  [[nodiscard]] Table read_table(std::string_view name, std::size_t first, std::size_t last) const;
  /// The same of some columns, in the order asked for; those that the table has not are left out.
  [[nodiscard]] Table read_table(std::string_view name, std::size_t first, std::size_t last,
                                 std::span<const std::string> columns) const;

  /// Paths of all datasets of two or more dimensions that are no table columns, such as
  /// "white/image", external links followed; sorted.
  [[nodiscard]] std::vector<std::string> arrays() const;
  /// Shape of a dataset, slowest axis first. @throws FatalError when absent
  [[nodiscard]] std::vector<std::size_t> shape(std::string_view dataset) const;
  /// Part of a two-dimensional numeric dataset as float32. @throws FatalError
  [[nodiscard]] Image<float> read_image(std::string_view dataset, const Box& box) const;
  /// Plane (index along the slowest axis) of a three-dimensional numeric dataset as float32.
  [[nodiscard]] Image<float> read_plane(std::string_view dataset, std::size_t plane,
                                        const Box& box) const;

  /// The box of `count` elements from `start` along every axis of a numeric dataset as values of
  /// `type` (booleans as bytes), row-major; `out` is as long as they are. @throws FatalError when
  /// it is not inside
  void read_box(std::string_view dataset, Type type, std::span<const std::size_t> start,
                std::span<const std::size_t> count, std::span<std::byte> out) const;
  /// The same of rows [first, last) along the slowest axis.
  void read_rows(std::string_view dataset, Type type, std::size_t first, std::size_t last,
                 std::span<std::byte> out) const;

  /// Attribute of an object ("/" is the root) as text; nullopt when absent.
  [[nodiscard]] std::optional<std::string> attribute(std::string_view object,
                                                     std::string_view name) const;
  /// Attribute that is a list of texts; nullopt when absent. @throws FatalError for numbers
  [[nodiscard]] std::optional<std::vector<std::string>> attribute_list(std::string_view object,
                                                                       std::string_view name) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// True when the file exists and opens as HDF5.
bool is_hdf5(const std::filesystem::path& path);

/// Size of the rows of a table that one process adds.
struct TableExtent {
  std::uint64_t rows = 0;
  std::vector<std::size_t> widths;  ///< bytes of the widest text of every column

  void add(const Table& table);
};

/// A file being written: by this process alone, or by all ranks of a communicator, and then every
/// call is collective with the same arguments but for the rows of a table. Callers write to a
/// temporary name and rename after close().
class Hdf5Writer {
 public:
  /// Creates or truncates. @throws FatalError with the text of the library
  explicit Hdf5Writer(const std::filesystem::path& path);
  Hdf5Writer(const parallel::Comm& comm, const std::filesystem::path& path);
  ~Hdf5Writer();
  Hdf5Writer(const Hdf5Writer&) = delete;
  Hdf5Writer& operator=(const Hdf5Writer&) = delete;

  /// Writes /<name>/<column> for every column. The rows of the ranks follow each other in rank
  /// order; a rank may have none. Texts become fixed-length UTF-8 as wide as the widest.
  void write_table(const Table& rows);
  /// The same in parts, for tables that are larger than memory: begin_table says what this rank
  /// will add in all, add_rows (the table by its name) writes what comes next of it; every rank
  /// calls it equally often. Several tables may be open.
  void begin_table(const TableSchema& schema, const TableExtent& mine);
  void add_rows(const Table& rows);
  /// Creates an uncompressed, fully allocated dataset without values (whoever creates it fills it
  /// in place) with its unit and description; parent groups appear.
  void create_array(const SlabArray& array);
  /// Position of such a dataset's first byte in the file.
  [[nodiscard]] std::uint64_t array_offset(std::string_view name) const;
  /// Creates a dataset and fills it: compressed when array.deflate says so, in chunks that no two
  /// ranks share. Every rank calls `read(first, bytes)` for the contiguous elements from `first` on
  /// that it comes to, in rounds of bounded size.
  void write_array(
      const SlabArray& array,
      const std::function<void(std::uint64_t first, std::span<std::byte> bytes)>& read);
  /// Writes /<group>/<column> alone; the rows of the ranks follow each other in rank order.
  void write_column(std::string_view group, const Column& column, const ColumnData& values);
  void make_group(std::string_view name);
  /// Sets an attribute of an existing group or dataset ("/" is the root). A text longer than an
  /// attribute may be becomes a scalar dataset of that name instead.
  void attribute(std::string_view object, std::string_view name, std::string_view text);
  void attribute(std::string_view object, std::string_view name, std::int64_t number);
  void attribute(std::string_view object, std::string_view name, double number);
  void attribute(std::string_view object, std::string_view name, std::int32_t number);
  void attribute(std::string_view object, std::string_view name, std::uint64_t number);
  /// Lists are one-dimensional attributes; texts of one length, as wide as the widest.
  void attribute(std::string_view object, std::string_view name, std::span<const double> numbers);
  void attribute(std::string_view object, std::string_view name,
                 std::span<const std::string> texts);
  /// Makes `name` an external link to object `target` of `file` (relative to this file's folder).
  void link(std::string_view name, std::string_view file, std::string_view target);
  /// Reports what the destructor would swallow; every writer calls it.
  void close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace skyloom::io
