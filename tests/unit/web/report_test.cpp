#include "skyloom/web/report.hpp"

#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "skyloom/core/errors.hpp"

#include "web/quantise.hpp"

namespace {

using namespace skyloom;
using namespace skyloom::web;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

nlohmann::json data_of(const std::string& html) {
  const std::string opening = "<script type=\"application/json\" id=\"report-data\">";
  const auto begin = html.find(opening) + opening.size();
  return nlohmann::json::parse(html.substr(begin, html.find("</script>", begin) - begin));
}

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t n = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) {
    ++n;
  }
  return n;
}

Picture picture_of(Image<float> pixels) {
  Picture picture;
  picture.pixels = std::move(pixels);
  return picture;
}

TEST_CASE("a page is one file without references to anything outside") {
  const std::string html = render({"Field 1", "", {}, {}});
  CHECK(html.rfind("<!DOCTYPE html>", 0) == 0);
  CHECK(html.find("default-src 'none'") != std::string::npos);
  CHECK(html.find(" src=") == std::string::npos);
  CHECK(html.find("<link") == std::string::npos);
  CHECK(html.find("url(") == std::string::npos);
  CHECK(html.find("{{") == std::string::npos);
  CHECK(html.find("uPlot") != std::string::npos);
  CHECK(html.find("MIT License") != std::string::npos);
}

TEST_CASE("texts of a report cannot leave their place in the page") {
  const std::string evil = "</script><script>alert(1)</script>{{data}}";
  const std::size_t scripts = count(render({"t", "", {}, {}}), "<script");
  const std::string html =
      render({evil, evil, {{"a", evil}}, {{"s", {Text{evil}, DataTable{evil, {"c"}, {{evil}}}}}}});
  CHECK(count(html, "<script") == scripts);
  const auto data = data_of(html);
  CHECK(data["title"] == evil);
  CHECK(data["sections"][0]["blocks"][0]["text"] == evil);
  CHECK(data["sections"][0]["blocks"][1]["rows"][0][0] == evil);
}

TEST_CASE("text that is not UTF-8 does not stop a report") {
  CHECK(data_of(render({"caf\xe9", "", {}, {}}))["title"].get<std::string>().rfind("caf", 0) == 0);
}

TEST_CASE("charts carry numbers with nine digits and null for missing ones") {
  Chart chart{"c", "x", "y", false, true, {}};
  chart.series.push_back({"a", "", "points", {1.0, 2.0, 0.1 + 0.2}, {kNan, 2.5e-7, 3.0}, {}});
  const auto series =
      data_of(render({"t", "", {}, {{"s", {chart}}}}))["sections"][0]["blocks"][0]["series"][0];
  CHECK(series["x"] == nlohmann::json::array({1, 2, 0.3}));
  CHECK(series["y"][0].is_null());
  CHECK(series["y"][1] == 2.5e-7);
  CHECK_FALSE(series.contains("error"));
}

TEST_CASE("bins are given by their edges or by their centres") {
  const auto edges = [](bool log_x, std::vector<double> x, std::vector<double> y) {
    Chart chart{"c", "x", "y", log_x, false, {{"h", "", "steps", std::move(x), std::move(y), {}}}};
    const auto series =
        data_of(render({"t", "", {}, {{"s", {chart}}}}))["sections"][0]["blocks"][0]["series"][0];
    return std::pair{series["x"].get<std::vector<double>>(),
                     series["y"].get<std::vector<double>>()};
  };
  using Values = std::vector<double>;
  CHECK(edges(false, {0, 1, 5}, {5, 6}) == std::pair{Values{0, 1, 5}, Values{5, 6, 6}});
  CHECK(edges(false, {1, 2, 3}, {5, 6, 7}) ==
        std::pair{Values{0.5, 1.5, 2.5, 3.5}, Values{5, 6, 7, 7}});
  CHECK(edges(false, {1, 2, 5}, {5, 6, 7}) ==
        std::pair{Values{0.5, 1.5, 2.5, 4.5, 5.5}, Values{5, 6, 0, 7, 7}});
  CHECK(edges(true, {10, 1000}, {5, 6}) == std::pair{Values{1, 100, 10000}, Values{5, 6, 6}});
  CHECK(edges(false, {4}, {5}) == std::pair{Values{3.5, 4.5}, Values{5, 5}});
  CHECK(edges(false, {}, {}) == std::pair{Values{}, Values{}});
  CHECK_THROWS_AS(edges(false, {2, 1}, {5, 6}), FatalError);
}

TEST_CASE("series, markers and tables of unequal lengths are refused") {
  const auto page = [](Block block) { return render({"t", "", {}, {{"s", {std::move(block)}}}}); };
  CHECK_THROWS_AS(page(Chart{"c", "", "", false, false, {{"a", "", "points", {1.0}, {}, {}}}}),
                  FatalError);
  CHECK_THROWS_AS(page(DataTable{"d", {"a", "b"}, {{"1"}}}), FatalError);
  Picture picture;
  picture.pixels = Image<float>(2, 2);
  Markers markers;
  markers.shape = "line";
  markers.x = markers.y = {1.0};
  picture.markers = {markers};
  CHECK_THROWS_AS(page(PictureRow{"p", {picture}}), FatalError);
}

