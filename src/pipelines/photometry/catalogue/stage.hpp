#pragma once
// Stage `catalogue`: joins the fits to the base catalogue and adds sky coordinates. Every row of
// the base catalogue appears once, in its order. Unit: a block of rows.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/photometry/field.hpp"
#include "pipelines/photometry/fit/stage.hpp"
#include "skyloom/engine/stage.hpp"

namespace skyloom::photometry {

struct CatalogueStage {
  static constexpr std::string_view name = "catalogue";
  using Config = photometry::Config;
  static constexpr std::size_t kBlockRows = 5000;

  struct Context {
    const Table* sources = nullptr;
    const Table* fit = nullptr;
    std::vector<std::size_t> fit_row;  ///< of every base row; Table::npos = none
    std::unique_ptr<sky::Wcs> wcs;
    TableSchema schema;
  };
  struct Input {
    Table rows;  ///< base columns and fit columns of the block, RA_fit and DEC_fit still missing
    const sky::Wcs* wcs = nullptr;
  };
  using Result = Table;

  static std::vector<std::string> inputs(const Config& config);
  static std::vector<std::string> needs() { return {"frames", "fit"}; }
  static engine::Plan plan(const Config& config, const engine::Products& before);
  static std::unique_ptr<Context> open(const Config& config, const engine::Products& before,
                                       Log& log);
  static Input load(const Config& config, Context& context, const engine::Unit& unit);
  static Result compute(const Config& config, const Input& input, const Rng& rng);
  static void append(const Config& config, const Result& result, engine::Rows& rows);
};

/// All columns of the final catalogue, in the order of photometry.md 14.2.
TableSchema catalogue_schema(const Table& sources, const std::vector<std::string>& bands);

}  // namespace skyloom::photometry
