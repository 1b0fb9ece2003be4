#include "pipelines/flares/report.hpp"

#include <cmath>
#include <map>
#include <set>

#include <fmt/format.h>

#include "pipelines/flares/report_parts.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/web/section_writer.hpp"

namespace skyloom::flares {
namespace {

std::vector<std::pair<std::string, std::string>> facts(const ReportInput& input) {
  std::set<std::int64_t> stars;
  std::size_t flares = 0;
  double days = 0.0;
  for (const StoredSector& sector : input.sectors) {
    stars.insert(sector.tic);
    flares += sector.flares;
    days += static_cast<double>(sector.predicted) * sector.cadence_d;
  }
  const Table& injected = input.products.table("inject", "blocks");
  std::int64_t trials = 0;
  for (std::size_t i = 0; i < injected.rows(); ++i) {
    trials += std::int64_t{injected.get<std::int32_t>("flares")[i]} *
              injected.get<std::int32_t>("repeats")[i];
  }
  std::vector<std::pair<std::string, std::string>> out{
      {"stars", std::to_string(stars.size())},
      {"sectors", std::to_string(input.sectors.size())},
      {"days searched", fmt::format("{:.1f}", days)},
      {"flares", std::to_string(flares)},
      {"networks", std::to_string(input.products.table("detect", "networks").rows())},
      {"injections", std::to_string(trials)}};
  // Without the sectors whose Gaussian process failed, and with those of other runs.
  const Table& sample = input.products.table("sample", "sample_rates");
  if (sample.rows() > 0) {
    const auto count = [&](const char* name) {
      return std::to_string(sample.get<std::int32_t>(name).front());
    };
    out.emplace_back("stars in the rates", count("n_stars"));
    out.emplace_back("sectors in the rates", count("n_sectors"));
    out.emplace_back("days in the rates",
                     fmt::format("{:.1f}", sample.get<double>("duration").front()));
    out.emplace_back("flares in the rates", count("n_flares"));
  }
  return out;
}

std::string what_is_shown(const Config& config) {
  const std::string what = "Flares of sector light curves, completeness and rates";
  return config.inputs.runs.empty()
             ? what
             : what + fmt::format("; completeness and rates with those of {} other run{}",
                                  config.inputs.runs.size(),
                                  config.inputs.runs.size() == 1 ? "" : "s");
}

}  // namespace

web::Section sectors_section(const ReportInput& input, std::vector<std::string>& problems) {
  web::SectionWriter section("Sectors", problems);
  section.draw("table of sectors", [&]() -> std::vector<web::Block> {
    const Table& sectors = input.products.table("detect", "sectors");
    const Table& models = input.products.table("gp", "models");
    std::map<std::pair<std::int64_t, std::int32_t>, std::size_t> model_of;
    for (std::size_t i = 0; i < models.rows(); ++i) {
      model_of[{models.get<std::int64_t>("tic")[i], models.get<std::int32_t>("sector")[i]}] = i;
    }
    web::DataTable table;
    const std::size_t rows = std::min(kRowsShown, input.sectors.size());
    table.title = rows < input.sectors.size()
                      ? fmt::format("The first {} of {} sectors", rows, input.sectors.size())
                      : "Sectors";
    table.header = {"TIC",    "sector",     "file",        "cadences",    "searched",
                    "flares", "period [d]", "false alarm", "GP converged"};
    for (std::size_t i = 0; i < rows; ++i) {
      const StoredSector& sector = input.sectors[i];
      const auto found = model_of.find({sector.tic, sector.sector});
      std::string period = "-";
      std::string alarm = "-";
      std::string converged = "failed";
      if (found != model_of.end()) {
        period = fmt::format("{:.4f}", models.get<double>("period_ls")[found->second]);
        alarm = fmt::format("{:.1e}", models.get<double>("false_alarm")[found->second]);
        converged = models.get<std::uint8_t>("converged")[found->second] != 0 ? "yes" : "no";
      }
      table.rows.push_back({std::to_string(sector.tic), std::to_string(sector.sector),
                            sectors.get<std::string>("source")[sector.row],
                            std::to_string(sector.cadences), std::to_string(sector.predicted),
                            std::to_string(sector.flares), period, alarm, converged});
    }
    return {table};
  });
  return section.take();
}

web::Report report(const Config& config, const engine::Products& products,
                   const engine::ReportOptions& options) {
  if (!options.cutouts.empty()) {
    throw ConfigError("--cutouts", "flares has no cut-outs", "no such option");
  }
  const ReportInput input{config, products, stored_sectors(products)};
  web::Report out;
  out.title = "Flares";
  out.subtitle = what_is_shown(config);
  out.facts = facts(input);
  const auto add = [&](web::Section section) {
    if (!section.blocks.empty()) {
      out.sections.push_back(std::move(section));
    }
  };
  add(light_curves_section(input, out.problems));
  add(gallery_section(input, out.problems));
  add(completeness_section(input, out.problems));
  add(rates_section(input, out.problems));
  add(sectors_section(input, out.problems));
  return out;
}

}  // namespace skyloom::flares
