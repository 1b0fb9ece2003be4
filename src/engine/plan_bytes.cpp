#include "plan_bytes.hpp"

#include <sstream>

#include <boost/archive/binary_iarchive.hpp>
#include <boost/archive/binary_oarchive.hpp>
#include <boost/serialization/string.hpp>
#include <boost/serialization/vector.hpp>

namespace boost::serialization {

template <class Archive>
void serialize(Archive& archive, skyloom::Column& column, unsigned /*version*/) {
  archive & column.name & column.type & column.unit & column.description & column.shape;
}

template <class Archive>
void serialize(Archive& archive, skyloom::SlabArray& slab, unsigned /*version*/) {
  archive & slab.name & slab.type & slab.shape & slab.unit & slab.description;
}

template <class Archive>
void serialize(Archive& archive, skyloom::TableSchema& table, unsigned /*version*/) {
  archive & table.name & table.columns;
}

template <class Archive>
void serialize(Archive& archive, skyloom::engine::Unit& unit, unsigned /*version*/) {
  archive & unit.index & unit.key & unit.cost;
}

template <class Archive>
void serialize(Archive& archive, skyloom::engine::Plan& plan, unsigned /*version*/) {
  archive & plan.units & plan.schema.tables & plan.schema.slabs;
}

}  // namespace boost::serialization

namespace skyloom::engine {

std::string plan_to_bytes(const Plan& plan) {
  std::ostringstream stream;
  boost::archive::binary_oarchive(stream) << plan;
  return std::move(stream).str();
}

Plan plan_from_bytes(const std::string& bytes) {
  std::istringstream stream(bytes);
  Plan plan;
  boost::archive::binary_iarchive(stream) >> plan;
  return plan;
}

}  // namespace skyloom::engine
