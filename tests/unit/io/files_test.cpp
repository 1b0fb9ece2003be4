#include "skyloom/io/files.hpp"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include "unit/io/scratch.hpp"

using namespace skyloom;
using Catch::Contains;

TEST_CASE("A file is replaced as a whole and leaves no temporary name") {
  const Scratch scratch;
  io::write_atomically(scratch / "a.txt", "first");
  io::write_atomically(scratch / "a.txt", std::string("second\0!", 8));
  CHECK(io::read_text(scratch / "a.txt") == std::string("second\0!", 8));
  CHECK_FALSE(std::filesystem::exists(scratch / "a.txt.tmp"));
}

TEST_CASE("Errors of files name file and cause") {
  const Scratch scratch;
  CHECK_THAT(error_of<ConfigError>([&] { (void)io::read_text(scratch / "none"); }),
             Contains("none") && Contains("No such file"));
  CHECK_THAT(error_of<ConfigError>([&] { (void)io::fingerprint(scratch / ""); }),
             Contains("is not a file"));
  CHECK_THAT(error_of<FatalError>([&] { io::write_atomically(scratch / "no/such/x", "y"); }),
             Contains("no/such/x") && Contains("No such file"));
}

TEST_CASE("One changed byte changes the fingerprint") {
  const Scratch scratch;
  std::string content(3 * 1024 * 1024 + 5, 'x');
  const std::string before = io::fingerprint(scratch.file("a", content));
  CHECK(before.size() == 16);
  CHECK(io::fingerprint(scratch.file("b", content)) == before);
  content[2 * 1024 * 1024 + 77] = 'y';
  CHECK(io::fingerprint(scratch.file("a", content)) != before);
  content[2 * 1024 * 1024 + 77] = 'x';
  CHECK(io::fingerprint(scratch.file("a", content + "x")) != before);
  CHECK_NOTHROW(io::fingerprint(scratch.file("empty", "")));
}

TEST_CASE("The ends of a big file are in its fingerprint") {
  const Scratch scratch;
  const auto path = scratch.file("big", "");
  std::filesystem::resize_file(path, std::uintmax_t{200} << 20);
  const std::string before = io::fingerprint(path);
  for (const std::streamoff at : {std::streamoff{0}, (std::streamoff{200} << 20) - 1}) {
    std::fstream(path, std::ios::in | std::ios::out | std::ios::binary).seekp(at).put('x');
    CHECK(io::fingerprint(path) != before);
    std::fstream(path, std::ios::in | std::ios::out | std::ios::binary).seekp(at).put('\0');
    CHECK(io::fingerprint(path) == before);
  }
}
