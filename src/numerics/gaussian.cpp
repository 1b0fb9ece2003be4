#include "skyloom/numerics/gaussian.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <optional>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include "skyloom/numerics/multirate.hpp"

#include "gaussian_lanes.hpp"
#include "gaussian_methods.hpp"

namespace skyloom::numerics {

namespace {

constexpr double kSmallestTolerance = 6e-7;
// Rounding in single precision, largest of many fields and every sigma (unit test gaussian): of
// direct and fft 4.1e-7, of multirate 3.5e-7.
constexpr double kLineFloor = 5e-7;
constexpr double kMultirateFloor = 4e-7;
constexpr double kExpsumFloor = 2e-7;
// The recursions cancel by sigma squared, in double.
constexpr double kExpsumLargest = 1000.0;
// What it comes to as a rule: this much is set aside when step and width are chosen.
constexpr double kUsualRounding = 3e-7;
// Below this sigma the direct sums are faster than coarse grids of two pixels, and up to this
// radius than transforms (gaussian_benchmark; with AVX-512 and AVX2).
constexpr double kDirectBelow = 7.5;
constexpr int kDirectRadius = 64;
constexpr int kLargestStep = 24;

/// Largest error of the kernel by cutting it at `radius`, and of the sum of absolute errors.
double cut_error(double sigma, int radius) {
  double inside = 1.0;
  double outside = 0.0;
  for (int k = 1; k <= static_cast<int>(std::ceil(9.0 * sigma)); ++k) {
    const double value = 2.0 * std::exp(-0.5 * (k / sigma) * (k / sigma));
    (k <= radius ? inside : outside) += value;
  }
  const double edge = (radius + 1) / sigma;
  return std::exp(-0.5 * edge * edge) + 4.0 * outside / (inside + outside);
}

/// The smallest radius whose cut is at most `error`.
int radius_for(double sigma, double error) {
  int radius = static_cast<int>(std::ceil(sigma * std::sqrt(-2.0 * std::log(error)))) - 2;
  radius = std::max(radius, 1);
  while (cut_error(sigma, radius) > error) {
    ++radius;
  }
  return radius;
}

double multirate_error(double sigma, int step, double narrow, int reach) {
  constexpr double kPi = std::numbers::pi;
  const double r = narrow * step / sigma;
  const double alias = std::exp(-2.0 * kPi * kPi * narrow * narrow * (1.0 - r * r));
  const double t = reach / (narrow * step);
  return 8.0 * alias + (1.0 + 2.0 * r) * std::exp(-0.5 * t * t);
}

/// Passes over the image and work on the coarse grid, in multiply-adds per pixel.
double multirate_cost(int step, int reach) {
  const double d = step;
  return 2.0 * (2 * reach + 1) / d * (1.0 + 2.0 / d) + 400.0 / (d * d);
}

struct MultirateChoice {
  int step;
  double narrow;
  int reach;
  double error;
};

/// The cheapest choice within `budget`, then the smallest step. Widths and radii go in twentieths
/// and quarters, counted in integers.
std::optional<MultirateChoice> choose_multirate(double sigma, double budget, double tolerance) {
  std::optional<MultirateChoice> best;
  double best_cost = std::numeric_limits<double>::infinity();
  // A longer cut than the bound asks for keeps faint surroundings of bright stars right as well.
  const int shortest = tolerance <= 1e-6 ? 24 : 14;
  const int largest = std::min(kLargestStep, static_cast<int>(sigma / 2.5));
  for (int step = 2; step <= largest; ++step) {
    for (int twentieths = 14; twentieths <= 24; ++twentieths) {
      const double narrow = twentieths / 20.0;
      if (narrow * step > 0.42 * sigma) {
        break;
      }
      for (int quarters = 14; quarters <= 26; ++quarters) {
        const int reach = quarters * twentieths * step / 80;
        const int used = std::max(quarters, shortest) * twentieths * step / 80;
        const double error = multirate_error(sigma, step, narrow, used);
        if (multirate_error(sigma, step, narrow, reach) + kUsualRounding > budget ||
            error + kMultirateFloor > budget) {
          continue;
        }
        const double cost = multirate_cost(step, reach);
        if (cost < best_cost) {
          best_cost = cost;
          best = MultirateChoice{step, narrow, used, error + kMultirateFloor};
        }
        break;
      }
    }
  }
  return best;
}

/// @param cut_off what the request's radius cuts off
void plan_expsum(const GaussianRequest& request, double cut_off, GaussianPlan& plan) {
  plan.method = GaussianMethod::expsum;
  for (const int pairs : {4, 5}) {
    const double error = request.sigma <= kExpsumLargest ? expsum_error(request.sigma, pairs) : 1.0;
    // What lies beyond the radius, where a caller leaves it out, gets a tenth of the tolerance.
    plan.radius =
        request.radius > 0 ? request.radius : radius_for(request.sigma, 0.1 * request.tolerance);
    plan.error_bound = error + kExpsumFloor +
                       (request.radius > 0 ? cut_off : cut_error(request.sigma, plan.radius));
    if (plan.error_bound <= request.tolerance) {
      plan.pairs = pairs;
      return;
    }
  }
  throw std::invalid_argument("no sum of exponentials for a Gaussian of sigma " +
                              std::to_string(request.sigma) +
                              " pixels keeps the tolerance: expected sigma up to 1000 pixels, a "
                              "larger radius or tolerance, or another method");
}

}  // namespace

GaussianPlan plan_gaussian(const GaussianRequest& request) {
  if (!(request.sigma > 0.0) || !(request.sigma <= 1e5)) {
    throw std::invalid_argument("sigma of a Gaussian: expected 0 < sigma <= 1e5 pixels");
  }
  if (!(request.tolerance >= kSmallestTolerance) || !(request.tolerance <= 0.1)) {
    throw std::invalid_argument("tolerance of a Gaussian: expected 6e-7 to 0.1 (single precision)");
  }
  if (request.radius < 0) {
    throw std::invalid_argument("radius of a Gaussian: expected 0 or more pixels");
  }
  GaussianPlan plan;
  plan.sigma = request.sigma;
  const bool cut = request.radius > 0;
  const double cut_off = cut ? cut_error(request.sigma, request.radius) : 0.0;
  const bool automatic = request.method == GaussianMethod::automatic;
  if (request.method == GaussianMethod::multirate || (automatic && request.sigma >= kDirectBelow)) {
    const auto choice =
        choose_multirate(request.sigma, request.tolerance - cut_off, request.tolerance);
    if (choice) {
      plan.method = GaussianMethod::multirate;
      plan.step = choice->step;
      plan.narrow = choice->narrow;
      plan.reach = choice->reach;
      plan.error_bound = choice->error + cut_off;
      return plan;
    }
    if (!automatic) {
      throw std::invalid_argument("no multirate Gaussian of sigma " +
                                  std::to_string(request.sigma) +
                                  " pixels keeps the tolerance: expected a larger sigma, radius or "
                                  "tolerance, or another method");
    }
  }
  if (request.method == GaussianMethod::expsum) {
    plan_expsum(request, cut_off, plan);
    return plan;
  }
  // The rounding of both has the same share of the tolerance.
  plan.radius = cut ? request.radius : radius_for(request.sigma, request.tolerance - kLineFloor);
  plan.method = !automatic                     ? request.method
                : plan.radius <= kDirectRadius ? GaussianMethod::direct
                                               : GaussianMethod::fft;
  plan.error_bound = kLineFloor + (cut ? 0.0 : cut_error(request.sigma, plan.radius));
  return plan;
}

struct GaussianConvolution::Parts {
  GaussianPlan plan;
  std::variant<std::monostate, DirectGaussian, ExpsumGaussian, FftGaussian, MultirateGaussian>
      method;
  std::vector<float> row;
  std::vector<float> decimated;

