#include "hdf5_read.hpp"

#include <algorithm>
#include <cstring>

namespace skyloom::io::h5 {
namespace {

std::string without_padding(const char* text, std::size_t width) {
  std::size_t size = ::strnlen(text, width);
  while (size > 0 && text[size - 1] == ' ') {
    --size;
  }
  return {text, size};
}

std::vector<std::string> read_texts(hid_t dataset, hid_t type, const Selection& part,
                                    const std::string& name) {
  std::vector<std::string> out;
  out.reserve(part.elements);
  if (check(H5Tis_variable_str(type), name) > 0) {
    std::vector<char*> texts(std::max<std::size_t>(1, part.elements), nullptr);
    check(H5Dread(dataset, type, part.memory.get(), part.file.get(), H5P_DEFAULT, texts.data()),
          "read " + name);
    for (std::size_t i = 0; i < part.elements; ++i) {
      out.emplace_back(texts[i] == nullptr ? "" : texts[i]);
    }
    H5Dvlen_reclaim(type, part.memory.get(), H5P_DEFAULT, texts.data());
    return out;
  }
  const std::size_t width = H5Tget_size(type);
  std::vector<char> buffer(std::max<std::size_t>(1, part.elements) * width);
  check(H5Dread(dataset, type, part.memory.get(), part.file.get(), H5P_DEFAULT, buffer.data()),
        "read " + name);
  for (std::size_t i = 0; i < part.elements; ++i) {
    out.push_back(without_padding(buffer.data() + i * width, width));
  }
  return out;
}

template <class T>
ColumnData read_numbers(hid_t dataset, hid_t type, const Selection& part, const std::string& name) {
  std::vector<T> values(std::max<std::size_t>(1, part.elements));
  check(H5Dread(dataset, type, part.memory.get(), part.file.get(), H5P_DEFAULT, values.data()),
        "read " + name);
  values.resize(part.elements);
  return values;
}

}  // namespace

std::vector<std::size_t> shape_of(hid_t dataset) {
  const Space space(H5Dget_space(dataset), "dataspace");
  const int rank = check(H5Sget_simple_extent_ndims(space.get()), "dimensions");
  std::vector<hsize_t> sides(static_cast<std::size_t>(rank));
  if (rank > 0) {
    check(H5Sget_simple_extent_dims(space.get(), sides.data(), nullptr), "dimensions");
  }
  return {sides.begin(), sides.end()};
}

std::vector<std::string> members(hid_t group) {
  const Properties list(H5Gget_create_plist(group), "group properties");
  unsigned order = 0;
  check(H5Pget_link_creation_order(list.get(), &order), "group properties");
  const H5_index_t index =
      (order & H5P_CRT_ORDER_INDEXED) != 0 ? H5_INDEX_CRT_ORDER : H5_INDEX_NAME;
  H5G_info_t info{};
  check(H5Gget_info(group, &info), "group");
  std::vector<std::string> names;
  for (hsize_t i = 0; i < info.nlinks; ++i) {
    const ssize_t size = check(
        H5Lget_name_by_idx(group, ".", index, H5_ITER_INC, i, nullptr, 0, H5P_DEFAULT), "member");
    std::string name(static_cast<std::size_t>(size), '\0');
    check(H5Lget_name_by_idx(group, ".", index, H5_ITER_INC, i, name.data(), name.size() + 1,
                             H5P_DEFAULT),
          "member");
    names.push_back(std::move(name));
  }
  return names;
}

H5O_type_t kind_of(hid_t group, const std::string& name) {
  H5L_info_t link{};
  check(H5Lget_info(group, name.c_str(), &link, H5P_DEFAULT), "link " + name);
  if (link.type != H5L_TYPE_HARD) {
    return H5O_TYPE_UNKNOWN;
  }
  H5O_info_t object{};
  check(H5Oget_info_by_name(group, name.c_str(), &object, H5P_DEFAULT), "object " + name);
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

Selection select(hid_t dataset, const std::vector<hsize_t>& start,
                 const std::vector<hsize_t>& count) {
  Selection out;
  out.file = Space(H5Dget_space(dataset), "dataspace");
  out.elements = 1;
  for (const hsize_t side : count) {
    out.elements *= static_cast<std::size_t>(side);
  }
  const hsize_t length = std::max<hsize_t>(1, out.elements);
  out.memory = Space(H5Screate_simple(1, &length, nullptr), "memory space");
  if (out.elements == 0) {
    check(H5Sselect_none(out.file.get()), "selection");
    check(H5Sselect_none(out.memory.get()), "selection");
  } else if (!count.empty()) {
    check(H5Sselect_hyperslab(out.file.get(), H5S_SELECT_SET, start.data(), nullptr, count.data(),
                              nullptr),
          "selection");
  }
  return out;
}

ColumnData read_values(hid_t dataset, Type type, const Selection& part, const std::string& name) {
  const Datatype stored(H5Dget_type(dataset), "type of " + name);
  switch (type) {
    case Type::boolean:
    case Type::uint8:
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
    case Type::uint16:
      return read_numbers<std::uint16_t>(dataset, H5T_NATIVE_UINT16, part, name);
  }
  throw FatalError("HDF5: unknown column type");
}

std::string attribute_text(hid_t attribute, const std::string& name) {
  const Datatype type(H5Aget_type(attribute), "attribute " + name);
  const Space space(H5Aget_space(attribute), "attribute " + name);
  if (check(H5Sget_simple_extent_npoints(space.get()), "attribute " + name) != 1) {
    return {};
  }
  switch (H5Tget_class(type.get())) {
    case H5T_STRING: {
      if (check(H5Tis_variable_str(type.get()), "attribute " + name) > 0) {
        char* text = nullptr;
        check(H5Aread(attribute, type.get(), static_cast<void*>(&text)), "attribute " + name);
        std::string out = text == nullptr ? "" : text;
        H5Dvlen_reclaim(type.get(), space.get(), H5P_DEFAULT, static_cast<void*>(&text));
        return out;
      }
      std::string text(H5Tget_size(type.get()), '\0');
      check(H5Aread(attribute, type.get(), text.data()), "attribute " + name);
      return without_padding(text.data(), text.size());
    }
    case H5T_INTEGER:
    case H5T_ENUM: {
      std::int64_t value = 0;
      const Datatype base(
          H5Tget_class(type.get()) == H5T_ENUM ? H5Tget_super(type.get()) : H5Tcopy(type.get()),
          "attribute " + name);
      std::vector<std::byte> bytes(std::max<std::size_t>(8, H5Tget_size(base.get())));
      check(H5Aread(attribute, type.get(), bytes.data()), "attribute " + name);
      check(H5Tconvert(base.get(), H5T_NATIVE_INT64, 1, bytes.data(), nullptr, H5P_DEFAULT),
            "attribute " + name);
      std::memcpy(&value, bytes.data(), sizeof value);
      return std::to_string(value);
    }
    case H5T_FLOAT: {
      double value = 0.0;
      check(H5Aread(attribute, H5T_NATIVE_DOUBLE, &value), "attribute " + name);
      return shortest(value);
    }
    default:
      return {};
  }
}

std::vector<std::string> attribute_texts(hid_t attribute, const std::string& name) {
  const Datatype type(H5Aget_type(attribute), "attribute " + name);
  const Space space(H5Aget_space(attribute), "attribute " + name);
  const auto count = static_cast<std::size_t>(
      check(H5Sget_simple_extent_npoints(space.get()), "attribute " + name));
  std::vector<std::string> out;
  if (count == 0) {
    return out;
  }
  if (H5Tget_class(type.get()) != H5T_STRING) {
    throw FatalError("HDF5: attribute " + name + " holds no texts");
  }
  if (check(H5Tis_variable_str(type.get()), "attribute " + name) > 0) {
    std::vector<char*> texts(count, nullptr);
    check(H5Aread(attribute, type.get(), static_cast<void*>(texts.data())), "attribute " + name);
    for (const char* text : texts) {
      out.emplace_back(text == nullptr ? "" : text);
    }
    H5Dvlen_reclaim(type.get(), space.get(), H5P_DEFAULT, static_cast<void*>(texts.data()));
    return out;
  }
  const std::size_t width = H5Tget_size(type.get());
  std::vector<char> buffer(count * width);
  check(H5Aread(attribute, type.get(), buffer.data()), "attribute " + name);
  for (std::size_t i = 0; i < count; ++i) {
    out.push_back(without_padding(buffer.data() + i * width, width));
  }
  return out;
}

}  // namespace skyloom::io::h5
