#include <algorithm>
#include <cmath>
#include <limits>

#include "pipelines/photometry/fit/stage.hpp"

namespace skyloom::photometry {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
// Largest distance from the region of interest at which a source's light still counts.
constexpr double kStarLightPix = 25.0;
constexpr double kGalaxyLightRe = 5.0;

}  // namespace

bool is_model_type(const std::string& type) {
  return type == "STAR" || type == "EXP" || type == "DEV" || type == "SERSIC";
}

namespace {

fit::SourceType type_of(const std::string& type, const std::string& fallback) {
  const std::string name = is_model_type(type) ? type : upper(fallback);
  if (name == "STAR") {
    return fit::SourceType::star;
  }
  if (name == "DEV") {
    return fit::SourceType::dev;
  }
  return name == "SERSIC" ? fit::SourceType::sersic : fit::SourceType::exp;
}

}  // namespace

std::vector<fit::SourceStart> starting_values(const Config& config, const Table& sources,
                                              const std::vector<std::string>& bands) {
  const std::size_t n = sources.rows();
  const auto column = [&](const std::string& name) {
    return sources.has(name) ? sources.numbers(name) : std::vector<double>{};
  };
  const auto x = column("x_pix_white");
  const auto y = column("y_pix_white");
  const auto ell = column("ELL");
  const auto theta = column("THETA");
  const auto re = column("Re");
  const std::vector<std::string> type =
      sources.has("TYPE") ? sources.texts("TYPE") : std::vector<std::string>(n);
  std::vector<std::vector<double>> flux;
  flux.reserve(bands.size());
  for (const std::string& band : bands) {
    flux.push_back(column("FLUX_" + band));
  }
  std::vector<fit::SourceStart> out(n);
  for (std::size_t i = 0; i < n; ++i) {
    fit::SourceStart& s = out[i];
    s.type = type_of(type[i], config.patch_run.gal_model);
    s.x = x[i];
    s.y = y[i];
    s.axis_ratio =
        ell.empty() ? 0.8 : std::clamp(1.0 - (std::isfinite(ell[i]) ? ell[i] : 0.0), 0.1, 1.0);
    const double angle = theta.empty() ? 90.0 : std::isfinite(theta[i]) ? theta[i] : 0.0;
    s.phi_deg = angle >= 0.0 ? angle - 90.0 : angle + 90.0;
    s.re_pix = re.empty()
                   ? config.patch_run.re_fallback_pix
                   : std::clamp(std::isfinite(re[i]) ? re[i] : config.patch_run.re_fallback_pix,
                                0.3, 100.0);
    s.sersic_n = config.patch_run.sersic_n_init;
    for (const auto& band : flux) {
      s.flux.push_back(!band.empty() && std::isfinite(band[i]) && band[i] > 0.0 ? band[i] : kNaN);
    }
  }
  return out;
}

std::unique_ptr<FitStage::Context> FitStage::open(const Config& config,
                                                  const engine::Products& before, Log& log) {
  auto context = std::make_unique<Context>();
  context->field = field_from_product(config, before);
  for (std::size_t i = 0; i < context->field.size(); ++i) {
    context->readers.push_back(
        std::make_unique<surveys::FrameReader>(context->field.specs[i], context->field.infos[i]));
  }
  context->psfs = choose_psfs(config, context->field, before);
  for (std::size_t i = 0; i < context->psfs.size(); ++i) {
    if (!context->psfs[i].fallback_reason.empty()) {
      log.warning("band {}: fallback PSF {}: {}", context->field.infos[i].band,
                  config.patch_run.psf_fallback_model, context->psfs[i].fallback_reason);
    }
  }
  context->sources = &before.table("frames", "sources");
  context->patches = &before.table("patches", "patches");
  context->active = active_sources(*context->sources, context->field.box());
  context->starts = starting_values(config, *context->sources, context->field.bands);
  const std::vector<std::string> types = context->sources->has("TYPE")
                                             ? context->sources->texts("TYPE")
                                             : std::vector<std::string>(context->starts.size());
  for (std::size_t i = 0; i < context->starts.size(); ++i) {
    context->type_unknown.push_back(is_model_type(types[i]) ? 0 : 1);
    if (std::isfinite(context->starts[i].x) && std::isfinite(context->starts[i].y)) {
      context->by_y.push_back(i);
    }
  }
  std::stable_sort(context->by_y.begin(), context->by_y.end(), [&](std::size_t a, std::size_t b) {
    return context->starts[a].y < context->starts[b].y;
  });
  return context;
}

