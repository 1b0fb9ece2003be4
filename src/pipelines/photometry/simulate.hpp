#pragma once
// A field of known truth: aligned multi-band images with their noise, a source catalogue with
// errors as a detection program makes them, a Gaia XP table, the truth, the true PSFs and
// configurations ready to run. Pixels come from the definitions of the profiles
// (simulate_render.hpp), not from the code that fits them.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace skyloom::photometry {

/// One simulated exposure. The PSF is a circular Moffat, the same everywhere in the image.
struct SimulatedBand {
  std::string name;
  double fwhm_pix = 4.0;
  double beta = 3.5;
  double zp_mag = 25.0;       ///< true zero point
  double zp_error_mag = 0.0;  ///< ZP_AUTO of the header minus the true one
  double skysig_adu = 9.0;    ///< noise of the (subtracted) sky
  double egain = 1.5;         ///< electrons per ADU
  double saturate_adu = 40000.0;
};

/// What to simulate. Zero, empty and unset fields take what `size` says: "tiny" (256 x 256 pixels,
/// 3 bands, 40 sources), "small" (1024 x 1024, 5 bands, 400) or "full" (4096 x 4096, 5 bands,
/// 6000).
struct SimulationOptions {
  std::filesystem::path folder;
  std::string size = "small";
  std::uint64_t seed = 1;
  /// Seed of the catalogue's errors; unset = `seed`. Another value leaves images and truth
  /// unchanged.
  std::optional<std::uint64_t> catalogue_seed;
  std::vector<SimulatedBand> bands;
  int side_pix = 0;
  int n_sources = 0;
  double star_fraction = 0.6;
  double faint_limit_mag = 0.0;  ///< of stars and galaxies in the second band
  double min_separation_pix = 8.0;
  int n_nan_pixels = 25;  ///< per band
  double pixel_scale_arcsec = 0.505;
  double ra_deg = 150.0;  ///< sky position of the centre
  double dec_deg = 2.2;
};

/// Writes the field into `options.folder`, which is created: sci_<band>.fits, psf_<band>.fits,
/// images.list, catalog.csv, gaia.csv, truth.csv, photometry.toml (PSF from the images) and
/// photometry_true_psf.toml (PSF from the stamps). Equal options give equal bytes.
/// @throws ConfigError for an unknown size or options that leave no room for the sources
void simulate(const SimulationOptions& options);

}  // namespace skyloom::photometry
