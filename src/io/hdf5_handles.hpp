#pragma once
// Private to io: owners of HDF5 identifiers, checked calls, and the mapping of column types.

#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <hdf5.h>

#include "skyloom/core/table.hpp"

namespace skyloom::io::h5 {

/// The library is not thread-safe: every public call of this room holds this.
std::recursive_mutex& library_mutex();

/// Text of the library's error stack, innermost last, which it then clears.
std::string error_stack();

/// Returns `value`. @throws FatalError with `what` and the error stack when it is negative
template <class T>
T check(T value, std::string_view what) {
  if (value < 0) {
    throw FatalError("HDF5: " + std::string(what) + ": " + error_stack());
  }
  return value;
}

/// Owner of one identifier; the destructor is silent, close() is not.
template <herr_t (*Close)(hid_t)>
class Handle {
 public:
  Handle() = default;
  Handle(hid_t id, std::string_view what) : id_(check(id, what)) {}
  ~Handle() { reset(); }
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, H5I_INVALID_HID)) {}
  Handle& operator=(Handle&& other) noexcept {
    if (this != &other) {
      reset();
      id_ = std::exchange(other.id_, H5I_INVALID_HID);
    }
    return *this;
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  [[nodiscard]] hid_t get() const { return id_; }
  void close(std::string_view what) { check(Close(std::exchange(id_, H5I_INVALID_HID)), what); }

 private:
  void reset() noexcept {
    if (id_ >= 0) {
      Close(std::exchange(id_, H5I_INVALID_HID));
    }
  }
  hid_t id_ = H5I_INVALID_HID;
};

using File = Handle<H5Fclose>;
using Group = Handle<H5Gclose>;
using Dataset = Handle<H5Dclose>;
using Space = Handle<H5Sclose>;
using Datatype = Handle<H5Tclose>;
using Attribute = Handle<H5Aclose>;
using Properties = Handle<H5Pclose>;
using Object = Handle<H5Oclose>;

/// Stops the library's own printing; called before the first use.
void quiet();

/// Type in memory of a column: booleans as h5py has them (enum of int8), texts of fixed width.
Datatype column_type(Type type, std::size_t text_width);

/// Type of an array's elements, in files and in memory: booleans are bytes. @throws FatalError for
/// text
Datatype array_type(Type type);

/// Fixed-length UTF-8 text, padded with nulls.
Datatype text_type(std::size_t width);

std::vector<hsize_t> to_hsize(const std::vector<std::size_t>& values);

/// Column values as one buffer; works for every type but text.
void* raw(ColumnData& data);
const void* raw(const ColumnData& data);

}  // namespace skyloom::io::h5
