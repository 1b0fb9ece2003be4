#include <algorithm>
#include <cmath>
#include <set>
#include <type_traits>
#include <utility>

#include <fmt/format.h>

#include "pipelines/photometry/frames/kernel.hpp"
#include "pipelines/photometry/frames/stage.hpp"

namespace skyloom::photometry {
namespace {

std::string reason_of(bool crop, bool saturation) {
  std::string text = crop ? "crop" : "";
  if (saturation) {
    text += text.empty() ? "saturation" : "+saturation";
  }
  return text;
}

Table flagged_sources(const Config& config, const FramesStage::Input::Sources& in) {
  Table table = in.catalogue;
  const std::size_t n = table.rows();
  std::vector<std::uint8_t> crop(n, 0);
  std::vector<std::uint8_t> saturation(n, 0);
  std::vector<std::uint8_t> any(n, 0);
  std::vector<std::string> reason(n);
  for (std::size_t i = 0; i < n; ++i) {
    const bool inside = std::isfinite(in.x_pix[i]) && std::isfinite(in.y_pix[i]) &&
                        in.box.contains(in.x_pix[i], in.y_pix[i]);
    crop[i] = config.crop.enabled && !inside;
    const int needed = config.saturation_cut.require_all_bands ? in.n_bands : 1;
    saturation[i] = in.bands_hit[i] >= needed;
    any[i] = crop[i] != 0 || saturation[i] != 0;
    reason[i] = reason_of(crop[i] != 0, saturation[i] != 0);
  }
  // In the order of added_source_columns().
  std::vector<ColumnData> data{crop,     saturation, any, reason, std::vector<std::string>(n),
                               in.x_pix, in.y_pix};
  const std::vector<Column> columns = added_source_columns();
  for (std::size_t i = 0; i < columns.size(); ++i) {
    table.add_column(columns[i], std::move(data[i]));
  }
  return table;
}

/// The sources with Gaia's names, fluxes and stars.
void complete_sources(const Config& config, const FramesStage::Input::Sources& in,
                      FramesStage::Result& result) {
  result.sources = flagged_sources(config, in);
  if (!in.gaia) {
    return;
  }
  frames::GaiaOptions options;
  options.bands = in.bands;
  options.image = in.box;
  options.zp_ref = config.zp_ref;
  options.match_radius_arcsec = config.zp.match_radius_arcsec;
  options.min_box_size_pix = config.zp.min_box_size_pix;
  options.inject = config.zp.inject_gaia_sources;
  const std::size_t n_before = result.sources.rows();
  FramesStage::Result::Gaia& gaia = result.gaia.emplace();
  gaia.box = frames::selection_box(result.sources, options);
  result.sources = frames::with_gaia(std::move(result.sources), *in.gaia, options);
  const auto& names = result.sources.get<std::string>("gaia_source_id");
  const std::set<std::string> injected(names.begin() + static_cast<std::ptrdiff_t>(n_before),
                                       names.end());
  for (const std::size_t star : frames::stars_in(*in.gaia, gaia.box)) {
    gaia.stars.id.push_back(in.gaia->id[star]);
    gaia.stars.x_pix.push_back(in.gaia->x_pix[star]);
    gaia.stars.y_pix.push_back(in.gaia->y_pix[star]);
    gaia.stars.saturated.push_back(in.gaia->saturated[star]);
    gaia.injected.push_back(injected.contains(in.gaia->id[star]) ? 1 : 0);
  }
}

/// A copy of the part of an image.
Image<float> part_of(const Image<float>& image, const Box& box) {
  Image<float> out(box.width(), box.height());
  const auto part = image.view().sub(box);
  for (int y = 0; y < box.height(); ++y) {
    std::copy(part.row(y).begin(), part.row(y).end(), out.view().row(y).begin());
  }
  return out;
}

void stack_white(const FramesStage::Input::White& in, FramesStage::Result& result) {
  constexpr int kStripRows = 128;
  Image<float> mean(in.box.width(), in.box.height());
  Image<float> sigma(in.box.width(), in.box.height());
  for (int y = in.box.y0; y < in.box.y1; y += kStripRows) {
    const Box strip{in.box.x0, in.box.x1, y, std::min(y + kStripRows, in.box.y1)};
    frames::WhiteStack stack(strip.width(), strip.height());
    for (std::size_t i = 0; i < in.n_frames; ++i) {
      const surveys::FramePixels frame = in.read(i, strip);
      stack.add(frame.data.view(), frame.invvar.view());
    }
    const auto at = static_cast<std::ptrdiff_t>(y - in.box.y0) * strip.width();
    const Image<float> mean_part = stack.mean();
    const Image<float> sigma_part = stack.sigma();
    std::copy(mean_part.pixels().begin(), mean_part.pixels().end(), mean.pixels().begin() + at);
    std::copy(sigma_part.pixels().begin(), sigma_part.pixels().end(), sigma.pixels().begin() + at);
  }
  if (in.binning > 0) {
    result.preview = frames::block_means(mean.view(), in.binning);
    result.preview_y0 = in.box.y0 / in.binning;
  }
  if (!in.cropped.empty()) {
    const Box part{in.cropped.x0 - in.box.x0, in.cropped.x1 - in.box.x0, in.cropped.y0 - in.box.y0,
                   in.cropped.y1 - in.box.y0};
    result.y0 = in.y0;
    result.white = part_of(mean, part);
    result.sigma = part_of(sigma, part);
  }
}

}  // namespace

std::vector<Column> added_source_columns() {
  return {
      {"excluded_crop", Type::boolean, "", "outside the cropped image"},
      {"excluded_saturation", Type::boolean, "", "next to saturated pixels"},
      {"excluded_any", Type::boolean, "", "not fitted"},
      {"excluded_reason", Type::text, "", "why it is not fitted"},
      {"gaia_source_id", Type::text, "", "Gaia star within zp.match_radius_arcsec"},
      {"x_pix_white", Type::float64, "pix", "catalogue position in the cropped frame, 0-based"},
      {"y_pix_white", Type::float64, "pix", "catalogue position in the cropped frame, 0-based"}};
}

Schema frames_schema(const Config& config, const Survey& survey, const TableSchema& base) {
  Schema schema;
  TableSchema sources = base;
  for (Column column : added_source_columns()) {
    sources.columns.push_back(std::move(column));
  }
  schema.tables.push_back(sources);
  schema.tables.push_back(
      {"frames",
       {{"band", Type::text, "", "filter"},
        {"file", Type::text, "", "image file name"},
        {"hdu", Type::int32, "", "HDU of the image, 0-based"},
        {"width", Type::int32, "pix", "NAXIS1 before cropping"},
        {"height", Type::int32, "pix", "NAXIS2 before cropping"},
        {"x0_crop", Type::int32, "pix", "first column that is used"},
        {"y0_crop", Type::int32, "pix", "first row that is used"},
        {"width_crop", Type::int32, "pix", "width of the part that is used"},
        {"height_crop", Type::int32, "pix", "height of the part that is used"},
        {"on_grid", Type::boolean, "", "on the pixel grid of the field's first image"},
        {"zp_mag", Type::float64, "mag", "zero point of the image"},
        {"scale", Type::float64, "", "factor from ADU to scaled flux"},
        {"skysig_adu", Type::float64, "adu", "sky noise per pixel"},
        {"egain", Type::float64, "electron/adu", "gain"},
        {"saturate_adu", Type::float64, "adu", "saturation level"},
        {"fwhm_pix", Type::float64, "pix", "PEEING, or SEEING over the pixel scale"},
        {"mjd", Type::float64, "d", "mid-exposure"},
        {"wcs", Type::text, "", "cards of the WCS of the whole image, 80 characters each"},
        {"n_good", Type::int64, "", "good pixels"},
        {"n_not_finite", Type::int64, "", "pixels that are NaN or infinite"},
        {"n_saturated", Type::int64, "", "saturated pixels"},
        {"n_masked", Type::int64, "", "pixels masked by the inverse variance"}}});
  if (config.calibrates()) {
    schema.tables.push_back(
        {"gaia_boxes",
         {{"x0", Type::int32, "pix", "square around the sources where Gaia stars are taken"},
          {"x1", Type::int32, "pix", "end of its columns"},
          {"y0", Type::int32, "pix", "first row, cropped frame"},
          {"y1", Type::int32, "pix", "end of its rows"}}});
    schema.tables.push_back(
        {"gaia_stars",
         {{"gaia_source_id", Type::text, "", "Gaia star in that square"},
          {"x_pix_white", Type::float64, "pix", "position in the cropped frame, 0-based"},
          {"y_pix_white", Type::float64, "pix", "position in the cropped frame, 0-based"},
          {"saturated", Type::boolean, "", "next to saturated pixels"},
          {"injected", Type::boolean, "", "became a source"}}});
  }
  add_field_column(schema, survey);
  for (const Field& field : survey.fields) {
    const std::vector<std::size_t> shape{static_cast<std::size_t>(field.height),
                                         static_cast<std::size_t>(field.width)};
    schema.slabs.push_back({survey.slab(field, "white/image"), Type::float32, shape, "",
                            "inverse-variance mean of all frames"});
    schema.slabs.push_back(
        {survey.slab(field, "white/sigma"), Type::float32, shape, "", "its sky noise per pixel"});
    if (const int k = preview_binning(config, field); k > 0) {
      const surveys::FrameInfo& first = field.infos.front();
      schema.slabs.push_back({survey.slab(field, "preview/image"),
                              Type::float32,
                              {static_cast<std::size_t>((first.height + k - 1) / k),
                               static_cast<std::size_t>((first.width + k - 1) / k)},
                              "",
                              fmt::format("white image before cropping, means of {0} x {0}", k)});
    }
  }
  return schema;
}

FramesStage::Result FramesStage::compute(const Config& config, const Input& input,
                                         const Rng& /*rng*/) {
  Result result;
  result.field = input.field;
  if (input.sources) {
    complete_sources(config, *input.sources, result);
  } else if (input.frame) {
    result.frame = input.frame;
  } else {
    stack_white(*input.white, result);
  }
  return result;
}

namespace {

/// Rows of one field in the columns of all fields; what its catalogue lacks is missing.
void append_sources(const FramesStage::Result& result, Table& table) {
  const Table& sources = result.sources;
  const std::size_t first = table.rows();
  table.add_rows(sources.rows());
  for (std::size_t c = 0; c < table.columns().size(); ++c) {
    const Column& column = table.columns()[c];
    if (!sources.has(column.name)) {
      continue;
    }
    if (column.type == Type::text) {
      const std::vector<std::string> texts = sources.texts(column.name);
      std::copy(texts.begin(), texts.end(),
                std::get<std::vector<std::string>>(table.data(c)).begin() +
                    static_cast<std::ptrdiff_t>(first));
      continue;
    }
    std::visit(
        [&](auto& target) {
          const auto& values = std::get<std::decay_t<decltype(target)>>(sources.data(column.name));
          std::copy(values.begin(), values.end(),
                    target.begin() + static_cast<std::ptrdiff_t>(first * column.elements()));
        },
        table.data(c));
  }
}

void append_gaia(const FramesStage::Result::Gaia& gaia, engine::Rows& rows) {
  Table& boxes = rows.table("gaia_boxes");
  const std::size_t row = boxes.add_row();
  boxes.set(row, "x0", gaia.box.x0);
  boxes.set(row, "x1", gaia.box.x1);
  boxes.set(row, "y0", gaia.box.y0);
  boxes.set(row, "y1", gaia.box.y1);
  Table& stars = rows.table("gaia_stars");
  for (std::size_t i = 0; i < gaia.stars.size(); ++i) {
    const std::size_t at = stars.add_row();
    stars.set(at, "gaia_source_id", gaia.stars.id[i]);
    stars.set(at, "x_pix_white", gaia.stars.x_pix[i]);
    stars.set(at, "y_pix_white", gaia.stars.y_pix[i]);
    stars.set(at, "saturated", gaia.stars.saturated[i] != 0);
    stars.set(at, "injected", gaia.injected[i] != 0);
  }
}

void append_frame(const FramesStage::Result& result, Table& table) {
  const surveys::FrameInfo& info = result.frame->info;
  const std::size_t row = table.add_row();
  const std::size_t slash = info.file.rfind('/');
  table.set(row, "band", info.band);
  table.set(row, "file", slash == std::string::npos ? info.file : info.file.substr(slash + 1));
  table.set(row, "hdu", info.hdu);
  table.set(row, "width", info.width);
  table.set(row, "height", info.height);
  table.set(row, "x0_crop", result.frame->used.x0);
  table.set(row, "y0_crop", result.frame->used.y0);
  table.set(row, "width_crop", result.frame->used.width());
  table.set(row, "height_crop", result.frame->used.height());
  table.set(row, "on_grid", result.frame->on_grid);
  table.set(row, "zp_mag", info.zp_mag);
  table.set(row, "scale", info.scale);
  table.set(row, "skysig_adu", info.skysig_adu);
  table.set(row, "egain", info.egain);
  table.set(row, "saturate_adu", info.saturate_adu);
  table.set(row, "fwhm_pix", info.fwhm_pix);
  table.set(row, "mjd", info.mjd);
  table.set(row, "wcs", result.frame->wcs_cards);
  table.set(row, "n_good", result.frame->n_good);
  table.set(row, "n_not_finite", result.frame->n_not_finite);
  table.set(row, "n_saturated", result.frame->n_saturated);
  table.set(row, "n_masked", result.frame->n_masked);
}

}  // namespace

void FramesStage::append(const Config& /*config*/, const Result& result, engine::Rows& rows) {
  if (result.sources.rows() > 0) {
    append_sources(result, rows.table("sources"));
  }
  if (result.frame) {
    append_frame(result, rows.table("frames"));
  }
  if (result.gaia) {
    append_gaia(*result.gaia, rows);
  }
  set_field(rows, result.field);
  const std::string group = result.field.empty() ? "" : result.field + "/";
  if (!result.white.empty()) {
    rows.add_slab(group + "white/image", result.y0, 0, result.white.view());
    rows.add_slab(group + "white/sigma", result.y0, 0, result.sigma.view());
  }
  if (!result.preview.empty()) {
    rows.add_slab(group + "preview/image", result.preview_y0, 0, result.preview.view());
  }
}

}  // namespace skyloom::photometry
