// main() of the MPI test binaries: rank 0 prints, another rank prints only what failed on it, and
// the exit status is the maximum over ranks.
#define CATCH_CONFIG_RUNNER
// Catch2 would take TERM and INT away from Runtime.
#define CATCH_CONFIG_NO_POSIX_SIGNALS
#include "support/mpi_main.hpp"

#include <iostream>
#include <sstream>

#include <catch2/catch.hpp>

namespace {
const skyloom::parallel::Comm* world = nullptr;
}

const skyloom::parallel::Comm& test_world() {
  return *world;
}

int main(int argc, char** argv) {
  skyloom::parallel::Runtime runtime(argc, argv);
  world = &runtime.world();
  const int rank = world->rank();
  std::ostringstream quiet;
  std::streambuf* terminal = rank != 0 ? std::cout.rdbuf(quiet.rdbuf()) : nullptr;
  const int bad = Catch::Session().run(argc, argv);
  if (terminal != nullptr) {
    std::cout.rdbuf(terminal);
    if (bad != 0) {
      std::cerr << "[rank " << rank << "]\n" << quiet.str();
    }
  }
  return world->any(bad != 0) ? 1 : 0;
}
