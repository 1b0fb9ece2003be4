// Templates: the sums of all cells as images of the detector, a FITS file per offset.

#include <algorithm>
#include <numeric>
#include <string_view>

#include <fmt/format.h>

#include "pipelines/skycells/downsample/stage.hpp"

namespace skyloom::skycells {
namespace {

constexpr std::string_view kStage = "downsample";

std::string file_name(const Config& config, const Detector& detector,
                      const DetectorOffset& offset) {
  const Config::Inputs& in = config.inputs;
  const Box& w = detector.window;
  const std::string region = w.x0 == 0 && w.y0 == 0
                                 ? std::string()
                                 : fmt::format("_x{}-{}_y{}-{}", w.x0, w.x1, w.y0, w.y1);
  const std::string fine =
      detector.oversample > 1 ? fmt::format("_os{}", detector.oversample) : std::string();
  return fmt::format("syndiff_template_s{:04}_{}_{}{}{}_dx{:.3f}_dy{:.3f}.fits{}", in.sector,
                     in.camera, in.ccd, region, fine, offset.dx, offset.dy,
                     config.downsample.gzip ? ".gz" : "");
}

std::vector<io::FitsCard> header(const Config& config, const Detector& detector,
                                 const DetectorOffset& offset) {
  const std::vector<io::FitsCard> of_map =
      surveys::region_cards(detector.cards, detector.window, detector.oversample);
  std::vector<io::FitsCard> out{{"TELESCOP", "TESS"}, {"INSTRUME", "TESS Photometer"}};
  const auto integer = [&](const char* keyword, int value) {
    out.emplace_back(keyword, std::int64_t{value});
  };
  integer("SECTOR", config.inputs.sector);
  integer("CAMERA", config.inputs.camera);
  integer("CCD", config.inputs.ccd);
  // The years of PS1's stacks.
  out.emplace_back("MJD-OBS", "55197.00000");
  out.emplace_back("DATE-OBS", "2010-01-01");
  out.emplace_back("DATE-END", "2015-01-01");
  for (const io::FitsCard& card : of_map) {
    const auto same = std::find_if(out.begin(), out.end(),
                                   [&](const auto& other) { return other.first == card.first; });
    if (same != out.end()) {
      *same = card;
    } else {
      out.push_back(card);
    }
  }
  out.emplace_back("SYNDIFF", true);
  out.emplace_back("DX_SHIFT", offset.dx);
  out.emplace_back("DY_SHIFT", offset.dy);
  integer("OVERSAMP", detector.oversample);
  integer("XMIN", detector.window.x0);
  integer("XMAX", detector.window.x1);
  integer("YMIN", detector.window.y0);
  integer("YMAX", detector.window.y1);
  integer("ROIW", detector.window.width());
  integer("ROIH", detector.window.height());
  return out;
}

struct Planes {
  Image<float> flux;
  Image<std::int32_t> count;
  Image<std::int32_t> masked;
};

/// Adds the cells in their order; rows are read in pieces.
std::shared_ptr<const Planes> added(const Detector& detector, const engine::Products& products,
                                    std::size_t offset) {
  const Box window = detector.fine_window();
  auto out = std::make_shared<Planes>();
  out->flux = Image<float>(window.width(), window.height());
  out->count = Image<std::int32_t>(window.width(), window.height());
  out->masked = Image<std::int32_t>(window.width(), window.height());
  Image<double> sum(window.width(), window.height());
  const auto& pixels = products.table(kStage, "cells").get<std::int64_t>("pixels");
  const auto all =
      static_cast<std::size_t>(std::accumulate(pixels.begin(), pixels.end(), std::int64_t{0}));
  constexpr std::size_t kRows = std::size_t{1} << 18U;
  for (std::size_t first = 0; first < all; first += kRows) {
    const std::size_t rows = std::min(kRows, all - first);
    const auto column = [&](const std::string& name) {
      return products.range<std::int32_t>(kStage, "sums/" + name, first, rows);
    };
    const auto x = column("x");
    const auto y = column("y");
    const auto count = column("count");
    const auto masked = column(fmt::format("masked_{}", offset));
    const auto flux =
        products.range<double>(kStage, fmt::format("sums/flux_{}", offset), first, rows);
    for (std::size_t i = 0; i < rows; ++i) {
      sum(y[i], x[i]) += flux[i];
      out->count(y[i], x[i]) += count[i];
      out->masked(y[i], x[i]) += masked[i];
    }
  }
  std::transform(sum.pixels().begin(), sum.pixels().end(), out->flux.pixels().begin(),
                 [](double value) { return static_cast<float>(value); });
  return out;
}

}  // namespace

engine::FileSet template_files(const Config& config, const engine::Products& products) {
  const auto detector = std::make_shared<const Detector>(read_detector(config));
  engine::FileSet out;
  out.folder = kTemplateFolder;
  for (const DetectorOffset& offset : detector->offsets) {
    out.names.push_back(file_name(config, *detector, offset));
  }
  out.make_fits = [&config, &products, detector](std::size_t i) {
    const std::shared_ptr<const Planes> planes = added(*detector, products, i);
    const std::vector<io::FitsCard> cards = header(config, *detector, detector->offsets[i]);
    const auto named = [&](const char* name) {
      std::vector<io::FitsCard> out_cards{{"EXTNAME", std::string(name)}};
      out_cards.insert(out_cards.end(), cards.begin(), cards.end());
      return out_cards;
    };
    engine::FitsContent content;
    content.images = {{{}, cards},
                      {planes->flux.view(), named("FLUX_SUM")},
                      {planes->count.view(), named("COUNT")},
                      {planes->masked.view(), named("MASK")}};
    content.pixels = planes;
    return content;
  };
  return out;
}

}  // namespace skyloom::skycells
