// Sums over detector pixels against a loop over all pixels.

#include <cmath>
#include <limits>
#include <map>

#include <catch2/catch.hpp>

#include "pipelines/skycells/downsample/kernel.hpp"
#include "skyloom/core/random.hpp"

using namespace skyloom;
using namespace skyloom::skycells;

namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr int kWidth = 61;
constexpr int kHeight = 47;

class GivenMap final : public MapRows {
 public:
  explicit GivenMap(const Image<std::int32_t>& map) : map_(map) {}
  void next(std::span<std::int32_t> pixels) override {
    const auto row = map_.view().row(y_++);
    std::copy(row.begin(), row.end(), pixels.begin());
  }

 private:
  const Image<std::int32_t>& map_;
  int y_ = 0;
};

/// Also checks that rows ascend.
class GivenPixels final : public PixelRows {
 public:
  GivenPixels(const std::vector<Image<float>>& values, const Image<std::uint16_t>& mask)
      : values_(values), mask_(mask), last_(values.size(), -1) {}
  void row(int field, int y, std::span<float> values, std::span<std::uint16_t> mask) override {
    const auto f = static_cast<std::size_t>(field);
    CHECK(y > last_.at(f));
    CHECK(y < kHeight);
    last_.at(f) = y;
    const auto from = values_.at(f).view().row(y);
    std::copy(from.begin(), from.end(), values.begin());
    const auto bits = mask_.view().row(y);
    std::copy(bits.begin(), bits.end(), mask.begin());
  }

 private:
  const std::vector<Image<float>>& values_;
  const Image<std::uint16_t>& mask_;
  std::vector<int> last_;
};

struct Scene {
  std::vector<Image<float>> values;
  Image<std::uint16_t> mask{kWidth, kHeight};
  Image<std::int32_t> map{kWidth, kHeight};
  int detector_width = 20;
};

/// Detector pixels of about 7 pixels, turned; holes in map and values.
Scene scene(int fields) {
  Scene out;
  const Rng rng(3, "scene", "downsample");
  for (int field = 0; field < fields; ++field) {
    out.values.emplace_back(kWidth, kHeight);
  }
  for (int y = 0; y < kHeight; ++y) {
    for (int x = 0; x < kWidth; ++x) {
      const auto draw = static_cast<std::uint64_t>(y * kWidth + x);
      for (std::size_t field = 0; field < out.values.size(); ++field) {
        const auto lane = static_cast<std::uint32_t>(field);
        const bool is_hole = rng.uniform(draw, 90) < 0.05;
        out.values[field](y, x) =
            is_hole ? kNan : static_cast<float>(100.0 * rng.normal(draw, lane) + 1000.0);
      }
      const double kind = rng.uniform(draw, 91);
      out.mask(y, x) = static_cast<std::uint16_t>(kind < 0.1   ? 0x1000
                                                  : kind < 0.2 ? 0x0020
                                                  : kind < 0.3 ? 0x1008
                                                               : 0);
      const int u = static_cast<int>(std::floor((0.95 * x - 0.31 * y + 40.0) / 7.0));
      const int v = static_cast<int>(std::floor((0.31 * x + 0.95 * y) / 7.0));
      out.map(y, x) = rng.uniform(draw, 92) < 0.02 || x > 55 ? -1 : v * out.detector_width + u;
    }
  }
  return out;
}

DownsampleInput input_of(const Scene& scene, std::vector<Displacement> offsets, const Box& window,
                         std::uint16_t ignored = 0x1000) {
  DownsampleInput input;
  input.width = kWidth;
  input.height = kHeight;
  input.detector_width = scene.detector_width;
  input.window = window;
  input.ignored_bits = ignored;
  input.offsets = std::move(offsets);
  input.map = std::make_unique<GivenMap>(scene.map);
  input.pixels = std::make_unique<GivenPixels>(scene.values, scene.mask);
  return input;
}

struct Sum {
  int count = 0;
  int masked = 0;
  double flux = 0.0;
};

