#include "skyloom/engine/rows.hpp"

#include <cstring>

#include "skyloom/core/errors.hpp"

namespace skyloom::engine {
namespace {

std::size_t slab_position(const Schema& schema, std::string_view name) {
  for (std::size_t i = 0; i < schema.slabs.size(); ++i) {
    if (schema.slabs[i].name == name) {
      return i;
    }
  }
  throw FatalError("no slab array " + std::string(name) + " in the schema");
}

void check_part(const SlabArray& slab, const SlabPart& part) {
  std::size_t bytes = size_of(slab.type);
  bool fits = part.start.size() == slab.shape.size() && part.count.size() == slab.shape.size();
  for (std::size_t i = 0; fits && i < slab.shape.size(); ++i) {
    fits = part.start[i] <= slab.shape[i] && part.count[i] <= slab.shape[i] - part.start[i];
    bytes *= part.count[i];
  }
  if (!fits || bytes != part.bytes.size()) {
    throw FatalError("slab array " + slab.name + ": a part does not fit its shape and type");
  }
}

template <class T>
SlabPart part_of(const SlabArray& slab, Type type, int y0, int x0, ImageView<const T> values) {
  if (slab.type != type || y0 < 0 || x0 < 0) {
    throw FatalError("slab array " + slab.name + ": a part does not fit its shape and type");
  }
  SlabPart part;
  part.start = {static_cast<std::size_t>(y0), static_cast<std::size_t>(x0)};
  part.count = {static_cast<std::size_t>(values.height()),
                static_cast<std::size_t>(values.width())};
  const std::size_t row_bytes = part.count[1] * sizeof(T);
  if (values.stride() == values.width() || values.height() == 1) {
    const auto* bytes = reinterpret_cast<const std::byte*>(values.data());
    part.bytes.assign(bytes, bytes + part.count[0] * row_bytes);
    return part;
  }
  part.bytes.resize(part.count[0] * row_bytes);
  for (int y = 0; y < values.height() && row_bytes > 0; ++y) {
    std::memcpy(part.bytes.data() + static_cast<std::size_t>(y) * row_bytes, values.row(y).data(),
                row_bytes);
  }
  return part;
}

SlabPart in_plane(std::size_t plane, SlabPart part) {
  part.start.insert(part.start.begin(), plane);
  part.count.insert(part.count.begin(), 1);
  return part;
}

}  // namespace

Rows::Rows(const Schema& schema) : schema_(&schema) {
  tables_.reserve(schema.tables.size());
  for (const TableSchema& table : schema.tables) {
    tables_.emplace_back(table);
  }
}

Table& Rows::table(std::string_view name) {
  for (Table& table : tables_) {
    if (table.name() == name) {
      return table;
    }
  }
  throw FatalError("no table " + std::string(name) + " in the schema");
}

void Rows::add_slab(std::string_view name, int y0, int x0, ImageView<const float> values) {
  const SlabArray& slab = schema_->slab(name);
  add_slab(name, part_of(slab, Type::float32, y0, x0, values));
}

void Rows::add_slab(std::string_view name, int y0, int x0, ImageView<const std::uint8_t> values) {
  const SlabArray& slab = schema_->slab(name);
  add_slab(name, part_of(slab, Type::boolean, y0, x0, values));
}

void Rows::add_slab(std::string_view name, std::size_t plane, int y0, int x0,
                    ImageView<const float> values) {
  add_slab(name, in_plane(plane, part_of(schema_->slab(name), Type::float32, y0, x0, values)));
}

void Rows::add_slab(std::string_view name, std::size_t plane, int y0, int x0,
                    ImageView<const std::uint16_t> values) {
  add_slab(name, in_plane(plane, part_of(schema_->slab(name), Type::uint16, y0, x0, values)));
}

void Rows::add_slab(std::string_view name, SlabPart part) {
  part.slab = slab_position(*schema_, name);
  check_part(schema_->slabs[part.slab], part);
  if (sink_) {
    sink_(part);
  } else {
    slabs_.push_back(std::move(part));
  }
}

void Rows::clear() {
  for (Table& table : tables_) {
    table.clear();
  }
  slabs_.clear();
}

}  // namespace skyloom::engine
