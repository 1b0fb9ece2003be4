// Maps of the skycells report: the sky, projections, seams, stars.

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "pipelines/skycells/convolve/kernel_preview.hpp"
#include "pipelines/skycells/report_parts.hpp"
#include "skyloom/numerics/robust.hpp"

namespace skyloom::skycells {
namespace {

constexpr double kPictureSide = 640.0;  ///< of a mosaic on the page
constexpr double kSlotSide = 36.0;      ///< of a cell in the map of missing pixels
const std::vector<std::string> kEndings{"ok", "combine", "convolve"};

std::string ending_text(const std::string& ending) {
  return ending == "ok" ? "convolved" : "failed in " + ending;
}

std::vector<web::Block> sky_chart(const ReportInput& input) {
  const auto& ra = input.cells.get<double>("ra");
  const auto& dec = input.cells.get<double>("dec");
  const auto [low, high] = std::minmax_element(ra.begin(), ra.end());
  const bool wraps = low != ra.end() && *high - *low > 180.0;
  web::Chart chart;
  chart.title = "Centres of cells";
  chart.x_label = "right ascension [deg]";
  chart.y_label = "declination [deg]";
  chart.file = "cells_on_the_sky";
  for (const std::string& ending : kEndings) {
    web::Series series;
    series.label = ending_text(ending);
    series.color = ending_color(ending);
    for (std::size_t i = 0; i < ra.size(); ++i) {
      if (input.ending(i) == ending) {
        series.x.push_back(wraps && ra[i] > 180.0 ? ra[i] - 360.0 : ra[i]);
        series.y.push_back(dec[i]);
      }
    }
    if (!series.x.empty()) {
      chart.series.push_back(std::move(series));
    }
  }
  return {chart};
}

/// The lattice of a projection.
struct Lattice {
  CellGeometry geometry;
  int step = 1;
  int first_x = std::numeric_limits<int>::max();
  int first_y = std::numeric_limits<int>::max();
  int last_x = 0;
  int last_y = 0;
};

Lattice lattice_of(const ReportInput& input, const std::vector<std::size_t>& rows) {
  const Table& list = input.products.table("combine", "list");
  Lattice out;
  out.geometry = input.config.cell_geometry(list.get<std::int32_t>("width")[rows.front()],
                                            list.get<std::int32_t>("height")[rows.front()]);
  out.step = preview_step(out.geometry);
  for (const std::size_t i : rows) {
    const int x = input.cells.get<std::int32_t>("x")[i] * out.geometry.step_x();
    const int y = input.cells.get<std::int32_t>("y")[i] * out.geometry.step_y();
    out.first_x = std::min(out.first_x, x / out.step);
    out.first_y = std::min(out.first_y, y / out.step);
    out.last_x = std::max(out.last_x, (x + out.geometry.width) / out.step + 1);
    out.last_y = std::max(out.last_y, (y + out.geometry.height) / out.step + 1);
  }
  return out;
}

/// Outlines of cells by how they ended.
std::vector<web::Markers> outlines(const ReportInput& input, const std::vector<std::size_t>& rows,
                                   const Lattice& lattice) {
  std::vector<web::Markers> out;
  for (const std::string& ending : kEndings) {
    web::Markers markers;
    markers.label = ending_text(ending);
    markers.color = ending_color(ending);
    markers.shape = "box";
    for (const std::size_t i : rows) {
      if (input.ending(i) != ending) {
        continue;
      }
      const double step = lattice.step;
      const double x = input.cells.get<std::int32_t>("x")[i] * lattice.geometry.step_x() / step -
                       lattice.first_x;
      const double y = input.cells.get<std::int32_t>("y")[i] * lattice.geometry.step_y() / step -
                       lattice.first_y;
      markers.x.push_back(x);
      markers.y.push_back(y);
      markers.x2.push_back(x + (lattice.geometry.width - 1) / step);
      markers.y2.push_back(y + (lattice.geometry.height - 1) / step);
      markers.names.push_back(input.cells.get<std::string>("name")[i]);
    }
    if (!markers.x.empty()) {
      out.push_back(std::move(markers));
    }
  }
  return out;
}

web::Picture mosaic(const ReportInput& input, int projection,
                    const std::vector<std::size_t>& rows) {
  const Lattice lattice = lattice_of(input, rows);
  web::Picture picture;
  picture.title = fmt::format("Projection {:04}", projection);
  picture.file = fmt::format("projection_{:04}", projection);
  picture.pixels = Image<float>(lattice.last_x - lattice.first_x, lattice.last_y - lattice.first_y,
                                std::numeric_limits<float>::quiet_NaN());
  for (const StoredPreview& preview : input.previews_of(projection)) {
    for (int i = 0; i < preview.points.height(); ++i) {
      for (int j = 0; j < preview.points.width(); ++j) {
        const int y = preview.first_y + i - lattice.first_y;
        const int x = preview.first_x + j - lattice.first_x;
        if (std::isfinite(preview.points(i, j)) && picture.pixels.box().contains(x, y)) {
          picture.pixels(y, x) = preview.points(i, j);
        }
      }
    }
  }
  picture.stretch = "asinh";
  picture.unit = "count / s / pixel";
  picture.pixel_size = lattice.step;
  picture.x0 = lattice.first_x * lattice.step;
  picture.y0 = lattice.first_y * lattice.step;
  picture.axes = true;
  picture.scale = std::max(
      1.0, std::floor(kPictureSide / std::max(picture.pixels.width(), picture.pixels.height())));
  picture.markers = outlines(input, rows, lattice);
  return picture;
}

/// A pixel per cell: how much of it has no value.
web::Picture missing_map(const ReportInput& input, int projection,
                         const std::vector<std::size_t>& rows) {
  const Table& list = input.products.table("combine", "list");
  const auto& x = input.cells.get<std::int32_t>("x");
  const auto& y = input.cells.get<std::int32_t>("y");
  Box box{x[rows.front()], x[rows.front()] + 1, y[rows.front()], y[rows.front()] + 1};
  for (const std::size_t i : rows) {
    box = {std::min(box.x0, x[i]), std::max(box.x1, x[i] + 1), std::min(box.y0, y[i]),
           std::max(box.y1, y[i] + 1)};
  }
  web::Picture picture;
  picture.title = "NaN in every cell";
  picture.file = fmt::format("missing_{:04}", projection);
  picture.pixels = Image<float>(box.width(), box.height(), std::numeric_limits<float>::quiet_NaN());
  float most = 0.0F;
  for (const std::size_t i : rows) {
    if (input.ending(i) == "ok") {
      const double area = static_cast<double>(list.get<std::int32_t>("width")[i]) *
                          list.get<std::int32_t>("height")[i];
      const double nan = static_cast<double>(input.cells.get<std::int64_t>("n_nan")[i]);
      picture.pixels(y[i] - box.y0, x[i] - box.x0) = static_cast<float>(100.0 * nan / area);
      most = std::max(most, static_cast<float>(100.0 * nan / area));
    }
  }
  picture.high = std::max(1.0, std::ceil(static_cast<double>(most)));
  picture.unit = "%";
  picture.x0 = box.x0;
  picture.y0 = box.y0;
  picture.scale = kSlotSide;
  return picture;
}

/// Two neighbours that overlap.
struct Seam {
  std::string one;
  std::string other;
  bool in_row = false;
  int points = 0;
  double worst = 0.0;  ///< largest difference over the largest value of both
};

std::optional<Seam> compare(const StoredPreview& a, const StoredPreview& b) {
  Seam seam{a.name, b.name, a.y == b.y};
  double peak = 0.0;
  for (int i = 0; i < a.points.height(); ++i) {
    for (int j = 0; j < a.points.width(); ++j) {
      const int y = a.first_y + i - b.first_y;
      const int x = a.first_x + j - b.first_x;
      const float one = a.points(i, j);
      peak = std::max(peak, std::isfinite(one) ? std::abs(static_cast<double>(one)) : 0.0);
      if (!b.points.box().contains(x, y) || !std::isfinite(one) || !std::isfinite(b.points(y, x))) {
        continue;
      }
      ++seam.points;
      seam.worst = std::max(
          seam.worst, std::abs(static_cast<double>(one) - static_cast<double>(b.points(y, x))));
    }
  }
  for (const float value : b.points.pixels()) {
    peak = std::max(peak, std::isfinite(value) ? std::abs(static_cast<double>(value)) : 0.0);
  }
  if (seam.points == 0 || !(peak > 0.0)) {
    return std::nullopt;
  }
  seam.worst /= peak;
  return seam;
}

std::vector<Seam> find_seams(const ReportInput& input) {
  std::vector<Seam> seams;
  for (const int projection : input.projections) {
    const std::vector<StoredPreview> previews = input.previews_of(projection);
    for (std::size_t i = 0; i < previews.size(); ++i) {
      for (std::size_t k = i + 1; k < previews.size(); ++k) {
        if (std::abs(previews[i].x - previews[k].x) <= 1 &&
            std::abs(previews[i].y - previews[k].y) <= 1) {
          if (auto seam = compare(previews[i], previews[k])) {
            seams.push_back(std::move(*seam));
          }
        }
      }
    }
  }
  return seams;
}

web::DataTable seam_summary(const std::vector<Seam>& seams) {
  web::DataTable table;
  table.title = "Largest difference where two cells overlap, over the largest value of both";
  table.header = {"neighbours", "pairs", "points", "median", "largest"};
  for (const bool in_row : {true, false}) {
    std::vector<double> worst;
    std::int64_t points = 0;
    for (const Seam& seam : seams) {
      if (seam.in_row == in_row) {
        worst.push_back(seam.worst);
        points += seam.points;
      }
    }
    if (!worst.empty()) {
      table.rows.push_back({in_row ? "in a row" : "of two rows", std::to_string(worst.size()),
                            std::to_string(points), fmt::format("{:.1e}", numerics::median(worst)),
                            fmt::format("{:.1e}", *std::max_element(worst.begin(), worst.end()))});
    }
  }
  return table;
}

web::DataTable worst_seams(std::vector<Seam> seams) {
  std::stable_sort(seams.begin(), seams.end(),
                   [](const Seam& a, const Seam& b) { return a.worst > b.worst; });
  seams.resize(std::min(seams.size(), kSeamsShown));
  web::DataTable table;
  table.title = "Seams that differ most";
  table.header = {"skycell", "neighbour", "points", "difference"};
  for (const Seam& seam : seams) {
    table.rows.push_back(
        {seam.one, seam.other, std::to_string(seam.points), fmt::format("{:.1e}", seam.worst)});
  }
  return table;
}

std::vector<web::Block> removed_stars(const Table& removed) {
  const auto& reasons = removed.get<std::string>("removal_reason");
  const auto& magnitudes = removed.get<double>("tess_mag");
  std::map<std::string, std::vector<double>> by_reason;
  for (std::size_t i = 0; i < reasons.size(); ++i) {
    by_reason[reasons[i]].push_back(magnitudes[i]);
  }
  web::DataTable table;
  table.title = "Stars removed with their segments (a star in two cells counts twice)";
  table.header = {"reason", "number", "median TESS magnitude"};
  web::Chart chart;
  chart.title = "Removed stars";
  chart.x_label = "TESS magnitude";
  chart.y_label = "stars";
  constexpr double kBin = 0.5;
  for (const auto& [reason, values] : by_reason) {
    const double median = numerics::median(values);
    table.rows.push_back({reason, std::to_string(values.size()),
                          std::isfinite(median) ? fmt::format("{:.2f}", median) : "-"});
    std::map<int, int> bins;
    for (const double value : values) {
      if (std::isfinite(value)) {
        ++bins[static_cast<int>(std::floor(value / kBin))];
      }
    }
    web::Series series;
    series.label = reason;
    series.kind = "steps";
    for (const auto& [bin, count] : bins) {
      series.x.push_back((bin + 0.5) * kBin);
      series.y.push_back(count);
    }
    if (!series.x.empty()) {
      chart.series.push_back(std::move(series));
    }
  }
  std::vector<web::Block> blocks{table};
  if (!chart.series.empty()) {
    blocks.emplace_back(chart);
  }
  return blocks;
}

std::vector<web::Block> mended_stars(const Table& cells) {
  web::DataTable table;
  table.title = "Cores replaced by a model";
  table.header = {"skycell", "stars of the PSF", "stars mended", "pixels replaced"};
  const std::size_t rows = std::min(kRowsShown, cells.rows());
  for (std::size_t i = 0; i < rows; ++i) {
    table.rows.push_back({cells.get<std::string>("name")[i],
                          std::to_string(cells.get<std::int32_t>("n_psf_stars")[i]),
                          std::to_string(cells.get<std::int32_t>("n_mended")[i]),
                          std::to_string(cells.get<std::int64_t>("n_replaced")[i])});
  }
  return {table};
}

}  // namespace

web::Section sky_section(const ReportInput& input, std::vector<std::string>& problems) {
  web::SectionWriter section("Sky", problems);
  section.draw("map of the sky", [&] { return sky_chart(input); });
  return section.take();
}

web::Section projections_section(const ReportInput& input, std::vector<std::string>& problems) {
  web::SectionWriter section("Projections", problems);
  const std::size_t shown = std::min(kProjectionsShown, input.projections.size());
  for (std::size_t i = 0; i < shown; ++i) {
    const int projection = input.projections[i];
    section.draw(fmt::format("map of projection {}", projection), [&]() -> std::vector<web::Block> {
      const std::vector<std::size_t> rows = input.rows_of(projection);
      web::PictureRow row;
      row.pictures = {mosaic(input, projection, rows), missing_map(input, projection, rows)};
      return {row};
    });
  }
  if (shown < input.projections.size()) {
    section.add(web::Text{
        fmt::format("The first {} of {} projections.", shown, input.projections.size()), false});
  }
  return section.take();
}

web::Section seams_section(const ReportInput& input, std::vector<std::string>& problems) {
  web::SectionWriter section("Seams", problems);
  section.draw("table of seams", [&]() -> std::vector<web::Block> {
    const std::vector<Seam> seams = find_seams(input);
    if (seams.empty()) {
      return {web::Text{"No two cells have a value at the same place.", false}};
    }
    return {seam_summary(seams), worst_seams(seams)};
  });
  return section.take();
}

web::Section stars_section(const ReportInput& input, std::vector<std::string>& problems) {
  web::SectionWriter section("Saturated stars", problems);
  if (input.config.saturation.mode == "remove") {
    section.draw("table of removed stars",
                 [&] { return removed_stars(input.products.table("combine", "removed_stars")); });
  } else if (input.config.saturation.mode == "replace") {
    section.draw("table of mended stars",
                 [&] { return mended_stars(input.products.table("combine", "cells")); });
  }
  return section.take();
}

}  // namespace skyloom::skycells
