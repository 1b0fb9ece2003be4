// Sections that are mostly tables: fields, catalogue, frames.

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "pipelines/photometry/catalogue/stage.hpp"
#include "pipelines/photometry/report_parts.hpp"

namespace skyloom::photometry {
namespace {

/// Zero points of a field, "g 24.997, r 25.012".
std::string zero_points_of(const ReportInput& input, const Field& field) {
  if (!input.config.calibrates()) {
    return "";
  }
  const Table& table = input.products.table("zeropoint", "zeropoints");
  const auto [first, last] = input.survey.rows(table, field);
  std::string text;
  for (std::size_t i = first; i < last; ++i) {
    const double zp = table.get<double>("zp_median")[i];
    text += (text.empty() ? "" : ", ") + table.get<std::string>("band")[i] + " " +
            (std::isfinite(zp) ? fmt::format("{:.4f}", zp) : std::string("-"));
  }
  return text;
}

web::DataTable field_table(const ReportInput& input) {
  web::DataTable table{"Fields",
                       {"field", "bands", "frames", "rows", "fitted", "converged", "converged [%]",
                        "patches", "zero points [mag]"},
                       {}};
  const Table& catalogue = input.products.table("catalogue", "catalogue");
  const Table& patches = input.products.table("patches", "patches");
  const auto& type = catalogue.get<std::string>("stype_fit");
  const auto converged = converged_rows(input.config, catalogue, input.survey.bands);
  for (const Field& field : input.survey.fields) {
    const auto [first, last] = input.survey.rows(catalogue, field);
    std::size_t fitted = 0;
    std::size_t good = 0;
    for (std::size_t i = first; i < last; ++i) {
      fitted += type[i].empty() ? 0 : 1;
      good += converged[i];
    }
    const auto [patch0, patch1] = input.survey.rows(patches, field);
    table.rows.push_back({field.name(), fmt::format("{}", fmt::join(field.bands, " ")),
                          std::to_string(field.size()), std::to_string(last - first),
                          std::to_string(fitted), std::to_string(good),
                          fitted > 0 ? fmt::format("{:.1f}", 100.0 * static_cast<double>(good) /
                                                                 static_cast<double>(fitted))
                                     : std::string("-"),
                          std::to_string(patch1 - patch0), zero_points_of(input, field)});
  }
  return table;
}

web::DataTable type_table(const ReportInput& input) {
  const Table& catalogue = input.products.table("catalogue", "catalogue");
  const auto& type = catalogue.get<std::string>("stype_fit");
  const auto converged = converged_rows(input.config, catalogue, input.survey.bands);
  std::map<std::string, std::array<int, 2>> counts;
  for (std::size_t i = 0; i < type.size(); ++i) {
    if (!type[i].empty()) {
      ++counts[type[i]][0];
      counts[type[i]][1] += converged[i];
    }
  }
  web::DataTable table{"Sources by model", {"model", "fitted", "converged"}, {}};
  for (const auto& [name, count] : counts) {
    table.rows.push_back({name, std::to_string(count[0]), std::to_string(count[1])});
  }
  return table;
}

/// A point per source, every n-th one where there are very many.
web::Chart error_chart(const ReportInput& input) {
  constexpr std::size_t kMostPoints = 10000;
  const Table& catalogue = input.products.table("catalogue", "catalogue");
  const std::size_t step = catalogue.rows() / kMostPoints + 1;
  web::Chart chart{"Flux error against flux", "scaled flux", "marginal error", true, true, {}};
  for (const std::string& band : input.survey.bands) {
    web::Series points;
    points.label = band;
    points.color = band_color(chart.series.size());
    const auto& flux = catalogue.get<double>("FLUX_" + band + "_fit");
    const auto& error = catalogue.get<double>("FLUXERR_" + band + "_fit");
    for (std::size_t i = 0; i < flux.size(); i += step) {
      if (flux[i] > 0.0 && error[i] > 0.0) {
        points.x.push_back(flux[i]);
        points.y.push_back(error[i]);
      }
    }
    chart.series.push_back(std::move(points));
  }
  return chart;
}

web::DataTable frame_table(const ReportInput& input) {
  const Table& frames = input.products.table("frames", "frames");
  web::DataTable table{
      "Images",
      {"band", "file", "size", "grid", "MJD", "zero point [mag]", "scale", "sky sigma [ADU]",
       "gain [e/ADU]", "FWHM [pix]", "saturated pixels", "other bad pixels"},
      {}};
  for (std::size_t i = 0; i < frames.rows(); ++i) {
    const auto number = [&](const char* column) { return frames.numbers(column)[i]; };
    const auto text = [](double value, const char* format) {
      return std::isfinite(value) ? fmt::format(fmt::runtime(format), value) : std::string("-");
    };
    table.rows.push_back({input.frame_label(i), frames.get<std::string>("file")[i],
                          fmt::format("{} x {}", number("width"), number("height")),
                          frames.get<std::uint8_t>("on_grid")[i] != 0 ? "white" : "own",
                          text(number("mjd"), "{:.4f}"), text(number("zp_mag"), "{:.4f}"),
                          text(number("scale"), "{:.5g}"), text(number("skysig_adu"), "{:.3g}"),
                          text(number("egain"), "{:.3g}"), text(number("fwhm_pix"), "{:.2f}"),
                          fmt::format("{}", number("n_saturated")),
                          fmt::format("{}", number("n_not_finite") + number("n_masked"))});
    if (table.rows.size() > kRowsShown) {
      break;
    }
  }
  return table;
}

}  // namespace

web::Section fields_section(const ReportInput& input, std::vector<std::string>& problems) {
  SectionWriter section("Fields", problems);
  if (!input.survey.is_listed) {
    return section.take();
  }
  section.draw("table of fields",
               [&]() -> std::vector<web::Block> { return {shortened(field_table(input))}; });
  if (input.survey.fields.size() > kFieldsShown) {
    section.add(web::Text{fmt::format("Pictures below are of the first {} fields.", kFieldsShown)});
  }
  return section.take();
}

web::Section catalogue_section(const ReportInput& input, std::vector<std::string>& problems) {
  SectionWriter section("Catalogue", problems);
  section.draw("table of models", [&]() -> std::vector<web::Block> { return {type_table(input)}; });
  section.draw("flux errors", [&]() -> std::vector<web::Block> { return {error_chart(input)}; });
  return section.take();
}

web::Section frames_section(const ReportInput& input, std::vector<std::string>& problems) {
  SectionWriter section("Frames", problems);
  section.draw("table of images",
               [&]() -> std::vector<web::Block> { return {shortened(frame_table(input))}; });
  return section.take();
}

}  // namespace skyloom::photometry
