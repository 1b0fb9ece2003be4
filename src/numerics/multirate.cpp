#include "skyloom/numerics/multirate.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "gaussian_lanes.hpp"
#include "gaussian_methods.hpp"

namespace skyloom::numerics {

namespace {

// Beyond 7.5 sigma a Gaussian is 6e-13 of its peak; the coarse grid is small enough not to save.
constexpr double kCoarseCut = 7.5;

int floor_divided(int a, int b) {
  return a >= 0 ? a / b : -((b - 1 - a) / b);
}
int ceil_divided(int a, int b) {
  return -floor_divided(-a, b);
}
int round_up(int value, int group) {
  return (value + group - 1) / group * group;
}

}  // namespace

NodeRange NodeRange::intersect(const NodeRange& other) const {
  const int begin = std::max(first, other.first);
  return {begin, std::max(0, std::min(end(), other.end()) - begin)};
}

MultirateGaussian::MultirateGaussian(const GaussianPlan& plan, InstructionSet set)
    : plan_(plan), kernels_(lanes::gaussian_kernels(set)) {
  if (plan.method != GaussianMethod::multirate) {
    throw std::invalid_argument("MultirateGaussian: a plan of another method");
  }
  if (kernels_ == nullptr) {
    throw std::invalid_argument("MultirateGaussian: this machine lacks the instruction set");
  }
  static_assert(kTapGroup == lanes::kTapGroup);
  const int step = plan.step;
  const double narrow = plan.narrow * step;
  half_taps_ = ceil_divided(plan.reach, step);
  pitch_ = round_up(step, kTapGroup);
  for (const double w : gaussian_weights(narrow, plan.reach)) {
    prefilter_.push_back(static_cast<float>(w));
  }
  prefilter_.resize(static_cast<std::size_t>(round_up(2 * plan.reach + 1, kTapGroup)), 0.0F);
  const double rest = std::sqrt(plan.sigma * plan.sigma - 2.0 * narrow * narrow) / step;
  coarse_ = gaussian_weights(rest, static_cast<int>(std::ceil(kCoarseCut * rest)));
}

std::vector<float> MultirateGaussian::interpolation_weights(double fraction) const {
  const int step = plan_.step;
  const double narrow = plan_.narrow * step;
  std::vector<float> out(static_cast<std::size_t>((2 * half_taps_ + 1) * pitch_), 0.0F);
  for (int p = 0; p < step; ++p) {
    std::vector<double> weight;
    double sum = 0.0;
    for (int j = -half_taps_; j <= half_taps_; ++j) {
      const double distance = p + fraction - j * step;
      const double z = distance / narrow;
      weight.push_back(std::abs(distance) <= plan_.reach ? std::exp(-0.5 * z * z) : 0.0);
      sum += weight.back();
    }
    for (int j = 0; j <= 2 * half_taps_; ++j) {
      out[static_cast<std::size_t>(j * pitch_ + p)] =
          static_cast<float>(weight[static_cast<std::size_t>(j)] / sum);
    }
  }
  return out;
}

NodeRange MultirateGaussian::nodes_reached(int first, int last) const {
  const int begin = ceil_divided(first - plan_.reach, plan_.step);
  return {begin, floor_divided(last - 1 + plan_.reach, plan_.step) - begin + 1};
}

NodeRange MultirateGaussian::nodes_needed(int first, int last) const {
  const int begin = floor_divided(first, plan_.step) - half_taps_;
  return {begin, floor_divided(last - 1, plan_.step) + half_taps_ - begin + 1};
}

void MultirateGaussian::decimate_row(const float* row, int first, NodeRange nodes,
                                     float* out) const {
  if (nodes.count > 0) {
    const std::ptrdiff_t offset = nodes.first * plan_.step - plan_.reach - first;
    kernels_->decimate(row + offset, prefilter_.data(), static_cast<int>(prefilter_.size()),
                       plan_.step, nodes.count, out);
  }
}

void MultirateGaussian::add_row(const float* decimated, int y, NodeRange rows,
                                ImageView<double> patch) const {
  const NodeRange reached = rows_reached(y).intersect(rows);
  for (int m = reached.first; m < reached.end(); ++m) {
    const int tap = m * plan_.step - y + plan_.reach;
    const double weight = static_cast<double>(prefilter_[static_cast<std::size_t>(tap)]);
    kernels_->add_scaled(weight, decimated, patch.width(), patch.row(m - rows.first).data());
  }
}

void MultirateGaussian::convolve_nodes(ImageView<const double> in, ImageView<float> out) const {
  const int taps = static_cast<int>(coarse_.size());
  if (in.width() != out.width() + taps - 1 || in.height() != out.height() + taps - 1) {
    throw std::invalid_argument("convolve_nodes: the grids do not fit");
  }
  Image<double> lines(out.width(), in.height());
  for (int m = 0; m < in.height(); ++m) {
    kernels_->sum_taps(in.row(m).data(), 1, coarse_.data(), taps, out.width(),
                       lines.view().row(m).data());
  }
  std::vector<double> row(static_cast<std::size_t>(out.width()));
  for (int m = 0; m < out.height(); ++m) {
    kernels_->sum_taps(lines.view().row(m).data(), out.width(), coarse_.data(), taps, out.width(),
                       row.data());
    std::transform(row.begin(), row.end(), out.row(m).begin(),
                   [](double value) { return static_cast<float>(value); });
  }
}

NodeInterpolation::NodeInterpolation(const MultirateGaussian& gaussian,
                                     ImageView<const float> nodes, PixelOrigin first, int x_first,
                                     int width, double x_fraction, double y_fraction)
    : gaussian_(&gaussian),
      width_(width),
      first_row_(first.y),
      along_y_(gaussian.interpolation_weights(y_fraction)) {
  const std::vector<float> along_x = gaussian.interpolation_weights(x_fraction);
  const int step = gaussian.plan_.step;
  const int interval = floor_divided(x_first, step);
  const int intervals = floor_divided(x_first + width - 1, step) - interval + 1;
  const int skipped = interval - gaussian.half_taps_ - first.x;
  if (skipped < 0 || skipped + intervals + 2 * gaussian.half_taps_ > nodes.width()) {
    throw std::invalid_argument("NodeInterpolation: the grid does not hold the columns");
  }
  offset_ = x_first - interval * step;
  // Vectors are written and read whole, beyond the last column.
  pitch_ = round_up(intervals * step + 3 * lanes::kTapGroup, 2 * lanes::kTapGroup);
  lines_.assign(static_cast<std::size_t>(pitch_) * static_cast<std::size_t>(nodes.height()), 0.0F);
  for (int m = 0; m < nodes.height(); ++m) {
    gaussian.kernels_->spread(nodes.row(m).data() + skipped, along_x.data(),
                              2 * gaussian.half_taps_ + 1, gaussian.pitch_, step, intervals,
                              lines_.data() + static_cast<std::ptrdiff_t>(pitch_) * m);
  }
}

void NodeInterpolation::rows(int y_first, ImageView<float> out) const {
  const int step = gaussian_->plan_.step;
  const int taps = 2 * gaussian_->half_taps_ + 1;
  const auto held = static_cast<std::ptrdiff_t>(lines_.size()) / pitch_;
  for (int y = y_first; y < y_first + out.height();) {
    const int interval = floor_divided(y, step);
    const int phase = y - interval * step;
    const int rows = std::min({lanes::kTileRows, step - phase, y_first + out.height() - y});
    const std::ptrdiff_t line = interval - gaussian_->half_taps_ - first_row_;
    if (line < 0 || line + taps > held) {
      throw std::invalid_argument("NodeInterpolation: the grid does not hold the rows");
    }
    gaussian_->kernels_->blend(lines_.data() + line * pitch_ + offset_, pitch_,
                               along_y_.data() + phase, gaussian_->pitch_, taps, rows, width_,
                               out.row(y - y_first).data(), out.stride());
    y += rows;
  }
}

}  // namespace skyloom::numerics
