#include "kernel_increment.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "pipelines/flares/detect/kernel_network_lanes.hpp"

namespace skyloom::flares {
namespace {

using Net = WindowNetwork;
constexpr int kInput = Net::kFirst;
constexpr int kChannels = Net::kSecond;
constexpr int kHidden = Net::kHidden;
constexpr int kPositions = Net::kPositions;
constexpr int kSharedFirst = 2;  // positions of the dense layer that see no border
constexpr int kSharedLast = kPositions - 3;
constexpr int kSampleBounds = 208;   // 200 in whole vectors
constexpr int kTaps = 7;             // longest first kernel whose borders are as below
constexpr int kLeftBorder = 13;      // samples that positions 0 and 1 see
constexpr int kRightBorder = 187;    // first sample that positions 48 and 49 see
constexpr int kBorderSamples = 190;  // first sample position that the right border needs
constexpr double kRoundUp = 1.0001;  // of bounds formed in single precision
constexpr double kSlack = 0.01;      // in logit, for the rounding of logits
constexpr double kRefused = -std::numeric_limits<double>::infinity();

/// Change of the logit per change of the pooled activation at (position, channel).
std::vector<double> dense_bounds(const std::vector<double>& output, const auto& dense) {
  std::vector<double> out;
  for (int row = 0; row < kPositions * kChannels; ++row) {
    double sum = 0.0;
    for (int k = 0; k < kHidden; ++k) {
      sum += std::abs(output[static_cast<std::size_t>(k)]) *
             std::abs(static_cast<double>(dense[static_cast<std::size_t>(row * kHidden + k)]));
    }
    out.push_back(sum);
  }
  return out;
}

/// The same per change of a sample, through the dense positions [first, last]: absolute weights
/// carried back layer by layer. A maximum changes by no more than its arguments together.
std::vector<double> sample_bounds(const std::vector<double>& dense, const auto& second,
                                  const auto& kernel, int taps, int first, int last) {
  std::vector<double> pool(static_cast<std::size_t>(Net::kWindow / 2 * kInput), 0.0);
  for (int r = 2 * first; r <= 2 * last + 1; ++r) {
    for (int t = 0; t < Net::kTaps; ++t) {
      const int q = r + t - 1;
      for (int c = 0; c < kInput && q >= 0 && q < Net::kWindow / 2; ++c) {
        double sum = 0.0;
        for (int o = 0; o < kChannels; ++o) {
          sum += std::abs(static_cast<double>(
                     second[static_cast<std::size_t>((t * kInput + c) * kChannels + o)])) *
                 dense[static_cast<std::size_t>(r / 2 * kChannels + o)];
        }
        pool[static_cast<std::size_t>(q * kInput + c)] += sum;
      }
    }
  }
  std::vector<double> out(kSampleBounds, 0.0);
  for (int p = 0; p < Net::kWindow; ++p) {
    for (int t = 0; t < taps; ++t) {
      const int i = p + t - taps / 2;
      for (int c = 0; c < kInput && i >= 0 && i < Net::kWindow; ++c) {
        out[static_cast<std::size_t>(i)] +=
            std::abs(static_cast<double>(kernel[static_cast<std::size_t>(t * kInput + c)])) *
            pool[static_cast<std::size_t>(p / 2 * kInput + c)];
      }
    }
  }
  return out;
}

template <class Real>
std::vector<Real> rounded_up(const std::vector<double>& values) {
  std::vector<Real> out(values.size());
  std::transform(values.begin(), values.end(), out.begin(),
                 [](double value) { return static_cast<Real>(kRoundUp * value); });
  return out;
}

template <class Real>
void at_least(std::vector<Real>& buffer, std::size_t size) {
  if (buffer.size() < size) {
    buffer.resize(size);
  }
}

}  // namespace

template <class Real>
TrialNetwork<Real>::TrialNetwork(const Network<Real>& network) : network_(&network) {
  const std::vector<double> dense = dense_bounds(network.output_, network.dense_);
  dense_bound_ = rounded_up<Real>(dense);
  sample_bound_ = rounded_up<Real>(
      sample_bounds(dense, network.second_, network.first_, network.taps_, 0, kPositions - 1));
  border_bound_ = rounded_up<Real>(sample_bounds(dense, network.second_, network.first_,
                                                 network.taps_, kPositions - 2, kPositions - 1));
}

template <class Real>
QuietActivations<Real> TrialNetwork<Real>::quiet(std::span<const Real> y) const {
  NetworkWorkspace<Real> work;
  QuietActivations<Real> out;
  out.logits = network_->logits(y, work);
  out.pooled = std::move(work.pooled);
  out.hidden = std::move(work.hidden);
  out.right = std::move(work.right);
  return out;
}

// Left borders are computed once per light curve: a change that reaches one asks for the window as
// a whole. So does a first kernel whose borders reach further than those below.
template <class Real>
bool TrialNetwork<Real>::shares(const ChangedCurve<Real>& curve, int window) const {
  return network_->taps_ <= kTaps && curve.begin > window + kLeftBorder;
}

template <class Real>
bool TrialNetwork<Real>::reaches_right(const ChangedCurve<Real>& curve, int window) const {
  return curve.end > window + kRightBorder;
}

template <class Real>
double TrialNetwork<Real>::whole_window(const ChangedCurve<Real>& curve, int window,
                                        TrialWorkspace<Real>& work) const {
  const auto at = static_cast<std::size_t>(window - curve.first);
  return network_
      ->direct_logits(std::span<const Real>(curve.samples).subspan(at, Net::kWindow), work.direct)
      .front();
}

template <class Real>
double TrialNetwork<Real>::sample_bound(const ChangedCurve<Real>& curve, int window) const {
  const Real* change = curve.change.data() + (window - curve.first);
  return kRoundUp * network_->use_->bounded(change, 0, sample_bound_.data(), 0, 1, kSampleBounds);
}

template <class Real>
double TrialNetwork<Real>::activation_bound(const ChangedCurve<Real>& curve, int window,
                                            const Row& row,
                                            const TrialWorkspace<Real>& work) const {
  double bound = network_->use_->bounded(work.changes.data() + row.at, 2 * kChannels,
                                         dense_bound_.data() + row.s0 * kChannels, kChannels,
                                         row.s1 - row.s0 + 1, kChannels);
  if (reaches_right(curve, window)) {
    const Real* change = curve.change.data() + (window - curve.first);
    bound += network_->use_->bounded(change, 0, border_bound_.data(), 0, 1, kSampleBounds);
  }
  return kRoundUp * bound;
}

/// For the cadences of one parity that windows [low, high] see through shared positions.
template <class Real>
typename TrialNetwork<Real>::Changes TrialNetwork<Real>::changes_of(
    const ChangedCurve<Real>& curve, const QuietActivations<Real>& quiet, int low, int high,
    int parity, TrialWorkspace<Real>& work) const {
  const int half = network_->taps_ / 2;
  // A pooled activation sees 2 + 3 samples to its left and 5 + 3 to its right with seven taps.
  int first = std::max(curve.begin - 5 - half, low + 4 * kSharedFirst);
  const int last = std::min(curve.end + 1 + half, high + 4 * kSharedLast);
  first += (first + parity) % 2;
  Changes out{first, std::max(0, (last - first) / 2 + 1), work.changes.size()};
  if (last < first) {
    out.rows = 0;
    return out;
  }
  // Whole tiles of rows cost less than single rows at the end.
  const int convolved = (out.rows + 4) / 4 * 4;
  const int pools = convolved + 2;
  const int samples = 2 * pools;
  at_least(work.first, static_cast<std::size_t>(samples * kInput));
  at_least(work.pool, static_cast<std::size_t>(pools * kInput));
  at_least(work.conv, static_cast<std::size_t>(convolved * kChannels));
  const Network<Real>& net = *network_;
  net.use_->first_layer(curve.samples.data() + (first - 2 - half - curve.first), net.first_.data(),
                        net.taps_, net.position_bias_.data() + Net::kWindow / 2 * kInput, samples,
                        work.first.data(), kInput);
  net.use_->larger(work.first.data(), 2 * kInput, work.first.data() + kInput, 2 * kInput, nullptr,
                   pools, kInput, work.pool.data(), kInput);
  net.use_->multiply(work.pool.data(), kInput, net.second_.data(), convolved, Net::kTaps * kInput,
                     kChannels, work.conv.data(), false);
  work.changes.resize(out.at + static_cast<std::size_t>(out.rows * kChannels));
  net.use_->changed(work.conv.data(), net.second_bias_.data(), net.flat_.data(),
                    quiet.pooled.data() + static_cast<std::ptrdiff_t>(first) * kChannels,
                    2 * kChannels, out.rows, work.changes.data() + out.at);
  return out;
}

template <class Real>
void TrialNetwork<Real>::curve_rows(const QuietActivations<Real>& quiet,
                                    const ChangedCurve<Real>& curve,
                                    std::span<const WindowQuestion> questions, std::size_t first,
                                    double refuse_below, TrialWorkspace<Real>& work,
                                    std::span<double> out, std::vector<Row>& rows) const {
  const auto refused = [&](double quiet_logit, double bound) {
    return quiet_logit + bound + kSlack < refuse_below;
  };
  const std::size_t begin = rows.size();
  int low[2] = {std::numeric_limits<int>::max(), std::numeric_limits<int>::max()};
  int high[2] = {-1, -1};
  for (std::size_t i = 0; i < questions.size(); ++i) {
    const int window = questions[i].window;
    const double quiet_logit = quiet.logits[static_cast<std::size_t>(window)];
    double& answer = out[first + i];
    if (curve.begin >= curve.end || curve.end <= window || curve.begin >= window + Net::kWindow) {
      answer = quiet_logit;
    } else if (std::isfinite(refuse_below) && refused(quiet_logit, sample_bound(curve, window))) {
      answer = kRefused;
    } else if (!shares(curve, window)) {
      answer = whole_window(curve, window, work);
    } else {
      rows.push_back({first + i, 0, -1, 0});
      low[window % 2] = std::min(low[window % 2], window);
      high[window % 2] = std::max(high[window % 2], window);
    }
  }
  Changes changes[2];
  for (const int parity : {0, 1}) {
    if (high[parity] >= 0) {
      changes[parity] = changes_of(curve, quiet, low[parity], high[parity], parity, work);
    }
  }
  std::size_t kept = begin;
  for (std::size_t i = begin; i < rows.size(); ++i) {
    Row row = rows[i];
    const int window = questions[row.question - first].window;
    const Changes& change = changes[window % 2];
    row.s0 = std::max(kSharedFirst, (change.first - window + 3) / 4);
    row.s1 = std::min(kSharedLast, (change.first + 2 * (change.rows - 1) - window) / 4);
    if (change.rows > 0 && row.s0 <= row.s1) {
      row.at = change.at +
               static_cast<std::size_t>((window + 4 * row.s0 - change.first) / 2 * kChannels);
    } else {
      row.s1 = row.s0 - 1;
    }
    const double quiet_logit = quiet.logits[static_cast<std::size_t>(window)];
    if (std::isfinite(refuse_below) &&
        refused(quiet_logit, activation_bound(curve, window, row, work))) {
      out[row.question] = kRefused;
    } else {
      rows[kept++] = row;
    }
  }
  rows.resize(kept);
}

template <class Real>
void TrialNetwork<Real>::logits(const QuietActivations<Real>& quiet,
                                std::span<const ChangedCurve<Real>> curves,
                                std::span<const WindowQuestion> questions, double refuse_below,
                                TrialWorkspace<Real>& work, std::span<double> out) const {
  std::vector<Row> rows;
  work.changes.clear();
  for (std::size_t i = 0; i < questions.size();) {
    std::size_t end = i + 1;
    while (end < questions.size() && questions[end].curve == questions[i].curve) {
      ++end;
    }
    curve_rows(quiet, curves[static_cast<std::size_t>(questions[i].curve)],
               questions.subspan(i, end - i), i, refuse_below, work, out, rows);
    i = end;
  }
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    return a.s1 != b.s1 ? a.s1 < b.s1 : a.s0 != b.s0 ? a.s0 < b.s0 : a.question < b.question;
  });
  at_least(work.hidden, (rows.size() + 1) * kHidden);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const int window = questions[rows[i].question].window;
    std::copy_n(quiet.hidden.data() + static_cast<std::ptrdiff_t>(window) * kHidden, kHidden,
                work.hidden.data() + i * kHidden);
  }
  add_dense(rows, work);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const WindowQuestion& question = questions[rows[i].question];
    const ChangedCurve<Real>& curve = curves[static_cast<std::size_t>(question.curve)];
    Real* hidden = work.hidden.data() + i * kHidden;
    if (reaches_right(curve, question.window)) {
      add_right(curve, question.window,
                quiet.right.data() + static_cast<std::ptrdiff_t>(question.window) * kHidden, hidden,
                work);
    }
    out[rows[i].question] = network_->output_of(hidden);
  }
}

