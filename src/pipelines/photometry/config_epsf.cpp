#include "pipelines/photometry/config_epsf.hpp"

#include <string>
#include <vector>

namespace skyloom::photometry {
namespace {

const std::vector<std::string> kEpsf{"epsf"};
const std::vector<std::string> kFit{"fit"};

void declare_epsf_stars(ConfigSpec& spec, Config& c) {
  epsf::Options& k = c.epsf.kernel;
  spec.add("epsf.use_gaiaxp", &c.epsf.use_gaiaxp,
           Key{.help = "use the Gaia table to find PSF stars", .stages = kEpsf});
  spec.add("epsf.psfstar_mode", &k.psfstar_mode,
           Key{.help = "where PSF stars come from",
               .choices = {"sep", "gaia", "sep+gaia"},
               .stages = kEpsf});
  spec.add("epsf.gaia_mag_min", &k.gaia_mag_min,
           Key{.help = "brightest Gaia star", .unit = "mag", .stages = kEpsf});
  spec.add("epsf.gaia_mag_max", &k.gaia_mag_max,
           Key{.help = "faintest Gaia star", .unit = "mag", .stages = kEpsf});
  spec.add("epsf.gaia_snr_min", &k.gaia_snr_min,
           Key{.help = "least signal-to-noise of a PSF star", .min = 1, .stages = kEpsf});
  spec.add("epsf.gaia_match_r_pix", &k.gaia_match_r_pix,
           Key{.help = "match radius of detections with Gaia and with the catalogue",
               .unit = "pix",
               .min = 0,
               .stages = kEpsf});
  spec.add("epsf.gaia_seed_sat_div", &k.gaia_seed_sat_div,
           Key{.help = "peaks of PSF stars stay below saturation divided by this",
               .min = 1,
               .stages = kEpsf});
  spec.add("epsf.reject_galaxies", &k.reject_galaxies,
           Key{.help = "no PSF star where the catalogue has a galaxy", .stages = kEpsf});
  spec.add("epsf.max_stars", &k.max_stars,
           Key{.help = "PSF stars per cell", .min = 1, .stages = kEpsf});
  spec.add("epsf.detect_sigma", &k.detect_sigma,
           Key{.help = "detection threshold", .unit = "sigma", .min = 1, .stages = kEpsf});
  spec.add("epsf.locus_tolerance", &k.locus_tolerance,
           Key{.help = "relative width of the stars' locus in half-light radius",
               .min = 0.01,
               .max = 1,
               .stages = kEpsf});
  spec.add(
      "epsf.isolation_r50", &k.isolation_r50,
      Key{.help = "no neighbour within this many half-light radii", .min = 0, .stages = kEpsf});
  spec.add("epsf.isolation_flux_frac", &k.isolation_flux_frac,
           Key{.help = "neighbours fainter than this share of the star do not count",
               .min = 0,
               .max = 1,
               .stages = kEpsf});
  spec.add("epsf.background_subtract_patch", &k.background_subtract_patch,
           Key{.help = "subtract a mesh background before stars are sought", .stages = kEpsf});
  spec.add("epsf.background_boxsize", &k.background_boxsize,
           Key{.help = "mesh of the background", .unit = "pix", .min = 8, .stages = kEpsf});
  spec.add("epsf.background_filtersize", &k.background_filtersize,
           Key{.help = "median filter over the mesh", .min = 1, .stages = kEpsf});
  spec.add("epsf.background_source_mask_sigma", &k.background_source_mask_sigma,
           Key{.help = "pixels above this are no background",
               .unit = "sigma",
               .min = 0.5,
               .stages = kEpsf});
  spec.add("epsf.background_mask_dilate", &k.background_mask_dilate,
           Key{.help = "growth of that mask", .unit = "pix", .min = 0, .max = 20, .stages = kEpsf});
  spec.add("epsf.star_local_bkg_annulus_rin_pix", &k.star_local_bkg_annulus_rin_pix,
           Key{.help = "a star's sky starts at the median beyond this radius",
               .unit = "pix",
               .min = 1,
               .stages = kEpsf});
}

void declare_epsf_model(ConfigSpec& spec, Config& c) {
  epsf::Options& k = c.epsf.kernel;
  spec.add("epsf.method", &k.method,
           Key{.help = "epsf = Moffat field, wing and core residual; moffat = without the last two",
               .choices = {"epsf", "moffat"},
               .stages = kEpsf});
  spec.add("epsf.evaluate", &c.epsf.evaluate,
           Key{.help = "where the model is evaluated for the fit",
               .choices = {"source", "patch", "cell"},
               .stages = kFit});
  spec.add("epsf.oversamp", &k.oversamp,
           Key{.help = "samples per pixel of the PSF tables of the fit",
               .min = 1,
               .max = 8,
               .stages = kEpsf});
  spec.add("epsf.final_psf_size", &k.final_psf_size,
           Key{.help = "side of PSF stamps, odd",
               .unit = "pix",
               .min = 11,
               .max = 301,
               .stages = kEpsf});
  spec.add("epsf.cutout_size", &k.cutout_size,
           Key{.help = "side of star cut-outs kept for pictures, odd",
               .unit = "pix",
               .min = 11,
               .max = 301,
               .stages = kEpsf});
  spec.add("epsf.poly_order_max", &k.poly_order_max,
           Key{.help = "highest order of the shape's variation over the field; the data choose",
               .min = 0,
               .max = 2,
               .stages = kEpsf});
  spec.add("epsf.local_variation", &c.epsf.local_variation,
           Key{.help = "Gaussian process for small-scale variation",
               .choices = {"auto", "off"},
               .stages = kEpsf});
  spec.add("epsf.residual", &c.epsf.residual,
           Key{.help = "wing and core residual by evidence",
               .choices = {"auto", "off"},
               .stages = kEpsf});
  spec.add("epsf.residual_nodes_per_fwhm", &k.residual_nodes_per_fwhm,
           Key{.help = "spline nodes of the core residual", .min = 1, .max = 8, .stages = kEpsf});
  spec.add("epsf.residual_radius_fwhm", &k.residual_radius_fwhm,
           Key{.help = "extent of the core residual",
               .unit = "FWHM",
               .min = 1,
               .max = 5,
               .stages = kEpsf});
  spec.add(
      "epsf.wing_radius_pix", &k.wing_radius_pix,
      Key{.help = "last knot of the wing", .unit = "pix", .min = 10, .max = 300, .stages = kEpsf});
  spec.add("epsf.use_saturated_wings", &k.use_saturated_wings,
           Key{.help = "saturated stars constrain the wing", .stages = kEpsf});
  spec.add(
      "epsf.model_error_moffat", &k.model_error_moffat,
      Key{.help = "relative model error in the Moffat fit", .min = 0, .max = 1, .stages = kEpsf});
  spec.add("epsf.model_error_shape", &k.model_error_shape,
           Key{.help = "the same in the shape refinement", .min = 0, .max = 1, .stages = kEpsf});
  spec.add("epsf.model_error_residual", &k.model_error_residual,
           Key{.help = "the same in the residual solve", .min = 0, .max = 1, .stages = kEpsf});
  spec.add("epsf.sky_prior_floor", &k.sky_prior_floor,
           Key{.help = "least width of the prior on a star's sky; 0 = no prior",
               .unit = "sigma",
               .min = 0,
               .stages = kEpsf});
  spec.add("epsf.reject_nsigma", &k.reject_nsigma,
           Key{.help = "rejection of stars by shape", .unit = "sigma", .min = 1, .stages = kEpsf});
  spec.add(
      "epsf.rounds", &k.rounds,
      Key{.help = "rounds of residual, wing and star fits", .min = 1, .max = 10, .stages = kEpsf});
  spec.add("epsf.passes", &k.passes,
           Key{.help = "2: repeat the rounds after catalogued sources near the stars were fitted "
                       "and subtracted",
               .min = 1,
               .max = 2,
               .stages = kEpsf});
  spec.add("epsf.residual_diag_max_stars", &k.residual_diag_max_stars,
           Key{.help = "stars in the residual diagnostics", .min = 1, .stages = kEpsf});
  spec.add("epsf.warn_flux_err", &k.warn_flux_err,
           Key{.help = "warn when the PSF's flux error is larger", .min = 0, .stages = kEpsf});
}

}  // namespace

void declare_epsf(ConfigSpec& spec, Config& c) {
  spec.table("epsf", "Effective PSF per band, and the cells it is reported in.");
  spec.add("epsf.epsf_ngrid", &c.epsf.epsf_ngrid,
           Key{.help = "cells per axis", .min = 1, .stages = {"epsf", "patches"}});
  spec.add("epsf.ngrid", &c.epsf.ngrid,
           Key{.help = "patches per cell and axis", .min = 1, .stages = {"patches"}});
  spec.add("epsf.skip_empty_epsf_patches", &c.epsf.skip_empty_epsf_patches,
           Key{.help = "leave out cells without sources", .stages = {"epsf", "patches"}});
  declare_epsf_stars(spec, c);
  declare_epsf_model(spec, c);
}

}  // namespace skyloom::photometry
