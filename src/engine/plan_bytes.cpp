#include "plan_bytes.hpp"

#include <algorithm>
#include <cstring>
#include <sstream>
#include <string_view>

#include <boost/archive/binary_iarchive.hpp>
#include <boost/archive/binary_oarchive.hpp>
#include <boost/serialization/string.hpp>
#include <boost/serialization/utility.hpp>
#include <boost/serialization/vector.hpp>

#include "skyloom/core/errors.hpp"

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

/// Every rank gets and unpacks millions of units: few large blocks of few bytes. Of a key stands
/// how many bytes it shares with the one before, the rest, and a zero.
struct Packed {
  std::vector<float> costs;
  std::string keys;
  std::vector<TableSchema> tables;
  std::vector<SlabArray> slabs;

  template <class Archive>
  void serialize(Archive& archive, unsigned /*version*/) {
    archive& costs& keys& tables& slabs;
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
  constexpr std::ptrdiff_t kMostShared = 255;
  Packed packed{{}, {}, plan.schema.tables, plan.schema.slabs};
  std::string_view before;
  for (const Unit& unit : plan.units) {
    const std::string_view key = unit.key;
    if (key.find('\0') != std::string_view::npos) {
      throw FatalError("plan: a zero byte in the key of unit " + std::to_string(unit.index));
    }
    const auto limit = std::min({std::ssize(key), std::ssize(before), kMostShared});
    const auto shared = std::mismatch(key.begin(), key.begin() + limit, before.begin()).first;
    packed.costs.push_back(static_cast<float>(unit.cost));
    packed.keys += static_cast<char>(shared - key.begin());
    packed.keys.append(shared, key.end());
    packed.keys += '\0';
    before = key;
  }
  return to_bytes(packed);
}

Plan plan_from_bytes(const std::string& bytes) {
  auto packed = from_bytes<Packed>(bytes);
  Plan plan;
  plan.schema = {std::move(packed.tables), std::move(packed.slabs)};
  plan.units.reserve(packed.costs.size());
  std::string key;
  const char* at = packed.keys.data();
  for (const float cost : packed.costs) {
    key.resize(static_cast<unsigned char>(*at++));
    const std::size_t length = std::strlen(at);
    key.append(at, length);
    at += length + 1;
    plan.add(key, cost);
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
