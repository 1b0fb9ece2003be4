// What the stages before the ePSF find in parts of an image.

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <catch2/catch.hpp>

#include "pipelines/photometry/background/kernel.hpp"
#include "pipelines/photometry/epsf/found.hpp"
#include "pipelines/photometry/epsf/frame.hpp"
#include "pipelines/photometry/objects/kernel.hpp"

#include "helpers.hpp"

using namespace skyloom;
using namespace skyloom::photometry;
using namespace skyloom::test;

namespace {

TrueField large_field() {
  FieldOptions options;
  options.size = 1800;
  options.n_stars = 300;
  options.n_galaxies = 100;
  options.n_saturated = 3;
  return make_field({{MoffatPart{}}}, options);
}

/// The objects of one box that covers all.
objects::Objects in_one_piece(const epsf::Input& input, const epsf::Options& options) {
  const epsf::Found found = epsf::survey(input, options);
  const epsf::Band band = epsf::make_band(input, options, found.nodes);
  return objects::join(
      {objects::find(band.read(band.box), band.box, input.fwhm_guess_pix, options)}, input.height);
}

const objects::Object* same(const objects::Objects& all, const objects::Object& object) {
  const auto at = std::find_if(all.list.begin(), all.list.end(), [&](const objects::Object& other) {
    return std::hypot(other.detection.x - object.detection.x,
                      other.detection.y - object.detection.y) < 1e-6;
  });
  return at == all.list.end() ? nullptr : &*at;
}

}  // namespace

TEST_CASE("tiles leave no trace in the objects", "[epsf]") {
  const TrueField field = large_field();
  const epsf::Input input = make_input(field);
  const epsf::Options options;
  REQUIRE(background::tiles(input.width, input.height, options).size() == 4);
  const objects::Objects tiled = epsf::survey(input, options).objects;
  const objects::Objects whole = in_one_piece(input, options);
  REQUIRE(tiled.list.size() == whole.list.size());
  int compared = 0;
  for (const objects::Object& object : tiled.list) {
    const objects::Object* other = same(whole, object);
    REQUIRE(other != nullptr);
    if (object.near_saturated) {
      continue;  // fragments of one star share its centre
    }
    ++compared;
    CHECK(object.flux == Approx(other->flux).epsilon(1e-9));
    CHECK(object.snr == Approx(other->snr).epsilon(1e-9));
    // It depends on how far pixels reach, and one between two objects may go to either.
    CHECK(((std::isnan(object.r50) && std::isnan(other->r50)) ||
           object.r50 == Approx(other->r50).epsilon(0.05)));
    CHECK((object.snr > objects::kLeastSnr || std::isnan(object.r50)));
  }
  CHECK(compared > 340);
  const Box border{700, 1100, 700, 1100};
  const Image<std::int32_t> a = tiled.segments.at(border);
  const Image<std::int32_t> b = whole.segments.at(border);
  for (std::size_t k = 0; k < a.pixels().size(); ++k) {
    REQUIRE((a.pixels()[k] < 0) == (b.pixels()[k] < 0));
  }
}

TEST_CASE("runs of pixels survive being packed", "[epsf]") {
  const Box reach{100, 5000, 40, 900};
  const std::vector<objects::Run> runs{{40, 100, 101, 0},
                                       {40, 101, 4000, 200},
                                       {40, 4999, 5000, 3},
                                       {41, 100, 300, 3},
                                       {899, 2000, 2128, 1}};
  const std::vector<std::uint8_t> bytes = objects::packed(runs, reach);
  CHECK(bytes.size() < 6 * runs.size());
  CHECK(objects::unpacked(bytes, reach) == runs);
  CHECK(objects::unpacked({}, reach).empty());
}

TEST_CASE("the median of good pixels is that of a sorted list", "[epsf]") {
  const Rng rng(1, "median", "test");
  for (const int size : {1, 2, 7, 100}) {
    Image<float> values(size, 3);
    Image<std::uint8_t> bad(size, 3);
    std::vector<float> good;
    for (std::size_t k = 0; k < values.pixels().size(); ++k) {
      values.pixels()[k] = static_cast<float>(rng.normal(k) * (k % 3 == 0 ? 1e-3 : 10.0));
      bad.pixels()[k] = rng.uniform(k) < 0.3 ? 1 : 0;
      if (bad.pixels()[k] == 0) {
        good.push_back(values.pixels()[k]);
      } else {
        values.pixels()[k] = std::numeric_limits<float>::quiet_NaN();
      }
    }
    std::sort(good.begin(), good.end());
    const std::size_t n = good.size();
    const double median = epsf::median_of_good(values, bad);
    if (n == 0) {
      CHECK(std::isnan(median));
    } else {
      CHECK(median ==
            0.5 * (static_cast<double>(good[(n - 1) / 2]) + static_cast<double>(good[n / 2])));
    }
  }
}

TEST_CASE("boxes of the mesh know what part of them is masked", "[epsf]") {
  TrueField field = large_field();
  for (int y = 0; y < 96; ++y) {
    for (int x = 0; x < 48; ++x) {
      field.bad(y, x) = epsf::kBadMasked;
    }
  }
  const epsf::Input input = make_input(field);
  const epsf::Options options;
  const Box tile = background::tiles(input.width, input.height, options).front();
  const Box reach = background::reach(tile, input.width, input.height, options);
  CHECK(reach == Box{0, tile.x1 + 1, 0, tile.y1 + 1});
  const std::vector<background::Node> nodes =
      background::measure(input.read(reach), tile, reach, options);
  REQUIRE(nodes.size() == static_cast<std::size_t>((tile.width() / 96) * (tile.height() / 96)));
  CHECK(nodes.front().masked == Approx(0.5).margin(0.05));
  CHECK(nodes.front().sigma == Approx(field.options.sky_sigma));
  CHECK(nodes[1].row == 0);
  CHECK(nodes[1].column == 1);
  CHECK(nodes[1].masked < 0.2);
  CHECK(nodes[1].rms == Approx(field.options.sky_sigma).epsilon(0.1));
}
