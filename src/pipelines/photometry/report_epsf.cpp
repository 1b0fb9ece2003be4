// The effective PSFs: how good, growth curves, stamps, and the stars behind them.

#include <algorithm>
#include <cmath>
#include <sstream>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "pipelines/photometry/report_stars.hpp"

namespace skyloom::photometry {
namespace {

web::DataTable band_table(const ReportInput& input, const Table& bands) {
  web::DataTable table{"Per band",
                       {"band", "level", "stars", "wing stars", "rejected", "order", "FWHM [pix]",
                        "beta", "core chi2", "flux error [%]", "outside [%]"},
                       {}};
  const auto number = [&](const char* column, std::size_t i) { return bands.numbers(column)[i]; };
  const auto text = [&](const char* column, std::size_t i, double factor) {
    const double value = factor * number(column, i);
    return std::isfinite(value) ? fmt::format("{:.2f}", value) : std::string("-");
  };
  for (std::size_t i = 0; i < bands.rows(); ++i) {
    table.rows.push_back(
        {input.frame_label(static_cast<std::size_t>(number("frame", i))),
         fmt::format("{}", number("psf_level", i)), fmt::format("{}", number("n_stars", i)),
         fmt::format("{}", number("n_wing", i)), fmt::format("{}", number("n_rejected", i)),
         fmt::format("{}", number("order", i)), text("fwhm_pix", i, 1.0), text("beta", i, 1.0),
         text("chi2_core_median", i, 1.0), text("flux_err_pred", i, 100.0),
         text("f_out", i, 100.0)});
  }
  return table;
}

/// What was noticed while the PSFs were built.
web::DataTable warning_table(const ReportInput& input, const Table& bands) {
  web::DataTable table{"Noticed", {"band", "warning"}, {}};
  const auto& warnings = bands.get<std::string>("warnings");
  for (std::size_t i = 0; i < bands.rows(); ++i) {
    std::istringstream lines(warnings[i]);
    for (std::string line; std::getline(lines, line);) {
      table.rows.push_back(
          {input.frame_label(static_cast<std::size_t>(bands.get<std::int32_t>("frame")[i])), line});
    }
  }
  return table;
}

/// Light within a radius for every shown cell, with the radii of 50 and 80 %.
web::Chart growth_chart(const ReportInput& input, const std::vector<std::size_t>& shown) {
  const Table& cells = input.products.table("epsf", "cells");
  web::Chart chart;
  chart.title = "Growth curves";
  chart.x_label = "radius [pix]";
  chart.y_label = "light within radius";
  chart.file = "epsf_growth_curve";
  const auto& growth = cells.get<double>("growth");
  const std::size_t steps = cells.columns()[cells.position("growth")].elements();
  web::Series r50;
  r50.label = "r50";
  r50.color = "#37474f";
  r50.symbol = "diamond";
  web::Series r80 = r50;
  r80.label = "r80";
  r80.symbol = "cross";
  for (const std::size_t i : shown) {
    web::Series line;
    line.label = cell_label(input, i);
    line.color = band_color(chart.series.size());
    line.kind = "line";
    for (std::size_t r = 0; r < steps; ++r) {
      if (std::isfinite(growth[i * steps + r])) {
        line.x.push_back(static_cast<double>(r));
        line.y.push_back(growth[i * steps + r]);
      }
    }
    if (line.x.empty()) {
      continue;
    }
    for (const auto& [column, marks] :
         {std::pair{"ee_r50_pix", &r50}, std::pair{"ee_r80_pix", &r80}}) {
      const double radius = cells.get<double>(column)[i];
      if (radius >= 0.0 && radius < static_cast<double>(line.y.size() - 1)) {
        const auto below = static_cast<std::size_t>(radius);
        const double part = radius - static_cast<double>(below);
        marks->x.push_back(radius);
        marks->y.push_back((1.0 - part) * line.y[below] + part * line.y[below + 1]);
      }
    }
    chart.series.push_back(std::move(line));
  }
  chart.series.push_back(std::move(r50));
  chart.series.push_back(std::move(r80));
  return chart;
}

web::Picture stamp(const ReportInput& input, const std::string& column, std::size_t row) {
  web::Picture picture = array_picture(input.products.table("epsf", "cells"), column, row);
  picture.color_bar = input.config.epsf.diagnostics_show_colorbar;
  picture.scale = std::clamp(180.0 / picture.pixels.width(), 1.0, 4.0);
  picture.x0 = -0.5 * (picture.pixels.width() - 1);
  picture.y0 = -0.5 * (picture.pixels.height() - 1);
  return picture;
}

bool has_values(const web::Picture& picture) {
  const auto pixels = picture.pixels.pixels();
  return std::any_of(pixels.begin(), pixels.end(), [](float v) { return std::isfinite(v); });
}

/// The ePSF of a cell with median star, model and residual.
web::PictureRow cell_stamps(const ReportInput& input, std::size_t cell) {
  const Table& cells = input.products.table("epsf", "cells");
  web::PictureRow row{
      "ePSF of " + cell_label(input, cell), {}, 4, "epsf_" + file_part(cell_label(input, cell))};
  web::Picture psf = stamp(input, "epsf", cell);
  psf.title = fmt::format("ePSF, used={}/{}", cells.get<std::int32_t>("nstars_used")[cell],
                          cells.get<std::int32_t>("nstars_extract")[cell]);
  psf.stretch = "log";
  psf.file = "epsf";
  if (has_values(psf)) {
    std::tie(psf.low, psf.high) = quantiles_of(psf.pixels, 0.01, 1.0);
    row.pictures.push_back(std::move(psf));
  }
  web::Picture star = stamp(input, "median_star", cell);
  web::Picture residual = stamp(input, "median_residual", cell);
  if (!has_values(star)) {
    return row;
  }
  web::Picture model = star;
  for (std::size_t i = 0; i < model.pixels.pixels().size(); ++i) {
    model.pixels.pixels()[i] -= residual.pixels.pixels()[i];
  }
  star.title = "median star / flux";
  model.title = "model";
  residual.title = "median residual / flux";
  star.stretch = "log";
  std::tie(star.low, star.high) = quantiles_of(star.pixels, 0.01, 1.0);
  model.stretch = "log";
  model.low = star.low;
  model.high = star.high;
  residual.colors = "diverging";
  Image<float> size = residual.pixels;
  std::transform(size.pixels().begin(), size.pixels().end(), size.pixels().begin(),
                 [](float v) { return std::abs(v); });
  residual.high = quantiles_of(size, 0.0, 0.99).second;
  residual.low = -residual.high;
  for (web::Picture* picture : {&star, &model, &residual}) {
    picture->file = "epsf_residual_diagnostics";
    row.pictures.push_back(std::move(*picture));
  }
  return row;
}

}  // namespace

std::string cell_label(const ReportInput& input, std::size_t cell) {
  const Table& cells = input.products.table("epsf", "cells");
  return input.frame_label(static_cast<std::size_t>(cells.get<std::int32_t>("frame")[cell])) + " " +
         cells.get<std::string>("epsf_tag")[cell];
}

std::vector<std::size_t> shown_cells(const ReportInput& input) {
  constexpr std::size_t kMost = 8;
  const Table& cells = input.products.table("epsf", "cells");
  const auto& frame = cells.get<std::int32_t>("frame");
  const auto& used = cells.get<std::int32_t>("nstars_used");
  std::vector<std::size_t> out;
  for (const Field* field : input.shown_fields()) {
    for (std::size_t band = 0; band < field->bands.size() && out.size() < kMost; ++band) {
      std::size_t best = Table::npos;
      for (std::size_t i = 0; i < cells.rows(); ++i) {
        const auto number = static_cast<std::size_t>(frame[i]) - field->first_frame;
        const bool mine = static_cast<std::size_t>(frame[i]) >= field->first_frame &&
                          number < field->size() &&
                          field->band_of_frame[number] == static_cast<int>(band);
        // Of the first image of the band that has cells.
        if (mine && (best == Table::npos || (frame[i] == frame[best] && used[i] > used[best]))) {
          best = i;
        }
      }
      if (best != Table::npos) {
        out.push_back(best);
      }
    }
  }
  return out;
}

web::Section epsf_section(const ReportInput& input, std::vector<std::string>& problems) {
  SectionWriter section("Effective PSF", problems);
  const Table& bands = input.products.table("epsf", "bands");
  if (bands.rows() == 0) {
    section.add(web::Text{"All frames came with a PSF of their own; none was built."});
    return section.take();
  }
  section.draw("table of PSFs", [&]() -> std::vector<web::Block> {
    std::vector<web::Block> blocks{shortened(band_table(input, bands))};
    web::DataTable noticed = warning_table(input, bands);
    if (!noticed.rows.empty()) {
      blocks.emplace_back(shortened(std::move(noticed)));
    }
    return blocks;
  });
  std::vector<std::size_t> shown;
  section.draw("cells of the PSFs", [&]() -> std::vector<web::Block> {
    shown = shown_cells(input);
    return {web::Text{"Below: of every band the cell with most stars."}};
  });
  section.draw("growth curves", [&]() -> std::vector<web::Block> {
    web::Chart chart = growth_chart(input, shown);
    // The last two series are the marked radii.
    return chart.series.size() > 2 ? std::vector<web::Block>{chart} : std::vector<web::Block>{};
  });
  for (const std::size_t cell : shown) {
    section.draw("ePSF " + cell_label(input, cell), [&]() -> std::vector<web::Block> {
      web::PictureRow row = cell_stamps(input, cell);
      return row.pictures.empty() ? std::vector<web::Block>{} : std::vector<web::Block>{row};
    });
    draw_stars(input, cell, section);
  }
  return section.take();
}

}  // namespace skyloom::photometry
