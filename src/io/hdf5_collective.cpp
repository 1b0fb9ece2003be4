#include <algorithm>
#include <cstring>
#include <exception>
#include <map>

#include "skyloom/io/hdf5.hpp"
#include "skyloom/parallel/comm_mpi.hpp"

#include "hdf5_handles.hpp"

namespace skyloom::io {
namespace {

// Object headers hold at most 64 KiB of one attribute.
constexpr std::size_t kMaxAttributeBytes = 60000;
// Rows go out in rounds of at most this much per rank, so that no count of MPI-IO overflows.
constexpr std::size_t kRoundBytes = std::size_t{256} << 20;
// Of an array that is written in rounds.
constexpr std::size_t kArrayBytes = std::size_t{8} << 20;

h5::Properties creation_of_file() {
  h5::Properties list(H5Pcreate(H5P_FILE_CREATE), "file properties");
  h5::check(H5Pset_obj_track_times(list.get(), false), "file properties");
  return list;
}

h5::Properties creation_of_dataset(bool early) {
  h5::Properties list(H5Pcreate(H5P_DATASET_CREATE), "dataset properties");
  h5::check(H5Pset_obj_track_times(list.get(), false), "dataset properties");
  h5::check(H5Pset_fill_time(list.get(), H5D_FILL_TIME_NEVER), "dataset properties");
  if (early) {
    h5::check(H5Pset_alloc_time(list.get(), H5D_ALLOC_TIME_EARLY), "dataset properties");
  }
  return list;
}

// Members keep the order in which they were made, so that columns come back in theirs.
h5::Properties creation_of_group() {
  h5::Properties list(H5Pcreate(H5P_GROUP_CREATE), "group properties");
  h5::check(H5Pset_obj_track_times(list.get(), false), "group properties");
  h5::check(H5Pset_link_creation_order(list.get(), H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED),
            "group properties");
  return list;
}

std::size_t text_width(const ColumnData& data) {
  std::size_t width = 1;
  if (const auto* texts = std::get_if<std::vector<std::string>>(&data)) {
    for (const std::string& text : *texts) {
      width = std::max(width, text.size());
    }
  }
  return width;
}

// Texts of fixed width, one after the other.
std::vector<char> packed(const std::vector<std::string>& texts, std::size_t width) {
  std::vector<char> buffer(texts.size() * width, '\0');
  for (std::size_t i = 0; i < texts.size(); ++i) {
    std::memcpy(buffer.data() + i * width, texts[i].data(), texts[i].size());
  }
  return buffer;
}

/// Chunks of a compressed array: tiles of the last two axes. Some 10^5 bytes are decompressed in a
/// millisecond, which is what reading a small part costs.
std::vector<hsize_t> chunk_of(const std::vector<hsize_t>& shape) {
  constexpr hsize_t kTile = 256;
  std::vector<hsize_t> chunk(shape.size(), 1);
  const std::size_t axes = shape.size();
  for (std::size_t i = axes > 2 ? axes - 2 : 0; i < axes; ++i) {
    chunk[i] = std::min(shape[i], axes == 1 ? kTile * kTile : kTile);
  }
  return chunk;
}

/// An array cut into pieces of bounded size that are contiguous and made of whole chunks: lines of
/// one plane of the last two axes, or a part of a one-dimensional array.
struct Pieces {
  struct Piece {
    std::vector<hsize_t> start;
    std::vector<hsize_t> count;
    std::uint64_t first = 0;  ///< element
    std::size_t bytes = 0;
  };

  Pieces(const std::vector<hsize_t>& sides, std::size_t element_bytes)
      : shape(sides), element(element_bytes) {
    const std::size_t axes = shape.size();
    const std::size_t split = axes >= 2 ? axes - 2 : 0;
    lines = shape[split];
    line_elements = axes >= 2 ? shape[axes - 1] : 1;
    std::uint64_t planes = 1;
    for (std::size_t i = 0; i < split; ++i) {
      planes *= shape[i];
    }
    const std::uint64_t step = chunk_of(shape)[split];
    const std::uint64_t step_bytes = step * line_elements * element;
    lines_each = step_bytes == 0 ? 0 : step * std::max<std::uint64_t>(1, kArrayBytes / step_bytes);
    per_plane = lines_each == 0 ? 0 : (lines + lines_each - 1) / lines_each;
    count = planes * per_plane;
  }

