#pragma once
// Builds the effective PSF of one band from its image: detection, choice of stars, joint Moffat
// fit, wing and core residual, local variation, diagnostics. One call per band; a pure function of
// its arguments. The image is read tile by tile through a callback and never held whole. The model
// and its evaluation are sky/field_psf.hpp. Method "anderson-king" builds one array per cell
// instead (classic.hpp, sky/grid_psf.hpp).

#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "pipelines/photometry/fit/kernel.hpp"
#include "skyloom/core/image.hpp"
#include "skyloom/sky/field_psf.hpp"

namespace skyloom::photometry::epsf {

/// Bits of Pixels::bad.
inline constexpr std::uint8_t kBadNotFinite = 1;
inline constexpr std::uint8_t kBadSaturated = 2;
inline constexpr std::uint8_t kBadMasked = 4;

/// A star whose position is known from outside (Gaia), in the order of its file.
struct KnownStar {
  double x = 0.0;
  double y = 0.0;
  double mag = 0.0;  ///< in this band
};

/// A row of the source catalogue that lies on the image.
struct CatalogueSource {
  double x = 0.0;
  double y = 0.0;
  bool is_star = false;  ///< TYPE says STAR; otherwise a galaxy
  /// Where the second pass starts; of galaxies only. Meaning as in fit::SourceStart.
  fit::SourceType type = fit::SourceType::exp;
  double re_pix = 3.0;
  double axis_ratio = 1.0;
  double phi_deg = 0.0;
  double sersic_n = 3.0;
};

struct Cell {
  std::string tag;  ///< rRR_cCC
  Box box;
};

/// The effective keys of [epsf].
struct Options {
  std::string method = "epsf";  ///< epsf | anderson-king | moffat (no wing, no residual)
  int poly_order_max = 2;
  bool local_variation = true;  ///< false = off
  bool residual = true;         ///< false = off
  double residual_nodes_per_fwhm = 4.0;
  double residual_radius_fwhm = 2.2;
  double wing_radius_pix = 40.0;
  bool use_saturated_wings = true;
  double detect_sigma = 2.5;
  double locus_tolerance = 0.10;
  double isolation_r50 = 5.0;
  double isolation_flux_frac = 0.05;
  double model_error_moffat = 0.03;
  double model_error_shape = 0.01;
  double model_error_residual = 0.005;
  double sky_prior_floor = 0.02;  ///< in units of sigma_sky; 0 = no prior
  double reject_nsigma = 4.0;
  int rounds = 3;
  int passes = 1;  ///< 2: again after catalogued sources near the stars were fitted and subtracted
  double warn_flux_err = 0.01;

  std::string psfstar_mode = "sep+gaia";  ///< sep | gaia | sep+gaia
  bool reject_galaxies = true;
  double gaia_mag_min = 10.0;
  double gaia_mag_max = 30.0;
  double gaia_snr_min = 20.0;
  double gaia_match_r_pix = 5.0;
  double gaia_seed_sat_div = 1.3;  ///< star peaks stay below saturation / this
  int max_stars = 30;              ///< per cell
  int max_stars_image = 500;       ///< of the image, evenly from its cells
  int final_psf_size = 55;         ///< odd, pixels
  int oversamp = 2;                ///< of the stamps that FieldPsf::at returns
  int cutout_size = 61;            ///< odd, of the star cut-outs in CellResult
  bool background_subtract_patch = true;
  int background_boxsize = 96;
  int background_filtersize = 9;
  double background_source_mask_sigma = 3.0;
  int background_mask_dilate = 1;
  double star_local_bkg_annulus_rin_pix = 20.0;  ///< start of the stars' sky
  int residual_diag_max_stars = 100;             ///< per cell
  bool save_patch_background_diagnostics = true;
  bool save_growth_curve = true;
  bool save_residual_diagnostics = true;
  int save_star_montage_max = 100;        ///< stars per cell whose pixels are kept
  int save_star_montage_max_image = 150;  ///< of the image, evenly from its cells
  double moffat_beta = 3.5;               ///< fixed when there is a single star

