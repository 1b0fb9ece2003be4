// Writes a report that uses every kind of block, as the browser test and a person like it:
// browser_sample FILE.html

#include <array>
#include <cmath>
#include <fstream>
#include <iostream>
#include <limits>
#include <string>
#include <vector>

#include "skyloom/core/random.hpp"
#include "skyloom/web/report.hpp"

namespace {

using namespace skyloom;
using namespace skyloom::web;

constexpr int kSide = 512;
constexpr int kStars = 220;

struct Star {
  double x;
  double y;
  double flux;
};

std::vector<Star> stars() {
  const Rng rng(3, "sample", "stars");
  std::vector<Star> list;
  for (std::uint64_t i = 0; i < kStars; ++i) {
    list.push_back({rng.uniform(i, 5.0, kSide - 5.0, 0), rng.uniform(i, 5.0, kSide - 5.0, 1),
                    std::pow(10.0, rng.uniform(i, 2.3, 5.0, 2))});
  }
  return list;
}

Image<float> sky(const std::vector<Star>& list) {
  const Rng rng(3, "sample", "noise");
  Image<float> image(kSide, kSide);
  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) {
      double value = 9.0 * rng.normal(static_cast<std::uint64_t>(y * kSide + x));
      for (const Star& star : list) {
        const double r2 = (x - star.x) * (x - star.x) + (y - star.y) * (y - star.y);
        if (r2 < 400.0) {
          value += star.flux / 18.0 * std::exp(-r2 / 6.0);
        }
      }
      image(y, x) = static_cast<float>(value);
    }
  }
  for (int y = 300; y < 312; ++y) {
    for (int x = 120; x < 200; ++x) {
      image(y, x) = std::numeric_limits<float>::quiet_NaN();
    }
  }
  return image;
}

PictureRow field(const std::vector<Star>& list) {
  Picture picture;
  picture.title = "White stack";
  picture.pixels = sky(list);
  picture.stretch = "asinh";
  picture.unit = "scaled flux";
  picture.x0 = 32.0;
  picture.y0 = 32.0;
  Markers fitted{"converged", "#00bcd4", "circle", 6.0, {}, {}, {}, {}, {}};
  Markers failed{"not converged", "#ff9800", "square", 7.0, {}, {}, {}, {}, {}};
  for (std::size_t i = 0; i < list.size(); ++i) {
    Markers& group = i % 17 == 0 ? failed : fitted;
    group.x.push_back(list[i].x);
    group.y.push_back(list[i].y);
    group.names.push_back("star " + std::to_string(i));
  }
  Markers grid{"patches", "#7cb342", "line", 1.0, {}, {}, {}, {}, {}};
  for (const double edge : {128.0, 256.0, 384.0}) {
    grid.x.insert(grid.x.end(), {edge, 0.0});
    grid.y.insert(grid.y.end(), {0.0, edge});
    grid.x2.insert(grid.x2.end(), {edge, kSide - 1.0});
    grid.y2.insert(grid.y2.end(), {kSide - 1.0, edge});
  }
  grid.dashed = true;
  Markers box{"crop box", "#ffeb3b", "box", 1.0, {9.5}, {9.5}, {499.5}, {499.5}, {}};
  box.counted = false;
  picture.markers = {fitted, failed, grid, box};
  picture.file = "white_overlay";
  picture.axes = true;
  // North is up and east is left, 0.2 arcsec per pixel, across RA 0.
  picture.sky = {
      2, 2, -0.5, kSide, -0.5, kSide, {0.02, -0.02, 0.02, -0.02}, {1.0, 1.0, 1.03, 1.03}};
  return {"The field with its sources", {picture}};
}

PictureRow stamps() {
  const Rng rng(3, "sample", "stamps");
  PictureRow row{"Data, model and residual of one patch", {}, 3, "patch_overview"};
  const std::array<const char*, 3> titles{"data", "model", "residual / sigma"};
  for (int k = 0; k < 3; ++k) {
    Picture picture;
    picture.title = titles[static_cast<std::size_t>(k)];
    picture.pixels = Image<float>(61, 61);
    picture.scale = 3.0;
    for (int y = 0; y < 61; ++y) {
      for (int x = 0; x < 61; ++x) {
        const double model = 900.0 * std::exp(-((x - 30) * (x - 30) + (y - 25) * (y - 25)) / 12.0);
        const double noise = 8.0 * rng.normal(static_cast<std::uint64_t>(y * 61 + x));
        picture.pixels(y, x) =
            static_cast<float>(k == 0 ? model + noise : (k == 1 ? model : noise / 8.0));
      }
    }
    picture.colors = k == 2 ? "diverging" : "gray";
    picture.stretch = k == 2 ? "linear" : "asinh";
    row.pictures.push_back(std::move(picture));
  }
  return row;
}

