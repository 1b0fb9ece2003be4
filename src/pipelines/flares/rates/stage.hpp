#pragma once
// Stage `rates`: completeness and flare frequency per sector and star. Unit: a star. Sectors come
// from this run and from the runs that inputs.runs names.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/flares/config.hpp"
#include "pipelines/flares/rates/kernel_survey.hpp"
#include "pipelines/flares/stored.hpp"
#include "skyloom/engine/stage.hpp"

namespace skyloom::flares {

/// A sector whose flares were measured, and where its injections stand.
struct RatedSector {
  std::size_t run = 0;  ///< which products
  StoredSector stored;
  std::size_t first_flare = 0;  ///< row of /flares of `gp`
  std::size_t flares = 0;
  struct Block {
    std::size_t row = 0;  ///< of /injections and /recoveries
    std::size_t flares = 0;
    int repeats = 0;
  };
  std::vector<Block> blocks;
};

/// The finished runs that rates are made from.
class RatedRuns {
 public:
  /// @throws ConfigError when two runs have the same sector
  RatedRuns(const Config& config, const engine::Products& own);

  /// By star and sector.
  [[nodiscard]] const std::vector<RatedSector>& sectors() const { return sectors_; }
  /// [first, last) of the sectors of every star.
  [[nodiscard]] const std::vector<std::pair<std::size_t, std::size_t>>& stars() const {
    return stars_;
  }
  [[nodiscard]] const engine::Products& products(const RatedSector& sector) const {
    return *runs_[sector.run];
  }
  [[nodiscard]] SectorSearch read(const Config& config, const RatedSector& sector) const;

 private:
  void add(std::size_t run);

  std::vector<std::unique_ptr<engine::Products>> others_;
  std::vector<const engine::Products*> runs_;
  std::vector<RatedSector> sectors_;
  std::vector<std::pair<std::size_t, std::size_t>> stars_;
};

struct RatesStage {
  static constexpr std::string_view name = "rates";
  using Config = flares::Config;

  struct Context {
    std::unique_ptr<RatedRuns> runs;
  };
  using Input = StarSearch;  ///< sectors are added up while they are read
  struct Result {
    StarSearch star;
    CombinedRates rates;
  };

  static std::vector<std::string> inputs(const Config& config);
  static std::vector<std::string> needs() { return {"detect", "gp", "inject"}; }
  static engine::Plan plan(const Config& config, const engine::Products& before);
  static std::unique_ptr<Context> open(const Config& config, const engine::Products& before,
                                       Log& log);
  static Input load(const Config& config, Context& context, const engine::Unit& unit);
  static Result compute(const Config& config, const Input& input, const Rng& rng);
  static void append(const Config& config, const Result& result, engine::Rows& rows);
};

}  // namespace skyloom::flares
