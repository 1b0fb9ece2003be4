#pragma once
// World coordinates through WCSLIB: TAN, SIP, TPV and whatever else it reads. 0-based pixels, the
// integer coordinate is the centre of a pixel. One object per thread.

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace skyloom::sky {

class Wcs {
 public:
  /// @param cards FITS header, 80 characters per card without line ends
  /// @param name file, for messages
  /// @throws ConfigError when the header has no celestial WCS or WCSLIB refuses it
  Wcs(const std::string& cards, const std::string& name);
  ~Wcs();
  Wcs(const Wcs& other);
  Wcs& operator=(const Wcs&) = delete;
  Wcs(Wcs&&) noexcept;

  /// Degrees to 0-based pixels; NaN where a position does not project. Sizes must agree.
  void to_pixel(std::span<const double> ra_deg, std::span<const double> dec_deg,
                std::span<double> x_pix, std::span<double> y_pix) const;
  /// 0-based pixels to degrees; NaN where there is no solution.
  void to_sky(std::span<const double> x_pix, std::span<const double> y_pix,
              std::span<double> ra_deg, std::span<double> dec_deg) const;
  /// Square root of the pixel area at the reference point.
  [[nodiscard]] double pixel_scale_arcsec() const;
  /// The WCS of a cut-out whose first pixel is (x0, y0) of this one.
  [[nodiscard]] Wcs cropped(int x0, int y0) const;

  struct Elements {
    double crval[2];
    double crpix[2];
    double cdelt[2];
    double cd[4];  ///< CD or PC, row-major
    bool has_cd;
    std::string ctype[2];
    std::vector<double> distortion;  ///< all SIP / TPV coefficients in a fixed order
  };
  [[nodiscard]] const Elements& elements() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  explicit Wcs(std::unique_ptr<Impl> impl);
};

/// Great-circle separation in arcsec.
double separation_arcsec(double ra1_deg, double dec1_deg, double ra2_deg, double dec2_deg);

}  // namespace skyloom::sky
