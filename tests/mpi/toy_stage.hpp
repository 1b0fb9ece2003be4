#pragma once
// A stage whose products are known in closed form: unit k writes k % 4 rows of "things" (numbers,
// text, an array) and row k of a slab array; units may be told to fail.

#include <algorithm>
#include <functional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include <signal.h>

#include "skyloom/core/errors.hpp"
#include "skyloom/engine/stage.hpp"

namespace toy {

inline constexpr int kWidth = 12;

inline skyloom::Schema schema(std::size_t units) {
  using skyloom::Type;
  return {{{"things",
            {{"id", Type::int64, "", "number"},
             {"flux_njy", Type::float64, "nJy", "flux"},
             {"good", Type::boolean, "", "flag"},
             {"name", Type::text, "", "name"},
             {"stamp", Type::float32, "", "values", {2, 2}}}},
           {"nothing", {{"value", Type::float32, "", "always empty"}}}},
          {{"toy/image", Type::float32, {units, kWidth}, "nJy", "one row per unit"}}};
}

class Stage final : public skyloom::engine::StageBase {
 public:
  explicit Stage(std::size_t units) : units_(units) {}

  std::set<std::size_t> failing;     ///< throw UnitError
  std::set<std::size_t> broken;      ///< throw another exception, after adding rows
  std::size_t bulk = 0;              ///< rows of "nothing" per unit
  std::function<void()> after_unit;  ///< called at the end of every unit
  std::function<void()> at_open;
  std::function<void(const skyloom::engine::Unit&, skyloom::UnitState&)> with_state;
  int opened = 0;
  int processed = 0;

  [[nodiscard]] std::string_view name() const override { return "toy"; }
  [[nodiscard]] std::vector<std::string> inputs() override { return {}; }
  [[nodiscard]] std::vector<std::string> needs() const override { return {}; }
  [[nodiscard]] skyloom::engine::Plan plan(const skyloom::engine::Products&) override {
    skyloom::engine::Plan plan;
    for (std::size_t k = 0; k < units_; ++k) {
      plan.add("unit " + std::to_string(k), static_cast<double>(k * 7 % 11));
    }
    plan.schema = schema(units_);
    if (units_ == 0) {
      plan.schema.slabs.clear();
    }
    return plan;
  }
  void open(const skyloom::engine::Products&, skyloom::Log&) override {
    ++opened;
    if (at_open) {
      at_open();
    }
  }
  void process(const skyloom::engine::Unit& unit, std::uint64_t seed, skyloom::engine::Rows& rows,
               skyloom::UnitState& state) override {
    ++processed;
    if (with_state) {
      with_state(unit, state);
    }
    if (failing.contains(unit.index)) {
      throw skyloom::UnitError(skyloom::Reason::no_good_data, "nothing\nto see");
    }
    const skyloom::Rng rng(seed, "toy", unit.key);
    skyloom::Table& things = rows.table("things");
    for (std::size_t i = 0; i < unit.index % 4; ++i) {
      const std::size_t row = things.add_row();
      things.set(row, "id", static_cast<std::int64_t>(unit.index * 10 + i));
      things.set(row, "flux_njy", static_cast<double>(unit.index) / static_cast<double>(i + 3));
      things.set(row, "good", i % 2 == 0);
      things.set(row, "name", unit.key + std::string(unit.index % 6, '+'));
      const std::vector<float> stamp(4, static_cast<float>(unit.index));
      things.set(row, "stamp", std::span<const float>(stamp));
    }
    rows.table("nothing").add_rows(bulk);
    std::ranges::fill(rows.table("nothing").get<float>("value"), static_cast<float>(unit.index));
    if (broken.contains(unit.index)) {
      throw std::logic_error("a defect");
    }
    skyloom::Image<float> line(kWidth, 1, static_cast<float>(unit.index) + 0.5F);
    rows.add_slab("toy/image", static_cast<int>(unit.index), 0, line.view());
    if (after_unit) {
      after_unit();
    }
  }
  void close() override {}

 private:
  std::size_t units_;
};

}  // namespace toy
