// Completeness from injections, and flare rates.

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>

#include <fmt/format.h>

#include "pipelines/flares/report_parts.hpp"
#include "skyloom/web/section_writer.hpp"

namespace skyloom::flares {
namespace {

/// Bins of equal ratio along an axis, also those in which nothing was injected.
struct LogBins {
  double least = 0.0;  ///< lower edge of the first
  double ratio = 1.0;  ///< of an upper edge to its lower one
  int count = 0;

  LogBins(std::span<const double> low, std::span<const double> high)
      : least(*std::min_element(low.begin(), low.end())), ratio(high.front() / low.front()) {
    count = at(*std::max_element(low.begin(), low.end())) + 1;
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
  const auto& amplitude = map.get<double>("amp_low");
  const auto& duration = map.get<double>("fwhm_low");
  const LogBins up(amplitude, map.get<double>("amp_high"));
  const LogBins along(duration, map.get<double>("fwhm_high"));
  web::Picture picture;
  picture.pixels = Image<float>(along.count, up.count, std::numeric_limits<float>::quiet_NaN());
  for (std::size_t row = 0; row < map.rows(); ++row) {
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
  for (std::size_t row = 0; row < table.rows(); ++row) {
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
/// @param drawn rows of `points`
web::Chart frequency_chart(const Table& points, const std::vector<std::size_t>& drawn,
                           const Table& sample) {
  web::Series found{"found", "#607d8b", "points", {}, {}, {}};
  web::Series corrected{"corrected for completeness", "#d32f2f", "points", {}, {}, {}};
  for (const std::size_t row : drawn) {
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

std::vector<std::size_t> drawn_points(std::size_t count) {
  constexpr std::size_t kOthersDrawn = 2000;
  std::vector<std::size_t> out(std::min(count, kLargestDrawn));
  std::iota(out.begin(), out.end(), std::size_t{0});
  if (count <= kLargestDrawn) {
    return out;
  }
  const double ratio = static_cast<double>(count) / static_cast<double>(kLargestDrawn);
  for (std::size_t k = 1; k <= kOthersDrawn; ++k) {
    const double part = static_cast<double>(k) / static_cast<double>(kOthersDrawn);
    const double rank = static_cast<double>(kLargestDrawn) * std::pow(ratio, part);
    const std::size_t at = std::min(count, static_cast<std::size_t>(std::lround(rank))) - 1;
    if (at > out.back()) {
      out.push_back(at);
    }
  }
  return out;
}

web::Section completeness_section(const ReportInput& input, std::vector<std::string>& problems) {
  web::SectionWriter section("Completeness", problems);
  const Table& map = input.products.table("sample", "completeness_map");
  if (map.rows() == 0) {
    return section.take();
  }
  section.add(web::Text{fmt::format(
      "Fraction of the injected flares that were recovered, all sectors together ({} flares per "
      "sector, each at {} cadences; criterion {}).",
      input.config.injection.n_inject, input.config.injection.n_repeat,
      input.config.injection.criterion)});
  section.draw("completeness map",
               [&]() -> std::vector<web::Block> { return {completeness_map(map)}; });
  const Table& table = input.products.table("sample", "completeness");
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
  const Table& points = input.products.table("sample", "ffd");
  if (points.rows() > 0) {
    section.draw("flare frequency", [&]() -> std::vector<web::Block> {
      const std::vector<std::size_t> drawn = drawn_points(points.rows());
      std::vector<web::Block> blocks{
          frequency_chart(points, drawn, input.products.table("sample", "sample_rates"))};
      if (drawn.size() < points.rows()) {
        blocks.emplace_back(web::Text{fmt::format(
            "Drawn are {} of {} flares: the {} largest, and of the others some evenly in the "
            "logarithm of the rate. The power law was fitted to all.",
            drawn.size(), points.rows(), kLargestDrawn)});
      }
      return blocks;
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
