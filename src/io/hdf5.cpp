#include "skyloom/io/hdf5.hpp"

#include <algorithm>

#include "hdf5_read.hpp"

namespace skyloom::io {
namespace {

h5::Properties access_list() {
  h5::Properties list(H5Pcreate(H5P_FILE_ACCESS), "access properties");
  // Everything is closed with the file, whatever identifiers an exception left behind.
  h5::check(H5Pset_fclose_degree(list.get(), H5F_CLOSE_STRONG), "access properties");
  return list;
}

}  // namespace

struct Hdf5File::Impl {
  std::string path;
  h5::File file;

  [[nodiscard]] std::string in(std::string_view what) const {
    return path + ": " + std::string(what);
  }
  [[nodiscard]] bool has(const std::string& object) const;
  [[nodiscard]] h5::Dataset dataset(const std::string& name) const {
    return {H5Dopen2(file.get(), name.c_str(), H5P_DEFAULT), in("open dataset " + name)};
  }
  [[nodiscard]] h5::Group group(const std::string& name) const {
    return {H5Gopen2(file.get(), name.c_str(), H5P_DEFAULT), in("open group " + name)};
  }
  /// The attribute of an object, an empty owner when there is none.
  [[nodiscard]] h5::Attribute attribute(const std::string& object, const std::string& key) const {
    const h5::Object target(H5Oopen(file.get(), object.c_str(), H5P_DEFAULT), in(object));
    if (h5::check(H5Aexists(target.get(), key.c_str()), in(key)) == 0) {
      return {};
    }
    return {H5Aopen(target.get(), key.c_str(), H5P_DEFAULT), in(key)};
  }
  [[nodiscard]] std::optional<std::size_t> table_rows(const std::string& name) const;
  [[nodiscard]] Image<float> read_part(const std::string& name, std::vector<hsize_t> start,
                                       std::vector<hsize_t> count) const;
  void find_arrays(const std::string& prefix, std::vector<std::string>& out) const;
};

// Every step of the path is asked for, since HDF5 fails where an earlier step is missing.
bool Hdf5File::Impl::has(const std::string& object) const {
  std::size_t end = 0;
  do {
    end = object.find('/', end + 1);
    const std::string part = object.substr(0, end);
    if (part.empty() || part == "/") {
      continue;
    }
    const htri_t link = H5Lexists(file.get(), part.c_str(), H5P_DEFAULT);
    const htri_t target = link > 0 ? H5Oexists_by_name(file.get(), part.c_str(), H5P_DEFAULT) : 0;
    if (target <= 0) {
      H5Eclear2(H5E_DEFAULT);
      return false;
    }
  } while (end != std::string::npos);
  return true;
}

std::optional<std::size_t> Hdf5File::Impl::table_rows(const std::string& name) const {
  if (name == "provenance" || !has(name)) {
    return std::nullopt;
  }
  H5O_info_t info{};
  h5::check(H5Oget_info_by_name(file.get(), name.c_str(), &info, H5P_DEFAULT), in(name));
  if (info.type != H5O_TYPE_GROUP) {
    return std::nullopt;
  }
  const h5::Group opened = group(name);
  const bool linked =
      h5::check(H5Aexists(opened.get(), kLinkedColumnsName), in(name + " attribute")) > 0;
  std::optional<std::size_t> rows;
  for (const std::string& member : h5::members(opened.get())) {
    const bool is_column = h5::kind_of(opened.get(), member) == H5O_TYPE_DATASET ||
                           (linked && has(name + "/" + member));
    if (!is_column) {
      return std::nullopt;
    }
    const h5::Dataset column(H5Dopen2(opened.get(), member.c_str(), H5P_DEFAULT), in(member));
    const std::vector<std::size_t> shape = h5::shape_of(column.get());
    if (shape.empty() || (rows && *rows != shape[0])) {
      return std::nullopt;
    }
    rows = shape[0];
  }
  return rows;
}

Image<float> Hdf5File::Impl::read_part(const std::string& name, std::vector<hsize_t> start,
                                       std::vector<hsize_t> count) const {
  const h5::Dataset opened = dataset(name);
  const std::vector<std::size_t> shape = h5::shape_of(opened.get());
  bool inside = shape.size() == count.size();
  for (std::size_t i = 0; inside && i < shape.size(); ++i) {
    inside = start[i] + count[i] <= shape[i];
  }
  if (!inside) {
    throw FatalError(in("dataset " + name + ": the part asked for does not lie inside it"));
  }
  const std::size_t axes = count.size();
  Image<float> image(static_cast<int>(count[axes - 1]), static_cast<int>(count[axes - 2]));
  const h5::Selection part = h5::select(opened.get(), start, count);
  if (part.elements > 0) {
    h5::check(H5Dread(opened.get(), H5T_NATIVE_FLOAT, part.memory.get(), part.file.get(),
                      H5P_DEFAULT, image.pixels().data()),
              in("read " + name));
  }
  return image;
}

void Hdf5File::Impl::find_arrays(const std::string& prefix, std::vector<std::string>& out) const {
  const h5::Group opened = group(prefix.empty() ? "/" : prefix);
  for (const std::string& member : h5::members(opened.get())) {
    const std::string at = prefix.empty() ? member : prefix + "/" + member;
    if (!has(at)) {
      continue;
    }
    H5O_info_t info{};
    h5::check(H5Oget_info_by_name(file.get(), at.c_str(), &info, H5P_DEFAULT), in(at));
    if (info.type == H5O_TYPE_GROUP && !table_rows(at)) {
      find_arrays(at, out);
    } else if (info.type == H5O_TYPE_DATASET && h5::shape_of(dataset(at).get()).size() >= 2) {
      out.push_back(at);
    }
  }
}

Hdf5File::Hdf5File(const std::filesystem::path& path) : impl_(std::make_unique<Impl>()) {
  const std::lock_guard lock(h5::library_mutex());
  h5::quiet();
  impl_->path = path.string();
  if (!std::filesystem::exists(path)) {
    throw ConfigError(path.string(), "no such file", "an HDF5 file");
  }
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDONLY, access_list().get());
  if (file < 0) {
    throw ConfigError(path.string(), "cannot be opened (" + h5::error_stack() + ")",
                      "an HDF5 file");
  }
  impl_->file = h5::File(file, "open");
}

