#pragma once
// A stage: plan -> open -> [load -> compute -> append] -> product. A pipeline author writes a
// struct that satisfies `Stage`; StageAdapter turns it into the virtual StageBase that the engine
// runs.

#include <concepts>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "skyloom/core/log.hpp"
#include "skyloom/core/random.hpp"
#include "skyloom/core/unit_state.hpp"
#include "skyloom/engine/products.hpp"
#include "skyloom/engine/rows.hpp"
#include "skyloom/engine/unit.hpp"

namespace skyloom::engine {

class StageBase {
 public:
  virtual ~StageBase() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  /// Files whose content the stage depends on. Called on rank 0 only.
  [[nodiscard]] virtual std::vector<std::string> inputs() = 0;
  /// Those of inputs() that this unit reads and not every other one. What no unit names so is read
  /// by all. Called on rank 0 only.
  [[nodiscard]] virtual std::vector<std::string> reads(const Unit& unit) {
    return unit.source.empty() ? std::vector<std::string>{} : std::vector<std::string>{unit.source};
  }
  /// Stages whose products it reads, by name; part of its hash.
  [[nodiscard]] virtual std::vector<std::string> needs() const = 0;
  /// True when it only prepares for the stages that need it: the command of such a stage does it on
  /// the way, and again when its keys or inputs changed.
  [[nodiscard]] virtual bool prepares() const { return false; }
  /// Where its slab arrays go, relative to the run directory; "" = <stage>.slabs.h5.
  [[nodiscard]] virtual std::string slab_file() const { return {}; }
  /// Called on rank 0 only; the result is broadcast. @throws ConfigError for bad input
  [[nodiscard]] virtual Plan plan(const Products& before) = 0;
  /// Called once on every rank before its first unit (and not on ranks without units).
  virtual void open(const Products& before, Log& log) = 0;
  /// One unit; throws UnitError when it cannot be done, UnitInterrupted when its state was saved.
  virtual void process(const Unit& unit, std::uint64_t seed, Rows& rows, UnitState& state) = 0;
  /// Frees what open() made.
  virtual void close() = 0;
};

// clang-format off
/// A stage whose units may take minutes: its kernel also gets the state of the unit.
template <class S>
concept SavesState = requires(const typename S::Config& config, const typename S::Input& input,
                              const Rng& rng, UnitState& state) {
  { S::compute(config, input, rng, state) } -> std::same_as<typename S::Result>;
};

/// A stage whose slab file is a product with a name of its own.
template <class S>
concept NamesSlabFile = requires(const typename S::Config& config) {
  { S::slab_file(config) } -> std::same_as<std::string>;
};

/// A stage that is no step of its own to its users.
template <class S>
concept Prepares = S::kPrepares;

/// A stage whose units read more input files of their own than Unit::source.
template <class S>
concept NamesReads = requires(const typename S::Config& config, const Unit& unit) {
  { S::reads(config, unit) } -> std::same_as<std::vector<std::string>>;
};

template <class S>
concept Computes = SavesState<S> || requires(const typename S::Config& config,
                                             const typename S::Input& input, const Rng& rng) {
  { S::compute(config, input, rng) } -> std::same_as<typename S::Result>;
};

template <class S>
concept Stage = Computes<S> && requires(const typename S::Config& config, const Products& before, Log& log,
                         typename S::Context& context, const Unit& unit,
                         const typename S::Result& result, Rows& rows) {
  { S::name } -> std::convertible_to<std::string_view>;
  { S::inputs(config) } -> std::same_as<std::vector<std::string>>;
  { S::needs() } -> std::same_as<std::vector<std::string>>;
  { S::plan(config, before) } -> std::same_as<Plan>;
  { S::open(config, before, log) } -> std::same_as<std::unique_ptr<typename S::Context>>;
  { S::load(config, context, unit) } -> std::same_as<typename S::Input>;
  { S::append(config, result, rows) } -> std::same_as<void>;
};
// clang-format on

template <Stage S>
class StageAdapter final : public StageBase {
 public:
  explicit StageAdapter(const typename S::Config& config) : config_(config) {}

  [[nodiscard]] std::string_view name() const override { return S::name; }
  [[nodiscard]] std::vector<std::string> inputs() override { return S::inputs(config_); }
  [[nodiscard]] std::vector<std::string> reads(const Unit& unit) override {
    if constexpr (NamesReads<S>) {
      return S::reads(config_, unit);
    } else {
      return StageBase::reads(unit);
    }
  }
  [[nodiscard]] std::vector<std::string> needs() const override { return S::needs(); }
  [[nodiscard]] bool prepares() const override { return Prepares<S>; }
  [[nodiscard]] std::string slab_file() const override {
    if constexpr (NamesSlabFile<S>) {
      return S::slab_file(config_);
    } else {
      return {};
    }
  }
  [[nodiscard]] Plan plan(const Products& before) override { return S::plan(config_, before); }
  void open(const Products& before, Log& log) override { context_ = S::open(config_, before, log); }
  void process(const Unit& unit, std::uint64_t seed, Rows& rows, UnitState& state) override {
    const typename S::Input input = S::load(config_, *context_, unit);
    const Rng rng(seed, S::name, unit.random_key.empty() ? unit.key : unit.random_key);
    if constexpr (SavesState<S>) {
      S::append(config_, S::compute(config_, input, rng, state), rows);
    } else {
      S::append(config_, S::compute(config_, input, rng), rows);
    }
  }
  void close() override { context_.reset(); }

 private:
  const typename S::Config& config_;
  std::unique_ptr<typename S::Context> context_;
};

}  // namespace skyloom::engine
