#pragma once
// Stage `zeropoint`: the zero point of every band of every field from Gaia stars, and the final
// catalogue (and forced fluxes) with magnitudes. Units: a band of a field, and a block of rows of a
// field, named by the first of them, counted in the field. A rank measures all zero points of a
// field when it opens it (a median over some stars), so that blocks wait for nobody. Without a Gaia
// table, or when zero points are not wanted, there are no units.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/photometry/field.hpp"
#include "pipelines/photometry/zeropoint/kernel.hpp"
#include "skyloom/engine/stage.hpp"

namespace skyloom::photometry {

/// Catalogue rows with a Gaia star of known magnitude and a positive flux in one band.
struct CalibrationStars {
  std::string field;  ///< "" when there is only one
  std::string band;
  std::vector<std::string> gaia_id;
  std::vector<zeropoint::Star> stars;
};

struct ZeropointStage {
  static constexpr std::string_view name = "zeropoint";
  using Config = photometry::Config;
  static constexpr std::size_t kBlockRows = 5000;

  /// Zero points of a field by band.
  using ZeroPoints = std::map<std::string, zeropoint::ZeroPoint>;

  struct OpenField {
    std::vector<CalibrationStars> calibration;  ///< of every calibrated band
    ZeroPoints zero_points;
    std::pair<std::size_t, std::size_t> catalogue;  ///< its rows
    std::pair<std::size_t, std::size_t> forced;     ///< its rows; none when fits were not forced
  };
  struct Context {
    Survey survey;
    const engine::Products* before = nullptr;
    Log* log = nullptr;
    TableSchema schema;               ///< of the final catalogue
    RecentFields<OpenField, 1> open;  ///< units of a field follow each other
  };
  /// What one unit needs; one of the first three members is filled.
  struct Input {
    std::optional<CalibrationStars> band;
    std::optional<Table> rows;    ///< magnitudes still missing
    std::optional<Table> forced;  ///< magnitudes still nominal
    const ZeroPoints* zero_points = nullptr;
  };
  struct Result {
    std::optional<CalibrationStars> band;
    zeropoint::ZeroPoint zero_point;
    std::optional<Table> rows;
    std::optional<Table> forced;
  };

  static std::vector<std::string> inputs(const Config& config);
  static std::vector<std::string> needs() { return {"frames", "catalogue"}; }
  static engine::Plan plan(const Config& config, const engine::Products& before);
  static std::unique_ptr<Context> open(const Config& config, const engine::Products& before,
                                       Log& log);
  static Input load(const Config& config, Context& context, const engine::Unit& unit);
  static Result compute(const Config& config, const Input& input, const Rng& rng);
  static void append(const Config& config, const Result& result, engine::Rows& rows);
};

/// The Gaia table of a field, and the field's bands for which it has magnitudes, sorted.
struct Calibration {
  Table gaia;
  std::vector<std::string> bands;
};

/// Reads the table. @throws ConfigError when it cannot serve
Calibration calibration_of(const Field& field);

/// The catalogue's columns with MAG_<band>_fit and MAGERR_<band>_fit after FLUXERR_<band>_fit.
TableSchema final_catalogue_schema(const Table& catalogue, const std::vector<std::string>& bands);

}  // namespace skyloom::photometry
