#include "pipelines/photometry/report_stars.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <optional>
#include <span>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "pipelines/photometry/frames/kernel.hpp"

namespace skyloom::photometry {

std::vector<std::size_t> used_ones(const Table& stamps, const std::vector<std::size_t>& rows) {
  std::vector<std::size_t> used;
  std::copy_if(rows.begin(), rows.end(), std::back_inserter(used),
               [&](std::size_t i) { return stamps.get<std::uint8_t>("used")[i] != 0; });
  return used;
}

namespace {

constexpr const char* kUnit = "scaled flux / pixel";

/// Rows of a table of the stage epsf that belong to the frame and cell of a row of /cells.
std::vector<std::size_t> rows_of_cell(const ReportInput& input, const Table& table,
                                      std::size_t cell) {
  const Table& cells = input.products.table("epsf", "cells");
  const std::int32_t wanted_frame = cells.get<std::int32_t>("frame")[cell];
  const std::string& wanted_tag = cells.get<std::string>("epsf_tag")[cell];
  const auto& tag = table.get<std::string>("epsf_tag");
  const auto [first, last] = rows_of_frame(table, wanted_frame);
  std::vector<std::size_t> rows;
  for (std::size_t i = first; i < last; ++i) {
    if (tag[i] == wanted_tag) {
      rows.push_back(i);
    }
  }
  return rows;
}

Box cell_box(const Table& cells, std::size_t cell) {
  const auto at = [&](const char* column) { return cells.get<std::int32_t>(column)[cell]; };
  return {at("x0"), at("x1"), at("y0"), at("y1")};
}

/// The image of a cell, opened. @throws ConfigError when it is not where it was during the run
class FrameOfCell {
 public:
  FrameOfCell(const ReportInput& input, std::size_t cell) {
    const Table& cells = input.products.table("epsf", "cells");
    const auto [index, number] =
        input.survey.frame_at(static_cast<std::size_t>(cells.get<std::int32_t>("frame")[cell]));
    const Field& field = input.survey.fields[index];
    origin_ = field.origin(number);
    reader_.emplace(field.specs[number], field.infos[number]);
  }
  /// Scaled flux of a box in the pixels that are used; NaN where bad or outside.
  [[nodiscard]] Image<float> read(const Box& box) const {
    surveys::FramePixels pixels =
        reader_->read({box.x0 + origin_, box.x1 + origin_, box.y0 + origin_, box.y1 + origin_});
    for (std::size_t i = 0; i < pixels.data.pixels().size(); ++i) {
      if (pixels.bad.pixels()[i] != 0) {
        pixels.data.pixels()[i] = std::numeric_limits<float>::quiet_NaN();
      }
    }
    return std::move(pixels.data);
  }

 private:
  int origin_ = 0;
  mutable std::optional<surveys::FrameReader> reader_;
};

/// The stars of the PSF by where they come from.
std::vector<web::Markers> star_marks(const ReportInput& input, std::size_t cell) {
  const Table& stars = input.products.table("epsf", "stars");
  std::vector<web::Markers> groups(4);
  const auto set = [&](std::size_t i, const char* label, const char* color, const char* shape) {
    groups[i].label = label;
    groups[i].color = color;
    groups[i].shape = shape;
    groups[i].radius_pix = 8.0;
  };
  set(0, "sep", "#ff9800", "circle");
  set(1, "gaia", "#00e5ff", "plus");
  set(2, "both", "#ff00ff", "cross");
  set(3, "saturated, wing only", "#ffeb3b", "square");
  for (const std::size_t i : rows_of_cell(input, stars, cell)) {
    const std::string& origin = stars.get<std::string>("origin")[i];
    const bool wing = stars.get<std::uint8_t>("wing")[i] != 0;
    if (stars.get<std::uint8_t>("used")[i] != 0 || wing) {
      mark(groups[wing               ? 3
                  : origin == "gaia" ? 1
                  : origin == "both" ? 2
                                     : 0],
           stars.get<double>("x")[i], stars.get<double>("y")[i],
           fmt::format("S/N {:.0f}", stars.get<double>("snr")[i]));
    }
  }
  std::erase_if(groups, [](const web::Markers& group) { return group.x.empty(); });
  return groups;
}

/// Width and height of a picture that fits three beside each other.
double display_scale(const Image<float>& image) {
  return std::clamp(330.0 / std::max(image.width(), image.height()), 0.2, 6.0);
}

/// An image of the cell as the stage epsf kept it, else read again.
struct CellImage {
  Image<float> raw;
  Image<float> background;  ///< may be empty
  int binning = 1;
};

Image<float> corner_of(const web::Picture& array, int width, int height) {
  Image<float> out(width, height);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      out(y, x) = array.pixels(y, x);
    }
  }
  return out;
}

