#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "pipelines/photometry/epsf/output_arrays.hpp"

namespace skyloom::photometry {

namespace {

/// Radius steps of the growth curves: 0, 1, 2, ... to the corner of a stamp.
std::size_t growth_steps(int psf_size) {
  const double corner = std::hypot((psf_size - 1) / 2, (psf_size - 1) / 2);
  return static_cast<std::size_t>(std::ceil(corner)) + 1;
}

TableSchema bands_schema() {
  return {"bands",
          {{"band", Type::text, "", "filter"},
           {"frame", Type::int32, "", "row of /frames"},
           {"psf_level", Type::int32, "",
            "0 none, 1 fixed beta, 2 Moffat, 3 Moffat field, 4 constant, 5 full field, 6 an array "
            "per cell"},
           {"psf_level_text", Type::text, "", "why not a higher level"},
           {"n_detections", Type::int32, "", "objects found"},
           {"n_candidates", Type::int32, "", "star candidates"},
           {"n_stars", Type::int32, "", "stars of the core"},
           {"n_wing", Type::int32, "", "saturated stars of the wing"},
           {"n_rejected", Type::int32, "", "candidates rejected"},
           {"order", Type::int32, "", "polynomial order of the shape's variation"},
           {"beta", Type::float64, "", "Moffat exponent"},
           {"fwhm_pix", Type::float64, "pix", "FWHM at the centre of the field"},
           {"ellipticity", Type::float64, "", "modulus of the shear-like ellipticity there"},
           {"locus_r50_pix", Type::float64, "pix", "half-light radius of the stars' locus"},
           {"loo_chi2", Type::float64, "", "leave-one-out chi2 per star for order 0, 1, 2", {3}},
           {"shape_scatter", Type::float64, "", "scatter of the shape beyond its errors"},
           {"flux_err_pred", Type::float64, "", "predicted relative flux error from the PSF"},
           {"flux_err_core", Type::float64, "", "its part from the core"},
           {"flux_err_wing", Type::float64, "", "its part from the wing"},
           {"chi2_core_median", Type::float64, "", "median chi2 per pixel of the cores"},
           {"chi2_trend", Type::float64, "", "slope of ln chi2 on ln S/N"},
           {"resid_skew", Type::float64, "", "skewness of normalised residuals"},
           {"resid_kurtosis", Type::float64, "", "their kurtosis"},
           {"resid_corr", Type::float64, "", "largest mean correlation between two stars"},
           {"noise_factor", Type::float64, "", "by which the given variance was multiplied"},
           {"n_refined", Type::int32, "", "stamps from which the second pass subtracted sources"},
           {"sigma_R", Type::float64, "", "amplitude of the core residual"},
           {"sigma_q", Type::float64, "", "amplitude of the wing factor"},
           {"ell", Type::float64, "", "correlation length of the residual in FWHM"},
           {"p", Type::float64, "", "power of the residual's envelope"},
           {"ln_evidence", Type::float64, "", "of the chosen hyper-parameters"},
           {"gp_gain", Type::float64, "", "gain in ln likelihood of the local variation"},
           {"gp_length", Type::float64, "", "its length in half fields"},
           {"gp_tau", Type::float64, "", "its amplitudes in size and ellipticity", {3}},
           {"apcor", Type::float64, "", "aperture to model flux ratio - 1"},
           {"apcor_err", Type::float64, "", "its error"},
           {"apcor_n", Type::int32, "", "stars in it"},
           {"f_out", Type::float64, "", "light outside the stamp"},
           {"wing_slope", Type::float64, "", "logarithmic slope of the outer wing"},
           {"neg_fraction", Type::float64, "", "sum of negative samples"},
           {"clipped_fraction", Type::float64, "", "pixels clipped"},
           {"warnings", Type::text, "", "as in the log, a line each"}}};
}

TableSchema cells_schema(const epsf::Options& options) {
  const auto psf = static_cast<std::size_t>(options.final_psf_size);
  const auto cut = static_cast<std::size_t>(options.cutout_size);
  return {
      "cells",
      {{"band", Type::text, "", "filter"},
       {"frame", Type::int32, "", "row of /frames"},
       {"epsf_tag", Type::text, "", "cell, row then column"},
       {"x0", Type::int32, "pix", "first column of the cell"},
       {"x1", Type::int32, "pix", "end of its columns"},
       {"y0", Type::int32, "pix", "first row"},
       {"y1", Type::int32, "pix", "end of its rows"},
       {"status", Type::text, "", "ok or fail"},
       {"error", Type::text, "", "why it failed"},
       {"psfstar_mode", Type::text, "", "where its stars come from: sep, gaia or sep+gaia"},
       {"nstars_seed", Type::int32, "", "Gaia stars among the chosen"},
       {"nstars_sel", Type::int32, "", "stars chosen"},
       {"nstars_extract", Type::int32, "", "of these, with pixels"},
       {"nstars_used", Type::int32, "", "stars used"},
       {"nstars_fitfail", Type::int32, "", "stars dropped because their fit failed"},
       {"fwhm_pix", Type::float64, "pix", "FWHM at the cell's centre"},
       {"ee_r50_pix", Type::float64, "pix", "radius of half of the light"},
       {"ee_r80_pix", Type::float64, "pix", "radius of 80 % of the light"},
       {"ee_r90_pix", Type::float64, "pix", "radius of 90 % of the light"},
       {"ee_edge", Type::float64, "", "light within half the side of the array"},
       {"epsf_edge_median", Type::float64, "", "median of its outermost rows and columns"},
       {"epsf_edge_mean", Type::float64, "", "their mean"},
       {"epsf_min", Type::float64, "", "smallest sample"},
       {"epsf_max", Type::float64, "", "largest sample"},
       {"f_out", Type::float64, "", "light outside the stamp"},
       {"chi2_core_median", Type::float64, "", "median chi2 per pixel of the stars' cores"},
       {"resid_nstars", Type::int32, "", "stars behind the residuals"},
       {"resid_bias", Type::float64, "", "median of the median residual, scaled flux"},
       {"resid_rms", Type::float64, "", "its root mean square, scaled flux"},
       {"resid_norm_bias", Type::float64, "", "median of residual over noise, all pixels"},
       {"resid_norm_rms", Type::float64, "", "its root mean square"},
       {"local_bkg_nstars", Type::int32, "", "stars whose own background was measured"},
       {"local_bkg_ok_nstars", Type::int32, "", "of these, with enough pixels"},
       {"local_bkg_median", Type::float64, "", "median of these, scaled flux per pixel"},
       {"local_bkg_mean", Type::float64, "", "their mean"},
       {"background_status", Type::text, "", "ok, error or disabled"},
       {"background_error", Type::text, "", "what failed"},
       {"background_median", Type::float64, "", "median of the mesh background, scaled flux"},
       {"background_mean", Type::float64, "", "its mean"},
       {"background_rms_median", Type::float64, "", "median of the background rms, scaled flux"},
       {"background_rms_mean", Type::float64, "", "its mean"},
       {"background_masked_fraction", Type::float64, "", "pixels masked for it"},
       {"growth",
        Type::float64,
        "",
        "light within radius 0, 1, 2, ... pixels",
        {growth_steps(options.final_psf_size)}},
       {"epsf", Type::float32, "", "PSF at the cell's centre, light per pixel", {psf, psf}},
       {"median_star", Type::float32, "", "median of the cell's stars over their flux", {cut, cut}},
       {"median_residual", Type::float32, "", "median of (star - model) over flux", {cut, cut}}}};
}

/// A stamp centred in an array of side n x n; NaN where it has no pixels.
std::vector<float> centred(const Image<double>& stamp, int n) {
  std::vector<float> out(static_cast<std::size_t>(n) * static_cast<std::size_t>(n),
                         std::numeric_limits<float>::quiet_NaN());
  const int dx = (n - stamp.width()) / 2;
  const int dy = (n - stamp.height()) / 2;
  for (int y = 0; y < stamp.height(); ++y) {
    for (int x = 0; x < stamp.width(); ++x) {
      const int column = x + dx;
      const int row = y + dy;
      if (column >= 0 && column < n && row >= 0 && row < n) {
        out[static_cast<std::size_t>(row * n + column)] = static_cast<float>(stamp(y, x));
      }
    }
  }
  return out;
}

void append_band(const EpsfStage::Result& result, Table& table) {
  const epsf::Diagnostics& d = result.kernel.diagnostics;
  const std::size_t row = table.add_row();
  table.set(row, "band", result.band);
  table.set(row, "frame", result.frame);
  table.set(row, "psf_level", static_cast<int>(result.kernel.level));
  table.set(row, "psf_level_text", result.kernel.level_text);
  table.set(row, "n_detections", d.n_detections);
  table.set(row, "n_candidates", d.n_candidates);
  table.set(row, "n_stars", d.n_stars);
  table.set(row, "n_wing", d.n_wing);
  table.set(row, "n_rejected", d.n_rejected);
  table.set(row, "order", d.order);
  table.set(row, "beta", d.beta);
  table.set(row, "fwhm_pix", d.fwhm_pix);
  table.set(row, "ellipticity", d.ellipticity);
  table.set(row, "locus_r50_pix", d.locus_r50_pix);
  table.set(row, "loo_chi2", std::span<const double>(d.loo_chi2));
  table.set(row, "shape_scatter", d.shape_scatter);
  table.set(row, "flux_err_pred", d.flux_err_pred);
  table.set(row, "flux_err_core", d.flux_err_core);
  table.set(row, "flux_err_wing", d.flux_err_wing);
  table.set(row, "chi2_core_median", d.chi2_core_median);
  table.set(row, "chi2_trend", d.chi2_trend);
  table.set(row, "resid_skew", d.resid_skew);
  table.set(row, "resid_kurtosis", d.resid_kurtosis);
  table.set(row, "resid_corr", d.resid_corr);
  table.set(row, "noise_factor", d.noise_factor);
  table.set(row, "n_refined", d.n_refined);
  table.set(row, "sigma_R", d.sigma_r);
  table.set(row, "sigma_q", d.sigma_q);
  table.set(row, "ell", d.ell);
  table.set(row, "p", d.p);
  table.set(row, "ln_evidence", d.ln_evidence);
  table.set(row, "gp_gain", d.gp_gain);
  table.set(row, "gp_length", d.gp_length);
  table.set(row, "gp_tau", std::span<const double>(d.gp_tau));
  table.set(row, "apcor", d.apcor);
  table.set(row, "apcor_err", d.apcor_err);
  table.set(row, "apcor_n", d.apcor_n);
  table.set(row, "f_out", d.f_out);
  table.set(row, "wing_slope", d.wing_slope);
  table.set(row, "neg_fraction", d.neg_fraction);
  table.set(row, "clipped_fraction", d.clipped_fraction);
  table.set(row, "warnings", fmt::format("{}", fmt::join(result.kernel.warnings, "\n")));
}

void append_cell(const EpsfStage::Result& result, std::size_t index, const epsf::Options& options,
                 Table& table) {
  const epsf::Cell& cell = result.cells[index];
  const epsf::CellResult& c = result.kernel.cells[index];
  const std::size_t row = table.add_row();
  table.set(row, "band", result.band);
  table.set(row, "frame", result.frame);
  table.set(row, "epsf_tag", cell.tag);
  table.set(row, "x0", cell.box.x0);
  table.set(row, "x1", cell.box.x1);
  table.set(row, "y0", cell.box.y0);
  table.set(row, "y1", cell.box.y1);
  table.set(row, "status", c.epsf.empty() ? "fail" : "ok");
  table.set(row, "error", c.error);
  table.set(row, "psfstar_mode", options.psfstar_mode);
  table.set(row, "nstars_seed", c.n_seed);
  table.set(row, "nstars_sel", c.n_selected);
  table.set(row, "nstars_extract", c.n_extract);
  table.set(row, "nstars_used", c.n_stars);
  table.set(row, "nstars_fitfail", c.n_fitfail);
  table.set(row, "fwhm_pix", c.fwhm_pix);
  table.set(row, "ee_r50_pix", c.r50_pix);
  table.set(row, "ee_r80_pix", c.r80_pix);
  table.set(row, "ee_r90_pix", c.r90_pix);
  table.set(row, "ee_edge", c.ee_edge);
  table.set(row, "epsf_edge_median", c.edge_median);
  table.set(row, "epsf_edge_mean", c.edge_mean);
  table.set(row, "epsf_min", c.epsf_min);
  table.set(row, "epsf_max", c.epsf_max);
  table.set(row, "f_out", c.light_outside);
  table.set(row, "chi2_core_median", c.chi2_core_median);
  table.set(row, "resid_nstars", c.n_resid);
  table.set(row, "resid_bias", c.resid_bias);
  table.set(row, "resid_rms", c.resid_rms);
  table.set(row, "resid_norm_bias", c.resid_norm_bias);
  table.set(row, "resid_norm_rms", c.resid_norm_rms);
  table.set(row, "local_bkg_nstars", c.local_background.n_stars);
  table.set(row, "local_bkg_ok_nstars", c.local_background.n_ok);
  table.set(row, "local_bkg_median", c.local_background.median);
  table.set(row, "local_bkg_mean", c.local_background.mean);
  table.set(row, "background_status", c.background.status);
  table.set(row, "background_error", c.background.text);
  table.set(row, "background_median", c.background.map_median);
  table.set(row, "background_mean", c.background.map_mean);
  table.set(row, "background_rms_median", c.background.rms_median);
  table.set(row, "background_rms_mean", c.background.rms_mean);
  table.set(row, "background_masked_fraction", c.background.masked_fraction);
  std::vector<double> growth(growth_steps(options.final_psf_size),
                             std::numeric_limits<double>::quiet_NaN());
  std::copy_n(c.growth.begin(), std::min(growth.size(), c.growth.size()), growth.begin());
  table.set(row, "growth", std::span<const double>(growth));
  const std::vector<float> psf = centred(c.epsf, options.final_psf_size);
  const std::vector<float> star = centred(c.median_star, options.cutout_size);
  const std::vector<float> residual = centred(c.median_residual, options.cutout_size);
  table.set(row, "epsf", std::span<const float>(psf));
  table.set(row, "median_star", std::span<const float>(star));
  table.set(row, "median_residual", std::span<const float>(residual));
}

void append_stars(const EpsfStage::Result& result, Table& table) {
  for (const epsf::StarRow& star : result.kernel.stars) {
    const std::size_t row = table.add_row();
    table.set(row, "band", result.band);
    table.set(row, "frame", result.frame);
    table.set(row, "epsf_tag",
              star.cell >= 0 ? result.cells[static_cast<std::size_t>(star.cell)].tag : "");
    table.set(row, "x", star.x);
    table.set(row, "y", star.y);
    table.set(row, "flux", star.flux);
    table.set(row, "sky", star.sky);
    table.set(row, "snr", star.snr);
    table.set(row, "r50_pix", star.r50_pix);
    table.set(row, "used", star.used);
    table.set(row, "wing", star.wing);
    table.set(row, "rejected", epsf::to_string(star.reason));
    table.set(row, "chi2_core", star.chi2_core);
    table.set(row, "origin", star.origin);
  }
}

void append_model(const EpsfStage::Result& result, Table& models) {
  const auto add = [&](const std::string& parameter, std::int64_t index, double value) {
    const std::size_t row = models.add_row();
    models.set(row, "band", result.band);
    models.set(row, "frame", result.frame);
    models.set(row, "parameter", parameter);
    models.set(row, "index", index);
    models.set(row, "value", value);
  };
  for (const auto& [parameter, values] : result.kernel.psf->parameters()) {
    if (values.empty()) {
      add(parameter, -1, std::numeric_limits<double>::quiet_NaN());
    }
    for (std::size_t i = 0; i < values.size(); ++i) {
      add(parameter, static_cast<std::int64_t>(i), values[i]);
    }
  }
}

}  // namespace

Schema epsf_schema(const Config& config, const Survey& survey) {
  Schema schema;
  schema.tables = {
      bands_schema(),
      cells_schema(config.epsf.kernel),
      {"stars",
       {{"band", Type::text, "", "filter"},
        {"frame", Type::int32, "", "row of /frames"},
        {"epsf_tag", Type::text, "", "cell"},
        {"x", Type::float64, "pix", "fitted position in the cropped frame"},
        {"y", Type::float64, "pix", "fitted position in the cropped frame"},
        {"flux", Type::float64, "", "fitted scaled flux"},
        {"sky", Type::float64, "", "fitted sky, scaled flux per pixel"},
        {"snr", Type::float64, "", "signal-to-noise of the aperture flux"},
        {"r50_pix", Type::float64, "pix", "half-light radius"},
        {"used", Type::boolean, "", "part of the PSF"},
        {"wing", Type::boolean, "", "saturated: part of the wing only"},
        {"rejected", Type::text, "", "why it was rejected"},
        {"chi2_core", Type::float64, "", "chi2 per pixel of the core"},
        {"origin", Type::text, "", "sep, gaia or both"}}},
      {"psf_models",
       {{"band", Type::text, "", "filter"},
        {"frame", Type::int32, "", "row of /frames"},
        {"parameter", Type::text, "", "name, see docs/pipelines/photometry.md"},
        {"index", Type::int32, "", "position in the parameter's array; -1 = the array is empty"},
        {"value", Type::float64, "", "value"}}}};
  add_array_tables(effective_options(config), schema);
  add_field_column(schema, survey);
  return schema;
}

void EpsfStage::append(const Config& config, const Result& result, engine::Rows& rows) {
  append_band(result, rows.table("bands"));
  for (std::size_t i = 0; i < result.kernel.cells.size(); ++i) {
    append_cell(result, i, config.epsf.kernel, rows.table("cells"));
  }
  append_stars(result, rows.table("stars"));
  append_arrays(effective_options(config), result, rows);
  if (result.kernel.psf != nullptr) {
    append_model(result, rows.table("psf_models"));
  }
  set_field(rows, result.field);
}

}  // namespace skyloom::photometry
