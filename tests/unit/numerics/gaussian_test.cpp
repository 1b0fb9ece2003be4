// The Gaussian convolution against sums in double over the whole kernel.

#include "skyloom/numerics/gaussian.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>
#include <stdexcept>
#include <vector>

#include <catch2/catch.hpp>

#include "skyloom/core/random.hpp"
#include "skyloom/numerics/multirate.hpp"

#include "support/gaussian_reference.hpp"

using namespace skyloom;
using namespace skyloom::numerics;
using tests::exact_gaussian;

namespace {

ImageView<const float> seen(const Image<float>& image) {
  return image.view();
}

/// Stars over five decades, half of the image with sky and noise, and a dark hole.
Image<float> sky(int width, int height, std::uint64_t seed) {
  const Rng rng(seed, "sky", "gaussian");
  Image<float> image(width, height);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width / 2; ++x) {
      image(y, x) = static_cast<float>(
          std::max(0.0, 20.0 + 5.0 * rng.normal(static_cast<std::uint64_t>(y * width + x))));
    }
  }
  for (int i = 0; i < width * height / 400; ++i) {
    const auto star = static_cast<std::uint64_t>(i);
    const int x = static_cast<int>(rng.uniform(star, 1) * width);
    const int y = static_cast<int>(rng.uniform(star, 2) * height);
    image(y, x) += static_cast<float>(std::pow(10.0, 1.0 + 5.0 * rng.uniform(star, 3)));
  }
  for (int y = height / 3; y < height / 2; ++y) {
    for (int x = width / 4; x < width / 2; ++x) {
      image(y, x) = 0.0F;
    }
  }
  return image;
}

double largest(const Image<double>& image) {
  double value = 0.0;
  for (const double v : image.pixels()) {
    value = std::max(value, std::abs(v));
  }
  return value;
}

/// max |out - reference| / max |reference|
double error_of(const Image<float>& out, const Image<double>& reference) {
  double error = 0.0;
  for (std::size_t i = 0; i < out.pixels().size(); ++i) {
    error = std::max(error, std::abs(static_cast<double>(out.pixels()[i]) - reference.pixels()[i]));
  }
  return error / largest(reference);
}

Image<float> convolved(const Image<float>& in, const GaussianPlan& plan,
                       InstructionSet set = best_instructions()) {
  Image<float> out(in.width(), in.height());
  GaussianConvolution convolution(plan, set);
  convolution(seen(in), out.view());
  return out;
}

bool same_bytes(ImageView<const float> a, ImageView<const float> b) {
  for (int y = 0; y < a.height(); ++y) {
    if (std::memcmp(a.row(y).data(), b.row(y).data(), a.row(y).size_bytes()) != 0) {
      return false;
    }
  }
  return a.width() == b.width() && a.height() == b.height();
}

const std::vector<GaussianRequest> kEveryMethod = {
    {7.3, 1e-6, 0, GaussianMethod::direct},    {7.3, 1e-6, 0, GaussianMethod::fft},
    {7.3, 1e-6, 0, GaussianMethod::multirate}, {7.3, 1e-6, 0, GaussianMethod::expsum},
    {23.0, 1e-4, 0, GaussianMethod::expsum},   {31.0, 1e-6, 0, GaussianMethod::multirate}};

}  // namespace

