#pragma once
// The patch fit: all sources of a region of interest (ROI) against all its frames at once.
// Positions and shapes are shared by the frames, there is one flux per band and one sky level per
// frame. Gauss-Newton with the linear unknowns (fluxes, skies) eliminated exactly (variable
// projection: Golub & Pereyra 1973; Kaufman 1975). Pure: no files, ranks, clock or log; same input,
// same bits.

#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <vector>

#include "skyloom/core/image.hpp"
#include "skyloom/sky/psf.hpp"

namespace skyloom::photometry::fit {

/// One image of the ROI. Frames of the same band share the fluxes of that band.
struct FrameData {
  int band = 0;         ///< 0 .. Input::n_bands - 1
  Image<float> data;    ///< scaled flux per pixel; any value, NaN included, where invvar is 0
  Image<float> invvar;  ///< 1 / sky variance, same size; 0 (or not finite, or < 0) = bad pixel
  /// EGAIN / scale: the variance of a source's own light is model / gain. 0 or infinite = none.
  double gain_e_per_flux = 0.0;
  bool fit_sky = true;  ///< one free constant; otherwise sky_start is subtracted and held
  double sky_start = 0.0;
  std::shared_ptr<const sky::Psf> psf;
  /// Added to a position in pixels of this frame to get where the PSF is evaluated.
  double psf_x0 = 0.0;
  double psf_y0 = 0.0;
  /// Frame pixel = matrix (row-major) * ROI pixel + (dx, dy). Frames aligned with the ROI have the
  /// identity and the size of the ROI; others any size.
  std::array<double, 4> matrix{1.0, 0.0, 0.0, 1.0};
  double dx = 0.0;
  double dy = 0.0;
};

enum class SourceType : std::uint8_t { star = 0, exp = 1, dev = 2, sersic = 3 };

enum class Role : std::uint8_t {
  base = 0,  ///< everything free, reported
  /// Modelled for its neighbours' sake. Position and shape are free where its box meets that of a
  /// base source. Elsewhere a faint one (S/N < 8) is held at its start, and a brighter one where
  /// the first approach brings it: what is left of its error is too small for the sky of the patch.
  halo_free = 1,
  halo_linear = 2,  ///< only the fluxes are free
};

struct SourceStart {
  SourceType type = SourceType::star;
  Role role = Role::base;
  double x = 0.0;  ///< ROI pixels; may lie outside the ROI
  double y = 0.0;
  std::vector<double> flux;  ///< per band, NaN = unknown; used to choose boxes, not as a start
  double re_pix = 3.0;
  double axis_ratio = 1.0;
  double phi_deg = 0.0;  ///< major axis, counter-clockwise from +y
  double sersic_n = 3.0;
};

enum class Noise : std::uint8_t {
  sky = 0,    ///< weights from sky noise; errors still contain the source noise (sandwich)
  total = 1,  ///< weights from sky plus model variance, renewed `noise_rounds` times
};
enum class ShapePrior : std::uint8_t { none = 0, weak = 1 };
enum class Solver : std::uint8_t { tao_bnls = 0, levenberg_marquardt = 1 };

struct Options {
  Noise noise = Noise::sky;
  int noise_rounds = 2;
  /// weak: Gaussian around the start of width 1 px, 0.7 in ln Re, 0.5 in ee, 1.5 in n. It holds
  /// what the data do not: its precision (but that of n) falls by 1 / (1 + (S/N / S0)^8) with the
  /// total S/N of the source; S0 is 10 for stars, 22 for galaxies.
  ShapePrior shape_prior = ShapePrior::weak;
  Solver solver = Solver::tao_bnls;
  bool forced =
      false;  ///< positions and shapes held at the start, only fluxes and skies are fitted
  int max_iterations = 60;
  double dlnp_stop = 1e-6;     ///< a gain in log-probability below this ends a solve
  double max_shift_pix = 4.0;  ///< bound on |x - start| and |y - start|
  /// Significance (sigma) of the light that a source's box and band limit may leave out.
  double truncation_sigma = 0.1;
  bool keep_models = false;  ///< fill Result::models
};

class Workspace;
/// Memory and prepared PSFs for the fits of one rank, one fit at a time.
std::shared_ptr<Workspace> make_workspace();

struct Input {
  int width = 0;  ///< of the ROI
  int height = 0;
  Box base;  ///< pixels of the ROI that belong to no other patch; empty = all
  int n_bands = 0;
  std::vector<FrameData> frames;
  std::vector<SourceStart> sources;
  Options options;
  /// Asked between iterations; true ends the fit early with Result::stopped set. May be empty.
  std::function<bool()> stop;
  /// Spares set-up when fits of one rank share it; the result is the same without.
  std::shared_ptr<Workspace> workspace;
};

/// Bits of SourceFit::flags.
enum Flag : std::uint32_t {
  kFlagAtBound = 1U << 0,  ///< a position or shape parameter ended at its bound
  /// Total S/N < 3: shape and position are held by the prior, or with ShapePrior::none by the
  /// start.
  kFlagFaintShape = 1U << 1,
  kFlagBoxLimited = 1U << 2,     ///< the largest box allowed leaves out more than the truncation
  kFlagSkyDegenerate = 1U << 3,  ///< |correlation| of a flux with a sky above 0.9
  kFlagNoData = 1U << 4,         ///< no good pixel in any frame
  kFlagNotFitted = 1U << 5,      ///< position and shape held
  kFlagSingular = 1U << 6,       ///< not separable from another source: errors are lower limits
};

struct BandFit {
  double flux = std::numeric_limits<double>::quiet_NaN();
  double flux_err = std::numeric_limits<double>::quiet_NaN();       ///< marginal, with source noise
  double flux_err_cond = std::numeric_limits<double>::quiet_NaN();  ///< all else fixed, sky noise
  /// Over good pixels weighted by this source's light: mean squared residual in units of the noise.
  double chi2 = std::numeric_limits<double>::quiet_NaN();
  int npix = 0;  ///< good pixels of its box, frames added
  /// Light of other sources under this one, as a fraction of its own (both weighted by its
  /// profile).
  double fracflux = std::numeric_limits<double>::quiet_NaN();
};

/// Errors are NaN for what was not fitted (no shape of stars; everything of held sources).
struct SourceFit {
  double x = 0.0;  ///< ROI pixels
  double y = 0.0;
  double re_pix = std::numeric_limits<double>::quiet_NaN();
  double axis_ratio = std::numeric_limits<double>::quiet_NaN();
  double phi_deg = std::numeric_limits<double>::quiet_NaN();  ///< [0, 180), from +y to -x
  double sersic_n = std::numeric_limits<double>::quiet_NaN();
  double x_err = std::numeric_limits<double>::quiet_NaN();
  double y_err = std::numeric_limits<double>::quiet_NaN();
  double re_err_pix = std::numeric_limits<double>::quiet_NaN();
  double ell_err = std::numeric_limits<double>::quiet_NaN();
  double theta_err_deg = std::numeric_limits<double>::quiet_NaN();
  double sersic_n_err = std::numeric_limits<double>::quiet_NaN();
  std::vector<BandFit> bands;
  /// (bands) * (frames): change of a flux per change of the sky of a frame, everything else
  /// following; 0 where the sky is held.
  std::vector<double> flux_per_sky;
  bool converged = false;  ///< last_step_sigma < 0.05, or nothing but fluxes was free
  /// What one more Newton step would change of its own parameters, in marginal errors (largest
  /// component).
  double last_step_sigma = 0.0;
  std::uint32_t flags = 0;
};

struct FrameFit {
  double sky = 0.0;
  double sky_err = std::numeric_limits<double>::quiet_NaN();  ///< NaN when held or without data
  /// The sky that the pixels of Input::base alone ask for, the sources following: what patches
  /// whose ROIs overlap measure independently of each other. NaN when held or without data there.
  double base_sky = std::numeric_limits<double>::quiet_NaN();
  double base_sky_err = std::numeric_limits<double>::quiet_NaN();
  double chi2 = 0.0;  ///< over the good pixels, weights of the sky noise
  int npix = 0;
};

/// One accepted step of the solver.
struct IterationRow {
  int iteration = 0;
  double chi2 = 0.0;
  int n_active = 0;  ///< sources with free positions and shapes in this step
};

struct Result {
  std::vector<SourceFit> sources;  ///< in the order of Input::sources
  std::vector<FrameFit> frames;
  int iterations = 0;
  bool converged_all = false;  ///< of all sources with free parameters
  bool stopped = false;        ///< Input::stop asked to end: the numbers are no result
  double dlnp_last = 0.0;
  std::vector<IterationRow> history;
  std::vector<Image<float>> models;  ///< per frame, sources without sky (Options::keep_models)
};

/// Fits a patch. PETSc must be initialised when the solver is tao_bnls.
/// @throws UnitError no_good_data when no frame has a good pixel, bad_input for inconsistent sizes,
///   band numbers or a missing PSF, numerical when no finite solution was found
Result compute(const Input& input);

}  // namespace skyloom::photometry::fit
