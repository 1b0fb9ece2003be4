// Reads that are tried again: how often, after how long, and what is not tried again.

#include "pipelines/skycells/retries.hpp"

#include <vector>

#include <catch2/catch.hpp>

using namespace skyloom;
using skycells::Retries;

namespace {

/// A clock that only waiting moves, and a file that fails so many times.
struct Disk {
  int failures = 0;
  double clock_s = 0.0;
  int reads = 0;
  std::vector<double> waits = {};

  Retries retries(int tries, double timeout_s) {
    return {{tries, timeout_s},
            [this](double seconds) {
              waits.push_back(seconds);
              clock_s += seconds;
            },
            [this] { return clock_s; }};
  }
  int read() {
    ++reads;
    if (failures-- > 0) {
      throw ReadFailure("file", "cannot be read");
    }
    return 42;
  }
};

}  // namespace

TEST_CASE("a read is tried again after 1, 2, 4 seconds") {
  Disk disk{3};
  Retries retries = disk.retries(3, 300.0);
  CHECK(retries([&] { return disk.read(); }) == 42);
  CHECK(disk.waits == std::vector<double>{1.0, 2.0, 4.0});
}

TEST_CASE("the last failure is told") {
  Disk disk{100};
  Retries retries = disk.retries(2, 300.0);
  CHECK_THROWS_AS(retries([&] { return disk.read(); }), ReadFailure);
  CHECK(disk.reads == 3);
  CHECK(disk.waits == std::vector<double>{1.0, 2.0});
}

TEST_CASE("a cell is given up after its time") {
  Disk disk{4};
  Retries retries = disk.retries(20, 10.0);
  CHECK(retries([&] { return disk.read(); }) == 42);
  CHECK(disk.waits == std::vector<double>{1.0, 2.0, 4.0, 3.0});
  // The time counts from the first failure of the cell, not of the file.
  disk.failures = 1;
  CHECK_THROWS_AS(retries([&] { return disk.read(); }), ReadFailure);
}

TEST_CASE("what a file holds is not read again") {
  Disk disk;
  Retries retries = disk.retries(3, 300.0);
  int reads = 0;
  CHECK_THROWS_AS(retries([&]() -> int {
                    ++reads;
                    throw ConfigError("file", "is damaged");
                  }),
                  ConfigError);
  CHECK(reads == 1);
  CHECK(disk.waits.empty());
}
