#include <cmath>

#include <fmt/format.h>

#include "pipelines/photometry/report.hpp"

namespace skyloom::photometry {
namespace {

std::string magnitude_text(double value) {
  return std::isfinite(value) ? fmt::format("{:.4f}", value) : std::string("-");
}

web::DataTable summary(const Table& zeropoints, double zp_ref) {
  web::DataTable table{"Per band",
                       {"band", "zero point [mag]", fmt::format("minus {:.1f}", zp_ref),
                        "scatter [mag]", "stars", "kept", "clipped", "not converged"},
                       {}};
  for (std::size_t i = 0; i < zeropoints.rows(); ++i) {
    const double zp = zeropoints.get<double>("zp_median")[i];
    const auto count = [&](const char* column) {
      return std::to_string(zeropoints.get<std::int64_t>(column)[i]);
    };
    table.rows.push_back({zeropoints.get<std::string>("band")[i], magnitude_text(zp),
                          std::isfinite(zp) ? fmt::format("{:+.4f}", zp - zp_ref) : "-",
                          magnitude_text(zeropoints.get<double>("zp_err_mad")[i]), count("n_raw"),
                          count("n_kept"), count("n_clipped"), count("n_nonconverged")});
  }
  return table;
}

web::Chart zp_against_mag(const Table& stars, const std::string& band, double zp) {
  web::Series kept{"kept", "#1565c0", "points", {}, {}, {}};
  web::Series clipped{"clipped", "#c62828", "points", {}, {}, {}};
  web::Series unconverged{"not converged", "#9e9e9e", "points", {}, {}, {}};
  web::Series median{"median", "#2e7d32", "line", {}, {}, {}};
  const auto& in_band = stars.get<std::string>("band");
  const auto& mag = stars.get<double>("gaiaxp_mag");
  const auto& value = stars.get<double>("zp");
  const auto& error = stars.get<double>("zp_err");
  const auto& is_kept = stars.get<std::uint8_t>("is_kept");
  const auto& converged = stars.get<std::uint8_t>("converged");
  double low = HUGE_VAL;
  double high = -HUGE_VAL;
  for (std::size_t i = 0; i < stars.rows(); ++i) {
    if (in_band[i] != band) {
      continue;
    }
    web::Series& series = converged[i] == 0 ? unconverged : is_kept[i] != 0 ? kept : clipped;
    series.x.push_back(mag[i]);
    series.y.push_back(value[i]);
    if (&series == &kept) {
      series.error.push_back(error[i]);
    }
    low = std::fmin(low, mag[i]);
    high = std::fmax(high, mag[i]);
  }
  if (std::isfinite(zp) && low <= high) {
    median.x = {low, high};
    median.y = {zp, zp};
  }
  web::Chart chart{
      "Zero point in " + band, "Gaia XP magnitude", "zero point [mag]", false, false, {}};
  for (web::Series* series : {&kept, &clipped, &unconverged, &median}) {
    if (!series->x.empty()) {
      chart.series.push_back(std::move(*series));
    }
  }
  return chart;
}

}  // namespace

web::Section zero_point_section(const Config& config, const engine::Products& products) {
  web::Section section{"Zero points", {}};
  if (!config.calibrates()) {
    section.blocks.emplace_back(
        web::Text{config.zp.enabled ? "None were measured: the configuration names no Gaia table."
                                    : "None were measured: zp.enabled is false."});
    return section;
  }
  const Table& zeropoints = products.table("zeropoint", "zeropoints");
  const Table& stars = products.table("zeropoint", "zp_stars");
  section.blocks.emplace_back(summary(zeropoints, config.zp_ref));
  for (std::size_t i = 0; i < zeropoints.rows(); ++i) {
    web::Chart chart = zp_against_mag(stars, zeropoints.get<std::string>("band")[i],
                                      zeropoints.get<double>("zp_median")[i]);
    if (!chart.series.empty()) {
      section.blocks.emplace_back(std::move(chart));
    }
  }
  return section;
}

}  // namespace skyloom::photometry
