#include "pipelines/photometry/pipeline.hpp"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "pipelines/photometry/background/stage.hpp"
#include "pipelines/photometry/catalogue/stage.hpp"
#include "pipelines/photometry/epsf/stage.hpp"
#include "pipelines/photometry/fit/stage.hpp"
#include "pipelines/photometry/forecast.hpp"
#include "pipelines/photometry/frames/stage.hpp"
#include "pipelines/photometry/objects/stage.hpp"
#include "pipelines/photometry/patches/stage.hpp"
#include "pipelines/photometry/report.hpp"
#include "pipelines/photometry/simulate.hpp"
#include "pipelines/photometry/zeropoint/stage.hpp"
#include "skyloom/engine/assemble.hpp"

namespace skyloom::photometry {
namespace {

class Photometry final : public engine::Pipeline {
 public:
  [[nodiscard]] std::string_view name() const override { return "photometry"; }
  [[nodiscard]] std::string_view summary() const override {
    return "multi-band forced photometry: images and a source catalogue to fluxes, positions, "
           "shapes";
  }
  void declare(ConfigSpec& spec) override { photometry::declare(spec, config_); }
  void check() override { photometry::check(config_); }
  [[nodiscard]] std::string run_directory() const override { return config_.outputs.work_dir; }

  [[nodiscard]] std::vector<std::unique_ptr<engine::StageBase>> stages() override {
    std::vector<std::unique_ptr<engine::StageBase>> out;
    out.push_back(std::make_unique<engine::StageAdapter<FramesStage>>(config_));
    out.push_back(std::make_unique<engine::StageAdapter<BackgroundStage>>(config_));
    out.push_back(std::make_unique<engine::StageAdapter<ObjectsStage>>(config_));
    out.push_back(std::make_unique<engine::StageAdapter<EpsfStage>>(config_));
    out.push_back(std::make_unique<engine::StageAdapter<PatchesStage>>(config_));
    out.push_back(std::make_unique<engine::StageAdapter<FitStage>>(config_));
    out.push_back(std::make_unique<engine::StageAdapter<CatalogueStage>>(config_));
    out.push_back(std::make_unique<engine::StageAdapter<ZeropointStage>>(config_));
    return out;
  }
  [[nodiscard]] std::vector<engine::Published> published() const override;
  [[nodiscard]] std::vector<engine::Export> exports() const override;
  [[nodiscard]] std::vector<std::string> summary_lines(
      const engine::Products& products) const override;
  [[nodiscard]] web::Report report(const engine::Products& products,
                                   const engine::ReportOptions& options) const override {
    return photometry::report(config_, products, options);
  }
  bool take_share(std::size_t index, std::size_t count) override {
    config_.fields = share_of_fields(config_.fields, index, count);
    return true;
  }
  [[nodiscard]] std::vector<engine::StageForecast> forecast() const override {
    return photometry::forecast(config_);
  }
  void simulate(const engine::SimulateOptions& options) const override {
    SimulationOptions simulation;
    simulation.folder = options.folder;
    simulation.size = options.size;
    simulation.seed = options.seed;
    photometry::simulate(simulation);
  }

 private:
  Config config_;
};

// The final catalogue has magnitudes where zero points are measured.
std::vector<engine::Published> Photometry::published() const {
  std::vector<engine::Published> tables{
      {config_.calibrates() ? "zeropoint" : "catalogue", "catalogue", "catalogue"},
      {"frames", "frames", "frames"},
      {"epsf", "bands", "bands"},
      {"epsf", "cells", "cells"},
      {"patches", "patches", "patches"}};
  if (config_.patch_run.forced) {
    tables.push_back({config_.calibrates() ? "zeropoint" : "catalogue", "forced", "forced"});
  }
  if (config_.calibrates()) {
    tables.push_back({"zeropoint", "zeropoints", "zeropoints"});
    tables.push_back({"zeropoint", "zp_stars", "zp_stars"});
    tables.push_back({"frames", "sources", "sources"});
  }
  return tables;
}

/// What the exports of all fields share: read when the first of them is made.
struct ExportInput {
  Survey survey;
  /// First unit of the stage fit of every field that has any, and the end: by field name.
  std::map<std::string, std::pair<std::size_t, std::size_t>> fits;

