#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <type_traits>

#include "pipelines/photometry/frames/kernel.hpp"
#include "pipelines/photometry/frames/stage.hpp"
#include "skyloom/surveys/gaia.hpp"

namespace skyloom::photometry {
namespace {

constexpr int kStripRows = 256;

/// Number of bands with a saturated pixel within the radius of every position. Positions are
/// visited from bottom to top, so that compressed images are decompressed once.
std::vector<int> saturated_bands(const Config& config, FramesStage::Context& context,
                                 const std::vector<double>& x_pix,
                                 const std::vector<double>& y_pix) {
  std::vector<int> hits(x_pix.size(), 0);
  if (!config.saturation_cut.enabled) {
    return hits;
  }
  std::vector<std::size_t> order(hits.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return y_pix[a] < y_pix[b]; });
  const Box white = context.field.box();
  const double radius = config.saturation_cut.radius_pix;
  const int reach = static_cast<int>(std::floor(radius));
  for (std::size_t frame = 0; frame < context.field.size(); ++frame) {
    if (!std::isfinite(context.field.infos[frame].saturate_adu)) {
      continue;
    }
    for (const std::size_t i : order) {
      if (!std::isfinite(x_pix[i]) || !std::isfinite(y_pix[i]) || std::abs(x_pix[i]) > 1e9 ||
          std::abs(y_pix[i]) > 1e9) {
        continue;
      }
      const int x = static_cast<int>(std::nearbyint(x_pix[i]));
      const int y = static_cast<int>(std::nearbyint(y_pix[i]));
      const Box disc = Box{x - reach, x + reach + 1, y - reach, y + reach + 1}.intersect(white);
      if (disc.empty()) {
        continue;
      }
      const int m = context.field.margin;
      const auto pixels =
          context.readers[frame]->read({disc.x0 + m, disc.x1 + m, disc.y0 + m, disc.y1 + m});
      if (frames::saturated_within(pixels.bad.view(), disc.x0, disc.y0, x, y, radius)) {
        ++hits[i];
      }
    }
  }
  return hits;
}

/// Stars of the Gaia table within the magnitude limits.
frames::GaiaStars load_gaia(const Config& config, FramesStage::Context& context,
                            const sky::Wcs& wcs) {
  const std::string& path = config.inputs.gaiaxp_synphot_csv;
  const Table table = surveys::read_gaia(path, context.field.bands);
  surveys::require_zero_point_columns(table, path);
  const auto& g_mag = table.get<double>("phot_g_mean_mag");
  std::vector<std::size_t> rows;
  for (std::size_t i = 0; i < g_mag.size(); ++i) {
    if (g_mag[i] >= config.zp.gaia_mag_min && g_mag[i] <= config.zp.gaia_mag_max) {
      rows.push_back(i);
    }
  }
  const auto taken = [&](const auto& values) {
    std::decay_t<decltype(values)> out;
    for (const std::size_t row : rows) {
      out.push_back(values[row]);
    }
    return out;
  };
  frames::GaiaStars stars;
  stars.id = taken(table.get<std::string>("source_id"));
  stars.ra_deg = taken(table.get<double>("ra"));
  stars.dec_deg = taken(table.get<double>("dec"));
  for (const std::string& band : context.field.bands) {
    stars.mags.push_back(
        table.has("mag_" + band)
            ? taken(table.get<double>("mag_" + band))
            : std::vector<double>(rows.size(), std::numeric_limits<double>::quiet_NaN()));
  }
  stars.x_pix.resize(rows.size());
  stars.y_pix.resize(rows.size());
  wcs.to_pixel(stars.ra_deg, stars.dec_deg, stars.x_pix, stars.y_pix);
  const std::vector<int> hits = saturated_bands(config, context, stars.x_pix, stars.y_pix);
  const int needed =
      config.saturation_cut.require_all_bands ? static_cast<int>(context.field.size()) : 1;
  for (const int bands : hits) {
    stars.saturated.push_back(bands >= needed ? 1 : 0);
  }
  return stars;
}

FramesStage::Input::Sources load_sources(const Config& config, FramesStage::Context& context) {
  FramesStage::Input::Sources out;
  out.catalogue = base_catalogue(config, context.field.bands);
  const std::size_t n = out.catalogue.rows();
  out.x_pix.resize(n);
  out.y_pix.resize(n);
  const sky::Wcs wcs = surveys::read_frame_wcs(context.field.specs.front())
                           .cropped(context.field.margin, context.field.margin);
  wcs.to_pixel(out.catalogue.get<double>("RA"), out.catalogue.get<double>("DEC"), out.x_pix,
               out.y_pix);
  out.n_bands = static_cast<int>(context.field.size());
  out.box = context.field.box();
  out.bands = context.field.bands;
  out.bands_hit = saturated_bands(config, context, out.x_pix, out.y_pix);
  if (config.calibrates()) {
    out.gaia = load_gaia(config, context, wcs);
  }
  return out;
}

FramesStage::Input::Frame load_frame(FramesStage::Context& context, std::size_t index) {
  FramesStage::Input::Frame out;
  out.spec = context.field.specs[index];
  out.info = context.field.infos[index];
  const int m = context.field.margin;
  for (int y0 = 0; y0 < context.field.height; y0 += kStripRows) {
    const int y1 = std::min(y0 + kStripRows, context.field.height);
    const auto pixels = context.readers[index]->read({m, m + context.field.width, m + y0, m + y1});
    for (const std::uint8_t bad : pixels.bad.pixels()) {
      out.n_good += bad == 0 ? 1 : 0;
      out.n_not_finite += (bad & frames::kNotFinite) != 0 ? 1 : 0;
      out.n_saturated += (bad & frames::kSaturated) != 0 ? 1 : 0;
      out.n_masked += (bad & frames::kMasked) != 0 ? 1 : 0;
    }
  }
  return out;
}

}  // namespace

std::unique_ptr<FramesStage::Context> FramesStage::open(const Config& config,
                                                        const engine::Products& /*before*/,
                                                        Log& log) {
  auto context = std::make_unique<Context>();
  context->field = field_from_inputs(config);
  if (!config.checks.require_wcs_alignment) {
    log.warning(
        "checks.require_wcs_alignment is off: all images are taken as aligned pixel by pixel");
  }
  if (config.zp.enabled && !config.calibrates()) {
    log.warning("no inputs.gaiaxp_synphot_csv: no stars are added and no zero points are measured");
  }
  for (std::size_t i = 0; i < context->field.size(); ++i) {
    context->readers.push_back(
        std::make_unique<surveys::FrameReader>(context->field.specs[i], context->field.infos[i]));
  }
  context->chunk_rows = frames::white_chunk_rows(context->field.height);
  return context;
}

FramesStage::Input FramesStage::load(const Config& config, Context& context,
                                     const engine::Unit& unit) {
  Input input;
  if (unit.index == 0) {
    input.sources = load_sources(config, context);
    return input;
  }
  if (unit.index <= context.field.size()) {
    input.frame = load_frame(context, unit.index - 1);
    return input;
  }
  const auto chunk = static_cast<int>(unit.index - 1 - context.field.size());
  Input::White white;
  white.y0 = chunk * context.chunk_rows;
  const int y1 = std::min(white.y0 + context.chunk_rows, context.field.height);
  const int m = context.field.margin;
  for (const auto& reader : context.readers) {
    white.frames.push_back(reader->read({m, m + context.field.width, m + white.y0, m + y1}));
  }
  input.white = std::move(white);
  return input;
}

}  // namespace skyloom::photometry
