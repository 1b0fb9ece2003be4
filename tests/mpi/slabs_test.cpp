#include "skyloom/engine/slabs.hpp"

#include <algorithm>
#include <fstream>
#include <numeric>

#include <catch2/catch.hpp>

#include "skyloom/engine/products.hpp"
#include "skyloom/io/hdf5.hpp"

#include "engine/open_parts.hpp"
#include "shared_folder.hpp"
#include "support/mpi_main.hpp"

using namespace skyloom;
using namespace skyloom::engine;

namespace {

Schema schema() {
  return {{},
          {{"a/image", Type::float32, {8, 10}, "nJy", "image"},
           {"a/mask", Type::boolean, {8, 10}, "", "mask"},
           {"cube", Type::float64, {3, 4, 5}, "", "cube"}}};
}

SlabPart part_of(const Schema& declared, int y0, int x0, int height, int width, float value) {
  Rows rows(declared);
  const Image<float> image(width, height, value);
  rows.add_slab("a/image", y0, x0, image.view());
  return rows.slabs()[0];
}

}  // namespace

TEST_CASE("ranks share what nobody wrote, along any axis") {
  const parallel::Comm& comm = test_world();
  const auto rank = static_cast<std::size_t>(comm.rank());
  const auto ranks = static_cast<std::size_t>(comm.size());
  const std::vector<std::size_t> shape{3, 5, 40};
  for (const std::vector<std::size_t>& tile :
       {std::vector<std::size_t>{1, 5, 3}, {3, 1, 40}, {1, 2, 7}, {3, 5, 40}}) {
    // Every second tile is written, by the ranks in turn; claims of another array do not count.
    std::vector<SlabClaim> claims{{1, {0, 0, 0}, shape, 0}};
    std::vector<std::uint8_t> expected(3 * 5 * 40, 1);
    std::size_t number = 0;
    for (std::size_t z = 0; z + tile[0] <= shape[0]; z += tile[0]) {
      for (std::size_t y = 0; y + tile[1] <= shape[1]; y += tile[1]) {
        for (std::size_t x = 0; x + tile[2] <= shape[2]; x += tile[2]) {
          if (++number % 2 == 0) {
            continue;
          }
          if (number / 2 % ranks == rank) {
            claims.push_back({0, {z, y, x}, tile, 0});
          }
          for_each_run(shape, 1, std::vector{z, y, x}, tile,
                       [&](std::uint64_t at, std::size_t length, std::size_t) {
                         std::fill_n(expected.begin() + static_cast<std::ptrdiff_t>(at), length, 0);
                       });
        }
      }
    }
    std::vector<std::uint8_t> found(expected.size(), 0);
    for (const SlabBox& box : uncovered_share(comm, claims, 0, shape)) {
      for_each_run(shape, 1, box.start, box.count,
                   [&](std::uint64_t at, std::size_t length, std::size_t) {
                     for (std::size_t i = 0; i < length; ++i) {
                       ++found[at + i];
                     }
                   });
    }
    const auto total = static_cast<std::int64_t>(std::accumulate(found.begin(), found.end(), 0));
    comm.combine_or(found);
    REQUIRE(found == expected);  // and nothing twice:
    REQUIRE(comm.sum(total) == std::accumulate(expected.begin(), expected.end(), 0));
  }
}

TEST_CASE("parts written in place by different ranks are in the file, and only with their bytes") {
  const parallel::Comm& comm = test_world();
  const SharedFolder folder(comm);
  const Schema declared = schema();
  std::vector<SlabClaim> claims;
  {
    SlabFile slabs(comm, {folder.path(), "s"}, "key", declared);
    for (int x = 0; x < 5; ++x) {
      const SlabPart part = part_of(declared, 2, 2 * x, 3, 2, static_cast<float>(x + 1));
      if (x % comm.size() == comm.rank()) {
        claims.push_back(slabs.write(part));
      } else {
        claims.push_back({part.slab, part.start, part.count, 0});
      }
    }
    if (comm.rank() == 0) {
      slabs.fill_missing(0, {{0, 0}, {2, 10}});
    }
    slabs.sync();
  }
  comm.barrier();
  {
    SlabFile again(comm, {folder.path(), "s"}, "key", declared);  // taken up, not made anew
    bool sound = true;
    for (int x = 0; x < 5; ++x) {
      sound = sound &&
              again.verify(claims[static_cast<std::size_t>(x)]) == (x % comm.size() == comm.rank());
    }
    REQUIRE(comm.all(sound));
    again.finish();
    again.publish();
  }
  const io::Hdf5File file(folder.path() / "s.slabs.h5");
  const Image<float> image = file.read_image("a/image", {0, 10, 0, 8});
  bool right = true;
  for (int y = 0; y < 8; ++y) {
    for (int x = 0; x < 10; ++x) {
      const float value = image(y, x);
      const int written = y < 5 ? x / 2 + 1 : 0;
      const bool good = y < 2 ? value != value : value == static_cast<float>(written);
      right = right && good;
    }
  }
  REQUIRE(comm.all(right));
  REQUIRE(comm.all(file.shape("cube") == std::vector<std::size_t>{3, 4, 5}));
  REQUIRE(comm.all(file.attribute("a/image", "unit") == "nJy"));
}

