#pragma once
// Stage `combine`: reads every skycell once and leaves what rows are made of. Units: the list of
// cells, then the cells.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/skycells/combine/kernel_cell.hpp"
#include "pipelines/skycells/combine/pads.hpp"
#include "pipelines/skycells/config.hpp"
#include "pipelines/skycells/survey.hpp"
#include "skyloom/engine/stage.hpp"

namespace skyloom::skycells {

/// Key of the unit that writes the list of cells.
inline constexpr const char* kListUnit = "list";

/// What the files of a cell are.
struct CellFiles {
  std::vector<std::string> bands;  ///< with an image, in the order of bands.use
  std::vector<std::string> masks;  ///< with a mask
  std::vector<double> exptime_s;   ///< of every one of bands.use, NaN without an image
  std::int64_t bytes = 0;          ///< of all files
};

struct CombineStage {
  static constexpr std::string_view name = "combine";
  using Config = skycells::Config;

  struct Context {
    const Survey* survey = nullptr;
    std::optional<numerics::MultirateGaussian> gaussian;  ///< none: pixels are kept
    std::vector<surveys::GaiaStar> stars;                 ///< none unless sources need them
  };
  struct Input {
    const Survey* survey = nullptr;
    const surveys::Skycell* cell = nullptr;  ///< null for the unit of the list
    std::size_t plane = 0;                   ///< of the cell among those of its projection
    CellTask task;
    CellFiles files;
    std::unique_ptr<RowSource> source;
    std::optional<CellPaddings> paddings;  ///< of a cell
  };
  struct Result {
    const Survey* survey = nullptr;
    const surveys::Skycell* cell = nullptr;
    std::size_t plane = 0;
    CellGeometry geometry;
    CellFiles files;
    std::vector<std::string> padding_sources;
    std::vector<std::string> failed_sources;
    CellResult combined;
  };

  static std::vector<std::string> inputs(const Config& config);
  /// Images of a cell and of those that fill its sides.
  static std::vector<std::string> reads(const Config& config, const engine::Unit& unit);
  static std::vector<std::string> needs() { return {}; }
  static engine::Plan plan(const Config& config, const engine::Products& before);
  static std::unique_ptr<Context> open(const Config& config, const engine::Products& before,
                                       Log& log);
  static Input load(const Config& config, Context& context, const engine::Unit& unit);
  static Result compute(const Config& config, const Input& input, const Rng& rng);
  static void append(const Config& config, const Result& result, engine::Rows& rows);
};

}  // namespace skyloom::skycells
