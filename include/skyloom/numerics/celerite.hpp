#pragma once
// Gaussian process regression in one dimension in O(N J^2), for covariances that are sums of damped
// oscillators (Foreman-Mackey, Agol, Ambikasaran & Angus 2017, AJ 154, 220; gradient by the reverse
// sweep of Foreman-Mackey 2018, RNAAS 2, 31). The parameters behind the coefficients are those of
// celerite_terms.hpp.

#include <array>
#include <cstddef>
#include <span>
#include <vector>

namespace skyloom::numerics {

/// One oscillator, of rank 2: either a e^{-c tau} cos(d tau) + b e^{-c tau} sin(d tau) with the
/// coefficients a, b, c, d, or, overdamped, a1 e^{-c1 tau} + a2 e^{-c2 tau} with the coefficients
/// a1, c1, a2, c2. Rates c are positive.
struct Oscillator {
  bool overdamped = false;
  std::array<double, 4> coefficient{};

  /// Covariance at lag 0.
  [[nodiscard]] double variance() const {
    return overdamped ? coefficient[0] + coefficient[2] : coefficient[0];
  }
};

constexpr int kMaxOscillators = 3;

/// k(tau), the sum of the first `count` oscillators (1 to 3).
struct CeleriteKernel {
  int count = 0;
  std::array<Oscillator, kMaxOscillators> oscillator{};

  [[nodiscard]] double variance() const;
};

/// Derivatives of ln L, with the constant mean held at its best value.
struct CeleriteGradient {
  std::array<std::array<double, 4>, kMaxOscillators> coefficient{};
  double white_variance = 0.0;
};

struct CeleriteSweep;  // of the implementation

/// Data, workspace and results of one light curve. The covariance of the data is
/// k(|t_n - t_m|) + delta_nm (variance_n + white_variance) scale_n, and the mean is one constant
/// that takes its generalised least-squares value. Nothing is allocated after set_data() but by
/// predict(). Not for use from several threads at once.
class CeleriteProcess {
 public:
  /// Copies the data. @param time (n,) strictly increasing, best near 0 (phases are d t)
  /// @param y (n,) values   @param variance (n,) of their noise
  /// @param scale (n,) factor of that and of the white variance: 1, or 1 / count for binned data
  /// All finite and n >= 1; asserted.
  void set_data(std::span<const double> time, std::span<const double> y,
                std::span<const double> variance, std::span<const double> scale);
  [[nodiscard]] std::size_t size() const { return time_.size(); }

  /// ln L with the mean profiled out; -infinity when the matrix is not positive definite or a
  /// coefficient is not finite.
  double log_likelihood(const CeleriteKernel& kernel, double white_variance);
  /// The same with its gradient, about three times the cost. The gradient is 0 where ln L is
  /// -infinity.
  double log_likelihood(const CeleriteKernel& kernel, double white_variance,
                        CeleriteGradient& gradient);
  /// The constant mean of the last call with a finite result.
  [[nodiscard]] double mean() const { return mean_; }

  /// Mean (constant mean included) and variance (noise not included) of the process given the data,
  /// in O(J^2) per time. Rounding below 0 is cut.
  /// @param times (m,) increasing, also outside the data   @param mean, variance (m,)
  /// @return false when the matrix is not positive definite; the outputs are then untouched
  bool predict(const CeleriteKernel& kernel, double white_variance, std::span<const double> times,
               std::span<double> mean, std::span<double> variance);

 private:
  /// Per oscillator: decay since the previous time of both ranks, cos and sin of the phase.
  struct Phases {
    std::vector<double> decay[2];
    std::vector<double> cosine, sine;
  };

  CeleriteSweep prepare(const CeleriteKernel& kernel, double white_variance);
  double evaluate(const CeleriteKernel& kernel, double white_variance, CeleriteGradient* gradient);

  std::vector<double> time_, step_, y_, variance_, scale_;
  std::array<Phases, kMaxOscillators> phases_;
  std::vector<double> records_;  ///< what the reverse sweep needs of every datum
  double mean_ = 0.0;
};

}  // namespace skyloom::numerics
