#include <algorithm>

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
Image<float> stack_model(const FitStage::Input& input, const fit::Result& result) {
  const Box& base = input.base;
  Image<float> out(base.width(), base.height(), 0.0F);
  const int dx = base.x0 - input.roi.x0;
  const int dy = base.y0 - input.roi.y0;
  for (int y = 0; y < base.height(); ++y) {
    for (int x = 0; x < base.width(); ++x) {
      double sum = 0.0;
      double weight = 0.0;
      for (std::size_t f = 0; f < result.models.size(); ++f) {
        const double w = input.kernel.frames[f].invvar(y + dy, x + dx);
        if (w > 0.0) {
          sum += w * (result.models[f](y + dy, x + dx) + result.frames[f].sky);
          weight += w;
        }
      }
      out(y, x) =
          weight > 0.0 ? static_cast<float>(sum / weight) : std::numeric_limits<float>::quiet_NaN();
    }
  }
  return out;
}

struct PsfAudit {
  int used = 0;
  std::vector<std::string> fallback;
  std::vector<std::string> low;
  std::string reasons = "{}";
};

PsfAudit audit(const FitStage::Input& input) {
  PsfAudit out;
  std::vector<std::pair<std::string, std::string>> reasons;
  for (std::size_t f = 0; f < input.psfs.size(); ++f) {
    const std::string& band = input.bands[static_cast<std::size_t>(input.kernel.frames[f].band)];
    const PsfChoice& psf = input.psfs[f];
    out.used += psf.used_epsf ? 1 : 0;
    if (!psf.fallback_reason.empty()) {
      out.fallback.push_back(band);
      reasons.emplace_back(band, psf.fallback_reason);
    }
    if (psf.low_stars) {
      out.low.push_back(band);
    }
  }
  std::sort(out.fallback.begin(), out.fallback.end());
  std::sort(out.low.begin(), out.low.end());
  std::sort(reasons.begin(), reasons.end());
  out.reasons = "{";
  for (const auto& [band, reason] : reasons) {
    // TOML and JSON basic strings agree for the texts that occur here.
    out.reasons +=
        (out.reasons.size() > 1 ? ", " : "") + toml_quoted(band) + ": " + toml_quoted(reason);
  }
  out.reasons += "}";
  return out;
}

void append_shape(const fit::SourceStart& start, const fit::SourceFit& s, Table& table,
                  std::size_t row) {
  if (start.type == fit::SourceType::star) {
    return;
  }
  table.set(row, "re_pix_fit", s.re_pix);
  table.set(row, "ab_fit", s.axis_ratio);
  table.set(row, "phi_deg_fit", s.phi_deg);
  table.set(row, "ELL_fit", 1.0 - s.axis_ratio);
  table.set(row, "Re_fit", s.re_pix);
  table.set(row, "THETA_fit", s.phi_deg - 90.0);
  table.set(row, "Re_err_fit", s.re_err_pix);
  table.set(row, "ELL_err_fit", s.ell_err);
  table.set(row, "THETA_err_fit", s.theta_err_deg);
  if (start.type == fit::SourceType::sersic) {
    table.set(row, "sersic_n_fit", s.sersic_n);
    table.set(row, "sersic_n_err_fit", s.sersic_n_err);
  }
}

void append_bands(const FitStage::Result& result, const fit::SourceFit& s, Table& table,
                  std::size_t row) {
  for (std::size_t b = 0; b < result.input.bands.size(); ++b) {
    const std::string& band = result.input.bands[b];
    const fit::BandFit& f = s.bands[b];
    table.set(row, "FLUX_" + band + "_fit", f.flux);
    table.set(row, "FLUXERR_" + band + "_fit", f.flux_err);
    table.set(row, "FLUXERR_" + band + "_cond", f.flux_err_cond);
    table.set(row, "chi2_" + band, f.chi2);
    table.set(row, "npix_" + band, f.npix);
    table.set(row, "fracflux_" + band, f.fracflux);
  }
  for (std::size_t f = 0; f < result.kernel.frames.size(); ++f) {
    const std::string& band =
        result.input.bands[static_cast<std::size_t>(result.input.kernel.frames[f].band)];
    table.set(row, "sky_" + band, result.kernel.frames[f].sky);
  }
}

constexpr std::int64_t kFlagUnknownType = 128;

