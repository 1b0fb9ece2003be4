#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include <fmt/format.h>

#include "pipelines/photometry/fit/stage.hpp"

namespace skyloom::photometry {
namespace {

const char* type_name(fit::SourceType type) {
  switch (type) {
    case fit::SourceType::star:
      return "star";
    case fit::SourceType::exp:
      return "exp";
    case fit::SourceType::dev:
      return "dev";
    case fit::SourceType::sersic:
      return "sersic";
  }
  return "";
}

/// Model and sky of the base box, stacked with the weights of the white image.
Image<float> stack_model(const FitStage::Input& input,
                         const std::vector<FitStage::RunResult>& results) {
  const Box& base = input.patch.base;
  Image<double> sum(base.width(), base.height(), 0.0);
  Image<double> weight(base.width(), base.height(), 0.0);
  const int dx = base.x0 - input.patch.roi.x0;
  const int dy = base.y0 - input.patch.roi.y0;
  for (std::size_t r = 0; r < results.size(); ++r) {
    const fit::Result& result = results[r].kernel;
    for (std::size_t f = 0; f < result.models.size(); ++f) {
      if (input.on_grid[results[r].frames[f]] == 0) {
        continue;
      }
      const fit::FrameData& frame = input.runs[r].kernel.frames[f];
      for (int y = 0; y < base.height(); ++y) {
        for (int x = 0; x < base.width(); ++x) {
          const double w = frame.invvar(y + dy, x + dx);
          if (w > 0.0) {
            sum(y, x) += w * (result.models[f](y + dy, x + dx) + result.frames[f].sky);
            weight(y, x) += w;
          }
        }
      }
    }
  }
  Image<float> out(base.width(), base.height());
  for (std::size_t i = 0; i < out.pixels().size(); ++i) {
    const double w = weight.pixels()[i];
    out.pixels()[i] =
        w > 0.0 ? static_cast<float>(sum.pixels()[i] / w) : std::numeric_limits<float>::quiet_NaN();
  }
  return out;
}

struct PsfAudit {
  int used = 0;
  std::set<std::string> fallback;
  std::set<std::string> low;
  std::set<std::string> held;
  std::string reasons = "{}";
};

std::string listed(const std::set<std::string>& names) {
  return fmt::format("{}", fmt::join(names, ","));
}

/// Counts bands; of several images of a band, one that falls back counts for the band.
PsfAudit audit(const FitStage::Patch& patch) {
  PsfAudit out;
  std::set<std::string> used;
  std::map<std::string, std::string> reasons;
  for (std::size_t f = 0; f < patch.psfs.size(); ++f) {
    const std::string& band = patch.bands[static_cast<std::size_t>(patch.band_of_frame[f])];
    const PsfChoice& psf = patch.psfs[f];
    if (psf.used_epsf) {
      used.insert(band);
    }
    if (!psf.fallback_reason.empty()) {
      out.fallback.insert(band);
      reasons.emplace(band, psf.fallback_reason);
    }
    if (psf.low_stars) {
      out.low.insert(band);
    }
    if (psf.has_parameters) {
      out.held.insert(band);
    }
  }
  out.used = static_cast<int>(used.size());
  out.reasons = "{";
  for (const auto& [band, reason] : reasons) {
    // TOML and JSON basic strings agree for the texts that occur here.
    out.reasons +=
        (out.reasons.size() > 1 ? ", " : "") + toml_quoted(band) + ": " + toml_quoted(reason);
  }
  out.reasons += "}";
  return out;
}

constexpr std::int64_t kFlagUnknownType = 128;
constexpr std::int64_t kFlagBadCentre = 256;

/// One set of columns: where its numbers come from and how they are named.
struct Set {
  const FitStage::Result& result;
  const FitStage::RunResult& run;
  FitNames names;
  std::string name;

