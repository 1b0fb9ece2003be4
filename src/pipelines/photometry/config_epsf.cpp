#include "pipelines/photometry/config_epsf.hpp"

#include <string>
#include <utility>
#include <vector>

namespace skyloom::photometry {
namespace {

const std::vector<std::string> kEpsf{"epsf"};
const std::vector<std::string> kBackground{"background", "objects", "epsf"};
const std::vector<std::string> kFit{"fit"};

/// A key that has an effect for some methods only.
Key only_for(std::vector<std::string> methods, Key key) {
  key.effective_with = "epsf.method";
  key.effective_for = std::move(methods);
  return key;
}

Key only_classic(Key key) {
  return only_for({"anderson-king"}, std::move(key));
}

Key only_field(Key key) {
  return only_for({"epsf", "moffat"}, std::move(key));
}

Key only_full(Key key) {
  return only_for({"epsf"}, std::move(key));
}

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
  spec.add("epsf.max_stars_image", &k.max_stars_image,
           only_field(Key{.help = "PSF stars of an image; where cells have more, each gives fewer",
                          .min = 1,
                          .stages = kEpsf}));
  spec.add("epsf.detect_sigma", &k.detect_sigma,
           only_field(Key{
               .help = "detection threshold", .unit = "sigma", .min = 1, .stages = {"objects"}}));
  spec.add("epsf.locus_tolerance", &k.locus_tolerance,
           only_field(Key{.help = "relative width of the stars' locus in half-light radius",
                          .min = 0.01,
                          .max = 1,
                          .stages = kEpsf}));
  spec.add(
      "epsf.isolation_r50", &k.isolation_r50,
      only_field(Key{
          .help = "no neighbour within this many half-light radii", .min = 0, .stages = kEpsf}));
  spec.add("epsf.isolation_flux_frac", &k.isolation_flux_frac,
           only_field(Key{.help = "neighbours fainter than this share of the star do not count",
                          .min = 0,
                          .max = 1,
                          .stages = kEpsf}));
  spec.add(
      "epsf.background_subtract_patch", &k.background_subtract_patch,
      Key{.help = "subtract a mesh background before stars are sought", .stages = kBackground});
  spec.add("epsf.background_boxsize", &k.background_boxsize,
           Key{.help = "mesh of the background", .unit = "pix", .min = 8, .stages = kBackground});
  spec.add("epsf.background_filtersize", &k.background_filtersize,
           Key{.help = "median filter over the mesh", .min = 1, .stages = kBackground});
  spec.add("epsf.background_source_mask_sigma", &k.background_source_mask_sigma,
           Key{.help = "pixels above this are no background",
               .unit = "sigma",
               .min = 0.5,
               .stages = kBackground});
  spec.add("epsf.background_mask_dilate", &k.background_mask_dilate,
           Key{.help = "growth of that mask",
               .unit = "pix",
               .min = 0,
               .max = 20,
               .stages = kBackground});
  spec.add("epsf.star_local_bkg_annulus_rin_pix", &k.star_local_bkg_annulus_rin_pix,
           Key{.help = "a star's sky starts at the median beyond this radius; inner radius of the "
                       "annulus of anderson-king",
               .unit = "pix",
               .min = 1,
               .stages = kEpsf});
}

void declare_epsf_model(ConfigSpec& spec, Config& c) {
  epsf::Options& k = c.epsf.kernel;
  spec.add(
      "epsf.method", &k.method,
      Key{.help = "epsf = Moffat field, wing and core residual; moffat = without the last two; "
                  "anderson-king = stacked array per cell",
          .choices = {"epsf", "anderson-king", "moffat"},
          .stages = {"background", "objects", "epsf", "fit"}});
  spec.add("epsf.evaluate", &c.epsf.evaluate,
           Key{.help = "where the model is evaluated for the fit",
               .choices = {"source", "patch", "cell"},
               .stages = kFit});
  spec.add("epsf.oversamp", &c.epsf.oversamp,
           Key{.help = "samples per pixel of the PSF arrays of the fit; 0 = 1 for anderson-king, 2 "
                       "otherwise",
               .min = 0,
               .max = 8,
               .stages = kEpsf});
  spec.add("epsf.final_psf_size", &k.final_psf_size,
           Key{.help = "side of PSF stamps, odd",
               .unit = "pix",
               .min = 11,
               .max = 301,
               .stages = {"epsf", "patches"}});
  spec.add("epsf.cutout_size", &k.cutout_size,
           Key{.help = "side of star cut-outs, odd: pixels of anderson-king, pictures otherwise",
               .unit = "pix",
               .min = 11,
               .max = 301,
               .stages = kEpsf});
  spec.add("epsf.poly_order_max", &k.poly_order_max,
           only_field(
               Key{.help = "highest order of the shape's variation over the field; the data choose",
                   .min = 0,
                   .max = 2,
                   .stages = kEpsf}));
  spec.add("epsf.local_variation", &c.epsf.local_variation,
           only_full(Key{.help = "Gaussian process for small-scale variation",
                         .choices = {"auto", "off"},
                         .stages = kEpsf}));
  spec.add("epsf.residual", &c.epsf.residual,
           only_full(Key{.help = "wing and core residual by evidence",
                         .choices = {"auto", "off"},
                         .stages = kEpsf}));
  spec.add("epsf.residual_nodes_per_fwhm", &k.residual_nodes_per_fwhm,
           only_full(Key{
               .help = "spline nodes of the core residual", .min = 1, .max = 8, .stages = kEpsf}));
  spec.add("epsf.residual_radius_fwhm", &k.residual_radius_fwhm,
           only_full(Key{.help = "extent of the core residual",
                         .unit = "FWHM",
                         .min = 1,
                         .max = 5,
                         .stages = kEpsf}));
  spec.add(
      "epsf.wing_radius_pix", &k.wing_radius_pix,
      only_field(Key{
          .help = "last knot of the wing", .unit = "pix", .min = 10, .max = 300, .stages = kEpsf}));
  spec.add("epsf.use_saturated_wings", &k.use_saturated_wings,
           only_field(Key{.help = "saturated stars constrain the wing", .stages = kEpsf}));
  spec.add(
      "epsf.model_error_moffat", &k.model_error_moffat,
      only_field(Key{
          .help = "relative model error in the Moffat fit", .min = 0, .max = 1, .stages = kEpsf}));
  spec.add("epsf.model_error_shape", &k.model_error_shape,
           only_field(Key{
               .help = "the same in the shape refinement", .min = 0, .max = 1, .stages = kEpsf}));
  spec.add("epsf.model_error_residual", &k.model_error_residual,
           only_full(
               Key{.help = "the same in the residual solve", .min = 0, .max = 1, .stages = kEpsf}));
  spec.add("epsf.sky_prior_floor", &k.sky_prior_floor,
           only_full(Key{.help = "least width of the prior on a star's sky; 0 = no prior",
                         .unit = "sigma",
                         .min = 0,
                         .stages = kEpsf}));
  spec.add("epsf.reject_nsigma", &k.reject_nsigma,
           only_field(Key{
               .help = "rejection of stars by shape", .unit = "sigma", .min = 1, .stages = kEpsf}));
  spec.add(
      "epsf.rounds", &k.rounds,
      only_full(Key{
          .help = "rounds of residual, wing and star fits", .min = 1, .max = 10, .stages = kEpsf}));
  spec.add(
      "epsf.passes", &k.passes,
      only_full(Key{.help = "2: repeat the rounds after catalogued sources near the stars were "
                            "fitted and subtracted",
                    .min = 1,
                    .max = 2,
                    .stages = kEpsf}));
  spec.add("epsf.warn_flux_err", &k.warn_flux_err,
           only_full(
               Key{.help = "warn when the PSF's flux error is larger", .min = 0, .stages = kEpsf}));
}

void declare_classic_stars(ConfigSpec& spec, Config& c) {
  epsf::Options& k = c.epsf.kernel;
  spec.add("epsf.thresh_sigma", &k.thresh_sigma,
           only_classic(Key{.help = "threshold of the detection of PSF stars",
                            .unit = "sigma",
                            .min = 1,
                            .stages = kEpsf}));
  spec.add(
      "epsf.minarea", &k.minarea,
      only_classic(Key{.help = "least area above it", .unit = "pix", .min = 1, .stages = kEpsf}));
  spec.add("epsf.edge_pad", &k.edge_pad,
           only_classic(Key{.help = "PSF stars keep half a cut-out and this from the cell's edge",
                            .unit = "pix",
                            .min = 0,
                            .stages = kEpsf}));
  spec.add(
      "epsf.min_sep", &k.min_sep,
      only_classic(Key{
          .help = "least distance between PSF stars", .unit = "pix", .min = 0, .stages = kEpsf}));
  spec.add(
      "epsf.q_range", &k.q_range,
      only_classic(Key{
          .help = "axis ratios a/b of PSF stars, [least, largest]", .min = 0, .stages = kEpsf}));
  spec.add("epsf.gaia_snap_to_sep", &k.gaia_snap_to_sep,
           only_classic(Key{.help = "Gaia stars move to the nearest detection", .stages = kEpsf}));
  spec.add("epsf.gaia_forced_k_fwhm", &k.gaia_forced_k_fwhm,
           only_classic(Key{.help = "radius of the aperture of their signal-to-noise",
                            .unit = "FWHM",
                            .min = 0.1,
                            .stages = kEpsf}));
  spec.add(
      "epsf.gaia_forced_rmin_pix", &k.gaia_forced_rmin_pix,
      only_classic(Key{.help = "its least value", .unit = "pix", .min = 0.5, .stages = kEpsf}));
  spec.add(
      "epsf.gaia_forced_rmax_pix", &k.gaia_forced_rmax_pix,
      only_classic(Key{.help = "its largest value", .unit = "pix", .min = 0.5, .stages = kEpsf}));
  spec.add("epsf.gaia_seed_sat_r", &k.gaia_seed_sat_r,
           only_classic(Key{.help = "half side of the box in which their peak is sought",
                            .unit = "pix",
                            .min = 0,
                            .max = 1000,
                            .stages = kEpsf}));
}

void declare_classic_build(ConfigSpec& spec, Config& c) {
  epsf::Options& k = c.epsf.kernel;
  spec.add(
      "epsf.maxiters", &k.maxiters,
      only_classic(Key{
          .help = "most rounds of stacking and fitting", .min = 1, .max = 1000, .stages = kEpsf}));
  spec.add("epsf.do_clip", &k.do_clip,
           only_classic(Key{.help = "clip samples at 5 sigma over the stars", .stages = kEpsf}));
  spec.add("epsf.recenter_boxsize", &k.recenter_boxsize,
           only_classic(Key{.help = "box of the centroid, odd",
                            .unit = "pix",
                            .min = 3,
                            .max = 101,
                            .stages = kEpsf}));
  spec.add(
      "epsf.wing_model", &k.wing_model,
      only_classic(Key{.help = "radial = Moffat tail beyond the significant radius, neighbours "
                               "masked; none = as stacked",
                       .choices = {"none", "radial"},
                       .stages = kEpsf}));
  spec.add("epsf.interpolate", &c.epsf.interpolate,
           only_classic(Key{.help = "bilinear between the cells' centres instead of an array per "
                                    "cell",
                            .stages = kFit}));
  spec.add("epsf.star_local_bkg_subtract", &k.star_local_bkg_subtract,
           only_classic(Key{.help = "subtract a background of every star's own", .stages = kEpsf}));
  spec.add("epsf.star_local_bkg_annulus_rout_pix", &k.star_local_bkg_annulus_rout_pix,
           only_classic(Key{.help = "outer radius of its annulus; at most the cut-out's",
                            .unit = "pix",
                            .min = 1,
                            .stages = kEpsf}));
  spec.add("epsf.star_local_bkg_sigma", &k.star_local_bkg_sigma,
           only_classic(Key{
               .help = "clipping of the annulus", .unit = "sigma", .min = 0.5, .stages = kEpsf}));
  spec.add("epsf.star_local_bkg_minpix", &k.star_local_bkg_minpix,
           only_classic(Key{.help = "least pixels of the annulus; 0 is subtracted otherwise",
                            .min = 1,
                            .stages = kEpsf}));
}

void declare_epsf_pictures(ConfigSpec& spec, Config& c) {
  epsf::Options& k = c.epsf.kernel;
  spec.add("epsf.residual_diag_max_stars", &k.residual_diag_max_stars,
           Key{.help = "stars per cell in the residual diagnostics", .min = 1, .stages = kEpsf});
  spec.add(
      "epsf.save_star_montage_max", &k.save_star_montage_max,
      Key{.help = "stars per cell whose pixels are kept; 0 = none", .min = 0, .stages = kEpsf});
  spec.add("epsf.save_star_montage_max_image", &k.save_star_montage_max_image,
           only_field(Key{.help = "the same of an image; where cells have more, each keeps fewer",
                          .min = 1,
                          .stages = kEpsf}));
  spec.add("epsf.save_patch_background_diagnostics", &k.save_patch_background_diagnostics,
           only_classic(Key{.help = "keep binned images of every cell and its background",
                            .stages = kEpsf}));
  spec.add("epsf.save_star_local_background_diagnostics", &k.save_star_local_background_diagnostics,
           only_classic(Key{.help = "keep the annulus of every star kept", .stages = kEpsf}));
  spec.add("epsf.save_growth_curve", &k.save_growth_curve,
           Key{.help = "keep growth curves", .stages = kEpsf});
  spec.add("epsf.save_residual_diagnostics", &k.save_residual_diagnostics,
           Key{.help = "keep the median star and residual of every cell", .stages = kEpsf});
  spec.add("epsf.diagnostics_show_colorbar", &c.epsf.diagnostics_show_colorbar,
           Key{.help = "pictures of the ePSF in the report have a colour bar"});
}

}  // namespace

void declare_epsf(ConfigSpec& spec, Config& c) {
  spec.table("epsf", "Effective PSF per band, and the cells it is reported in.");
  spec.add("epsf.epsf_ngrid", &c.epsf.epsf_ngrid,
           Key{.help = "cells per axis", .min = 1, .stages = {"epsf", "patches"}});
  spec.add("epsf.ngrid", &c.epsf.ngrid,
           Key{.help = "patches per cell and axis", .min = 1, .stages = {"patches"}});
  spec.add("epsf.skip_empty_epsf_patches", &c.epsf.skip_empty_epsf_patches,
           Key{.help = "leave out cells without sources",
               .stages = {"background", "objects", "epsf", "patches"}});
  declare_epsf_stars(spec, c);
  declare_epsf_model(spec, c);
  declare_classic_stars(spec, c);
  declare_classic_build(spec, c);
  declare_epsf_pictures(spec, c);
}

}  // namespace skyloom::photometry
