#include <algorithm>
#include <filesystem>

#include "pipelines/flares/detect/stage.hpp"
#include "pipelines/flares/flare_table.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/numerics/robust.hpp"

namespace skyloom::flares {
namespace {

std::vector<double> as_doubles(const std::vector<float>& values) {
  return {values.begin(), values.end()};
}

double median_positive(const std::vector<double>& values) {
  std::vector<double> positive;
  std::copy_if(values.begin(), values.end(), std::back_inserter(positive),
               [](double value) { return value > 0.0; });
  return numerics::median(positive);
}

void append_networks(const Ensemble& ensemble, Table& table) {
  for (std::size_t i = 0; i < ensemble.list.files.size(); ++i) {
    const std::size_t row = table.add_row();
    table.set(row, "file", std::filesystem::path(ensemble.list.files[i]).filename().string());
    table.set(row, "sha256", ensemble.sha256[i]);
    table.set(row, "taps", ensemble.taps[i]);
    table.set(row, "recipe", ensemble.list.recipe);
    table.set(row, "threshold", ensemble.list.threshold);
  }
}

void append_sector(const DetectStage::Result& result, Table& table) {
  const surveys::LightCurveHeader& header = result.curve.header;
  const Windows& windows = result.detection.windows;
  const std::size_t row = table.add_row();
  table.set(row, "tic", header.tic);
  table.set(row, "sector", header.sector);
  table.set(row, "camera", header.camera);
  table.set(row, "ccd", header.ccd);
  table.set(row, "ra", header.ra_deg);
  table.set(row, "dec", header.dec_deg);
  table.set(row, "tmag", header.tess_mag);
  table.set(row, "teff", header.teff_k);
  table.set(row, "radius", header.radius);
  table.set(row, "source", std::filesystem::path(header.path).filename().string());
  table.set(row, "n_rows", result.curve.file_rows);
  table.set(row, "n_cadences", static_cast<std::int64_t>(result.curve.time.size()));
  table.set(
      row, "n_predicted",
      static_cast<std::int64_t>(std::count(windows.predicted.begin(), windows.predicted.end(), 1)));
  table.set(row, "n_gaps", static_cast<std::int64_t>(windows.gaps.size()));
  table.set(row, "n_flares", static_cast<std::int64_t>(result.flares.size()));
  table.set(row, "t_first", result.curve.time.front());
  table.set(row, "t_last", result.curve.time.back());
  table.set(row, "cadence", windows.cadence_d);
  table.set(row, "gap_threshold", windows.gap_threshold_d);
  table.set(row, "median_flux", windows.median_flux);
  table.set(row, "median_flux_err", result.median_error);
}

void append_light_curve(const DetectStage::Result& result, Table& table) {
  table.add_rows(result.curve.time.size());
  table.get<double>("time") = result.curve.time;
  table.get<float>("flux") = result.curve.flux;
  table.get<float>("flux_err") = result.curve.flux_err;
  table.get<std::int32_t>("cadenceno") = result.curve.cadence;
  const std::vector<double>& probability = result.detection.probability;
  std::transform(probability.begin(), probability.end(), table.get<float>("flare_prob").begin(),
                 [](double p) { return static_cast<float>(p); });
  table.get<std::uint8_t>("predicted") = result.detection.windows.predicted;
  table.get<std::uint8_t>("flare_mask") = result.detection.mask;
}

}  // namespace

DetectStage::Result DetectStage::compute(const Config& config, const Input& input,
                                         const Rng& /*rng*/) {
  Result result;
  Context& context = *input.context;
  if (!input.curve) {
    result.ensemble = &context.ensemble;
    return result;
  }
  result.curve = *input.curve;
  const std::vector<double> flux = as_doubles(result.curve.flux);
  const std::vector<double> error = as_doubles(result.curve.flux_err);
  const DetectOptions options{config.gap_rule(), config.edge(), config.combine(), config.detection};
  result.detection =
      detect(result.curve.time, flux, context.ensemble.networks, options, context.work);
  result.median_error = median_positive(error);
  const Windows& windows = result.detection.windows;
  const std::vector<double> level(flux.size(), windows.median_flux);
  const FlareInput measured{
      result.curve.time, flux, error, level, result.detection.probability, windows.median_flux,
      windows.cadence_d};
  for (const FlareBlock& block : result.detection.blocks) {
    result.flares.push_back(measure_flare(measured, block));
  }
  return result;
}

void DetectStage::append(const Config& /*config*/, const Result& result, engine::Rows& rows) {
  if (result.ensemble != nullptr) {
    append_networks(*result.ensemble, rows.table("networks"));
    return;
  }
  const surveys::LightCurveHeader& header = result.curve.header;
  append_sector(result, rows.table("sectors"));
  append_light_curve(result, rows.table("lc"));
  append_flares({header.tic, header.sector, header.teff_k}, result.flares, rows.table("flares"));
}

}  // namespace skyloom::flares