  [[nodiscard]] std::string fitted(const char* stem) const { return names.fitted(stem, name); }
  [[nodiscard]] std::string plain(const char* stem) const { return names.plain(stem, name); }
};

void append_shape(const Set& set, std::size_t i, Table& table, std::size_t row) {
  const fit::SourceFit& s = set.run.kernel.sources[i];
  const fit::SourceType type = set.result.patch.types[i];
  if (type == fit::SourceType::star) {
    return;
  }
  table.set(row, set.fitted("re_pix"), s.re_pix);
  table.set(row, set.fitted("ab"), s.axis_ratio);
  table.set(row, set.fitted("phi_deg"), s.phi_deg);
  table.set(row, set.fitted("ELL"), 1.0 - s.axis_ratio);
  table.set(row, set.fitted("Re"), s.re_pix);
  table.set(row, set.fitted("THETA"), s.phi_deg - 90.0);
  table.set(row, set.fitted("Re_err"), s.re_err_pix);
  table.set(row, set.fitted("ELL_err"), s.ell_err);
  table.set(row, set.fitted("THETA_err"), s.theta_err_deg);
  if (type == fit::SourceType::sersic) {
    table.set(row, set.fitted("sersic_n"), s.sersic_n);
    table.set(row, set.fitted("sersic_n_err"), s.sersic_n_err);
  }
}

/// State, position and shape.
void append_set(const Config& config, const Set& set, std::size_t i, Table& table,
                std::size_t row) {
  const fit::Result& kernel = set.run.kernel;
  const fit::SourceFit& s = kernel.sources[i];
  const FitStage::Patch& patch = set.result.patch;
  table.set(row, set.plain("opt_niters"), kernel.iterations);
  table.set(row, set.plain("opt_converged"), s.converged);
  const int limit =
      std::max(1, config.patch_run.n_opt_iters - config.patch_run.flag_maxiter_margin);
  table.set(row, set.plain("opt_hit_max_iters"), !s.converged && kernel.iterations >= limit);
  table.set(row, set.plain("opt_last_dlnp"), kernel.dlnp_last);
  table.set(row, set.fitted("x_pix_patch"), s.x);
  table.set(row, set.fitted("y_pix_patch"), s.y);
  table.set(row, set.fitted("x_pix_white"), s.x + patch.roi.x0);
  table.set(row, set.fitted("y_pix_white"), s.y + patch.roi.y0);
  table.set(row, set.fitted("x_pix_err"), s.x_err);
  table.set(row, set.fitted("y_pix_err"), s.y_err);
  append_shape(set, i, table, row);
  std::int64_t flags = static_cast<std::int64_t>(s.flags);
  flags |= patch.type_unknown[i] != 0 ? kFlagUnknownType : 0;
  for (const std::size_t frame : set.run.frames) {
    flags |= patch.masked[frame][i] != 0 ? kFlagBadCentre : 0;
  }
  table.set(row, set.plain("flags"), flags);
}

/// Means over the kernel bands of one band of the field: there are several in forced fits.
struct BandSums {
  double weight = 0.0;
  double flux = 0.0;
  double weight_cond = 0.0;
  double chi2 = 0.0;
  double fracflux = 0.0;
  int npix = 0;

