#include "stages.hpp"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <set>
#include <thread>

#include <fmt/format.h>

#include "skyloom/core/errors.hpp"

namespace skyloom::example {

namespace {

std::string key_of(int unit) {
  return fmt::format("unit-{:04d}", unit);
}

std::string part_of(const Config& config, int unit) {
  return config.parts.empty() ? "" : config.parts + "/" + key_of(unit) + ".txt";
}

}  // namespace

std::vector<std::string> Cut::inputs(const Config& config) {
  std::vector<std::string> files;
  if (!config.marks.empty()) {
    files.push_back(config.marks);
  }
  for (int i = 0; i < config.units && !config.parts.empty(); ++i) {
    files.push_back(part_of(config, i));
  }
  return files;
}

engine::Plan Cut::plan(const Config& config, const engine::Products&) {
  if (!config.marks.empty() && !std::ifstream(config.marks).good()) {
    throw ConfigError(config.marks, "cannot be read", "the file named by input.marks");
  }
  engine::Plan plan;
  plan.schema.tables = {{"pieces",
                         {{"unit", Type::int64, "", "number of the unit"},
                          {"piece", Type::int32, "", "number within the unit"},
                          {"value", Type::float64, "Jy", "a random number, scaled"},
                          {"label", Type::text, "", "parity of the unit"}}}};
  plan.schema.slabs = {{"strips",
                        Type::float32,
                        {static_cast<std::size_t>(config.units), kPieceWidth},
                        "Jy",
                        "one line per unit"}};
  if (config.units == 0) {
    plan.schema.slabs.clear();
  }
  for (int i = 0; i < config.units; ++i) {
    plan.add(key_of(i), 1.0 + i % 5, part_of(config, i));
  }
  return plan;
}

Cut::Input Cut::load(const Config& config, Context&, const engine::Unit& unit) {
  if (static_cast<int>(unit.index) == config.crashing_unit) {
    std::abort();  // as a C library does when it finds its memory spoilt
  }
  if (static_cast<int>(unit.index) == config.broken_unit) {
    throw UnitError(Reason::bad_input, "told to fail");
  }
  double factor = 1.0;
  if (!unit.source.empty() && !(std::ifstream(unit.source) >> factor)) {
    throw UnitError(Reason::bad_input, unit.source + ": holds no number");
  }
  return {unit.index, unit.key, factor};
}

Cut::Result Cut::compute(const Config& config, const Input& input, const Rng& rng,
                         UnitState& state) {
  CutResult result;
  result.index = input.index;
  for (std::size_t i = 0; i < input.index % 4; ++i) {
    result.values.push_back(input.factor * config.scale * rng.normal(i));
  }
  result.strip = Image<float>(kPieceWidth, 1);
  const std::size_t bytes = kPieceWidth * sizeof(float);
  float* strip = &result.strip(0, 0);
  int step = 0;
  if (!state.saved().empty()) {
    step = static_cast<unsigned char>(state.saved().front());
    std::memcpy(strip, state.saved().data() + 1, bytes);
  }
  const Rng noise = rng.stream("strip");
  for (; step < config.steps; ++step) {
    std::this_thread::sleep_for(std::chrono::milliseconds(config.sleep_ms));
    for (int x = 0; x < kPieceWidth; ++x) {
      // Not a sum: the order of steps and their number must be seen in the result.
      strip[x] =
          0.5F * strip[x] +
          static_cast<float>(noise.normal(static_cast<std::uint64_t>(step * kPieceWidth + x)));
    }
    if (step + 1 < config.steps) {
      state.border([&] {
        return static_cast<char>(step + 1) +
               std::string(reinterpret_cast<const char*>(strip), bytes);
      });
    }
  }
  return result;
}

void Cut::append(const Config&, const Result& result, engine::Rows& rows) {
  Table& pieces = rows.table("pieces");
  for (std::size_t i = 0; i < result.values.size(); ++i) {
    const std::size_t row = pieces.add_row();
    pieces.set(row, "unit", static_cast<std::int64_t>(result.index));
    pieces.set(row, "piece", static_cast<std::int64_t>(i));
    pieces.set(row, "value", result.values[i]);
    pieces.set(row, "label", result.index % 2 == 0 ? "even" : "odd");
  }
  rows.add_slab("strips", static_cast<int>(result.index), 0, result.strip.view());
}

engine::Plan Join::plan(const Config& config, const engine::Products& before) {
  std::set<std::int64_t> groups;
  for (const std::int64_t unit : before.table("cut", "pieces").get<std::int64_t>("unit")) {
    groups.insert(unit % config.groups);
  }
  engine::Plan plan;
  plan.schema.tables = {{"sums",
                         {{"group_id", Type::int64, "", "number of the group"},
                          {"pieces", Type::int32, "", "number of pieces"},
                          {"total", Type::float64, "Jy", "sum of the values, and the offset"}}}};
  for (const std::int64_t group : groups) {
    plan.add(fmt::format("{}", group), 1.0);
  }
  return plan;
}

std::unique_ptr<Join::Context> Join::open(const Config&, const engine::Products& before, Log&) {
  auto context = std::make_unique<Context>();
  context->pieces = &before.table("cut", "pieces");
  return context;
}

Join::Input Join::load(const Config& config, Context& context, const engine::Unit& unit) {
  Input input;
  input.group = static_cast<std::size_t>(std::stoul(unit.key));
  const auto& units = context.pieces->get<std::int64_t>("unit");
  const auto& values = context.pieces->get<double>("value");
  for (std::size_t i = 0; i < units.size(); ++i) {
    if (static_cast<std::size_t>(units[i] % config.groups) == input.group) {
      input.values.push_back(values[i]);
    }
  }
  return input;
}

Join::Result Join::compute(const Config& config, const Input& input, const Rng&) {
  Result result{input.group, input.values.size(), config.offset};
  for (const double value : input.values) {
    result.sum += value;
  }
  return result;
}

void Join::append(const Config&, const Result& result, engine::Rows& rows) {
  Table& sums = rows.table("sums");
  const std::size_t row = sums.add_row();
  sums.set(row, "group_id", static_cast<std::int64_t>(result.group));
  sums.set(row, "pieces", static_cast<std::int64_t>(result.count));
  sums.set(row, "total", result.sum);
}

}  // namespace skyloom::example
