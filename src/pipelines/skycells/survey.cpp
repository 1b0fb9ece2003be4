#include "pipelines/skycells/survey.hpp"

#include <algorithm>
#include <filesystem>
#include <set>

#include <fmt/format.h>

#include "skyloom/core/errors.hpp"
#include "skyloom/surveys/skycell_image.hpp"

namespace skyloom::skycells {
namespace {

namespace fs = std::filesystem;

surveys::SkycellList read_list(const Config& config) {
  const Config::Inputs& in = config.inputs;
  const std::string csv = config.csv_file();
  if (csv.empty()) {
    return in.cells.empty() ? surveys::skycells_of_projections(in.projections, "inputs.projections")
                            : surveys::named_skycells(in.cells, "inputs.cells");
  }
  surveys::SkycellList list = surveys::read_skycell_list(csv, in.projections_limit);
  if (!in.projections.empty()) {
    surveys::keep_projections(list, in.projections);
    if (list.cells.empty()) {
      throw ConfigError("inputs.projections", "none of them is in " + csv,
                        "projections that the list has");
    }
  }
  return list;
}

/// What the kernels ask of a cell's size.
void check_sizes(const Config& config, const surveys::ProjectionRows& projection) {
  const Config::Geometry& g = config.geometry;
  const int least = std::max(2 * (g.overlap + g.edge_exclusion) + 1, g.overlap + g.pad);
  if (std::min(projection.cell_width, projection.cell_height) < least) {
    throw ConfigError(
        "geometry",
        fmt::format("cells of projection {} have {} x {} pixels", projection.projection,
                    projection.cell_width, projection.cell_height),
        fmt::format("expected sides of at least {}, above twice overlap and "
                    "edge_exclusion, and overlap + pad",
                    least));
  }
}

/// Files whose names stand for the content of a plane: of a Zarr array its metadata.
void add_files(const Config& config, const fs::path& plane, std::vector<std::string>& files) {
  if (config.input_format() == surveys::SkycellFormat::fits) {
    files.push_back(plane.string());
    return;
  }
  for (const char* name : {"zarr.json", ".zarray", ".zattrs"}) {
    if (fs::is_regular_file(plane / name)) {
      files.push_back((plane / name).string());
    }
  }
}

}  // namespace

const surveys::ProjectionRows& Survey::projection(int number) const {
  const auto found = std::find_if(projections.begin(), projections.end(),
                                  [&](const auto& each) { return each.projection == number; });
  if (found == projections.end()) {
    throw FatalError(fmt::format("projection {} is not in the list of skycells", number));
  }
  return *found;
}

const Survey& found_survey(const Config& config) {
  if (!config.found) {
    Survey survey;
    survey.list = read_list(config);
    survey.projections = surveys::projection_rows(survey.list.cells, config.row_rules());
    for (const surveys::ProjectionRows& projection : survey.projections) {
      check_sizes(config, projection);
    }
    config.found = std::make_shared<const Survey>(std::move(survey));
  }
  return *config.found;
}

std::vector<std::string> image_files(const Config& config, const surveys::SkycellId& id) {
  std::vector<surveys::SkycellPlane> planes{surveys::SkycellPlane::image,
                                            surveys::SkycellPlane::mask};
  if (config.needs_variance()) {
    planes.push_back(surveys::SkycellPlane::variance);
  }
  std::vector<std::string> files;
  for (const std::string& band : config.bands.use) {
    for (const surveys::SkycellPlane plane : planes) {
      const auto path =
          surveys::find_skycell_plane(config.input_root(), config.input_format(), id, band, plane);
      if (path) {
        add_files(config, *path, files);
      }
    }
  }
  return files;
}

std::vector<std::string> image_files(const Config& config) {
  const Survey& survey = found_survey(config);
  std::set<surveys::SkycellId> ids;
  for (const surveys::Skycell& cell : survey.list.cells) {
    ids.insert(cell.id);
  }
  if (config.geometry.cross_projection) {
    for (const surveys::Skycell& cell : survey.list.padding_sources) {
      ids.insert(cell.id);
    }
  }
  std::vector<std::string> files;
  for (const surveys::SkycellId& id : ids) {
    const std::vector<std::string> of_cell = image_files(config, id);
    files.insert(files.end(), of_cell.begin(), of_cell.end());
  }
  return files;
}

void take_share_of_projections(Config& config, std::size_t index, std::size_t count) {
  const std::vector<surveys::ProjectionRows>& all = found_survey(config).projections;
  std::vector<int> share;
  for (std::size_t i = index; i < all.size(); i += count) {
    share.push_back(all[i].projection);
  }
  if (share.empty()) {
    throw ConfigError("run.shard", fmt::format("this share of {} projections is empty", all.size()),
                      "expected at most as many shares as projections");
  }
  if (config.inputs.cells.empty()) {
    config.inputs.csv = config.csv_file();
    config.inputs.projections = share;
  } else {
    std::erase_if(config.inputs.cells, [&](const std::string& name) {
      const auto id = surveys::parse_skycell_name(name);
      return std::find(share.begin(), share.end(), id->projection) == share.end();
    });
  }
  config.found.reset();
}

}  // namespace skyloom::skycells
