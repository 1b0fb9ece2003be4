#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "pipelines/skycells/convolve/kernel_preview.hpp"
#include "pipelines/skycells/convolve/stage.hpp"
#include "skyloom/core/hash.hpp"
#include "skyloom/numerics/multirate.hpp"

namespace skyloom::skycells {
namespace {

std::string method_name(numerics::GaussianMethod method) {
  switch (method) {
    case numerics::GaussianMethod::automatic:
      return "auto";
    case numerics::GaussianMethod::direct:
      return "direct";
    case numerics::GaussianMethod::fft:
      return "fft";
    case numerics::GaussianMethod::expsum:
      return "expsum";
    case numerics::GaussianMethod::multirate:
      return "multirate";
  }
  return {};
}

/// What a reader of the images needs to know.
std::vector<engine::FileAttribute> attributes(const Config& config, const Table& list) {
  const numerics::GaussianPlan plan = config.gaussian();
  Hash names;
  for (const std::string& name : list.get<std::string>("name")) {
    names.text(name);
  }
  std::vector<engine::FileAttribute> out{
      {"/", "sector", std::int32_t{config.inputs.sector}},
      {"/", "camera", std::int32_t{config.inputs.camera}},
      {"/", "ccd", std::int32_t{config.inputs.ccd}},
      {"/", "sigma", plan.sigma},
      {"/", "radius", std::int32_t{config.psf.radius}},
      {"/", "method", method_name(plan.method)},
      {"/", "error_bound", plan.error_bound},
      {"/", "bands", config.bands.use},
      {"/", "weights", config.bands.weights},
      {"/", "overlap", std::int32_t{config.geometry.overlap}},
      {"/", "edge", std::int32_t{config.geometry.edge_exclusion}},
      {"/", "pad", std::int32_t{config.geometry.pad}},
      {"/", "zero_point", surveys::kSkycellZeroPoint},
      {"/", "list_hash", names.hex()},
      {"/", "sampling", config.io.sampling},
      {"/", "extract", config.io.extract}};
  if (config.io.sampling == "coarse") {
    out.push_back({"/", "step", std::int32_t{plan.step}});
    out.push_back({"/", "narrow_sigma", plan.narrow * plan.step});
    out.push_back({"/", "reach", std::int32_t{plan.reach}});
    out.push_back({"/", "kernel", std::string("gaussian, normalised per phase")});
  }
  return out;
}

/// Columns of /list that the table of a projection has too.
constexpr const char* kCopied[] = {"name",   "x",      "y",      "NAXIS1", "NAXIS2", "CRVAL1",
                                   "CRVAL2", "CRPIX1", "CRPIX2", "CD1_1",  "CD1_2",  "CD2_1",
                                   "CD2_2",  "column", "ra",     "dec"};

/// Rows [first, last) of /list are those of a projection.
Table cells_of_projection(const Table& list, std::size_t first, std::size_t last) {
  Table part(list.schema());
  part.append(list, first, last);
  const int projection = part.get<std::int32_t>("projection").front();
  Table out(TableSchema{projection_group(projection) + "/cells", {}});
  for (const char* name : kCopied) {
    out.add_column(part.columns()[part.position(name)], part.data(name));
  }
  for (const char* axis : {"1", "2"}) {
    std::vector<double> scale;
    for (std::size_t i = 0; i < part.rows(); ++i) {
      scale.push_back(std::hypot(part.get<double>(std::string("CD1_") + axis)[i],
                                 part.get<double>(std::string("CD2_") + axis)[i]));
    }
    out.add_column({std::string("CDELT") + axis, Type::float64, "deg/pix", "size of a pixel"},
                   std::move(scale));
  }
  return out;
}

/// Adds the nodes of every cell. @return most rows and columns of nodes
std::pair<int, int> add_nodes(const Config& config, int width, int height,
                              const numerics::MultirateGaussian& gaussian, Table& cells) {
  const CellGeometry geometry = config.cell_geometry(width, height);
  std::vector<std::int32_t> columns[4];
  int most_rows = 0;
  int most_columns = 0;
  for (std::size_t i = 0; i < cells.rows(); ++i) {
    const int x0 = cells.get<std::int32_t>("x")[i] * geometry.step_x();
    const int y0 = cells.get<std::int32_t>("y")[i] * geometry.step_y();
    const numerics::NodeRange rows = gaussian.nodes_needed(y0, y0 + height);
    const numerics::NodeRange along_x = gaussian.nodes_needed(x0, x0 + width);
    columns[0].push_back(rows.first);
    columns[1].push_back(rows.count);
    columns[2].push_back(along_x.first);
    columns[3].push_back(along_x.count);
    most_rows = std::max(most_rows, rows.count);
    most_columns = std::max(most_columns, along_x.count);
  }
  const Column described[4] = {{"first_node_y", Type::int32, "", "node of row 0 of coarse"},
                               {"nodes_y", Type::int32, "", "its rows"},
                               {"first_node_x", Type::int32, "", "node of column 0"},
                               {"nodes_x", Type::int32, "", "its columns"}};
  for (int i = 0; i < 4; ++i) {
    cells.add_column(described[i], std::move(columns[i]));
  }
  return {most_rows, most_columns};
}

TableSchema cell_schema() {
  return {"cells",
          {{"name", Type::text, "", "skycell"},
           {"projection", Type::int32, "", "its projection"},
           {"plane", Type::int32, "", "its place in the arrays of the projection"},
           {"n_nan", Type::int64, "", "pixels without a value"},
           {"minimum", Type::float64, "count/s", "of the convolved pixels"},
           {"maximum", Type::float64, "count/s", "of the convolved pixels"},
           {"mean", Type::float64, "count/s", "of the convolved pixels"}}};
}

TableSchema preview_schema() {
  return {"previews",
          {{"name", Type::text, "", "skycell"},
           {"projection", Type::int32, "", "its projection"},
           {"x", Type::int32, "", "its column in the projection"},
           {"y", Type::int32, "", "its row"},
           {"first_x", Type::int32, "", "first point along x, on the lattice of the projection"},
           {"first_y", Type::int32, "", "first point along y"},
           {"points",
            Type::float32,
            "count/s",
            "pixels of the convolved cell on the lattice; nan = no value or outside",
            {kPreviewPoints, kPreviewPoints}}}};
}

/// Arrays of a projection, and its table.
void add_projection(const Config& config, Table cells, int width, int height, engine::Plan& plan) {
  const std::size_t planes = cells.rows();
  const std::string group = cells.name().substr(0, cells.name().rfind('/'));
  const int deflate = config.io.compression == "deflate" ? config.io.level : 0;
  const std::vector<std::size_t> shape{planes, static_cast<std::size_t>(height),
                                       static_cast<std::size_t>(width)};
  if (config.io.sampling == "coarse") {
    const numerics::MultirateGaussian gaussian(config.gaussian());
    const auto [rows, columns] = add_nodes(config, width, height, gaussian, cells);
    plan.schema.slabs.push_back(
        {group + "/coarse",
         Type::float32,
         {planes, static_cast<std::size_t>(rows), static_cast<std::size_t>(columns)},
         "count/s",
         "nodes that pixels are interpolated from",
         deflate});
  } else {
    plan.schema.slabs.push_back({group + "/data", Type::float32, shape, "count/s",
                                 "convolved cells, AB magnitude 25 is 1", deflate,
                                 config.io.chunk});
    plan.schema.slabs.push_back({group + "/mask", Type::uint16, shape, "",
                                 "bits of the masks of all bands", deflate, config.io.chunk});
  }
  plan.slab_content.tables.push_back(std::move(cells));
}

}  // namespace

std::string ConvolveStage::slab_file(const Config& config) {
  return "convolved_results/" + config.detector_folder() + "/convolved_images.h5";
}

engine::Plan ConvolveStage::plan(const Config& config, const engine::Products& before) {
  const Table& list = before.table("combine", "list");
  engine::Plan plan;
  plan.schema.tables = {cell_schema(), preview_schema()};
  if (config.io.sampling == "coarse") {
    const char* runs =
        "zlib stream of runs of pixels, row by row: length and value, 16-bit little-endian";
    plan.schema.tables[0].columns.push_back(
        {"missing_bytes", Type::int64, "", "its rows of /missing"});
    plan.schema.tables[0].columns.push_back({"mask_bytes", Type::int64, "", "its rows of /mask"});
    plan.schema.tables.push_back({"missing", {{"byte", Type::uint8, "", runs}}});
    plan.schema.tables.push_back({"mask", {{"byte", Type::uint8, "", runs}}});
  }
  plan.slab_content.attributes = attributes(config, list);
  const auto& projections = list.get<std::int32_t>("projection");
  for (std::size_t first = 0; first < list.rows();) {
    std::size_t last = first;
    while (last < list.rows() && projections[last] == projections[first]) {
      ++last;
    }
    add_projection(config, cells_of_projection(list, first, last),
                   list.get<std::int32_t>("width")[first], list.get<std::int32_t>("height")[first],
                   plan);
    first = last;
  }
  for (const SlabArray& slab : plan.schema.slabs) {
    double bytes = static_cast<double>(size_of(slab.type));
    for (const std::size_t side : slab.shape) {
      bytes *= static_cast<double>(side);
    }
    plan.volume_mb += 1e-6 * bytes;
  }
  const StoredCells cells(before);
  for (const StoredCell& cell : cells.all()) {
    if (cell.is_present) {
      plan.add(cell.name, 1.0);
    }
  }
  return plan;
}

}  // namespace skyloom::skycells
