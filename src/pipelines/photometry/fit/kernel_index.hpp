#pragma once
// Indices into the fit's matrices and stamps.

#include <cstddef>

namespace skyloom::photometry::fit {

/// Element of a row-major n x n matrix.
inline std::size_t cell(int row, int column, int n) {
  return static_cast<std::size_t>(row) * static_cast<std::size_t>(n) +
         static_cast<std::size_t>(column);
}

inline const float* pixel(const float* image, std::ptrdiff_t stride, int x, int y) {
  return image + y * stride + x;
}

}  // namespace skyloom::photometry::fit