CellImage cell_image(const ReportInput& input, std::size_t cell) {
  CellImage out;
  if (input.products.has_table("epsf", "cell_images")) {
    const Table& images = input.products.table("epsf", "cell_images");
    for (const std::size_t i : rows_of_cell(input, images, cell)) {
      const int width = images.get<std::int32_t>("width")[i];
      const int height = images.get<std::int32_t>("height")[i];
      out.binning = images.get<std::int32_t>("binning")[i];
      out.raw = corner_of(array_picture(images, "raw", i), width, height);
      out.background = corner_of(array_picture(images, "background", i), width, height);
      const auto pixels = out.background.pixels();
      if (std::none_of(pixels.begin(), pixels.end(), [](float v) { return std::isfinite(v); })) {
        out.background = {};
      }
      return out;
    }
  }
  constexpr int kSide = 400;
  const FrameOfCell frame(input, cell);
  const Box box = cell_box(input.products.table("epsf", "cells"), cell);
  out.binning = (std::max(box.width(), box.height()) + kSide - 1) / kSide;
  out.raw = frames::block_means(frame.read(box).view(), out.binning);
  return out;
}

web::Picture cell_picture(const ReportInput& input, std::size_t cell, Image<float> pixels,
                          int binning) {
  const Box box = cell_box(input.products.table("epsf", "cells"), cell);
  web::Picture picture;
  picture.pixels = std::move(pixels);
  std::tie(picture.low, picture.high) = quantiles_of(picture.pixels, 0.05, 0.99);
  picture.stretch = "asinh";
  picture.unit = kUnit;
  picture.scale = display_scale(picture.pixels);
  picture.pixel_size = binning;
  picture.x0 = box.x0 + 0.5 * (binning - 1);
  picture.y0 = box.y0 + 0.5 * (binning - 1);
  picture.color_bar = input.config.epsf.diagnostics_show_colorbar;
  return picture;
}

Image<float> difference(const Image<float>& a, const Image<float>& b) {
  Image<float> out = a;
  for (std::size_t i = 0; i < out.pixels().size(); ++i) {
    out.pixels()[i] -= b.pixels()[i];
  }
  return out;
}

std::vector<web::Block> star_positions(const ReportInput& input, std::size_t cell) {
  const CellImage image = cell_image(input, cell);
  std::vector<web::Block> blocks;
  if (image.raw.empty()) {
    return blocks;
  }
  web::PictureRow row{"PSF stars of " + cell_label(input, cell), {}};
  web::Picture raw = cell_picture(input, cell, image.raw, image.binning);
  raw.title = "PSF stars";
  raw.file = "psfstars";
  raw.markers = star_marks(input, cell);
  if (image.background.empty()) {
    place_markers(raw);
    row.pictures = {raw};
    return {row};
  }
  web::Picture subtracted =
      cell_picture(input, cell, difference(image.raw, image.background), image.binning);
  subtracted.title = "PSF stars, background subtracted";
  subtracted.file = "psfstars_bgsub";
  subtracted.markers = raw.markers;
  place_markers(subtracted);
  web::PictureRow background{
      "Background of " + cell_label(input, cell), {}, 3, "background_diagnostics"};
  background.pictures = {raw, cell_picture(input, cell, image.background, image.binning),
                         subtracted};
  background.pictures[0].title = "raw";
  background.pictures[1].title = "background";
  background.pictures[1].stretch = "linear";
  background.pictures[2].title = "difference";
  for (web::Picture& picture : background.pictures) {
    picture.markers.clear();
    picture.file.clear();
  }
  place_markers(raw);
  row.pictures = {raw, subtracted};
  return {row, background};
}

const char* origin_color(const std::string& origin) {
  return origin == "gaia" ? "#00e5ff" : origin == "both" ? "#ff00ff" : "#ff9800";
}

/// Stamps side by side, each over its brightest central pixel, in frames by origin.
web::Picture montage(const Table& stamps, const std::vector<std::size_t>& rows) {
  const web::Picture first = array_picture(stamps, "raw", rows.front());
  const int side = first.pixels.width();
  const int pitch = side + 4;
  const int columns = static_cast<int>(std::ceil(std::sqrt(static_cast<double>(rows.size()))));
  const int lines = (static_cast<int>(rows.size()) + columns - 1) / columns;
  web::Picture out;
  out.pixels = Image<float>(columns * pitch, lines * pitch, 0.0F);
  std::vector<web::Markers> frames;
  for (std::size_t k = 0; k < rows.size(); ++k) {
    const Image<float> stamp = array_picture(stamps, "raw", rows[k]).pixels;
    const auto background = static_cast<float>(stamps.get<double>("background")[rows[k]]);
    const int left = static_cast<int>(k) % columns * pitch + 2;
    // The first line of stamps stands at the top.
    const int bottom = (lines - 1 - static_cast<int>(k) / columns) * pitch + 2;
    float peak = 0.0F;
    for (int y = side / 2 - 3; y <= side / 2 + 3; ++y) {
      for (int x = side / 2 - 3; x <= side / 2 + 3; ++x) {
        peak = std::fmax(peak, stamp(y, x) - background);
      }
    }
    for (int y = 0; y < side; ++y) {
      for (int x = 0; x < side; ++x) {
        out.pixels(bottom + y, left + x) = (stamp(y, x) - background) / peak;
      }
    }
    const std::string& origin = stamps.get<std::string>("origin")[rows[k]];
    auto group = std::find_if(frames.begin(), frames.end(),
                              [&](const web::Markers& g) { return g.label == origin; });
    if (group == frames.end()) {
      group = frames.insert(frames.end(), web::Markers{});
      group->label = origin;
      group->color = origin_color(origin);
      group->shape = "box";
    }
    mark(*group, left - 1.0, bottom - 1.0, fmt::format("star {}", k));
    group->x2.push_back(left + side);
    group->y2.push_back(bottom + side);
  }
  out.markers = std::move(frames);
  out.low = -0.003;
  out.high = 1.0;
  out.stretch = "log";
  out.unit = "of the peak";
  out.scale = std::clamp(440.0 / out.pixels.width(), 0.3, 3.0);
  return out;
}

