#include "kernel_network.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <numbers>

#include "kernel_network_lanes.hpp"

namespace skyloom::flares {
namespace {

using Net = WindowNetwork;
using lanes::kGroup;
using lanes::kHalf;
using lanes::kTransform;
using lanes::kUseful;

constexpr int kBlock = 96;               // cadences whose activations stay in the cache
constexpr int kInput = Net::kFirst;      // channels
constexpr int kChannels = Net::kSecond;  // channels
constexpr int kHidden = Net::kHidden;
constexpr int kFrontPadding = 16;
constexpr int kBackPadding = kBlock + 32;
constexpr int kLastBorder = 192;  // dilated position of the first right border activation
constexpr int kEdge = Net::kWindow - 4;

// Rows of a block's arrays: row i of the first two convolutions belongs to cadence start - 2 + i,
// row i of `second` to start + i; cadences to the right are seen by the taps and the pool.
constexpr int kRows = kBlock + 10;

/// Offsets of a block's arrays in NetworkWorkspace::block.
struct BlockLayout {
  static constexpr int kFirstLayer = 0;
  static constexpr int kPool = kFirstLayer + (kRows + 1) * kInput;
  static constexpr int kTap0 = kPool + kRows * kInput;
  static constexpr int kTap1 = kTap0 + kRows * kChannels;
  static constexpr int kTap2 = kTap1 + kRows * kChannels;
  static constexpr int kSecond = kTap2 + kRows * kChannels;
  static constexpr int kCorner = kSecond + kRows * kChannels;        // (rows, 4, 16)
  static constexpr int kCornerPool = kCorner + kBlock * 4 * kInput;  // (rows, 2, 16)
  static constexpr int kPair = kCornerPool + kBlock * 2 * kInput;    // (rows, 2, 64)
  static constexpr int kInner = kPair + kBlock * 2 * kChannels;      // (rows, 64)
  static constexpr int kOne = kInner + kBlock * kChannels;           // (rows, 64)
  static constexpr int kOther = kOne + kBlock * kChannels;           // (rows, 64)
  static constexpr int kFeatures = kOther + kBlock * kChannels;      // (rows, 2, 64)
  static constexpr int kSize = kFeatures + kBlock * 2 * kChannels;
};
using At = BlockLayout;

template <class Real>
std::vector<Real> converted(const std::vector<float>& values) {
  return {values.begin(), values.end()};
}

/// (cos, sin)(2 pi k / 256) for k < 256.
template <class Real>
const Real* twiddles() {
  static const std::vector<Real> kTable = [] {
    std::vector<Real> table;
    for (int k = 0; k < kTransform; ++k) {
      const double angle = 2.0 * std::numbers::pi * k / kTransform;
      table.push_back(static_cast<Real>(std::cos(angle)));
      table.push_back(static_cast<Real>(std::sin(angle)));
    }
    return table;
  }();
  return kTable.data();
}

/// Frequency at each place of a radix-4 transform: the four digits in base 4 reversed.
const int* frequencies() {
  static const std::array<int, kTransform> kTable = [] {
    std::array<int, kTransform> table{};
    for (int p = 0; p < kTransform; ++p) {
      table[static_cast<std::size_t>(p)] =
          (p & 3) << 6 | (p >> 2 & 3) << 4 | (p >> 4 & 3) << 2 | p >> 6;
    }
    return table;
  }();
  return kTable.data();
}

/// Samples of a residue from cadence `first` on, four cadences apart.
int samples_from(int first, int n) {
  return std::max(0, (n - first + 3) / 4);
}

/// Transform of the interior rows of the dense layer along time, conjugated for a correlation.
template <class Real>
std::vector<Real> dense_spectrum(const std::vector<float>& dense) {
  std::vector<std::complex<double>> turns(kTransform);
  for (std::size_t k = 0; k < turns.size(); ++k) {
    turns[k] =
        std::polar(1.0 / kTransform, 2.0 * std::numbers::pi * static_cast<double>(k) / kTransform);
  }
  std::vector<Real> out(static_cast<std::size_t>(kHalf * kChannels * 2 * kHidden));
  std::vector<double> sums(2 * kHidden);
  for (int f = 0; f < kHalf; ++f) {
    for (int c = 0; c < kChannels; ++c) {
      std::fill(sums.begin(), sums.end(), 0.0);
      for (int s = 0; s < lanes::kInterior; ++s) {
        const std::complex<double> turn = turns[static_cast<std::size_t>(f * s % kTransform)];
        const float* row = dense.data() + ((s + 2) * kChannels + c) * kHidden;
        for (int k = 0; k < kHidden; ++k) {
          sums[static_cast<std::size_t>(k)] += static_cast<double>(row[k]) * turn.real();
          sums[static_cast<std::size_t>(kHidden + k)] += static_cast<double>(row[k]) * turn.imag();
        }
      }
      std::transform(sums.begin(), sums.end(), out.begin() + (f * kChannels + c) * 2 * kHidden,
                     [](double v) { return static_cast<Real>(v); });
    }
  }
  return out;
}

/// Bias of each position plus what a flat curve (y = 0, flux 1) adds; the padding is zero flux.
template <class Real>
std::vector<Real> position_biases(const Net& net) {
  const int half = net.taps / 2;
  std::vector<Real> out;
  for (int p = 0; p < Net::kWindow; ++p) {
    for (int o = 0; o < kInput; ++o) {
      double sum = static_cast<double>(net.first_bias[static_cast<std::size_t>(o)]);
      for (int t = 0; t < net.taps; ++t) {
        if (p + t - half >= 0 && p + t - half < Net::kWindow) {
          sum += static_cast<double>(net.first[static_cast<std::size_t>(t * kInput + o)]);
        }
      }
      out.push_back(static_cast<Real>(sum));
    }
  }
  return out;
}

/// Second convolution of a flat curve away from the borders.
template <class Real>
std::vector<Real> flat_activations(const Net& net, const std::vector<Real>& position_bias) {
  std::vector<Real> out;
  for (int o = 0; o < kChannels; ++o) {
    double sum = static_cast<double>(net.second_bias[static_cast<std::size_t>(o)]);
    for (int row = 0; row < Net::kTaps * kInput; ++row) {
      const double input = std::max(
          0.0,
          static_cast<double>(
              position_bias[static_cast<std::size_t>(Net::kWindow / 2 * kInput + row % kInput)]));
      sum += input * static_cast<double>(net.second[static_cast<std::size_t>(row * kChannels + o)]);
    }
    out.push_back(static_cast<Real>(std::max(0.0, sum)));
  }
  return out;
}

/// [[k1, k0], [k2, k1]] of the taps k: what two neighbouring border positions give each other.
template <class Real>
std::vector<Real> border_matrix(const std::vector<Real>& second) {
  std::vector<Real> out;
  for (int row = 0; row < 2 * kInput; ++row) {
    for (const int tap : {1 + row / kInput, row / kInput}) {
      const auto from = second.begin() + (tap * kInput + row % kInput) * kChannels;
      out.insert(out.end(), from, from + kChannels);
    }
  }
  return out;
}

template <class Real>
std::vector<double> every_window(const Network<Real>& network, std::span<const Real> y) {
  std::vector<double> out;
  for (std::size_t i = 0; i + Net::kWindow <= y.size(); ++i) {
    out.push_back(network.window_logit(y.subspan(i, Net::kWindow)));
  }
  return out;
}

}  // namespace

template <class Real>
Network<Real>::Network(const WindowNetwork& weights) : Network(weights, lanes::best<Real>()) {}

template <class Real>
Network<Real>::Network(const WindowNetwork& weights, const lanes::Kernels<Real>& use)
    : use_(&use),
      taps_(weights.taps),
      first_(converted<Real>(weights.first)),
      position_bias_(position_biases<Real>(weights)),
      second_(converted<Real>(weights.second)),
      border_(border_matrix(second_)),
      second_bias_(converted<Real>(weights.second_bias)),
      flat_(flat_activations(weights, position_bias_)),
      dense_(converted<Real>(weights.dense)),
      dense_bias_(converted<Real>(weights.dense_bias)),
      spectrum_(dense_spectrum<Real>(weights.dense)),
      output_(weights.output.begin(), weights.output.end()),
      output_bias_(static_cast<double>(weights.output_bias)) {
  for (int k = 0; k < kHidden; ++k) {
    double sum = static_cast<double>(weights.dense_bias[static_cast<std::size_t>(k)]);
    for (int row = 2 * kChannels; row < (Net::kPositions - 2) * kChannels; ++row) {
      sum += static_cast<double>(flat_[static_cast<std::size_t>(row % kChannels)]) *
             static_cast<double>(weights.dense[static_cast<std::size_t>(row * kHidden + k)]);
    }
    shared_bias_.push_back(static_cast<Real>(sum));
  }
}

template <class Real>
std::vector<double> Network<Real>::logits(std::span<const Real> y,
                                          NetworkWorkspace<Real>& work) const {
  if (!add_borders(y, work)) {
    return every_window(*this, y);
  }
  add_interior(static_cast<int>(y.size()), work);
  return outputs(work.hidden);
}

template <class Real>
std::vector<double> Network<Real>::direct_logits(std::span<const Real> y,
                                                 NetworkWorkspace<Real>& work) const {
  if (!add_borders(y, work)) {
    return every_window(*this, y);
  }
  const int windows = static_cast<int>(y.size()) - Net::kWindow + 1;
  for (int s = 2; s < Net::kPositions - 2; ++s) {
    use_->multiply(work.pooled.data() + static_cast<std::ptrdiff_t>(4 * s) * kChannels, kChannels,
                   dense_.data() + static_cast<std::ptrdiff_t>(s) * kChannels * kHidden, windows,
                   kChannels, kHidden, work.hidden.data(), true);
  }
  return outputs(work.hidden);
}

/// Fills `pooled`, `right` and, but for the interior positions, `hidden`.
/// @return false when activations cannot be shared: a long first kernel, or no window
template <class Real>
bool Network<Real>::add_borders(std::span<const Real> y, NetworkWorkspace<Real>& work) const {
  const int n = static_cast<int>(y.size());
  const int windows = n - Net::kWindow + 1;
  if (taps_ > kSharedTaps || windows <= 0) {
    return false;
  }
  work.samples.assign(static_cast<std::size_t>(kFrontPadding + n + kBackPadding), Real{0});
  std::copy(y.begin(), y.end(), work.samples.begin() + kFrontPadding);
  work.pooled.resize(static_cast<std::size_t>(n) * kChannels);
  work.block.resize(At::kSize);
  work.hidden.resize(static_cast<std::size_t>(windows) * kHidden);
  work.right.resize(work.hidden.size());
  for (auto row = work.hidden.begin(); row != work.hidden.end(); row += kHidden) {
    std::copy(shared_bias_.begin(), shared_bias_.end(), row);
  }
  for (int start = 0; start < n; start += kBlock) {
    convolve_block(start, std::min(kBlock, n - start), work);
    add_left_border(start, std::clamp(windows - start, 0, kBlock), work);
    const int first = std::max(start, kLastBorder);
    add_right_border(start, first, std::min(start + kBlock, windows + kLastBorder) - first, work);
  }
  return true;
}

template <class Real>
std::vector<double> Network<Real>::outputs(std::span<const Real> hidden) const {
  std::vector<double> out;
  out.reserve(hidden.size() / kHidden);
  for (std::size_t at = 0; at < hidden.size(); at += kHidden) {
    out.push_back(output_of(hidden.data() + at));
  }
  return out;
}

template <class Real>
void Network<Real>::convolve_block(int start, int count, NetworkWorkspace<Real>& work) const {
  Real* b = work.block.data();
  use_->first_layer(work.samples.data() + kFrontPadding + start - 2 - taps_ / 2, first_.data(),
                    taps_, position_bias_.data() + Net::kWindow / 2 * kInput, kRows + 1,
                    b + At::kFirstLayer, kInput);
  use_->larger(b + At::kFirstLayer, kInput, b + At::kFirstLayer + kInput, kInput, nullptr, kRows,
               kInput, b + At::kPool, kInput);
  for (int tap = 0; tap < Net::kTaps; ++tap) {
    use_->multiply(b + At::kPool, kInput, second_.data() + tap * kInput * kChannels, kRows, kInput,
                   kChannels, b + At::kTap0 + tap * kRows * kChannels, false);
  }
  use_->rectified(second_bias_.data(), b + At::kTap0, kChannels, b + At::kTap1 + 2 * kChannels,
                  b + At::kTap2 + 4 * kChannels, kBlock + 6, b + At::kSecond);
  use_->larger(b + At::kSecond, kChannels, b + At::kSecond + 2 * kChannels, kChannels, flat_.data(),
               count, kChannels,
               work.pooled.data() + static_cast<std::ptrdiff_t>(start) * kChannels, kChannels);
}

// Positions 0 to 3 of a window see zeros to their left: two pooled positions, three of the second
// convolution and two that the dense layer sees differ from the shared ones.
template <class Real>
void Network<Real>::add_left_border(int start, int count, NetworkWorkspace<Real>& work) const {
  if (count <= 0) {
    return;
  }
  Real* b = work.block.data();
  const int half = taps_ / 2;
  for (int p = 0; p < 4; ++p) {
    const int outside = std::max(0, half - p);
    use_->first_layer(work.samples.data() + kFrontPadding + start + p - half + outside,
                      first_.data() + outside * kInput, taps_ - outside,
                      position_bias_.data() + p * kInput, count, b + At::kCorner + p * kInput,
                      4 * kInput);
  }
  for (int q = 0; q < 2; ++q) {
    const Real* from = b + At::kCorner + 2 * q * kInput;
    use_->larger(from, 4 * kInput, from + kInput, 4 * kInput, nullptr, count, kInput,
                 b + At::kCornerPool + q * kInput, 2 * kInput);
  }
  use_->multiply(b + At::kCornerPool, 2 * kInput, border_.data(), count, 2 * kInput, 2 * kChannels,
                 b + At::kPair, false);
  use_->multiply(b + At::kCornerPool + kInput, 2 * kInput, second_.data(), count, kInput, kChannels,
                 b + At::kInner, false);
  const Real* bias = second_bias_.data();
  use_->rectified(bias, b + At::kPair, 2 * kChannels, nullptr, nullptr, count, b + At::kOne);
  use_->rectified(bias, b + At::kPair + kChannels, 2 * kChannels, b + At::kTap2 + 6 * kChannels,
                  nullptr, count, b + At::kOther);
  use_->larger(b + At::kOne, kChannels, b + At::kOther, kChannels, nullptr, count, kChannels,
               b + At::kFeatures, 2 * kChannels);
  use_->rectified(bias, b + At::kInner, kChannels, b + At::kTap1 + 6 * kChannels,
                  b + At::kTap2 + 8 * kChannels, count, b + At::kOne);
  use_->larger(b + At::kOne, kChannels, b + At::kSecond + 6 * kChannels, kChannels, nullptr, count,
               kChannels, b + At::kFeatures + kChannels, 2 * kChannels);
  use_->multiply(b + At::kFeatures, 2 * kChannels, dense_.data(), count, 2 * kChannels, kHidden,
                 work.hidden.data() + static_cast<std::ptrdiff_t>(start) * kHidden, true);
}

// The mirror image at positions 196 to 199; cadence `first` of the block is that of position 192.
template <class Real>
void Network<Real>::add_right_border(int start, int first, int count,
                                     NetworkWorkspace<Real>& work) const {
  if (count <= 0) {
    return;
  }
  Real* b = work.block.data();
  const int half = taps_ / 2;
  const int window = first - kLastBorder;
  for (int p = 0; p < 4; ++p) {
    const int outside = std::max(0, half - (3 - p));
    use_->first_layer(work.samples.data() + kFrontPadding + window + kEdge + p - half,
                      first_.data(), taps_ - outside, position_bias_.data() + (kEdge + p) * kInput,
                      count, b + At::kCorner + p * kInput, 4 * kInput);
  }
  for (int q = 0; q < 2; ++q) {
    const Real* from = b + At::kCorner + 2 * q * kInput;
    use_->larger(from, 4 * kInput, from + kInput, 4 * kInput, nullptr, count, kInput,
                 b + At::kCornerPool + q * kInput, 2 * kInput);
  }
  use_->multiply(b + At::kCornerPool, 2 * kInput, border_.data(), count, 2 * kInput, 2 * kChannels,
                 b + At::kPair, false);
  use_->multiply(b + At::kCornerPool, 2 * kInput, second_.data() + 2 * kInput * kChannels, count,
                 kInput, kChannels, b + At::kInner, false);
  const int row = first - start;
  const Real* bias = second_bias_.data();
  use_->rectified(bias, b + At::kInner, kChannels, b + At::kTap0 + (row + 2) * kChannels,
                  b + At::kTap1 + (row + 4) * kChannels, count, b + At::kOne);
  use_->larger(b + At::kSecond + row * kChannels, kChannels, b + At::kOne, kChannels, nullptr,
               count, kChannels, b + At::kFeatures, 2 * kChannels);
  use_->rectified(bias, b + At::kPair, 2 * kChannels, b + At::kTap0 + (row + 4) * kChannels,
                  nullptr, count, b + At::kOne);
  use_->rectified(bias, b + At::kPair + kChannels, 2 * kChannels, nullptr, nullptr, count,
                  b + At::kOther);
  use_->larger(b + At::kOne, kChannels, b + At::kOther, kChannels, nullptr, count, kChannels,
               b + At::kFeatures + kChannels, 2 * kChannels);
  Real* right = work.right.data() + static_cast<std::ptrdiff_t>(window) * kHidden;
  use_->multiply(b + At::kFeatures, 2 * kChannels,
                 dense_.data() + (Net::kPositions - 2) * kChannels * kHidden, count, 2 * kChannels,
                 kHidden, right, false);
  Real* hidden = work.hidden.data() + static_cast<std::ptrdiff_t>(window) * kHidden;
  for (int i = 0; i < count * kHidden; ++i) {
    hidden[i] += right[i];
  }
}

// Residue r of the cadence modulo 4: hidden_r[u] += sum over s of W_s pooled_r[u + s]. Two residues
// are the real and the imaginary part of one transform.
template <class Real>
void Network<Real>::add_interior(int count, NetworkWorkspace<Real>& work) const {
  const int windows = count - Net::kWindow + 1;
  struct Piece {
    int residue;
    int start;
  };
  std::vector<Piece> pieces;
  for (const int residue : {0, 2}) {
    for (int u = 0; 4 * u + residue < windows; u += kUseful) {
      pieces.push_back({residue, u});
    }
  }
  // Frequencies 0 and 128 are their own mirror images; those rows stay zero.
  work.spectra.assign(static_cast<std::size_t>(kHalf * 2 * kGroup * 2 * kChannels), Real{0});
  work.products.resize(static_cast<std::size_t>(kHalf * 2 * kGroup * 2 * kHidden));
  for (std::size_t first = 0; first < pieces.size(); first += kGroup) {
    const int slots = static_cast<int>(std::min<std::size_t>(kGroup, pieces.size() - first));
    for (int slot = 0; slot < slots; ++slot) {
      const Piece& piece = pieces[first + static_cast<std::size_t>(slot)];
      const int at = 4 * (piece.start + 2) + piece.residue;
      use_->forward(
          {work.pooled.data() + static_cast<std::ptrdiff_t>(at) * kChannels, 4 * kChannels,
           kChannels, samples_from(at, count), samples_from(at + 1, count)},
          slot, twiddles<Real>(), frequencies(), work.spectra.data());
    }
    use_->product(work.spectra.data(), spectrum_.data(), slots, work.products.data());
    for (int slot = 0; slot < slots; ++slot) {
      const Piece& piece = pieces[first + static_cast<std::size_t>(slot)];
      const int at = 4 * piece.start + piece.residue;
      use_->inverse(work.products.data(), slot, twiddles<Real>(), frequencies(),
                    {work.hidden.data() + static_cast<std::ptrdiff_t>(at) * kHidden, 4 * kHidden,
                     kHidden, samples_from(at, windows), samples_from(at + 1, windows)});
    }
  }
}

// Eight partial sums, added in one order on every machine.
template <class Real>
double Network<Real>::output_of(const Real* hidden) const {
  std::array<double, 8> sums{};
  for (std::size_t k = 0; k < kHidden; ++k) {
    sums[k % 8] += static_cast<double>(std::max(hidden[k], Real{0})) * output_[k];
  }
  double sum = output_bias_;
  for (const double part : sums) {
    sum += part;
  }
  return sum;
}

template <class Real>
double Network<Real>::window_logit(std::span<const Real> y) const {
  const int half = taps_ / 2;
  std::vector<Real> pool(static_cast<std::size_t>((Net::kWindow / 2 + 2) * kInput), Real{0});
  for (int p = 0; p < Net::kWindow; ++p) {
    for (int o = 0; o < kInput; ++o) {
      Real sum = position_bias_[static_cast<std::size_t>(p * kInput + o)];
      for (int t = std::max(0, half - p); t < taps_ && p + t - half < Net::kWindow; ++t) {
        sum += first_[static_cast<std::size_t>(t * kInput + o)] *
               y[static_cast<std::size_t>(p + t - half)];
      }
      Real& place = pool[static_cast<std::size_t>((p / 2 + 1) * kInput + o)];
      place = std::max(place, sum);
    }
  }
  std::vector<Real> hidden = dense_bias_;
  std::vector<Real> row(kChannels);
  std::vector<Real> pooled(kChannels);
  for (int r = 0; r < Net::kWindow / 2; ++r) {
    row = second_bias_;
    for (int k = 0; k < Net::kTaps * kInput; ++k) {
      const Real value = pool[static_cast<std::size_t>(r * kInput + k)];
      for (std::size_t o = 0; o < kChannels; ++o) {
        row[o] += value * second_[static_cast<std::size_t>(k) * kChannels + o];
      }
    }
    for (std::size_t o = 0; o < kChannels; ++o) {
      pooled[o] = std::max(r % 2 == 0 ? Real{0} : pooled[o], row[o]);
    }
    if (r % 2 == 1) {
      for (std::size_t o = 0; o < kChannels; ++o) {
        const Real* weights =
            dense_.data() + (static_cast<std::size_t>(r / 2) * kChannels + o) * kHidden;
        for (std::size_t k = 0; k < kHidden; ++k) {
          hidden[k] += pooled[o] * weights[k];
        }
      }
    }
  }
  return output_of(hidden.data());
}

double probability(double logit) {
  return 1.0 / (1.0 + std::exp(-logit));
}

const char* instruction_set() {
  return lanes::best<float>().name;
}

template class Network<float>;
template class Network<double>;

}  // namespace skyloom::flares
