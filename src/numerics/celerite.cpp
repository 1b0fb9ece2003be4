#include "skyloom/numerics/celerite.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <numbers>

#include "skyloom/numerics/instruction_sets.hpp"

#include "celerite_phases.hpp"

namespace skyloom::numerics {

/// Arguments and sums of a sweep. Of an oscillator with phase columns (c, s) = (cosine, sine), all
/// 1 when overdamped, the generators are V = (c, s) and U = (form[0] c + form[1] s, form[2] c +
/// form[3] s).
struct CeleriteSweep {
  std::size_t n = 0;
  const double* time = nullptr;
  const double* step = nullptr;
  const double* y = nullptr;
  const double* variance = nullptr;
  const double* scale = nullptr;
  double white = 0.0;
  double k0 = 0.0;
  double form[kMaxOscillators][4] = {};
  double rate[2 * kMaxOscillators] = {};
  const double* decay[2 * kMaxOscillators] = {};
  const double* cosine[kMaxOscillators] = {};
  const double* sine[kMaxOscillators] = {};
  double* records = nullptr;
  bool positive_definite = false;
  double zz = 0.0, z1z = 0.0, z1z1 = 0.0, log_det = 0.0;
};

namespace {

using Sweep = CeleriteSweep;

/// Derivatives of ln L by what a Sweep holds; `variance` by the diagonal.
struct Adjoint {
  double variance = 0.0;
  double white = 0.0;
  double form[kMaxOscillators][4] = {};
  double phase[kMaxOscillators] = {};  ///< by the angular frequency d
  double rate[2 * kMaxOscillators] = {};
};

struct Prediction {
  double constant = 0.0;
  double* mean = nullptr;
  double* variance = nullptr;
};

struct Kernels {
  void (*evaluate)(Sweep&, int, double*, Adjoint*);
  bool (*predict)(Sweep&, int, const Sweep&, Prediction&);
};

// The same source twice, chosen once per process.
namespace portable {
#include "celerite_sweeps.inc"
}  // namespace portable

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace fma {
#include "celerite_sweeps.inc"
}  // namespace fma
#pragma GCC pop_options
#endif

const Kernels& best() {
  static const Kernels* const kBest = [] {
#if defined(__x86_64__)
    if (has_instructions(InstructionSet::avx2)) {
      return &fma::kKernels;
    }
#endif
    return &portable::kKernels;
  }();
  return *kBest;
}

constexpr std::size_t kLargestRecord = 21 + 3 * 6 + 3;

bool finite(const CeleriteKernel& kernel, double white_variance) {
  double sum = white_variance;
  for (int o = 0; o < kernel.count; ++o) {
    for (const double c : kernel.oscillator[static_cast<std::size_t>(o)].coefficient) {
      sum += std::abs(c);
    }
  }
  return std::isfinite(sum);
}

/// What of a sweep depends on the kernel alone.
Sweep sweep_of(const CeleriteKernel& kernel, double white_variance) {
  Sweep s;
  s.white = white_variance;
  s.k0 = kernel.variance();
  for (int o = 0; o < kernel.count; ++o) {
    const Oscillator& term = kernel.oscillator[static_cast<std::size_t>(o)];
    const auto& c = term.coefficient;
    s.rate[2 * o] = term.overdamped ? c[1] : c[2];
    s.rate[2 * o + 1] = term.overdamped ? c[3] : c[2];
    s.form[o][0] = c[0];
    s.form[o][1] = term.overdamped ? 0.0 : c[1];
    s.form[o][2] = term.overdamped ? 0.0 : -c[1];
    s.form[o][3] = term.overdamped ? c[2] : c[0];
  }
  return s;
}

void fill_phases(const Oscillator& term, const double* time, std::size_t n, double* cosine,
                 double* sine) {
  if (term.overdamped) {
    std::fill_n(cosine, n, 1.0);
    std::fill_n(sine, n, 1.0);
  } else {
    fill_cos(time, term.coefficient[3], cosine, n);
    fill_sin(time, term.coefficient[3], sine, n);
  }
}

}  // namespace

double CeleriteKernel::variance() const {
  double sum = 0.0;
  for (int o = 0; o < count; ++o) {
    sum += oscillator[static_cast<std::size_t>(o)].variance();
  }
  return sum;
}

void CeleriteProcess::set_data(std::span<const double> time, std::span<const double> y,
                               std::span<const double> variance, std::span<const double> scale) {
  const std::size_t n = time.size();
  assert(n > 0 && y.size() == n && variance.size() == n && scale.size() == n);
  time_.assign(time.begin(), time.end());
  y_.assign(y.begin(), y.end());
  variance_.assign(variance.begin(), variance.end());
  scale_.assign(scale.begin(), scale.end());
  step_.resize(n);
  step_[0] = 0.0;
  for (std::size_t i = 1; i < n; ++i) {
    step_[i] = time[i] - time[i - 1];
    assert(step_[i] > 0.0);
  }
  for (Phases& p : phases_) {
    for (std::vector<double>* column : {&p.decay[0], &p.decay[1], &p.cosine, &p.sine}) {
      column->resize(n);
    }
  }
  records_.resize(n * kLargestRecord);
}

double CeleriteProcess::log_likelihood(const CeleriteKernel& kernel, double white_variance) {
  return evaluate(kernel, white_variance, nullptr);
}

double CeleriteProcess::log_likelihood(const CeleriteKernel& kernel, double white_variance,
                                       CeleriteGradient& gradient) {
  return evaluate(kernel, white_variance, &gradient);
}

double CeleriteProcess::evaluate(const CeleriteKernel& kernel, double white_variance,
                                 CeleriteGradient* gradient) {
  if (gradient != nullptr) {
    *gradient = {};
  }
  if (!finite(kernel, white_variance)) {
    return -std::numeric_limits<double>::infinity();
  }
  Sweep s = prepare(kernel, white_variance);
  Adjoint adjoint;
  best().evaluate(s, kernel.count, &mean_, gradient != nullptr ? &adjoint : nullptr);
  if (!s.positive_definite) {
    return -std::numeric_limits<double>::infinity();
  }
  for (int o = 0; o < kernel.count && gradient != nullptr; ++o) {
    const double(&form)[4] = adjoint.form[o];
    auto& c = gradient->coefficient[static_cast<std::size_t>(o)];
    const double* rate = adjoint.rate + 2 * o;
    if (kernel.oscillator[static_cast<std::size_t>(o)].overdamped) {
      c = {form[0] + adjoint.variance, rate[0], form[3] + adjoint.variance, rate[1]};
    } else {
      c = {form[0] + form[3] + adjoint.variance, form[1] - form[2], rate[0] + rate[1],
           adjoint.phase[o]};
    }
  }
  if (gradient != nullptr) {
    gradient->white_variance = adjoint.white;
  }
  return -0.5 * (s.zz - mean_ * s.z1z + s.log_det +
                 static_cast<double>(s.n) * std::log(2.0 * std::numbers::pi));
}

CeleriteSweep CeleriteProcess::prepare(const CeleriteKernel& kernel, double white_variance) {
  Sweep s = sweep_of(kernel, white_variance);
  s.n = time_.size();
  s.time = time_.data();
  s.step = step_.data();
  s.y = y_.data();
  s.variance = variance_.data();
  s.scale = scale_.data();
  s.records = records_.data();
  for (int o = 0; o < kernel.count; ++o) {
    const Oscillator& term = kernel.oscillator[static_cast<std::size_t>(o)];
    Phases& p = phases_[static_cast<std::size_t>(o)];
    fill_phases(term, s.time, s.n, p.cosine.data(), p.sine.data());
    fill_exp(s.step, -s.rate[2 * o], p.decay[0].data(), s.n);
    if (term.overdamped) {
      fill_exp(s.step, -s.rate[2 * o + 1], p.decay[1].data(), s.n);
    }
    s.decay[2 * o] = p.decay[0].data();
    s.decay[2 * o + 1] = term.overdamped ? p.decay[1].data() : p.decay[0].data();
    s.cosine[o] = p.cosine.data();
    s.sine[o] = p.sine.data();
  }
  return s;
}

bool CeleriteProcess::predict(const CeleriteKernel& kernel, double white_variance,
                              std::span<const double> times, std::span<double> mean,
                              std::span<double> variance) {
  const std::size_t m = times.size();
  assert(mean.size() == m && variance.size() == m);
  if (!finite(kernel, white_variance)) {
    return false;
  }
  Sweep s = prepare(kernel, white_variance);
  Sweep wanted = s;
  wanted.n = m;
  wanted.time = times.data();
  std::vector<double> phases(2 * m * static_cast<std::size_t>(kernel.count));
  for (int o = 0; o < kernel.count; ++o) {
    double* cosine = phases.data() + 2 * m * static_cast<std::size_t>(o);
    fill_phases(kernel.oscillator[static_cast<std::size_t>(o)], times.data(), m, cosine,
                cosine + m);
    wanted.cosine[o] = cosine;
    wanted.sine[o] = cosine + m;
  }
  Prediction out{0.0, mean.data(), variance.data()};
  if (!best().predict(s, kernel.count, wanted, out)) {
    return false;
  }
  mean_ = out.constant;
  return true;
}

}  // namespace skyloom::numerics
