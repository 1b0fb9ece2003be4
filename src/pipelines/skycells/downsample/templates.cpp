// Templates: the sums of all cells as images of the detector, a FITS file per offset.

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string_view>

#include <fmt/format.h>

#include "pipelines/skycells/downsample/stage.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/io/fits.hpp"

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

double number_of(const io::FitsCard& card) {
  const auto* integer = std::get_if<std::int64_t>(&card.second);
  const auto* real = std::get_if<double>(&card.second);
  return integer != nullptr ? static_cast<double>(*integer) : real != nullptr ? *real : NAN;
}

/// Exponents p + q of a SIP coefficient such as A_2_1 or BP_0_3; 0 for other keywords.
int sip_degree(const std::string& keyword) {
  const std::size_t bar = keyword.find('_');
  const bool is_sip = keyword.starts_with("A_") || keyword.starts_with("B_") ||
                      keyword.starts_with("AP_") || keyword.starts_with("BP_");
  if (!is_sip || keyword.size() != bar + 4 || keyword[bar + 2] != '_') {
    return 0;
  }
  return keyword[bar + 1] - '0' + keyword[bar + 3] - '0';
}

bool is_wcs_card(const std::string& keyword) {
  constexpr std::string_view kKept[] = {"RADESYS", "EQUINOX", "WCSAXES", "CTYPE1", "CTYPE2",
                                        "CUNIT1",  "CUNIT2",  "LONPOLE", "LATPOLE"};
  return std::find(std::begin(kKept), std::end(kKept), keyword) != std::end(kKept) ||
         keyword.starts_with("CRVAL") || keyword.starts_with("CRPIX") ||
         keyword.starts_with("CDELT") || keyword.starts_with("CD1_") ||
         keyword.starts_with("CD2_") || keyword.starts_with("PC1_") ||
         keyword.starts_with("PC2_") || keyword.starts_with("A_") || keyword.starts_with("B_") ||
         keyword.starts_with("AP_") || keyword.starts_with("BP_");
}

/// The detector's WCS for pixels of the template: u' = F (u - origin + 1/2) - 1/2, 0-based.
io::FitsCard rescaled(const io::FitsCard& card, const Detector& detector) {
  const std::string& keyword = card.first;
  const auto f = static_cast<double>(detector.oversample);
  if (keyword == "CRPIX1" || keyword == "CRPIX2") {
    const int origin = keyword == "CRPIX1" ? detector.window.x0 : detector.window.y0;
    return {keyword, f * (number_of(card) - origin - 0.5) + 0.5};
  }
  if (keyword.starts_with("CD")) {  // CDELTi too; PCi_j has no unit
    return {keyword, number_of(card) / f};
  }
  if (const int degree = sip_degree(keyword); degree > 0) {
    return {keyword, number_of(card) * std::pow(f, 1 - degree)};
  }
  return card;
}

std::vector<io::FitsCard> header(const Config& config, const Detector& detector,
                                 const DetectorOffset& offset) {
  const std::vector<io::FitsCard> of_map = io::parse_fits_cards(detector.cards);
  std::vector<io::FitsCard> out;
  for (const auto& [keyword, usual] :
       {std::pair{"TELESCOP", "TESS"}, std::pair{"INSTRUME", "TESS Photometer"}}) {
    const auto found =
        std::find_if(of_map.begin(), of_map.end(),
                     [&, &name = keyword](const auto& c) { return c.first == name; });
    out.emplace_back(found != of_map.end() ? *found : io::FitsCard{keyword, std::string(usual)});
  }
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
    if (is_wcs_card(card.first)) {
      out.push_back(rescaled(card, detector));
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