Chart pulls() {
  const Rng rng(3, "sample", "pulls");
  Chart chart{"Fitted against Gaia magnitudes",
              "G magnitude (mag)",
              "zero point \xe2\x88\x92 25 (mag)",
              false,
              false,
              {}};
  Series kept{"kept", "", "points", {}, {}, {}};
  Series clipped{"clipped", "", "points", {}, {}, {}, "cross"};
  for (std::uint64_t i = 0; i < 120; ++i) {
    const double magnitude = rng.uniform(i, 13.0, 20.0, 0);
    const double error = 0.004 * std::pow(10.0, 0.25 * (magnitude - 14.0));
    const bool out = i % 15 == 0;
    Series& series = out ? clipped : kept;
    series.x.push_back(magnitude);
    series.y.push_back(0.031 + error * rng.normal(i, 1) * (out ? 5.0 : 1.0));
    series.error.push_back(error);
  }
  chart.file = "zp_vs_mag__r";
  chart.series = {kept,
                  clipped,
                  {"not converged", "#9e9e9e", "points", {15.0, 17.0}, {0.2, -0.1}, {}, "diamond"},
                  {"adopted", "", "line", {13.0, 20.0}, {0.031, 0.031}, {}, "circle", true},
                  {"scatter", "#2e7d32", "band", {13.0, 20.0}, {0.031, 0.031}, {0.02, 0.02}}};
  return chart;
}

Chart histogram() {
  const Rng rng(3, "sample", "bins");
  Chart chart{"Pulls of the fluxes",
              "(fitted \xe2\x88\x92 true) / error",
              "sources per bin",
              false,
              false,
              {}};
  Series bins{"stars", "", "steps", {}, {}, {}};
  for (int i = -12; i < 12; ++i) {
    bins.x.push_back((i + 0.5) / 3.0);
    bins.y.push_back(0.0);
  }
  for (std::uint64_t i = 0; i < 800; ++i) {
    const int bin = static_cast<int>(std::floor(rng.normal(i) * 3.0)) + 12;
    if (bin >= 0 && bin < 24) {
      bins.y[static_cast<std::size_t>(bin)] += 1.0;
    }
  }
  Series normal{"unit normal", "", "line", {}, {}, {}};
  for (int i = -40; i <= 40; ++i) {
    normal.x.push_back(i / 10.0);
    normal.y.push_back(800.0 / 3.0 / std::sqrt(2.0 * M_PI) * std::exp(-i * i / 200.0));
  }
  chart.series = {bins, normal};
  return chart;
}

Chart growth() {
  Chart chart{"Radial profile of the PSF", "radius (pix)", "light per pixel", true, true, {}};
  for (const double fwhm : {3.0, 4.2}) {
    Series line{"FWHM " + std::to_string(fwhm).substr(0, 3) + " pix", "", "line", {}, {}, {}};
    for (int i = 0; i < 60; ++i) {
      const double r = 0.3 * std::pow(10.0, i / 28.0);
      line.x.push_back(r);
      line.y.push_back(std::pow(1.0 + std::pow(r / fwhm, 2), -3.5) / fwhm / fwhm);
    }
    chart.series.push_back(line);
  }
  return chart;
}

Chart cloud() {
  const Rng rng(3, "sample", "cloud");
  Chart chart{"Twenty thousand points", "RA offset (mas)", "DEC offset (mas)", false, false, {}};
  Series series{"sources", "", "points", {}, {}, {}};
  for (std::uint64_t i = 0; i < 20000; ++i) {
    series.x.push_back(12.0 * rng.normal(i, 0));
    series.y.push_back(12.0 * rng.normal(i, 1));
  }
  chart.series = {series};
  return chart;
}

DataTable bands() {
  return {"Bands",
          {"band", "frame", "seeing (pix)", "zero point (mag)", "sources", "median error (%)"},
          {{"g", "frame_g.fits", "4.21", "24.871 \xc2\xb1 0.003", "396", "2.10"},
           {"r", "frame_r.fits", "3.94", "25.012 \xc2\xb1 0.002", "1034", "1.31"},
           {"i", "frame_i.fits", "3.58", "25.107 \xc2\xb1 0.002", "88", "0.92"},
           {"z", "frame_z.fits", "", "", "", ""}}};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "browser_sample FILE.html\n";
    return 2;
  }
  const std::vector<Star> list = stars();
  Report report{
      "Photometry of field <T07> & neighbours", "5 bands, 512 \xc3\x97 512 pixels, seed 3", {}, {}};
  report.facts = {{"sources", "396"},
                  {"converged", "99.2 %"},
                  {"patches", "64"},
                  {"bright stars",
                   "\xe2\x88\x92"
                   "0.05 \xc2\xb1 0.34 %"},
                  {"idle time", "1.3 %"},
                  {"code", "skyloom 0.1.0"}};
  report.sections = {
      {"Inputs",
       {Text{"All frames share one grid.\n\nBad pixels are blue."}, bands(), field(list)}},
      {"Zero points", {pulls(), histogram()}},
      {"PSF",
       {Text{"Profiles at the centre of the field."},
        Text{"stamps could not be drawn: no such table", true}, growth()}},
      {"Residuals", {stamps(), cloud(), histogram()}}};
  std::ofstream file(argv[1], std::ios::binary);
  file << render(report);
  file.close();
  return file ? 0 : 1;
}
