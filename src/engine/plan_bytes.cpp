#include "plan_bytes.hpp"

#include <algorithm>
#include <cstring>
#include <sstream>
#include <string_view>

#include <boost/archive/binary_iarchive.hpp>
#include <boost/archive/binary_oarchive.hpp>
#include <boost/serialization/split_free.hpp>
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

/// Texts that resemble the one before: how many bytes they share with it, the rest, and a zero. No
/// bytes when all are empty.
class PackedTexts {
 public:
  PackedTexts() = default;
  PackedTexts(const std::vector<Unit>& units, std::string Unit::*text) {
    if (std::any_of(units.begin(), units.end(),
                    [text](const Unit& unit) { return !(unit.*text).empty(); })) {
      for (const Unit& unit : units) {
        add(unit.*text);
      }
    }
  }
  /// The next text, in their order.
  const std::string& next() {
    if (!bytes_.empty()) {
      const char* at = bytes_.data() + read_;
      before_.resize(static_cast<unsigned char>(*at));
      const std::size_t length = std::strlen(at + 1);
      before_.append(at + 1, length);
      read_ += length + 2;
    }
    return before_;
  }

  template <class Archive>
  void serialize(Archive& archive, unsigned /*version*/) {
    archive& bytes_;
  }

 private:
  void add(std::string_view text) {
    constexpr std::ptrdiff_t kMostShared = 255;
    if (text.find('\0') != std::string_view::npos) {
      throw FatalError("plan: a zero byte in '" + std::string(text.data()) + "...'");
    }
    const auto limit = std::min({std::ssize(text), std::ssize(before_), kMostShared});
    const auto shared = std::mismatch(text.begin(), text.begin() + limit, before_.begin()).first;
    bytes_ += static_cast<char>(shared - text.begin());
    bytes_.append(shared, text.end());
    bytes_ += '\0';
    before_ = text;
  }

  std::string bytes_;
  std::string before_;
  std::size_t read_ = 0;
};

/// What the units count; no numbers when they count nothing.
struct Counted {
  std::string items;
  std::vector<std::uint32_t> of_unit;

  Counted() = default;
  explicit Counted(const Plan& plan) : items(plan.items) {
    if (!items.empty()) {
      for (const Unit& unit : plan.units) {
        of_unit.push_back(unit.items);
      }
    }
  }
  template <class Archive>
  void serialize(Archive& archive, unsigned /*version*/) {
    archive& items& of_unit;
  }
};

struct PackedList {
  std::uint64_t units = 0;
  PackedTexts keys;
  Counted counted;

  template <class Archive>
  void serialize(Archive& archive, unsigned /*version*/) {
    archive& units& keys& counted;
  }
};

/// Every rank gets and unpacks millions of units: few large blocks of few bytes.
struct Packed {
  std::vector<float> costs;
  PackedTexts keys;
  PackedTexts sources;
  PackedTexts random_keys;
  Counted counted;
  std::vector<TableSchema> tables;
  std::vector<SlabArray> slabs;
  FileContent slab_content;
  double volume_mb = 0.0;

  template <class Archive>
  void serialize(Archive& archive, unsigned /*version*/) {
    archive& costs& keys& sources& random_keys& counted& tables& slabs& slab_content& volume_mb;
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

void take_items(Counted counted, Plan& plan) {
  for (std::size_t i = 0; i < counted.of_unit.size(); ++i) {
    plan.units[i].items = counted.of_unit[i];
  }
  plan.items = std::move(counted.items);
}

}  // namespace

std::string plan_to_bytes(const Plan& plan) {
  Packed packed;
  packed.tables = plan.schema.tables;
  packed.slabs = plan.schema.slabs;
  packed.slab_content = plan.slab_content;
  packed.volume_mb = plan.volume_mb;
  packed.keys = {plan.units, &Unit::key};
  packed.sources = {plan.units, &Unit::source};
  packed.random_keys = {plan.units, &Unit::random_key};
  packed.counted = Counted(plan);
  for (const Unit& unit : plan.units) {
    packed.costs.push_back(static_cast<float>(unit.cost));
  }
  return to_bytes(packed);
}

Plan plan_from_bytes(const std::string& bytes) {
  auto packed = from_bytes<Packed>(bytes);
  Plan plan;
  plan.schema = {std::move(packed.tables), std::move(packed.slabs)};
  plan.slab_content = std::move(packed.slab_content);
  plan.volume_mb = packed.volume_mb;
  plan.units.reserve(packed.costs.size());
  for (const float cost : packed.costs) {
    plan.add(packed.keys.next(), cost, packed.sources.next());
    plan.units.back().random_key = packed.random_keys.next();
  }
  take_items(std::move(packed.counted), plan);
  return plan;
}

std::string unit_list_to_bytes(const Plan& plan) {
  PackedList packed;
  packed.units = plan.units.size();
  packed.keys = {plan.units, &Unit::key};
  packed.counted = Counted(plan);
  return to_bytes(packed);
}

Plan unit_list_from_bytes(const std::string& bytes) {
  auto packed = from_bytes<PackedList>(bytes);
  Plan plan;
  for (std::uint64_t i = 0; i < packed.units; ++i) {
    plan.add(packed.keys.next(), 1.0);
  }
  take_items(std::move(packed.counted), plan);
  return plan;
}

std::string texts_to_bytes(const std::vector<std::pair<std::string, std::string>>& texts) {
  return to_bytes(texts);
}

std::vector<std::pair<std::string, std::string>> texts_from_bytes(const std::string& bytes) {
  return from_bytes<std::vector<std::pair<std::string, std::string>>>(bytes);
}

}  // namespace skyloom::engine