TEST_CASE("a slab file of another set-up is made anew") {
  const parallel::Comm& comm = test_world();
  const SharedFolder folder(comm);
  const Schema declared = schema();
  SlabClaim claim;
  {
    SlabFile slabs(comm, {folder.path(), "s"}, "key", declared);
    const SlabPart part = part_of(declared, 0, 0, 8, 10, 3.0F);
    claim = comm.rank() == 0 ? slabs.write(part) : SlabClaim{0, part.start, part.count, 1};
  }
  comm.barrier();
  SlabFile other(comm, {folder.path(), "s"}, "other", declared);
  REQUIRE_FALSE(comm.any(other.verify(claim)));
}

namespace {

/// Many chunks along one axis, tiles of two, and an array that is not compressed.
Schema compressed_schema() {
  return {{},
          {{"a/line", Type::float32, {300000}, "nJy", "line", 4},
           {"a/bits", Type::boolean, {300000}, "", "bits", 4},
           {"a/image", Type::float32, {700, 300}, "", "image", 1},
           {"a/none", Type::float32, {0}, "", "empty", 1},
           {"cube", Type::float64, {3, 4, 5}, "", "cube"}}};
}

template <class T>
SlabPart line_part(const Schema& schema, const char* name, std::size_t first, std::size_t count,
                   T (*value)(std::size_t)) {
  std::vector<T> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    values[i] = value(first + i);
  }
  const auto bytes = std::as_bytes(std::span(values));
  SlabPart part;
  part.start = {first};
  part.count = {count};
  part.bytes.assign(bytes.begin(), bytes.end());
  Rows rows(schema);
  rows.add_slab(name, part);
  return rows.slabs()[0];
}

float line_value(std::size_t i) {
  const std::size_t step = i / 3;
  return static_cast<float>(step);
}

std::uint8_t bits_value(std::size_t i) {
  return static_cast<std::uint8_t>(i % 5);
}

constexpr std::size_t kPieces = 30;
constexpr std::size_t kPiece = 10000;

std::vector<SlabClaim> fill(const parallel::Comm& comm, const Schema& schema, SlabFile& slabs) {
  std::vector<SlabClaim> claims;
  for (std::size_t i = 0; i < kPieces; ++i) {
    if (i % static_cast<std::size_t>(comm.size()) == static_cast<std::size_t>(comm.rank())) {
      claims.push_back(slabs.write(line_part(schema, "a/line", i * kPiece, kPiece, line_value)));
      claims.push_back(slabs.write(line_part(schema, "a/bits", i * kPiece, kPiece, bits_value)));
    }
  }
  return claims;
}

bool holds(const std::filesystem::path& folder) {
  std::filesystem::copy_file(folder / "s.slabs.h5", folder / "s.h5",
                             std::filesystem::copy_options::overwrite_existing);
  const Products products(folder);
  const auto line = products.range<float>("s", "a/line", 65000, 140000);
  const auto bits = products.range<std::uint8_t>("s", "a/bits", 65000, 140000);
  bool right = true;
  for (std::size_t i = 0; i < line.size(); ++i) {
    right = right && line[i] == line_value(65000 + i) && bits[i] == bits_value(65000 + i);
  }
  return right && products.image("s", "a/image")(699, 299) == 0.0F;
}

}  // namespace

TEST_CASE("compressed arrays hold what was written in place, and can be taken up again") {
  const parallel::Comm& comm = test_world();
  const SharedFolder folder(comm);
  const Schema declared = compressed_schema();
  const std::filesystem::path finished = folder.path() / "s.slabs.h5";
  std::vector<SlabClaim> claims;
  {
    SlabFile slabs(comm, {folder.path(), "s"}, "key", declared);
    claims = fill(comm, declared, slabs);
    slabs.finish();
    slabs.publish();
  }
  bool right = true;
  parallel::on_root(comm, [&] { right = holds(folder.path()); });
  REQUIRE(comm.all(right));
  const auto bytes = std::filesystem::file_size(finished);
  REQUIRE(comm.all(bytes < std::size_t{300000} * 5 / 4));
  REQUIRE(comm.all(!std::filesystem::exists(finished.string() + ".tmp")));
  {
    const io::Hdf5File file(finished);
    REQUIRE(comm.all(file.attribute("a/line", "unit") == "nJy"));
    REQUIRE(comm.all(file.shape("a/none") == std::vector<std::size_t>{0}));
    REQUIRE(comm.all(file.shape("cube") == std::vector<std::size_t>{3, 4, 5}));
    std::vector<std::byte> few(8);
    REQUIRE_THROWS_AS(file.read_rows("a/line", Type::float32, 299999, 300001, few), FatalError);
  }
  comm.barrier();
  {
    SlabFile again(comm, {folder.path(), "s"}, "key", declared);
    const bool sound = std::all_of(claims.begin(), claims.end(),
                                   [&](const SlabClaim& claim) { return again.verify(claim); });
    REQUIRE(comm.all(sound));
    again.finish();
    again.publish();
  }
  parallel::on_root(comm, [&] { right = holds(folder.path()); });
  REQUIRE(comm.all(right));
}