  void multirate(const MultirateGaussian& gaussian, ImageView<const float> in,
                 PixelOrigin in_origin, ImageView<float> out, PixelOrigin out_origin);
};

void GaussianConvolution::Parts::multirate(const MultirateGaussian& gaussian,
                                           ImageView<const float> in, PixelOrigin in_origin,
                                           ImageView<float> out, PixelOrigin out_origin) {
  const NodeRange kept_x = gaussian.nodes_needed(out_origin.x, out_origin.x + out.width());
  const NodeRange kept_y = gaussian.nodes_needed(out_origin.y, out_origin.y + out.height());
  const NodeRange wide_x = kept_x.grown(gaussian.coarse_radius());
  const NodeRange wide_y = kept_y.grown(gaussian.coarse_radius());
  const NodeRange lit =
      gaussian.nodes_reached(in_origin.x, in_origin.x + in.width()).intersect(wide_x);
  Image<double> grid(wide_x.count, wide_y.count);
  if (lit.count > 0) {
    const auto margin = static_cast<std::size_t>(gaussian.row_margin());
    row.assign(static_cast<std::size_t>(in.width()) + 2 * margin, 0.0F);
    decimated.resize(static_cast<std::size_t>(lit.count));
    const int column = lit.first - wide_x.first;
    const ImageView<double> patch = grid.view().sub({column, column + lit.count, 0, wide_y.count});
    for (int i = 0; i < in.height(); ++i) {
      const int y = in_origin.y + i;
      if (gaussian.rows_reached(y).intersect(wide_y).count > 0) {
        std::copy(in.row(i).begin(), in.row(i).end(),
                  row.begin() + static_cast<std::ptrdiff_t>(margin));
        gaussian.decimate_row(row.data() + margin, in_origin.x, lit, decimated.data());
        gaussian.add_row(decimated.data(), y, wide_y, patch);
      }
    }
  }
  Image<float> nodes(kept_x.count, kept_y.count);
  gaussian.convolve_nodes(static_cast<const Image<double>&>(grid).view(), nodes.view());
  const NodeInterpolation interpolation(gaussian, static_cast<const Image<float>&>(nodes).view(),
                                        {kept_x.first, kept_y.first}, out_origin.x, out.width());
  interpolation.rows(out_origin.y, out);
}

GaussianConvolution::GaussianConvolution(const GaussianPlan& plan, InstructionSet set)
    : parts_(std::make_unique<Parts>()) {
  parts_->plan = plan;
  const lanes::GaussianKernels* kernels = lanes::gaussian_kernels(set);
  if (kernels == nullptr) {
    throw std::invalid_argument("GaussianConvolution: this machine lacks the instruction set");
  }
  switch (plan.method) {
    case GaussianMethod::direct:
      parts_->method.emplace<DirectGaussian>(plan.sigma, plan.radius, *kernels);
      break;
    case GaussianMethod::expsum:
      parts_->method.emplace<ExpsumGaussian>(plan.sigma, plan.pairs, *kernels);
      break;
    case GaussianMethod::fft:
      parts_->method.emplace<FftGaussian>(plan.sigma, plan.radius);
      break;
    case GaussianMethod::multirate:
      parts_->method.emplace<MultirateGaussian>(plan, set);
      break;
    case GaussianMethod::automatic:
      throw std::invalid_argument("GaussianConvolution: expected a plan of plan_gaussian");
  }
}

GaussianConvolution::~GaussianConvolution() = default;
GaussianConvolution::GaussianConvolution(GaussianConvolution&&) noexcept = default;
GaussianConvolution& GaussianConvolution::operator=(GaussianConvolution&&) noexcept = default;

const GaussianPlan& GaussianConvolution::plan() const {
  return parts_->plan;
}

void GaussianConvolution::operator()(ImageView<const float> in, PixelOrigin in_origin,
                                     ImageView<float> out, PixelOrigin out_origin) {
  if (out.empty()) {
    return;
  }
  if (auto* direct = std::get_if<DirectGaussian>(&parts_->method)) {
    direct->convolve(in, in_origin, out, out_origin);
  } else if (auto* expsum = std::get_if<ExpsumGaussian>(&parts_->method)) {
    expsum->convolve(in, in_origin, out, out_origin);
  } else if (auto* fft = std::get_if<FftGaussian>(&parts_->method)) {
    fft->convolve(in, in_origin, out, out_origin);
  } else {
    parts_->multirate(std::get<MultirateGaussian>(parts_->method), in, in_origin, out, out_origin);
  }
}

void GaussianConvolution::with_missing(ImageView<const float> in, ImageView<float> out,
                                       MissingData missing, double min_weight) {
  if (in.width() != out.width() || in.height() != out.height()) {
    throw std::invalid_argument("with_missing: images of different size");
  }
  if (missing == MissingData::normalise && !(min_weight > 0.0 && min_weight <= 1.0)) {
    throw std::invalid_argument("with_missing: min_weight: expected 0 < min_weight <= 1");
  }
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  Image<float> filled(in.width(), in.height());
  Image<float> valid(in.width(), in.height(), 1.0F);
  for (int y = 0; y < in.height(); ++y) {
    for (int x = 0; x < in.width(); ++x) {
      const bool there = !std::isnan(in(y, x));
      filled(y, x) = there ? in(y, x) : 0.0F;
      valid(y, x) = there ? 1.0F : 0.0F;
    }
  }
  (*this)(static_cast<const Image<float>&>(filled).view(), out);
  if (missing == MissingData::normalise) {
    (*this)(static_cast<const Image<float>&>(valid).view(), filled.view());
  }
  for (int y = 0; y < in.height(); ++y) {
    for (int x = 0; x < in.width(); ++x) {
      if (valid(y, x) == 0.0F) {
        out(y, x) = kNan;
      } else if (missing == MissingData::normalise) {
        const float weight = filled(y, x);
        out(y, x) = static_cast<double>(weight) < min_weight ? kNan : out(y, x) / weight;
      }
    }
  }
}

}  // namespace skyloom::numerics
