#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

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
  // In a survey of many fields a column that only other catalogues have is missing throughout here:
  // that is no column, as when the field is alone.
  const auto column = [&](const std::string& name) -> const std::vector<double>* {
    if (!sources.has(name)) {
      return nullptr;
    }
    const auto& values = sources.get<double>(name);
    const bool filled = std::any_of(values.begin(), values.end(),
                                    [](double value) { return std::isfinite(value); });
    return filled || !sources.has("field") ? &values : nullptr;
  };
  const auto& x = sources.get<double>("x_pix_white");
  const auto& y = sources.get<double>("y_pix_white");
  const auto* ell = column("ELL");
  const auto* theta = column("THETA");
  const auto* re = column("Re");
  const auto* type = sources.has("TYPE") ? &sources.get<std::string>("TYPE") : nullptr;
  std::vector<const std::vector<double>*> flux;
  for (const std::string& band : bands) {
    flux.push_back(column("FLUX_" + band));
  }
  const auto finite_or = [](double value, double other) {
    return std::isfinite(value) ? value : other;
  };
  std::vector<fit::SourceStart> out;
  for (std::size_t i = 0; i < x.size(); ++i) {
    fit::SourceStart s;
    s.type = type_of(type == nullptr ? std::string() : (*type)[i], config.patch_run.gal_model);
    s.x = x[i];
    s.y = y[i];
    s.axis_ratio = ell == nullptr ? 0.8 : std::clamp(1.0 - finite_or((*ell)[i], 0.0), 0.1, 1.0);
    s.phi_deg = sky::phi_from_theta_deg(theta == nullptr ? 90.0 : finite_or((*theta)[i], 0.0));
    const double fallback = config.patch_run.re_fallback_pix;
    s.re_pix = re == nullptr ? fallback : std::clamp(finite_or((*re)[i], fallback), 0.3, 100.0);
    s.sersic_n = config.patch_run.sersic_n_init;
    for (const auto* band : flux) {
      const double value = band == nullptr ? kNaN : (*band)[i];
      s.flux.push_back(std::isfinite(value) && value > 0.0 ? value : kNaN);
    }
    out.push_back(std::move(s));
  }
  return out;
}

namespace {

/// Marks the patch with most sources of every cell: the one least likely to be without good pixels.
std::vector<std::uint8_t> patches_for_cells(const Table& patches) {
  const auto& tag = patches.get<std::string>("epsf_tag");
  const auto& n_sources = patches.get<std::int64_t>("n_sources");
  std::map<std::string, std::size_t> best;
  for (std::size_t i = 0; i < patches.rows(); ++i) {
    const auto [at, is_new] = best.emplace(tag[i], i);
    if (!is_new && n_sources[i] > n_sources[at->second]) {
      at->second = i;
    }
  }
  std::vector<std::uint8_t> marks(patches.rows(), 0);
  for (const auto& [cell, patch] : best) {
    marks[patch] = 1;
  }
  return marks;
}

}  // namespace

std::unique_ptr<FitStage::Context> FitStage::open(const Config& config,
                                                  const engine::Products& before, Log& log) {
  auto context = std::make_unique<Context>();
  context->survey = survey_from_product(config, before);
  context->before = &before;
  context->log = &log;
  return context;
}

