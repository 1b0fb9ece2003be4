#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "pipelines/photometry/fit/stage.hpp"
#include "pipelines/photometry/zeropoint/stage.hpp"
#include "skyloom/surveys/gaia.hpp"

namespace skyloom::photometry {
namespace {

zeropoint::Options clipping(const Config& config) {
  return {config.zp.clip_sigma, config.zp.clip_max_iters};
}

/// @param catalogue rows of the field   @param converged of these
CalibrationStars stars_of(const Table& catalogue, const std::vector<std::uint8_t>& converged,
                          const Table& gaia, const std::string& band) {
  CalibrationStars out;
  out.band = band;
  const auto& star_id = gaia.get<std::string>("source_id");
  const auto& mag = gaia.get<double>("mag_" + band);
  std::unordered_map<std::string, std::size_t> star_of;
  for (std::size_t i = 0; i < star_id.size(); ++i) {
    star_of.emplace(star_id[i], i);
  }
  const auto& id = catalogue.get<std::string>("gaia_source_id");
  const auto& flux = catalogue.get<double>("FLUX_" + band + "_fit");
  const auto& error = catalogue.get<double>("FLUXERR_" + band + "_fit");
  for (std::size_t row = 0; row < id.size(); ++row) {
    const auto found = id[row].empty() ? star_of.end() : star_of.find(id[row]);
    if (found == star_of.end() || !std::isfinite(mag[found->second]) || !std::isfinite(flux[row]) ||
        !(flux[row] > 0.0)) {
      continue;
    }
    out.gaia_id.push_back(id[row]);
    out.stars.push_back({mag[found->second], flux[row], error[row], converged[row] != 0});
  }
  return out;
}

/// Rows of the catalogue in the columns of the schema; magnitudes missing.
Table with_columns(Table catalogue, const TableSchema& schema) {
  Table rows(TableSchema{schema.name, {}});
  for (const Column& column : schema.columns) {
    if (catalogue.has(column.name)) {
      rows.add_column(column, catalogue.data(column.name));
    } else {
      rows.add_column(column);
    }
  }
  return rows;
}

Table with_magnitudes(Table rows, const ZeropointStage::ZeroPoints& zero_points) {
  for (const auto& [band, zero_point] : zero_points) {
    const auto& flux = rows.get<double>("FLUX_" + band + "_fit");
    const auto& error = rows.get<double>("FLUXERR_" + band + "_fit");
    auto& mag = rows.get<double>("MAG_" + band + "_fit");
    auto& mag_error = rows.get<double>("MAGERR_" + band + "_fit");
    for (std::size_t i = 0; i < rows.rows(); ++i) {
      const zeropoint::Magnitude m = zeropoint::magnitude(flux[i], error[i], zero_point);
      mag[i] = m.mag;
      mag_error[i] = m.err_mag;
    }
  }
  return rows;
}

/// Bands without a zero point have no magnitudes, as in the catalogue.
Table forced_with_magnitudes(Table rows, const ZeropointStage::ZeroPoints& zero_points) {
  const auto& band = rows.get<std::string>("band");
  const auto& flux = rows.get<double>("FLUX_fit");
  const auto& error = rows.get<double>("FLUXERR_fit");
  auto& mag = rows.get<double>("MAG_fit");
  auto& mag_error = rows.get<double>("MAGERR_fit");
  for (std::size_t i = 0; i < rows.rows(); ++i) {
    const auto zero_point = zero_points.find(band[i]);
    const zeropoint::Magnitude m =
        zero_point == zero_points.end()
            ? zeropoint::Magnitude{}
            : zeropoint::magnitude(flux[i], error[i], zero_point->second);
    mag[i] = m.mag;
    mag_error[i] = m.err_mag;
  }
  return rows;
}

}  // namespace

std::unique_ptr<ZeropointStage::Context> ZeropointStage::open(const Config& config,
                                                              const engine::Products& before,
                                                              Log& log) {
  auto context = std::make_unique<Context>();
  context->survey = survey_from_product(config, before);
  context->before = &before;
  context->log = &log;
  context->schema =
      final_catalogue_schema(before.rows("catalogue", "catalogue", 0, 0), context->survey.bands);
  return context;
}

namespace {

void calibrate(const Config& config, const ZeropointStage::Context& context, const Field& field,
               ZeropointStage::OpenField& open) {
  const Calibration calibration = calibration_of(field);
  const FitNames names{config.fits_bands_apart()};
  std::vector<std::string> columns{"gaia_source_id"};
  for (const std::string& band : calibration.bands) {
    columns.push_back("FLUX_" + band + "_fit");
    columns.push_back("FLUXERR_" + band + "_fit");
  }
  for (const std::string& set : names.sets(calibration.bands)) {
    columns.push_back(names.plain("opt_converged", set));
  }
  const auto [first, last] = open.catalogue;
  const Table catalogue = context.before->rows("catalogue", "catalogue", first, last, columns);
  for (const std::string& band : calibration.bands) {
    CalibrationStars stars =
        stars_of(catalogue, catalogue.get<std::uint8_t>(names.plain("opt_converged", band)),
                 calibration.gaia, band);
    stars.field = context.survey.label(field);
    open.zero_points[band] = zeropoint::measure(stars.stars, clipping(config));
    open.calibration.push_back(std::move(stars));
  }
}

std::unique_ptr<ZeropointStage::OpenField> open_field(const Config& config,
                                                      const ZeropointStage::Context& context,
                                                      const Field& field) {
  const auto rows_of = [&](const char* table) {
    return context.survey.rows(*context.before, "catalogue", table, field);
  };
  auto open = std::make_unique<ZeropointStage::OpenField>();
  open->catalogue = rows_of("catalogue");
  if (config.patch_run.forced) {
    open->forced = rows_of("forced");
  }
  if (field.calibrates(config)) {
    calibrate(config, context, field, *open);
  }
  return open;
}

/// What is said once, with the first or only band that it concerns.
void warn(const ZeropointStage::Context& context, const Field& field,
          const ZeropointStage::OpenField& open, const std::string& band) {
  if (open.zero_points.at(band).n_kept == 0) {
    context.log->warning("no star with a converged fit in {}: no zero point",
                         context.survey.key(field, band));
  }
  for (const std::string& other : field.bands) {
    if (band == open.calibration.front().band && !open.zero_points.contains(other)) {
      context.log->warning("no column mag_{} in {}: no zero point", other,
                           field.entry.gaiaxp_synphot_csv);
    }
  }
}

}  // namespace

ZeropointStage::Input ZeropointStage::load(const Config& config, Context& context,
                                           const engine::Unit& unit) {
  const auto [field, key] = context.survey.field_of(unit);
  OpenField& open =
      context.open.get(field.index, [&, &of = field] { return open_field(config, context, of); });
  const std::size_t slash = key.find('/');
  const std::string kind = key.substr(0, slash);
  const std::string name = key.substr(slash + 1);
  Input input;
  if (kind == "band") {
    const auto band =
        std::find_if(open.calibration.begin(), open.calibration.end(),
                     [&](const CalibrationStars& stars) { return stars.band == name; });
    input.band = *band;
    warn(context, field, open, name);
    return input;
  }
  const auto [begin, end] = kind == "rows" ? open.catalogue : open.forced;
  const std::size_t first = begin + std::stoull(name);
  const std::size_t last = std::min(first + kBlockRows, end);
  if (kind == "rows") {
    input.rows =
        with_columns(context.before->rows("catalogue", "catalogue", first, last), context.schema);
  } else {
    input.forced = context.before->rows("catalogue", "forced", first, last);
  }
  input.zero_points = &open.zero_points;
  return input;
}

ZeropointStage::Result ZeropointStage::compute(const Config& config, const Input& input,
                                               const Rng& /*rng*/) {
  Result result;
  if (input.band) {
    result.band = input.band;
    result.zero_point = zeropoint::measure(input.band->stars, clipping(config));
    return result;
  }
  if (input.rows) {
    result.rows = with_magnitudes(*input.rows, *input.zero_points);
  } else {
    result.forced = forced_with_magnitudes(*input.forced, *input.zero_points);
  }
  return result;
}

}  // namespace skyloom::photometry