std::vector<web::Block> montages(const ReportInput& input, const Table& stamps,
                                 const std::vector<std::size_t>& rows, std::size_t cell) {
  web::PictureRow row{"Stars of " + cell_label(input, cell), {montage(stamps, rows)}};
  row.pictures[0].title = "extracted stars";
  row.pictures[0].file = "extracted_stars";
  const std::vector<std::size_t> used = used_ones(stamps, rows);
  if (!used.empty()) {
    row.pictures.push_back(montage(stamps, used));
    row.pictures[1].title = "used stars";
    row.pictures[1].file = "used_stars";
  }
  for (web::Picture& picture : row.pictures) {
    picture.color_bar = input.config.epsf.diagnostics_show_colorbar;
  }
  return {row};
}

/// Raw stamp, pixels of the annulus, and stamp without background of the first used stars.
std::vector<web::Block> local_backgrounds(const ReportInput& input, const Table& stamps,
                                          const std::vector<std::size_t>& rows, std::size_t cell) {
  constexpr std::size_t kMost = 4;
  web::PictureRow out{"Local background of stars of " + cell_label(input, cell),
                      {},
                      3,
                      "star_local_background_diagnostics"};
  const std::vector<std::size_t> used = used_ones(stamps, rows);
  const auto& annulus = stamps.get<std::uint8_t>("annulus");
  for (std::size_t k = 0; k < std::min(kMost, used.size()); ++k) {
    web::Picture raw = array_picture(stamps, "raw", used[k]);
    const std::size_t n = raw.pixels.pixels().size();
    const double background = stamps.get<double>("background")[used[k]];
    web::Picture ring = raw;
    web::Picture subtracted = raw;
    for (std::size_t i = 0; i < n; ++i) {
      if (annulus[used[k] * n + i] == 0) {
        ring.pixels.pixels()[i] = std::numeric_limits<float>::quiet_NaN();
      }
      subtracted.pixels.pixels()[i] -= static_cast<float>(background);
    }
    raw.title = fmt::format("star {}: raw", stamps.get<std::int32_t>("star")[used[k]]);
    ring.title = fmt::format("annulus, Nann={}, {:.3g} ({})",
                             stamps.get<std::int32_t>("background_npix")[used[k]], background,
                             stamps.get<std::string>("background_status")[used[k]]);
    subtracted.title = "subtracted";
    std::tie(raw.low, raw.high) = quantiles_of(raw.pixels, 0.02, 0.97);
    ring.low = raw.low;
    ring.high = raw.high;
    subtracted.low = raw.low - background;
    subtracted.high = raw.high - background;
    for (web::Picture* picture : {&raw, &ring, &subtracted}) {
      picture->scale = std::clamp(150.0 / raw.pixels.width(), 1.0, 4.0);
      picture->unit = kUnit;
      picture->color_bar = input.config.epsf.diagnostics_show_colorbar;
      out.pictures.push_back(std::move(*picture));
    }
  }
  return out.pictures.empty() ? std::vector<web::Block>{} : std::vector<web::Block>{out};
}

}  // namespace

void draw_stars(const ReportInput& input, std::size_t cell, SectionWriter& section) {
  const std::string label = cell_label(input, cell);
  section.draw("PSF stars of " + label, [&] { return star_positions(input, cell); });
  if (!input.products.has_table("epsf", "star_stamps")) {
    return;
  }
  const Table& stamps = input.products.table("epsf", "star_stamps");
  const std::vector<std::size_t> rows = rows_of_cell(input, stamps, cell);
  if (rows.empty()) {
    return;
  }
  section.draw("star stamps of " + label, [&] { return montages(input, stamps, rows, cell); });
  if (input.config.epsf.kernel.save_residual_diagnostics) {
    section.draw("residuals of " + label,
                 [&] { return residual_histogram(input, stamps, rows, cell); });
  }
  if (stamps.has("annulus")) {
    section.draw("local backgrounds of " + label,
                 [&] { return local_backgrounds(input, stamps, rows, cell); });
  }
}

}  // namespace skyloom::photometry
