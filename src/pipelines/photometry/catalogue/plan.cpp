#include <algorithm>

#include <fmt/format.h>

#include "pipelines/photometry/catalogue/stage.hpp"

namespace skyloom::photometry {
std::vector<std::string> CatalogueStage::inputs(const Config& config) {
  return config.merge_wcs_fits.empty() ? std::vector<std::string>{}
                                       : std::vector<std::string>{config.merge_wcs_fits};
}

TableSchema catalogue_schema(const Table& sources, const std::vector<std::string>& bands) {
  TableSchema schema{"catalogue", {}};
  for (const Column& column : sources.columns()) {
    schema.columns.push_back(column);
  }
  for (const Column& column : fit_columns(bands)) {
    schema.columns.push_back(column);
    if (column.name == "y_pix_err_fit") {
      schema.columns.push_back({"RA_fit", Type::float64, "deg", "fitted right ascension"});
      schema.columns.push_back({"DEC_fit", Type::float64, "deg", "fitted declination"});
    }
  }
  return schema;
}

engine::Plan CatalogueStage::plan(const Config& config, const engine::Products& before) {
  const Field field = field_from_product(config, before);
  const Table& sources = before.table("frames", "sources");
  (void)white_wcs(config, field);  // a wrong merge.wcs_fits is found before any work
  engine::Plan plan;
  plan.schema.tables.push_back(catalogue_schema(sources, field.bands));
  for (std::size_t first = 0; first < sources.rows(); first += kBlockRows) {
    plan.add(fmt::format("rows/{:09d}", first),
             static_cast<double>(std::min(kBlockRows, sources.rows() - first)));
  }
  return plan;
}

}  // namespace skyloom::photometry
