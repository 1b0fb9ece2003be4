#include "pipelines/skycells/pipeline.hpp"

#include <algorithm>
#include <numeric>
#include <set>

#include <fmt/format.h>

#include "pipelines/skycells/combine/stage.hpp"
#include "pipelines/skycells/convolve/stage.hpp"
#include "pipelines/skycells/downsample/stage.hpp"
#include "pipelines/skycells/export_cell.hpp"
#include "pipelines/skycells/forecast.hpp"
#include "pipelines/skycells/report.hpp"
#include "pipelines/skycells/simulate.hpp"
#include "pipelines/skycells/survey.hpp"
#include "pipelines/skycells/tables.hpp"
#include "skyloom/engine/assemble.hpp"

namespace skyloom::skycells {
namespace {

constexpr const char* kRemovedStars = "removed_stars";

class Skycells final : public engine::Pipeline {
 public:
  [[nodiscard]] std::string_view name() const override { return "skycells"; }
  [[nodiscard]] std::string_view summary() const override {
    return "Pan-STARRS1 skycells: bands combined, rows padded and convolved with a Gaussian";
  }
  void declare(ConfigSpec& spec) override {
    skycells::declare(spec, config_);
    is_declared_ = true;
  }
  void check() override { skycells::check(config_); }
  [[nodiscard]] std::string run_directory() const override { return {}; }

  [[nodiscard]] std::vector<std::unique_ptr<engine::StageBase>> stages() override {
    std::vector<std::unique_ptr<engine::StageBase>> out;
    out.push_back(std::make_unique<engine::StageAdapter<CombineStage>>(config_));
    out.push_back(std::make_unique<engine::StageAdapter<ConvolveStage>>(config_));
    // Without a configuration, these are the commands that there are.
    if (config_.downsample.enabled || !is_declared_) {
      out.push_back(std::make_unique<engine::StageAdapter<DownsampleStage>>(config_));
    }
    return out;
  }
  [[nodiscard]] std::vector<engine::FileSet> file_sets(
      const engine::Products& products) const override {
    return config_.downsample.enabled
               ? std::vector<engine::FileSet>{template_files(config_, products)}
               : std::vector<engine::FileSet>{};
  }
  [[nodiscard]] std::vector<std::string> folders() const override { return {kTemplateFolder}; }
  [[nodiscard]] std::vector<engine::Published> published() const override;
  [[nodiscard]] std::vector<engine::Export> exports() const override;
  [[nodiscard]] std::vector<std::string> summary_lines(
      const engine::Products& products) const override;
  [[nodiscard]] web::Report report(const engine::Products& products,
                                   const engine::ReportOptions& options) const override {
    return skycells::report(config_, products, options);
  }
  bool take_share(std::size_t index, std::size_t count) override {
    take_share_of_projections(config_, index, count);
    return true;
  }
  [[nodiscard]] std::vector<engine::StageForecast> forecast() const override {
    return skycells::forecast(config_);
  }
  [[nodiscard]] double max_failed_fraction() const override { return 0.1; }
  [[nodiscard]] std::vector<engine::Tool> tools() const override { return export_tools(); }
  [[nodiscard]] int use_tool(std::string_view tool,
                             const engine::ToolOptions& options) const override {
    return use_export_tool(config_, tool, options);
  }
  void simulate(const engine::SimulateOptions& options) const override {
    skycells::simulate({options.folder, options.size, options.seed});
  }

 private:
  [[nodiscard]] bool removes_stars() const {
    return config_.source_options().saturation == SaturationMode::remove;
  }

  Config config_;
  bool is_declared_ = false;
};

std::vector<engine::Published> Skycells::published() const {
  std::vector<engine::Published> out{
      {"convolve", "cells", "cells", false,
       [this](const engine::Products& products) { return cell_table(config_, products); }},
      {"convolve", "projections", "projections", true}};
  if (removes_stars()) {
    out.push_back({"combine", kRemovedStars, kRemovedStars});
  }
  if (config_.downsample.enabled) {
    out.push_back({"downsample", "cells", "shifts"});
    out.push_back({"downsample", "sums", "sums", true});
  }
  return out;
}

std::vector<engine::Export> Skycells::exports() const {
  const std::string folder = "convolved_results/" + config_.detector_folder();
  std::vector<engine::Export> out{
      {"cells", "cells.csv", "csv"},
      {.table = "cell_metadata",
       .file = folder + "/cell_metadata.json",
       .format = "json",
       .make = [this](const auto& products) { return cell_metadata(config_, products); }}};
  if (removes_stars()) {
    const Config::Inputs& in = config_.inputs;
    out.push_back({kRemovedStars,
                   fmt::format("{}/tess_s{:04}_{}_{}_removed_stars.csv", folder, in.sector,
                               in.camera, in.ccd),
                   "csv"});
  }
  return out;
}

/// Wall time inside the units of a stage.
double unit_seconds(const engine::Products& products, const char* stage) {
  const auto seconds =
      products.range<double>(stage, std::string("provenance/") + engine::kUnitSecondsName, 0,
                             products.n_rows(stage, "units"));
  return std::accumulate(seconds.begin(), seconds.end(), 0.0);
}

std::vector<std::string> Skycells::summary_lines(const engine::Products& products) const {
  const Table cells = cell_table(config_, products);
  const auto& status = cells.get<std::string>("status");
  const auto& projection = cells.get<std::int32_t>("projection");
  const auto& bytes = cells.get<std::int64_t>("bytes_read");
  const std::set<std::int32_t> projections(projection.begin(), projection.end());
  const auto failed = std::count(status.begin(), status.end(), "failed");
  const auto all = static_cast<std::ptrdiff_t>(status.size());
  const double read_mb =
      1e-6 * static_cast<double>(std::accumulate(bytes.begin(), bytes.end(), std::int64_t{0}));
  const double combine_s = unit_seconds(products, "combine");
  const double convolve_s = unit_seconds(products, "convolve");
  std::vector<std::string> lines{
      fmt::format("{} of {} skycells of {} projections convolved", all - failed, all,
                  projections.size()),
      fmt::format(
          "combine: {:.1f} MB of images in {:.1f} s of all ranks together, {:.0f} MB/s each",
          read_mb, combine_s, read_mb / std::max(combine_s, 1e-9)),
      fmt::format("convolve: {:.1f} s, {:.2f} s per cell", convolve_s,
                  convolve_s / std::max(1.0, static_cast<double>(all - failed)))};
  const auto& bands = cells.get<std::string>("bands");
  const auto& masks = cells.get<std::string>("masks");
  std::size_t without = 0;
  for (std::size_t i = 0; i < cells.rows(); ++i) {
    without += masks[i] == bands[i] ? 0 : 1;
  }
  if (without > 0) {
    lines.push_back(fmt::format(
        "{} cells lack a mask of a band, which counts as 0: see `masks` of cells.csv", without));
  }
  lines.push_back("Images: " + (products.directory() / ConvolveStage::slab_file(config_)).string());
  return lines;
}

}  // namespace

std::unique_ptr<engine::Pipeline> make_skycells() {
  return std::make_unique<Skycells>();
}

}  // namespace skyloom::skycells
