#include "engine/posix_file.hpp"

#include <fstream>

#include <catch2/catch.hpp>
#include <unistd.h>

#include "skyloom/core/errors.hpp"

using namespace skyloom;
using engine::PosixFile;

namespace {

std::filesystem::path fresh_folder() {
  std::string name = std::filesystem::temp_directory_path() / "skyloom-test-XXXXXX";
  return ::mkdtemp(name.data());
}

}  // namespace

TEST_CASE("bytes are written where they belong and read back, less at the end of the file") {
  const std::filesystem::path folder = fresh_folder();
  {
    PosixFile file(folder / "f", PosixFile::Mode::create);
    file.write("world", 6);
    file.write("hello ", 0);
    file.sync();
  }
  const PosixFile file(folder / "f", PosixFile::Mode::read);
  std::string text(20, '?');
  REQUIRE(file.read(std::as_writable_bytes(std::span(text.data(), text.size())), 0) == 11);
  REQUIRE(text.substr(0, 11) == "hello world");
  std::filesystem::remove_all(folder);
}

TEST_CASE("a full disk names the file and the bytes needed") {
  if (!std::filesystem::exists("/dev/full")) {
    WARN("skipped: no /dev/full");
    return;
  }
  PosixFile file("/dev/full", PosixFile::Mode::read_write);
  REQUIRE_THROWS_WITH(file.write("12345", 0), Catch::Contains("/dev/full") &&
                                                  Catch::Contains("5 bytes are needed") &&
                                                  Catch::Contains("No space left"));
}

TEST_CASE("a missing file and a missing folder are named") {
  REQUIRE_THROWS_WITH(PosixFile("/no/such/file", PosixFile::Mode::create),
                      Catch::Contains("/no/such/file"));
  REQUIRE_THROWS_AS(engine::rename_durably("/no/such/file", "/no/such/other"), FatalError);
}

TEST_CASE("a renamed file replaces the old one") {
  const std::filesystem::path folder = fresh_folder();
  std::ofstream(folder / "new") << "new";
  std::ofstream(folder / "old") << "old and longer";
  engine::rename_durably(folder / "new", folder / "old");
  REQUIRE(std::filesystem::file_size(folder / "old") == 3);
  REQUIRE_FALSE(std::filesystem::exists(folder / "new"));
  std::filesystem::remove_all(folder);
}
