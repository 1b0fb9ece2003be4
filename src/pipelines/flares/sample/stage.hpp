#pragma once
// Stage `sample`: completeness and flare frequency of all stars together, from what stage `rates`
// stored of each. Unit: the sample.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/flares/config.hpp"
#include "pipelines/flares/rates/kernel_survey.hpp"
#include "skyloom/engine/stage.hpp"

namespace skyloom::flares {

struct SampleStage {
  static constexpr std::string_view name = "sample";
  using Config = flares::Config;

  struct Context {
    const engine::Products* products = nullptr;
  };
  using Input = SampleSearch;
  struct Result {
    Completeness completeness;
    std::size_t stars = 0;
    std::size_t sectors = 0;
    CombinedRates rates;
  };

  static std::vector<std::string> inputs(const Config& /*config*/) { return {}; }
  static std::vector<std::string> needs() { return {"rates"}; }
  static engine::Plan plan(const Config& config, const engine::Products& before);
  static std::unique_ptr<Context> open(const Config& config, const engine::Products& before,
                                       Log& log);
  static Input load(const Config& config, Context& context, const engine::Unit& unit);
  static Result compute(const Config& config, const Input& input, const Rng& rng);
  static void append(const Config& config, const Result& result, engine::Rows& rows);
};

}  // namespace skyloom::flares