TEST_CASE("a band has its half width as error, boxes have two corners, a mesh all its points") {
  Chart chart{"c", "", "", false, false, {{"a", "", "band", {1.0, 2.0}, {3.0, 3.0}, {}}}};
  CHECK_THROWS_AS(check(chart), FatalError);
  chart.series[0].error = {0.1, 0.1};
  CHECK_NOTHROW(check(chart));
  Picture picture = picture_of(Image<float>(2, 2));
  Markers box;
  box.shape = "box";
  box.x = box.y = {0.0};
  picture.markers = {box};
  CHECK_THROWS_AS(check(PictureRow{"p", {picture}}), FatalError);
  picture.markers[0].x2 = picture.markers[0].y2 = {1.0};
  CHECK_NOTHROW(check(PictureRow{"p", {picture}}));
  picture.sky.columns = picture.sky.rows = 2;
  picture.sky.ra_deg = picture.sky.dec_deg = {1.0, 2.0, 3.0};
  CHECK_THROWS_AS(check(PictureRow{"p", {picture}}), FatalError);
}

TEST_CASE("pictures with the same pixels and levels share them") {
  Image<float> pixels(3, 2);
  pixels(1, 2) = 5.0F;
  Picture other = picture_of(Image<float>(3, 2, 1.0F));
  const auto data = data_of(render(
      {"t", "", {}, {{"s", {PictureRow{"p", {picture_of(pixels), other, picture_of(pixels)}}}}}}));
  REQUIRE(data["pixels"].size() == 2);
  const auto& pictures = data["sections"][0]["blocks"][0]["pictures"];
  CHECK(pictures[0]["codes"] == pictures[2]["codes"]);
  CHECK(pictures[0]["codes"] != pictures[1]["codes"]);
}

TEST_CASE("a legend counts members without a place, or nothing") {
  Picture picture = picture_of(Image<float>(2, 2));
  picture.markers.resize(2);
  picture.markers[0].x = picture.markers[0].y = {0.0, 1.0};
  picture.markers[0].not_drawn = 3;
  picture.markers[1].counted = false;
  const auto markers = data_of(
      render({"t", "", {}, {{"s", {PictureRow{"p", {picture}}}}}}))["sections"][0]["blocks"][0]
                                                                   ["pictures"][0]["markers"];
  CHECK(markers[0]["count"] == 5);
  CHECK_FALSE(markers[1].contains("count"));
}

TEST_CASE("quantised pixels keep their values, faint and bright") {
  Image<float> pixels(200, 3);
  for (int x = 0; x < 200; ++x) {
    pixels(0, x) = static_cast<float>(100.0 + 0.37 * x);
    pixels(1, x) = static_cast<float>(-50.0 + 0.01 * x);
    pixels(2, x) = static_cast<float>(std::pow(10.0, 0.025 * x));
  }
  pixels(1, 7) = std::numeric_limits<float>::quiet_NaN();
  pixels(1, 8) = std::numeric_limits<float>::infinity();
  const Levels levels{-50.0, 150.0};
  const Quantised quantised = quantise(pixels, levels);
  for (std::size_t i = 0; i < quantised.codes.size(); ++i) {
    const auto value = static_cast<double>(pixels.pixels()[i]);
    if (!std::isfinite(value)) {
      CHECK(quantised.codes[i] == kBlank);
      continue;
    }
    REQUIRE(quantised.codes[i] != kBlank);
    CHECK(std::abs(quantised.value(quantised.codes[i]) - value) <
          1e-3 * std::abs(value - quantised.centre) + 1e-4 * (levels.high - levels.low));
  }
}

TEST_CASE("constant and empty pictures are drawable") {
  const Levels constant = display_levels(picture_of(Image<float>(4, 4, 7.0F)));
  CHECK(constant.high > constant.low);
  const Quantised quantised = quantise(Image<float>(4, 4, 7.0F), constant);
  CHECK(quantised.value(quantised.codes[0]) == Approx(7.0));
  const Image<float> blank(3, 3, std::numeric_limits<float>::quiet_NaN());
  const Levels none = display_levels(picture_of(blank));
  CHECK(none.high > none.low);
  CHECK(quantise(blank, none).codes == std::vector<std::uint16_t>(9, kBlank));
}

TEST_CASE("levels are percentiles, or symmetric for diverging colours") {
  Image<float> pixels(1001, 1);
  for (int x = 0; x <= 1000; ++x) {
    pixels(0, x) = static_cast<float>(x);
  }
  Picture picture;
  picture.pixels = pixels;
  CHECK(display_levels(picture).low == 10.0);
  CHECK(display_levels(picture).high == 995.0);
  picture.colors = "diverging";
  CHECK(display_levels(picture).low == -995.0);
  picture.low = -3.0;
  picture.high = 4.0;
  CHECK(display_levels(picture).high == 4.0);
}

TEST_CASE("base 64 of little-endian codes") {
  CHECK(base64_of({}).empty());
  CHECK(base64_of({0x0201}) == "AQI=");
  CHECK(base64_of({0x0201, 0xFFFF}) == "AQL//w==");
  CHECK(base64_of({0x4D61, 0x616E, 0x2121}) == "YU1uYSEh");
}

}  // namespace
