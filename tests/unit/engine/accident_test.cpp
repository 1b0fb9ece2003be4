#include "skyloom/io/accident.hpp"

#include <fstream>
#include <functional>

#include <catch2/catch.hpp>
#include <sys/wait.h>
#include <unistd.h>

#include "skyloom/core/errors.hpp"
#include "skyloom/io/files.hpp"
#include "skyloom/io/posix_file.hpp"

using namespace skyloom;
using io::PosixFile;

namespace {

std::filesystem::path fresh_folder() {
  std::string name = std::filesystem::temp_directory_path() / "skyloom-test-XXXXXX";
  return ::mkdtemp(name.data());
}

/// What `action` throws in a process of its own with this accident; "" when nothing, "killed".
std::string with_accident(const char* accident, const std::function<void()>& action) {
  const std::filesystem::path folder = fresh_folder();
  const pid_t child = ::fork();
  if (child == 0) {
    std::string text;
    try {
      io::set_accidents(accident);
      action();
    } catch (const std::exception& error) {
      text = error.what();
    }
    std::ofstream(folder / "said") << text;
    std::_Exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  const std::string text = WIFSIGNALED(status) ? "killed" : io::read_text(folder / "said");
  std::filesystem::remove_all(folder);
  return text;
}

}  // namespace

TEST_CASE("a write that is cut short is completed; one that fails twice names file and bytes") {
  const std::filesystem::path folder = fresh_folder();
  const auto write = [&] { PosixFile(folder / "f", PosixFile::Mode::create).write("12345678", 0); };
  REQUIRE(with_accident("write=cut", write).empty());
  REQUIRE(io::read_text(folder / "f") == "12345678");
  REQUIRE(with_accident("write=fail", write).empty());  // tried once more
  const std::string full = with_accident("write=cut,write=full@2+", write);
  REQUIRE(full.find((folder / "f").string()) != std::string::npos);
  REQUIRE(full.find("4 bytes are needed: No space left") != std::string::npos);
  std::filesystem::remove(folder / "f");
  REQUIRE(with_accident("write=torn", write) == "killed");
  REQUIRE(io::read_text(folder / "f") == "1234");
  std::filesystem::remove_all(folder);
}

TEST_CASE("a file whose saving fails keeps its old content") {
  const std::filesystem::path folder = fresh_folder();
  io::write_atomically(folder / "f", "old");
  const auto write = [&] { io::write_atomically(folder / "f", "new content"); };
  for (const char* accident : {"write=full@1+", "write=fail@1+", "sync=fail", "rename=fail"}) {
    const std::string said = with_accident(accident, write);
    REQUIRE(said.find((folder / "f").string()) == 0);
    REQUIRE(io::read_text(folder / "f") == "old");
    REQUIRE_FALSE(std::filesystem::exists(folder / "f.tmp"));
  }
  REQUIRE(with_accident("write=full@1+", write).find("11 bytes are needed") != std::string::npos);
  REQUIRE(with_accident("write=torn", write) == "killed");
  REQUIRE(io::read_text(folder / "f") == "old");
  REQUIRE(with_accident("write=cut", write).empty());
  REQUIRE(io::read_text(folder / "f") == "new content");
  const auto rename = [&] { io::rename_durably(folder / "f", folder / "g"); };
  REQUIRE(with_accident("sync=fail", rename).find("cannot be forced to disk") != std::string::npos);
  REQUIRE(with_accident("rename=fail", rename).find("cannot be renamed") != std::string::npos);
  REQUIRE(with_accident("read=fail", [&] {
            std::byte byte{};
            static_cast<void>(PosixFile(folder / "f", PosixFile::Mode::read).read({&byte, 1}, 0));
          }).find("cannot be read") != std::string::npos);
  std::filesystem::remove_all(folder);
}

TEST_CASE("space that is not there is refused with both numbers") {
  const std::filesystem::path folder = fresh_folder();
  REQUIRE_NOTHROW(io::require_space(folder / "f", 1));
  REQUIRE_THROWS_WITH(io::require_space(folder / "f", std::uint64_t{1} << 62),
                      Catch::Contains("4611686018427387904 bytes are needed"));
  REQUIRE(with_accident("space=full", [&] {
            io::require_space(folder / "f", 5);
          }).find("5 bytes are needed") != std::string::npos);
  std::filesystem::remove_all(folder);
}

TEST_CASE("accidents meet their passage and their rank, and a mistyped one is refused") {
  const auto passes = [](int times) {
    return [times] {
      for (int i = 0; i < times; ++i) {
        io::pass_point("here");
      }
    };
  };
  REQUIRE(with_accident("here=kill@3", passes(2)).empty());
  REQUIRE(with_accident("here=kill@3", passes(3)) == "killed");
  REQUIRE(with_accident("there=kill", passes(3)).empty());
  REQUIRE(with_accident("here=kill#1", passes(3)).empty());  // this process is rank 0
  REQUIRE(with_accident("here=kill#0", passes(1)) == "killed");
  for (const char* wrong : {"here", "here=burn", "=kill", "here=kill@x"}) {
    REQUIRE(with_accident(wrong, passes(1)).find("is not understood") != std::string::npos);
  }
}
