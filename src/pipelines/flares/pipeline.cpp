#include "pipelines/flares/pipeline.hpp"

#include <set>

#include <fmt/format.h>

#include "pipelines/flares/detect/stage.hpp"
#include "pipelines/flares/gp/stage.hpp"
#include "pipelines/flares/inject/stage.hpp"
#include "pipelines/flares/rates/stage.hpp"
#include "pipelines/flares/report.hpp"
#include "pipelines/flares/sectors.hpp"
#include "pipelines/flares/stored.hpp"
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
  void take_share(std::size_t index, std::size_t count) override {
    take_share_of_sectors(config_, index, count);
  }
  void simulate(const engine::SimulateOptions& /*options*/) const override {
    throw ConfigError("simulate flares", "there is no simulator", "photometry");
  }

 private:
  Config config_;
};

std::vector<engine::Published> Flares::published() const {
  return {{"detect", "networks", "networks"},
          {"detect", "sectors", "sectors"},
          {"gp", "models", "models"},
          {"gp", "flares", "flares"},
          {"inject", "injections", "injections"},
          {"inject", "recoveries", "recoveries"},
          {"rates", "sector_rates", "sector_rates"},
          {"rates", "star_rates", "star_rates"},
          {"rates", "sample_rates", "sample_rates"},
          {"rates", "ffd", "ffd"},
          {"rates", "completeness", "completeness"},
          {"rates", "completeness_map", "completeness_map"}};
}

std::vector<engine::Export> Flares::exports() const {
  return {{"flares", "flares.csv", "csv"},
          {"sectors", "sectors.csv", "csv"},
          {"star_rates", "star_rates.csv", "csv"}};
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
  return {fmt::format("{} flares in {} sectors of {} stars, {} cadences", flares, sectors.size(),
                      stars.size(), cadences)};
}

}  // namespace

std::unique_ptr<engine::Pipeline> make_flares() {
  return std::make_unique<Flares>();
}

}  // namespace skyloom::flares
