#include <algorithm>
#include <cmath>
#include <set>
#include <unordered_map>

#include "pipelines/photometry/fit/stage.hpp"
#include "pipelines/photometry/zeropoint/stage.hpp"
#include "skyloom/surveys/gaia.hpp"

namespace skyloom::photometry {
namespace {

zeropoint::Options clipping(const Config& config) {
  return {config.zp.clip_sigma, config.zp.clip_max_iters};
}

/// @param rows of the catalogue that belong to the field   @param converged of all rows
CalibrationStars stars_of(const Table& catalogue, std::pair<std::size_t, std::size_t> rows,
                          const std::vector<std::uint8_t>& converged, const Table& gaia,
                          const std::string& band) {
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
  for (std::size_t row = rows.first; row < rows.second; ++row) {
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

/// Rows [first, last) of the catalogue in the columns of the schema; magnitudes missing.
Table block_of(const Table& catalogue, const TableSchema& schema, std::size_t first,
               std::size_t last) {
  Table rows(schema);
  rows.add_rows(last - first);
  for (std::size_t c = 0; c < schema.columns.size(); ++c) {
    const Column& column = schema.columns[c];
    if (!catalogue.has(column.name)) {
      continue;
    }
    const auto elements = static_cast<std::ptrdiff_t>(column.elements());
    std::visit(
        [&](auto& target) {
          const auto& values =
              std::get<std::decay_t<decltype(target)>>(catalogue.data(column.name));
          std::copy(values.begin() + static_cast<std::ptrdiff_t>(first) * elements,
                    values.begin() + static_cast<std::ptrdiff_t>(last) * elements, target.begin());
        },
        rows.data(c));
  }
  return rows;
}

/// The zero points of rows: neighbours mostly have the same one.
class ZeroPointOfRow {
 public:
  ZeroPointOfRow(const Table& rows, const ZeropointStage::ZeroPoints& zero_points)
      : field_(rows.has("field") ? &rows.get<std::string>("field") : nullptr),
        zero_points_(zero_points) {}

  /// Of the row's field in a band; null when it has none.
  const zeropoint::ZeroPoint* at(std::size_t row, const std::string& band) {
    static const std::string kOnlyField;
    const std::string& field = field_ == nullptr ? kOnlyField : (*field_)[row];
    if (!known_ || key_.first != field || key_.second != band) {
      key_ = {field, band};
      known_ = true;
      const auto at = zero_points_.find(key_);
      found_ = at == zero_points_.end() ? nullptr : &at->second;
    }
    return found_;
  }

 private:
  const std::vector<std::string>* field_;
  const ZeropointStage::ZeroPoints& zero_points_;
  bool known_ = false;
  std::pair<std::string, std::string> key_;
  const zeropoint::ZeroPoint* found_ = nullptr;
};

Table with_magnitudes(Table rows, const ZeropointStage::ZeroPoints& zero_points) {
  std::set<std::string> bands;
  for (const auto& [key, zero_point] : zero_points) {
    bands.insert(key.second);
  }
  ZeroPointOfRow zero_point_of(rows, zero_points);
  for (const std::string& band : bands) {
    const auto& flux = rows.get<double>("FLUX_" + band + "_fit");
    const auto& error = rows.get<double>("FLUXERR_" + band + "_fit");
    auto& mag = rows.get<double>("MAG_" + band + "_fit");
    auto& mag_error = rows.get<double>("MAGERR_" + band + "_fit");
    for (std::size_t i = 0; i < rows.rows(); ++i) {
      if (const auto* zero_point = zero_point_of.at(i, band)) {
        const zeropoint::Magnitude m = zeropoint::magnitude(flux[i], error[i], *zero_point);
        mag[i] = m.mag;
        mag_error[i] = m.err_mag;
      }
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
  ZeroPointOfRow zero_point_of(rows, zero_points);
  for (std::size_t i = 0; i < rows.rows(); ++i) {
    const auto* zero_point = zero_point_of.at(i, band[i]);
    const zeropoint::Magnitude m = zero_point == nullptr
                                       ? zeropoint::Magnitude{}
                                       : zeropoint::magnitude(flux[i], error[i], *zero_point);
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
  const Survey survey = survey_from_product(config, before);
  const Table& catalogue = before.table("catalogue", "catalogue");
  context->catalogue = &catalogue;
  context->forced = config.patch_run.forced ? &before.table("catalogue", "forced") : nullptr;
  context->schema = final_catalogue_schema(catalogue, survey.bands);
  context->catalogue_blocks = (catalogue.rows() + kBlockRows - 1) / kBlockRows;
  const FitNames names{config.fits_bands_apart()};
  for (const Field& field : survey.fields) {
    if (!field.calibrates(config)) {
      continue;
    }
    const Calibration calibration = calibration_of(field);
    for (const std::string& band : calibration.bands) {
      CalibrationStars stars = stars_of(
          catalogue, survey.rows(catalogue, field),
          catalogue.get<std::uint8_t>(names.plain("opt_converged", band)), calibration.gaia, band);
      stars.field = survey.label(field);
      const zeropoint::ZeroPoint zp = zeropoint::measure(stars.stars, clipping(config));
      if (zp.n_kept == 0) {
        log.warning("no star with a converged fit in {}: no zero point", survey.key(field, band));
      }
      context->zero_points[{stars.field, band}] = zp;
      context->calibration.push_back(std::move(stars));
    }
    for (const std::string& band : field.bands) {
      if (!context->zero_points.contains({survey.label(field), band})) {
        log.warning("no column mag_{} in {}: no zero point", band, field.entry.gaiaxp_synphot_csv);
      }
    }
  }
  return context;
}

ZeropointStage::Input ZeropointStage::load(const Config& /*config*/, Context& context,
                                           const engine::Unit& unit) {
  Input input;
  const std::size_t n_bands = context.calibration.size();
  if (unit.index < n_bands) {
    input.band = context.calibration[unit.index];
    return input;
  }
  const std::size_t block = unit.index - n_bands;
  if (block < context.catalogue_blocks) {
    const std::size_t first = block * kBlockRows;
    const std::size_t last = std::min(first + kBlockRows, context.catalogue->rows());
    input.rows = block_of(*context.catalogue, context.schema, first, last);
  } else {
    const std::size_t first = (block - context.catalogue_blocks) * kBlockRows;
    const std::size_t last = std::min(first + kBlockRows, context.forced->rows());
    input.forced = block_of(*context.forced, context.forced->schema(), first, last);
  }
  input.zero_points = &context.zero_points;
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
