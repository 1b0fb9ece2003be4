#include <algorithm>
#include <cstring>
#include <exception>

#include "skyloom/parallel/comm_mpi.hpp"

#include "hdf5_writer.hpp"

namespace skyloom::io {
namespace {

// Rows go out in rounds of at most this much per rank, so that no count of MPI-IO overflows.
constexpr std::size_t kRoundBytes = std::size_t{256} << 20;

h5::Properties creation_of_file() {
  h5::Properties list(H5Pcreate(H5P_FILE_CREATE), "file properties");
  h5::check(H5Pset_obj_track_times(list.get(), false), "file properties");
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

}  // namespace

h5::Properties creation_of_dataset(bool early) {
  h5::Properties list(H5Pcreate(H5P_DATASET_CREATE), "dataset properties");
  h5::check(H5Pset_obj_track_times(list.get(), false), "dataset properties");
  h5::check(H5Pset_fill_time(list.get(), H5D_FILL_TIME_NEVER), "dataset properties");
  if (early) {
    h5::check(H5Pset_alloc_time(list.get(), H5D_ALLOC_TIME_EARLY), "dataset properties");
  }
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

std::vector<char> packed(const std::vector<std::string>& texts, std::size_t width) {
  std::vector<char> buffer(texts.size() * width, '\0');
  for (std::size_t i = 0; i < texts.size(); ++i) {
    std::memcpy(buffer.data() + i * width, texts[i].data(), texts[i].size());
  }
  return buffer;
}

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

void Hdf5Writer::make_group(std::string_view name) {
  const std::lock_guard lock(h5::library_mutex());
  impl_->group(std::string(name));
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
