#include "pipelines/photometry/config_fit.hpp"

#include <string>
#include <vector>

#include "pipelines/photometry/config_pictures.hpp"

namespace skyloom::photometry {
namespace {

const std::vector<std::string> kFit{"fit"};
const std::vector<std::string> kCatalogue{"catalogue"};

void declare_psf(ConfigSpec& spec, Config& c) {
  Config::PatchRun& p = c.patch_run;
  spec.add("patch_run.psf_model", &p.psf_model,
           Key{.help = "what an ePSF or a given PSF is fitted as: the stamp itself; the stamp, but "
                       "for the very wide parts of galaxies Gaussians fitted to it; only Gaussians",
               .choices = {"pixelized", "hybrid", "gaussian_mixture_from_stamp"},
               .stages = kFit});
  spec.add("patch_run.hybrid_psf_n", &p.hybrid_psf_n,
           Key{.help = "Gaussians fitted to a PSF by psf_model = \"hybrid\"",
               .min = 1,
               .max = 20,
               .stages = kFit});
  spec.add("patch_run.gaussian_mixture_n", &p.gaussian_mixture_n,
           Key{.help = "Gaussians fitted to a PSF by psf_model = \"gaussian_mixture_from_stamp\" "
                       "and psf_fallback_model = \"gaussian_mixture\"",
               .min = 1,
               .max = 20,
               .stages = kFit});
  spec.add("patch_run.min_epsf_nstars_for_use", &p.min_epsf_nstars_for_use,
           Key{.help = "least PSF stars of a band; fewer = fallback PSF; 0 = any",
               .min = 0,
               .stages = kFit});
  spec.add("patch_run.psf_fallback_model", &p.psf_fallback_model,
           Key{.help = "PSF of a band without usable ePSF",
               .choices = {"moffat", "ncircular_gaussian", "gaussian_mixture"},
               .stages = kFit});
  spec.add("patch_run.galaxy_psf_fallback", &p.galaxy_psf_fallback,
           Key{.help = "galaxies of a band with the Moffat fallback: its stamp, or three Gaussians "
                       "fitted to it (1 % off at the centre)",
               .choices = {"stamp", "mixture"},
               .stages = kFit});
  spec.add("patch_run.ncircular_gaussian_n", &p.ncircular_gaussian_n,
           Key{.help = "terms of the Gaussian fallback", .min = 1, .max = 3, .stages = kFit});
  spec.add("patch_run.fallback_default_fwhm_pix", &p.fallback_default_fwhm_pix,
           Key{.help = "FWHM of the fallback without PEEING and SEEING",
               .unit = "pix",
               .min = 1,
               .stages = kFit});
  spec.add("patch_run.fallback_stamp_radius_pix", &p.fallback_stamp_radius_pix,
           Key{.help = "radius of the stamp of the Gaussian fallbacks",
               .unit = "pix",
               .min = 3,
               .max = 300,
               .stages = kFit});
  spec.table("moffat_psf", "The Moffat fallback PSF.");
  spec.add("moffat_psf.beta", &c.moffat_psf.beta,
           Key{.help = "exponent", .min = 1.01, .max = 20, .stages = {"epsf", "fit"}});
  spec.add("moffat_psf.radius_pix", &c.moffat_psf.radius_pix,
           Key{.help = "stamp radius", .unit = "pix", .min = 3, .max = 300, .stages = kFit});
}

}  // namespace

void declare_fit(ConfigSpec& spec, Config& c) {
  Config::PatchRun& p = c.patch_run;
  spec.table("patch_run", "The simultaneous fit of all sources of a patch in all bands.");
  spec.add("patch_run.enable_multi_band_simultaneous_fitting",
           &p.enable_multi_band_simultaneous_fitting,
           Key{.help = "positions and shapes shared by all bands; false = every band by itself",
               .stages = {"fit", "catalogue"}});
  spec.add(
      "patch_run.sky", &p.sky,
      Key{.help = "sky of a patch: from all patches of the image as far as they agree, or each "
                  "patch's own",
          .choices = {"combined", "patch"},
          .stages = kCatalogue});
  spec.add("patch_run.forced", &p.forced,
           Key{.help = "positions and shapes held at the catalogue's, one flux per image (table "
                       "/forced)",
               .stages = {"fit", "catalogue"}});
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
  declare_cutouts(spec, c);
  declare_psf(spec, c);
  spec.table("merge", "");
  spec.add("merge.wcs_fits", &c.merge_wcs_fits,
           Key{.help = "FITS file whose WCS gives RA_fit and DEC_fit; empty = the first image",
               .stages = kCatalogue,
               .input_path = true});
}

}  // namespace skyloom::photometry
