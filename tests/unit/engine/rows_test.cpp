#include "skyloom/engine/rows.hpp"

#include <cstring>

#include <catch2/catch.hpp>

#include "skyloom/core/errors.hpp"

using namespace skyloom;
using namespace skyloom::engine;

namespace {

Schema schema() {
  return {{{"t", {{"x", Type::float64, "", ""}}}},
          {{"image", Type::float32, {4, 5}, "", ""},
           {"mask", Type::boolean, {4, 5}, "", ""},
           {"cube", Type::int32, {2, 2, 2}, "", ""}}};
}

}  // namespace

TEST_CASE("a part of a slab keeps the pixels of its view, whatever the stride") {
  const Schema declared = schema();
  Rows rows(declared);
  Image<float> image(5, 4);
  for (int y = 0; y < 4; ++y) {
    for (int x = 0; x < 5; ++x) {
      image(y, x) = static_cast<float>(10 * y + x);
    }
  }
  rows.add_slab("image", 1, 2, ImageView<const float>(image.view().sub({1, 4, 2, 4})));
  REQUIRE(rows.slabs().size() == 1);
  const SlabPart& part = rows.slabs()[0];
  REQUIRE(part.start == std::vector<std::size_t>{1, 2});
  REQUIRE(part.count == std::vector<std::size_t>{2, 3});
  std::vector<float> values(6);
  REQUIRE(part.bytes.size() == 24);
  std::memcpy(values.data(), part.bytes.data(), 24);
  REQUIRE(values == std::vector<float>{21, 22, 23, 31, 32, 33});
}

TEST_CASE("parts that do not fit are refused") {
  const Schema declared = schema();
  Rows rows(declared);
  const Image<float> image(3, 2);
  const Image<std::uint8_t> mask(5, 4);
  REQUIRE_NOTHROW(rows.add_slab("image", 2, 2, image.view()));
  REQUIRE_THROWS_AS(rows.add_slab("image", 3, 2, image.view()), FatalError);
  REQUIRE_THROWS_AS(rows.add_slab("image", 0, 3, image.view()), FatalError);
  REQUIRE_THROWS_AS(rows.add_slab("image", -1, 0, image.view()), FatalError);
  REQUIRE_THROWS_AS(rows.add_slab("mask", 0, 0, image.view()), FatalError);
  REQUIRE_THROWS_AS(rows.add_slab("cube", 0, 0, image.view()), FatalError);
  REQUIRE_THROWS_AS(rows.add_slab("none", 0, 0, image.view()), FatalError);
  REQUIRE_NOTHROW(rows.add_slab("mask", 0, 0, mask.view()));
  REQUIRE_NOTHROW(rows.add_slab("cube", {0, {0, 1, 0}, {2, 1, 2}, std::vector<std::byte>(16)}));
  REQUIRE_THROWS_AS(rows.add_slab("cube", {0, {0, 1, 0}, {2, 1, 2}, std::vector<std::byte>(15)}),
                    FatalError);
  REQUIRE(rows.slabs().back().slab == 2);
}

TEST_CASE("clear() leaves nothing of a unit behind") {
  const Schema declared = schema();
  Rows rows(declared);
  rows.table("t").add_row();
  rows.add_slab("image", 0, 0, Image<float>(1, 1).view());
  rows.clear();
  REQUIRE(rows.table("t").rows() == 0);
  REQUIRE(rows.slabs().empty());
  REQUIRE_THROWS_AS(rows.table("u"), FatalError);
}
