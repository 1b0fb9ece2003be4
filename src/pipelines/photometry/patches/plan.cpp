#include <algorithm>

#include "pipelines/photometry/patches/stage.hpp"

namespace skyloom::photometry {

namespace {

TableSchema patches_schema(const Config& config) {
  TableSchema table{"patches",
                    {{"epsf_r", Type::int32, "", "row of the cell"},
                     {"epsf_c", Type::int32, "", "column of the cell"},
                     {"patch_r", Type::int32, "", "row of the patch in its cell"},
                     {"patch_c", Type::int32, "", "column of the patch in its cell"},
                     {"epsf_tag", Type::text, "", "cell"},
                     {"patch_tag", Type::text, "", "patch"},
                     {"x0_base", Type::int32, "pix", "base box: its sources are reported"},
                     {"x1_base", Type::int32, "pix", "end of the base box"},
                     {"y0_base", Type::int32, "pix", "base box"},
                     {"y1_base", Type::int32, "pix", "end of the base box"},
                     {"x0_roi", Type::int32, "pix", "region of interest: its pixels are fitted"},
                     {"x1_roi", Type::int32, "pix", "end of the region"},
                     {"y0_roi", Type::int32, "pix", "region of interest"},
                     {"y1_roi", Type::int32, "pix", "end of the region"},
                     {"halo_pix", Type::int32, "pix", "width of the halo"},
                     {"n_sources", Type::int64, "", "active sources in the base box"}}};
  if (config.patch_inputs.save_patch_inputs) {
    table.columns.push_back({"pixel_offset", Type::int64, "",
                             "first pixel in the arrays of images on the white frame's grid; rows "
                             "of the region of interest follow"});
    if (config.patch_inputs.include_wcs_in_payload) {
      table.columns.push_back({"wcs", Type::text, "",
                               "WCS cards of the white frame, 80 characters each, with CRPIX and "
                               "NAXIS of the region of interest"});
    }
  }
  return table;
}

TableSchema patch_pixels_schema() {
  return {"patch_pixels",
          {{"patch", Type::int64, "", "row of /patches"},
           {"frame", Type::int32, "", "row of /frames"},
           {"offset", Type::int64, "", "first pixel in the arrays of the image"},
           {"x0", Type::int32, "pix", "first column in the image, 0-based"},
           {"y0", Type::int32, "pix", "first row in the image, 0-based"},
           {"width", Type::int32, "pix", "columns; 0 where the image does not see the patch"},
           {"height", Type::int32, "pix", "rows"},
           {"m_xx", Type::float64, "", "pixel of this box = m * pixel of the region + (dx, dy)"},
           {"m_xy", Type::float64, "", "element of the matrix"},
           {"m_yx", Type::float64, "", "element of the matrix"},
           {"m_yy", Type::float64, "", "element of the matrix"},
           {"dx", Type::float64, "pix", "offset"},
           {"dy", Type::float64, "pix", "offset"}}};
}

TableSchema patch_sources_schema(const Table& sources) {
  TableSchema table{"patch_sources",
                    {{"patch_tag", Type::text, "", "patch"},
                     {"source_row", Type::int64, "", "row of /sources"},
                     {"x_pix_patch", Type::float64, "pix", "catalogue position in the patch"},
                     {"y_pix_patch", Type::float64, "pix", "catalogue position in the patch"}}};
  for (const Column& column : sources.columns()) {
    const bool taken = std::any_of(table.columns.begin(), table.columns.end(),
                                   [&](const Column& c) { return c.name == column.name; });
    if (!taken && column.name != "field") {
      table.columns.push_back(column);
    }
  }
  return table;
}

void add_pixel_arrays(const Config& config, const Survey& survey, const Field& field,
                      const FieldPatches& patches, Schema& schema) {
  const int level = config.patch_inputs.gzip_compresslevel;
  const PixelLayout layout = pixel_layout(field, patches);
  for (std::size_t frame = 0; frame < field.size(); ++frame) {
    const std::string group = pixel_group(survey, field, frame);
    const auto add = [&](const char* name, Type type, const char* text) {
      schema.slabs.push_back({group + "/" + name, type, {layout.sizes[frame]}, "", text, level});
    };
    add("img", Type::float32, "scaled flux, 0 where bad; patch after patch, row by row");
    add("sigma_sky", Type::float32, "sky noise, infinite where bad");
    add("sigma_total", Type::float32, "noise of sky and light, infinite where bad");
    add("bad", Type::boolean, "bits: 1 not finite, 2 saturated, 4 masked");
  }
}

}  // namespace

engine::Plan PatchesStage::plan(const Config& config, const engine::Products& before) {
  const Survey survey = survey_from_product(config, before);
  const bool saves = config.patch_inputs.save_patch_inputs;
  engine::Plan plan;
  plan.schema.tables.push_back(patches_schema(config));
  if (saves) {
    require_images(survey);
    plan.schema.tables.push_back(patch_pixels_schema());
    plan.schema.tables.push_back(patch_sources_schema(before.rows("frames", "sources", 0, 0)));
  }
  add_field_column(plan.schema, survey);
  std::vector<std::pair<std::string, double>> pixels;
  for (const Field& field : survey.fields) {
    const FieldPatches patches = patches_of_field(
        config, field,
        field_rows(survey, before, "frames", "sources", field, position_columns()).table);
    for (const epsf::Cell& cell : patches.cells) {
      plan.add(survey.key(field, "cell/" + cell.tag), 1.0);
    }
    if (!saves) {
      continue;
    }
    add_pixel_arrays(config, survey, field, patches, plan.schema);
    for (const FieldPatch& patch : patches.patches) {
      const Box& roi = patch.patch.roi;
      pixels.emplace_back(survey.key(field, "pixels/" + patch.patch.tag),
                          PatchesStage::kCostOfPixel * roi.width() * roi.height() *
                              static_cast<double>(field.size()));
    }
  }
  for (std::size_t row = 0; row < pixels.size(); ++row) {
    plan.add(std::move(pixels[row].first), pixels[row].second, std::to_string(row));
  }
  return plan;
}

}  // namespace skyloom::photometry