namespace {

double light_reach_pix(const fit::SourceStart& s) {
  return kStarLightPix + (s.type == fit::SourceType::star ? 0.0 : kGalaxyLightRe * s.re_pix);
}

/// Sources of the patch: reported ones first, in catalogue order, then the halo, in catalogue
/// order.
void add_sources(const Config& config, const FitStage::Context& context, FitStage::Input& input) {
  std::vector<std::size_t> near;
  const double reach = 600.0;
  const auto first =
      std::lower_bound(context.by_y.begin(), context.by_y.end(), input.roi.y0 - reach,
                       [&](std::size_t i, double value) { return context.starts[i].y < value; });
  for (auto it = first; it != context.by_y.end() && context.starts[*it].y < input.roi.y1 + reach;
       ++it) {
    const fit::SourceStart& s = context.starts[*it];
    const double light = light_reach_pix(s);
    if (s.x > input.roi.x0 - light && s.x < input.roi.x1 + light && s.y > input.roi.y0 - light &&
        s.y < input.roi.y1 + light) {
      near.push_back(*it);
    }
  }
  std::sort(near.begin(), near.end());
  std::vector<fit::SourceStart> base;
  const auto is_base = [&](std::size_t i) {
    return context.active[i] != 0 && input.base.contains(context.starts[i].x, context.starts[i].y);
  };
  for (const std::size_t i : near) {
    if (is_base(i)) {
      base.push_back(context.starts[i]);
      input.source_row.push_back(static_cast<std::int64_t>(i));
    }
  }
  input.n_base = base.size();
  std::vector<fit::SourceStart> all = base;
  for (const std::size_t i : near) {
    if (!is_base(i) && config.patch_run.model_halo_sources) {
      fit::SourceStart s = context.starts[i];
      // Saturated stars too: their wings tell the position better than the catalogue. The kernel
      // holds those whose light stays away from the reported sources.
      s.role = fit::Role::halo_free;
      all.push_back(s);
      input.source_row.push_back(static_cast<std::int64_t>(i));
    }
  }
  for (fit::SourceStart& s : all) {
    s.x -= input.roi.x0;
    s.y -= input.roi.y0;
  }
  for (const std::int64_t row : input.source_row) {
    input.type_unknown.push_back(context.type_unknown[static_cast<std::size_t>(row)]);
  }
  input.kernel.sources = std::move(all);
}

/// The PSF as epsf.evaluate asks for: itself, or held at the centre of the patch or of its cell.
std::shared_ptr<const sky::Psf> evaluated_psf(const Config& config,
                                              const FitStage::Context& context,
                                              const FitStage::Input& input,
                                              const std::shared_ptr<const sky::Psf>& psf,
                                              double origin) {
  if (config.epsf.evaluate == "source" || psf->is_constant()) {
    return psf;
  }
  Box box = input.base;
  if (config.epsf.evaluate == "cell") {
    for (const Box& cell : grid_boxes(context.field.box(), config.epsf.epsf_ngrid)) {
      if (cell.contains(input.base.x0, input.base.y0)) {
        box = cell;
      }
    }
  }
  const sky::PsfStamp stamp =
      psf->at(0.5 * (box.x0 + box.x1 - 1) + origin, 0.5 * (box.y0 + box.y1 - 1) + origin);
  return sky::make_stamp_psf(stamp.values, stamp.oversampling, false);
}

fit::Options fit_options(const Config& config) {
  const Config::PatchRun& p = config.patch_run;
  fit::Options o;
  o.noise = p.noise == "total" ? fit::Noise::total : fit::Noise::sky;
  o.shape_prior = p.shape_prior == "weak" ? fit::ShapePrior::weak : fit::ShapePrior::none;
  o.solver = p.solver == "lm" ? fit::Solver::levenberg_marquardt : fit::Solver::tao_bnls;
  o.max_iterations = p.n_opt_iters;
  o.dlnp_stop = p.dlnp_stop;
  o.truncation_sigma = p.truncation_sigma;
  o.keep_models = !p.no_patch_overview;
  return o;
}

}  // namespace

FitStage::Input FitStage::load(const Config& config, Context& context, const engine::Unit& unit) {
  const Table& patches = *context.patches;
  const auto number = [&](const char* column) {
    return patches.get<std::int32_t>(column)[unit.index];
  };
  Input input;
  input.patch_tag = patches.get<std::string>("patch_tag")[unit.index];
  input.epsf_tag = patches.get<std::string>("epsf_tag")[unit.index];
  input.base = {number("x0_base"), number("x1_base"), number("y0_base"), number("y1_base")};
  input.roi = {number("x0_roi"), number("x1_roi"), number("y0_roi"), number("y1_roi")};
  input.bands = context.field.bands;
  input.psfs = context.psfs;
  add_sources(config, context, input);
  input.kernel.width = input.roi.width();
  input.kernel.height = input.roi.height();
  input.kernel.n_bands = static_cast<int>(context.field.bands.size());
  input.kernel.options = fit_options(config);
  input.kernel.workspace = context.workspace;
  const int m = context.field.margin;
  for (std::size_t i = 0; i < context.field.size(); ++i) {
    const surveys::FrameInfo& info = context.field.infos[i];
    surveys::FramePixels pixels = context.readers[i]->read(
        {input.roi.x0 + m, input.roi.x1 + m, input.roi.y0 + m, input.roi.y1 + m});
    fit::FrameData frame;
    frame.band = context.field.band_of_frame[i];
    frame.data = std::move(pixels.data);
    frame.invvar = std::move(pixels.invvar);
    frame.gain_e_per_flux = std::isfinite(info.egain) ? info.egain / info.scale : 0.0;
    frame.fit_sky = context.field.specs[i].sky_is_fitted;
    const double origin = context.psfs[i].in_image_pixels ? m : 0.0;
    frame.psf = evaluated_psf(config, context, input, context.psfs[i].psf, origin);
    frame.psf_x0 = input.roi.x0 + origin;
    frame.psf_y0 = input.roi.y0 + origin;
    input.kernel.frames.push_back(std::move(frame));
  }
  return input;
}

}  // namespace skyloom::photometry
