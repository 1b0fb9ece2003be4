#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "pipelines/photometry/catalogue/stage.hpp"
#include "pipelines/photometry/zeropoint/kernel.hpp"

namespace skyloom::photometry {

namespace {

/// The smaller variance that a better sky leaves; never less than a hundredth, which only rounding
/// could cause.
double error_with(double error, double variance_change) {
  const double variance = error * error;
  return std::sqrt(std::max(variance + variance_change, 0.01 * variance));
}

void change_catalogue(const std::vector<FluxChange>& changes, Table& table) {
  for (const FluxChange& c : changes) {
    double& error = table.get<double>("FLUXERR_" + c.band + "_fit")[c.row];
    table.get<double>("FLUX_" + c.band + "_fit")[c.row] += c.flux;
    error = error_with(error, c.variance);
  }
}

/// Forced fluxes follow the sky of their frame, and the catalogue holds their means.
void change_forced(const std::vector<FluxChange>& changes, std::size_t first_source, Table& forced,
                   Table& table) {
  std::map<std::pair<std::int64_t, int>, const FluxChange*> of;
  for (const FluxChange& c : changes) {
    of[{static_cast<std::int64_t>(first_source + c.row), c.frame}] = &c;
  }
  struct Mean {
    double weight = 0.0;
    double flux = 0.0;
  };
  std::map<std::pair<std::size_t, std::string>, Mean> means;
  const auto& source = forced.get<std::int64_t>("source");
  const auto& frame = forced.get<std::int32_t>("frame");
  const auto& band = forced.get<std::string>("band");
  auto& flux = forced.get<double>("FLUX_fit");
  auto& error = forced.get<double>("FLUXERR_fit");
  for (std::size_t i = 0; i < forced.rows(); ++i) {
    if (const auto change = of.find({source[i], frame[i]}); change != of.end()) {
      flux[i] += change->second->flux;
      error[i] = error_with(error[i], change->second->variance);
    }
    const double weight = 1.0 / (error[i] * error[i]);
    if (std::isfinite(weight) && std::isfinite(flux[i])) {
      Mean& mean = means[{static_cast<std::size_t>(source[i]) - first_source, band[i]}];
      mean.weight += weight;
      mean.flux += weight * flux[i];
    }
  }
  for (const auto& [key, mean] : means) {
    table.get<double>("FLUX_" + key.second + "_fit")[key.first] = mean.flux / mean.weight;
    table.get<double>("FLUXERR_" + key.second + "_fit")[key.first] = 1.0 / std::sqrt(mean.weight);
  }
}

}  // namespace

CatalogueStage::Result CatalogueStage::compute(const Config& config, const Input& input,
                                               const Rng& /*rng*/) {
  Result result{input.field, input.rows, input.forced};
  Table& table = result.rows;
  if (result.forced.rows() > 0) {
    change_forced(input.changes, input.first_source, result.forced, table);
  } else {
    change_catalogue(input.changes, table);
  }
  for (const auto& [band, change] : input.sky_changes) {
    std::vector<double>& sky = table.get<double>("sky_" + band);
    std::transform(sky.begin(), sky.end(), change.begin(), sky.begin(), std::plus<>());
  }
  // The sets of columns are those that the schema has: RA_fit, or RA_<band>_fit.
  std::vector<std::string> sets;
  for (const Column& column : table.columns()) {
    constexpr std::string_view kEnd = "_fit";
    if (column.name.starts_with("RA_") && column.name.ends_with(kEnd)) {
      sets.push_back(column.name.substr(2));
    }
  }
  for (const std::string& set : sets) {
    input.wcs->to_sky(table.get<double>("x_pix_white" + set),
                      table.get<double>("y_pix_white" + set), table.get<double>("RA" + set),
                      table.get<double>("DEC" + set));
  }
  const zeropoint::ZeroPoint nominal{.zp_mag = config.zp_ref, .scatter_mag = 0.0, .stars = {}};
  Table& forced = result.forced;
  for (std::size_t i = 0; i < forced.rows(); ++i) {
    const zeropoint::Magnitude m = zeropoint::magnitude(
        forced.get<double>("FLUX_fit")[i], forced.get<double>("FLUXERR_fit")[i], nominal);
    forced.set(i, "MAG_fit", m.mag);
    forced.set(i, "MAGERR_fit", m.err_mag);
  }
  return result;
}

void CatalogueStage::append(const Config& /*config*/, const Result& result, engine::Rows& rows) {
  rows.table("catalogue").append(result.rows);
  if (result.forced.rows() > 0) {
    rows.table("forced").append(result.forced);
  }
  set_field(rows, result.field);
}

}  // namespace skyloom::photometry