  [[nodiscard]] Piece piece(std::uint64_t index) const {
    const std::size_t axes = shape.size();
    const std::size_t split = axes >= 2 ? axes - 2 : 0;
    Piece out{std::vector<hsize_t>(axes, 0), std::vector<hsize_t>(axes, 1)};
    std::uint64_t plane = index / per_plane;
    const std::uint64_t line = index % per_plane * lines_each;
    out.first = (plane * lines + line) * line_elements;
    for (std::size_t i = split; i-- > 0;) {
      out.start[i] = plane % shape[i];
      plane /= shape[i];
    }
    out.start[split] = line;
    out.count[split] = std::min(lines_each, lines - line);
    if (axes >= 2) {
      out.count[axes - 1] = line_elements;
    }
    out.bytes = out.count[split] * line_elements * element;
    return out;
  }

  std::vector<hsize_t> shape;
  std::size_t element;
  std::uint64_t lines = 0;
  std::uint64_t line_elements = 0;
  std::uint64_t lines_each = 0;
  std::uint64_t per_plane = 0;
  std::uint64_t count = 0;
};

/// Where the rows of this rank lie among those of all.
struct RowRange {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
  std::uint64_t total = 0;
  std::uint64_t most = 0;  ///< largest count of any rank
};

}  // namespace

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

RowRange Hdf5Writer::Impl::range(std::size_t rows) const {
  RowRange range{0, rows, rows, rows};
  if (comm == nullptr) {
    return range;
  }
  const std::uint64_t mine = rows;
  const std::string bytes(reinterpret_cast<const char*>(&mine), sizeof mine);
  range.total = 0;
  const std::vector<std::string> all = comm->gather_all(bytes);
  for (std::size_t r = 0; r < all.size(); ++r) {
    std::uint64_t count = 0;
    std::memcpy(&count, all[r].data(), sizeof count);
    if (r < static_cast<std::size_t>(comm->rank())) {
      range.first += count;
    }
    range.total += count;
    range.most = std::max(range.most, count);
  }
  return range;
}

std::size_t Hdf5Writer::Impl::widest(std::size_t width) const {
  return comm == nullptr ? width : static_cast<std::size_t>(comm->max(static_cast<double>(width)));
}

void Hdf5Writer::Impl::group(const std::string& name) const {
  const h5::Properties create = creation_of_group();
  std::size_t end = 0;
  do {
    end = name.find('/', end + 1);
    const std::string part = name.substr(0, end);
    if (h5::check(H5Lexists(file.get(), part.c_str(), H5P_DEFAULT), in(part)) == 0) {
      h5::Group(H5Gcreate2(file.get(), part.c_str(), H5P_DEFAULT, create.get(), H5P_DEFAULT),
                in("create group " + part));
    }
  } while (end != std::string::npos);
}

void Hdf5Writer::Impl::text_attribute(hid_t object, const char* name, std::string_view text) const {
  const h5::Datatype type = h5::text_type(text.size());
  const h5::Space scalar(H5Screate(H5S_SCALAR), "scalar");
  const h5::Attribute attribute(
      H5Acreate2(object, name, type.get(), scalar.get(), H5P_DEFAULT, H5P_DEFAULT),
      in(std::string("create attribute ") + name));
  std::string bytes(text);
  bytes.resize(std::max<std::size_t>(1, bytes.size()), '\0');
  h5::check(H5Awrite(attribute.get(), type.get(), bytes.data()),
            in(std::string("write attribute ") + name));
}

void Hdf5Writer::Impl::write_rows(hid_t dataset, hid_t type, const Column& column,
                                  const char* values, const RowRange& range,
                                  std::size_t row_bytes) const {
  const h5::Space space(H5Dget_space(dataset), "dataspace");
  const std::uint64_t per_round = std::max<std::uint64_t>(1, kRoundBytes / row_bytes);
  std::vector<hsize_t> count = h5::to_hsize(column.shape);
  count.insert(count.begin(), 0);
  std::vector<hsize_t> start(count.size(), 0);
  for (std::uint64_t done = 0; done < range.most; done += per_round) {
    const std::uint64_t rows = done < range.count ? std::min(per_round, range.count - done) : 0;
    count[0] = std::max<hsize_t>(1, rows);
    start[0] = range.first + done;
    const h5::Space memory(H5Screate_simple(static_cast<int>(count.size()), count.data(), nullptr),
                           "memory space");
    const char* from = values;
    if (rows == 0) {
      // A rank without rows still takes part in the collective write.
      h5::check(H5Sselect_none(memory.get()), "empty selection");
      h5::check(H5Sselect_none(space.get()), "empty selection");
    } else {
      from = values + done * row_bytes;
      h5::check(H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start.data(), nullptr,
                                    count.data(), nullptr),
                "selection");
    }
    h5::check(H5Dwrite(dataset, type, memory.get(), space.get(), transfer.get(), from),
              in("column " + column.name + " cannot be written, " +
                 std::to_string(range.total * row_bytes) + " bytes are needed"));
  }
}

