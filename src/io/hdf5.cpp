#include "skyloom/io/hdf5.hpp"

#include <algorithm>
#include <cstring>
#include <functional>

#include "hdf5_handles.hpp"

namespace skyloom::io {
namespace {

h5::Properties access_list() {
  h5::Properties list(H5Pcreate(H5P_FILE_ACCESS), "access properties");
  // Everything is closed with the file, whatever identifiers an exception left behind.
  h5::check(H5Pset_fclose_degree(list.get(), H5F_CLOSE_STRONG), "access properties");
  return list;
}

std::vector<std::size_t> shape_of(hid_t dataset) {
  const h5::Space space(H5Dget_space(dataset), "dataspace");
  const int rank = h5::check(H5Sget_simple_extent_ndims(space.get()), "dimensions");
  std::vector<hsize_t> sides(static_cast<std::size_t>(rank));
  if (rank > 0) {
    h5::check(H5Sget_simple_extent_dims(space.get(), sides.data(), nullptr), "dimensions");
  }
  return {sides.begin(), sides.end()};
}

/// Names of a group's members, in creation order where the group keeps it, otherwise by name.
std::vector<std::string> members(hid_t group) {
  const h5::Properties list(H5Gget_create_plist(group), "group properties");
  unsigned order = 0;
  h5::check(H5Pget_link_creation_order(list.get(), &order), "group properties");
  const H5_index_t index =
      (order & H5P_CRT_ORDER_INDEXED) != 0 ? H5_INDEX_CRT_ORDER : H5_INDEX_NAME;
  H5G_info_t info{};
  h5::check(H5Gget_info(group, &info), "group");
  std::vector<std::string> names;
  for (hsize_t i = 0; i < info.nlinks; ++i) {
    const ssize_t size = h5::check(
        H5Lget_name_by_idx(group, ".", index, H5_ITER_INC, i, nullptr, 0, H5P_DEFAULT), "member");
    std::string name(static_cast<std::size_t>(size), '\0');
    h5::check(H5Lget_name_by_idx(group, ".", index, H5_ITER_INC, i, name.data(), name.size() + 1,
                                 H5P_DEFAULT),
              "member");
    names.push_back(std::move(name));
  }
  return names;
}

/// Kind of a member that stands in this file itself; H5O_TYPE_UNKNOWN for links elsewhere.
H5O_type_t kind_of(hid_t group, const std::string& name) {
  H5L_info_t link{};
  h5::check(H5Lget_info(group, name.c_str(), &link, H5P_DEFAULT), "link " + name);
  if (link.type != H5L_TYPE_HARD) {
    return H5O_TYPE_UNKNOWN;
  }
  H5O_info_t object{};
  h5::check(H5Oget_info_by_name(group, name.c_str(), &object, H5P_DEFAULT), "object " + name);
  return object.type;
}

Type type_in_memory(hid_t type, const std::string& name) {
  const std::size_t size = H5Tget_size(type);
  switch (H5Tget_class(type)) {
    case H5T_ENUM:
      return size == 1 ? Type::boolean : Type::int64;
    case H5T_INTEGER:
      return size < 4 || (size == 4 && H5Tget_sign(type) == H5T_SGN_2) ? Type::int32 : Type::int64;
    case H5T_FLOAT:
      return size <= 4 ? Type::float32 : Type::float64;
    case H5T_STRING:
      return Type::text;
    default:
      throw FatalError("HDF5: dataset " + name +
                       " holds neither numbers nor text: compound and other types are not read");
  }
}

std::string without_padding(const char* text, std::size_t width) {
  std::size_t size = ::strnlen(text, width);
  while (size > 0 && text[size - 1] == ' ') {
    --size;
  }
  return {text, size};
}

/// A selection in a file and the matching space in memory.
struct Selection {
  h5::Space file;
  h5::Space memory;
  std::size_t elements = 0;
};

Selection select(hid_t dataset, const std::vector<hsize_t>& start, const std::vector<hsize_t>& count) {
  Selection out;
  out.file = h5::Space(H5Dget_space(dataset), "dataspace");
  out.elements = 1;
  for (const hsize_t side : count) {
    out.elements *= static_cast<std::size_t>(side);
  }
  const hsize_t length = std::max<hsize_t>(1, out.elements);
  out.memory = h5::Space(H5Screate_simple(1, &length, nullptr), "memory space");
  if (out.elements == 0) {
    h5::check(H5Sselect_none(out.file.get()), "selection");
    h5::check(H5Sselect_none(out.memory.get()), "selection");
  } else if (!count.empty()) {
    h5::check(H5Sselect_hyperslab(out.file.get(), H5S_SELECT_SET, start.data(), nullptr,
                                  count.data(), nullptr),
              "selection");
  }
  return out;
}

std::vector<std::string> read_texts(hid_t dataset, hid_t type, const Selection& part,
                                    const std::string& name) {
  std::vector<std::string> out;
  out.reserve(part.elements);
  if (h5::check(H5Tis_variable_str(type), name) > 0) {
    std::vector<char*> texts(std::max<std::size_t>(1, part.elements), nullptr);
    h5::check(H5Dread(dataset, type, part.memory.get(), part.file.get(), H5P_DEFAULT, texts.data()),
              "read " + name);
    for (std::size_t i = 0; i < part.elements; ++i) {
      out.emplace_back(texts[i] == nullptr ? "" : texts[i]);
    }
    H5Dvlen_reclaim(type, part.memory.get(), H5P_DEFAULT, texts.data());
    return out;
  }
  const std::size_t width = H5Tget_size(type);
  std::vector<char> buffer(std::max<std::size_t>(1, part.elements) * width);
  h5::check(H5Dread(dataset, type, part.memory.get(), part.file.get(), H5P_DEFAULT, buffer.data()),
            "read " + name);
  for (std::size_t i = 0; i < part.elements; ++i) {
    out.push_back(without_padding(buffer.data() + i * width, width));
  }
  return out;
}

template <class T>
ColumnData read_numbers(hid_t dataset, hid_t type, const Selection& part, const std::string& name) {
  std::vector<T> values(std::max<std::size_t>(1, part.elements));
  h5::check(H5Dread(dataset, type, part.memory.get(), part.file.get(), H5P_DEFAULT, values.data()),
            "read " + name);
  values.resize(part.elements);
  return values;
}

ColumnData read_values(hid_t dataset, Type type, const Selection& part, const std::string& name) {
  const h5::Datatype stored(H5Dget_type(dataset), "type of " + name);
  switch (type) {
    case Type::boolean:
      // Read as it stands: the names of the enumeration need not be ours.
      return read_numbers<std::uint8_t>(dataset, stored.get(), part, name);
    case Type::int32:
      return read_numbers<std::int32_t>(dataset, H5T_NATIVE_INT32, part, name);
    case Type::int64:
      return read_numbers<std::int64_t>(dataset, H5T_NATIVE_INT64, part, name);
    case Type::float32:
      return read_numbers<float>(dataset, H5T_NATIVE_FLOAT, part, name);
    case Type::float64:
      return read_numbers<double>(dataset, H5T_NATIVE_DOUBLE, part, name);
    case Type::text:
      return read_texts(dataset, stored.get(), part, name);
  }
  throw FatalError("HDF5: unknown column type");
}

std::string attribute_text(hid_t attribute, const std::string& name) {
  const h5::Datatype type(H5Aget_type(attribute), "attribute " + name);
  const h5::Space space(H5Aget_space(attribute), "attribute " + name);
  if (h5::check(H5Sget_simple_extent_npoints(space.get()), "attribute " + name) != 1) {
    return {};
  }
  switch (H5Tget_class(type.get())) {
    case H5T_STRING: {
      if (h5::check(H5Tis_variable_str(type.get()), "attribute " + name) > 0) {
        char* text = nullptr;
        h5::check(H5Aread(attribute, type.get(), static_cast<void*>(&text)), "attribute " + name);
        std::string out = text == nullptr ? "" : text;
        H5Dvlen_reclaim(type.get(), space.get(), H5P_DEFAULT, static_cast<void*>(&text));
        return out;
      }
      std::string text(H5Tget_size(type.get()), '\0');
      h5::check(H5Aread(attribute, type.get(), text.data()), "attribute " + name);
      return without_padding(text.data(), text.size());
    }
    case H5T_INTEGER:
    case H5T_ENUM: {
      std::int64_t value = 0;
      const h5::Datatype base(H5Tget_class(type.get()) == H5T_ENUM ? H5Tget_super(type.get())
                                                                   : H5Tcopy(type.get()),
                              "attribute " + name);
      std::vector<std::byte> bytes(std::max<std::size_t>(8, H5Tget_size(base.get())));
      h5::check(H5Aread(attribute, type.get(), bytes.data()), "attribute " + name);
      h5::check(H5Tconvert(base.get(), H5T_NATIVE_INT64, 1, bytes.data(), nullptr, H5P_DEFAULT),
                "attribute " + name);
      std::memcpy(&value, bytes.data(), sizeof value);
      return std::to_string(value);
    }
    case H5T_FLOAT: {
      double value = 0.0;
      h5::check(H5Aread(attribute, H5T_NATIVE_DOUBLE, &value), "attribute " + name);
      return shortest(value);
    }
    default:
      return {};
  }
}

}  // namespace

struct Hdf5File::Impl {
  std::string path;
  h5::File file;