TEST_CASE("the plan of a Gaussian is the one of its rule") {
  const GaussianPlan sixty = plan_gaussian({60.0});
  CHECK(sixty.method == GaussianMethod::multirate);
  CHECK(sixty.step == 20);
  CHECK(sixty.narrow == Approx(1.0));
  CHECK(sixty.reach == 120);
  const GaussianPlan forty = plan_gaussian({40.0});
  CHECK(forty.step == 14);
  CHECK(forty.reach == 84);
  const GaussianPlan coarse = plan_gaussian({60.0, 1e-4});
  CHECK(coarse.step == 21);
  CHECK(coarse.narrow == Approx(0.8));
  CHECK(coarse.reach == 79);
  CHECK(plan_gaussian({7.4}).method == GaussianMethod::direct);
  CHECK(plan_gaussian({7.6}).method == GaussianMethod::multirate);
  CHECK(plan_gaussian({13.0, 1e-6, 40}).method == GaussianMethod::direct);
  CHECK(plan_gaussian({60.0, 1e-6, 470}).method == GaussianMethod::multirate);
  CHECK(plan_gaussian({60.0, 1e-6, 240}).method == GaussianMethod::fft);
  for (const double tolerance : {6e-7, 1e-6, 1e-5, 1e-4, 1e-2}) {
    for (double sigma = 2.0; sigma <= 200.0; sigma *= 1.07) {
      CHECK(plan_gaussian({sigma, tolerance}).error_bound <= tolerance);
    }
  }
  CHECK_THROWS_AS(plan_gaussian({0.0}), std::invalid_argument);
  CHECK_THROWS_AS(plan_gaussian({std::nan("")}), std::invalid_argument);
  CHECK_THROWS_AS(plan_gaussian({60.0, 5e-7}), std::invalid_argument);
  CHECK_THROWS_AS(plan_gaussian({60.0, 1e-6, -1}), std::invalid_argument);
  CHECK_THROWS_AS(plan_gaussian({3.0, 1e-6, 0, GaussianMethod::multirate}), std::invalid_argument);
  CHECK_THROWS_AS(plan_gaussian({60.0, 1e-6, 240, GaussianMethod::multirate}),
                  std::invalid_argument);
}

TEST_CASE("the stated bound of a Gaussian holds for sigma 2 to 200") {
  std::uint64_t seed = 1;
  for (const double sigma :
       {2.0, 3.1, 5.0, 8.0, 11.7, 12.0, 15.0, 20.0, 33.0, 47.0, 60.0, 85.0, 120.0, 200.0}) {
    const Image<float> image = sky(371, 259, seed++);
    const Image<double> reference = exact_gaussian(image, sigma);
    for (const double tolerance : {1e-6, 1e-4}) {
      for (const GaussianMethod method :
           {GaussianMethod::automatic, GaussianMethod::direct, GaussianMethod::fft,
            GaussianMethod::multirate, GaussianMethod::expsum}) {
        if (method == GaussianMethod::multirate && sigma < 5.0) {
          continue;
        }
        const GaussianPlan plan = plan_gaussian({sigma, tolerance, 0, method});
        const double error = error_of(convolved(image, plan), reference);
        UNSCOPED_INFO("sigma " << sigma << " tolerance " << tolerance << " method "
                               << static_cast<int>(plan.method) << " step " << plan.step
                               << " error " << error << " bound " << plan.error_bound);
        CHECK(error <= plan.error_bound);
      }
    }
  }
}

TEST_CASE("rounding alone keeps its share of the bound") {
  for (const double sigma : {2.0, 7.0, 15.0, 33.0, 60.0}) {
    const Image<float> image = sky(263, 241, static_cast<std::uint64_t>(sigma));
    const Image<double> reference = exact_gaussian(image, sigma);
    for (const GaussianMethod method : {GaussianMethod::direct, GaussianMethod::fft}) {
      const int nothing_cut = static_cast<int>(8.0 * sigma);
      const GaussianPlan plan = plan_gaussian({sigma, 1e-6, nothing_cut, method});
      CHECK(plan.error_bound == Approx(5e-7));
      CHECK(error_of(convolved(image, plan), reference) <= plan.error_bound);
    }
  }
}

TEST_CASE("a cut Gaussian is the cut one") {
  const Image<float> image = sky(180, 140, 77);
  for (const int radius : {25, 40, 55}) {
    const Image<double> reference = exact_gaussian(image, 13.0, radius);
    const GaussianPlan plan = plan_gaussian({13.0, 1e-6, radius, GaussianMethod::fft});
    CHECK(error_of(convolved(image, plan), reference) <= plan.error_bound);
    const GaussianPlan direct = plan_gaussian({13.0, 1e-6, radius, GaussianMethod::direct});
    CHECK(error_of(convolved(image, direct), reference) <= direct.error_bound);
  }
  const GaussianPlan wide = plan_gaussian({13.0, 1e-6, 80});
  CHECK(wide.method == GaussianMethod::multirate);
  CHECK(error_of(convolved(image, wide), exact_gaussian(image, 13.0, 80)) <= wide.error_bound);
}

