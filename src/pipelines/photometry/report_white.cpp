// White images: before and after cropping, with the sources, and with the Gaia stars.

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "pipelines/photometry/fit/stage.hpp"
#include "pipelines/photometry/frames/kernel.hpp"
#include "pipelines/photometry/frames/stage.hpp"
#include "pipelines/photometry/report_parts.hpp"

namespace skyloom::photometry {
namespace {

constexpr const char* kUnit = "scaled flux / pixel";
constexpr double kBesideEachOther = 400.0;  ///< side on the page of one of two pictures

web::Markers group(std::string label, std::string color, std::string shape, double radius_pix) {
  web::Markers markers;
  markers.label = std::move(label);
  markers.color = std::move(color);
  markers.shape = std::move(shape);
  markers.radius_pix = radius_pix;
  return markers;
}

web::Markers outline(std::string label, std::string color, const Box& box, bool dashed) {
  web::Markers markers = group(std::move(label), std::move(color), "box", 1.0);
  mark(markers, box.x0 - 0.5, box.y0 - 0.5);
  markers.x2 = {box.x1 - 0.5};
  markers.y2 = {box.y1 - 0.5};
  markers.dashed = dashed;
  markers.counted = false;
  return markers;
}

/// A field and its rows of /sources.
struct FieldView {
  const ReportInput& input;
  const Field& field;
  std::optional<sky::Wcs> wcs;  ///< of the white frame
  std::pair<std::size_t, std::size_t> rows;