  [[nodiscard]] std::string in(std::string_view what) const { return path + ": " + std::string(what); }
  [[nodiscard]] bool has(const std::string& object) const;
  [[nodiscard]] h5::Dataset dataset(const std::string& name) const {
    return {H5Dopen2(file.get(), name.c_str(), H5P_DEFAULT), in("open dataset " + name)};
  }
  [[nodiscard]] h5::Group group(const std::string& name) const {
    return {H5Gopen2(file.get(), name.c_str(), H5P_DEFAULT), in("open group " + name)};
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
  if (!has(name)) {
    return std::nullopt;
  }
  H5O_info_t info{};
  h5::check(H5Oget_info_by_name(file.get(), name.c_str(), &info, H5P_DEFAULT), in(name));
  if (info.type != H5O_TYPE_GROUP) {
    return std::nullopt;
  }
  const h5::Group opened = group(name);
  std::optional<std::size_t> rows;
  for (const std::string& member : members(opened.get())) {
    if (kind_of(opened.get(), member) != H5O_TYPE_DATASET) {
      return std::nullopt;
    }
    const h5::Dataset column(H5Dopen2(opened.get(), member.c_str(), H5P_DEFAULT), in(member));
    const std::vector<std::size_t> shape = shape_of(column.get());
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
  const std::vector<std::size_t> shape = shape_of(opened.get());
  bool inside = shape.size() == count.size();
  for (std::size_t i = 0; inside && i < shape.size(); ++i) {
    inside = start[i] + count[i] <= shape[i];
  }
  if (!inside) {
    throw FatalError(in("dataset " + name + ": the part asked for does not lie inside it"));
  }
  const std::size_t axes = count.size();
  Image<float> image(static_cast<int>(count[axes - 1]), static_cast<int>(count[axes - 2]));
  const Selection part = select(opened.get(), start, count);
  if (part.elements > 0) {
    h5::check(H5Dread(opened.get(), H5T_NATIVE_FLOAT, part.memory.get(), part.file.get(),
                      H5P_DEFAULT, image.pixels().data()),
              in("read " + name));
  }
  return image;
}

void Hdf5File::Impl::find_arrays(const std::string& prefix, std::vector<std::string>& out) const {
  const h5::Group opened = group(prefix.empty() ? "/" : prefix);
  for (const std::string& member : members(opened.get())) {
    const std::string at = prefix.empty() ? member : prefix + "/" + member;
    if (!has(at)) {
      continue;
    }
    H5O_info_t info{};
    h5::check(H5Oget_info_by_name(file.get(), at.c_str(), &info, H5P_DEFAULT), in(at));
    if (info.type == H5O_TYPE_GROUP && !table_rows(at)) {
      find_arrays(at, out);
    } else if (info.type == H5O_TYPE_DATASET && shape_of(dataset(at).get()).size() >= 2) {
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
    throw ConfigError(path.string(), "cannot be opened (" + h5::error_stack() + ")", "an HDF5 file");
  }
  impl_->file = h5::File(file, "open");
}

Hdf5File::~Hdf5File() {
  const std::lock_guard lock(h5::library_mutex());
  impl_.reset();
}
Hdf5File::Hdf5File(Hdf5File&&) noexcept = default;
Hdf5File& Hdf5File::operator=(Hdf5File&&) noexcept = default;

const std::string& Hdf5File::path() const { return impl_->path; }

bool Hdf5File::has(std::string_view object) const {
  const std::lock_guard lock(h5::library_mutex());
  return impl_->has(std::string(object));
}

std::vector<std::string> Hdf5File::tables() const {
  const std::lock_guard lock(h5::library_mutex());
  std::vector<std::string> out;
  const h5::Group root = impl_->group("/");
  for (const std::string& name : members(root.get())) {
    if (kind_of(root.get(), name) == H5O_TYPE_GROUP && impl_->table_rows(name)) {
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

Table Hdf5File::read_table(std::string_view name) const { return read_table(name, 0, rows(name)); }

Table Hdf5File::read_table(std::string_view name, std::size_t first, std::size_t last) const {
  const std::lock_guard lock(h5::library_mutex());
  if (first > last || last > rows(name)) {
    throw FatalError(impl_->in("table " + std::string(name) + " has no such rows"));
  }
  const h5::Group group = impl_->group(std::string(name));
  Table table(TableSchema{std::string(name), {}});
  for (const std::string& member : members(group.get())) {
    const std::string path = std::string(name) + "/" + member;
    const h5::Dataset dataset = impl_->dataset(path);
    std::vector<std::size_t> shape = shape_of(dataset.get());
    Column column{member, Type::float64, attribute(path, "unit").value_or(""),
                  attribute(path, "description").value_or(""),
                  {shape.begin() + 1, shape.end()}};
    const h5::Datatype stored(H5Dget_type(dataset.get()), impl_->in(path));
    column.type = type_in_memory(stored.get(), impl_->in(path));
    std::vector<hsize_t> count = h5::to_hsize(shape);
    std::vector<hsize_t> start(count.size(), 0);
    start[0] = first;
    count[0] = last - first;
    const Selection part = select(dataset.get(), start, count);
    table.add_column(std::move(column),
                     read_values(dataset.get(), type_in_memory(stored.get(), path), part,
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
  return shape_of(impl_->dataset(std::string(dataset)).get());
}

Image<float> Hdf5File::read_image(std::string_view dataset, const Box& box) const {
  const std::lock_guard lock(h5::library_mutex());
  return impl_->read_part(
      std::string(dataset), {static_cast<hsize_t>(box.y0), static_cast<hsize_t>(box.x0)},
      {static_cast<hsize_t>(box.height()), static_cast<hsize_t>(box.width())});
}

Image<float> Hdf5File::read_plane(std::string_view dataset, std::size_t plane, const Box& box) const {
  const std::lock_guard lock(h5::library_mutex());
  return impl_->read_part(
      std::string(dataset), {plane, static_cast<hsize_t>(box.y0), static_cast<hsize_t>(box.x0)},
      {1, static_cast<hsize_t>(box.height()), static_cast<hsize_t>(box.width())});
}

std::optional<std::string> Hdf5File::attribute(std::string_view object, std::string_view name) const {
  const std::lock_guard lock(h5::library_mutex());
  const std::string where(object);
  const std::string key(name);
  const h5::Object target(H5Oopen(impl_->file.get(), where.c_str(), H5P_DEFAULT), impl_->in(where));
  if (h5::check(H5Aexists(target.get(), key.c_str()), impl_->in(key)) == 0) {
    return std::nullopt;
  }
  const h5::Attribute attribute(H5Aopen(target.get(), key.c_str(), H5P_DEFAULT), impl_->in(key));
  return attribute_text(attribute.get(), impl_->in(key));
}

std::vector<std::pair<std::string, std::string>> Hdf5File::attributes(std::string_view object) const {
  const std::lock_guard lock(h5::library_mutex());
  const std::string where(object);
  const h5::Object target(H5Oopen(impl_->file.get(), where.c_str(), H5P_DEFAULT), impl_->in(where));
  H5O_info_t info{};
  h5::check(H5Oget_info(target.get(), &info), impl_->in(where));
  std::vector<std::pair<std::string, std::string>> out;
  for (hsize_t i = 0; i < info.num_attrs; ++i) {
    const h5::Attribute attribute(H5Aopen_by_idx(target.get(), ".", H5_INDEX_NAME, H5_ITER_INC, i,
                                                 H5P_DEFAULT, H5P_DEFAULT),
                                  impl_->in(where));
    const ssize_t size = h5::check(H5Aget_name(attribute.get(), 0, nullptr), impl_->in(where));
    std::string name(static_cast<std::size_t>(size), '\0');
    h5::check(H5Aget_name(attribute.get(), name.size() + 1, name.data()), impl_->in(where));
    out.emplace_back(name, attribute_text(attribute.get(), impl_->in(name)));
  }
  return out;
}

bool is_hdf5(const std::filesystem::path& path) {
  const std::lock_guard lock(h5::library_mutex());
  h5::quiet();
  const htri_t answer = std::filesystem::is_regular_file(path) ? H5Fis_hdf5(path.c_str()) : 0;
  H5Eclear2(H5E_DEFAULT);
  return answer > 0;
}

}  // namespace skyloom::io
