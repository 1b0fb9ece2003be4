#include <cmath>

#include <fmt/format.h>

#include "pipelines/photometry/report_parts.hpp"

namespace skyloom::photometry {
namespace {

std::string magnitude_text(double value) {
  return std::isfinite(value) ? fmt::format("{:.4f}", value) : std::string("-");
}

web::DataTable summary(const ReportInput& input, const Table& zeropoints) {
  const double zp_ref = input.config.zp_ref;
  const bool many = input.survey.is_listed;
  web::DataTable table{"Per band",
                       {"band", "zero point [mag]", fmt::format("minus {:.1f}", zp_ref),
                        "scatter [mag]", "stars", "kept", "clipped", "not converged"},
                       {}};
  if (many) {
    table.header.insert(table.header.begin(), "field");
  }
  for (std::size_t i = 0; i < zeropoints.rows(); ++i) {
    const double zp = zeropoints.get<double>("zp_median")[i];
    const auto count = [&](const char* column) {
      return std::to_string(zeropoints.get<std::int64_t>(column)[i]);
    };
    std::vector<std::string> row{zeropoints.get<std::string>("band")[i],
                                 magnitude_text(zp),
                                 std::isfinite(zp) ? fmt::format("{:+.4f}", zp - zp_ref) : "-",
                                 magnitude_text(zeropoints.get<double>("zp_err_mad")[i]),
                                 count("n_raw"),
                                 count("n_kept"),
                                 count("n_clipped"),
                                 count("n_nonconverged")};
    if (many) {
      row.insert(row.begin(), zeropoints.get<std::string>("field")[i]);
    }
    table.rows.push_back(std::move(row));
  }
  return shortened(table);
}

web::Series series_of(const char* label, const char* color, const char* kind, const char* symbol) {
  web::Series series;
  series.label = label;
  series.color = color;
  series.kind = kind;
  series.symbol = symbol;
  return series;
}

/// @param row of /zeropoints
web::Chart zp_against_mag(const ReportInput& input, const Field& field, const Table& zeropoints,
                          std::size_t row) {
  const Table& stars = input.products.table("zeropoint", "zp_stars");
  const std::string& band = zeropoints.get<std::string>("band")[row];
  const double zp = zeropoints.get<double>("zp_median")[row];
  const double mad = zeropoints.get<double>("zp_err_mad")[row];
  web::Series kept = series_of("kept", "#1565c0", "points", "circle");
  web::Series clipped = series_of("clipped", "#d50000", "points", "cross");
  web::Series unconverged = series_of("not converged", "#9e9e9e", "points", "diamond");
  web::Series median = series_of("median", "#2e7d32", "line", "circle");
  web::Series band_of_mad = series_of("\xc2\xb1 scatter (MAD)", "#2e7d32", "band", "circle");
  const auto& mag = stars.get<double>("gaiaxp_mag");
  const auto& error = stars.get<double>("zp_err");
  double low = HUGE_VAL;
  double high = -HUGE_VAL;
  const auto [first, last] = input.survey.rows(stars, field);
  for (std::size_t i = first; i < last; ++i) {
    if (stars.get<std::string>("band")[i] != band) {
      continue;
    }
    web::Series& series = stars.get<std::uint8_t>("converged")[i] == 0 ? unconverged
                          : stars.get<std::uint8_t>("is_kept")[i] != 0 ? kept
                                                                       : clipped;
    series.x.push_back(mag[i]);
    series.y.push_back(stars.get<double>("zp")[i]);
    if (&series == &kept) {
      series.error.push_back(error[i]);
    }
    low = std::fmin(low, mag[i]);
    high = std::fmax(high, mag[i]);
  }
  if (std::isfinite(zp) && low <= high) {
    median.x = {low, high};
    median.y = {zp, zp};
    band_of_mad.x = median.x;
    band_of_mad.y = median.y;
    band_of_mad.error = {mad, mad};
  }
  web::Chart chart{"Zero point in " + band + input.of_field(field),
                   "Gaia XP magnitude [mag]",
                   "zero point [mag]",
                   false,
                   false,
                   {},
                   "zp_vs_mag__" + file_part(band)};
  for (web::Series* series : {&band_of_mad, &kept, &clipped, &unconverged, &median}) {
    if (!series->x.empty()) {
      chart.series.push_back(std::move(*series));
    }
  }
  return chart;
}

}  // namespace

web::Section zero_point_section(const ReportInput& input, std::vector<std::string>& problems) {
  SectionWriter section("Zero points", problems);
  if (!input.config.calibrates()) {
    section.add(web::Text{input.config.zp.enabled
                              ? "None were measured: the configuration names no Gaia table."
                              : "None were measured: zp.enabled is false."});
    return section.take();
  }
  section.draw("table of zero points", [&]() -> std::vector<web::Block> {
    return {summary(input, input.products.table("zeropoint", "zeropoints"))};
  });
  for (const Field* field : input.shown_fields()) {
    section.draw("zero points" + input.of_field(*field), [&] {
      std::vector<web::Block> charts;
      const Table& zeropoints = input.products.table("zeropoint", "zeropoints");
      const auto [first, last] = input.survey.rows(zeropoints, *field);
      for (std::size_t i = first; i < last; ++i) {
        web::Chart chart = zp_against_mag(input, *field, zeropoints, i);
        if (!chart.series.empty()) {
          charts.emplace_back(std::move(chart));
        }
      }
      return charts;
    });
  }
  return section.take();
}

}  // namespace skyloom::photometry
