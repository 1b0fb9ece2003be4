#pragma once
// Unit-flux images of sources with all their derivatives. Galaxies: the product of the PSF's and
// the profile's transform, evaluated on a disc of frequencies and brought back by a pruned
// separable DFT; no power-of-two sizes, sub-pixel shifts and derivatives are factors in Fourier
// space. Point sources: quintic B-spline of the PSF stamp. Pixels are floats; positions are
// doubles.

#include <array>
#include <cstddef>
#include <memory>
#include <vector>

#include "skyloom/core/aligned.hpp"
#include "skyloom/core/image.hpp"
#include "skyloom/sky/profile.hpp"
#include "skyloom/sky/psf.hpp"

namespace skyloom::sky {

/// Pixels |i|, |j| <= half around the centre, period in pixels, frequencies up to k_max / period.
struct GridShape {
  int half = 15;
  int period = 48;
  int k_max = 19;
  friend bool operator==(const GridShape&, const GridShape&) = default;
  friend auto operator<=>(const GridShape&, const GridShape&) = default;
};

/// Tables of one grid.
class DftGrid {
 public:
  explicit DftGrid(GridShape shape);
  [[nodiscard]] const GridShape& shape() const { return shape_; }
  [[nodiscard]] int padded_frequencies() const { return kp_; }
  [[nodiscard]] int padded_pixels() const { return ip_; }
  [[nodiscard]] const std::vector<int>& q_limit() const { return q_limit_; }
  [[nodiscard]] const AlignedVector<float>& cosine() const { return cosine_; }
  [[nodiscard]] const AlignedVector<float>& sine() const { return sine_; }

 private:
  GridShape shape_;
  int kp_;
  int ip_;
  std::vector<int> q_limit_;
  AlignedVector<float> cosine_;
  AlignedVector<float> sine_;
};

/// Transform of a PSF stamp on the frequencies of a grid, scaled for the inverse transform. With an
/// oversampled stamp frequencies beyond half a cycle per pixel are right as well.
AlignedVector<float> psf_transform(const PsfStamp& stamp, const DftGrid& grid);

/// Which images are wanted and where: image m begins at data + m * plane, its pixel (0, 0) is the
/// pixel (clip.x0, clip.y0) of the frame. `clip` lies within `half` pixels of the centre.
struct ImageBlock {
  float* data = nullptr;
  std::ptrdiff_t stride = 0;
  std::ptrdiff_t plane = 0;
  Box clip;
};

/// Order of the images of a galaxy: value, d/dx, d/dy, d/d log Re, d/d ee1, d/d ee2, d/dn.
inline constexpr int kGalaxyImages = 6;
inline constexpr int kSersicImages = 7;
inline constexpr int kStarImages = 3;

/// Everything of a galaxy that does not depend on PSF and position: the factors on the half disc.
class GalaxyFactors {
 public:
  /// @param shape covariance and derivatives in pixels of the frame
  /// @param matrix frame pixels per position parameter (derivatives in x, y follow it)
  /// @param n_derivative table of dF/dn, or nullptr
  /// @param derivatives false: only the value image
  void compute(const DftGrid& grid, const RadialTable& profile, const RadialTable* n_derivative,
               const ShapeMatrix& shape, const std::array<double, 4>& matrix, bool derivatives);
  [[nodiscard]] int images() const { return images_; }
  [[nodiscard]] const AlignedVector<float>& values() const { return values_; }
  [[nodiscard]] const std::vector<unsigned char>& imaginary() const { return imaginary_; }

 private:
  int images_ = 0;
  AlignedVector<float> values_;
  std::vector<unsigned char> imaginary_;
};

/// Scratch memory of a renderer; one per thread of work.
struct RenderScratch {
  AlignedVector<float> spectrum;
  AlignedVector<float> columns;
  AlignedVector<float> row;
  AlignedVector<float> phase;
};

/// Renders the images of `factors` at (x, y) of the frame into `block`; the grid is centred on the
/// pixel (centre_x, centre_y), which should be the one nearest to the source when it was placed.
/// @param add adds to what is there (several grids for one galaxy)
/// @param instruction_set nullptr = best of this machine; a name of render_lanes.hpp in tests
void render_galaxy(const DftGrid& grid, const AlignedVector<float>& psf,
                   const GalaxyFactors& factors, double x, double y, int centre_x, int centre_y,
                   bool add, const ImageBlock& block, RenderScratch& scratch,
                   const char* instruction_set = nullptr);

/// Quintic spline of a PSF stamp, for point sources.
class PointSource {
 public:
  explicit PointSource(const PsfStamp& stamp);
  /// Value and (with `derivatives`) d/dx, d/dy with respect to the frame position, at (x, y), for
  /// all pixels of block.clip; 0 beyond the stamp.
  void render(double x, double y, bool derivatives, const ImageBlock& block,
              RenderScratch& scratch) const;
  /// Weighted sum of splines of stamps of one size, for pixels within half_pix of the source.
  static PointSource combined(const std::vector<PointSource>& planes,
                              const std::vector<double>& weight, int half_pix);
  /// Half size in pixels beyond which the image is 0.
  [[nodiscard]] int half_size_pix() const { return half_size_; }

 private:
  PointSource() = default;

  AlignedVector<float> coefficients_;  ///< (rows, oversampling, phase_width_)
  int oversampling_ = 1;
  int phase_width_ = 0;
  int rows_ = 0;
  int centre_ = 0;  ///< sample of the PSF centre
  int half_size_ = 0;
};

}  // namespace skyloom::sky