std::map<std::pair<int, int>, Sum> by_hand(const Scene& scene, const Displacement& offset,
                                           const Box& window, std::uint16_t ignored) {
  std::map<std::pair<int, int>, Sum> out;
  const Image<float>& values = scene.values.at(static_cast<std::size_t>(offset.field));
  for (int y = 0; y < kHeight; ++y) {
    for (int x = 0; x < kWidth; ++x) {
      const int pixel = scene.map(y, x);
      const int u = pixel % scene.detector_width;
      const int v = pixel / scene.detector_width;
      if (pixel < 0 || !window.contains(u, v)) {
        continue;
      }
      Sum& sum = out[{v - window.y0, u - window.x0}];
      ++sum.count;
      const int sx = x - offset.x;
      const int sy = y - offset.y;
      if (sx < 0 || sx >= kWidth || sy < 0 || sy >= kHeight) {
        ++sum.masked;
        continue;
      }
      sum.masked += scene.mask(sy, sx) != 0;
      if (!std::isnan(values(sy, sx)) && (scene.mask(sy, sx) & ignored) == 0) {
        sum.flux += static_cast<double>(values(sy, sx));
      }
    }
  }
  return out;
}

const Box kWhole{0, 20, 0, 20};

}  // namespace

TEST_CASE("Downsampling: sums agree with a loop over all pixels", "[skycells]") {
  const Scene many = scene(3);
  const std::vector<Displacement> offsets{{0, 0, 0},    {0, 5, -9},  {1, -13, 4},    {2, 2, 40},
                                          {2, -60, -3}, {0, 70, 10}, {1, 4, kHeight}};
  for (const Box& window : {kWhole, Box{6, 10, 2, 5}, Box{9, 9, 0, 4}}) {
    for (const std::uint16_t ignored : {std::uint16_t{0x1000}, std::uint16_t{0}}) {
      const DownsampleResult result = downsample(input_of(many, offsets, window, ignored));
      REQUIRE(result.flux.size() == offsets.size());
      for (std::size_t k = 0; k < offsets.size(); ++k) {
        const auto expected = by_hand(many, offsets[k], window, ignored);
        REQUIRE(result.x.size() == expected.size());
        std::size_t i = 0;
        for (const auto& [place, sum] : expected) {
          CHECK(std::pair(result.y[i], result.x[i]) == place);
          CHECK(result.count[i] == sum.count);
          CHECK(result.masked[k][i] == sum.masked);
          CHECK(result.flux[k][i] == Approx(sum.flux).epsilon(1e-12).margin(1e-7));
          ++i;
        }
      }
    }
  }
}

TEST_CASE("Downsampling: moving the cell by whole pixels moves what the map sees", "[skycells]") {
  Scene plain = scene(1);
  Scene moved = plain;
  constexpr int kX = 4;
  constexpr int kY = -6;
  for (int y = 0; y < kHeight; ++y) {
    for (int x = 0; x < kWidth; ++x) {
      const bool is_there = Box{0, kWidth, 0, kHeight}.contains(x - kX, y - kY);
      moved.values[0](y, x) = is_there ? plain.values[0](y - kY, x - kX) : kNan;
      moved.mask(y, x) = is_there ? plain.mask(y - kY, x - kX) : std::uint16_t{0x0008};
    }
  }
  const DownsampleResult a = downsample(input_of(plain, {{0, kX, kY}}, kWhole));
  const DownsampleResult b = downsample(input_of(moved, {{0, 0, 0}}, kWhole));
  CHECK(a.x == b.x);
  CHECK(a.count == b.count);
  CHECK(a.masked == b.masked);
  REQUIRE(a.flux[0].size() == b.flux[0].size());
  for (std::size_t i = 0; i < a.flux[0].size(); ++i) {
    CHECK(a.flux[0][i] == Approx(b.flux[0][i]).epsilon(1e-12).margin(1e-7));
  }
}

TEST_CASE("Downsampling: nothing asked for is nothing", "[skycells]") {
  const Scene one = scene(1);
  CHECK(downsample(input_of(one, {}, kWhole)).flux.empty());
  const DownsampleResult none = downsample(input_of(one, {{0, 1, 1}}, Box{}));
  CHECK(none.x.empty());
  REQUIRE(none.flux.size() == 1);
  CHECK(none.flux[0].empty());
}
