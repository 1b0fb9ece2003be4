#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "pipelines/photometry/fit/stage.hpp"
#include "pipelines/photometry/frames/kernel.hpp"
#include "pipelines/photometry/frames/stage.hpp"
#include "pipelines/photometry/patches/geometry.hpp"
#include "skyloom/surveys/gaia.hpp"
#include "skyloom/surveys/source_catalogue.hpp"

namespace skyloom::photometry {

namespace {

// A list of images says nothing but which they are.
std::vector<std::string> files_of(const Config& config, const FieldEntry& entry) {
  std::vector<std::string> files{entry.input_catalog};
  for (const surveys::FrameSpec& spec : frame_specs(config, entry)) {
    const std::vector<std::string> pixels = surveys::pixel_files(spec);
    files.insert(files.end(), pixels.begin(), pixels.end());
  }
  if (config.calibrates(entry)) {
    files.push_back(entry.gaiaxp_synphot_csv);
  }
  return files;
}

}  // namespace

std::vector<std::string> FramesStage::inputs(const Config& config) {
  std::vector<std::string> files;
  for (const FieldEntry& entry : config.field_entries()) {
    const std::vector<std::string> of_field = files_of(config, entry);
    files.insert(files.end(), of_field.begin(), of_field.end());
  }
  return files;
}

std::vector<std::string> FramesStage::reads(const Config& config, const engine::Unit& unit) {
  for (const FieldEntry& entry : config.field_entries()) {
    if (!config.lists_fields() || unit.key.starts_with(entry.tile_name + "/")) {
      return files_of(config, entry);
    }
  }
  return {};
}

namespace {

/// Names of columns that this stage or a later one makes: those of an earlier run's catalogue that
/// serves as input give way.
std::set<std::string> names_made_anew(const std::vector<std::string>& bands) {
  std::set<std::string> names{"field"};
  for (const Column& column : added_source_columns()) {
    names.insert(column.name);
  }
  for (const bool apart : {false, true}) {
    const FitNames fit{apart};
    for (const Column& column : fit_columns(fit, bands)) {
      names.insert(column.name);
    }
    for (const std::string& set : fit.sets(bands)) {
      names.insert(fit.fitted("RA", set));
      names.insert(fit.fitted("DEC", set));
    }
  }
  for (const std::string& band : bands) {
    names.insert("MAG_" + band + "_fit");
    names.insert("MAGERR_" + band + "_fit");
  }
  return names;
}

}  // namespace

Table base_catalogue(const Config& config, const Field& field, std::vector<std::string>* notes) {
  const Table given = surveys::read_source_catalogue(field.entry.input_catalog, field.bands, notes);
  const std::set<std::string> made_anew = names_made_anew(field.bands);
  Table base(TableSchema{given.name(), {}});
  for (std::size_t i = 0; i < given.columns().size(); ++i) {
    const Column& column = given.columns()[i];
    if (!made_anew.contains(column.name)) {
      base.add_column(column, given.data(i));
    }
  }
  for (const std::string& band : field.bands) {
    if (field.calibrates(config) && !base.has("FLUX_" + band)) {
      base.add_column({"FLUX_" + band, Type::float64, "", "starting scaled flux in " + band});
    }
  }
  return base;
}

namespace {

/// Adds the columns that are not there yet; one that has two types becomes a text.
void unite(TableSchema& all, const std::vector<Column>& columns) {
  for (const Column& column : columns) {
    const auto at = std::find_if(all.columns.begin(), all.columns.end(),
                                 [&](const Column& other) { return other.name == column.name; });
    if (at == all.columns.end()) {
      all.columns.push_back(column);
    } else if (at->type != column.type || at->shape != column.shape) {
      at->type = Type::text;
      at->shape.clear();
    }
  }
}

void add_units(const Config& config, const Survey& survey, const Field& field, std::size_t sources,
               engine::Plan& plan) {
  const auto frames = static_cast<double>(field.size());
  double pixels = 0.0;
  for (const surveys::FrameInfo& info : field.infos) {
    pixels += static_cast<double>(info.width) * info.height;
  }
  plan.add(survey.key(field, "sources"), pixels + static_cast<double>(sources) * 2e3 * frames);
  for (std::size_t i = 0; i < field.size(); ++i) {
    plan.add(survey.key(field, fmt::format("frame/{:05d}", i)),
             static_cast<double>(field.infos[i].width) * field.infos[i].height);
  }
  for (const auto& [first, last] : white_chunks(config, field)) {
    plan.add(survey.key(field, fmt::format("white/{:06d}", first)),
             4.0 * static_cast<double>(field.width) * (last - first) * frames);
  }
}

}  // namespace

int preview_binning(const Config& config, const Field& field) {
  const surveys::FrameInfo& first = field.infos.front();
  return config.crop.plot_pre_crop && field.margin > 0
             ? frames::picture_binning(config.crop.display_downsample, first.width, first.height)
             : 0;
}

std::vector<std::pair<int, int>> white_chunks(const Config& config, const Field& field) {
  const int k = preview_binning(config, field);
  const int begin = k > 0 ? 0 : field.margin;
  const int end = k > 0 ? field.infos.front().height : field.margin + field.height;
  const int block = std::max(1, k);
  const int rows = (frames::white_chunk_rows(field.height) + block - 1) / block * block;
  std::vector<std::pair<int, int>> chunks;
  for (int y = begin; y < end; y += rows) {
    chunks.emplace_back(y, std::min(y + rows, end));
  }
  return chunks;
}

engine::Plan FramesStage::plan(const Config& config, const engine::Products& /*before*/) {
  Survey survey;
  survey.is_listed = config.lists_fields();
  TableSchema columns{"sources", {}};
  std::vector<std::size_t> n_sources;
  for (std::size_t i = 0; i < config.field_entries().size(); ++i) {
    Field field = field_from_inputs(config, i);
    check_patch_grid(config, field);
    const Table catalogue = base_catalogue(config, field);
    if (field.calibrates(config)) {
      const std::string& gaia = field.entry.gaiaxp_synphot_csv;
      surveys::require_zero_point_columns(surveys::read_gaia(gaia, field.bands), gaia);
    }
    unite(columns, catalogue.columns());
    n_sources.push_back(catalogue.rows());
    survey.fields.push_back(std::move(field));
  }
  engine::Plan plan;
  plan.schema = frames_schema(config, survey, columns);
  for (const Field& field : survey.fields) {
    add_units(config, survey, field, n_sources[field.index], plan);
  }
  return plan;
}

}  // namespace skyloom::photometry
