#pragma once
// Inner loops of the Gaussian convolution, compiled for several instruction sets. Fused
// multiply-adds are written out and every sum has one order whatever the width of a vector, so avx2
// and avx512 agree to the bit.

#include <cstddef>

#include "skyloom/numerics/instruction_sets.hpp"

namespace skyloom::numerics::lanes {

inline constexpr int kTapGroup = 16;    ///< taps of a decimation come in whole groups
inline constexpr int kChunk = 8;        ///< taps of a direct sum that are added before the next
inline constexpr int kChunkPad = 3;     ///< zeros before and after the weights of a chunk
inline constexpr int kTileRows = 4;     ///< rows of a register tile
inline constexpr int kColumnPad = 128;  ///< widths of direct sums are whole multiples
inline constexpr int kLines = 16;       ///< lines that are filtered recursively at a time

/// One decaying, oscillating part of a kernel as a recursion in both directions:
/// forward[n] = now in[n] + before in[n - 1] + first forward[n - 1] + second forward[n - 2],
/// backward[n] = after in[n + 1] + beyond in[n + 2] + first backward[n + 1] + second backward[n +
/// 2].
struct RecursivePair {
  double now;
  double before;
  double after;
  double beyond;
  double first;
  double second;
};

struct GaussianKernels {
  /// out[n] = sum_k taps[k] row[n step + k], n < count; `taps_padded` whole groups. Tap k is summed
  /// in lane k mod 16; lanes in pairs 8, 4, 2, 1 apart.
  void (*decimate)(const float* row, const float* taps, int taps_padded, int step, int count,
                   float* out);
  /// sum[i] += weight * value[i] in double.
  void (*add_scaled)(double weight, const float* value, int count, double* sum);
  /// out[i] = sum_k weight[k] in[i + k stride] in double, k ascending, no fused products.
  void (*sum_taps)(const double* in, std::ptrdiff_t stride, const double* weight, int taps,
                   int count, double* out);
  /// out[q step + p] = sum_j weight[j pitch + p] node[q + j], p < step; writes up to a vector
  /// beyond.
  void (*spread)(const float* node, const float* weight, int taps, int pitch, int step,
                 int intervals, float* out);
  /// out[r][x] = sum_j weight[j pitch + r] line_j[x], r < rows <= kTileRows, line_j = line + j
  /// line_pitch; lines are readable up to the next multiple of 32 columns.
  void (*blend)(const float* line, std::ptrdiff_t line_pitch, const float* weight, int pitch,
                int taps, int rows, int columns, float* out, std::ptrdiff_t out_stride);
  /// out[x] = sum_k weight[k] in[x + k], in chunks; `columns` a multiple of kColumnPad.
  void (*direct_row)(const float* in, const float* weight, int taps, int columns, float* out);
  /// out[r][x] = sum_k weight_k in[(r + k) pitch + x] for kTileRows rows, in the same chunks;
  /// `chunked` holds kChunk weights per chunk with kChunkPad zeros on both sides.
  void (*direct_columns)(const float* in, std::ptrdiff_t pitch, const float* chunked, int taps,
                         int columns, float* out, std::ptrdiff_t out_pitch);
  /// lines[n kLines + l], n < count, l < kLines, through 4 or 5 pairs, in place: sums over pairs of
  /// forward + backward, all in double; zeros before and after. `scratch` as long as `lines`.
  void (*recursive)(const RecursivePair* pairs, int pair_count, int count, double* scratch,
                    float* lines);
};

/// Loops of one instruction set; nullptr when the machine lacks it.
const GaussianKernels* gaussian_kernels(InstructionSet set);

}  // namespace skyloom::numerics::lanes
