#include "skyloom/io/posix_file.hpp"

#include <fstream>

#include <catch2/catch.hpp>
#include <unistd.h>

#include "skyloom/core/errors.hpp"
#include "skyloom/io/accident.hpp"

using namespace skyloom;
using io::PosixFile;

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
  REQUIRE_THROWS_AS(io::rename_durably("/no/such/file", "/no/such/other"), FatalError);
}

TEST_CASE("a renamed file replaces the old one") {
  const std::filesystem::path folder = fresh_folder();
  std::ofstream(folder / "new") << "new";
  std::ofstream(folder / "old") << "old and longer";
  io::rename_durably(folder / "new", folder / "old");
  REQUIRE(std::filesystem::file_size(folder / "old") == 3);
  REQUIRE_FALSE(std::filesystem::exists(folder / "new"));
  std::filesystem::remove_all(folder);
}

TEST_CASE("a copy is whole under its name, and on disk") {
  const std::filesystem::path folder = fresh_folder();
  std::string text(std::size_t{20} << 20, 'a');  // several blocks, the last one not full
  text.back() = 'z';
  std::ofstream(folder / "one") << text << "tail";
  std::ofstream(folder / "two.tmp") << std::string(text.size() + 100, 'x');
  io::copy_durably(folder / "one", folder / "two");
  std::ifstream two(folder / "two");
  const std::string got{std::istreambuf_iterator<char>(two), {}};
  REQUIRE(got == text + "tail");
  REQUIRE(std::filesystem::exists(folder / "one"));
  REQUIRE_FALSE(std::filesystem::exists(folder / "two.tmp"));
  io::set_accidents("sync=fail");
  REQUIRE_THROWS_AS(io::copy_durably(folder / "one", folder / "three"), FatalError);
  io::set_accidents("");
  REQUIRE_FALSE(std::filesystem::exists(folder / "three"));
  std::filesystem::remove_all(folder);
}
