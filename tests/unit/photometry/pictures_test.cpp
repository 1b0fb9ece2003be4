// What pictures of the report are made of.

#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include <catch2/catch.hpp>

#include "pipelines/photometry/frames/kernel.hpp"
#include "pipelines/photometry/report_parts.hpp"
#include "skyloom/core/random.hpp"

namespace {

using namespace skyloom;
using namespace skyloom::photometry;

TEST_CASE("columns with saturated pixels are found", "[frames]") {
  Image<std::uint8_t> bad(5, 3);
  bad(1, 2) = frames::kSaturated | frames::kMasked;
  bad(2, 4) = frames::kMasked;
  const std::vector<std::uint8_t> columns = frames::saturated_columns(std::as_const(bad).view());
  CHECK((columns[2] != 0 && columns[0] + columns[1] + columns[3] + columns[4] == 0));
}

TEST_CASE("blocks average what is finite, smaller ones at the far edges") {
  Image<float> image(5, 3, 1.0F);
  image(0, 0) = 5.0F;
  image(1, 1) = std::numeric_limits<float>::quiet_NaN();
  image(2, 4) = 7.0F;
  for (int x = 2; x < 4; ++x) {
    image(0, x) = image(1, x) = std::numeric_limits<float>::infinity();
  }
  const Image<float> out = frames::block_means(image.view(), 2);
  REQUIRE(out.width() == 3);
  REQUIRE(out.height() == 2);
  CHECK(out(0, 0) == Approx(7.0 / 3.0));
  CHECK(std::isnan(out(0, 1)));
  CHECK(out(0, 2) == 1.0F);
  CHECK(out(1, 2) == 7.0F);
}

TEST_CASE("small images are not binned, huge ones more than asked") {
  CHECK(frames::picture_binning(4, 800, 600) == 1);
  CHECK(frames::picture_binning(4, 1500, 600) == 2);
  CHECK(frames::picture_binning(4, 9000, 9000) == 4);
  CHECK(frames::picture_binning(1, 2000, 2000) == 1);
  CHECK(frames::picture_binning(4, 100, 30000) == 13);
}

TEST_CASE("zscale shows the sky whatever the stars are") {
  const Rng rng(1, "zscale", "sky");
  Image<float> image(200, 200);
  for (std::size_t i = 0; i < image.pixels().size(); ++i) {
    const bool star = i % 31 == 0;
    image.pixels()[i] = static_cast<float>(100.0 + 3.0 * rng.normal(i) + (star ? 5e4 : 0.0));
  }
  const auto [low, high] = zscale(image);
  CHECK(low > 80.0);
  CHECK(low < 97.0);
  CHECK(high > 103.0);
  CHECK(high < 150.0);
  const Image<float> constant(10, 10, 4.0F);
  CHECK(zscale(constant).first == 4.0);
  const Image<float> blank(3, 3, std::numeric_limits<float>::quiet_NaN());
  CHECK(zscale(blank).second > zscale(blank).first);
}

TEST_CASE("markers move to the pixels of a binned picture") {
  web::Picture picture;
  picture.pixel_size = 4.0;
  picture.x0 = picture.y0 = 1.5;
  web::Markers markers;
  mark(markers, 1.5, 9.5, "a");
  markers.radius_pix = 20.0;
  picture.markers = {markers};
  place_markers(picture);
  CHECK(picture.markers[0].x[0] == 0.0);
  CHECK(picture.markers[0].y[0] == 2.0);
  CHECK(picture.markers[0].radius_pix == 5.0);
}

TEST_CASE("names of files have no special characters") {
  CHECK(file_part("gaia_12-3.4") == "gaia_12-3.4");
  CHECK(file_part("a/b c\xc3\xa9") == "a_b_c__");
}

TEST_CASE("a figure that fails is a line, and the rest is drawn") {
  std::vector<std::string> problems;
  SectionWriter section("s", problems);
  section.draw("first", []() -> std::vector<web::Block> { throw std::runtime_error("no pixels"); });
  section.draw("second", []() -> std::vector<web::Block> {
    return {web::DataTable{"d", {"a", "b"}, {{"only one"}}}};
  });
  section.draw("third", []() -> std::vector<web::Block> { return {web::Text{"fine"}}; });
  const web::Section out = section.take();
  REQUIRE(out.blocks.size() == 3);
  CHECK(std::get<web::Text>(out.blocks[0]).problem);
  CHECK(std::get<web::Text>(out.blocks[1]).problem);
  CHECK(std::get<web::Text>(out.blocks[2]).text == "fine");
  REQUIRE(problems.size() == 2);
  CHECK(problems[0] == "first could not be drawn: no pixels");
}

}  // namespace