TEST_CASE("the bound of a Gaussian holds for impulses at every phase") {
  for (const double sigma : {12.0, 21.0, 60.0}) {
    const GaussianPlan plan = plan_gaussian({sigma});
    GaussianConvolution convolution(plan);
    const int side = 2 * plan.step + static_cast<int>(7.0 * sigma);
    for (int phase = 0; phase < plan.step; ++phase) {
      const Image<float> one(1, 1, 1.0F);
      Image<float> out(side, 3);
      const PixelOrigin at{phase - 40, 2 * phase - 17};
      convolution(seen(one), at, out.view(), {-60, 5});
      double error = 0.0;
      for (int y = 0; y < out.height(); ++y) {
        for (int x = 0; x < side; ++x) {
          const double dx = (x - 60 - at.x) / sigma;
          const double dy = (y + 5 - at.y) / sigma;
          const double kernel = std::exp(-0.5 * (dx * dx + dy * dy));
          const double peak = 1.0 / (2.0 * 3.14159265358979323846 * sigma * sigma);
          error = std::max(error, std::abs(static_cast<double>(out(y, x)) / peak - kernel));
        }
      }
      CHECK(error <= plan.error_bound);
    }
  }
}

TEST_CASE("a Gaussian convolution is linear and conserves flux") {
  const Image<float> a = sky(150, 130, 5);
  const Image<float> b = sky(150, 130, 6);
  Image<float> sum(150, 130);
  for (std::size_t i = 0; i < sum.pixels().size(); ++i) {
    sum.pixels()[i] = 2.0F * a.pixels()[i] - 0.5F * b.pixels()[i];
  }
  for (const GaussianRequest& request : kEveryMethod) {
    const GaussianPlan plan = plan_gaussian(request);
    const Image<float> of_a = convolved(a, plan);
    const Image<float> of_b = convolved(b, plan);
    const Image<float> of_sum = convolved(sum, plan);
    double scale = 0.0;
    double worst = 0.0;
    for (std::size_t i = 0; i < sum.pixels().size(); ++i) {
      const double expected =
          2.0 * static_cast<double>(of_a.pixels()[i]) - 0.5 * static_cast<double>(of_b.pixels()[i]);
      scale = std::max(scale, std::abs(expected));
      worst = std::max(worst, std::abs(static_cast<double>(of_sum.pixels()[i]) - expected));
    }
    CHECK(worst <= 1e-6 * scale);

    // All light arrives when the output is wide enough to hold it.
    const int rim = static_cast<int>(7.0 * request.sigma);
    Image<float> wide(150 + 2 * rim, 130 + 2 * rim);
    GaussianConvolution convolution(plan);
    convolution(seen(a), {}, wide.view(), {-rim, -rim});
    double in_flux = 0.0;
    double out_flux = 0.0;
    for (const float v : a.pixels()) {
      in_flux += static_cast<double>(v);
    }
    for (const float v : wide.pixels()) {
      out_flux += static_cast<double>(v);
    }
    CHECK(out_flux == Approx(in_flux).epsilon(1e-6));
  }
}

TEST_CASE("a Gaussian convolution follows a shift of its input") {
  const Image<float> image = sky(140, 120, 9);
  for (const GaussianRequest& request : kEveryMethod) {
    const GaussianPlan plan = plan_gaussian(request);
    GaussianConvolution convolution(plan);
    const int rim = 30;
    Image<float> still(140 + 2 * rim, 120 + 2 * rim);
    convolution(seen(image), {}, still.view(), {-rim, -rim});
    Image<float> moved = still;
    // A whole number of coarse steps changes no bit, any other shift keeps the bound.
    if (plan.method == GaussianMethod::multirate) {
      convolution(seen(image), {5 * plan.step, -3 * plan.step}, moved.view(),
                  {5 * plan.step - rim, -3 * plan.step - rim});
      CHECK(same_bytes(seen(still), seen(moved)));
    }
    convolution(seen(image), {13, -8}, moved.view(), {13 - rim, -8 - rim});
    double scale = 0.0;
    double worst = 0.0;
    for (std::size_t i = 0; i < still.pixels().size(); ++i) {
      scale = std::max(scale, std::abs(static_cast<double>(still.pixels()[i])));
      worst = std::max(worst, std::abs(static_cast<double>(still.pixels()[i] - moved.pixels()[i])));
    }
    CHECK(worst <= 2.0 * plan.error_bound * scale);
  }
}

