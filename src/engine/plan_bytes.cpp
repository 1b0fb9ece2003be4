#include "plan_bytes.hpp"

#include <sstream>

#include <boost/archive/binary_iarchive.hpp>
#include <boost/archive/binary_oarchive.hpp>
#include <boost/serialization/string.hpp>
#include <boost/serialization/utility.hpp>
#include <boost/serialization/vector.hpp>

namespace boost::serialization {

template <class Archive>
void serialize(Archive& archive, skyloom::Column& column, unsigned /*version*/) {
  archive& column.name& column.type& column.unit& column.description& column.shape;
}

template <class Archive>
void serialize(Archive& archive, skyloom::SlabArray& slab, unsigned /*version*/) {
  archive& slab.name& slab.type& slab.shape& slab.unit& slab.description& slab.deflate;
}

template <class Archive>
void serialize(Archive& archive, skyloom::TableSchema& table, unsigned /*version*/) {
  archive& table.name& table.columns;
}

template <class Archive>
void serialize(Archive& archive, skyloom::engine::Unit& unit, unsigned /*version*/) {
  archive& unit.index& unit.key& unit.cost& unit.source& unit.random_key;
}

template <class Archive>
void serialize(Archive& archive, skyloom::engine::Plan& plan, unsigned /*version*/) {
  archive& plan.units& plan.schema.tables& plan.schema.slabs;
}

}  // namespace boost::serialization

namespace skyloom::engine {
namespace {

template <class T>
std::string to_bytes(const T& value) {
  std::ostringstream stream;
  boost::archive::binary_oarchive(stream) << value;
  return std::move(stream).str();
}

template <class T>
T from_bytes(const std::string& bytes) {
  std::istringstream stream(bytes);
  T value;
  boost::archive::binary_iarchive(stream) >> value;
  return value;
}

}  // namespace

std::string plan_to_bytes(const Plan& plan) {
  return to_bytes(plan);
}

Plan plan_from_bytes(const std::string& bytes) {
  return from_bytes<Plan>(bytes);
}

std::string texts_to_bytes(const std::vector<std::pair<std::string, std::string>>& texts) {
  return to_bytes(texts);
}

std::vector<std::pair<std::string, std::string>> texts_from_bytes(const std::string& bytes) {
  return from_bytes<std::vector<std::pair<std::string, std::string>>>(bytes);
}

}  // namespace skyloom::engine