h5::Dataset Hdf5Writer::Impl::create_column(const std::string& table, const Column& column,
                                            std::size_t width, std::uint64_t rows) const {
  const h5::Datatype type = h5::column_type(column.type, width);
  std::vector<hsize_t> shape = h5::to_hsize(column.shape);
  shape.insert(shape.begin(), rows);
  const h5::Space space(H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr),
                        in("shape of column " + column.name));
  const std::string name = table + "/" + column.name;
  const h5::Properties create = creation_of_dataset(false);
  h5::Dataset dataset(H5Dcreate2(file.get(), name.c_str(), type.get(), space.get(), H5P_DEFAULT,
                                 create.get(), H5P_DEFAULT),
                      in("create column " + name));
  text_attribute(dataset.get(), "unit", column.unit);
  text_attribute(dataset.get(), "description", column.description);
  return dataset;
}

void Hdf5Writer::Impl::fill_column(hid_t dataset, const Column& column, std::size_t width,
                                   const ColumnData& data, const RowRange& range) const {
  std::vector<char> texts;
  const void* values = h5::raw(data);
  if (column.type == Type::text) {
    texts = packed(std::get<std::vector<std::string>>(data), width);
    values = texts.data();
  }
  const std::size_t row_bytes = width * column.elements();
  if (row_bytes > 0) {
    // HDF5 refuses a null buffer even where nothing is selected.
    const char none = 0;
    write_rows(dataset, h5::column_type(column.type, width).get(), column,
               values == nullptr ? &none : static_cast<const char*>(values), range, row_bytes);
  }
}

template <class T>
void Hdf5Writer::Impl::number_attribute(std::string_view object, std::string_view name, hid_t type,
                                        T value) const {
  const h5::Object target(H5Oopen(file.get(), std::string(object).c_str(), H5P_DEFAULT),
                          in("open " + std::string(object)));
  const h5::Space scalar(H5Screate(H5S_SCALAR), "scalar");
  const h5::Attribute attribute(H5Acreate2(target.get(), std::string(name).c_str(), type,
                                           scalar.get(), H5P_DEFAULT, H5P_DEFAULT),
                                in("create attribute " + std::string(name)));
  h5::check(H5Awrite(attribute.get(), type, &value), in("write attribute " + std::string(name)));
}

void Hdf5Writer::Impl::list_attribute(std::string_view object, std::string_view name, hid_t type,
                                      std::size_t count, const void* values) const {
  const h5::Object target(H5Oopen(file.get(), std::string(object).c_str(), H5P_DEFAULT),
                          in("open " + std::string(object)));
  const hsize_t length = count;
  const h5::Space space(H5Screate_simple(1, &length, nullptr), "list");
  const h5::Attribute attribute(H5Acreate2(target.get(), std::string(name).c_str(), type,
                                           space.get(), H5P_DEFAULT, H5P_DEFAULT),
                                in("create attribute " + std::string(name)));
  if (count > 0) {
    h5::check(H5Awrite(attribute.get(), type, values), in("write attribute " + std::string(name)));
  }
}

