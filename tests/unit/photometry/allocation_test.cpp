// Iterations of the patch fit ask for no memory once their workspace has seen a patch of that size.

#include <cstddef>
#include <cstdlib>
#include <new>
#include <vector>

#include <catch2/catch.hpp>

#include "pipelines/photometry/fit/kernel_polish.hpp"
#include "pipelines/photometry/fit/kernel_problem.hpp"
#include "pipelines/photometry/fit/kernel_scene.hpp"
#include "pipelines/photometry/fit/kernel_solve.hpp"

#include "support/fit_patch.hpp"

namespace {

long& allocations() {
  static long count = 0;
  return count;
}

void* counted(std::size_t size) {
  ++allocations();
  void* memory = std::malloc(size > 0 ? size : 1);
  if (memory == nullptr) {
    throw std::bad_alloc();
  }
  return memory;
}

}  // namespace

void* operator new(std::size_t size) {
  return counted(size);
}
void* operator new[](std::size_t size) {
  return counted(size);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t /*size*/) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t /*size*/) noexcept {
  std::free(memory);
}

namespace fit = skyloom::photometry::fit;

namespace {

/// A patch with stars and galaxies of every type, and a workspace that has seen it.
skyloom::test::Patch patch_with(const std::shared_ptr<fit::Workspace>& workspace) {
  skyloom::test::PatchOptions options;
  options.mean_sources = 10.0;
  auto patch = skyloom::test::make_patch(3, options);
  patch.input.workspace = workspace;
  for (auto& source : patch.input.sources) {
    if (source.type == fit::SourceType::exp) {
      source.type = fit::SourceType::sersic;
      break;
    }
  }
  patch.input.options.solver = fit::Solver::levenberg_marquardt;
  fit::compute(patch.input);
  return patch;
}

/// Tables of Sersic indices, and of the parts of such profiles, are made when they are first
/// needed.
void make_sersic_tables(const fit::Scene& scene) {
  skyloom::sky::SersicTables tables;
  for (const auto& source : scene.sources()) {
    for (const auto& level : source.levels) {
      for (double n = skyloom::sky::kSersicMin; n < skyloom::sky::kSersicMax; n += 0.05) {
        skyloom::sky::sersic_tables(n, true, tables, level.low, level.high);
      }
    }
  }
}

}  // namespace

TEST_CASE("the counter counts") {
  const long before = allocations();
  const std::vector<double> memory(100);
  CHECK(allocations() == before + 1);
}

TEST_CASE("what a solver asks for needs no memory") {
  const auto workspace = fit::make_workspace();
  const auto patch = patch_with(workspace);
  fit::Scene scene(patch.input, *workspace);
  fit::place_sources(scene);
  make_sersic_tables(scene);
  fit::wake_all(scene);
  fit::PatchProblem problem(scene);
  std::vector<double> x;
  std::vector<double> lower;
  std::vector<double> upper;
  problem.pack(x, lower, upper);
  std::vector<double> g(x.size());
  std::vector<double> h(x.size() * x.size());
  const auto iterate = [&](double shift) {
    for (double& v : x) {
      v += shift;
    }
    problem.gradient(x, g);
    problem.normal_matrix(x, h);
    for (double& v : x) {
      v += shift;
    }
    problem.value(x);
  };
  iterate(0.0);
  const long before = allocations();
  iterate(1e-3);
  iterate(-2e-3);
  CHECK(allocations() == before);
}

TEST_CASE("steps to the solution need no memory") {
  const auto workspace = fit::make_workspace();
  auto patch = patch_with(workspace);
  std::vector<long> counts;
  counts.reserve(1000);
  patch.input.stop = [&counts] {
    counts.push_back(allocations());
    return false;
  };
  fit::Scene scene(patch.input, *workspace);
  fit::place_sources(scene);
  make_sersic_tables(scene);
  fit::SolveReport report;
  fit::polish(scene, report, 0, 12, 0.003);
  REQUIRE(counts.size() >= 5);
  for (const long count : counts) {
    CHECK(count == counts.front());
  }
}
