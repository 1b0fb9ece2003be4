#include "skyloom/io/files.hpp"

#include "unit/io/scratch.hpp"

using namespace skyloom;
using Catch::Contains;

namespace {

const ConfigValue& at(const ConfigValue& value, const std::string& key) {
  return std::get<ConfigValue::TableMap>(value.value).at(key);
}

}  // namespace

TEST_CASE("TOML values keep type and line") {
  const ConfigValue root = io::parse_toml(
      "a = 1\n[zp]\nenabled = true\nlist = [1.5, 2]\n[[inputs.images]]\nfile = 'x.fits'\n",
      "c.toml");
  CHECK(std::get<std::int64_t>(at(root, "a").value) == 1);
  CHECK(at(at(root, "zp"), "enabled").line == 3);
  CHECK(std::get<bool>(at(at(root, "zp"), "enabled").value));
  const auto& list = std::get<ConfigValue::Array>(at(at(root, "zp"), "list").value);
  CHECK(std::get<double>(list[0].value) == 1.5);
  CHECK(std::get<std::int64_t>(list[1].value) == 2);
  const auto& images = std::get<ConfigValue::Array>(at(at(root, "inputs"), "images").value);
  CHECK(std::get<std::string>(at(images[0], "file").value) == "x.fits");
}

TEST_CASE("TOML errors name file and line") {
  const Scratch scratch;
  const auto path = scratch.file("bad.toml", "a = 1\nb = = 2\n");
  CHECK_THAT(error_of<ConfigError>([&] { (void)io::read_toml(path); }),
             Contains("bad.toml line 2") && Contains("not valid TOML"));
  CHECK_THAT(error_of<ConfigError>([] { (void)io::parse_toml("\nt = 2020-01-01\n", "d.toml"); }),
             Contains("d.toml line 2") && Contains("dates"));
  CHECK_THAT(error_of<ConfigError>([&] { (void)io::read_toml(scratch / "none.toml"); }),
             Contains("none.toml"));
}

TEST_CASE("Assignments are applied on top of a document") {
  ConfigValue root = io::parse_toml("[zp]\nenabled = true\nbands = ['g']\n", "c.toml");
  io::set_toml(root, "zp.enabled=false");
  io::set_toml(root, "epsf.cells.max = 12");
  io::set_toml(root, "zp.bands=['r', 'i']");
  io::set_toml(root, "name=plain text");
  io::set_toml(root, "day=2020-01-01");
  CHECK_FALSE(std::get<bool>(at(at(root, "zp"), "enabled").value));
  CHECK(std::get<ConfigValue::Array>(at(at(root, "zp"), "bands").value).size() == 2);
  CHECK(std::get<std::int64_t>(at(at(at(root, "epsf"), "cells"), "max").value) == 12);
  CHECK(std::get<std::string>(at(root, "name").value) == "plain text");
  CHECK(std::get<std::string>(at(root, "day").value) == "2020-01-01");
  CHECK(at(root, "name").line == 0);
  const auto message = [&](const std::string& text) {
    return error_of<ConfigError>([&] { io::set_toml(root, text); });
  };
  CHECK_THAT(message("no assignment"), Contains("no assignment") && Contains("key=value"));
  CHECK_THAT(message("name.x=1"), Contains("name.x=1") && Contains("not a table"));
  CHECK_THAT(message("a b=1"), Contains("a b=1"));
}