Hdf5Writer::Hdf5Writer(const std::filesystem::path& path) : impl_(std::make_unique<Impl>()) {
  const std::lock_guard lock(h5::library_mutex());
  h5::quiet();
  impl_->path = path.string();
  impl_->transfer = h5::Properties(H5Pcreate(H5P_DATASET_XFER), "transfer properties");
  impl_->file =
      h5::File(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation_of_file().get(), H5P_DEFAULT),
               impl_->in("cannot be created"));
}

Hdf5Writer::Hdf5Writer(const parallel::Comm& comm, const std::filesystem::path& path)
    : impl_(std::make_unique<Impl>()) {
  const std::lock_guard lock(h5::library_mutex());
  h5::quiet();
  impl_->path = path.string();
  impl_->comm = &comm;
  impl_->transfer = h5::Properties(H5Pcreate(H5P_DATASET_XFER), "transfer properties");
  h5::check(H5Pset_dxpl_mpio(impl_->transfer.get(), H5FD_MPIO_COLLECTIVE), "transfer properties");
  const h5::Properties access(H5Pcreate(H5P_FILE_ACCESS), "access properties");
  h5::check(H5Pset_fapl_mpio(access.get(), comm.handle().comm, MPI_INFO_NULL), "access properties");
  h5::check(H5Pset_coll_metadata_write(access.get(), true), "access properties");
  h5::check(H5Pset_all_coll_metadata_ops(access.get(), true), "access properties");
  impl_->file =
      h5::File(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation_of_file().get(), access.get()),
               impl_->in("cannot be created"));
}

// An exception on one rank must not close a collective file on this rank alone: that would wait for
// the others. The identifiers are given up; the job ends.
Hdf5Writer::~Hdf5Writer() {
  if (impl_->comm != nullptr && impl_->file.get() >= 0 && std::uncaught_exceptions() > 0) {
    static_cast<void>(impl_.release());
  }
}

void TableExtent::add(const Table& table) {
  rows += table.rows();
  widths.resize(table.columns().size(), 1);
  for (std::size_t i = 0; i < widths.size(); ++i) {
    widths[i] = std::max(widths[i], text_width(table.data(i)));
  }
}

void Hdf5Writer::write_table(const Table& rows) {
  TableExtent extent;
  extent.add(rows);
  begin_table(rows.schema(), extent);
  add_rows(rows);
}

void Hdf5Writer::begin_table(const TableSchema& schema, const TableExtent& mine) {
  const std::lock_guard lock(h5::library_mutex());
  impl_->group(schema.name);
  const RowRange range = impl_->range(mine.rows);
  Impl::OpenTable table{schema, {}, {}, range.first, range.total};
  for (std::size_t i = 0; i < schema.columns.size(); ++i) {
    const Column& column = schema.columns[i];
    const std::size_t widest = i < mine.widths.size() ? mine.widths[i] : 1;
    table.widths.push_back(column.type == Type::text ? impl_->widest(widest)
                                                     : size_of(column.type));
    table.columns.push_back(
        impl_->create_column(schema.name, column, table.widths.back(), range.total));
  }
  impl_->tables.insert_or_assign(schema.name, std::move(table));
}

void Hdf5Writer::add_rows(const Table& rows) {
  const std::lock_guard lock(h5::library_mutex());
  const auto found = impl_->tables.find(rows.name());
  if (found == impl_->tables.end() || found->second.schema != rows.schema()) {
    throw FatalError(impl_->in("table " + rows.name() + " has not begun"));
  }
  Impl::OpenTable& table = found->second;
  RowRange range = impl_->range(rows.rows());
  range.first = table.next;
  range.total = table.total;
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    impl_->fill_column(table.columns[i].get(), table.schema.columns[i], table.widths[i],
                       rows.data(i), range);
  }
  table.next += rows.rows();
}

