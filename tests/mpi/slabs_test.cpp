#include "skyloom/engine/slabs.hpp"

#include <catch2/catch.hpp>

#include "skyloom/io/hdf5.hpp"

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

TEST_CASE("parts written in place by different ranks are in the file, and only with their bytes") {
  const parallel::Comm& comm = test_world();
  const SharedFolder folder(comm);
  const Schema declared = schema();
  std::vector<SlabClaim> claims;
  {
    SlabFile slabs(comm, folder.path(), "s", "key", declared);
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
    SlabFile again(comm, folder.path(), "s", "key", declared);  // taken up, not made anew
    bool sound = true;
    for (int x = 0; x < 5; ++x) {
      sound = sound &&
              again.verify(claims[static_cast<std::size_t>(x)]) == (x % comm.size() == comm.rank());
    }
    REQUIRE(comm.all(sound));
    again.finish();
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
    SlabFile slabs(comm, folder.path(), "s", "key", declared);
    const SlabPart part = part_of(declared, 0, 0, 8, 10, 3.0F);
    claim = comm.rank() == 0 ? slabs.write(part) : SlabClaim{0, part.start, part.count, 1};
  }
  comm.barrier();
  SlabFile other(comm, folder.path(), "s", "other", declared);
  REQUIRE_FALSE(comm.any(other.verify(claim)));
}
