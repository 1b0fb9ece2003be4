#include "pipelines/photometry/field.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "skyloom/core/errors.hpp"

namespace skyloom::photometry {
namespace {

void number_bands(Field& field) {
  for (const surveys::FrameInfo& info : field.infos) {
    auto at = std::find(field.bands.begin(), field.bands.end(), info.band);
    if (at == field.bands.end()) {
      field.bands.push_back(info.band);
      at = field.bands.end() - 1;
    } else {
      throw ConfigError(info.file, "a second image with FILTER " + info.band,
                        "expected one image per band");
    }
    field.band_of_frame.push_back(static_cast<int>(at - field.bands.begin()));
  }
}

void apply_crop(const Config& config, Field& field) {
  const surveys::FrameInfo& first = field.infos.front();
  field.margin = config.crop.enabled ? config.crop.margin : 0;
  field.width = first.width - 2 * field.margin;
  field.height = first.height - 2 * field.margin;
  if (field.width <= 0 || field.height <= 0) {
    throw ConfigError("crop.margin",
                      fmt::format("a margin of {} pixels leaves nothing of {} x {}", field.margin,
                                  first.width, first.height),
                      "expected a smaller margin, or crop.enabled = false");
  }
}

}  // namespace

std::vector<surveys::FrameSpec> frame_specs(const Config& config) {
  if (config.inputs.images.empty()) {
    return surveys::read_image_list(config.inputs.image_list_file, config.base_folder);
  }
  std::vector<surveys::FrameSpec> specs;
  for (const ImageEntry& image : config.inputs.images) {
    surveys::FrameSpec spec;
    spec.file = image.file;
    spec.hdu = image.hdu;
    spec.invvar = image.invvar;
    spec.invvar_hdu = image.invvar_hdu;
    spec.psf = image.psf;
    spec.psf_origin_x_pix = image.psf_origin_pix[0];
    spec.psf_origin_y_pix = image.psf_origin_pix[1];
    spec.filter = image.filter;
    spec.zp = image.zp;
    spec.skysig_adu = image.skysig_adu;
    spec.egain = image.egain;
    spec.saturate_adu = image.saturate_adu;
    spec.sky_is_fitted = image.sky == "fit";
    spec.sky_adu = spec.sky_is_fitted ? 0.0 : to_number(image.sky);
    specs.push_back(spec);
  }
  return specs;
}

Field field_from_inputs(const Config& config) {
  Field field;
  field.specs = frame_specs(config);
  for (const surveys::FrameSpec& spec : field.specs) {
    field.infos.push_back(surveys::read_frame_info(spec, config.zp_ref));
  }
  const surveys::FrameInfo& first = field.infos.front();
  const bool aligned = config.checks.require_wcs_alignment;
  const sky::Wcs reference = surveys::read_frame_wcs(field.specs.front());
  const surveys::WcsTolerance tolerance{config.checks.crval, config.checks.crpix, config.checks.cd,
                                        config.checks.cdelt};
  for (std::size_t i = 1; i < field.size(); ++i) {
    const surveys::FrameInfo& info = field.infos[i];
    if (config.checks.require_same_shape &&
        (info.width != first.width || info.height != first.height)) {
      throw ConfigError(
          info.file, fmt::format("image shape mismatch: {} x {}", info.width, info.height),
          fmt::format("expected {} x {} as {}", first.width, first.height, first.file));
    }
    if (aligned) {
      surveys::check_alignment(reference, surveys::read_frame_wcs(field.specs[i]), tolerance,
                               info.file, first.file);
    }
  }
  number_bands(field);
  apply_crop(config, field);
  return field;
}

Field field_from_product(const Config& config, const engine::Products& before) {
  Field field;
  field.specs = frame_specs(config);
  const Table& table = before.table("frames", "frames");
  const auto& band = table.get<std::string>("band");
  const auto& width = table.get<std::int32_t>("width");
  const auto& height = table.get<std::int32_t>("height");
  const auto& hdu = table.get<std::int32_t>("hdu");
  const auto column = [&](const char* name) { return table.numbers(name); };
  const auto zp = column("zp_mag");
  const auto skysig = column("skysig_adu");
  const auto egain = column("egain");
  const auto saturate = column("saturate_adu");
  const auto fwhm = column("fwhm_pix");
  const auto mjd = column("mjd");
  const auto scale = column("scale");
  for (std::size_t i = 0; i < table.rows(); ++i) {
    surveys::FrameInfo info;
    info.file = field.specs[i].file;
    info.band = band[i];
    info.hdu = hdu[i];
    info.width = width[i];
    info.height = height[i];
    info.zp_mag = zp[i];
    info.skysig_adu = skysig[i];
    info.egain = egain[i];
    info.saturate_adu = saturate[i];
    info.fwhm_pix = fwhm[i];
    info.mjd = mjd[i];
    info.scale = scale[i];
    field.infos.push_back(info);
  }
  number_bands(field);
  apply_crop(config, field);
  return field;
}

sky::Wcs white_wcs(const Config& config, const Field& field) {
  if (config.merge_wcs_fits.empty()) {
    return surveys::read_frame_wcs(field.specs.front()).cropped(field.margin, field.margin);
  }
  surveys::FrameSpec spec;
  spec.file = config.merge_wcs_fits;
  const auto [width, height] = surveys::read_frame_size(spec);
  sky::Wcs wcs = surveys::read_frame_wcs(spec);
  if (width == field.width && height == field.height) {
    return wcs;
  }
  if (width == field.width + 2 * field.margin && height == field.height + 2 * field.margin) {
    return wcs.cropped(field.margin, field.margin);
  }
  throw ConfigError(config.merge_wcs_fits, fmt::format("size {} x {}", width, height),
                    fmt::format("expected the uncropped or the cropped size, {} x {}", field.width,
                                field.height));
}

std::string cell_tag(int row, int column) {
  return fmt::format("r{:02d}_c{:02d}", row, column);
}

std::vector<Box> grid_boxes(const Box& box, int ngrid) {
  std::vector<Box> boxes;
  const int step_x = box.width() / ngrid;
  const int step_y = box.height() / ngrid;
  for (int row = 0; row < ngrid; ++row) {
    for (int column = 0; column < ngrid; ++column) {
      boxes.push_back(
          {box.x0 + column * step_x, column + 1 == ngrid ? box.x1 : box.x0 + (column + 1) * step_x,
           box.y0 + row * step_y, row + 1 == ngrid ? box.y1 : box.y0 + (row + 1) * step_y});
    }
  }
  return boxes;
}

std::vector<std::uint8_t> active_sources(const Table& sources, const Box& box) {
  const auto& x = sources.get<double>("x_pix_white");
  const auto& y = sources.get<double>("y_pix_white");
  const auto& excluded = sources.get<std::uint8_t>("excluded_any");
  std::vector<std::uint8_t> active(sources.rows());
  for (std::size_t i = 0; i < active.size(); ++i) {
    active[i] =
        excluded[i] == 0 && std::isfinite(x[i]) && std::isfinite(y[i]) && box.contains(x[i], y[i]);
  }
  return active;
}

}  // namespace skyloom::photometry
