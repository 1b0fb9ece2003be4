// Light curves with mask and Gaussian process, and the largest flares.

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "pipelines/flares/report_parts.hpp"
#include "skyloom/web/section_writer.hpp"

namespace skyloom::flares {
namespace {

constexpr const char* kQuietColor = "#607d8b";
constexpr const char* kFlareColor = "#d32f2f";
constexpr const char* kModelColor = "#1565c0";

/// Cadences [first, last) of a sector: quiet ones, those of flares, and the model over the median.
web::Chart drawn(const ReportInput& input, const StoredSector& sector,
                 const StoredLightCurve& curve, std::size_t first, std::size_t last) {
  const std::vector<double> mu =
      input.products.range<double>("gp", "lc/gp_mu", sector.first_cadence, sector.cadences);
  const std::vector<double> variance =
      input.products.range<double>("gp", "lc/gp_var", sector.first_cadence, sector.cadences);
  web::Series quiet{"flux", kQuietColor, "points", {}, {}, {}};
  web::Series flare{"flare", kFlareColor, "points", {}, {}, {}};
  web::Series model{"Gaussian process", kModelColor, "line", {}, {}, {}};
  web::Series spread{"its standard deviation", kModelColor, "band", {}, {}, {}};
  for (std::size_t i = first; i < last; ++i) {
    web::Series& points = curve.flare[i] != 0 ? flare : quiet;
    points.x.push_back(curve.time[i]);
    points.y.push_back(curve.flux[i] / sector.median_flux);
    model.x.push_back(curve.time[i]);
    model.y.push_back(mu[i] / sector.median_flux);
    spread.error.push_back(std::sqrt(variance[i]) / sector.median_flux);
  }
  spread.x = model.x;
  spread.y = model.y;
  web::Chart chart;
  chart.x_label = "BTJD [d]";
  chart.y_label = "flux / median";
  chart.series = {quiet, flare, spread, model};
  std::erase_if(chart.series, [](const web::Series& series) { return series.x.empty(); });
  return chart;
}

/// Positions of the largest values, largest first, ties in order.
template <class Value>
std::vector<std::size_t> largest(std::size_t count, std::size_t most, Value value) {
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  const std::size_t kept = std::min(most, count);
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(kept), order.end(),
                    [&](std::size_t a, std::size_t b) {
                      const double va = value(a);
                      const double vb = value(b);
                      return va != vb ? va > vb : a < b;
                    });
  order.resize(kept);
  return order;
}

web::Chart whole_sector(const ReportInput& input, const StoredSector& sector) {
  const StoredLightCurve curve = stored_light_curve(input.products, sector);
  web::Chart chart = drawn(input, sector, curve, 0, curve.time.size());
  chart.title = fmt::format("TIC {}, sector {}: {} flare{}", sector.tic, sector.sector,
                            sector.flares, sector.flares == 1 ? "" : "s");
  chart.file = fmt::format("light_curve_{}_{}", sector.tic, sector.sector);
  return chart;
}

web::Chart one_flare(const ReportInput& input, const Table& flares, std::size_t row) {
  constexpr std::size_t kBefore = 40;
  constexpr std::size_t kAfter = 90;
  const std::int64_t tic = flares.get<std::int64_t>("tic")[row];
  const std::int32_t number = flares.get<std::int32_t>("sector")[row];
  const auto sector =
      std::find_if(input.sectors.begin(), input.sectors.end(), [&](const StoredSector& candidate) {
        return candidate.tic == tic && candidate.sector == number;
      });
  const StoredLightCurve curve = stored_light_curve(input.products, *sector);
  const auto start = static_cast<std::size_t>(flares.get<std::int32_t>("start")[row]);
  const auto stop = static_cast<std::size_t>(flares.get<std::int32_t>("stop")[row]);
  web::Chart chart = drawn(input, *sector, curve, start - std::min(start, kBefore),
                           std::min(curve.time.size(), stop + kAfter));
  const std::int32_t of_sector = flares.get<std::int32_t>("flare")[row];
  chart.title = fmt::format(
      "TIC {}, sector {}, flare {}: amplitude {:.3g}, equivalent duration "
      "{:.3g} s",
      tic, number, of_sector, flares.get<double>("amplitude")[row],
      flares.get<double>("equivalent_duration")[row]);
  chart.file = fmt::format("flare_{}_{}_{}", tic, number, of_sector);
  return chart;
}

}  // namespace

web::Section light_curves_section(const ReportInput& input, std::vector<std::string>& problems) {
  web::SectionWriter section("Light curves", problems);
  const auto shown = largest(input.sectors.size(), kSectorsShown, [&](std::size_t i) {
    return static_cast<double>(input.sectors[i].flares);
  });
  if (!shown.empty()) {
    section.add(web::Text{fmt::format(
        "{} sectors with most flares, with the cadences of the flares and the Gaussian process of "
        "the star without them.",
        shown.size())});
  }
  for (const std::size_t i : shown) {
    section.draw("light curve of " + input.sectors[i].key, [&]() -> std::vector<web::Block> {
      return {whole_sector(input, input.sectors[i])};
    });
  }
  return section.take();
}

web::Section gallery_section(const ReportInput& input, std::vector<std::string>& problems) {
  web::SectionWriter section("Largest flares", problems);
  const Table& flares = input.products.table("gp", "flares");
  const auto& duration = flares.get<double>("equivalent_duration");
  const auto shown =
      largest(flares.rows(), kFlaresShown, [&](std::size_t i) { return duration[i]; });
  if (!shown.empty()) {
    section.add(web::Text{
        fmt::format("By equivalent duration, {} of {} flares{}.", shown.size(), flares.rows(),
                    input.config.inputs.runs.empty() ? "" : " of this run itself")});
  }
  for (const std::size_t row : shown) {
    section.draw("flare",
                 [&]() -> std::vector<web::Block> { return {one_flare(input, flares, row)}; });
  }
  return section.take();
}

}  // namespace skyloom::flares
