#include "skyloom/surveys/network_ensemble.hpp"

#include <cmath>
#include <cstdlib>

#include "skyloom/core/errors.hpp"

#include "unit/io/scratch.hpp"

using namespace skyloom;
using Catch::Contains;

TEST_CASE("A folder describes its ensemble, or holds nothing but networks") {
  const Scratch scratch;
  (void)scratch.file("b.h5", "");
  (void)scratch.file("a.h5", "");
  const std::string folder = (scratch / "").string();
  surveys::NetworkEnsemble found = surveys::find_ensemble({folder});
  REQUIRE(found.files.size() == 2);
  CHECK_THAT(found.files[0], Catch::EndsWith("a.h5"));
  CHECK(std::isnan(found.threshold));
  CHECK(found.sha256.empty());
  (void)scratch.file("ensemble.toml",
                     "recipe = \"r-1\"\nthreshold = 0.75\ngain = 3\n[[networks]]\nfile = \"b.h5\"\n"
                     "sha256 = \"00\"\n");
  found = surveys::find_ensemble({folder});
  REQUIRE(found.files.size() == 1);
  CHECK_THAT(found.files[0], Catch::EndsWith("b.h5"));
  CHECK(found.threshold == 0.75);
  CHECK(found.recipe == "r-1");
  CHECK(found.sha256 == std::vector<std::string>{"00"});
  for (const char* text : {"recipe = \"r\"\nthreshold = 0.5\n", "recipe = \"r\"\n[[networks]]\n",
                           "recipe = \"r\"\nthreshold = 0.5\n[[networks]]\nfile = \"b.h5\"\n"}) {
    (void)scratch.file("ensemble.toml", text);
    CHECK_THAT(error_of<ConfigError>([&] { (void)surveys::find_ensemble({folder}); }),
               Contains("ensemble.toml") && Contains("lacks a part"));
  }
}

TEST_CASE("The shipped ensemble is looked for where the environment says") {
  const Scratch scratch;
  ::setenv("SKYLOOM_SHARE", (scratch / "").c_str(), 1);
  CHECK_THAT(error_of<ConfigError>([] { (void)surveys::find_ensemble({}); }),
             Contains("flares/ensemble-1") && Contains("SKYLOOM_SHARE"));
  std::filesystem::create_directories(scratch / "flares/ensemble-1");
  (void)scratch.file("flares/ensemble-1/n.h5", "");
  (void)scratch.file("flares/ensemble-1/ensemble.toml",
                     "recipe = \"r\"\nthreshold = 0.75\n[[networks]]\nfile = \"n.h5\"\n"
                     "sha256 = \"00\"\n");
  CHECK(surveys::find_ensemble({}).files.size() == 1);
  ::unsetenv("SKYLOOM_SHARE");
}
