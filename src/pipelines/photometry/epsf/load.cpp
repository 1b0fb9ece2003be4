#include <cmath>
#include <functional>
#include <memory>
#include <utility>

#include "pipelines/photometry/epsf/stage.hpp"
#include "pipelines/photometry/fit/stage.hpp"
#include "skyloom/surveys/gaia.hpp"

namespace skyloom::photometry {

std::unique_ptr<EpsfStage::Context> EpsfStage::open(const Config& config,
                                                    const engine::Products& before, Log& log) {
  auto context = std::make_unique<Context>();
  context->field = field_from_product(config, before);
  context->frames = frames_without_psf(context->field);
  context->sources = &before.table("frames", "sources");
  context->cells = active_cells(config, context->field, *context->sources);
  context->wcs =
      std::make_unique<sky::Wcs>(surveys::read_frame_wcs(context->field.specs.front())
                                     .cropped(context->field.margin, context->field.margin));
  if (config.epsf.kernel.passes > 1) {
    context->starts = starting_values(config, *context->sources, {});
  }
  context->log = &log;
  const std::string& gaia = config.inputs.gaiaxp_synphot_csv;
  if (config.epsf.use_gaiaxp && !gaia.empty()) {
    context->gaia = surveys::read_gaia(gaia, context->field.bands);
  }
  return context;
}

namespace {

std::vector<epsf::KnownStar> known_stars(const EpsfStage::Context& context,
                                         const std::string& band) {
  std::vector<epsf::KnownStar> stars;
  const std::string column = "mag_" + band;
  if (context.gaia.rows() == 0 || !context.gaia.has(column)) {
    return stars;
  }
  const auto& mag = context.gaia.get<double>(column);
  std::vector<double> x(mag.size());
  std::vector<double> y(mag.size());
  context.wcs->to_pixel(context.gaia.get<double>("ra"), context.gaia.get<double>("dec"), x, y);
  for (std::size_t i = 0; i < mag.size(); ++i) {
    if (std::isfinite(mag[i]) && std::isfinite(x[i]) && std::isfinite(y[i]) &&
        context.field.box().contains(x[i], y[i])) {
      stars.push_back({x[i], y[i], mag[i]});
    }
  }
  return stars;
}

std::vector<epsf::CatalogueSource> catalogue_sources(const EpsfStage::Context& context) {
  std::vector<epsf::CatalogueSource> out;
  const Table& sources = *context.sources;
  if (!sources.has("TYPE")) {
    return out;
  }
  const auto& x = sources.get<double>("x_pix_white");
  const auto& y = sources.get<double>("y_pix_white");
  const auto& type = sources.get<std::string>("TYPE");
  for (std::size_t i = 0; i < x.size(); ++i) {
    const bool known = type[i] == "STAR" || type[i] == "EXP" || type[i] == "DEV" ||
                       type[i] == "SERSIC" || type[i] == "GAL";
    if (known && std::isfinite(x[i]) && std::isfinite(y[i]) &&
        context.field.box().contains(x[i], y[i])) {
      epsf::CatalogueSource source{x[i], y[i], type[i] == "STAR"};
      if (!context.starts.empty()) {
        const fit::SourceStart& start = context.starts[i];
        source.type = start.type;
        source.re_pix = start.re_pix;
        source.axis_ratio = start.axis_ratio;
        source.phi_deg = start.phi_deg;
        source.sersic_n = start.sersic_n;
      }
      out.push_back(source);
    }
  }
  return out;
}

/// Reads boxes of the cropped frame as the kernel wants them.
std::function<epsf::Pixels(const Box&)> box_reader(const surveys::FrameSpec& spec,
                                                   const surveys::FrameInfo& info, int margin) {
  auto reader = std::make_shared<surveys::FrameReader>(spec, info);
  return [reader, margin](const Box& box) {
    surveys::FramePixels pixels =
        reader->read({box.x0 + margin, box.x1 + margin, box.y0 + margin, box.y1 + margin});
    for (float& w : pixels.invvar.pixels()) {
      w = w > 0.0F ? 1.0F / std::sqrt(w) : 0.0F;
    }
    return epsf::Pixels{std::move(pixels.data), std::move(pixels.invvar), std::move(pixels.bad)};
  };
}

}  // namespace

EpsfStage::Input EpsfStage::load(const Config& config, Context& context, const engine::Unit& unit) {
  const std::size_t frame = context.frames.at(unit.index);
  const surveys::FrameInfo& info = context.field.infos[frame];
  Input input;
  input.band = info.band;
  input.frame = static_cast<int>(frame);
  input.log = context.log;
  input.options = config.epsf.kernel;
  input.options.local_variation = config.epsf.local_variation == "auto";
  input.options.residual = config.epsf.residual == "auto";
  input.options.moffat_beta = config.moffat_psf.beta;
  input.kernel.width = context.field.width;
  input.kernel.height = context.field.height;
  input.kernel.read = box_reader(context.field.specs[frame], info, context.field.margin);
  input.kernel.gain_e_per_flux = std::isfinite(info.egain) ? info.egain / info.scale : 0.0;
  input.kernel.saturation_scaled = info.saturate_adu * info.scale;
  input.kernel.fwhm_guess_pix = info.fwhm_pix;
  input.kernel.known_stars = known_stars(context, info.band);
  input.kernel.catalogue = catalogue_sources(context);
  input.kernel.cells = context.cells;
  return input;
}

EpsfStage::Result EpsfStage::compute(const Config& /*config*/, const Input& input,
                                     const Rng& /*rng*/) {
  Result result;
  result.band = input.band;
  result.frame = input.frame;
  result.cells = input.kernel.cells;
  result.kernel = epsf::build(input.kernel, input.options);
  for (const std::string& warning : result.kernel.warnings) {
    input.log->warning("epsf {}: {}", input.band, warning);
  }
  return result;
}

}  // namespace skyloom::photometry