namespace {

void open_frames(const Config& config, FitStage::Context& context, FitStage::OpenField& open) {
  const Field& field = *open.field;
  if (config.patch_inputs.save_patch_inputs) {
    open.saved = std::make_unique<SavedPixels>(*context.before, context.survey, field);
  } else {
    for (std::size_t i = 0; i < field.size(); ++i) {
      open.readers.push_back(
          std::make_unique<surveys::FrameReader>(field.specs[i], field.infos[i]));
    }
  }
  open.grids = std::make_unique<FrameGrids>(field);
  open.psfs = choose_psfs(config, context.survey, field, *context.before);
  open.cell_psfs = choose_cell_psfs(config, context.survey, field, *context.before);
  for (std::size_t i = 0; i < open.psfs.size(); ++i) {
    if (!open.psfs[i].fallback_reason.empty()) {
      context.log->warning("{}: fallback PSF {}: {}",
                           context.survey.key(field, frame_key(field, i)), open.psfs[i].model,
                           open.psfs[i].fallback_reason);
    }
    const std::vector<CellPsf>& cells = open.cell_psfs[i];
    const auto fallbacks = std::count_if(
        cells.begin(), cells.end(), [](const CellPsf& cell) { return !cell.choice.used_epsf; });
    if (fallbacks > 0) {
      context.log->warning("{}: fallback PSF {} in {} of {} cells",
                           context.survey.key(field, frame_key(field, i)),
                           config.patch_run.psf_fallback_model, fallbacks, cells.size());
    }
  }
}

std::vector<std::string> columns_of_starts(const std::vector<std::string>& bands) {
  std::vector<std::string> columns = position_columns();
  columns.insert(columns.end(), {"field", "TYPE", "ELL", "THETA", "Re"});
  for (const std::string& band : bands) {
    columns.push_back("FLUX_" + band);
  }
  return columns;
}

std::unique_ptr<FitStage::OpenField> open_field(const Config& config, FitStage::Context& context,
                                                const Field& field) {
  auto owner = std::make_unique<FitStage::OpenField>();
  FitStage::OpenField& open = *owner;
  open.field = &field;
  open_frames(config, context, open);
  FieldRows patches = field_rows(context.survey, *context.before, "patches", "patches", field);
  open.first_patch = patches.first;
  open.patches = std::move(patches.table);
  open.describes_cell = patches_for_cells(open.patches);
  const FieldRows rows = field_rows(context.survey, *context.before, "frames", "sources", field,
                                    columns_of_starts(field.bands));
  const Table& sources = rows.table;
  open.first_row = rows.first;
  open.active = active_sources(sources, field.box());
  open.starts = starting_values(config, sources, field.bands);
  const auto& types = sources.get<std::string>("TYPE");
  for (std::size_t i = 0; i < open.starts.size(); ++i) {
    open.type_unknown.push_back(is_model_type(types[i]) ? 0 : 1);
    if (std::isfinite(open.starts[i].x) && std::isfinite(open.starts[i].y)) {
      open.by_y.push_back(i);
    }
  }
  std::stable_sort(open.by_y.begin(), open.by_y.end(), [&](std::size_t a, std::size_t b) {
    return open.starts[a].y < open.starts[b].y;
  });
  return owner;
}

double light_reach_pix(const fit::SourceStart& s) {
  return kStarLightPix + (s.type == fit::SourceType::star ? 0.0 : kGalaxyLightRe * s.re_pix);
}

/// Rows whose light reaches the region of interest, in catalogue order.
std::vector<std::size_t> sources_near(const FitStage::OpenField& open, const Box& roi) {
  std::vector<std::size_t> near;
  const double reach = 600.0;
  const auto first =
      std::lower_bound(open.by_y.begin(), open.by_y.end(), roi.y0 - reach,
                       [&](std::size_t i, double value) { return open.starts[i].y < value; });
  for (auto it = first; it != open.by_y.end() && open.starts[*it].y < roi.y1 + reach; ++it) {
    const fit::SourceStart& s = open.starts[*it];
    const double light = light_reach_pix(s);
    if (s.x > roi.x0 - light && s.x < roi.x1 + light && s.y > roi.y0 - light &&
        s.y < roi.y1 + light) {
      near.push_back(*it);
    }
  }
  std::sort(near.begin(), near.end());
  return near;
}

/// Sources of the patch: reported ones first, in catalogue order, then the halo, in catalogue
/// order.
std::vector<fit::SourceStart> patch_sources(const Config& config, const FitStage::OpenField& open,
                                            FitStage::Patch& patch) {
  const std::vector<std::size_t> near = sources_near(open, patch.roi);
  std::vector<fit::SourceStart> all;
  const auto add = [&](std::size_t i, fit::Role role) {
    fit::SourceStart s = open.starts[i];
    s.role = role;
    s.x -= patch.roi.x0;
    s.y -= patch.roi.y0;
    patch.source_row.push_back(static_cast<std::int64_t>(open.first_row + i));
    patch.type_unknown.push_back(open.type_unknown[i]);
    patch.types.push_back(s.type);
    patch.x.push_back(s.x);
    patch.y.push_back(s.y);
    all.push_back(std::move(s));
  };
  const auto is_base = [&](std::size_t i) {
    return open.active[i] != 0 && patch.base.contains(open.starts[i].x, open.starts[i].y);
  };
  for (const std::size_t i : near) {
    if (is_base(i)) {
      add(i, fit::Role::base);
    }
  }
  patch.n_base = all.size();
  for (const std::size_t i : near) {
    if (!is_base(i) && config.patch_run.model_halo_sources) {
      // Saturated stars too: their wings tell the position better than the catalogue. The kernel
      // holds those whose light stays away from the reported sources.
      add(i, fit::Role::halo_free);
    }
  }
  return all;
}

/// Pixels whose centres lie outside of the region of interest have no weight: sources out there are
/// not modelled.
void mask_outside(const Footprint& at, const Box& roi, surveys::FramePixels& pixels) {
  const double det = at.matrix[0] * at.matrix[3] - at.matrix[1] * at.matrix[2];
  for (int y = 0; y < pixels.data.height(); ++y) {
    for (int x = 0; x < pixels.data.width(); ++x) {
      const double u = x - at.dx;
      const double v = y - at.dy;
      const double rx = (at.matrix[3] * u - at.matrix[1] * v) / det;
      const double ry = (at.matrix[0] * v - at.matrix[2] * u) / det;
      if (!(rx >= -0.5 && rx < roi.width() - 0.5 && ry >= -0.5 && ry < roi.height() - 0.5)) {
        pixels.data(y, x) = 0.0F;
        pixels.invvar(y, x) = 0.0F;
      }
    }
  }
}

/// Reported sources with a bad pixel at their position.
std::vector<std::uint8_t> masked_centres(const FitStage::Patch& patch,
                                         const fit::FrameData& frame) {
  std::vector<std::uint8_t> out(patch.n_base, 0);
  const Box all{0, frame.data.width(), 0, frame.data.height()};
  for (std::size_t i = 0; i < patch.n_base; ++i) {
    const double x = frame.matrix[0] * patch.x[i] + frame.matrix[1] * patch.y[i] + frame.dx;
    const double y = frame.matrix[2] * patch.x[i] + frame.matrix[3] * patch.y[i] + frame.dy;
    const int column = static_cast<int>(std::lround(x));
    const int row = static_cast<int>(std::lround(y));
    out[i] = all.contains(column, row) && !(frame.invvar(row, column) > 0.0F) ? 1 : 0;
  }
  return out;
}

/// Pixels and PSF of a frame; without pixels when it does not see the region.
/// @param row of /patches
fit::FrameData load_frame(const Config& config, FitStage::OpenField& open, std::size_t index,
                          std::size_t row, FitStage::Patch& patch) {
  const Field& field = *open.field;
  const surveys::FrameInfo& info = field.infos[index];
  const Footprint at = open.saved ? open.saved->footprint(field, index, row)
                                  : open.grids->footprint(index, patch.roi);
  fit::FrameData frame;
  if (at.box.empty()) {
    return frame;
  }
  surveys::FramePixels pixels =
      open.saved ? open.saved->read(field, index, row) : open.readers[index]->read(at.box);
  if (field.on_grid[index] == 0) {
    mask_outside(at, patch.roi, pixels);
  }
  frame.data = std::move(pixels.data);
  frame.invvar = std::move(pixels.invvar);
  frame.gain_e_per_flux = std::isfinite(info.egain) ? info.egain / info.scale : 0.0;
  frame.fit_sky = field.specs[index].sky_is_fitted;
  frame.matrix = at.matrix;
  frame.dx = at.dx;
  frame.dy = at.dy;
  const int origin = open.psfs[index].in_image_pixels ? 0 : field.origin(index);
  frame.psf_x0 = at.box.x0 - origin;
  frame.psf_y0 = at.box.y0 - origin;
  frame.psf = patch_psf(config, open, index, patch);
  return frame;
}

fit::Options fit_options(const Config& config) {
  const Config::PatchRun& p = config.patch_run;
  fit::Options o;
  o.noise = p.noise == "total" ? fit::Noise::total : fit::Noise::sky;
  o.shape_prior = p.shape_prior == "weak" ? fit::ShapePrior::weak : fit::ShapePrior::none;
  o.solver = p.solver == "lm" ? fit::Solver::levenberg_marquardt : fit::Solver::tao_bnls;
  o.forced = p.forced;
  o.max_iterations = p.n_opt_iters;
  o.dlnp_stop = p.dlnp_stop;
  o.truncation_sigma = p.truncation_sigma;
  o.keep_models = !p.no_patch_overview;
  return o;
}

/// The calls of the kernel without pixels: one for all bands, one per band, or (forced) one with a
/// flux per frame.
std::vector<FitStage::Run> empty_runs(const Config& config, const Field& field) {
  std::vector<FitStage::Run> runs(config.fits_bands_apart() ? field.bands.size() : 1);
  for (std::size_t b = 0; b < field.bands.size() && !config.patch_run.forced; ++b) {
    runs[config.fits_bands_apart() ? b : 0].bands.push_back(static_cast<int>(b));
  }
  return runs;
}

void add_frame(const Config& config, const Field& field, std::size_t index, fit::FrameData frame,
               std::vector<FitStage::Run>& runs) {
  const int band = field.band_of_frame[index];
  FitStage::Run& run = runs[config.fits_bands_apart() ? static_cast<std::size_t>(band) : 0];
  if (config.patch_run.forced) {
    run.bands.push_back(band);
    frame.band = static_cast<int>(run.frames.size());
  } else {
    frame.band = config.fits_bands_apart() ? 0 : band;
  }
  run.frames.push_back(index);
  run.kernel.frames.push_back(std::move(frame));
}

}  // namespace

