#include "plan_bytes.hpp"

#include <cstdint>
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

}  // namespace boost::serialization

namespace skyloom::engine {
namespace {

/// Every rank unpacks millions of units: few large blocks instead of many small values.
struct Packed {
  std::vector<double> costs;
  std::vector<std::uint32_t> key_bytes;
  std::string keys;
  std::vector<TableSchema> tables;
  std::vector<SlabArray> slabs;

  template <class Archive>
  void serialize(Archive& archive, unsigned /*version*/) {
    archive& costs& key_bytes& keys& tables& slabs;
  }
};

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
  Packed packed{{}, {}, {}, plan.schema.tables, plan.schema.slabs};
  for (const Unit& unit : plan.units) {
    packed.costs.push_back(unit.cost);
    packed.key_bytes.push_back(static_cast<std::uint32_t>(unit.key.size()));
    packed.keys += unit.key;
  }
  return to_bytes(packed);
}

Plan plan_from_bytes(const std::string& bytes) {
  auto packed = from_bytes<Packed>(bytes);
  Plan plan;
  plan.schema = {std::move(packed.tables), std::move(packed.slabs)};
  plan.units.reserve(packed.costs.size());
  std::size_t at = 0;
  for (std::size_t unit = 0; unit < packed.costs.size(); ++unit) {
    plan.add(packed.keys.substr(at, packed.key_bytes[unit]), packed.costs[unit]);
    at += packed.key_bytes[unit];
  }
  return plan;
}

std::string texts_to_bytes(const std::vector<std::pair<std::string, std::string>>& texts) {
  return to_bytes(texts);
}

std::vector<std::pair<std::string, std::string>> texts_from_bytes(const std::string& bytes) {
  return from_bytes<std::vector<std::pair<std::string, std::string>>>(bytes);
}

}  // namespace skyloom::engine
