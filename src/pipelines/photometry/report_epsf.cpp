#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "pipelines/photometry/report.hpp"

namespace skyloom::photometry {
namespace {

constexpr std::size_t kCellsShown = 4;

web::DataTable band_table(const Table& bands) {
  web::DataTable table{"Per band",
                       {"band", "level", "stars", "wing stars", "rejected", "order", "FWHM [pix]",
                        "beta", "core chi2", "predicted flux error [%]", "light outside stamp [%]"},
                       {}};
  const auto number = [&](const char* column, std::size_t i) { return bands.numbers(column)[i]; };
  for (std::size_t i = 0; i < bands.rows(); ++i) {
    table.rows.push_back(
        {bands.get<std::string>("band")[i], fmt::format("{}", number("psf_level", i)),
         fmt::format("{}", number("n_stars", i)), fmt::format("{}", number("n_wing", i)),
         fmt::format("{}", number("n_rejected", i)), fmt::format("{}", number("order", i)),
         fmt::format("{:.2f}", number("fwhm_pix", i)), fmt::format("{:.2f}", number("beta", i)),
         fmt::format("{:.2f}", number("chi2_core_median", i)),
         fmt::format("{:.2f}", 100 * number("flux_err_pred", i)),
         fmt::format("{:.2f}", 100 * number("f_out", i))});
  }
  return table;
}

/// First row of every band in /cells, in order.
std::vector<std::size_t> first_cells(const Table& cells) {
  const auto& band = cells.get<std::string>("band");
  std::map<std::string, bool> seen;
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < band.size(); ++i) {
    if (!seen[band[i]]) {
      out.push_back(i);
    }
    seen[band[i]] = true;
  }
  return out;
}

web::Chart growth_chart(const Table& cells) {
  const std::array<const char*, 6> colors{"#1565c0", "#2e7d32", "#ef6c00",
                                          "#c62828", "#6a1b9a", "#00838f"};
  web::Chart chart;
  chart.title = "Growth curves of the first cell of every band";
  chart.x_label = "radius [pix]";
  chart.y_label = "light within radius";
  const auto& growth = cells.get<double>("growth");
  const std::size_t steps = cells.columns()[cells.position("growth")].elements();
  for (const std::size_t i : first_cells(cells)) {
    web::Series line;
    line.label = cells.get<std::string>("band")[i];
    line.color = colors[chart.series.size() % colors.size()];
    line.kind = "line";
    for (std::size_t r = 0; r < steps; ++r) {
      if (std::isfinite(growth[i * steps + r])) {
        line.x.push_back(static_cast<double>(r));
        line.y.push_back(growth[i * steps + r]);
      }
    }
    chart.series.push_back(std::move(line));
  }
  return chart;
}

/// One array cell as a picture whose coordinates are pixels from the centre.
web::Picture stamp(const Table& cells, const char* column, std::size_t row) {
  const auto side = static_cast<int>(cells.columns()[cells.position(column)].shape[0]);
  web::Picture picture;
  picture.pixels = Image<float>(side, side);
  const std::size_t n = picture.pixels.pixels().size();
  std::copy_n(cells.get<float>(column).begin() + static_cast<std::ptrdiff_t>(row * n), n,
              picture.pixels.pixels().begin());
  picture.scale = 3.0;
  picture.x0 = -0.5 * (side - 1);
  picture.y0 = picture.x0;
  return picture;
}

web::PictureRow band_stamps(const Table& cells, std::size_t first) {
  const auto& band = cells.get<std::string>("band");
  const auto& tags = cells.get<std::string>("epsf_tag");
  web::PictureRow row{"Band " + band[first], {}};
  for (std::size_t i = first; i < cells.rows() && row.pictures.size() < kCellsShown; ++i) {
    if (band[i] == band[first]) {
      web::Picture picture = stamp(cells, "epsf", i);
      picture.title = "ePSF " + tags[i];
      picture.stretch = "log";
      row.pictures.push_back(std::move(picture));
    }
  }
  web::Picture residual = stamp(cells, "median_residual", first);
  residual.title = "median residual / flux " + tags[first];
  residual.colors = "diverging";
  residual.low = -2e-3;
  residual.high = 2e-3;
  row.pictures.push_back(std::move(residual));
  return row;
}

}  // namespace

web::Section epsf_section(const engine::Products& products) {
  web::Section section{"Effective PSF", {}};
  const Table& bands = products.table("epsf", "bands");
  if (bands.rows() == 0) {
    section.blocks.emplace_back(
        web::Text{"All frames came with a PSF of their own; none was built."});
    return section;
  }
  section.blocks.emplace_back(band_table(bands));
  const Table& cells = products.table("epsf", "cells");
  section.blocks.emplace_back(growth_chart(cells));
  for (const std::size_t i : first_cells(cells)) {
    section.blocks.emplace_back(band_stamps(cells, i));
  }
  return section;
}

}  // namespace skyloom::photometry