FitStage::Input FitStage::load(const Config& config, Context& context, const engine::Unit& unit) {
  const Field& field = context.survey.field_of(unit).first;
  OpenField& open =
      context.open.get(field.index, [&] { return open_field(config, context, field); });
  const std::size_t row = unit.index - open.first_patch;
  const auto number = [&](const char* column) {
    return open.patches.get<std::int32_t>(column)[row];
  };
  Input input;
  Patch& patch = input.patch;
  patch.field = context.survey.label(field);
  patch.patch_tag = open.patches.get<std::string>("patch_tag")[row];
  patch.epsf_tag = open.patches.get<std::string>("epsf_tag")[row];
  patch.base = {number("x0_base"), number("x1_base"), number("y0_base"), number("y1_base")};
  patch.roi = {number("x0_roi"), number("x1_roi"), number("y0_roi"), number("y1_roi")};
  patch.bands = field.bands;
  patch.band_of_frame = field.band_of_frame;
  patch.first_frame = field.first_frame;
  patch.psfs = open.psfs;
  patch.describes_cell = open.describes_cell[row] != 0;
  patch.masked.resize(field.size());
  input.on_grid = field.on_grid;
  const std::vector<fit::SourceStart> sources = patch_sources(config, open, patch);
  input.runs = empty_runs(config, field);
  for (std::size_t i = 0; i < field.size(); ++i) {
    fit::FrameData frame = load_frame(config, open, i, unit.index, patch);
    patch.masked[i].assign(patch.n_base, 0);
    if (!frame.data.empty()) {
      patch.masked[i] = masked_centres(patch, frame);
      add_frame(config, field, i, std::move(frame), input.runs);
    }
  }
  for (Run& run : input.runs) {
    run.kernel.width = patch.roi.width();
    run.kernel.height = patch.roi.height();
    run.kernel.base = {patch.base.x0 - patch.roi.x0, patch.base.x1 - patch.roi.x0,
                       patch.base.y0 - patch.roi.y0, patch.base.y1 - patch.roi.y0};
    run.kernel.n_bands = static_cast<int>(run.bands.size());
    run.kernel.options = fit_options(config);
    run.kernel.workspace = context.workspace;
    run.kernel.sources = sources;
    for (fit::SourceStart& source : run.kernel.sources) {
      const std::vector<double> flux = source.flux;
      source.flux.clear();
      for (const int band : run.bands) {
        source.flux.push_back(flux[static_cast<std::size_t>(band)]);
      }
    }
  }
  return input;
}

}  // namespace skyloom::photometry
