// Completeness from injections, and flare rates.

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <span>

#include <fmt/format.h>

#include "pipelines/flares/report_parts.hpp"
#include "skyloom/web/section_writer.hpp"

namespace skyloom::flares {
namespace {

constexpr std::int64_t kSample = 0;  ///< `tic` of the whole sample in the tables of `rates`

std::vector<std::size_t> rows_of(const Table& table, std::int64_t tic) {
  std::vector<std::size_t> rows;
  const auto& tics = table.get<std::int64_t>("tic");
  for (std::size_t i = 0; i < tics.size(); ++i) {
    if (tics[i] == tic) {
      rows.push_back(i);
    }
  }
  return rows;
}

/// Bins of equal ratio along an axis, also those in which nothing was injected.
struct LogBins {
  double least = 0.0;  ///< lower edge of the first
  double ratio = 1.0;  ///< of an upper edge to its lower one
  int count = 0;

  LogBins(std::span<const std::size_t> rows, std::span<const double> low,
          std::span<const double> high)
      : least(low[rows.front()]), ratio(high[rows.front()] / low[rows.front()]) {
    double greatest = least;
    for (const std::size_t row : rows) {
      least = std::min(least, low[row]);
      greatest = std::max(greatest, low[row]);
    }
    count = at(greatest) + 1;
  }
  [[nodiscard]] int at(double low) const {
    return static_cast<int>(std::lround(std::log(low / least) / std::log(ratio)));
  }
  /// @param scale to the unit of the label
  [[nodiscard]] web::PictureAxis axis(const std::string& label, double scale) const {
    return {label, std::log10(scale * least * std::sqrt(ratio)), std::log10(ratio)};
  }
};

/// Completeness of bins in duration (columns) and amplitude (rows).
web::PictureRow completeness_map(const Table& map) {
  constexpr double kPixels = 24.0;
  constexpr double kMinutesPerDay = 1440.0;
  const std::vector<std::size_t> rows = rows_of(map, kSample);
  const auto& amplitude = map.get<double>("amp_low");
  const auto& duration = map.get<double>("fwhm_low");
  const LogBins up(rows, amplitude, map.get<double>("amp_high"));
  const LogBins along(rows, duration, map.get<double>("fwhm_high"));
  web::Picture picture;
  picture.pixels = Image<float>(along.count, up.count, std::numeric_limits<float>::quiet_NaN());
  for (const std::size_t row : rows) {
    picture.pixels(up.at(amplitude[row]), along.at(duration[row])) =
        static_cast<float>(map.get<double>("completeness")[row]);
  }
  picture.low = 0.0;
  picture.high = 1.0;
  picture.scale = kPixels;
  picture.title = "recovered fraction; blue: nothing injected";
  picture.axes = true;
  picture.graph = {along.axis("log10 duration [min]", kMinutesPerDay),
                   up.axis("log10 amplitude", 1.0)};
  picture.file = "completeness_map";
  return {"Completeness in amplitude and duration", {picture}, 0, {}};
}

/// Completeness of the sample in one quantity.
web::Chart completeness_chart(const Table& table, const std::string& quantity,
                              const std::string& label) {
  const auto& quantities = table.get<std::string>("quantity");
  web::Series points{"recovered fraction", "#1565c0", "points", {}, {}, {}};
  for (const std::size_t row : rows_of(table, kSample)) {
    if (quantities[row] == quantity && table.get<std::int64_t>("n_injected")[row] > 0) {
      points.x.push_back(std::sqrt(table.get<double>("low")[row] * table.get<double>("high")[row]));
      points.y.push_back(table.get<double>("completeness")[row]);
      points.error.push_back(table.get<double>("completeness_err")[row]);
    }
  }
  web::Chart chart;
  chart.title = "Completeness in " + label;
  chart.x_label = label;
  chart.y_label = "recovered fraction";
  chart.log_x = true;
  chart.file = "completeness_" + quantity;
  chart.series = {points};
  return chart;
}

/// Cumulative rates of the sample, as found and corrected, with the power law.
web::Chart frequency_chart(const Table& points, const Table& sample) {
  web::Series found{"found", "#607d8b", "points", {}, {}, {}};
  web::Series corrected{"corrected for completeness", "#d32f2f", "points", {}, {}, {}};
  for (const std::size_t row : rows_of(points, kSample)) {
    const double x = points.get<double>("log10_ed")[row];
    found.x.push_back(x);
    found.y.push_back(points.get<double>("log10_rate")[row]);
    found.error.push_back(points.get<double>("log10_rate_err")[row]);
    if (std::isfinite(points.get<double>("log10_corrected")[row])) {
      corrected.x.push_back(x);
      corrected.y.push_back(points.get<double>("log10_corrected")[row]);
    }
  }
  web::Chart chart;
  chart.title = "Flare frequency of the sample";
  chart.x_label = "log10 of the equivalent duration [s]";
  chart.y_label = "log10 of the flares at least as large per day";
  chart.file = "flare_frequency";
  chart.series = {found};
  if (!corrected.x.empty()) {
    chart.series.push_back(corrected);
  }
  if (sample.rows() > 0 && std::isfinite(sample.get<double>("slope").front()) &&
      !corrected.x.empty()) {
    const double slope = sample.get<double>("slope").front();
    const double intercept = sample.get<double>("intercept").front();
    const auto [low, high] = std::minmax_element(corrected.x.begin(), corrected.x.end());
    chart.series.push_back({fmt::format("power law, slope {:.2f} +- {:.2f}", slope,
                                        sample.get<double>("slope_err").front()),
                            "#1565c0",
                            "line",
                            {*low, *high},
                            {intercept - slope * *low, intercept - slope * *high},
                            {}});
  }
  return chart;
}

std::string shown(double value) {
  return std::isfinite(value) ? fmt::format("{:.4g}", value) : std::string("-");
}

/// Stars with most flares first.
web::DataTable star_table(const Table& stars) {
  std::vector<std::size_t> order(stars.rows());
  for (std::size_t i = 0; i < order.size(); ++i) {
    order[i] = i;
  }
  const auto& flares = stars.get<std::int32_t>("n_flares");
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return flares[a] > flares[b]; });
  web::DataTable table;
  table.title = stars.rows() > kRowsShown
                    ? fmt::format("The {} stars with most flares of {}", kRowsShown, stars.rows())
                    : "Stars";
  table.header = {"TIC",        "sectors",   "days",      "flares",
                  "log10 ED50", "slope (a)", "its error", "flare luminosity fraction"};
  order.resize(std::min(order.size(), kRowsShown));
  for (const std::size_t i : order) {
    table.rows.push_back({std::to_string(stars.get<std::int64_t>("tic")[i]),
                          std::to_string(stars.get<std::int32_t>("n_sectors")[i]),
                          shown(stars.get<double>("duration")[i]), std::to_string(flares[i]),
                          shown(stars.get<double>("log10_ed50")[i]),
                          shown(stars.get<double>("slope")[i]),
                          shown(stars.get<double>("slope_err")[i]),
                          shown(stars.get<double>("flare_luminosity_fraction")[i])});
  }
  return table;
}

}  // namespace

