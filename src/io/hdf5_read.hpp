#pragma once
// Private to io: members, shapes and values of an open HDF5 file, as the types of this program.

#include <string>
#include <vector>

#include "hdf5_handles.hpp"

namespace skyloom::io::h5 {

/// Shape of a dataset, slowest axis first; empty for a scalar.
std::vector<std::size_t> shape_of(hid_t dataset);

/// Names of a group's members, in creation order where the group keeps it, otherwise by name.
std::vector<std::string> members(hid_t group);

/// Kind of a member that stands in this file itself; H5O_TYPE_UNKNOWN for links elsewhere.
H5O_type_t kind_of(hid_t group, const std::string& name);

/// Type of a column that holds the values of a file type. @throws FatalError naming `name`
Type type_in_memory(hid_t type, const std::string& name);

/// A selection in a file and the matching space in memory.
struct Selection {
  Space file;
  Space memory;
  std::size_t elements = 0;
};
Selection select(hid_t dataset, const std::vector<hsize_t>& start,
                 const std::vector<hsize_t>& count);

/// Values of a selection; texts lose trailing blanks and nulls.
ColumnData read_values(hid_t dataset, Type type, const Selection& part, const std::string& name);

/// A scalar attribute as text, numbers in shortest form; "" for other shapes and types.
std::string attribute_text(hid_t attribute, const std::string& name);

/// Texts of an attribute of any shape; none for an empty one, whatever its type.
/// @throws FatalError naming `name` for numbers
std::vector<std::string> attribute_texts(hid_t attribute, const std::string& name);

}  // namespace skyloom::io::h5