h5::Dataset Hdf5Writer::Impl::array(const SlabArray& array, bool compressed) const {
  const std::size_t slash = array.name.rfind('/');
  if (slash != std::string::npos) {
    group(array.name.substr(0, slash));
  }
  const std::vector<hsize_t> shape = h5::to_hsize(array.shape);
  const h5::Space space(H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr),
                        in("shape of " + array.name));
  const h5::Datatype type = h5::array_type(array.type);
  const h5::Properties create = creation_of_dataset(!compressed);
  if (compressed) {
    const std::vector<hsize_t> chunk = chunk_of(shape);
    h5::check(H5Pset_chunk(create.get(), static_cast<int>(chunk.size()), chunk.data()),
              in("chunks of " + array.name));
    h5::check(H5Pset_shuffle(create.get()), in("filter of " + array.name));
    h5::check(H5Pset_deflate(create.get(), static_cast<unsigned>(array.deflate)),
              in("filter of " + array.name));
  }
  h5::Dataset dataset(H5Dcreate2(file.get(), array.name.c_str(), type.get(), space.get(),
                                 H5P_DEFAULT, create.get(), H5P_DEFAULT),
                      in("create array " + array.name));
  text_attribute(dataset.get(), "unit", array.unit);
  text_attribute(dataset.get(), "description", array.description);
  return dataset;
}

void Hdf5Writer::create_array(const SlabArray& array) {
  const std::lock_guard lock(h5::library_mutex());
  const h5::Dataset dataset = impl_->array(array, false);
  const haddr_t offset = H5Dget_offset(dataset.get());
  if (offset != HADDR_UNDEF) {
    impl_->offsets[array.name] = offset;
  }
}

void Hdf5Writer::write_array(const SlabArray& array,
                             const std::function<void(std::uint64_t, std::span<std::byte>)>& read) {
  const std::lock_guard lock(h5::library_mutex());
  const std::vector<hsize_t> shape = h5::to_hsize(array.shape);
  const Pieces pieces(shape, size_of(array.type));
  const h5::Dataset dataset = impl_->array(array, array.deflate > 0 && pieces.count > 0);
  const h5::Datatype type = h5::array_type(array.type);
  const h5::Space space(H5Dget_space(dataset.get()), "dataspace");
  const auto ranks = static_cast<std::uint64_t>(impl_->comm == nullptr ? 1 : impl_->comm->size());
  const auto rank = static_cast<std::uint64_t>(impl_->comm == nullptr ? 0 : impl_->comm->rank());
  std::vector<std::byte> buffer;
  // Every rank takes part in every round.
  for (std::uint64_t round = 0; round < pieces.count; round += ranks) {
    const bool mine = round + rank < pieces.count;
    const Pieces::Piece piece = pieces.piece(mine ? round + rank : 0);
    const h5::Space memory(
        H5Screate_simple(static_cast<int>(shape.size()), piece.count.data(), nullptr),
        "memory space");
    buffer.resize(piece.bytes);
    if (mine) {
      read(piece.first, buffer);
      h5::check(H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, piece.start.data(), nullptr,
                                    piece.count.data(), nullptr),
                "selection");
    } else {
      h5::check(H5Sselect_none(memory.get()), "empty selection");
      h5::check(H5Sselect_none(space.get()), "empty selection");
    }
    h5::check(H5Dwrite(dataset.get(), type.get(), memory.get(), space.get(), impl_->transfer.get(),
                       buffer.data()),
              impl_->in("array " + array.name + " cannot be written"));
  }
}

void Hdf5Writer::write_column(std::string_view group, const Column& column,
                              const ColumnData& values) {
  const std::lock_guard lock(h5::library_mutex());
  const std::string name(group);
  impl_->group(name);
  const std::size_t size = std::visit([](const auto& data) { return data.size(); }, values);
  const RowRange range = impl_->range(size / std::max<std::size_t>(1, column.elements()));
  const std::size_t width =
      column.type == Type::text ? impl_->widest(text_width(values)) : size_of(column.type);
  const h5::Dataset dataset = impl_->create_column(name, column, width, range.total);
  impl_->fill_column(dataset.get(), column, width, values, range);
}

std::uint64_t Hdf5Writer::array_offset(std::string_view name) const {
  const auto found = impl_->offsets.find(name);
  if (found == impl_->offsets.end()) {
    throw FatalError(impl_->in("array " + std::string(name) + " has no place in the file"));
  }
  return found->second;
}

