#include "skyloom/surveys/spoc_archive.hpp"

#include "skyloom/core/errors.hpp"
#include "skyloom/surveys/light_curve_cache.hpp"

#include "unit/io/scratch.hpp"

using namespace skyloom;
using Catch::Contains;

namespace {

const std::string kName = "tess2018206045859-s0001-0000000358108509-0120-s_lc.fits";

}  // namespace

TEST_CASE("names of light curves tell star and sector") {
  const auto name = surveys::spoc_name(kName);
  REQUIRE(name);
  CHECK(name->tic == 358108509);
  CHECK(name->sector == 1);
  CHECK(surveys::spoc_name("tess2021204101404-s0041-1234567890123456-0212-s_lc.fits")->tic ==
        1234567890123456);
  for (const char* other : {"tess2018206045859-s0001-0000000358108509-0120-a_fast-lc.fits",
                            "tess2018206045859-s0001-0000000358108509-0120-s_tp.fits",
                            "tess2018206045859-s001-00000000358108509-0120-s_lc.fits", ""}) {
    CHECK_FALSE(surveys::spoc_name(other));
  }
}

TEST_CASE("a list names each light curve once") {
  const std::string other = "tess2018206045859-s0001-0000000410214986-0120-s_lc.fits";
  const std::string script =
      "#!/bin/sh\ncurl -C - -L -o " + kName +
      " https://mast.stsci.edu/api/v0.1/Download/file/?uri=mast:TESS/product/" + kName +
      "\ncurl -o " + other + " https://x/" + other;
  const auto names = surveys::spoc_names(script);
  REQUIRE(names.size() == 2);
  CHECK(names[0].name == kName);
  CHECK(names[1].tic == 410214986);
  CHECK(surveys::spoc_names("tess tess2018").empty());
}

TEST_CASE("addresses of files and lists") {
  const auto name = *surveys::spoc_name(kName);
  CHECK(surveys::SpocArchive("").file_url(name) ==
        "https://mast.stsci.edu/api/v0.1/Download/file?uri=mast:TESS/product/" + kName);
  CHECK(surveys::SpocArchive("").list_url(7) ==
        "https://archive.stsci.edu/missions/tess/download_scripts/sector/tesscurl_sector_7_lc.sh");
  CHECK(surveys::SpocArchive("http://x/y").file_url(name) == "http://x/y/" + kName);
  CHECK(surveys::SpocArchive("http://x/y/").list_url(12) == "http://x/y/tesscurl_sector_12_lc.sh");
  const surveys::SpocArchive mirror("https://x/s{sector}/{file}?raw=1");
  CHECK(mirror.file_url(name) == "https://x/s0001/" + kName + "?raw=1");
  CHECK(mirror.list_url(1) == "https://x/s0001/tesscurl_sector_1_lc.sh?raw=1");
  for (const char* wrong : {"x/y", "ftp://x", "http://x/'y'"}) {
    CHECK_THAT(error_of<ConfigError>([&] { (void)surveys::SpocArchive(wrong); }),
               Contains("inputs.base_url"));
  }
}

TEST_CASE("targets are a table of stars or a list of files") {
  const Scratch scratch;
  surveys::FetchRequest request;
  request.base_url = "file://" + (scratch / "").string();
  request.folder = scratch / "cache";
  request.targets = scratch.file("files.txt", "a/" + kName + "\n# another comes later\n").string();
  REQUIRE(surveys::wanted_light_curves(request).size() == 1);

  request.targets = scratch.file("stars.csv", "TICID,Tmag\n358108509,14.3\n99,9.0\n").string();
  request.sectors = {1};
  (void)scratch.file("tesscurl_sector_1_lc.sh", "curl " + kName);
  const auto wanted = surveys::wanted_light_curves(request);
  REQUIRE(wanted.size() == 1);
  CHECK(wanted[0].name == kName);

  request.targets = scratch.file("none.txt", "nothing\n").string();
  CHECK_THAT(error_of<ConfigError>([&] { (void)surveys::wanted_light_curves(request); }),
             Contains("none.txt") && Contains("TICID"));
}

TEST_CASE("the download script has every file once") {
  const std::string script = surveys::download_script({*surveys::spoc_name(kName)}, "http://x");
  CHECK_THAT(script, Contains("get s0001/" + kName + " 'http://x/" + kName + "'"));
}