web::Section completeness_section(const ReportInput& input, std::vector<std::string>& problems) {
  web::SectionWriter section("Completeness", problems);
  const Table& map = input.products.table("rates", "completeness_map");
  if (rows_of(map, kSample).empty()) {
    return section.take();
  }
  section.add(web::Text{fmt::format(
      "Fraction of the injected flares that were recovered, all sectors together ({} flares per "
      "sector, each at {} cadences; criterion {}).",
      input.config.injection.n_inject, input.config.injection.n_repeat,
      input.config.injection.criterion)});
  section.draw("completeness map",
               [&]() -> std::vector<web::Block> { return {completeness_map(map)}; });
  const Table& table = input.products.table("rates", "completeness");
  const auto add = [&](const std::string& quantity, const std::string& label) {
    section.draw("completeness in " + label, [&]() -> std::vector<web::Block> {
      return {completeness_chart(table, quantity, label)};
    });
  };
  add("amplitude", "amplitude");
  add("equivalent_duration", "equivalent duration [s]");
  return section.take();
}

web::Section rates_section(const ReportInput& input, std::vector<std::string>& problems) {
  web::SectionWriter section("Rates", problems);
  const Table& points = input.products.table("rates", "ffd");
  if (!rows_of(points, kSample).empty()) {
    section.draw("flare frequency", [&]() -> std::vector<web::Block> {
      return {frequency_chart(points, input.products.table("rates", "sample_rates"))};
    });
  }
  const Table& stars = input.products.table("rates", "star_rates");
  if (stars.rows() > 0) {
    section.draw("table of stars",
                 [&]() -> std::vector<web::Block> { return {star_table(stars)}; });
  }
  return section.take();
}

}  // namespace skyloom::flares
