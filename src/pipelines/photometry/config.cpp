#include "pipelines/photometry/config.hpp"

#include <cmath>

#include "pipelines/photometry/config_epsf.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/core/table.hpp"

namespace skyloom::photometry {
namespace {

// Which stages depend on a key. A key of an early stage reaches the later ones through its product.
const std::vector<std::string> kFrames{"frames"};
const std::vector<std::string> kPixels{"frames", "epsf", "fit"};
const std::vector<std::string> kEpsf{"epsf"};
const std::vector<std::string> kPatches{"patches"};
const std::vector<std::string> kFit{"fit"};
const std::vector<std::string> kCatalogue{"catalogue"};
const std::vector<std::string> kZeropoint{"zeropoint"};

void declare_image(ConfigSpec& spec, ImageEntry& image) {
  spec.add("file", &image.file, Key{.help = "FITS image", .stages = kPixels, .input_path = true});
  spec.add(
      "hdu", &image.hdu,
      Key{.help = "HDU of the image, 0-based; -1 = the first that holds a 2-D image", .min = -1});
  spec.add("invvar", &image.invvar,
           Key{.help = "inverse-variance image; SKYSIG is not needed then; values below 0.1 of the "
                       "median are masked",
               .unit = "adu**-2",
               .input_path = true});
  spec.add("invvar_hdu", &image.invvar_hdu, Key{.help = "HDU of the inverse variance", .min = -1});
  spec.add("psf", &image.psf,
           Key{.help = "PSFEx file or FITS stamp (card OVERSAMP) in place of the ePSF",
               .input_path = true});
  spec.add(
      "psf_origin_pix", &image.psf_origin_pix,
      Key{.help = "position of this image's first pixel in the frame the PSF model was made on",
          .unit = "pix"});
  spec.add("filter", &image.filter, Key{.help = "band; empty = card FILTER"});
  spec.add("zp", &image.zp, Key{.help = "zero point; nan = card ZP_AUTO", .unit = "mag"});
  spec.add("skysig_adu", &image.skysig_adu,
           Key{.help = "sky noise per pixel; nan = card SKYSIG", .unit = "adu"});
  spec.add("egain", &image.egain, Key{.help = "gain; nan = card EGAIN", .unit = "electron/adu"});
  spec.add("saturate_adu", &image.saturate_adu,
           Key{.help = "saturation level; nan = card SATURATE", .unit = "adu"});
  spec.add("sky", &image.sky,
           Key{.help = "\"fit\" = a free constant per patch; a number is subtracted and held",
               .unit = "adu",
               .number_as_text = true});
}

void declare_inputs(ConfigSpec& spec, Config& c) {
  spec.table("inputs", "What is measured. Relative paths are relative to this file.");
  spec.add("inputs.tile_name", &c.inputs.tile_name, Key{.help = "label of the field"});
  spec.add("inputs.input_catalog", &c.inputs.input_catalog,
           Key{.help = "source catalogue (CSV: RA, DEC, ID, TYPE, FLUX_<band>, ELL, THETA, Re)",
               .stages = kFrames,
               .input_path = true});
  spec.add("inputs.image_list_file", &c.inputs.image_list_file,
           Key{.help = "text file with one image per line, or use [[inputs.images]]",
               .stages = kPixels,
               .input_path = true});
  spec.add_tables<ImageEntry>(
      "inputs.images", c.inputs.images,
      Key{.help = "images with their own settings, in place of the list", .stages = kPixels},
      declare_image);
  spec.add("inputs.gaiaxp_synphot_csv", &c.inputs.gaiaxp_synphot_csv,
           Key{.help = "Gaia XP synthetic photometry (CSV: source_id, ra, dec, phot_g_mean_mag, "
                       "mag_<band>) for PSF stars and zero points; empty = none",
               .stages = {"frames", "epsf", "zeropoint"},
               .input_path = true});
  spec.add("inputs.truth", &c.inputs.truth,
           Key{.help = "true values of a simulated field (CSV), compared in the report",
               .input_path = true});
  spec.table("outputs", "Where results go, relative to the run directory.");
  spec.add("outputs.work_dir", &c.outputs.work_dir,
           Key{.help = "run directory; --out wins; empty = NAME.run beside NAME.toml",
               .input_path = true});
  spec.add("outputs.final_catalog", &c.outputs.final_catalog, Key{.help = "final catalogue (CSV)"});
  spec.add("outputs.epsf_dir", &c.outputs.epsf_dir, Key{.help = "folder of epsf_summary.json"});
  spec.add("outputs.patches_dir", &c.outputs.patches_dir,
           Key{.help = "folder of patches.csv and patches.json"});
}

void declare_frames(ConfigSpec& spec, Config& c) {
  spec.table("image_scaling", "");
  spec.add(
      "image_scaling.zp_ref", &c.zp_ref,
      Key{.help = "zero point that all images are scaled to", .unit = "mag", .stages = kPixels});
  spec.table("crop", "The part of the images that is used.");
  spec.add("crop.enabled", &c.crop.enabled, Key{.help = "cut the borders", .stages = kPixels});
  spec.add("crop.margin", &c.crop.margin,
           Key{.help = "cut on every side", .unit = "pix", .min = 0, .stages = kPixels});
  spec.table("checks", "What is demanded of the images.");
  spec.add("checks.require_wcs_alignment", &c.checks.require_wcs_alignment,
           Key{.help = "all images on the grid of the first; false = their pixels are taken as "
                       "aligned unchecked",
               .stages = kFrames});
  spec.add(
      "checks.require_same_shape", &c.checks.require_same_shape,
      Key{.help = "all images of one size; false = pixels that an image lacks are masked in it",
          .stages = kFrames});
  spec.table("checks.wcs_tolerance", "Largest absolute differences of the WCS.");
  const auto tolerance = [&](const char* name, double* field, const char* unit) {
    spec.add(std::string("checks.wcs_tolerance.") + name, field,
             Key{.help = "of " + upper(name), .unit = unit, .min = 0, .stages = kFrames});
  };
  tolerance("crval", &c.checks.crval, "deg");
  tolerance("crpix", &c.checks.crpix, "pix");
  tolerance("cd", &c.checks.cd, "deg/pix");
  tolerance("cdelt", &c.checks.cdelt, "deg/pix");
  spec.table("source_saturation_cut",
             "Sources next to saturated pixels are flagged and not fitted.");
  spec.add("source_saturation_cut.enabled", &c.saturation_cut.enabled,
           Key{.help = "apply the cut", .stages = kFrames});
  spec.add("source_saturation_cut.radius_pix", &c.saturation_cut.radius_pix,
           Key{.help = "radius searched", .unit = "pix", .min = 0, .max = 500, .stages = kFrames});
  spec.add("source_saturation_cut.require_all_bands", &c.saturation_cut.require_all_bands,
           Key{.help = "flag only when every band is saturated there", .stages = kFrames});
}

void declare_patches(ConfigSpec& spec, Config& c) {
  declare_epsf(spec, c);
  spec.table("patches", "The fitting patches.");
  spec.add("patches.halo_pix_min", &c.halo_pix_min,
           Key{.help = "least width of the halo around a patch",
               .unit = "pix",
               .min = 0,
               .stages = kPatches});
  spec.table("patch_inputs", "");
  spec.add("patch_inputs.skip_empty_patch", &c.skip_empty_patch,
           Key{.help = "leave out patches without sources", .stages = kPatches});
}

void declare_fit(ConfigSpec& spec, Config& c) {
  Config::PatchRun& p = c.patch_run;
  spec.table("patch_run", "The simultaneous fit of all sources of a patch in all bands.");
  spec.add("patch_run.gal_model", &p.gal_model,
           Key{.help = "model of sources whose TYPE is GAL, empty or unknown",
               .choices = {"dev", "exp", "sersic", "star"},
               .stages = kFit});
  spec.add("patch_run.n_opt_iters", &p.n_opt_iters,
           Key{.help = "most outer iterations", .min = 1, .max = 10000, .stages = kFit});
  spec.add(
      "patch_run.dlnp_stop", &p.dlnp_stop,
      Key{.help = "gain in log-probability below which a solve ends", .min = 0, .stages = kFit});
  spec.add("patch_run.sersic_n_init", &p.sersic_n_init,
           Key{.help = "starting Sersic index", .min = 0.29, .max = 6.3, .stages = kFit});
  spec.add("patch_run.re_fallback_pix", &p.re_fallback_pix,
           Key{.help = "starting half-light radius where the catalogue has none",
               .unit = "pix",
               .min = 0.3,
               .max = 100,
               .stages = kFit});
  spec.add("patch_run.noise", &p.noise,
           Key{.help = "weights: sky noise only, or with the variance of the model",
               .choices = {"sky", "total"},
               .stages = kFit});
  spec.add("patch_run.shape_prior", &p.shape_prior,
           Key{.help = "weak Gaussian around the starting position and shape, or none",
               .choices = {"weak", "none"},
               .stages = kFit});
  spec.add("patch_run.solver", &p.solver,
           Key{.help = "TAO BNLS on our normal matrix, or our own Levenberg-Marquardt",
               .choices = {"bnls", "lm"},
               .stages = kFit});
  spec.add("patch_run.truncation_sigma", &p.truncation_sigma,
           Key{.help = "significance of the light that a source's stamp may leave out",
               .unit = "sigma",
               .min = 0.001,
               .max = 1,
               .stages = kFit});
  spec.add("patch_run.model_halo_sources", &p.model_halo_sources,
           Key{.help = "model, but do not report, sources around the patch", .stages = kFit});
  spec.add("patch_run.flag_maxiter_margin", &p.flag_maxiter_margin,
           Key{.help = "iterations below the limit that already count as having hit it",
               .min = 0,
               .stages = kFit});
  spec.add("patch_run.no_patch_overview", &p.no_patch_overview,
           Key{.help = "do not keep the white model image for pictures", .stages = kFit});
  spec.add("patch_run.min_epsf_nstars_for_use", &p.min_epsf_nstars_for_use,
           Key{.help = "least PSF stars of a band; fewer = fallback PSF; 0 = any",
               .min = 0,
               .stages = kFit});
  spec.add("patch_run.psf_fallback_model", &p.psf_fallback_model,
           Key{.help = "PSF of a band without usable ePSF",
               .choices = {"moffat", "ncircular_gaussian"},
               .stages = kFit});
  spec.add("patch_run.ncircular_gaussian_n", &p.ncircular_gaussian_n,
           Key{.help = "terms of the Gaussian fallback", .min = 1, .max = 3, .stages = kFit});
  spec.add("patch_run.fallback_default_fwhm_pix", &p.fallback_default_fwhm_pix,
           Key{.help = "FWHM of the fallback without PEEING and SEEING",
               .unit = "pix",
               .min = 1,
               .stages = kFit});
  spec.add("patch_run.fallback_stamp_radius_pix", &p.fallback_stamp_radius_pix,
           Key{.help = "radius of the Gaussian fallback",
               .unit = "pix",
               .min = 3,
               .max = 300,
               .stages = kFit});
  spec.table("moffat_psf", "The Moffat fallback PSF.");
  spec.add("moffat_psf.beta", &c.moffat_psf.beta,
           Key{.help = "exponent", .min = 1.01, .max = 20, .stages = {"epsf", "fit"}});
  spec.add("moffat_psf.radius_pix", &c.moffat_psf.radius_pix,
           Key{.help = "stamp radius", .unit = "pix", .min = 3, .max = 300, .stages = kFit});
  spec.table("merge", "");
  spec.add("merge.wcs_fits", &c.merge_wcs_fits,
           Key{.help = "FITS file whose WCS gives RA_fit and DEC_fit; empty = the first image",
               .stages = kCatalogue,
               .input_path = true});
}

void declare_zero_point(ConfigSpec& spec, Config& c) {
  Config::ZeroPoint& zp = c.zp;
  spec.table("zp",
             "Zero points from Gaia stars, which also complete the catalogue before the fit. Needs "
             "inputs.gaiaxp_synphot_csv.");
  spec.add("zp.enabled", &zp.enabled,
           Key{.help = "complete the catalogue with Gaia stars and measure zero points",
               .stages = {"frames", "zeropoint"}});
  spec.add("zp.inject_gaia_sources", &zp.inject_gaia_sources,
           Key{.help = "Gaia stars that the catalogue lacks become sources", .stages = kFrames});
  spec.add("zp.gaia_mag_min", &zp.gaia_mag_min,
           Key{.help = "brightest Gaia star, G magnitude", .unit = "mag", .stages = kFrames});
  spec.add("zp.gaia_mag_max", &zp.gaia_mag_max,
           Key{.help = "faintest Gaia star, G magnitude", .unit = "mag", .stages = kFrames});
  spec.add("zp.match_radius_arcsec", &zp.match_radius_arcsec,
           Key{.help = "largest separation of a source from its Gaia star",
               .unit = "arcsec",
               .min = 0,
               .max = 3600,
               .stages = kFrames});
  spec.add("zp.min_box_size_pix", &zp.min_box_size_pix,
           Key{.help = "least side of the square around the sources where Gaia stars are taken",
               .unit = "pix",
               .min = 1,
               .stages = kFrames});
  spec.add("zp.clip_sigma", &zp.clip_sigma,
           Key{.help = "stars further from the median are clipped",
               .unit = "sigma",
               .min = 0.1,
               .stages = kZeropoint});
  spec.add("zp.clip_max_iters", &zp.clip_max_iters,
           Key{.help = "most rounds of clipping; 0 = none", .min = 0, .stages = kZeropoint});
}

void declare_ignored(ConfigSpec& spec) {
  for (const char* key : {"performance.frame_prep_workers", "performance.white_stack_workers",
                          "epsf.parallel_bands", "epsf.max_workers", "patch_inputs.max_workers",
                          "patch_run.max_workers", "patch_run.threads_per_process"}) {
    spec.ignore(key, "ranks come from mpirun");
  }
  spec.ignore("patch_run.resume", "every run resumes");
  spec.ignore("patch_run.python_exe", "no Python");
  spec.ignore("patch_inputs.keep_payloads_in_memory", "pixels are read as needed");
  spec.ignore("moffat_psf.fwhm_default_pix", "legacy");
  spec.ignore("moffat_psf.module_path", "legacy");
  spec.ignore("merge.pattern", "rows come from fit.h5");
  for (const char* key :
       {"crop.overlay_downsample_crop", "crop.overlay_crop_box", "crop.overlay_crop_enabled"}) {
    spec.ignore(key, "without effect");
  }
}

}  // namespace

void declare(ConfigSpec& spec, Config& c) {
  spec.bind_base_folder(&c.base_folder);
  declare_inputs(spec, c);
  declare_frames(spec, c);
  declare_patches(spec, c);
  declare_fit(spec, c);
  declare_zero_point(spec, c);
  declare_ignored(spec);
}

void check(const Config& c) {
  if (c.inputs.input_catalog.empty()) {
    throw ConfigError("inputs.input_catalog", "missing", "expected a CSV file");
  }
  if (c.inputs.images.empty() == c.inputs.image_list_file.empty()) {
    throw ConfigError("inputs.image_list_file",
                      c.inputs.images.empty() ? "missing" : "given together with [[inputs.images]]",
                      "expected either a list file or [[inputs.images]] tables");
  }
  for (std::size_t i = 0; i < c.inputs.images.size(); ++i) {
    const ImageEntry& image = c.inputs.images[i];
    const std::string where = "inputs.images[" + std::to_string(i) + "]";
    if (image.file.empty()) {
      throw ConfigError(where + ".file", "missing", "expected a FITS image");
    }
    if (image.psf_origin_pix.size() != 2) {
      throw ConfigError(where + ".psf_origin_pix", "wrong length", "expected [x, y]");
    }
    if (image.sky != "fit" && !std::isfinite(to_number(image.sky))) {
      throw ConfigError(where + ".sky", "value \"" + image.sky + "\" is not allowed",
                        "expected \"fit\" or a number");
    }
  }
  if (!(c.zp.gaia_mag_min <= c.zp.gaia_mag_max)) {
    throw ConfigError("zp.gaia_mag_min",
                      "value " + shortest(c.zp.gaia_mag_min) + " is above zp.gaia_mag_max",
                      "expected at most " + shortest(c.zp.gaia_mag_max));
  }
  for (const auto& [name, size] : {std::pair{"epsf.final_psf_size", c.epsf.kernel.final_psf_size},
                                   std::pair{"epsf.cutout_size", c.epsf.kernel.cutout_size}}) {
    if (size % 2 == 0) {
      throw ConfigError(name, "value " + std::to_string(size) + " is even",
                        "expected an odd number");
    }
  }
}

}  // namespace skyloom::photometry
