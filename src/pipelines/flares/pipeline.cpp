#include "pipelines/flares/pipeline.hpp"

#include <set>

#include <fmt/format.h>

#include "pipelines/flares/detect/stage.hpp"
#include "pipelines/flares/fetch.hpp"
#include "pipelines/flares/forecast.hpp"
#include "pipelines/flares/gp/stage.hpp"
#include "pipelines/flares/inject/stage.hpp"
#include "pipelines/flares/rates/stage.hpp"
#include "pipelines/flares/report.hpp"
#include "pipelines/flares/sample/stage.hpp"
#include "pipelines/flares/sector_files.hpp"
#include "pipelines/flares/simulate.hpp"
#include "pipelines/flares/star_files.hpp"
#include "pipelines/flares/stored.hpp"
#include "pipelines/flares/tables.hpp"
#include "skyloom/core/errors.hpp"

namespace skyloom::flares {
namespace {

class Flares final : public engine::Pipeline {
 public:
  [[nodiscard]] std::string_view name() const override { return "flares"; }
  [[nodiscard]] std::string_view summary() const override {
    return "stellar flares: sector light curves to flares, completeness and flare rates";
  }
  void declare(ConfigSpec& spec) override { flares::declare(spec, config_); }
  void check() override { flares::check(config_); }
  [[nodiscard]] std::string run_directory() const override { return {}; }

  [[nodiscard]] std::vector<std::unique_ptr<engine::StageBase>> stages() override {
    std::vector<std::unique_ptr<engine::StageBase>> out;
    out.push_back(std::make_unique<engine::StageAdapter<DetectStage>>(config_));
    out.push_back(std::make_unique<engine::StageAdapter<GpStage>>(config_));
    out.push_back(std::make_unique<engine::StageAdapter<InjectStage>>(config_));
    out.push_back(std::make_unique<engine::StageAdapter<RatesStage>>(config_));
    out.push_back(std::make_unique<engine::StageAdapter<SampleStage>>(config_));
    return out;
  }
  [[nodiscard]] std::vector<engine::Published> published() const override;
  [[nodiscard]] std::vector<engine::Export> exports() const override;
  [[nodiscard]] std::vector<std::string> summary_lines(
      const engine::Products& products) const override;
  [[nodiscard]] web::Report report(const engine::Products& products,
                                   const engine::ReportOptions& options) const override {
    return flares::report(config_, products, options);
  }
  [[nodiscard]] std::vector<engine::StageForecast> forecast() const override {
    return flares::forecast(config_);
  }
  [[nodiscard]] std::vector<engine::FileSet> file_sets(
      const engine::Products& products) const override;
  [[nodiscard]] std::vector<std::string> folders() const override {
    return {kSectorFolder, kStarFolder};
  }
  bool take_share(std::size_t index, std::size_t count) override {
    config_.share = {index, count};
    config_.found.reset();
    return false;  // which sectors are there may change: a finished stage knows its own
  }
  [[nodiscard]] std::vector<engine::Tool> tools() const override { return fetch_tools(); }
  [[nodiscard]] int use_tool(std::string_view tool,
                             const engine::ToolOptions& options) const override {
    return use_fetch_tool(config_, tool, options);
  }
  void simulate(const engine::SimulateOptions& options) const override {
    SimulationOptions simulation;
    simulation.folder = options.folder;
    simulation.size = options.size;
    simulation.seed = options.seed;
    flares::simulate(simulation);
  }

 private:
  Config config_;
};

/// A table of the stars, and after them of the sample.
engine::Published stars_and_sample(const std::string& table) {
  return {"rates", table, table, false, [table](const engine::Products& products) {
            Table out = products.table("rates", table);
            out.append(products.table("sample", table));
            return out;
          }};
}

std::vector<engine::Published> Flares::published() const {
  return {{"gp", "flares", "flares", false, all_flares},
          {"detect", "sectors", "sectors", false, sectors_with_places},
          {"gp", "models", "models"},
          {"detect", "networks", "networks"},
          {"detect", "lc", "lc", true},
          {"gp", "lc/gp_mu", "lc/gp_mu", true},
          {"gp", "lc/gp_var", "lc/gp_var", true},
          {"inject", "injections", "injections", true},
          {"inject", "recoveries", "recoveries", true},
          {"rates", "sector_rates", "sector_rates"},
          {"rates", "star_rates", "star_rates"},
          {"sample", "sample_rates", "sample_rates"},
          stars_and_sample("ffd"),
          stars_and_sample("completeness"),
          stars_and_sample("completeness_map"),
          {"rates", "completeness_surface", "completeness_surface"}};
}

std::vector<engine::FileSet> Flares::file_sets(const engine::Products& products) const {
  std::vector<engine::FileSet> sets;
  if (config_.output.per_sector) {
    sets.push_back(sector_files(config_, products));
  }
  if (config_.output.per_star) {
    sets.push_back(star_files(config_, products));
  }
  return sets;
}

std::vector<engine::Export> Flares::exports() const {
  return {
      {"flares", "flares.csv", "csv"},
      {"sectors", "sectors.csv", "csv"},
      {"star_rates", "star_rates.csv", "csv"},
      {.table = "failed", .file = "failed.csv", .format = "csv", .make = [](const auto& products) {
         return failed_units({"detect", "gp", "inject", "rates", "sample"}, products);
       }}};
}

std::vector<std::string> Flares::summary_lines(const engine::Products& products) const {
  std::set<std::int64_t> stars;
  std::size_t flares = 0;
  std::size_t cadences = 0;
  const std::vector<StoredSector> sectors = stored_sectors(products);
  for (const StoredSector& sector : sectors) {
    stars.insert(sector.tic);
    flares += sector.flares;
    cadences += sector.cadences;
  }
  std::vector<std::string> lines{fmt::format("{} flares in {} sectors of {} stars, {} cadences",
                                             flares, sectors.size(), stars.size(), cadences)};
  const Table& sample = products.table("sample", "sample_rates");
  if (sample.rows() > 0) {
    lines.push_back(fmt::format("rates of {} sectors of {} stars, {} flares{}",
                                sample.get<std::int32_t>("n_sectors").front(),
                                sample.get<std::int32_t>("n_stars").front(),
                                sample.get<std::int32_t>("n_flares").front(),
                                config_.inputs.runs.empty() ? "" : ", those of other runs too"));
  }
  return lines;
}

}  // namespace

std::unique_ptr<engine::Pipeline> make_flares() {
  return std::make_unique<Flares>();
}

}  // namespace skyloom::flares
