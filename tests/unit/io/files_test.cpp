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

TEST_CASE("SHA-256 of files") {
  // FIPS 180-4, and a file longer than one block of reading.
  const Scratch scratch;
  CHECK(io::sha256(scratch.file("abc", "abc")) ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(io::sha256(scratch.file("empty", "")) ==
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(io::sha256(scratch.file("long", std::string(3000000, 'a'))) ==
        "2a152c894398719c0570f83fac34ac03a0f6e8e474b995c2403aa5434f7b9dd4");
  CHECK_THROWS_AS(io::sha256(scratch / "absent"), ConfigError);
}

TEST_CASE("JSON documents become the tree that TOML has") {
  const ConfigValue document =
      io::parse_json(R"({"a": [1, 2.5, null, "x"], "b": {"c": true}})", "d.json");
  const auto& top = std::get<ConfigValue::TableMap>(document.value);
  const auto& list = std::get<ConfigValue::Array>(top.at("a").value);
  REQUIRE(list.size() == 4);
  CHECK(std::get<std::int64_t>(list[0].value) == 1);
  CHECK(std::get<double>(list[1].value) == 2.5);
  CHECK(std::get<std::string>(list[2].value).empty());
  CHECK(std::get<std::string>(list[3].value) == "x");
  CHECK(std::get<bool>(std::get<ConfigValue::TableMap>(top.at("b").value).at("c").value));
  CHECK_THAT(error_of<ConfigError>([] { (void)io::parse_json("{\"a\": ", "d.json"); }),
             Catch::StartsWith("d.json: is no JSON"));
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

TEST_CASE("A quick fingerprint sees the size and both ends") {
  const Scratch scratch;
  std::string content(300 * 1024, 'x');
  const std::string before = io::quick_fingerprint(scratch.file("a", content));
  CHECK(before.size() == 16);
  for (const std::size_t at : {std::size_t{0}, std::size_t{64 * 1024 - 1}, content.size() - 1}) {
    std::string changed = content;
    changed[at] = 'y';
    CHECK(io::quick_fingerprint(scratch.file("a", changed)) != before);
  }
  CHECK(io::quick_fingerprint(scratch.file("a", content + "x")) != before);
  CHECK_NOTHROW(io::quick_fingerprint(scratch.file("empty", "")));
  CHECK_THROWS_AS(io::quick_fingerprint(scratch / "absent"), ConfigError);
}
