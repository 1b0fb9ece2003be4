#include "skyloom/sky/profile.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <numbers>
#include <numeric>
#include <utility>

#include "skyloom/numerics/cubic_spline.hpp"

#include "sersic_tables.hpp"

namespace skyloom::sky {

namespace {

constexpr double kDegree = std::numbers::pi / 180.0;

void scale_to(std::vector<double>& amplitude, double total) {
  const double sum = std::accumulate(amplitude.begin(), amplitude.end(), 0.0);
  for (double& a : amplitude) {
    a *= total / sum;
  }
}

/// Splines over the rows of one range of the Sersic tables: amplitudes, then logarithms of
/// variances.
struct RangeSplines {
  std::vector<numerics::CubicSpline> columns;
};

std::vector<RangeSplines> make_range_splines() {
  std::vector<RangeSplines> result;
  for (const SersicRange& range : sersic_ranges()) {
    const auto rows = static_cast<std::size_t>(range.rows);
    const auto terms = static_cast<std::size_t>(range.terms);
    const std::size_t stride = 1 + 2 * terms;
    std::vector<double> x(rows);
    std::vector<double> y(rows);
    for (std::size_t r = 0; r < rows; ++r) {
      x[r] = range.values[r * stride];
    }
    RangeSplines& splines = result.emplace_back();
    for (std::size_t k = 0; k < 2 * terms; ++k) {
      for (std::size_t r = 0; r < rows; ++r) {
        const double v = range.values[r * stride + 1 + k];
        y[r] = k >= terms ? std::log(v) : v;
      }
      splines.columns.emplace_back(x, y);
    }
  }
  return result;
}

numerics::CubicSpline make_core_spline() {
  const auto table = sersic_core_table();
  std::vector<double> x;
  std::vector<double> y;
  for (std::size_t i = 0; i < table.size(); i += 2) {
    x.push_back(table[i]);
    y.push_back(table[i + 1]);
  }
  return {x, y};
}

double core_fraction(double n) {
  static const numerics::CubicSpline kSpline = make_core_spline();
  return kSpline(n);
}

constexpr double kRowStep = 0.05;
constexpr int kRowCount = 121;  ///< n = 0.30 ... 6.30

/// Tables of four neighbouring rows for terms with sigma in [low, high), made when they are first
/// needed: a process is one thread.
const RadialTable* sersic_rows(int first, double low, double high) {
  constexpr std::size_t kParts = 64;
  static std::map<std::pair<double, double>, std::vector<RadialTable>> parts;
  if (parts.size() > kParts) {
    parts.clear();
  }
  std::vector<RadialTable>& rows = parts[{low, high}];
  rows.resize(kRowCount);
  for (int r = first; r < first + 4; ++r) {
    RadialTable& row = rows[static_cast<std::size_t>(r)];
    if (row.empty()) {
      row = RadialTable(part_of(sersic_mixture(0.30 + kRowStep * r), low, high));
    }
  }
  return &rows[static_cast<std::size_t>(first)];
}

/// Lagrange weights of four equidistant points at position u in [0, 3], and their derivatives.
void lagrange4(double u, std::array<double, 4>& w, std::array<double, 4>& dw) {
  for (std::size_t i = 0; i < 4; ++i) {
    double denominator = 1.0;
    w[i] = 1.0;
    dw[i] = 0.0;
    for (std::size_t j = 0; j < 4; ++j) {
      if (j == i) {
        continue;
      }
      dw[i] = dw[i] * (u - static_cast<double>(j)) + w[i];
      w[i] *= u - static_cast<double>(j);
      denominator *= static_cast<double>(i) - static_cast<double>(j);
    }
    w[i] /= denominator;
    dw[i] /= denominator;
  }
}

}  // namespace

Mixture exponential_mixture() {
  Mixture m{
      {2.34853813e-03, 3.07995260e-02, 2.23364214e-01, 1.17949102, 4.33873750, 5.99820770},
      {1.20078965e-03, 8.84526493e-03, 3.91463084e-02, 1.39976817e-01, 4.60962500e-01, 1.50159566}};
  scale_to(m.amplitude, 1.0);
  return m;
}

Mixture de_vaucouleurs_mixture() {
  constexpr double kCore = 0.010233;
  Mixture m{{4.26347652e-02, 2.40127183e-01, 6.85907632e-01, 1.51937350, 2.83627243, 4.46467501,
             5.72440830, 5.60989349},
            {2.23759216e-04, 1.00220099e-03, 4.18731126e-03, 1.69432589e-02, 6.84850479e-02,
             2.87207080e-01, 1.33320254, 8.40215071}};
  scale_to(m.amplitude, 1.0 - kCore);
  m.amplitude.insert(m.amplitude.begin(), kCore);
  m.variance.insert(m.variance.begin(), 0.0);
  return m;
}

Mixture sersic_mixture(double n) {
  n = std::clamp(n, kSersicMin, kSersicMax);
  static const std::vector<RangeSplines> kSplines = make_range_splines();
  const auto ranges = sersic_ranges();
  std::size_t r = 0;
  while (r + 1 < ranges.size() && n >= ranges[r].high) {
    ++r;
  }
  const auto terms = static_cast<std::size_t>(ranges[r].terms);
  Mixture m;
  m.amplitude.reserve(terms + 1);
  m.variance.reserve(terms + 1);
  for (std::size_t k = 0; k < terms; ++k) {
    m.amplitude.push_back(kSplines[r].columns[k](n));
    m.variance.push_back(std::exp(kSplines[r].columns[terms + k](n)));
  }
  const double core = n > 1.0 ? core_fraction(n) : 0.0;
  scale_to(m.amplitude, 1.0 - core);
  if (n > 1.0) {
    m.amplitude.push_back(core);
    m.variance.push_back(0.0);
  }
  return m;
}

Mixture part_of(const Mixture& mixture, double low, double high) {
  Mixture part;
  for (std::size_t k = 0; k < mixture.variance.size(); ++k) {
    const double sigma = std::sqrt(mixture.variance[k]);
    if (sigma >= low && sigma < high) {
      part.amplitude.push_back(mixture.amplitude[k]);
      part.variance.push_back(mixture.variance[k]);
    }
  }
  return part;
}

ShapeParameters to_parameters(const Ellipse& ellipse) {
  const double e = (1.0 - ellipse.axis_ratio) / (1.0 + ellipse.axis_ratio);
  const double ee = -std::log(1.0 - e);
  const double angle = -2.0 * ellipse.phi_deg * kDegree;
  return {std::log(ellipse.re_pix), ee * std::cos(angle), ee * std::sin(angle)};
}

Ellipse to_ellipse(const ShapeParameters& shape) {
  const double ee = std::hypot(shape.ee1, shape.ee2);
  double phi = -0.5 * std::atan2(shape.ee2, shape.ee1) / kDegree;
  phi = phi < 0.0 ? phi + 180.0 : phi;
  return {std::exp(shape.log_re), 1.0 / (2.0 * std::exp(ee) - 1.0), phi >= 180.0 ? 0.0 : phi};
}

double phi_from_theta_deg(double theta_deg) {
  return theta_deg >= 0.0 ? theta_deg - 90.0 : theta_deg + 90.0;
}

double theta_from_phi_deg(double phi_deg) {
  double phi = std::fmod(phi_deg, 180.0);
  phi = phi < 0.0 ? phi + 180.0 : phi;
  return phi - 90.0;
}

ShapeMatrix shape_matrix(const ShapeParameters& shape) {
  const double ee = std::hypot(shape.ee1, shape.ee2);
  const double q = 1.0 / (2.0 * std::exp(ee) - 1.0);
  const double half = 0.5 * std::exp(2.0 * shape.log_re);
  // g = (1 - q^2) / ee tends to 4 at ee = 0; h = dg/dee / ee multiplies terms that vanish there.
  const bool round = ee < 1e-6;
  const double g = round ? 4.0 : (1.0 - q * q) / ee;
  const double dq = -2.0 * std::exp(ee) * q * q;
  const double dq2_over_ee = round ? 0.0 : 2.0 * q * dq / ee;
  const double h = round ? 0.0 : (-2.0 * q * dq - g) / (ee * ee);
  ShapeMatrix m;
  m.c = {half * (1.0 + q * q - g * shape.ee1), half * g * shape.ee2,
         half * (1.0 + q * q + g * shape.ee1)};
  const auto derivative = [&](double along, double unit1, double unit2) {
    const double area = dq2_over_ee * along;
    const double d1 = h * along * shape.ee1 + g * unit1;
    const double d2 = h * along * shape.ee2 + g * unit2;
    return Symmetric2{half * (area - d1), half * d2, half * (area + d1)};
  };
  m.d_ee1 = derivative(shape.ee1, 1.0, 0.0);
  m.d_ee2 = derivative(shape.ee2, 0.0, 1.0);
  return m;
}

ShapeMatrix transformed(const ShapeMatrix& shape, const std::array<double, 4>& matrix) {
  const auto [a, b, c, d] = matrix;
  const auto apply = [a = a, b = b, c = c, d = d](const Symmetric2& s) {
    return Symmetric2{a * a * s.xx + 2.0 * a * b * s.xy + b * b * s.yy,
                      a * c * s.xx + (a * d + b * c) * s.xy + b * d * s.yy,
                      c * c * s.xx + 2.0 * c * d * s.xy + d * d * s.yy};
  };
  return {apply(shape.c), apply(shape.d_ee1), apply(shape.d_ee2)};
}

double RadialTable::node(int k) {
  const int octave = kOctaveLow + k / kIntervalsPerOctave;
  return std::ldexp(1.0 + static_cast<double>(k % kIntervalsPerOctave) / kIntervalsPerOctave,
                    octave);
}

RadialTable::RadialTable(const std::vector<float>& value, const std::vector<float>& t_slope)
    : cubic_(static_cast<std::size_t>(kIntervals)) {
  for (std::size_t i = 0; i < cubic_.size(); ++i) {
    // t / interval length is 16 + j at the left node and 17 + j at the right one.
    const auto j = static_cast<float>(i % kIntervalsPerOctave);
    const float f0 = value[i];
    const float f1 = value[i + 1];
    const float d0 = t_slope[i] / (kIntervalsPerOctave + j);
    const float d1 = t_slope[i + 1] / (kIntervalsPerOctave + 1 + j);
    cubic_[i] = {f0, d0, 3.0F * (f1 - f0) - 2.0F * d0 - d1, 2.0F * (f0 - f1) + d0 + d1};
  }
}

RadialTable::RadialTable(const Mixture& mixture) {
  std::vector<float> value(static_cast<std::size_t>(kIntervals + 1));
  std::vector<float> slope(value.size());
  for (std::size_t k = 0; k < value.size(); ++k) {
    const double t = node(static_cast<int>(k));
    double f = 0.0;
    double tf = 0.0;
    for (std::size_t i = 0; i < mixture.amplitude.size(); ++i) {
      const double s = 2.0 * std::numbers::pi * std::numbers::pi * mixture.variance[i] * t;
      const double term = s < 80.0 ? mixture.amplitude[i] * std::exp(-s) : 0.0;
      f += term;
      tf -= s * term;
    }
    value[k] = static_cast<float>(f);
    slope[k] = static_cast<float>(tf);
  }
  *this = RadialTable(value, slope);
}

namespace {

/// Interval and fraction from the bits of the float: 4 leading mantissa bits count the interval
/// within the octave, the other 19 are the fraction.
struct Place {
  std::size_t interval;
  float fraction;
};

Place place(float t) {
  constexpr std::uint32_t kFirst =
      static_cast<std::uint32_t>(127 + RadialTable::kOctaveLow) * RadialTable::kIntervalsPerOctave;
  constexpr float kLow = 0x1p-20F;
  constexpr float kHigh = 0x1.fffffep13F;
  t = t < kLow ? kLow : t;
  t = t > kHigh ? kHigh : t;
  const auto bits = std::bit_cast<std::uint32_t>(t);
  return {static_cast<std::size_t>((bits >> 19U) - kFirst),
          static_cast<float>(bits & 0x7FFFFU) * 0x1p-19F};
}

}  // namespace

void RadialTable::evaluate(float t, float& value, float& slope) const {
  const auto [interval, f] = place(t);
  const auto& c = cubic_[interval];
  value = c[0] + f * (c[1] + f * (c[2] + f * c[3]));
  const float per_length = static_cast<float>(kIntervalsPerOctave) +
                           static_cast<float>(interval % kIntervalsPerOctave) + f;
  slope =
      (c[1] + f * (2.0F * c[2] + f * (3.0F * c[3]))) * per_length / (t < 0x1p-20F ? 0x1p-20F : t);
}

float RadialTable::value(float t) const {
  const auto [interval, f] = place(t);
  const auto& c = cubic_[interval];
  return c[0] + f * (c[1] + f * (c[2] + f * c[3]));
}

void RadialTable::combine(const RadialTable* first, const std::array<double, 4>& weight) {
  cubic_.resize(static_cast<std::size_t>(kIntervals));
  std::array<float, 4> w{};
  std::transform(weight.begin(), weight.end(), w.begin(),
                 [](double v) { return static_cast<float>(v); });
  const auto* a = first[0].cubic_.data();
  const auto* b = first[1].cubic_.data();
  const auto* c = first[2].cubic_.data();
  const auto* d = first[3].cubic_.data();
  for (std::size_t i = 0; i < cubic_.size(); ++i) {
    for (std::size_t k = 0; k < 4; ++k) {
      cubic_[i][k] = w[0] * a[i][k] + w[1] * b[i][k] + w[2] * c[i][k] + w[3] * d[i][k];
    }
  }
}

namespace {

/// The first of four rows for index n. Those of a part must have the same terms: they stay within a
/// range of the mixtures, but for very small n, where ranges are narrower than four rows.
int first_row(double n, bool part) {
  int lowest = 0;
  int highest = kRowCount - 1;
  for (const SersicRange& range : sersic_ranges()) {
    const int from = static_cast<int>(std::ceil((range.low - 0.30) / kRowStep - 1e-9));
    const int to = static_cast<int>(std::ceil((range.high - 0.30) / kRowStep - 1e-9)) - 1;
    if (part && n >= range.low && n < range.high && to - from >= 3) {
      lowest = std::max(lowest, from);
      highest = std::min(highest, to);
    }
  }
  const auto below = static_cast<int>(std::floor((n - 0.30) / kRowStep));
  return std::clamp(below - 1, lowest, highest - 3);
}

}  // namespace

void sersic_tables(double n, bool derivative, SersicTables& tables, double low, double high) {
  n = std::clamp(n, kSersicMin, kSersicMax);
  const double position = (n - 0.30) / kRowStep;
  const int first = first_row(n, low > 0.0 || high < 1e29);
  std::array<double, 4> w{};
  std::array<double, 4> dw{};
  lagrange4(position - first, w, dw);
  const RadialTable* rows = sersic_rows(first, low, high);
  tables.profile.combine(rows, w);
  if (derivative) {
    for (double& v : dw) {
      v /= kRowStep;
    }
    tables.n_derivative.combine(rows, dw);
  }
}

SersicTables sersic_tables(double n) {
  SersicTables tables;
  sersic_tables(n, true, tables);
  return tables;
}

}  // namespace skyloom::sky
