#pragma once
// Stage `catalogue`: joins the fits to the base catalogue and adds sky coordinates. Every row of
// the base catalogue appears once, in its order. Forced fluxes become a table in the order of
// sources, bands and times. Unit: a block of rows of one field.

#include <cstdint>
#include <map>
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

  /// Rows [first, last) of a field.
  struct Block {
    std::size_t field = 0;
    std::size_t first = 0;
    std::size_t last = 0;
  };
  struct Context {
    Survey survey;
    const Table* sources = nullptr;
    const Table* fit = nullptr;
    const Table* forced = nullptr;     ///< null when fits were not forced
    std::vector<std::size_t> fit_row;  ///< of every base row; Table::npos = none
    /// Rows of fit_forced of base row i: forced_row[forced_first[i] .. forced_first[i + 1])
    std::vector<std::size_t> forced_first;
    std::vector<std::size_t> forced_row;
    std::vector<Block> blocks;
    std::map<std::size_t, std::unique_ptr<sky::Wcs>> wcs;  ///< of the last few fields
    TableSchema schema;
  };
  struct Input {
    std::string field;  ///< "" when there is only one
    Table rows;  ///< base columns and fit columns of the block, RA_fit and DEC_fit still missing
    Table forced;
    const sky::Wcs* wcs = nullptr;
  };
  struct Result {
    std::string field;
    Table rows;
    Table forced;
  };

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
TableSchema catalogue_schema(const Config& config, const Table& sources,
                             const std::vector<std::string>& bands);

/// Forced fluxes, one row per source and image. MAG_fit is in the nominal system of the images
/// (image_scaling.zp_ref) unless zero points are measured.
TableSchema forced_schema(const Survey& survey);

/// Blocks of rows, none across fields.
std::vector<CatalogueStage::Block> catalogue_blocks(const Survey& survey, const Table& sources);

/// Whether all fits of a catalogue row converged; 0 for rows without a fit.
std::vector<std::uint8_t> converged_rows(const Config& config, const Table& catalogue,
                                         const std::vector<std::string>& bands);

}  // namespace skyloom::photometry
