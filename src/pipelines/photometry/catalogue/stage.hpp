#pragma once
// Stage `catalogue`: joins the fits to the base catalogue and adds sky coordinates. Every row of
// the base catalogue appears once, in its order. Fluxes follow the sky that all patches of an image
// have in common. Forced fluxes become a table in the order of sources, bands and times. Unit: a
// block of rows of one field, named by the first of them, counted in the field.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "pipelines/photometry/field.hpp"
#include "pipelines/photometry/fit/stage.hpp"
#include "skyloom/engine/stage.hpp"

namespace skyloom::photometry {

/// By how much combining changes the sky of a patch in a frame, and its variance.
struct SkyChange {
  bool own = true;  ///< the patch keeps its own
  double sky = 0.0;
  double variance = 0.0;
};
/// What that does to the patches of a field, which are numbered as they come in /fit_skies.
struct SkyChanges {
  std::unordered_map<std::string, std::size_t> patch_of;  ///< by its tag
  std::size_t n_frames = 0;                               ///< of the field
  std::size_t n_bands = 0;
  std::vector<SkyChange> of_frame;  ///< [patch][frame of the field]
  /// [patch][band of the field] the change of sky_<band>, its images weighted by their good pixels
  std::vector<double> of_band;
};

/// What that does to a source.
struct FluxChange {
  std::size_t row = 0;  ///< of the block
  int frame = 0;        ///< row of /frames whose sky changes
  std::string band;     ///< of the flux
  double flux = 0.0;
  double variance = 0.0;
};

struct CatalogueStage {
  static constexpr std::string_view name = "catalogue";
  using Config = photometry::Config;
  static constexpr std::size_t kBlockRows = 5000;

  /// Rows of a table of the stage fit by the field's sources: those of source i are
  /// row[first[i] .. first[i + 1]).
  struct BySource {
    Table table;
    std::vector<std::size_t> first;
    std::vector<std::size_t> row;
  };
  struct OpenField {
    const Field* field = nullptr;
    std::size_t first_row = 0;  ///< of /sources
    std::size_t n_rows = 0;
    Table fit;                         ///< the field's rows of /fit
    std::vector<std::size_t> fit_row;  ///< of every source; Table::npos = none
    /// Number in `skies` of the patch of every row of `fit`; Table::npos = none.
    std::vector<std::size_t> patch_of_fit;
    BySource forced;    ///< /fit_forced; empty when fits were not forced
    BySource response;  ///< /fit_flux_per_sky; empty when every patch keeps its own sky
    SkyChanges skies;
    std::unique_ptr<sky::Wcs> wcs;
  };
  struct Context {
    Survey survey;
    const engine::Products* before = nullptr;
    Log* log = nullptr;
    TableSchema schema;
    RecentFields<OpenField, 1> open;  ///< blocks of a field follow each other
  };
  struct Input {
    std::string field;  ///< "" when there is only one
    Table rows;  ///< base columns and fit columns of the block, RA_fit and DEC_fit still missing
    Table forced;
    const sky::Wcs* wcs = nullptr;
    std::vector<FluxChange> changes;
    std::map<std::string, std::vector<double>> sky_changes;  ///< by band, per row; 0 without a fit
    std::size_t first_source = 0;  ///< row of /sources where the block begins
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

/// Combines the skies of every frame's patches. @param skies the field's rows of /fit_skies
SkyChanges combined_skies(const Field& field, const Table& skies, Log& log);

/// All columns of the final catalogue, in the order of photometry.md 14.2.
TableSchema catalogue_schema(const Config& config, const Table& sources,
                             const std::vector<std::string>& bands);

/// Forced fluxes, one row per source and image. MAG_fit is in the nominal system of the images
/// (image_scaling.zp_ref) unless zero points are measured.
TableSchema forced_schema(const Survey& survey);

/// The catalogue as text files have it: integers and booleans of the fit, which cannot be missing
/// in a binary table, are texts, empty in rows without a fit.
Table with_empty_cells(const Config& config, const Table& catalogue,
                       const std::vector<std::string>& bands);

/// Whether all fits of a catalogue row converged; 0 for rows without a fit.
std::vector<std::uint8_t> converged_rows(const Config& config, const Table& catalogue,
                                         const std::vector<std::string>& bands);

}  // namespace skyloom::photometry