TEST_CASE("pieces of a Gaussian convolution are the bytes of the whole") {
  const Image<float> image = sky(401, 203, 12);
  for (const GaussianRequest& request : kEveryMethod) {
    const GaussianPlan plan = plan_gaussian(request);
    if (plan.method == GaussianMethod::fft || plan.method == GaussianMethod::expsum) {
      continue;
    }
    const Image<float> whole = convolved(image, plan);
    GaussianConvolution convolution(plan);
    int first = 0;
    for (const int width : {1, 37, 64, 129, 170}) {
      for (const Box& rows : {Box{0, 1, 0, 71}, Box{0, 1, 71, 203}}) {
        const Box box{first, first + width, rows.y0, rows.y1};
        // What is farther away than the methods look cannot matter.
        const int reach = 12 * static_cast<int>(std::ceil(request.sigma));
        const Box near = box.grown(reach).intersect(image.box());
        Image<float> piece(box.width(), box.height());
        convolution(seen(image).sub(near), {near.x0, near.y0}, piece.view(), {box.x0, box.y0});
        CHECK(same_bytes(seen(piece), seen(whole).sub(box)));
      }
      first += width;
    }
  }
}

TEST_CASE("a Gaussian as a sum of exponentials") {
  // As many pairs as the tolerance asks for.
  CHECK(plan_gaussian({60.0, 1e-6, 0, GaussianMethod::expsum}).pairs == 5);
  CHECK(plan_gaussian({60.0, 1e-5, 0, GaussianMethod::expsum}).pairs == 4);
  CHECK_THROWS_AS(plan_gaussian({2000.0, 1e-6, 0, GaussianMethod::expsum}), std::invalid_argument);
  CHECK_THROWS_AS(plan_gaussian({60.0, 1e-6, 240, GaussianMethod::expsum}), std::invalid_argument);
  // Its impulse is the kernel, as closely as is said, with and without rounding to floats.
  for (const double sigma : {0.8, 2.0, 13.0, 60.0, 200.0}) {
    for (const double tolerance : {6e-7, 1e-5}) {
      const GaussianPlan plan = plan_gaussian({sigma, tolerance, 0, GaussianMethod::expsum});
      const int reach = static_cast<int>(8.0 * sigma);
      const Image<float> one(1, 1, 1.0F);
      Image<float> out(2 * reach + 1, 3);
      GaussianConvolution convolution(plan);
      convolution(seen(one), {}, out.view(), {-reach, -1});
      double sum = 0.0;
      for (int k = -reach; k <= reach; ++k) {
        sum += std::exp(-0.5 * (k / sigma) * (k / sigma));
      }
      double largest_error = 0.0;
      double total = 0.0;
      for (int x = -reach; x <= reach; ++x) {
        const double along = std::exp(-0.5 * (x / sigma) * (x / sigma));
        const double error = std::abs(static_cast<double>(out(1, x + reach)) * sum * sum - along);
        largest_error = std::max(largest_error, error);
        total += error / sum;
      }
      CHECK(largest_error <= plan.error_bound);
      CHECK(total <= plan.error_bound);
    }
  }
  // The same light gives the same bytes wherever the rest of the image ends.
  const Image<float> image = sky(143, 111, 8);
  Image<float> framed(143 + 60, 111 + 44);
  for (int y = 0; y < image.height(); ++y) {
    const auto row = seen(image).row(y);
    std::copy(row.begin(), row.end(), framed.view().row(y + 20).begin() + 31);
  }
  const GaussianPlan plan = plan_gaussian({9.0, 1e-6, 0, GaussianMethod::expsum});
  const Image<float> whole = convolved(framed, plan);
  Image<float> piece(70, 50);
  GaussianConvolution convolution(plan);
  convolution(seen(image), {31, 20}, piece.view(), {60, 90});
  CHECK(same_bytes(seen(piece), seen(whole).sub({60, 130, 90, 140})));
}

