#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <map>

#include <fmt/format.h>

#include "pipelines/photometry/fit/stage.hpp"
#include "pipelines/photometry/report_parts.hpp"
#include "skyloom/numerics/robust.hpp"
#include "skyloom/surveys/truth.hpp"

namespace skyloom::photometry {
namespace {

constexpr double kSnrShown = 20.0;

struct Comparison {
  std::string group;
  std::vector<double> pull;
  std::vector<double> relative_percent;
};

/// Normalised histograms of stars and galaxies between -5 and 5 with the unit Gaussian beside them.
web::Chart pull_chart(const std::string& title, const std::map<std::string, Comparison>& models) {
  constexpr int kBins = 25;
  std::map<std::string, Comparison> groups;
  for (const auto& [model, values] : models) {
    auto& pulls = groups[model == "star" ? "stars" : "galaxies"].pull;
    pulls.insert(pulls.end(), values.pull.begin(), values.pull.end());
  }
  web::Chart chart{title, "(measured - true) / error", "fraction per unit", false, false, {}};
  for (const auto& [name, group] : groups) {
    web::Series steps{name, name == "stars" ? "#1565c0" : "#c62828", "steps", {}, {}, {}};
    std::vector<double> counts(kBins, 0.0);
    for (const double p : group.pull) {
      const auto bin = static_cast<int>(std::floor((p + 5.0) / 10.0 * kBins));
      if (bin >= 0 && bin < kBins) {
        counts[static_cast<std::size_t>(bin)] += 1.0;
      }
    }
    for (int b = 0; b < kBins; ++b) {
      steps.x.push_back(-5.0 + (b + 0.5) * 10.0 / kBins);
      steps.y.push_back(counts[static_cast<std::size_t>(b)] /
                        static_cast<double>(group.pull.size()) * kBins / 10.0);
    }
    chart.series.push_back(std::move(steps));
  }
  web::Series gauss{"unit Gaussian", "#757575", "line", {}, {}, {}, "circle", true};
  for (int i = 0; i <= 200; ++i) {
    const double x = -5.0 + 0.05 * i;
    gauss.x.push_back(x);
    gauss.y.push_back(std::exp(-0.5 * x * x) / std::sqrt(2.0 * M_PI));
  }
  chart.series.push_back(std::move(gauss));
  return chart;
}

web::DataTable statistics(const std::string& title, const std::map<std::string, Comparison>& groups,
                          bool relative) {
  web::DataTable table{
      title,
      {"model", "values", "median pull", "pull scatter", relative ? "median [%]" : "median [pix]",
       relative ? "scatter [%]" : "scatter [pix]"},
      {}};
  for (const auto& [name, g] : groups) {
    table.rows.push_back({name, std::to_string(g.pull.size()),
                          fmt::format("{:+.2f}", numerics::median(g.pull)),
                          fmt::format("{:.2f}", numerics::robust_scatter(g.pull)),
                          fmt::format("{:+.3f}", numerics::median(g.relative_percent)),
                          fmt::format("{:.3f}", numerics::robust_scatter(g.relative_percent))});
  }
  return table;
}

struct Matched {
  const Table* catalogue;
  Table truth;
  std::vector<std::size_t> row;  ///< of the truth for every catalogue row, npos = none
};

std::map<std::string, Comparison> compare_fluxes(const Matched& m,
                                                 const std::vector<std::string>& bands) {
  std::map<std::string, Comparison> out;
  const auto& type = m.catalogue->get<std::string>("stype_fit");
  for (const std::string& band : bands) {
    if (!m.truth.has("FLUX_" + band)) {
      continue;
    }
    const auto& flux = m.catalogue->get<double>("FLUX_" + band + "_fit");
    const auto& error = m.catalogue->get<double>("FLUXERR_" + band + "_fit");
    const auto truth = m.truth.numbers("FLUX_" + band);
    for (std::size_t i = 0; i < flux.size(); ++i) {
      if (m.row[i] == Table::npos || !(error[i] > 0.0)) {
        continue;
      }
      const double expected = truth[m.row[i]];
      if (expected > kSnrShown * error[i]) {
        out[type[i]].pull.push_back((flux[i] - expected) / error[i]);
        out[type[i]].relative_percent.push_back(100.0 * (flux[i] / expected - 1.0));
      }
    }
  }
  return out;
}

/// Total signal-to-noise is that of the best band; for a band by itself its own.
double best_snr(const Table& catalogue, const std::vector<std::string>& bands, std::size_t row) {
  double snr = 0.0;
  for (const std::string& band : bands) {
    const double f = catalogue.get<double>("FLUX_" + band + "_fit")[row];
    const double e = catalogue.get<double>("FLUXERR_" + band + "_fit")[row];
    snr = std::fmax(snr, f / e);
  }
  return snr;
}

/// @param crop first pixel of the cropped frame, x and y; the truth is in uncropped pixels
std::map<std::string, Comparison> compare_positions(const Matched& m, const FitNames& names,
                                                    const std::vector<std::string>& bands,
                                                    std::array<double, 2> crop) {
  std::map<std::string, Comparison> out;
  const auto& type = m.catalogue->get<std::string>("stype_fit");
  for (const std::string& set : names.sets(bands)) {
    for (std::size_t k = 0; k < 2; ++k) {
      const std::string axis = k == 0 ? "x" : "y";
      const auto& fitted = m.catalogue->get<double>(names.fitted(axis + "_pix_white", set));
      const auto& error = m.catalogue->get<double>(names.fitted(axis + "_pix_err", set));
      const auto truth = m.truth.numbers(axis);
      for (std::size_t i = 0; i < fitted.size(); ++i) {
        if (m.row[i] == Table::npos || !(error[i] > 0.0)) {
          continue;
        }
        if (best_snr(*m.catalogue, names.apart ? std::vector<std::string>{set} : bands, i) >
            kSnrShown) {
          const double offset = fitted[i] + crop[k] - truth[m.row[i]];
          out[type[i]].pull.push_back(offset / error[i]);
          out[type[i]].relative_percent.push_back(offset);
        }
      }
    }
  }
  return out;
}

Matched matched(const ReportInput& input) {
  Matched m;
  m.catalogue = &input.products.table("catalogue", "catalogue");
  m.truth = surveys::read_truth(input.config.inputs.truth);
  std::map<std::string, std::size_t> row_of_id;
  const auto true_id = m.truth.texts("ID");
  for (std::size_t i = 0; i < true_id.size(); ++i) {
    row_of_id[true_id[i]] = i;
  }
  for (const std::string& id : m.catalogue->texts("ID")) {
    const auto found = row_of_id.find(id);
    m.row.push_back(found == row_of_id.end() ? Table::npos : found->second);
  }
  return m;
}

std::vector<web::Block> compared(const ReportInput& input) {
  const Matched m = matched(input);
  const Table& frames = input.products.table("frames", "frames");
  const auto fluxes = compare_fluxes(m, input.survey.bands);
  const auto positions =
      compare_positions(m, FitNames{input.config.fits_bands_apart()}, input.survey.bands,
                        {frames.numbers("x0_crop")[0], frames.numbers("y0_crop")[0]});
  std::vector<web::Block> blocks;
  blocks.emplace_back(
      web::Text{fmt::format("Sources with a signal-to-noise above {:.0f}, all bands. A pull is the "
                            "difference from the truth over the marginal error; with right errors "
                            "its scatter is 1.",
                            kSnrShown)});
  blocks.emplace_back(statistics("Fluxes", fluxes, true));
  blocks.emplace_back(pull_chart("Flux pulls", fluxes));
  if (!positions.empty()) {
    blocks.emplace_back(statistics("Positions, x and y", positions, false));
    blocks.emplace_back(pull_chart("Position pulls", positions));
  }
  return blocks;
}

}  // namespace

web::Section truth_section(const ReportInput& input, std::vector<std::string>& problems) {
  SectionWriter section("Against the truth of the simulation", problems);
  const std::string& truth = input.config.inputs.truth;
  // A truth names the sources of one field.
  if (truth.empty() || input.survey.is_listed || !std::filesystem::exists(truth) ||
      !input.products.table("catalogue", "catalogue").has("ID")) {
    return section.take();
  }
  section.draw("comparison with the truth", [&] { return compared(input); });
  return section.take();
}

}  // namespace skyloom::photometry