  // Method anderson-king alone.
  double thresh_sigma = 10.0;  ///< of the detection of candidates
  int minarea = 25;
  std::vector<double> q_range = {0.7, 1.3};  ///< of a/b
  int edge_pad = 10;                         ///< beyond half a cut-out
  double min_sep = 30.0;                     ///< pixels between PSF stars
  bool gaia_snap_to_sep = true;
  double gaia_forced_k_fwhm = 1.5;  ///< seeds' aperture in FWHM
  double gaia_forced_rmin_pix = 3.0;
  double gaia_forced_rmax_pix = 15.0;
  int gaia_seed_sat_r = 5;  ///< half size of the box of the peak
  int maxiters = 30;
  bool do_clip = true;
  int recenter_boxsize = 9;  ///< odd, pixels
  bool star_local_bkg_subtract = true;
  double star_local_bkg_annulus_rout_pix = 30.0;
  double star_local_bkg_sigma = 3.0;
  int star_local_bkg_minpix = 30;
  bool save_star_local_background_diagnostics = true;
  std::string wing_model = "radial";  ///< none | radial
};

/// A box of the band, (y, x); all three of the box's size.
struct Pixels {
  Image<float> data;        ///< flux, scaled to the common zero point; NaN allowed
  Image<float> sigma_sky;   ///< same unit; 0 or infinite where bad
  Image<std::uint8_t> bad;  ///< bits above; 0 = good
};

/// One band.
struct Input {
  int width = 0;
  int height = 0;
  /// Pixels of a box inside the band: the same box gives the same pixels. Every part is asked for a
  /// few times, from bottom to top each time.
  std::function<Pixels(const Box&)> read;
  double gain_e_per_flux = 0.0;  ///< electrons per unit of flux; 0 = sky noise only
  double saturation_scaled = std::numeric_limits<double>::quiet_NaN();  ///< NaN = unknown
  double fwhm_guess_pix = std::numeric_limits<double>::quiet_NaN();     ///< NaN = unknown
  std::vector<KnownStar> known_stars;
  std::vector<CatalogueSource> catalogue;
  std::vector<Cell> cells;  ///< must not overlap; may leave parts of the image out
};

/// What the number and quality of stars allowed, lowest first. Stored in products.
enum class PsfLevel : std::uint8_t {
  none = 0,               ///< no star: the caller uses the fallback PSF of the configuration
  moffat_fixed_beta = 1,  ///< one star
  moffat = 2,             ///< two or three stars, or method "moffat" with a constant shape
  moffat_field = 3,       ///< Moffat of varying shape, no residual
  constant = 4,           ///< residual and wing, constant shape
  field = 5,              ///< everything
  cells = 6,              ///< method anderson-king: an array per cell
};
[[nodiscard]] std::string to_string(PsfLevel level);

/// Why a detection that was considered is not a star of the PSF.
enum class Rejected : std::uint8_t {
  no = 0,
  quota = 1,      ///< the cell had max_stars brighter ones
  shape = 2,      ///< size or ellipticity off the stars' in the joint fit (galaxy, blend)
  chi2 = 3,       ///< the core does not fit
  fit = 4,        ///< no usable pixels or the fit failed
  nonlinear = 5,  ///< bright, and the size of stars depends on their flux
};
[[nodiscard]] std::string to_string(Rejected reason);

/// One candidate star; stars of the PSF and rejected ones, brightest S/N first per kind.
struct StarRow {
  double x = 0.0;  ///< fitted position, pixels of the image
  double y = 0.0;
  double flux = 0.0;  ///< fitted, total
  double sky = 0.0;   ///< fitted
  double snr = 0.0;   ///< of the aperture flux
  double r50_pix = 0.0;
  bool used = false;
  bool wing = false;  ///< saturated: constrains the wing only
  Rejected reason = Rejected::no;
  int cell = -1;  ///< index into Input::cells, -1 = outside all
  double chi2_core = std::numeric_limits<double>::quiet_NaN();  ///< per pixel
  std::string origin;                                           ///< sep | gaia | both
};

struct BackgroundStats {
  std::string status = "disabled";  ///< ok | error | disabled
  std::string text;                 ///< what failed
  double map_median = 0.0;
  double map_mean = 0.0;
  double rms_median = 0.0;
  double rms_mean = 0.0;
  double masked_fraction = 0.0;
};

/// Backgrounds of a cell's stars.
struct LocalBackgroundStats {
  int n_stars = 0;                                           ///< measured
  int n_ok = 0;                                              ///< with enough pixels
  double median = std::numeric_limits<double>::quiet_NaN();  ///< over these, flux per pixel
  double mean = std::numeric_limits<double>::quiet_NaN();
};

/// Block means of a cell for pictures; (y, x), at most kCellPictureSide on a side.
struct CellPicture {
  int binning = 1;          ///< pixels per side of a block
  Image<float> raw;         ///< scaled flux; NaN without a good pixel; may be empty
  Image<float> background;  ///< the mesh; may be empty
};
inline constexpr int kCellPictureSide = 96;

struct CellResult {
  std::string tag;
  std::string error;     ///< why there is no array; empty = there is one
  Image<double> epsf;    ///< at the cell centre, native sampling, final_psf_size; may be empty
  Image<float> samples;  ///< method anderson-king: the array at its own sampling, for the fit
  int n_stars = 0;       ///< core stars used
  int n_candidates = 0;
  int n_seed = 0;      ///< Gaia stars among the chosen
  int n_selected = 0;  ///< chosen
  int n_extract = 0;   ///< with a cut-out
  int n_fitfail = 0;   ///< of these, dropped because their fit failed
  LocalBackgroundStats local_background;
  double fwhm_pix = std::numeric_limits<double>::quiet_NaN();
  double r50_pix = std::numeric_limits<double>::quiet_NaN();
  double r80_pix = std::numeric_limits<double>::quiet_NaN();
  double r90_pix = std::numeric_limits<double>::quiet_NaN();
  double light_outside = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> growth;
  /// Of the array: within half its side.
  double ee_edge = std::numeric_limits<double>::quiet_NaN();
  double edge_median = std::numeric_limits<double>::quiet_NaN();  ///< of the outermost samples
  double edge_mean = std::numeric_limits<double>::quiet_NaN();
  double epsf_min = std::numeric_limits<double>::quiet_NaN();
  double epsf_max = std::numeric_limits<double>::quiet_NaN();
  double chi2_core_median = std::numeric_limits<double>::quiet_NaN();
  /// Of the median residual, flux unit.
  double resid_bias = std::numeric_limits<double>::quiet_NaN();
  double resid_rms = std::numeric_limits<double>::quiet_NaN();
  int n_resid = 0;  ///< stars behind the residuals
  /// Median and root mean square of residual over noise, all pixels of these stars.
  double resid_norm_bias = std::numeric_limits<double>::quiet_NaN();
  double resid_norm_rms = std::numeric_limits<double>::quiet_NaN();
  Image<double> median_residual;  ///< over stars of (data - model)/flux; empty without stars
  Image<double> median_star;      ///< over stars of (data - sky)/flux
  BackgroundStats background;
  CellPicture picture;
};

/// Pixels of one star for pictures.
struct StarCutout {
  int star = -1;  ///< row of Result::stars
  int x0 = 0;     ///< first column of the cut-out in the frame
  int y0 = 0;
  double x = 0.0;  ///< position at which the star was chosen, pixels of the frame
  double y = 0.0;
  Image<float> raw;           ///< scaled flux; NaN = bad
  double background = 0.0;    ///< below the star: mesh and what was measured on top of it
  int background_pixels = 0;  ///< behind it
  std::string background_status = "disabled";
  Image<std::uint8_t> annulus;  ///< 1 = one of these pixels; may be empty
};

struct Diagnostics {
  int n_detections = 0;
  int n_candidates = 0;
  int n_stars = 0;  ///< core stars used
  int n_wing = 0;
  int n_rejected = 0;
  int order = 0;
  double beta = std::numeric_limits<double>::quiet_NaN();
  double fwhm_pix = std::numeric_limits<double>::quiet_NaN();     ///< at the frame's centre
  double ellipticity = std::numeric_limits<double>::quiet_NaN();  ///< |g| there
  double locus_r50_pix = std::numeric_limits<double>::quiet_NaN();
  std::array<double, 3> loo_chi2 = {
      std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::quiet_NaN(),
      std::numeric_limits<double>::quiet_NaN()};  ///< per star and order
  double shape_scatter = std::numeric_limits<double>::quiet_NaN();
  double flux_err_pred = std::numeric_limits<double>::quiet_NaN();  ///< fraction
  double flux_err_core = std::numeric_limits<double>::quiet_NaN();
  double flux_err_wing = std::numeric_limits<double>::quiet_NaN();
  double chi2_core_median = std::numeric_limits<double>::quiet_NaN();
  double chi2_trend = std::numeric_limits<double>::quiet_NaN();
  double resid_skew = std::numeric_limits<double>::quiet_NaN();
  double resid_kurtosis = std::numeric_limits<double>::quiet_NaN();
  /// Largest mean correlation of the normalised residuals of two stars, over shifts of up to 1
  /// pixel.
  double resid_corr = std::numeric_limits<double>::quiet_NaN();
  double noise_factor = 1.0;  ///< by which the given variance was multiplied
  int n_refined = 0;          ///< stamps from which the second pass subtracted sources
  double sigma_r = std::numeric_limits<double>::quiet_NaN();
  double sigma_q = std::numeric_limits<double>::quiet_NaN();
  double ell = std::numeric_limits<double>::quiet_NaN();
  double p = std::numeric_limits<double>::quiet_NaN();
  double ln_evidence = std::numeric_limits<double>::quiet_NaN();
  double gp_gain = 0.0;  ///< of ln likelihood
  double gp_length = std::numeric_limits<double>::quiet_NaN();
  std::array<double, 3> gp_tau = {0.0, 0.0, 0.0};
  double apcor = std::numeric_limits<double>::quiet_NaN();  ///< fraction
  double apcor_err = std::numeric_limits<double>::quiet_NaN();
  int apcor_n = 0;
  double f_out = std::numeric_limits<double>::quiet_NaN();  ///< light outside the stamp
  double wing_slope = std::numeric_limits<double>::quiet_NaN();
  double neg_fraction = std::numeric_limits<double>::quiet_NaN();
  double clipped_fraction = 0.0;  ///< of the stars' pixels
};

struct Result {
  std::shared_ptr<const sky::FieldPsf> psf;  ///< null for PsfLevel::none
  PsfLevel level = PsfLevel::none;
  std::string level_text;  ///< why not a higher level; empty = full
  Diagnostics diagnostics;
  std::vector<StarRow> stars;
  std::vector<CellResult> cells;      ///< in the order of Input::cells
  std::vector<StarCutout> cutouts;    ///< the first of every cell
  std::vector<std::string> warnings;  ///< one line each
};

/// Builds the PSF of one band.
/// @throws UnitError (no_good_data) when no pixel is good, (bad_input) when image sizes differ
[[nodiscard]] Result build(const Input& input, const Options& options);

}  // namespace skyloom::photometry::epsf
