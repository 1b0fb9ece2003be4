#include "plan_bytes.hpp"

#include <sstream>
#include <variant>

#include <boost/archive/binary_iarchive.hpp>
#include <boost/archive/binary_oarchive.hpp>
#include <boost/serialization/split_free.hpp>
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
  archive& slab.name& slab.type& slab.shape& slab.unit& slab.description& slab.deflate& slab.tile;
}

template <class Archive>
void serialize(Archive& archive, skyloom::TableSchema& table, unsigned /*version*/) {
  archive& table.name& table.columns;
}

template <class Archive>
void save(Archive& archive, const skyloom::Table& table, unsigned /*version*/) {
  const std::size_t rows = table.rows();
  archive << table.schema() << rows;
  for (std::size_t i = 0; i < table.columns().size(); ++i) {
    std::visit([&archive](const auto& values) { archive << values; }, table.data(i));
  }
}

template <class Archive>
void load(Archive& archive, skyloom::Table& table, unsigned /*version*/) {
  skyloom::TableSchema schema;
  std::size_t rows = 0;
  archive >> schema >> rows;
  table = skyloom::Table(std::move(schema));
  table.add_rows(rows);
  for (std::size_t i = 0; i < table.columns().size(); ++i) {
    std::visit([&archive](auto& values) { archive >> values; }, table.data(i));
  }
}

template <class Archive>
void serialize(Archive& archive, skyloom::Table& table, unsigned version) {
  split_free(archive, table, version);
}

template <class Archive>
void save(Archive& archive, const skyloom::engine::FileAttribute& attribute, unsigned /*version*/) {
  const std::size_t kind = attribute.value.index();
  archive << attribute.object << attribute.name << kind;
  std::visit([&archive](const auto& value) { archive << value; }, attribute.value);
}

template <std::size_t Kind = 0, class Archive>
void load_value(Archive& archive, skyloom::engine::AttributeValue& value, std::size_t kind) {
  if constexpr (Kind < std::variant_size_v<skyloom::engine::AttributeValue>) {
    if (kind == Kind) {
      archive >> value.emplace<Kind>();
    } else {
      load_value<Kind + 1>(archive, value, kind);
    }
  }
}

template <class Archive>
void load(Archive& archive, skyloom::engine::FileAttribute& attribute, unsigned /*version*/) {
  std::size_t kind = 0;
  archive >> attribute.object >> attribute.name >> kind;
  load_value(archive, attribute.value, kind);
}

template <class Archive>
void serialize(Archive& archive, skyloom::engine::FileAttribute& attribute, unsigned version) {
  split_free(archive, attribute, version);
}

template <class Archive>
void serialize(Archive& archive, skyloom::engine::FileContent& content, unsigned /*version*/) {
  archive& content.tables& content.attributes;
}

}  // namespace boost::serialization

namespace skyloom::engine {
namespace {

struct PackedList {
  UnitList units;
  std::string items;

  template <class Archive>
  void serialize(Archive& archive, unsigned /*version*/) {
    archive& units& items;
  }
};

/// Every rank gets and unpacks millions of units: few large blocks of few bytes.
struct Packed {
  PackedList list;
  std::vector<TableSchema> tables;
  std::vector<SlabArray> slabs;
  FileContent slab_content;
  double volume_mb = 0.0;

  template <class Archive>
  void serialize(Archive& archive, unsigned /*version*/) {
    archive& list& tables& slabs& slab_content& volume_mb;
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
  return to_bytes(Packed{{plan.units, plan.items},
                         plan.schema.tables,
                         plan.schema.slabs,
                         plan.slab_content,
                         plan.volume_mb});
}

Plan plan_from_bytes(const std::string& bytes) {
  auto packed = from_bytes<Packed>(bytes);
  Plan plan;
  plan.units = std::move(packed.list.units);
  plan.schema = {std::move(packed.tables), std::move(packed.slabs)};
  plan.items = std::move(packed.list.items);
  plan.volume_mb = packed.volume_mb;
  plan.slab_content = std::move(packed.slab_content);
  return plan;
}

std::string unit_list_to_bytes(const Plan& plan) {
  return to_bytes(PackedList{plan.units.names(), plan.items});
}

Plan unit_list_from_bytes(const std::string& bytes) {
  auto packed = from_bytes<PackedList>(bytes);
  Plan plan;
  plan.units = std::move(packed.units);
  plan.items = std::move(packed.items);
  return plan;
}

std::string texts_to_bytes(const std::vector<std::pair<std::string, std::string>>& texts) {
  return to_bytes(texts);
}

std::vector<std::pair<std::string, std::string>> texts_from_bytes(const std::string& bytes) {
  return from_bytes<std::vector<std::pair<std::string, std::string>>>(bytes);
}

}  // namespace skyloom::engine