  [[nodiscard]] const Table& sources() const { return input.products.table("frames", "sources"); }
  [[nodiscard]] std::vector<std::string> texts(const std::string& column) const {
    return sources().has(column) ? sources().texts(column)
                                 : std::vector<std::string>(sources().rows());
  }
  [[nodiscard]] bool inside(std::size_t row) const {
    return field.box().contains(sources().get<double>("x_pix_white")[row],
                                sources().get<double>("y_pix_white")[row]);
  }
};

web::Picture finished(web::Picture picture, const FieldView& view, double origin_pix) {
  std::tie(picture.low, picture.high) = zscale(picture.pixels);
  picture.unit = kUnit;
  picture.axes = true;
  if (view.wcs) {
    picture.sky = sky_mesh(
        view.wcs->cropped(-static_cast<int>(origin_pix), -static_cast<int>(origin_pix)), picture);
  }
  std::erase_if(picture.markers, [](const web::Markers& markers) {
    return markers.x.empty() && markers.not_drawn == 0;
  });
  place_markers(picture);
  return picture;
}

/// The cropped white image in blocks of k pixels.
web::Picture white_picture(const FieldView& view, int k) {
  web::Picture picture;
  picture.pixels = frames::block_means(
      view.input.products.image("frames", view.input.survey.slab(view.field, "white/image")).view(),
      k);
  picture.pixel_size = k;
  picture.x0 = 0.5 * (k - 1);
  picture.y0 = picture.x0;
  // Small images are enlarged.
  picture.scale =
      std::max(1.0, std::floor(640.0 / std::max(picture.pixels.width(), picture.pixels.height())));
  return picture;
}

int binning_of(const FieldView& view, int wanted) {
  return frames::picture_binning(wanted, view.field.width, view.field.height);
}

web::Picture before_crop(const FieldView& view) {
  const Field& field = view.field;
  const int k = preview_binning(view.input.config, field);
  web::Picture picture;
  picture.title = "White image before cropping" + view.input.of_field(field);
  picture.file = "white_before_crop";
  picture.pixels =
      view.input.products.image("frames", view.input.survey.slab(field, "preview/image"));
  picture.pixel_size = k;
  picture.x0 = 0.5 * (k - 1);
  picture.y0 = picture.x0;
  picture.scale = kBesideEachOther / std::max(picture.pixels.width(), picture.pixels.height());
  const int m = field.margin;
  web::Markers cropped = group("excluded by the crop", "#ff9800", "cross", 7.0);
  const auto& crop = view.sources().get<std::uint8_t>("excluded_crop");
  const auto& x = view.sources().get<double>("x_pix_white");
  const auto& y = view.sources().get<double>("y_pix_white");
  const Box all{-m, field.width + m, -m, field.height + m};
  for (std::size_t i = view.rows.first; i < view.rows.second; ++i) {
    if (crop[i] != 0 && all.contains(x[i], y[i])) {
      mark(cropped, x[i] + m, y[i] + m);
    } else if (crop[i] != 0) {
      ++cropped.not_drawn;
    }
  }
  picture.markers = {outline("crop box", "#00ff00", field.used_box(0), false), cropped};
  return finished(std::move(picture), view, m);
}

web::Picture after_crop(const FieldView& view) {
  web::Picture picture =
      white_picture(view, binning_of(view, view.input.config.crop.post_crop_display_downsample));
  picture.title = "White image after cropping" + view.input.of_field(view.field);
  picture.file = "white_after_crop";
  picture.scale = kBesideEachOther / std::max(picture.pixels.width(), picture.pixels.height());
  return finished(std::move(picture), view, 0.0);
}

web::Picture overlay(const FieldView& view) {
  const Config& config = view.input.config;
  web::Picture picture = white_picture(view, binning_of(view, config.crop.overlay_downsample_full));
  picture.title = "Sources by TYPE" + view.input.of_field(view.field);
  picture.file = "white_overlay";
  web::Markers stars = group("STAR", "#00e5ff", "circle", 7.0);
  web::Markers galaxies = group("GAL, EXP, DEV, SERSIC", "#ff00ff", "circle", 10.0);
  web::Markers unknown =
      group(fmt::format("UNKNOWN (fallback to {})", upper(config.patch_run.gal_model)), "#ffeb3b",
            "square", 9.0);
  web::Markers saturated = group("excluded: saturation", "#ff3d3d", "cross", 9.0);
  web::Markers cropped = group("excluded: crop (not in the picture)", "#9e9e9e", "cross", 5.0);
  web::Markers outside = group("no position, or outside", "#9e9e9e", "cross", 5.0);
  const auto& x = view.sources().get<double>("x_pix_white");
  const auto& y = view.sources().get<double>("y_pix_white");
  const auto& crop = view.sources().get<std::uint8_t>("excluded_crop");
  const auto& saturation = view.sources().get<std::uint8_t>("excluded_saturation");
  const auto id = view.texts("ID");
  const auto type = view.texts("TYPE");
  for (std::size_t i = view.rows.first; i < view.rows.second; ++i) {
    if (!view.inside(i)) {
      ++(crop[i] != 0 && std::isfinite(x[i]) ? cropped : outside).not_drawn;
      continue;
    }
    if (saturation[i] != 0) {
      mark(saturated, x[i], y[i], id[i]);
    }
    if (type[i] == "STAR") {
      mark(stars, x[i], y[i], id[i]);
    } else if (type[i] == "GAL" || is_model_type(type[i])) {
      mark(galaxies, x[i], y[i], id[i] + " " + type[i]);
    } else {
      mark(unknown, x[i], y[i], id[i]);
    }
  }
  picture.markers = {stars, galaxies, unknown, saturated, cropped, outside};
  return finished(std::move(picture), view, 0.0);
}

/// Which Gaia stars became sources, and the saturated ones of the field.
std::set<std::string> read_gaia_stars(const FieldView& view, web::Markers& saturated) {
  const Table& stars = view.input.products.table("frames", "gaia_stars");
  const auto [first, last] = view.input.survey.rows(stars, view.field);
  std::set<std::string> injected;
  for (std::size_t i = first; i < last; ++i) {
    if (stars.get<std::uint8_t>("injected")[i] != 0) {
      injected.insert(stars.get<std::string>("gaia_source_id")[i]);
    }
    if (stars.get<std::uint8_t>("saturated")[i] != 0) {
      mark(saturated, stars.get<double>("x_pix_white")[i], stars.get<double>("y_pix_white")[i],
           stars.get<std::string>("gaia_source_id")[i]);
    }
  }
  return injected;
}

web::Picture gaia_overlay(const FieldView& view) {
  web::Picture picture =
      white_picture(view, binning_of(view, view.input.config.crop.overlay_downsample_full));
  picture.title = "Completion with Gaia stars" + view.input.of_field(view.field);
  picture.file = "gaia_augmentation_overlay";
  web::Markers originals = group("given sources", "#00e5ff", "circle", 6.0);
  web::Markers matched = group("matched with Gaia", "#76ff03", "square", 9.0);
  web::Markers added = group("added from Gaia", "#ff00ff", "circle", 12.0);
  web::Markers saturated_gaia = group("Gaia stars near saturation", "#ff3d3d", "cross", 12.0);
  web::Markers saturated = group("sources excluded: saturation", "#c62828", "cross", 7.0);
  web::Markers cropped = group("sources excluded: crop", "#ff9800", "cross", 7.0);
  const std::set<std::string> injected = read_gaia_stars(view, saturated_gaia);
  const auto& x = view.sources().get<double>("x_pix_white");
  const auto& y = view.sources().get<double>("y_pix_white");
  const auto& crop = view.sources().get<std::uint8_t>("excluded_crop");
  const auto& saturation = view.sources().get<std::uint8_t>("excluded_saturation");
  const auto& gaia = view.sources().get<std::string>("gaia_source_id");
  const auto id = view.texts("ID");
  for (std::size_t i = view.rows.first; i < view.rows.second; ++i) {
    const auto put = [&](web::Markers& markers) {
      if (view.inside(i)) {
        mark(markers, x[i], y[i], id[i]);
      } else {
        ++markers.not_drawn;
      }
    };
    if (injected.contains(gaia[i])) {
      put(added);
      continue;
    }
    put(originals);
    if (!gaia[i].empty()) {
      put(matched);
    }
    if (saturation[i] != 0) {
      put(saturated);
    }
    if (crop[i] != 0) {
      put(cropped);
    }
  }
  picture.markers = {originals, matched, added, saturated_gaia, saturated, cropped};
  const Table& boxes = view.input.products.table("frames", "gaia_boxes");
  const auto rows = view.input.survey.rows(boxes, view.field);
  if (rows.first < rows.second) {
    const auto at = [&](const char* column) { return boxes.get<std::int32_t>(column)[rows.first]; };
    picture.markers.push_back(
        outline("selection box", "#ffeb3b", {at("x0"), at("x1"), at("y0"), at("y1")}, true));
  }
  return finished(std::move(picture), view, 0.0);
}

void draw_field(const FieldView& view, SectionWriter& section) {
  const ReportInput& input = view.input;
  const std::string of_field = input.of_field(view.field);
  section.draw("white images" + of_field, [&]() -> std::vector<web::Block> {
    web::PictureRow row{view.field.name(), {}};
    if (preview_binning(input.config, view.field) > 0) {
      row.pictures.push_back(before_crop(view));
    }
    if (view.field.margin > 0 || !input.config.crop.overlay_catalog) {
      row.pictures.push_back(after_crop(view));
    }
    return row.pictures.empty() ? std::vector<web::Block>{} : std::vector<web::Block>{row};
  });
  if (input.config.crop.overlay_catalog) {
    section.draw("sources on the white image" + of_field, [&]() -> std::vector<web::Block> {
      return {web::PictureRow{{}, {overlay(view)}}};
    });
  }
  if (view.field.calibrates(input.config)) {
    section.draw("Gaia stars on the white image" + of_field, [&]() -> std::vector<web::Block> {
      return {web::PictureRow{{}, {gaia_overlay(view)}}};
    });
  }
}

}  // namespace

web::Section white_section(const ReportInput& input, std::vector<std::string>& problems) {
  SectionWriter section("White image", problems);
  for (const Field* field : input.shown_fields()) {
    FieldView view{input, *field, std::nullopt,
                   input.survey.rows(input.products.table("frames", "sources"), *field)};
    section.draw("sky coordinates" + input.of_field(*field), [&]() -> std::vector<web::Block> {
      view.wcs.emplace(frame_wcs(*field, 0));
      return {};
    });
    draw_field(view, section);
  }
  return section.take();
}

}  // namespace skyloom::photometry
