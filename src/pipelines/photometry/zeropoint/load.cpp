#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "pipelines/photometry/zeropoint/stage.hpp"
#include "skyloom/surveys/gaia.hpp"

namespace skyloom::photometry {
namespace {

zeropoint::Options clipping(const Config& config) {
  return {config.zp.clip_sigma, config.zp.clip_max_iters};
}

CalibrationStars stars_of(const Table& catalogue, const Table& gaia, const std::string& band) {
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
  const auto& converged = catalogue.get<std::uint8_t>("opt_converged");
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

}  // namespace

std::unique_ptr<ZeropointStage::Context> ZeropointStage::open(const Config& config,
                                                              const engine::Products& before,
                                                              Log& log) {
  auto context = std::make_unique<Context>();
  const Field field = field_from_product(config, before);
  const Table gaia = surveys::read_gaia(config.inputs.gaiaxp_synphot_csv, field.bands);
  context->catalogue = &before.table("catalogue", "catalogue");
  context->schema = final_catalogue_schema(*context->catalogue, field.bands);
  for (const std::string& band : calibrated_bands(before, gaia)) {
    context->calibration.push_back(stars_of(*context->catalogue, gaia, band));
    context->zero_points[band] =
        zeropoint::measure(context->calibration.back().stars, clipping(config));
  }
  for (const std::string& band : field.bands) {
    const auto found = context->zero_points.find(band);
    if (found == context->zero_points.end()) {
      log.warning("no column mag_{} in {}: no zero point", band, config.inputs.gaiaxp_synphot_csv);
    } else if (found->second.n_kept == 0) {
      log.warning("no star with a converged fit in {}: no zero point", band);
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
  const std::size_t first = (unit.index - n_bands) * kBlockRows;
  const std::size_t last = std::min(first + kBlockRows, context.catalogue->rows());
  input.rows = block_of(*context.catalogue, context.schema, first, last);
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
  Table rows = *input.rows;
  for (const auto& [band, zero_point] : *input.zero_points) {
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
  result.rows = std::move(rows);
  return result;
}

}  // namespace skyloom::photometry