TEST_CASE("instruction sets agree about a Gaussian convolution") {
  const Image<float> image = sky(275, 158, 21);
  for (const GaussianRequest& request : kEveryMethod) {
    const GaussianPlan plan = plan_gaussian(request);
    const Image<float> best = convolved(image, plan);
    if (has_instructions(InstructionSet::avx2)) {
      CHECK(same_bytes(seen(convolved(image, plan, InstructionSet::avx2)), seen(best)));
    }
    const Image<double> reference = exact_gaussian(image, request.sigma);
    CHECK(error_of(convolved(image, plan, InstructionSet::portable), reference) <=
          plan.error_bound);
  }
}

TEST_CASE("pixels without a value are dark or made up for") {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  Image<float> image = sky(220, 190, 33);
  Image<float> filled = image;
  Image<float> valid(220, 190, 1.0F);
  for (int y = 0; y < image.height(); ++y) {
    for (int x = 0; x < image.width(); ++x) {
      if ((x - 90) * (x - 90) + (y - 80) * (y - 80) < 1600 || (7 * x + 3 * y) % 61 == 0) {
        image(y, x) = kNan;
        filled(y, x) = valid(y, x) = 0.0F;
      }
    }
  }
  const double min_weight = 0.3;
  for (const GaussianRequest& request : kEveryMethod) {
    const GaussianPlan plan = plan_gaussian(request);
    GaussianConvolution convolution(plan);
    Image<float> dark(220, 190);
    Image<float> whole(220, 190);
    convolution.with_missing(seen(image), dark.view(), MissingData::zero, min_weight);
    convolution.with_missing(seen(image), whole.view(), MissingData::normalise, min_weight);
    const Image<double> light = exact_gaussian(filled, request.sigma);
    const Image<double> weight = exact_gaussian(valid, request.sigma);
    double worst_dark = 0.0;
    double worst_whole = 0.0;
    std::size_t wrong = 0;
    std::size_t thin = 0;
    for (std::size_t i = 0; i < dark.pixels().size(); ++i) {
      const bool missing = valid.pixels()[i] == 0.0F;
      const double w = weight.pixels()[i];
      wrong += std::isnan(dark.pixels()[i]) != missing ? 1 : 0;
      if (std::abs(w - min_weight) > plan.error_bound) {
        wrong += std::isnan(whole.pixels()[i]) != (missing || w < min_weight) ? 1 : 0;
        thin += !missing && w < min_weight ? 1 : 0;
      }
      if (!missing) {
        worst_dark = std::max(worst_dark,
                              std::abs(static_cast<double>(dark.pixels()[i]) - light.pixels()[i]));
      }
      if (!std::isnan(whole.pixels()[i])) {
        worst_whole =
            std::max(worst_whole,
                     std::abs(static_cast<double>(whole.pixels()[i]) - light.pixels()[i] / w) * w);
      }
    }
    CHECK(wrong == 0);
    CHECK(worst_dark <= plan.error_bound * largest(light));
    CHECK(worst_whole <= 2.0 * plan.error_bound * largest(light));
    CHECK(thin > 0);
  }
  CHECK_THROWS_AS(GaussianConvolution(plan_gaussian({5.0}))
                      .with_missing(seen(image), filled.view(), MissingData::normalise, 0.0),
                  std::invalid_argument);
}

