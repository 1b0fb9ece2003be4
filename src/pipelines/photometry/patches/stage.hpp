#pragma once
// Stage `patches`: cuts the active cells into fitting patches. Unit: one cell.

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pipelines/photometry/epsf/stage.hpp"
#include "pipelines/photometry/field.hpp"
#include "pipelines/photometry/patches/kernel.hpp"
#include "skyloom/engine/stage.hpp"

namespace skyloom::photometry {

struct PatchesStage {
  static constexpr std::string_view name = "patches";
  using Config = photometry::Config;

  struct Context {
    Survey survey;
    std::vector<std::pair<std::size_t, epsf::Cell>> cells;  ///< field and cell of every unit
    std::vector<ActivePositions> active;                    ///< of every field
  };
  struct Input {
    std::string field;  ///< "" when there is only one
    epsf::Cell cell;
    int cell_row = 0;
    int cell_column = 0;
    Box image;
    std::vector<double> x;  ///< active sources of the cell
    std::vector<double> y;
  };
  struct Result {
    Input input;
    std::vector<patches::Patch> patches;
    std::vector<std::int64_t> n_sources;
  };

  static std::vector<std::string> inputs(const Config& /*config*/) { return {}; }
  static std::vector<std::string> needs() { return {"frames"}; }
  static engine::Plan plan(const Config& config, const engine::Products& before);
  static std::unique_ptr<Context> open(const Config& config, const engine::Products& before,
                                       Log& log);
  static Input load(const Config& config, Context& context, const engine::Unit& unit);
  static Result compute(const Config& config, const Input& input, const Rng& rng);
  static void append(const Config& config, const Result& result, engine::Rows& rows);
};

/// Active cells of all fields, in order of fields.
std::vector<std::pair<std::size_t, epsf::Cell>> cells_of_survey(
    const Config& config, const Survey& survey, const std::vector<ActivePositions>& active);

}  // namespace skyloom::photometry