// Rows that change at about the same positions share a pass over the weights; positions that a row
// does not have read zeros.
template <class Real>
void TrialNetwork<Real>::add_dense(std::span<Row> rows, TrialWorkspace<Real>& work) const {
  static const std::vector<Real> kZeros(kChannels, Real{0});
  const auto tile = static_cast<std::size_t>(network_->use_->tile_rows);
  std::vector<Real*> out(tile);
  for (std::size_t i = 0; i < rows.size(); i += tile) {
    const std::span<Row> some = rows.subspan(i, std::min(tile, rows.size() - i));
    int s0 = kPositions;
    int s1 = -1;
    for (const Row& row : some) {
      s0 = row.s1 >= row.s0 ? std::min(s0, row.s0) : s0;
      s1 = std::max(s1, row.s1);
    }
    if (s1 < s0) {
      continue;
    }
    work.inputs.assign(static_cast<std::size_t>(s1 - s0 + 1) * tile, kZeros.data());
    for (std::size_t r = 0; r < tile; ++r) {
      // Surplus rows of the last tile go to the row behind the last one.
      out[r] = work.hidden.data() + (r < some.size() ? i + r : rows.size()) * kHidden;
      for (int s = some[r < some.size() ? r : 0].s0; r < some.size() && s <= some[r].s1; ++s) {
        work.inputs[static_cast<std::size_t>(s - s0) * tile + r] =
            work.changes.data() + some[r].at +
            static_cast<std::size_t>((s - some[r].s0) * 2 * kChannels);
      }
    }
    network_->use_->gathered(work.inputs.data(), s1 - s0 + 1,
                             network_->dense_.data() + s0 * kChannels * kHidden, out.data());
  }
}