void append_source(const Config& config, const FitStage::Result& result, const PsfAudit& psf,
                   std::size_t i, Table& table) {
  const FitStage::Input& in = result.input;
  const fit::SourceStart& start = in.kernel.sources[i];
  const fit::SourceFit& s = result.kernel.sources[i];
  const std::size_t row = table.add_row();
  table.set(row, "source", in.source_row[i]);
  table.set(row, "x_pix_patch", start.x);
  table.set(row, "y_pix_patch", start.y);
  table.set(row, "patch_tag", in.patch_tag);
  table.set(row, "epsf_tag", in.epsf_tag);
  table.set(row, "psf_min_epsf_nstars_for_use", config.patch_run.min_epsf_nstars_for_use);
  table.set(row, "psf_used_epsf_band_count", psf.used);
  table.set(row, "psf_fallback_band_count", static_cast<std::int64_t>(psf.fallback.size()));
  table.set(row, "psf_low_star_band_count", static_cast<std::int64_t>(psf.low.size()));
  table.set(row, "psf_fallback_bands", fmt::format("{}", fmt::join(psf.fallback, ",")));
  table.set(row, "psf_low_star_bands", fmt::format("{}", fmt::join(psf.low, ",")));
  table.set(row, "psf_fallback_reasons_json", psf.reasons);
  table.set(row, "opt_niters", result.kernel.iterations);
  table.set(row, "opt_converged", s.converged);
  const int limit =
      std::max(1, config.patch_run.n_opt_iters - config.patch_run.flag_maxiter_margin);
  table.set(row, "opt_hit_max_iters", !s.converged && result.kernel.iterations >= limit);
  table.set(row, "opt_last_dlnp", result.kernel.dlnp_last);
  table.set(row, "x_pix_patch_fit", s.x);
  table.set(row, "y_pix_patch_fit", s.y);
  table.set(row, "x_pix_white_fit", s.x + in.roi.x0);
  table.set(row, "y_pix_white_fit", s.y + in.roi.y0);
  table.set(row, "x_pix_err_fit", s.x_err);
  table.set(row, "y_pix_err_fit", s.y_err);
  table.set(row, "stype_fit", type_name(start.type));
  append_shape(start, s, table, row);
  append_bands(result, s, table, row);
  table.set(row, "flags",
            static_cast<std::int64_t>(s.flags) | (in.type_unknown[i] ? kFlagUnknownType : 0));
}

void append_patch(const FitStage::Result& result, engine::Rows& rows) {
  const FitStage::Input& in = result.input;
  Table& table = rows.table("fit_patches");
  const std::size_t row = table.add_row();
  table.set(row, "patch_tag", in.patch_tag);
  table.set(row, "n_base", static_cast<std::int64_t>(in.n_base));
  table.set(row, "n_halo", static_cast<std::int64_t>(in.kernel.sources.size() - in.n_base));
  table.set(row, "opt_niters", result.kernel.iterations);
  table.set(row, "opt_converged", result.kernel.converged_all);
  table.set(row, "opt_last_dlnp", result.kernel.dlnp_last);
  for (std::size_t f = 0; f < result.kernel.frames.size(); ++f) {
    const std::string& band = in.bands[static_cast<std::size_t>(in.kernel.frames[f].band)];
    const fit::FrameFit& frame = result.kernel.frames[f];
    table.set(row, "sky_" + band, frame.sky);
    table.set(row, "sky_err_" + band, frame.sky_err);
    table.set(row, "chi2_" + band, frame.chi2);
    table.set(row, "npix_" + band, frame.npix);
  }
  Table& iterations = rows.table("iterations");
  for (const fit::IterationRow& step : result.kernel.history) {
    const std::size_t at = iterations.add_row();
    iterations.set(at, "patch_tag", in.patch_tag);
    iterations.set(at, "iteration", step.iteration);
    iterations.set(at, "chi2", step.chi2);
    iterations.set(at, "n_active", step.n_active);
  }
}

}  // namespace

FitStage::Result FitStage::compute(const Config& config, const Input& input, const Rng& /*rng*/) {
  Result result;
  result.kernel = fit::compute(input.kernel);
  if (!config.patch_run.no_patch_overview) {
    result.white_model = stack_model(input, result.kernel);
  }
  result.input = input;
  for (fit::FrameData& frame : result.input.kernel.frames) {
    frame.data = {};
    frame.invvar = {};
  }
  result.kernel.models.clear();
  return result;
}

void FitStage::append(const Config& config, const Result& result, engine::Rows& rows) {
  const PsfAudit psf = audit(result.input);
  Table& table = rows.table("fit");
  for (std::size_t i = 0; i < result.input.n_base; ++i) {
    append_source(config, result, psf, i, table);
  }
  append_patch(result, rows);
  if (!result.white_model.empty()) {
    rows.add_slab("white_model/image", result.input.base.y0, result.input.base.x0,
                  result.white_model.view());
  }
}

}  // namespace skyloom::photometry
