#include <array>

#include "hdf5_handles.hpp"

namespace skyloom::io::h5 {
namespace {

extern "C" herr_t append_error(unsigned, const H5E_error2_t* error, void* target) {
  auto& text = *static_cast<std::string*>(target);
  if (error->desc != nullptr && *error->desc != '\0') {
    text += text.empty() ? "" : "; ";
    text += error->desc;
  }
  return 0;
}

}  // namespace

std::recursive_mutex& library_mutex() {
  static std::recursive_mutex mutex;
  return mutex;
}

std::string error_stack() {
  std::string text;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, append_error, &text);
  H5Eclear2(H5E_DEFAULT);
  return text.empty() ? "the library gives no reason" : text;
}

void quiet() {
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

Datatype text_type(std::size_t width) {
  Datatype type(H5Tcopy(H5T_C_S1), "text type");
  check(H5Tset_size(type.get(), width == 0 ? 1 : width), "text width");
  check(H5Tset_strpad(type.get(), H5T_STR_NULLPAD), "text padding");
  check(H5Tset_cset(type.get(), H5T_CSET_UTF8), "text encoding");
  return type;
}

Datatype column_type(Type type, std::size_t text_width) {
  switch (type) {
    case Type::boolean: {
      Datatype boolean(H5Tenum_create(H5T_NATIVE_INT8), "boolean type");
      const std::array<std::int8_t, 2> values{0, 1};
      check(H5Tenum_insert(boolean.get(), "FALSE", &values[0]), "boolean type");
      check(H5Tenum_insert(boolean.get(), "TRUE", &values[1]), "boolean type");
      return boolean;
    }
    case Type::int32:
      return {H5Tcopy(H5T_NATIVE_INT32), "type"};
    case Type::int64:
      return {H5Tcopy(H5T_NATIVE_INT64), "type"};
    case Type::float32:
      return {H5Tcopy(H5T_NATIVE_FLOAT), "type"};
    case Type::float64:
      return {H5Tcopy(H5T_NATIVE_DOUBLE), "type"};
    case Type::text:
      return text_type(text_width);
    case Type::uint8:
      return {H5Tcopy(H5T_NATIVE_UINT8), "type"};
    case Type::uint16:
      return {H5Tcopy(H5T_NATIVE_UINT16), "type"};
  }
  throw FatalError("HDF5: unknown column type");
}

Datatype array_type(Type type) {
  if (type == Type::text) {
    throw FatalError("HDF5: an array of text: a numeric type was expected");
  }
  return type == Type::boolean ? Datatype(H5Tcopy(H5T_NATIVE_UINT8), "type") : column_type(type, 0);
}

std::vector<hsize_t> to_hsize(const std::vector<std::size_t>& values) {
  return {values.begin(), values.end()};
}

void* raw(ColumnData& data) {
  return const_cast<void*>(raw(std::as_const(data)));
}

const void* raw(const ColumnData& data) {
  return std::visit([](const auto& values) -> const void* { return values.data(); }, data);
}

}  // namespace skyloom::io::h5
