#include "pipelines/photometry/zeropoint/stage.hpp"

namespace skyloom::photometry {

void ZeropointStage::append(const Config& config, const Result& result, engine::Rows& rows) {
  if (result.rows) {
    rows.table("catalogue").append(*result.rows);
    return;
  }
  if (result.forced) {
    rows.table("forced").append(*result.forced);
    return;
  }
  const zeropoint::ZeroPoint& zp = result.zero_point;
  Table& summary = rows.table("zeropoints");
  const std::size_t at = summary.add_row();
  summary.set(at, "band", result.band->band);
  summary.set(at, "n_raw", static_cast<std::int64_t>(zp.n_raw));
  summary.set(at, "n_kept", static_cast<std::int64_t>(zp.n_kept));
  summary.set(at, "n_clipped", static_cast<std::int64_t>(zp.n_clipped));
  summary.set(at, "n_nonconverged", static_cast<std::int64_t>(zp.n_nonconverged));
  summary.set(at, "clip_sigma", config.zp.clip_sigma);
  summary.set(at, "zp_median", zp.zp_mag);
  summary.set(at, "zp_err_mad", zp.scatter_mag);
  const std::string& field = result.band->field;
  if (!field.empty()) {
    summary.set(at, "field", field);
  }
  Table& stars = rows.table("zp_stars");
  for (std::size_t i = 0; i < zp.stars.size(); ++i) {
    const zeropoint::Star& star = result.band->stars[i];
    const std::size_t row = stars.add_row();
    if (!field.empty()) {
      stars.set(row, "field", field);
    }
    stars.set(row, "band", result.band->band);
    stars.set(row, "gaia_source_id", result.band->gaia_id[i]);
    stars.set(row, "gaiaxp_mag", star.mag);
    stars.set(row, "flux", star.flux);
    stars.set(row, "fluxerr", star.flux_err);
    stars.set(row, "zp", zp.stars[i].zp_mag);
    stars.set(row, "zp_err", zp.stars[i].err_mag);
    stars.set(row, "is_kept", zp.stars[i].kept);
    stars.set(row, "is_clipped", zp.stars[i].clipped);
    stars.set(row, "converged", star.converged);
  }
}

}  // namespace skyloom::photometry
