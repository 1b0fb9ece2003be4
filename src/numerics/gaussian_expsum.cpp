#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <span>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "gaussian_methods.hpp"

namespace skyloom::numerics {

namespace {

/// exp(-x^2 / 2) = sum of exp(-a x) (cr cos(b x) + ci sin(b x)) for x >= 0, nearly. Poles: those of
/// the best rational approximation of exp(z) on the negative axis, z = -omega^2 / 2; residues
/// fitted in space for the least largest error.
struct Term {
  double a;
  double b;
  double cr;
  double ci;
};

constexpr std::array<Term, 4> kFour = {{
    {2.57991161479103, 0.462659107612728, 6.6655266714978, 17.3132728700355},
    {2.56139294816294, 1.4057864486029, -6.73399697996311, -3.57939429227044},
    {2.52140657956645, 2.41215861098274, 1.09781766125999, -0.166999220412875},
    {2.45018010887222, 3.58056721324806, -0.0293475284988549, 0.0192057267684091},
}};
constexpr std::array<Term, 5> kFive = {{
    {2.86856678522329, 0.416185558070069, 13.4759241380172, 34.8407042794058},
    {2.85522146157879, 1.25888195586225, -16.1791918971388, -8.35214741965961},
    {2.82723402852948, 2.13598693056309, 3.93364123666996, -0.814851675572619},
    {2.78115607692831, 3.08603928498336, -0.232934214522711, 0.232851862246792},
    {2.70741365962026, 4.20148440416727, 0.00256073429249426, -0.0052514504211234},
}};

std::span<const Term> terms(int pairs) {
  return pairs == 4 ? std::span<const Term>(kFour) : std::span<const Term>(kFive);
}

/// Sum of the kernel over all integers, before it is normalised.
double kernel_sum(double sigma, int pairs) {
  double sum = 0.0;
  for (const Term& t : terms(pairs)) {
    // Re(c p^k), p = exp(-(a + i b) / sigma), c = cr + i ci: a geometric series.
    const std::complex<double> p = std::exp(std::complex<double>(-t.a, -t.b) / sigma);
    sum += 2.0 * (std::complex<double>(t.cr, t.ci) / (1.0 - p)).real() - t.cr;
  }
  return sum;
}

/// What is below the smallest normal number is 0 while this lives: tails of the recursions over
/// dark stretches get there, and arithmetic with such numbers is slow.
class FlushTinyNumbers {
 public:
#if defined(__x86_64__)
  FlushTinyNumbers() : before_(_mm_getcsr()) {
    constexpr unsigned kFlushAndIgnore = 0x8040;
    _mm_setcsr(before_ | kFlushAndIgnore);
  }
  ~FlushTinyNumbers() {
    _mm_setcsr(before_);
  }
#else
  FlushTinyNumbers() = default;
  ~FlushTinyNumbers() = default;
#endif
  FlushTinyNumbers(const FlushTinyNumbers&) = delete;
  FlushTinyNumbers& operator=(const FlushTinyNumbers&) = delete;

 private:
#if defined(__x86_64__)
  unsigned before_;
#endif
};

}  // namespace

double expsum_error(double sigma, int pairs) {
  const double scale = 1.0 / kernel_sum(sigma, pairs);
  // The slowest term is below 1e-15 there.
  const int reach = static_cast<int>(std::ceil(14.0 * sigma));
  double gaussian_sum = 1.0;
  for (int k = 1; k <= reach; ++k) {
    gaussian_sum += 2.0 * std::exp(-0.5 * (k / sigma) * (k / sigma));
  }
  double largest = 0.0;
  double sum = 0.0;
  for (int k = 0; k <= reach; ++k) {
    const double x = k / sigma;
    double value = 0.0;
    for (const Term& t : terms(pairs)) {
      value += std::exp(-t.a * x) * (t.cr * std::cos(t.b * x) + t.ci * std::sin(t.b * x));
    }
    const double error = std::abs(value * scale - std::exp(-0.5 * x * x) / gaussian_sum);
    largest = std::max(largest, error * gaussian_sum);
    sum += k == 0 ? error : 2.0 * error;
  }
  // a a - g g = a (a - g) + (a - g) g, along either axis.
  return std::max(largest * (2.0 + largest), sum * (2.0 + sum));
}

ExpsumGaussian::ExpsumGaussian(double sigma, int pairs, const lanes::GaussianKernels& kernels)
    : kernels_(&kernels) {
  const double scale = 1.0 / kernel_sum(sigma, pairs);
  for (const Term& t : terms(pairs)) {
    const std::complex<double> p = std::exp(std::complex<double>(-t.a, -t.b) / sigma);
    const std::complex<double> c = scale * std::complex<double>(t.cr, t.ci);
    const double square = std::norm(p);
    pairs_.push_back({c.real(), -(c * std::conj(p)).real(), (c * p).real(), -square * c.real(),
                      2.0 * p.real(), -square});
  }
}

void ExpsumGaussian::filter(int count) {
  kernels_->recursive(pairs_.data(), static_cast<int>(pairs_.size()), count, scratch_.data(),
                      lines_.data());
}

void ExpsumGaussian::convolve(ImageView<const float> in, PixelOrigin in_origin,
                              ImageView<float> out, PixelOrigin out_origin) {
  constexpr int kLines = lanes::kLines;
  const FlushTinyNumbers flush;
  const int x0 = std::min(in_origin.x, out_origin.x);
  const int y0 = std::min(in_origin.y, out_origin.y);
  const int nx = std::max(in_origin.x + in.width(), out_origin.x + out.width()) - x0;
  const int ny = std::max(in_origin.y + in.height(), out_origin.y + out.height()) - y0;
  const std::size_t longest = static_cast<std::size_t>(std::max(nx, ny)) * kLines;
  lines_.resize(longest);
  scratch_.resize(longest);
  const auto line = [&](int position) { return lines_.data() + std::ptrdiff_t{position} * kLines; };
  Image<float> between(out.width(), in.height());
  for (int y = 0; y < in.height(); y += kLines) {
    const int count = std::min(kLines, in.height() - y);
    std::fill_n(lines_.begin(), std::ptrdiff_t{nx} * kLines, 0.0F);
    for (int l = 0; l < count; ++l) {
      const float* from = in.row(y + l).data();
      float* to = line(in_origin.x - x0) + l;
      for (int x = 0; x < in.width(); ++x, to += kLines) {
        *to = from[x];
      }
    }
    filter(nx);
    for (int l = 0; l < count; ++l) {
      const float* from = line(out_origin.x - x0) + l;
      float* to = between.view().row(y + l).data();
      for (int x = 0; x < out.width(); ++x, from += kLines) {
        to[x] = *from;
      }
    }
  }
  for (int x = 0; x < out.width(); x += kLines) {
    const int count = std::min(kLines, out.width() - x);
    std::fill_n(lines_.begin(), std::ptrdiff_t{ny} * kLines, 0.0F);
    for (int y = 0; y < in.height(); ++y) {
      std::copy_n(between.view().row(y).data() + x, count, line(in_origin.y - y0 + y));
    }
    filter(ny);
    for (int y = 0; y < out.height(); ++y) {
      std::copy_n(line(out_origin.y - y0 + y), count, out.row(y).data() + x);
    }
  }
}

}  // namespace skyloom::numerics
