#pragma once
// A calibrated image as photometry takes it: which cards hold band, zero point, noise, gain and
// seeing, how its pixels become scaled flux and weights, and which pixels are bad. 0-based pixels.

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "skyloom/core/image.hpp"
#include "skyloom/sky/wcs.hpp"

namespace skyloom::surveys {

/// What the user says about one image. NaN and "" leave a value to the header.
struct FrameSpec {
  std::string file;
  int hdu = -1;        ///< 0-based; -1 = the first HDU with a 2-D image
  std::string invvar;  ///< inverse-variance image in 1/ADU^2; SKYSIG is not needed then
  int invvar_hdu = -1;
  std::string mask;  ///< integer image of data-quality flags or codes; 0 = good
  int mask_hdu = -1;
  std::int64_t mask_bits = 0;   ///< flags that make a pixel bad; 0 = any value but 0 does
  std::string psf;              ///< PSFEx file or FITS stamp
  double psf_origin_x_pix = 0;  ///< first pixel of this image in the frame of the PSF model
  double psf_origin_y_pix = 0;
  std::string filter;
  double zp = std::numeric_limits<double>::quiet_NaN();
  double skysig_adu = std::numeric_limits<double>::quiet_NaN();
  double egain = std::numeric_limits<double>::quiet_NaN();
  double saturate_adu = std::numeric_limits<double>::quiet_NaN();
  double blank_adu = std::numeric_limits<double>::quiet_NaN();  ///< value that means no data
  double fwhm_pix = std::numeric_limits<double>::quiet_NaN();
  double mjd = std::numeric_limits<double>::quiet_NaN();  ///< middle of the exposure
  std::string sky_model;  ///< spline sky (sky_model.hpp) in ADU, subtracted; "" = none
  bool sky_is_fitted = true;
  double sky_adu = 0;  ///< subtracted when the sky is not fitted
};

/// What a header says, with the user's values in place.
struct FrameInfo {
  std::string file;
  std::string band;
  int hdu = 0;
  int width = 0;
  int height = 0;
  double zp_mag = 0.0;
  double skysig_adu = 0.0;    ///< NaN when unknown, which an inverse-variance image allows
  double egain = 0.0;         ///< electrons per ADU
  double saturate_adu = 0.0;  ///< NaN = none
  double fwhm_pix = 0.0;      ///< given, else PEEING, else SEEING / pixel scale, else NaN
  double mjd = 0.0;           ///< middle of the exposure; NaN when unknown
  double scale = 1.0;         ///< scaled flux per ADU, 10^(-0.4 (zp - zp_ref))
};

/// Reads headers only, and checks that the files are whole. Mid-exposure is the one given, else
/// half of EXPTIME after the first of MJD-OBS, DATE-OBS (with TIME-OBS), MJDUTC and MJD that there
/// is.
/// @throws ConfigError (file, "missing FILTER" and the like) for what photometry cannot do without
FrameInfo read_frame_info(const FrameSpec& spec, double zp_ref);

/// The files that a frame's pixels come from: image, weights, mask and sky model.
std::vector<std::string> pixel_files(const FrameSpec& spec);

/// Width and height of the image. @throws ConfigError
std::pair<int, int> read_frame_size(const FrameSpec& spec);

/// @throws ConfigError when the image has no celestial WCS
sky::Wcs read_frame_wcs(const FrameSpec& spec);

/// The cards of an image that its WCS consists of, 80 characters each, with NAXIS, NAXIS1, NAXIS2.
/// @throws ConfigError when the file is no whole image
std::string read_wcs_cards(const FrameSpec& spec);

/// Such cards for a cut-out: CRPIX and NAXIS are those of `box`, which is in pixels of the image.
std::string cut_wcs_cards(const std::string& cards, const Box& box);

/// One path per line; blank lines and lines beginning with # do not count, ~ is the home folder.
/// @param base_folder what relative paths are relative to
/// @throws ConfigError for a missing list or one that names no file
std::vector<FrameSpec> read_image_list(const std::string& list, const std::string& base_folder);

/// Largest absolute differences of two WCS that count as the same grid.
struct WcsTolerance {
  double crval = 1e-6;  ///< deg
  double crpix = 1e-6;  ///< pixels
  double cd = 1e-9;     ///< deg per pixel, of CD or PC
  double cdelt = 1e-9;  ///< deg per pixel
};

/// Compares reference point, scale, projection and all distortion terms (these to a millionth).
/// @throws ConfigError (file, "WCS mismatch with reference", what differs)
void check_alignment(const sky::Wcs& reference, const sky::Wcs& other,
                     const WcsTolerance& tolerance, const std::string& file,
                     const std::string& reference_file);

/// Why a pixel is bad; bits of FramePixels::bad.
enum BadPixel : std::uint8_t {
  kBadNotFinite = 1,  ///< not a number, or outside the image
  kBadSaturated = 2,  ///< at or above SATURATE / 2
  kBadMasked = 4,     ///< without weight, marked in the mask, or the blank value
};

/// Weights are made from noise in single precision, so that one stands for the other without loss.
/// @param sigma scaled flux, above 0; infinite = no weight
float invvar_of_sigma(float sigma);
/// The other way; 0 gives infinity.
float sigma_of_invvar(float invvar);

/// Pixels of a box; data and weights are 0 where `bad` is not.
struct FramePixels {
  Image<float> data;        ///< scaled flux; sky model, and sky where it is not fitted, subtracted
  Image<float> invvar;      ///< 1 / scaled flux^2, of the sky noise alone; invvar_of_sigma()
  Image<std::uint8_t> bad;  ///< bits of BadPixel
};

/// Reads boxes of one frame. Files stay open; of a tile-compressed image the last rows are kept, so
/// that boxes side by side are decompressed once. One object per thread.
class FrameReader {
 public:
  /// @throws ConfigError when a file is missing or weights or mask have another size than the image
  FrameReader(FrameSpec spec, FrameInfo info);
  ~FrameReader();
  FrameReader(FrameReader&&) noexcept;
  FrameReader& operator=(FrameReader&&) noexcept;

  /// The box may stick out of the image: those pixels are bad. Inverse variances below a tenth of
  /// the image's median (of positive values in up to 256 evenly spaced rows) are masked.
  /// @throws ConfigError naming a file that cannot be read
  FramePixels read(const Box& box);
  /// The bits `bad` of read() alone.
  Image<std::uint8_t> read_bad(const Box& box);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace skyloom::surveys
