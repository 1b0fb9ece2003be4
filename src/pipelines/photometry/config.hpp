#pragma once
// Configuration of the photometry pipeline: one field per TOML key, with its default.

#include <limits>
#include <span>
#include <string>
#include <vector>

#include "pipelines/photometry/epsf/kernel.hpp"
#include "pipelines/photometry/fit/kernel.hpp"
#include "skyloom/core/config.hpp"

namespace skyloom::photometry {

/// One [[inputs.images]] table. NaN and "" mean: as the header says.
struct ImageEntry {
  std::string file;
  int hdu = -1;
  std::string invvar;
  int invvar_hdu = -1;
  std::string mask;
  int mask_hdu = -1;
  std::int64_t mask_bits = 0;
  std::string psf;
  std::vector<double> psf_origin_pix{0.0, 0.0};
  std::string filter;
  double zp = std::numeric_limits<double>::quiet_NaN();
  double skysig_adu = std::numeric_limits<double>::quiet_NaN();
  double egain = std::numeric_limits<double>::quiet_NaN();
  double saturate_adu = std::numeric_limits<double>::quiet_NaN();
  double blank_adu = std::numeric_limits<double>::quiet_NaN();
  double fwhm_pix = std::numeric_limits<double>::quiet_NaN();
  double mjd = std::numeric_limits<double>::quiet_NaN();
  std::string sky_model;
  std::string sky = "fit";  ///< "fit", or a number in ADU
};

/// What belongs to one field: a [[fields]] table, a row of inputs.fields_file, or [inputs] itself.
struct FieldEntry {
  std::string tile_name;
  std::string input_catalog;
  std::string image_list_file;
  std::string gaiaxp_synphot_csv;
  std::vector<ImageEntry> images;
};

struct Config {
  std::string
      base_folder;  ///< of the configuration file: paths in the image list are relative to it

  struct Inputs : FieldEntry {
    Inputs() { tile_name = "field"; }
    std::string truth;
    std::string fields_file;
  } inputs;

  std::vector<FieldEntry> fields;  ///< with those of inputs.fields_file; empty = [inputs] is one

  struct Outputs {
    std::string work_dir;
    std::string final_catalog = "output_catalog.csv";
    std::string epsf_dir = "EPSFs";
    std::string patches_dir = "patches";
    std::string tractor_out_dir = "outputs";
    std::string fit_out_dir;
  } outputs;

  double zp_ref = 25.0;

  struct Crop {
    bool enabled = true;
    int margin = 500;
    bool plot_pre_crop = true;
    int display_downsample = 4;
    int post_crop_display_downsample = 4;
    bool overlay_catalog = true;
    int overlay_downsample_full = 4;
  } crop;

  int plotting_dpi = 300;

  struct Checks {
    bool require_wcs_alignment = true;
    bool require_same_shape = true;
    double crval = 1e-6;
    double crpix = 1e-6;
    double cd = 1e-9;
    double cdelt = 1e-9;
  } checks;

  struct SaturationCut {
    bool enabled = true;
    double radius_pix = 20.0;
    bool require_all_bands = false;
  } saturation_cut;

  struct Epsf {
    bool use_gaiaxp = true;
    int epsf_ngrid = 7;
    int ngrid = 6;
    bool skip_empty_epsf_patches = true;
    std::string evaluate = "source";
    std::string local_variation = "auto";
    std::string residual = "auto";
    int oversamp = 0;          ///< 0 = 1 for anderson-king, 2 otherwise
    bool interpolate = false;  ///< arrays of cells bilinear between their centres
    bool diagnostics_show_colorbar = true;
    epsf::Options kernel;
  } epsf;

  int halo_pix_min = 20;

  struct PatchInputs {
    bool save_patch_inputs = false;
    bool skip_empty_patch = true;
    bool include_wcs_in_payload = false;
    int gzip_compresslevel = 1;
  } patch_inputs;

  struct PatchRun {
    bool enable_multi_band_simultaneous_fitting = true;
    bool forced = false;
    std::string sky = "combined";
    std::string gal_model = "exp";
    int n_opt_iters = 60;
    double dlnp_stop = 1e-6;
    double sersic_n_init = 3.0;
    double re_fallback_pix = 3.0;
    std::string psf_model = "pixelized";
    int hybrid_psf_n = 9;
    int gaussian_mixture_n = 4;
    std::string psf_fallback_model = "moffat";
    std::string galaxy_psf_fallback = "stamp";
    int min_epsf_nstars_for_use = 2;
    int ncircular_gaussian_n = 3;
    double fallback_default_fwhm_pix = 4.0;
    double fallback_stamp_radius_pix = 25.0;
    int flag_maxiter_margin = 0;
    std::string noise = "sky";
    std::string shape_prior = "weak";
    std::string solver = "bnls";
    bool model_halo_sources = true;
    double truncation_sigma = 0.1;
    bool no_patch_overview = false;
    int cutout_size = 100;
    int cutout_max_sources = 0;
    int cutout_start = 0;
    double cutout_data_p_lo = 1.0;
    double cutout_data_p_hi = 99.0;
    double cutout_model_p_lo = 1.0;
    double cutout_model_p_hi = 99.0;
    double cutout_resid_p_abs = 99.0;
    bool no_cutouts = false;
  } patch_run;

  struct MoffatPsf {
    double beta = 3.5;
    double radius_pix = 25.0;
  } moffat_psf;

  std::string merge_wcs_fits;

  struct ZeroPoint {
    bool enabled = true;
    bool inject_gaia_sources = true;
    double gaia_mag_min = 8.0;
    double gaia_mag_max = 18.0;
    double match_radius_arcsec = 3.0;
    int min_box_size_pix = 3000;
    double clip_sigma = 3.0;
    int clip_max_iters = 10;
  } zp;

  /// Folder of the exports that belong to the fit.
  [[nodiscard]] const std::string& fit_folder() const {
    return outputs.fit_out_dir.empty() ? outputs.tractor_out_dir : outputs.fit_out_dir;
  }
  [[nodiscard]] bool lists_fields() const { return !fields.empty(); }
  /// The fields of the survey: [inputs] when there are no others.
  [[nodiscard]] std::span<const FieldEntry> field_entries() const;
  /// Zero points of a field are measured: they are wanted and it has a Gaia table.
  [[nodiscard]] bool calibrates(const FieldEntry& field) const {
    return zp.enabled && !field.gaiaxp_synphot_csv.empty();
  }
  /// Those of any field.
  [[nodiscard]] bool calibrates() const;
  /// Every band is fitted by itself, with positions and shapes of its own.
  [[nodiscard]] bool fits_bands_apart() const {
    return !patch_run.enable_multi_band_simultaneous_fitting && !patch_run.forced;
  }
};

/// Declares every key, bound to `config`.
void declare(ConfigSpec& spec, Config& config);

/// Fields index, index + count, ... of a job array's member. @throws ConfigError when there are
/// none
std::vector<FieldEntry> share_of_fields(const std::vector<FieldEntry>& fields, std::size_t index,
                                        std::size_t count);

/// Reads inputs.fields_file into `fields` and makes the checks that span several keys.
/// @throws ConfigError
void check(Config& config);

}  // namespace skyloom::photometry