TEST_CASE("a compression that was cut off leaves the file in place") {
  const parallel::Comm& comm = test_world();
  const SharedFolder folder(comm);
  const Schema declared = compressed_schema();
  std::vector<SlabClaim> claims;
  {
    SlabFile slabs(comm, {folder.path(), "s"}, "key", declared);
    claims = fill(comm, declared, slabs);
    slabs.sync();
  }
  parallel::on_root(comm, [&] {
    std::ofstream(folder.path() / "s.slabs.h5.packed.tmp") << "what a killed run left";
  });
  SlabFile again(comm, {folder.path(), "s"}, "key", declared);
  const bool sound = std::all_of(claims.begin(), claims.end(),
                                 [&](const SlabClaim& claim) { return again.verify(claim); });
  REQUIRE(comm.all(sound));
  again.finish();
  again.publish();
  bool right = true;
  parallel::on_root(comm, [&] { right = holds(folder.path()); });
  REQUIRE(comm.all(right));
  REQUIRE(comm.all(!std::filesystem::exists(folder.path() / "s.slabs.h5.packed.tmp")));
}

TEST_CASE(
    "a slab file with a name of its own has planes, tables and attributes, compressed or not") {
  const parallel::Comm& comm = test_world();
  const int deflate = GENERATE(0, 1);
  const SharedFolder folder(comm);
  // Planes of more lines than are copied at a time, in chunks that do not divide them.
  const Schema declared{{}, {{"cells/mask", Type::uint16, {3, 5000, 1100}, "", "mask", deflate}}};
  const auto value = [](std::size_t plane, int y) {
    return static_cast<std::uint16_t>(20000 * plane + static_cast<std::size_t>(y));
  };
  SlabExtras extras{{}, {{"host", "somewhere"}}};
  extras.content.tables.emplace_back(TableSchema{"cells/list", {{"name", Type::text, "", "cell"}}});
  extras.content.tables.back().add_rows(3);
  extras.content.tables.back().set(2, "name", "third");
  extras.content.attributes = {{"/", "sigma_pix", 60.0}, {"cells", "bands", std::string("riz")}};
  const SlabPlace place{folder.path(), "s", "a/b/cells.h5"};
  const auto write = [&](SlabFile& slabs) {
    Rows rows(declared);
    rows.set_sink([&](const SlabPart& part) { static_cast<void>(slabs.write(part)); });
    for (std::size_t plane = 0; plane < 3; ++plane) {
      for (int y = 500 * comm.rank(); y < 5000; y += 500 * comm.size()) {
        Image<std::uint16_t> lines(1100, 500);
        for (int line = 0; line < 500; ++line) {
          std::ranges::fill(lines.view().row(line), value(plane, y + line));
        }
        rows.add_slab("cells/mask", plane, y, 0, std::as_const(lines).view());
      }
    }
    REQUIRE(rows.slabs().empty());
  };
  const auto right = [&] {
    std::filesystem::copy_file(folder.path() / "a/b/cells.h5", folder.path() / "s.h5",
                               std::filesystem::copy_options::overwrite_existing);
    const Products products(folder.path());
    bool equal = true;
    for (const int y : {0, 499, 500, 3840, 4999}) {
      for (std::size_t plane = 0; plane < 3; ++plane) {
        const auto part =
            products.plane<std::uint16_t>("s", "cells/mask", plane, {1090, 1100, y, y + 1});
        equal = equal && part(0, 9) == value(plane, y);
      }
    }
    const io::Hdf5File file(folder.path() / "a/b/cells.h5");
    return equal && file.read_table("cells/list").get<std::string>("name")[2] == "third" &&
           file.attribute("/", "sigma_pix") == "60" && file.attribute("cells", "bands") == "riz" &&
           file.attribute("provenance", "host") == "somewhere";
  };
  bool as_written = true;
  {
    SlabFile slabs(comm, place, "key", declared, extras);
    write(slabs);
    slabs.finish();
    slabs.publish();
    REQUIRE(slabs.final_name() == "a/b/cells.h5");
  }
  parallel::on_root(comm, [&] { as_written = right(); });
  REQUIRE(comm.all(as_written));
  {
    SlabFile again(comm, place, "key", declared, extras);  // unpacked where it is compressed
    again.finish();
    again.publish();
  }
  parallel::on_root(comm, [&] { as_written = right(); });
  REQUIRE(comm.all(as_written));
  parallel::on_root(comm, [&] { remove_slab_files(place); });
  REQUIRE(comm.all(std::filesystem::is_empty(folder.path() / "a/b")));
}