// First layer at sample positions 190 to 199, of which the last four see the padding; pooled in
// pairs, a row of zeros for the padding of the second convolution behind them.
template <class Real>
void TrialNetwork<Real>::add_right(const ChangedCurve<Real>& curve, int window,
                                   const Real* quiet_right, Real* hidden,
                                   TrialWorkspace<Real>& work) const {
  const Network<Real>& net = *network_;
  constexpr int kSamples = Net::kWindow - kBorderSamples;
  constexpr int kPool = kSamples * kInput;
  constexpr int kConv = kPool + (kSamples / 2 + 1) * kInput;
  constexpr int kFeatures = kConv + 4 * kChannels;
  constexpr int kPart = kFeatures + 2 * kChannels;
  at_least(work.border, static_cast<std::size_t>(kPart + kHidden));
  Real* b = work.border.data();
  const int half = net.taps_ / 2;
  const Real* y = curve.samples.data() + (window + kBorderSamples - half - curve.first);
  net.use_->first_layer(y, net.first_.data(), net.taps_,
                        net.position_bias_.data() + Net::kWindow / 2 * kInput, kSamples - 4, b,
                        kInput);
  for (int p = kSamples - 4; p < kSamples; ++p) {
    const int outside = std::max(0, half - (kSamples - 1 - p));
    net.use_->first_layer(y + p, net.first_.data(), net.taps_ - outside,
                          net.position_bias_.data() + (kBorderSamples + p) * kInput, 1,
                          b + p * kInput, kInput);
  }
  net.use_->larger(b, 2 * kInput, b + kInput, 2 * kInput, nullptr, kSamples / 2, kInput, b + kPool,
                   kInput);
  std::fill_n(b + kPool + kSamples / 2 * kInput, kInput, Real{0});
  net.use_->multiply(b + kPool, kInput, net.second_.data(), 4, Net::kTaps * kInput, kChannels,
                     b + kConv, false);
  for (int f = 0; f < 2; ++f) {
    for (int o = 0; o < kChannels; ++o) {
      const Real above = b[kConv + 2 * f * kChannels + o];
      const Real below = b[kConv + (2 * f + 1) * kChannels + o];
      b[kFeatures + f * kChannels + o] =
          std::max(Real{0}, net.second_bias_[static_cast<std::size_t>(o)] + std::max(above, below));
    }
  }
  net.use_->multiply(b + kFeatures, 2 * kChannels,
                     net.dense_.data() + (kPositions - 2) * kChannels * kHidden, 1, 2 * kChannels,
                     kHidden, b + kPart, false);
  for (int k = 0; k < kHidden; ++k) {
    hidden[k] += b[kPart + k] - quiet_right[k];
  }
}

template class TrialNetwork<float>;
template class TrialNetwork<double>;

}  // namespace skyloom::flares