  void add(const fit::BandFit& f) {
    const double w = 1.0 / (f.flux_err * f.flux_err);
    if (!std::isfinite(w) || !std::isfinite(f.flux)) {
      return;
    }
    weight += w;
    flux += w * f.flux;
    weight_cond += 1.0 / (f.flux_err_cond * f.flux_err_cond);
    chi2 += f.npix * f.chi2;
    fracflux += f.npix * f.fracflux;
    npix += f.npix;
  }
};

void append_band(const std::string& band, const fit::BandFit& f, Table& table, std::size_t row) {
  table.set(row, "FLUX_" + band + "_fit", f.flux);
  table.set(row, "FLUXERR_" + band + "_fit", f.flux_err);
  table.set(row, "FLUXERR_" + band + "_cond", f.flux_err_cond);
  table.set(row, "chi2_" + band, f.chi2);
  table.set(row, "npix_" + band, f.npix);
  table.set(row, "fracflux_" + band, f.fracflux);
}

/// Fluxes of one source, and the sky of its patch.
void append_bands(const FitStage::Result& result, std::size_t i, bool forced, Table& table,
                  std::size_t row) {
  for (const FitStage::RunResult& run : result.runs) {
    if (run.kernel.sources.empty()) {
      continue;
    }
    const fit::SourceFit& s = run.kernel.sources[i];
    std::map<int, BandSums> sums;
    for (std::size_t b = 0; b < run.bands.size(); ++b) {
      if (forced) {
        sums[run.bands[b]].add(s.bands[b]);
      } else {
        append_band(result.patch.bands[static_cast<std::size_t>(run.bands[b])], s.bands[b], table,
                    row);
      }
    }
    for (const auto& [band, sum] : sums) {
      fit::BandFit mean;
      if (sum.weight > 0.0) {
        mean.flux = sum.flux / sum.weight;
        mean.flux_err = 1.0 / std::sqrt(sum.weight);
        mean.flux_err_cond = 1.0 / std::sqrt(sum.weight_cond);
        mean.chi2 = sum.chi2 / std::max(1, sum.npix);
        mean.fracflux = sum.fracflux / std::max(1, sum.npix);
        mean.npix = sum.npix;
      }
      append_band(result.patch.bands[static_cast<std::size_t>(band)], mean, table, row);
    }
  }
}

/// Sky, chi2 and good pixels of the images of a band; the sky is their mean by pixels.
struct SkySums {
  double sky = 0.0;
  double variance = 0.0;
  double chi2 = 0.0;
  std::int64_t npix = 0;
};

std::map<std::string, SkySums> sky_of_bands(const FitStage::Result& result) {
  std::map<std::string, SkySums> bands;
  for (const FitStage::RunResult& run : result.runs) {
    for (std::size_t f = 0; f < run.kernel.frames.size(); ++f) {
      const fit::FrameFit& frame = run.kernel.frames[f];
      const int band = result.patch.band_of_frame[run.frames[f]];
      SkySums& sum = bands[result.patch.bands[static_cast<std::size_t>(band)]];
      sum.sky += frame.npix * frame.sky;
      sum.variance += std::pow(frame.npix * frame.sky_err, 2);
      sum.chi2 += frame.chi2;
      sum.npix += frame.npix;
    }
  }
  for (auto& [band, sum] : bands) {
    const double n = static_cast<double>(sum.npix);
    sum.sky = n > 0.0 ? sum.sky / n : std::numeric_limits<double>::quiet_NaN();
    sum.variance = n > 0.0 ? sum.variance / (n * n) : std::numeric_limits<double>::quiet_NaN();
  }
  return bands;
}

void append_source(const Config& config, const FitStage::Result& result, const PsfAudit& psf,
                   const std::map<std::string, SkySums>& skies, std::size_t i, Table& table) {
  const FitStage::Patch& patch = result.patch;
  const std::size_t row = table.add_row();
  table.set(row, "source", patch.source_row[i]);
  table.set(row, "x_pix_patch", patch.x[i]);
  table.set(row, "y_pix_patch", patch.y[i]);
  table.set(row, "patch_tag", patch.patch_tag);
  table.set(row, "epsf_tag", patch.epsf_tag);
  table.set(row, "psf_min_epsf_nstars_for_use", config.patch_run.min_epsf_nstars_for_use);
  table.set(row, "psf_used_epsf_band_count", psf.used);
  table.set(row, "psf_fallback_band_count", static_cast<std::int64_t>(psf.fallback.size()));
  table.set(row, "psf_low_star_band_count", static_cast<std::int64_t>(psf.low.size()));
  table.set(row, "psf_fallback_bands", listed(psf.fallback));
  table.set(row, "psf_low_star_bands", listed(psf.low));
  table.set(row, "psf_frozen_bands_for_optimizer", listed(psf.held));
  table.set(row, "psf_fallback_reasons_json", psf.reasons);
  table.set(row, "stype_fit", type_name(patch.types[i]));
  const FitNames names{config.fits_bands_apart()};
  const std::vector<std::string> sets = names.sets(patch.bands);
  for (std::size_t r = 0; r < result.runs.size(); ++r) {
    if (!result.runs[r].kernel.sources.empty()) {
      append_set(config, {result, result.runs[r], names, sets[r]}, i, table, row);
    }
  }
  append_bands(result, i, config.patch_run.forced, table, row);
  for (const auto& [band, sky] : skies) {
    table.set(row, "sky_" + band, sky.sky);
  }
}

/// How the fluxes of a source follow the skies, as far as a sky's error could be seen in a flux.
void append_flux_per_sky(const FitStage::Result& result, std::size_t i, bool forced, Table& table) {
  constexpr double kVisible = 1e-3;
  for (const FitStage::RunResult& run : result.runs) {
    if (run.kernel.sources.empty()) {
      continue;
    }
    const fit::SourceFit& s = run.kernel.sources[i];
    for (std::size_t b = 0; b < run.bands.size(); ++b) {
      for (std::size_t f = 0; f < run.frames.size(); ++f) {
        const double response = s.flux_per_sky[b * run.frames.size() + f];
        const double effect = std::abs(response) * run.kernel.frames[f].sky_err;
        // In a forced fit every frame has a flux of its own, which follows its own sky only.
        if (!(effect > kVisible * s.bands[b].flux_err) || (forced && b != f)) {
          continue;
        }
        const std::size_t row = table.add_row();
        table.set(row, "source", result.patch.source_row[i]);
        table.set(row, "frame",
                  static_cast<std::int64_t>(result.patch.first_frame + run.frames[f]));
        table.set(row, "band", result.patch.bands[static_cast<std::size_t>(run.bands[b])]);
        table.set(row, "flux_per_sky", response);
      }
    }
  }
}

void append_skies(const FitStage::Result& result, Table& table) {
  const FitStage::Patch& patch = result.patch;
  for (const FitStage::RunResult& run : result.runs) {
    for (std::size_t f = 0; f < run.kernel.frames.size(); ++f) {
      const fit::FrameFit& frame = run.kernel.frames[f];
      const std::size_t row = table.add_row();
      table.set(row, "patch_tag", patch.patch_tag);
      table.set(row, "frame", static_cast<std::int64_t>(patch.first_frame + run.frames[f]));
      table.set(row, "x_pix", 0.5 * (patch.roi.x0 + patch.roi.x1 - 1));
      table.set(row, "y_pix", 0.5 * (patch.roi.y0 + patch.roi.y1 - 1));
      table.set(row, "sky", frame.sky);
      table.set(row, "sky_err", frame.sky_err);
      table.set(row, "sky_base", frame.base_sky);
      table.set(row, "sky_base_err", frame.base_sky_err);
      table.set(row, "npix", static_cast<std::int64_t>(frame.npix));
    }
  }
}

/// One row per frame that has good pixels of the source.
void append_forced(const FitStage::Result& result, std::size_t i, Table& table) {
  const FitStage::RunResult& run = result.runs.front();
  const fit::SourceFit& s = run.kernel.sources[i];
  for (std::size_t f = 0; f < run.frames.size(); ++f) {
    const fit::BandFit& flux = s.bands[f];
    if (flux.npix == 0) {
      continue;
    }
    const std::size_t row = table.add_row();
    table.set(row, "source", result.patch.source_row[i]);
    table.set(row, "frame", static_cast<std::int64_t>(result.patch.first_frame + run.frames[f]));
    table.set(row, "FLUX_fit", flux.flux);
    table.set(row, "FLUXERR_fit", flux.flux_err);
    table.set(row, "chi2", flux.chi2);
    table.set(row, "npix", flux.npix);
    table.set(row, "flags",
              static_cast<std::int64_t>(s.flags) |
                  (result.patch.type_unknown[i] != 0 ? kFlagUnknownType : 0) |
                  (result.patch.masked[run.frames[f]][i] != 0 ? kFlagBadCentre : 0));
  }
}

void append_patch(const FitStage::Result& result, const std::map<std::string, SkySums>& skies,
                  engine::Rows& rows) {
  const FitStage::Patch& patch = result.patch;
  Table& table = rows.table("fit_patches");
  Table& iterations = rows.table("iterations");
  const std::size_t row = table.add_row();
  int most = 0;
  bool converged = true;
  double last_dlnp = 0.0;
  for (const FitStage::RunResult& run : result.runs) {
    if (run.kernel.frames.empty()) {
      continue;  // a band without data
    }
    most = std::max(most, run.kernel.iterations);
    converged = converged && run.kernel.converged_all;
    last_dlnp = std::max(last_dlnp, run.kernel.dlnp_last);
    for (const fit::IterationRow& step : run.kernel.history) {
      const std::size_t at = iterations.add_row();
      iterations.set(at, "patch_tag", patch.patch_tag);
      iterations.set(at, "iteration", step.iteration);
      iterations.set(at, "chi2", step.chi2);
      iterations.set(at, "n_active", step.n_active);
    }
  }
  table.set(row, "patch_tag", patch.patch_tag);
  table.set(row, "n_base", static_cast<std::int64_t>(patch.n_base));
  table.set(row, "n_halo", static_cast<std::int64_t>(patch.types.size() - patch.n_base));
  table.set(row, "opt_niters", most);
  table.set(row, "opt_converged", converged);
  table.set(row, "opt_last_dlnp", last_dlnp);
  for (const auto& [band, sky] : skies) {
    table.set(row, "sky_" + band, sky.sky);
    table.set(row, "sky_err_" + band, std::sqrt(sky.variance));
    table.set(row, "chi2_" + band, sky.chi2);
    table.set(row, "npix_" + band, sky.npix);
  }
  for (std::size_t b = 0; b < patch.bands.size(); ++b) {
    std::set<std::string> models;
    for (std::size_t f = 0; f < patch.psfs.size(); ++f) {
      if (patch.band_of_frame[f] == static_cast<int>(b)) {
        models.insert(patch.psfs[f].model);
      }
    }
    table.set(row, "psf_model_" + patch.bands[b], listed(models));
  }
}

void append_mixtures(const FitStage::Patch& patch, Table& table) {
  for (const auto& [frame, mixture] : patch.mixtures) {
    for (std::size_t k = 0; k < mixture.terms.size(); ++k) {
      const sky::GaussianTerm& term = mixture.terms[k];
      const std::size_t row = table.add_row();
      table.set(row, "band", patch.bands[static_cast<std::size_t>(patch.band_of_frame[frame])]);
      table.set(row, "frame", static_cast<std::int64_t>(patch.first_frame + frame));
      table.set(row, "epsf_tag", patch.epsf_tag);
      table.set(row, "component", static_cast<std::int64_t>(k));
      table.set(row, "weight", term.weight);
      table.set(row, "mean_x", term.mean_x);
      table.set(row, "mean_y", term.mean_y);
      table.set(row, "cxx", term.covariance.xx);
      table.set(row, "cxy", term.covariance.xy);
      table.set(row, "cyy", term.covariance.yy);
    }
  }
}

/// Fits one run. A band without data must not take the others of a patch with it.
fit::Result fitted(const fit::Input& input, bool alone) {
  if (!alone && input.frames.empty()) {
    return {};  // no image of the band sees the patch
  }
  try {
    return fit::compute(input);
  } catch (const UnitError& error) {
    if (alone || error.reason() != Reason::no_good_data) {
      throw;
    }
    return {};
  }
}

}  // namespace

FitStage::Result FitStage::compute(const Config& config, const Input& input, const Rng& /*rng*/) {
  Result result;
  result.patch = input.patch;
  for (const Run& run : input.runs) {
    result.runs.push_back({run.bands, run.frames, fitted(run.kernel, input.runs.size() == 1)});
  }
  if (std::all_of(result.runs.begin(), result.runs.end(),
                  [](const RunResult& run) { return run.kernel.frames.empty(); })) {
    throw UnitError(Reason::no_good_data, "no band has good pixels");
  }
  if (!config.patch_run.no_patch_overview) {
    result.white_model = stack_model(input, result.runs);
  }
  for (RunResult& run : result.runs) {
    run.kernel.models.clear();
  }
  return result;
}

void FitStage::append(const Config& config, const Result& result, engine::Rows& rows) {
  const PsfAudit psf = audit(result.patch);
  const std::map<std::string, SkySums> skies = sky_of_bands(result);
  for (std::size_t i = 0; i < result.patch.n_base; ++i) {
    append_source(config, result, psf, skies, i, rows.table("fit"));
    append_flux_per_sky(result, i, config.patch_run.forced, rows.table("fit_flux_per_sky"));
    if (config.patch_run.forced) {
      append_forced(result, i, rows.table("fit_forced"));
    }
  }
  append_patch(result, skies, rows);
  append_skies(result, rows.table("fit_skies"));
  append_mixtures(result.patch, rows.table("psf_mixtures"));
  set_field(rows, result.patch.field);
  if (!result.white_model.empty()) {
    const std::string group = result.patch.field.empty() ? "" : result.patch.field + "/";
    rows.add_slab(group + "white_model/image", result.patch.base.y0, result.patch.base.x0,
                  result.white_model.view());
  }
}

}  // namespace skyloom::photometry