TEST_CASE("a coarse grid made of parts of an image is the grid of the image") {
  const GaussianPlan plan = plan_gaussian({30.0});
  const MultirateGaussian gaussian(plan);
  const Image<float> image = sky(333, 97, 41);
  const int y0 = -31;
  const int x0 = -45;
  const NodeRange columns = gaussian.nodes_reached(x0, x0 + image.width());
  const NodeRange rows = gaussian.nodes_reached(y0, y0 + image.height());
  const auto decimated = [&](int from, int to) {
    Image<double> grid(columns.count, rows.count);
    const NodeRange nodes = gaussian.nodes_reached(x0 + from, x0 + to);
    const int margin = gaussian.row_margin();
    std::vector<float> row(static_cast<std::size_t>(to - from + 2 * margin), 0.0F);
    std::vector<float> line(static_cast<std::size_t>(nodes.count));
    for (int y = 0; y < image.height(); ++y) {
      std::copy(seen(image).row(y).begin() + from, seen(image).row(y).begin() + to,
                row.begin() + margin);
      gaussian.decimate_row(row.data() + margin, x0 + from, nodes, line.data());
      const int column = nodes.first - columns.first;
      gaussian.add_row(line.data(), y0 + y, rows,
                       grid.view().sub({column, column + nodes.count, 0, rows.count}));
    }
    return grid;
  };
  const Image<double> whole = decimated(0, 333);
  const Image<double> left = decimated(0, 150);
  const Image<double> right = decimated(150, 333);
  double light = 0.0;
  double on_grid = 0.0;
  double worst = 0.0;
  for (const float v : image.pixels()) {
    light += static_cast<double>(v);
  }
  for (std::size_t i = 0; i < whole.pixels().size(); ++i) {
    on_grid += whole.pixels()[i] * plan.step * plan.step;
    worst = std::max(worst, std::abs(left.pixels()[i] + right.pixels()[i] - whole.pixels()[i]));
  }
  CHECK(on_grid == Approx(light).epsilon(1e-6));
  CHECK(worst <= 1e-6 * largest(whole));
  CHECK(gaussian.nodes_reached(0, 1).count == 2 * (plan.reach / plan.step) + 1);
  CHECK(gaussian.nodes_needed(-1, 1) ==
        NodeRange{-1 - gaussian.half_taps(), 2 * gaussian.half_taps() + 2});
}

TEST_CASE("a convolved grid holds the values between pixels too") {
  constexpr double kSigma = 24.0;
  const MultirateGaussian gaussian(plan_gaussian({kSigma, 1e-6}));
  const int step = gaussian.plan().step;
  const int source = 7;  // no multiple of the step
  const NodeRange light = gaussian.nodes_reached(source, source + 1);
  const int from = source - 60;
  const int to = source + 61;
  const NodeRange needed = gaussian.nodes_needed(from, to);
  const NodeRange grid = needed.grown(gaussian.coarse_radius());
  // One pixel of 1 at (source, source).
  const int margin = gaussian.row_margin();
  std::vector<float> row(static_cast<std::size_t>(2 * margin + 1), 0.0F);
  row[static_cast<std::size_t>(margin)] = 1.0F;
  std::vector<float> line(static_cast<std::size_t>(light.count));
  gaussian.decimate_row(row.data() + margin, source, light, line.data());
  Image<double> sum(grid.count, grid.count);
  const int at = light.first - grid.first;
  gaussian.add_row(line.data(), source, grid,
                   sum.view().sub({at, at + light.count, 0, grid.count}));
  Image<float> nodes(needed.count, needed.count);
  gaussian.convolve_nodes(sum.view(), nodes.view());
  const auto values = [&](double fx, double fy) {
    Image<float> out(to - from, to - from);
    NodeInterpolation(gaussian, nodes.view(), {needed.first, needed.first}, from, to - from, fx, fy)
        .rows(from, out.view());
    return out;
  };
  const double peak = 1.0 / (2.0 * std::numbers::pi * kSigma * kSigma);
  for (const auto& [fx, fy] :
       {std::pair{0.0, 0.0}, std::pair{0.5, 0.25}, std::pair{0.99, 0.001}, std::pair{0.0, 0.7}}) {
    const Image<float> out = values(fx, fy);
    double worst = 0.0;
    for (int y = 0; y < out.height(); ++y) {
      for (int x = 0; x < out.width(); ++x) {
        const double u = (from + x + fx - source) / kSigma;
        const double v = (from + y + fy - source) / kSigma;
        const double expected = peak * std::exp(-0.5 * (u * u + v * v));
        worst = std::max(worst, std::abs(static_cast<double>(out(y, x)) - expected));
      }
    }
    CAPTURE(fx, fy, step);
    CHECK(worst <= 1e-6 * peak);
  }
}
