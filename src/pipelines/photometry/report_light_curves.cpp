// Forced fluxes: light curves of the brightest and of the most variable sources.

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include <fmt/format.h>

#include "pipelines/photometry/report_parts.hpp"

namespace skyloom::photometry {
namespace {

constexpr std::size_t kBrightShown = 3;
constexpr std::size_t kVariableShown = 5;

/// Weighted sums of the fluxes of one band.
struct BandSums {
  double w = 0.0;
  double wf = 0.0;
  double wff = 0.0;
  int n = 0;
};

struct LightCurve {
  std::int64_t source = 0;
  std::size_t first = 0;  ///< rows of /forced
  std::size_t last = 0;
  double snr = 0.0;   ///< of the mean flux, all bands
  double chi2 = 0.0;  ///< of a constant per band
  int dof = 0;

  /// How unlikely the scatter is for a constant source, in sigma of chi2.
  [[nodiscard]] double excess() const {
    return dof > 0 ? (chi2 - dof) / std::sqrt(2.0 * dof) : -HUGE_VAL;
  }
};

LightCurve measured(const Table& forced, std::size_t first, std::size_t last) {
  const auto& band = forced.get<std::string>("band");
  const auto& flux = forced.get<double>("FLUX_fit");
  const auto& error = forced.get<double>("FLUXERR_fit");
  LightCurve curve{forced.get<std::int64_t>("source")[first], first, last, 0.0, 0.0, 0};
  std::map<std::string, BandSums> bands;
  for (std::size_t i = first; i < last; ++i) {
    if (error[i] > 0.0 && std::isfinite(flux[i])) {
      BandSums& sums = bands[band[i]];
      const double w = 1.0 / (error[i] * error[i]);
      sums.w += w;
      sums.wf += w * flux[i];
      sums.wff += w * flux[i] * flux[i];
      ++sums.n;
    }
  }
  double snr2 = 0.0;
  for (const auto& [name, sums] : bands) {
    const double mean = sums.wf / sums.w;
    snr2 += std::max(0.0, mean) * std::max(0.0, mean) * sums.w;
    curve.chi2 += std::max(0.0, sums.wff - mean * sums.wf);
    curve.dof += sums.n - 1;
  }
  curve.snr = std::sqrt(snr2);
  return curve;
}

/// Curves of all sources; rows of one source stand together.
std::vector<LightCurve> all_curves(const Table& forced) {
  const auto& source = forced.get<std::int64_t>("source");
  std::vector<LightCurve> curves;
  for (std::size_t first = 0; first < forced.rows();) {
    std::size_t last = first;
    while (last < forced.rows() && source[last] == source[first]) {
      ++last;
    }
    curves.push_back(measured(forced, first, last));
    first = last;
  }
  return curves;
}

/// The brightest, then the most variable ones that are not among them.
std::vector<LightCurve> chosen(std::vector<LightCurve> curves) {
  std::vector<LightCurve> out;
  std::set<std::int64_t> taken;
  const auto take = [&](std::size_t most, const auto& before, const auto& counts) {
    std::stable_sort(curves.begin(), curves.end(), before);
    for (std::size_t i = 0, n = 0; i < curves.size() && n < most; ++i) {
      if (counts(curves[i]) && taken.insert(curves[i].source).second) {
        out.push_back(curves[i]);
        ++n;
      }
    }
  };
  take(
      kBrightShown, [](const LightCurve& a, const LightCurve& b) { return a.snr > b.snr; },
      [](const LightCurve& c) { return c.snr > 0.0; });
  take(
      kVariableShown,
      [](const LightCurve& a, const LightCurve& b) { return a.excess() > b.excess(); },
      [](const LightCurve& c) { return c.dof > 0; });
  return out;
}

web::Chart drawn(const ReportInput& input, const Table& forced, const LightCurve& curve) {
  const auto& band = forced.get<std::string>("band");
  const auto& mjd = forced.get<double>("mjd");
  const auto& flux = forced.get<double>("FLUX_fit");
  const auto& error = forced.get<double>("FLUXERR_fit");
  std::set<double> times;
  for (std::size_t i = curve.first; i < curve.last; ++i) {
    times.insert(std::isfinite(mjd[i]) ? mjd[i] : HUGE_VAL);
  }
  // Without times the images stand in the order of the list.
  const bool timed = times.size() > 1 && times.count(HUGE_VAL) == 0;
  const std::string& id = forced.get<std::string>("ID")[curve.first];
  const std::string name = id.empty() ? fmt::format("row {}", curve.source) : id;
  web::Chart chart;
  chart.title = fmt::format("{}: S/N {:.0f}, chi2 of a constant {:.1f} for {} d.o.f.", name,
                            curve.snr, curve.chi2, curve.dof);
  chart.x_label = timed ? "MJD" : "image";
  chart.y_label = "scaled flux";
  chart.file = "light_curve_" + file_part(name);
  for (std::size_t b = 0; b < input.survey.bands.size(); ++b) {
    web::Series points;
    points.label = input.survey.bands[b];
    points.color = band_color(b);
    for (std::size_t i = curve.first; i < curve.last; ++i) {
      if (band[i] == points.label) {
        points.x.push_back(timed ? mjd[i]
                                 : static_cast<double>(forced.get<std::int32_t>("frame")[i]));
        points.y.push_back(flux[i]);
        points.error.push_back(error[i]);
      }
    }
    if (!points.x.empty()) {
      chart.series.push_back(std::move(points));
    }
  }
  return chart;
}

}  // namespace

web::Section light_curves_section(const ReportInput& input, std::vector<std::string>& problems) {
  SectionWriter section("Light curves", problems);
  if (!input.config.patch_run.forced) {
    return section.take();
  }
  section.draw("light curves", [&]() -> std::vector<web::Block> {
    const Table& forced = input.products.table("catalogue", "forced");
    const std::vector<LightCurve> curves = all_curves(forced);
    std::vector<web::Block> blocks;
    blocks.emplace_back(
        web::Text{fmt::format("{} fluxes of {} sources. Below: the {} brightest, then those whose "
                              "scatter is least likely "
                              "for a constant source, by the chi2 of one constant per band.",
                              forced.rows(), curves.size(), kBrightShown)});
    for (const LightCurve& curve : chosen(curves)) {
      blocks.emplace_back(drawn(input, forced, curve));
    }
    return blocks;
  });
  return section.take();
}

}  // namespace skyloom::photometry