void Hdf5Writer::make_group(std::string_view name) {
  const std::lock_guard lock(h5::library_mutex());
  impl_->group(std::string(name));
}

void Hdf5Writer::attribute(std::string_view object, std::string_view name, std::string_view text) {
  const std::lock_guard lock(h5::library_mutex());
  const std::string where(object);
  if (text.size() <= kMaxAttributeBytes) {
    const h5::Object target(H5Oopen(impl_->file.get(), where.c_str(), H5P_DEFAULT),
                            impl_->in("open " + where));
    impl_->text_attribute(target.get(), std::string(name).c_str(), text);
    return;
  }
  const std::string path = (where == "/" ? "" : where + "/") + std::string(name);
  const h5::Datatype type = h5::text_type(text.size());
  const h5::Space scalar(H5Screate(H5S_SCALAR), "scalar");
  const h5::Properties create = creation_of_dataset(false);
  const h5::Dataset dataset(H5Dcreate2(impl_->file.get(), path.c_str(), type.get(), scalar.get(),
                                       H5P_DEFAULT, create.get(), H5P_DEFAULT),
                            impl_->in("create " + path));
  h5::check(H5Dwrite(dataset.get(), type.get(), H5S_ALL, H5S_ALL, impl_->transfer.get(),
                     std::string(text).c_str()),
            impl_->in("write " + path));
}

void Hdf5Writer::attribute(std::string_view object, std::string_view name, std::int64_t number) {
  const std::lock_guard lock(h5::library_mutex());
  impl_->number_attribute(object, name, H5T_NATIVE_INT64, number);
}

void Hdf5Writer::attribute(std::string_view object, std::string_view name, double number) {
  const std::lock_guard lock(h5::library_mutex());
  impl_->number_attribute(object, name, H5T_NATIVE_DOUBLE, number);
}

void Hdf5Writer::attribute(std::string_view object, std::string_view name, std::int32_t number) {
  const std::lock_guard lock(h5::library_mutex());
  impl_->number_attribute(object, name, H5T_NATIVE_INT32, number);
}

void Hdf5Writer::attribute(std::string_view object, std::string_view name, std::uint64_t number) {
  const std::lock_guard lock(h5::library_mutex());
  impl_->number_attribute(object, name, H5T_NATIVE_UINT64, number);
}

void Hdf5Writer::attribute(std::string_view object, std::string_view name,
                           std::span<const double> numbers) {
  const std::lock_guard lock(h5::library_mutex());
  impl_->list_attribute(object, name, H5T_NATIVE_DOUBLE, numbers.size(), numbers.data());
}

void Hdf5Writer::attribute(std::string_view object, std::string_view name,
                           std::span<const std::string> texts) {
  const std::lock_guard lock(h5::library_mutex());
  const std::vector<std::string> all(texts.begin(), texts.end());
  const std::size_t width = text_width(all);
  const h5::Datatype type = h5::text_type(width);
  impl_->list_attribute(object, name, type.get(), all.size(), packed(all, width).data());
}

void Hdf5Writer::link(std::string_view name, std::string_view file, std::string_view target) {
  const std::lock_guard lock(h5::library_mutex());
  const std::string path(name);
  const std::size_t slash = path.rfind('/');
  if (slash != std::string::npos) {
    impl_->group(path.substr(0, slash));
  }
  h5::check(H5Lcreate_external(std::string(file).c_str(), std::string(target).c_str(),
                               impl_->file.get(), path.c_str(), H5P_DEFAULT, H5P_DEFAULT),
            impl_->in("create link " + path));
}

void Hdf5Writer::close() {
  const std::lock_guard lock(h5::library_mutex());
  for (auto& [name, table] : impl_->tables) {
    for (h5::Dataset& column : table.columns) {
      column.close(impl_->in("close table " + name));
    }
  }
  impl_->tables.clear();
  impl_->transfer.close(impl_->in("close"));
  impl_->file.close(impl_->in("close"));
}

}  // namespace skyloom::io