Hdf5File::~Hdf5File() {
  const std::lock_guard lock(h5::library_mutex());
  impl_.reset();
}
Hdf5File::Hdf5File(Hdf5File&&) noexcept = default;
Hdf5File& Hdf5File::operator=(Hdf5File&&) noexcept = default;

const std::string& Hdf5File::path() const {
  return impl_->path;
}

bool Hdf5File::has(std::string_view object) const {
  const std::lock_guard lock(h5::library_mutex());
  return impl_->has(std::string(object));
}

std::vector<std::string> Hdf5File::tables() const {
  const std::lock_guard lock(h5::library_mutex());
  std::vector<std::string> out;
  const h5::Group root = impl_->group("/");
  for (const std::string& name : h5::members(root.get())) {
    if (h5::kind_of(root.get(), name) == H5O_TYPE_GROUP && impl_->table_rows(name)) {
      out.push_back(name);
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

bool Hdf5File::has_table(std::string_view name) const {
  const std::lock_guard lock(h5::library_mutex());
  return impl_->table_rows(std::string(name)).has_value();
}

std::size_t Hdf5File::rows(std::string_view table) const {
  const std::lock_guard lock(h5::library_mutex());
  const std::optional<std::size_t> rows = impl_->table_rows(std::string(table));
  if (!rows) {
    throw FatalError(impl_->in("no table " + std::string(table)));
  }
  return *rows;
}

Table Hdf5File::read_table(std::string_view name) const {
  return read_table(name, 0, rows(name));
}

Table Hdf5File::read_table(std::string_view name, std::size_t first, std::size_t last) const {
  const std::lock_guard lock(h5::library_mutex());
  if (first > last || last > rows(name)) {
    throw FatalError(impl_->in("table " + std::string(name) + " has no such rows"));
  }
  return read_table(name, first, last, h5::members(impl_->group(std::string(name)).get()));
}

Table Hdf5File::read_table(std::string_view name, std::size_t first, std::size_t last,
                           std::span<const std::string> columns) const {
  const std::lock_guard lock(h5::library_mutex());
  Table table(TableSchema{std::string(name), {}});
  for (const std::string& member : columns) {
    const std::string path = std::string(name) + "/" + member;
    if (!impl_->has(path)) {
      continue;
    }
    const h5::Dataset dataset = impl_->dataset(path);
    std::vector<std::size_t> shape = h5::shape_of(dataset.get());
    if (shape.empty() || first > last || last > shape[0]) {
      throw FatalError(impl_->in("column " + path + " has no such rows"));
    }
    Column column{member,
                  Type::float64,
                  attribute(path, "unit").value_or(""),
                  attribute(path, "description").value_or(""),
                  {shape.begin() + 1, shape.end()}};
    const h5::Datatype stored(H5Dget_type(dataset.get()), impl_->in(path));
    column.type = h5::type_in_memory(stored.get(), impl_->in(path));
    std::vector<hsize_t> count = h5::to_hsize(shape);
    std::vector<hsize_t> start(count.size(), 0);
    start[0] = first;
    count[0] = last - first;
    const h5::Selection part = h5::select(dataset.get(), start, count);
    table.add_column(std::move(column),
                     h5::read_values(dataset.get(), h5::type_in_memory(stored.get(), path), part,
                                     impl_->in(path)));
  }
  return table;
}

std::vector<std::string> Hdf5File::arrays() const {
  const std::lock_guard lock(h5::library_mutex());
  std::vector<std::string> out;
  impl_->find_arrays("", out);
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<std::size_t> Hdf5File::shape(std::string_view dataset) const {
  const std::lock_guard lock(h5::library_mutex());
  return h5::shape_of(impl_->dataset(std::string(dataset)).get());
}

Image<float> Hdf5File::read_image(std::string_view dataset, const Box& box) const {
  const std::lock_guard lock(h5::library_mutex());
  return impl_->read_part(std::string(dataset),
                          {static_cast<hsize_t>(box.y0), static_cast<hsize_t>(box.x0)},
                          {static_cast<hsize_t>(box.height()), static_cast<hsize_t>(box.width())});
}

Image<float> Hdf5File::read_plane(std::string_view dataset, std::size_t plane,
                                  const Box& box) const {
  const std::lock_guard lock(h5::library_mutex());
  return impl_->read_part(
      std::string(dataset), {plane, static_cast<hsize_t>(box.y0), static_cast<hsize_t>(box.x0)},
      {1, static_cast<hsize_t>(box.height()), static_cast<hsize_t>(box.width())});
}

void Hdf5File::read_rows(std::string_view dataset, Type type, std::size_t first, std::size_t last,
                         std::span<std::byte> out) const {
  std::vector<std::size_t> count = shape(dataset);
  std::vector<std::size_t> start(count.size(), 0);
  if (count.empty() || first > last || last > count[0]) {
    throw FatalError(impl_->in("dataset " + std::string(dataset) + " has no such rows"));
  }
  start[0] = first;
  count[0] = last - first;
  read_box(dataset, type, start, count, out);
}

void Hdf5File::read_box(std::string_view dataset, Type type, std::span<const std::size_t> start,
                        std::span<const std::size_t> count, std::span<std::byte> out) const {
  const std::lock_guard lock(h5::library_mutex());
  const std::string name(dataset);
  const h5::Dataset opened = impl_->dataset(name);
  const std::vector<std::size_t> sides = h5::shape_of(opened.get());
  bool inside = type != Type::text && start.size() == sides.size() && count.size() == sides.size();
  for (std::size_t i = 0; inside && i < sides.size(); ++i) {
    inside = start[i] <= sides[i] && count[i] <= sides[i] - start[i];
  }
  if (!inside) {
    throw FatalError(impl_->in("dataset " + name + " has no such part"));
  }
  const h5::Selection part =
      h5::select(opened.get(), {start.begin(), start.end()}, {count.begin(), count.end()});
  if (part.elements * size_of(type) != out.size()) {
    throw FatalError(impl_->in("dataset " + name + ": the part has another size"));
  }
  const h5::Datatype memory = h5::array_type(type);
  if (part.elements > 0) {
    h5::check(H5Dread(opened.get(), memory.get(), part.memory.get(), part.file.get(), H5P_DEFAULT,
                      out.data()),
              impl_->in("read " + name));
  }
}

std::optional<std::string> Hdf5File::attribute(std::string_view object,
                                               std::string_view name) const {
  const std::lock_guard lock(h5::library_mutex());
  const h5::Attribute found = impl_->attribute(std::string(object), std::string(name));
  if (found.get() < 0) {
    return std::nullopt;
  }
  return h5::attribute_text(found.get(), impl_->in(name));
}

std::optional<std::vector<std::string>> Hdf5File::attribute_list(std::string_view object,
                                                                 std::string_view name) const {
  const std::lock_guard lock(h5::library_mutex());
  const h5::Attribute found = impl_->attribute(std::string(object), std::string(name));
  if (found.get() < 0) {
    return std::nullopt;
  }
  return h5::attribute_texts(found.get(), impl_->in(name));
}

bool is_hdf5(const std::filesystem::path& path) {
  const std::lock_guard lock(h5::library_mutex());
  h5::quiet();
  const htri_t answer = std::filesystem::is_regular_file(path) ? H5Fis_hdf5(path.c_str()) : 0;
  H5Eclear2(H5E_DEFAULT);
  return answer > 0;
}

}  // namespace skyloom::io