  ExportInput(const Config& config, const engine::Products& products)
      : survey(survey_from_product(config, products)) {
    const auto& keys = products.table("fit", "units").get<std::string>("key");
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const std::string name = survey.is_listed ? keys[i].substr(0, keys[i].find('/')) : "";
      fits.emplace(name, std::pair(i, i)).first->second.second = i + 1;
    }
  }
};

/// The rows of a field, which its own files need not name.
Table without_field(const Table& table) {
  Table out(TableSchema{table.name(), {}});
  for (std::size_t i = 0; i < table.columns().size(); ++i) {
    if (table.columns()[i].name != "field") {
      out.add_column(table.columns()[i], table.data(i));
    }
  }
  return out;
}

/// One row per patch of a field: how its fit ended and how long it took.
Table run_summary(const ExportInput& input, const Field& field, const engine::Products& products) {
  const Table& units = products.table("fit", "units");
  const auto& keys = units.get<std::string>("key");
  const auto found = input.fits.find(input.survey.label(field));
  const auto [first, last] =
      found == input.fits.end() ? std::pair<std::size_t, std::size_t>{} : found->second;
  const auto seconds = products.range<double>(
      "fit", std::string("provenance/") + engine::kUnitSecondsName, first, last - first);
  Table out({"run_summary",
             {{"patch", Type::text, "", "patch"},
              {"status", Type::text, "", "ok or fail"},
              {"reason", Type::text, "", "why it failed, none otherwise"},
              {"sec", Type::float64, "s", "wall time of its fit"}}});
  const std::string beginning = input.survey.key(field, "patch/");
  for (std::size_t i = first; i < last; ++i) {
    const std::size_t row = out.add_row();
    out.set(row, "patch", keys[i].substr(beginning.size()));
    out.set(row, "status", units.get<std::string>("outcome")[i] == "ok" ? "ok" : "fail");
    out.set(row, "reason", units.get<std::string>("reason")[i]);
    out.set(row, "sec", seconds[i - first]);
  }
  return out;
}

// Of a survey of many fields, every field has a folder of its own (spec section 2).
std::vector<engine::Export> Photometry::exports() const {
  std::vector<engine::Export> files;
  const auto shared = std::make_shared<std::unique_ptr<const ExportInput>>();
  const auto input = [this, shared](const engine::Products& products) -> const ExportInput& {
    if (*shared == nullptr) {
      *shared = std::make_unique<const ExportInput>(config_, products);
    }
    return **shared;
  };
  for (std::size_t i = 0; i < config_.field_entries().size(); ++i) {
    const FieldEntry& field = config_.field_entries()[i];
    const bool many = config_.lists_fields();
    const std::string folder = many ? "fields/" + field.tile_name + "/" : "";
    const auto add = [&](const char* table, const std::string& file, const char* format,
                         bool with_arrays = true) {
      files.push_back(
          {table, folder + file, format, with_arrays, many ? "field" : "", field.tile_name});
    };
    add("catalogue", config_.outputs.final_catalog, "csv");
    files.back().make = [this, i, input](const engine::Products& products) {
      const char* stage = config_.calibrates() ? "zeropoint" : "catalogue";
      const Survey& survey = input(products).survey;
      return with_empty_cells(
          config_,
          without_field(field_rows(survey, products, stage, "catalogue", survey.fields[i]).table),
          survey.bands);
    };
    add("cells", config_.outputs.epsf_dir + "/epsf_summary.json", "json", false);
    add("patches", config_.outputs.patches_dir + "/patches.csv", "csv");
    add("patches", config_.outputs.patches_dir + "/patches.json", "json");
    add("run_summary", config_.fit_folder() + "/run_summary.csv", "csv");
    files.back().make = [i, input](const engine::Products& products) {
      const ExportInput& all = input(products);
      return run_summary(all, all.survey.fields[i], products);
    };
    if (config_.patch_run.forced) {
      add("forced", config_.fit_folder() + "/forced.csv", "csv");
    }
    if (config_.calibrates(field)) {
      const std::string stem = std::filesystem::path(field.input_catalog).stem().string();
      add("sources", "ZP/" + stem + "_with_Gaia.csv", "csv");
      add("zeropoints", "ZP/zp_summary.csv", "csv");
      add("zp_stars", "ZP/zp_all_bands__per_object.csv", "csv");
    }
  }
  return files;
}

std::vector<std::string> Photometry::summary_lines(const engine::Products& products) const {
  const Table& catalogue = products.table("catalogue", "catalogue");
  const std::vector<std::string> bands = survey_from_product(config_, products).bands;
  const std::vector<std::uint8_t> converged = converged_rows(config_, catalogue, bands);
  std::vector<std::uint8_t> hit(catalogue.rows(), 0);
  const FitNames names{config_.fits_bands_apart()};
  for (const std::string& set : names.sets(bands)) {
    const auto& values = catalogue.get<std::uint8_t>(names.plain("opt_hit_max_iters", set));
    std::transform(hit.begin(), hit.end(), values.begin(), hit.begin(),
                   [](std::uint8_t a, std::uint8_t b) { return a != 0 || b != 0 ? 1 : 0; });
  }
  const auto& type = catalogue.get<std::string>("stype_fit");
  const auto& crop = catalogue.get<std::uint8_t>("excluded_crop");
  const auto& saturation = catalogue.get<std::uint8_t>("excluded_saturation");
  std::size_t fitted = 0;
  std::size_t n_converged = 0;
  std::size_t n_hit = 0;
  std::size_t n_crop = 0;
  std::size_t n_saturation = 0;
  for (std::size_t i = 0; i < catalogue.rows(); ++i) {
    fitted += type[i].empty() ? 0 : 1;
    n_converged += converged[i] != 0 ? 1 : 0;
    n_hit += hit[i] != 0 ? 1 : 0;
    n_crop += crop[i] != 0 ? 1 : 0;
    n_saturation += saturation[i] != 0 ? 1 : 0;
  }
  std::vector<std::string> lines{
      fmt::format(
          "catalogue: {} rows, {} columns; without fit {}; excluded by crop {}, by saturation {}",
          catalogue.rows(), catalogue.columns().size(), catalogue.rows() - fitted, n_crop,
          n_saturation),
      fmt::format("converged={}, hit_max_iters={}, total={}", n_converged, n_hit, fitted)};
  if (config_.calibrates()) {
    const Table& zeropoints = products.table("zeropoint", "zeropoints");
    for (std::size_t i = 0; i < zeropoints.rows(); ++i) {
      lines.push_back(fmt::format(
          "zero point {}{}: {:.4f} mag, scatter {:.4f}, {} of {} stars",
          zeropoints.has("field") ? zeropoints.get<std::string>("field")[i] + " " : "",
          zeropoints.get<std::string>("band")[i], zeropoints.get<double>("zp_median")[i],
          zeropoints.get<double>("zp_err_mad")[i], zeropoints.get<std::int64_t>("n_kept")[i],
          zeropoints.get<std::int64_t>("n_raw")[i]));
    }
  }
  return lines;
}

}  // namespace

std::unique_ptr<engine::Pipeline> make_photometry() {
  return std::make_unique<Photometry>();
}

}  // namespace skyloom::photometry
