#include <cmath>

#include "pipelines/flares/flare_table.hpp"
#include "pipelines/flares/gp/stage.hpp"

namespace skyloom::flares {
namespace {

void append_model(const std::vector<std::string>& names, const GpStage::Result& result,
                  Table& table) {
  const gp::Model& model = result.model;
  const std::size_t row = table.add_row();
  table.set(row, "tic", result.sector.tic);
  table.set(row, "sector", result.sector.sector);
  table.set(row, "neg_log_like", -model.log_likelihood);
  table.set(row, "objective", model.objective);
  table.set(row, "constant", model.constant);
  table.set(row, "iterations", model.iterations);
  table.set(row, "evaluations", model.evaluations);
  table.set(row, "converged", model.converged);
  table.set(row, "n_used", static_cast<std::int64_t>(model.n_used));
  table.set(row, "n_clipped", static_cast<std::int64_t>(model.n_clipped));
  table.set(row, "period_ls", model.rotation.period_d);
  table.set(row, "power_ls", model.rotation.power);
  table.set(row, "false_alarm", model.rotation.false_alarm);
  for (std::size_t i = 0; i < names.size(); ++i) {
    table.set(row, names[i], model.theta[i]);
  }
}

engine::SlabPart part_of(const StoredSector& sector, const std::vector<double>& values) {
  engine::SlabPart part;
  part.start = {sector.first_cadence};
  part.count = {values.size()};
  const auto bytes = std::as_bytes(std::span(values));
  part.bytes.assign(bytes.begin(), bytes.end());
  return part;
}

}  // namespace

GpStage::Result GpStage::compute(const Config& config, const Input& input, const Rng& /*rng*/) {
  Result result;
  result.sector = input.sector;
  const StoredLightCurve& curve = input.curve;
  result.model =
      gp::fit({curve.time, curve.flux, curve.flux_err, curve.flare}, config.gp_options());
  const FlareInput measured{curve.time,
                            curve.flux,
                            curve.flux_err,
                            result.model.mean,
                            curve.probability,
                            input.sector.median_flux,
                            input.sector.cadence_d};
  for (const FlareBlock& block : input.blocks) {
    result.flares.push_back(measure_flare(measured, block));
  }
  return result;
}

void GpStage::append(const Config& config, const Result& result, engine::Rows& rows) {
  append_model(parameter_columns(config), result, rows.table("models"));
  append_flares({result.sector.tic, result.sector.sector, result.sector.teff_k}, result.flares,
                rows.table("flares"));
  rows.add_slab("lc/gp_mu", part_of(result.sector, result.model.mean));
  rows.add_slab("lc/gp_var", part_of(result.sector, result.model.variance));
}

}  // namespace skyloom::flares
