#pragma once
// The inner loops of the rendering, compiled for several instruction sets and chosen once per
// process. Arrays over p (frequencies along x) and i (pixels along x) are padded to kLanePad
// floats, so every variant reads the same layout.

#include <cstddef>

namespace skyloom::sky::lanes {

inline constexpr int kLanePad = 16;

/// One galaxy on one grid. K = largest frequency index, kp = K + 1 padded, ip = half + 1 padded.
struct DftJob {
  int k_max;
  int kp;
  int ip;
  const int* q_limit;              ///< (kp,) largest q of column p inside the disc (-1 beyond K)
  const float* cosine;             ///< (K + 1, ip) cos(2 pi k i / N)
  const float* sine;               ///< (K + 1, ip)
  const float* psf;                ///< (K + 1, 4, kp): re, im for +q, then for -q
  const float* phase_x;            ///< (2, kp): re, im of exp(-2 pi i p dx / N)
  const float* phase_y;            ///< (K + 1, 2): re, im of exp(-2 pi i q dy / N)
  const float* factor;             ///< (images, K + 1, 2, kp): real factors for +q and -q
  const unsigned char* imaginary;  ///< (images,) 1 where the factor is to be multiplied by i
  int images;
  float* spectrum;  ///< scratch (K + 1, 4, kp)
  float* columns;   ///< scratch (row_last - row_first + 4, 4, kp)
  float* row;       ///< scratch (4, 2 ip + kLanePad)
  int row_first;    ///< smallest |j| needed, rounded down to a multiple of 4
  int row_last;     ///< largest |j| needed
  int x_first;      ///< pixels of a row that are kept, relative to the centre, inclusive
  int x_last;
  int y_first;  ///< rows that are kept, relative to the centre, inclusive
  int y_last;
  float* out;  ///< pixel (x_first, y_first) of the first image
  std::ptrdiff_t stride;
  std::ptrdiff_t plane;  ///< from one image to the next
  bool add;              ///< add to what is there
};

/// Transform of a PSF stamp of odd side 2 r + 1: out as DftJob::psf, not yet masked or scaled.
struct PsfJob {
  int k_max;
  int kp;
  int radius;
  const float* stamp;   ///< (2 r + 1, 2 r + 1)
  const float* cosine;  ///< (r + 1, kp) cos(2 pi p x / (N s)), lanes over p
  const float* sine;    ///< (r + 1, kp)
  float* folded;        ///< scratch (r + 1, 8)
  float* rows;          ///< scratch (2 r + 1, 2, kp)
  float* out;           ///< (K + 1, 4, kp)
};

/// A point source: separable quintic spline on coefficients split into `oversampling` phases.
struct SplineJob {
  const float* coefficients;  ///< (rows, oversampling, phase_width)
  std::ptrdiff_t row_stride;  ///< oversampling * phase_width
  int phase_width;
  int oversampling;
  int first_column;  ///< sample of the first tap at the first pixel kept
  int first_row;
  const float* weight_x;  ///< (6,) value, then (6,) derivative with respect to the source position
  const float* weight_y;
  int width;  ///< pixels kept
  int height;
  float* scratch;  ///< (2, row_stride + 2 kLanePad)
  float* out;      ///< value; x and y derivatives follow at `plane` when asked for
  std::ptrdiff_t stride;
  std::ptrdiff_t plane;
  bool derivatives;
};

struct Kernels {
  void (*galaxy)(const DftJob& job);
  void (*psf)(const PsfJob& job);
  void (*spline)(const SplineJob& job);
  const char* name;
};

/// The best variant for this machine.
const Kernels& kernels();
/// A variant by name ("avx512", "avx2", "portable"), for comparisons; nullptr when the machine
/// lacks it.
const Kernels* kernels(const char* name);

}  // namespace skyloom::sky::lanes
