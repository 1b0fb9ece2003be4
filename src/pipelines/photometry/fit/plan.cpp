#include "pipelines/photometry/fit/stage.hpp"

namespace skyloom::photometry {

std::vector<std::string> FitStage::inputs(const Config& config) {
  std::vector<std::string> files;
  for (const FieldEntry& entry : config.field_entries()) {
    for (const surveys::FrameSpec& spec : frame_specs(config, entry)) {
      if (!spec.psf.empty()) {
        files.push_back(spec.psf);
      }
    }
  }
  return files;
}

namespace {

Schema fit_schema(const Config& config, const Survey& survey) {
  Schema schema;
  TableSchema fit{"fit", {{"source", Type::int64, "", "row of /sources"}}};
  for (Column& column : fit_columns(FitNames{config.fits_bands_apart()}, survey.bands)) {
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
  for (const std::string& band : survey.bands) {
    patches.columns.push_back({"sky_" + band, Type::float64, "",
                               "fitted sky, scaled flux per pixel, mean of its images"});
    patches.columns.push_back({"sky_err_" + band, Type::float64, "", "its error"});
    patches.columns.push_back(
        {"chi2_" + band, Type::float64, "", "chi2 of the good pixels, sky noise"});
    patches.columns.push_back({"npix_" + band, Type::int64, "", "good pixels"});
    patches.columns.push_back(
        {"psf_model_" + band, Type::text, "", "PSF of its images as rendered, comma-joined"});
  }
  schema.tables.push_back(std::move(patches));
  schema.tables.push_back({"iterations",
                           {{"patch_tag", Type::text, "", "patch"},
                            {"iteration", Type::int32, "", "accepted step"},
                            {"chi2", Type::float64, "", "objective after it"},
                            {"n_active", Type::int32, "", "sources still moving"}}});
  schema.tables.push_back(
      {"psf_mixtures",
       {{"band", Type::text, "", "band"},
        {"frame", Type::int32, "", "row of /frames"},
        {"epsf_tag", Type::text, "", "cell at whose centre the Gaussians were fitted"},
        {"component", Type::int32, "", "number of the Gaussian"},
        {"weight", Type::float64, "", "its light"},
        {"mean_x", Type::float64, "pix", "its centre from that of the PSF"},
        {"mean_y", Type::float64, "pix", "its centre from that of the PSF"},
        {"cxx", Type::float64, "pix**2", "its covariance"},
        {"cxy", Type::float64, "pix**2", "its covariance"},
        {"cyy", Type::float64, "pix**2", "its covariance"}}});
  schema.tables.push_back(
      {"fit_skies",
       {{"patch_tag", Type::text, "", "patch"},
        {"frame", Type::int32, "", "row of /frames"},
        {"x_pix", Type::float64, "pix", "centre of the patch in the cropped frame"},
        {"y_pix", Type::float64, "pix", "centre of the patch in the cropped frame"},
        {"sky", Type::float64, "", "fitted sky, scaled flux per pixel"},
        {"sky_err", Type::float64, "", "its error; missing when held"},
        {"sky_base", Type::float64, "", "sky that the pixels of no other patch ask for"},
        {"sky_base_err", Type::float64, "", "its error; missing when held"},
        {"npix", Type::int64, "", "good pixels"}}});
  schema.tables.push_back(
      {"fit_flux_per_sky",
       {{"source", Type::int64, "", "row of /sources"},
        {"frame", Type::int32, "", "row of /frames whose sky changes"},
        {"band", Type::text, "", "of the flux"},
        {"flux_per_sky", Type::float64, "pix",
         "change of the flux per change of the sky, everything else following"}}});
  if (config.patch_run.forced) {
    schema.tables.push_back(
        {"fit_forced",
         {{"source", Type::int64, "", "row of /sources"},
          {"frame", Type::int32, "", "row of /frames"},
          {"FLUX_fit", Type::float64, "", "scaled flux (image_scaling.zp_ref)"},
          {"FLUXERR_fit", Type::float64, "", "marginal error with the source's own noise"},
          {"chi2", Type::float64, "", "mean squared residual under the source, in noise units"},
          {"npix", Type::int32, "", "good pixels in its box"},
          {"flags", Type::int32, "", "as in /fit"}}});
  }
  add_field_column(schema, survey);
  for (const Field& field : survey.fields) {
    if (!config.patch_run.no_patch_overview) {
      schema.slabs.push_back(
          {survey.slab(field, "white_model/image"),
           Type::float32,
           {static_cast<std::size_t>(field.height), static_cast<std::size_t>(field.width)},
           "",
           "model and sky, stacked as the white image; outside fitted patches 0"});
    }
  }
  return schema;
}

}  // namespace

engine::Plan FitStage::plan(const Config& config, const engine::Products& before) {
  const Survey survey = survey_from_product(config, before);
  if (!config.patch_inputs.save_patch_inputs) {
    require_images(survey);
  }
  engine::Plan plan;
  plan.schema = fit_schema(config, survey);
  for (const Field& field : survey.fields) {
    const FieldRows patches =
        field_rows(survey, before, "patches", "patches", field, {"patch_tag", "n_sources"});
    const auto& tag = patches.table.get<std::string>("patch_tag");
    const auto& n_sources = patches.table.get<std::int64_t>("n_sources");
    for (std::size_t i = 0; i < tag.size(); ++i) {
      plan.add(survey.key(field, "patch/" + tag[i]),
               1.0 + static_cast<double>(n_sources[i]) * static_cast<double>(field.size()));
    }
  }
  return plan;
}

std::vector<std::string> FitNames::sets(const std::vector<std::string>& bands) const {
  return apart ? bands : std::vector<std::string>{""};
}

std::string FitNames::fitted(const std::string& stem, const std::string& set) const {
  return plain(stem, set) + "_fit";
}

std::string FitNames::plain(const std::string& stem, const std::string& set) const {
  return apart ? stem + "_" + set : stem;
}

namespace {

/// Position and state of one set.
void add_set(const FitNames& names, const std::string& set, std::vector<Column>& c) {
  const auto add = [&](const std::string& name, Type type, const char* unit, const char* text) {
    c.push_back({name, type, unit, text});
  };
  add(names.plain("opt_niters", set), Type::int32, "", "iterations of the patch");
  add(names.plain("opt_converged", set), Type::boolean, "", "this source converged");
  add(names.plain("opt_hit_max_iters", set), Type::boolean, "",
      "not converged when the iterations were used up");
  add(names.plain("opt_last_dlnp", set), Type::float64, "",
      "last gain in log-probability of the patch");
  const auto number = [&](const char* stem, const char* text) {
    add(names.fitted(stem, set), Type::float64, "pix", text);
  };
  number("x_pix_patch", "fitted position in the patch");
  number("y_pix_patch", "fitted position in the patch");
  number("x_pix_white", "fitted position in the cropped frame, 0-based");
  number("y_pix_white", "fitted position in the cropped frame, 0-based");
  number("x_pix_err", "marginal error");
  number("y_pix_err", "marginal error");
}

void add_shape(const FitNames& names, const std::string& set, std::vector<Column>& c) {
  const auto number = [&](const char* stem, const char* unit, const char* text) {
    c.push_back({names.fitted(stem, set), Type::float64, unit, text});
  };
  number("sersic_n", "", "Sersic index");
  number("re_pix", "pix", "half-light radius along the major axis");
  number("ab", "", "axis ratio b/a");
  number("phi_deg", "deg", "major axis, counter-clockwise from +y");
  number("ELL", "", "1 - b/a");
  number("Re", "pix", "half-light radius");
  number("THETA", "deg", "major axis, counter-clockwise from +x");
  number("sersic_n_err", "", "marginal error");
  number("Re_err", "pix", "marginal error");
  number("ELL_err", "", "marginal error");
  number("THETA_err", "deg", "marginal error");
}

}  // namespace

std::vector<Column> fit_columns(const FitNames& names, const std::vector<std::string>& bands) {
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
      {"psf_fallback_reasons_json", Type::text, "", "band to reason"}};
  const std::vector<std::string> sets = names.sets(bands);
  for (const std::string& set : sets) {
    add_set(names, set, c);
  }
  c.push_back({"stype_fit", Type::text, "", "star, exp, dev or sersic"});
  for (const std::string& set : sets) {
    add_shape(names, set, c);
  }
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
  for (const std::string& set : sets) {
    c.push_back(
        {names.plain("flags", set), Type::int32, "",
         "bits: 1 at bound, 2 faint (shape held), 4 box limited, 8 degenerate with sky, 16 no "
         "data, 32 position and shape held, 64 inseparable, 128 TYPE unknown, 256 bad pixel at "
         "its centre in an image"});
  }
  return c;
}

}  // namespace skyloom::photometry
