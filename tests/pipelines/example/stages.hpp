#pragma once
// The two stages of the example pipeline.

#include <memory>
#include <string>
#include <vector>

#include "skyloom/core/image.hpp"
#include "skyloom/core/random.hpp"
#include "skyloom/engine/stage.hpp"

#include "example.hpp"

namespace skyloom::example {

inline constexpr int kPieceWidth = 16;

struct CutResult {
  std::size_t index = 0;
  std::vector<double> values;
  Image<float> strip;
};

struct Cut {
  using Config = example::Config;
  struct Context {};
  struct Input {
    std::size_t index = 0;
    std::string key;
    double factor = 1.0;
  };
  using Result = CutResult;
  static constexpr std::string_view name = "cut";

  static std::vector<std::string> inputs(const Config& config);
  static std::vector<std::string> needs() { return {}; }
  static engine::Plan plan(const Config& config, const engine::Products& before);
  static std::unique_ptr<Context> open(const Config&, const engine::Products&, Log&) {
    return std::make_unique<Context>();
  }
  static Input load(const Config& config, Context& context, const engine::Unit& unit);
  static Result compute(const Config& config, const Input& input, const Rng& rng, UnitState& state);
  static void append(const Config& config, const Result& result, engine::Rows& rows);
};

struct Join {
  using Config = example::Config;
  struct Context {
    const Table* pieces = nullptr;
  };
  struct Input {
    std::size_t group = 0;
    std::vector<double> values;
  };
  struct Result {
    std::size_t group = 0;
    std::size_t count = 0;
    double sum = 0.0;
  };
  static constexpr std::string_view name = "join";

  static std::vector<std::string> inputs(const Config&) { return {}; }
  static std::vector<std::string> needs() { return {"cut"}; }
  static engine::Plan plan(const Config& config, const engine::Products& before);
  static std::unique_ptr<Context> open(const Config& config, const engine::Products& before,
                                       Log& log);
  static Input load(const Config& config, Context& context, const engine::Unit& unit);
  static Result compute(const Config& config, const Input& input, const Rng& rng);
  static void append(const Config& config, const Result& result, engine::Rows& rows);
};

}  // namespace skyloom::example
