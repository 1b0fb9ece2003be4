#include "pipelines/photometry/fit/stage.hpp"

namespace skyloom::photometry {

std::vector<std::string> FitStage::inputs(const Config& config) {
  std::vector<std::string> files;
  for (const surveys::FrameSpec& spec : frame_specs(config)) {
    if (!spec.psf.empty()) {
      files.push_back(spec.psf);
    }
  }
  return files;
}

namespace {

Schema fit_schema(const Config& config, const Field& field) {
  Schema schema;
  TableSchema fit{"fit", {{"source", Type::int64, "", "row of /sources"}}};
  for (Column& column : fit_columns(field.bands)) {
    fit.columns.push_back(std::move(column));
  }
  schema.tables.push_back(std::move(fit));
  TableSchema patches{"fit_patches",
                      {{"patch_tag", Type::text, "", "patch"},
                       {"n_base", Type::int64, "", "sources reported"},
                       {"n_halo", Type::int64, "", "sources modelled but not reported"},
                       {"opt_niters", Type::int32, "", "iterations"},
                       {"opt_converged", Type::boolean, "", "all sources converged"},
                       {"opt_last_dlnp", Type::float64, "", "last gain in log-probability"}}};
  for (const std::string& band : field.bands) {
    patches.columns.push_back(
        {"sky_" + band, Type::float64, "", "fitted sky, scaled flux per pixel"});
    patches.columns.push_back({"sky_err_" + band, Type::float64, "", "its error"});
    patches.columns.push_back(
        {"chi2_" + band, Type::float64, "", "chi2 of the good pixels, sky noise"});
    patches.columns.push_back({"npix_" + band, Type::int64, "", "good pixels"});
  }
  schema.tables.push_back(std::move(patches));
  schema.tables.push_back({"iterations",
                           {{"patch_tag", Type::text, "", "patch"},
                            {"iteration", Type::int32, "", "accepted step"},
                            {"chi2", Type::float64, "", "objective after it"},
                            {"n_active", Type::int32, "", "sources still moving"}}});
  if (!config.patch_run.no_patch_overview) {
    schema.slabs.push_back(
        {"white_model/image",
         Type::float32,
         {static_cast<std::size_t>(field.height), static_cast<std::size_t>(field.width)},
         "",
         "model and sky, stacked as the white image; outside fitted patches 0"});
  }
  return schema;
}

}  // namespace

engine::Plan FitStage::plan(const Config& config, const engine::Products& before) {
  const Field field = field_from_product(config, before);
  engine::Plan plan;
  plan.schema = fit_schema(config, field);
  const Table& patches = before.table("patches", "patches");
  const auto& tag = patches.get<std::string>("patch_tag");
  const auto& n_sources = patches.get<std::int64_t>("n_sources");
  for (std::size_t i = 0; i < patches.rows(); ++i) {
    plan.add("patch/" + tag[i],
             1.0 + static_cast<double>(n_sources[i]) * static_cast<double>(field.size()));
  }
  return plan;
}

std::vector<Column> fit_columns(const std::vector<std::string>& bands) {
  std::vector<Column> c{
      {"x_pix_patch", Type::float64, "pix", "catalogue position in the patch"},
      {"y_pix_patch", Type::float64, "pix", "catalogue position in the patch"},
      {"patch_tag", Type::text, "", "patch it was fitted in"},
      {"epsf_tag", Type::text, "", "cell it lies in"},
      {"psf_min_epsf_nstars_for_use", Type::int32, "", "least stars demanded of an ePSF"},
      {"psf_used_epsf_band_count", Type::int32, "", "bands fitted with their ePSF"},
      {"psf_fallback_band_count", Type::int32, "", "bands fitted with the fallback PSF"},
      {"psf_low_star_band_count", Type::int32, "", "of these, bands with too few stars"},
      {"psf_fallback_bands", Type::text, "", "their names"},
      {"psf_low_star_bands", Type::text, "", "their names"},
      {"psf_frozen_bands_for_optimizer", Type::text, "",
       "bands whose PSF has parameters, all held"},
      {"psf_fallback_reasons_json", Type::text, "", "band to reason"},
      {"opt_niters", Type::int32, "", "iterations of the patch"},
      {"opt_converged", Type::boolean, "", "this source converged"},
      {"opt_hit_max_iters", Type::boolean, "", "not converged when the iterations were used up"},
      {"opt_last_dlnp", Type::float64, "", "last gain in log-probability of the patch"},
      {"x_pix_patch_fit", Type::float64, "pix", "fitted position in the patch"},
      {"y_pix_patch_fit", Type::float64, "pix", "fitted position in the patch"},
      {"x_pix_white_fit", Type::float64, "pix", "fitted position in the cropped frame, 0-based"},
      {"y_pix_white_fit", Type::float64, "pix", "fitted position in the cropped frame, 0-based"},
      {"x_pix_err_fit", Type::float64, "pix", "marginal error"},
      {"y_pix_err_fit", Type::float64, "pix", "marginal error"},
      {"stype_fit", Type::text, "", "star, exp, dev or sersic"},
      {"sersic_n_fit", Type::float64, "", "Sersic index"},
      {"re_pix_fit", Type::float64, "pix", "half-light radius along the major axis"},
      {"ab_fit", Type::float64, "", "axis ratio b/a"},
      {"phi_deg_fit", Type::float64, "deg", "major axis, counter-clockwise from +y"},
      {"ELL_fit", Type::float64, "", "1 - b/a"},
      {"Re_fit", Type::float64, "pix", "half-light radius"},
      {"THETA_fit", Type::float64, "deg", "major axis, counter-clockwise from +x"},
      {"sersic_n_err_fit", Type::float64, "", "marginal error"},
      {"Re_err_fit", Type::float64, "pix", "marginal error"},
      {"ELL_err_fit", Type::float64, "", "marginal error"},
      {"THETA_err_fit", Type::float64, "deg", "marginal error"}};
  for (const std::string& band : bands) {
    c.push_back({"FLUX_" + band + "_fit", Type::float64, "", "scaled flux (image_scaling.zp_ref)"});
    c.push_back({"FLUXERR_" + band + "_fit", Type::float64, "",
                 "marginal error with the source's own noise"});
  }
  for (const std::string& band : bands) {
    c.push_back({"FLUXERR_" + band + "_cond", Type::float64, "",
                 "error with all else fixed, sky noise only"});
    c.push_back({"chi2_" + band, Type::float64, "",
                 "mean squared residual under the source, in noise units"});
    c.push_back({"npix_" + band, Type::int32, "", "good pixels in its box"});
    c.push_back(
        {"sky_" + band, Type::float64, "", "fitted sky of the patch, scaled flux per pixel"});
    c.push_back({"fracflux_" + band, Type::float64, "",
                 "neighbours' light within its profile over its own"});
  }
  c.push_back(
      {"flags", Type::int32, "",
       "bits: 1 at bound, 2 faint (shape held), 4 box limited, 8 degenerate with sky, 16 no data, "
       "32 position and shape held, 64 inseparable, 128 TYPE unknown"});
  return c;
}

}  // namespace skyloom::photometry
