#include "skyloom/io/files.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "skyloom/core/errors.hpp"
#include "skyloom/core/hash.hpp"
#include "skyloom/io/accident.hpp"
#include "skyloom/io/posix_file.hpp"

namespace skyloom::io {
namespace {

constexpr std::size_t kMebibyte = std::size_t{1} << 20;
constexpr std::size_t kWholeUpTo = 64 * kMebibyte;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) {
      ::close(fd_);
    }
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

std::string cause() {
  return std::strerror(errno);
}

struct InputFile {
  InputFile(int descriptor, std::size_t bytes) : fd(descriptor), size(bytes) {}

  Descriptor fd;
  std::size_t size;
};

InputFile open_input(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    const std::string wrong = "cannot be opened: " + cause();
    if (errno == ENOENT || errno == ENOTDIR) {
      throw ConfigError(path.string(), wrong, "a readable file");
    }
    throw ReadFailure(path.string(), wrong, "a readable file");
  }
  struct stat info {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    throw ConfigError(path.string(), "is not a file", "a regular file");
  }
  return {fd, static_cast<std::size_t>(info.st_size)};
}

void read_input(const InputFile& file, std::size_t offset, std::span<char> out,
                const std::filesystem::path& path) {
  while (!out.empty()) {
    const ssize_t count =
        ::pread(file.fd.get(), out.data(), out.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      throw ReadFailure(path.string(), "cannot be read: " + cause());
    }
    if (count == 0) {
      throw ConfigError(path.string(), "became shorter while being read");
    }
    out = out.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::size_t>(count);
  }
}

}  // namespace

std::string read_text(const std::filesystem::path& path) {
  const InputFile file = open_input(path);
  std::string text(file.size, '\0');
  read_input(file, 0, text, path);
  return text;
}

void write_atomically(const std::filesystem::path& path, std::string_view content) {
  const std::filesystem::path temporary = temporary_name(path);
  try {
    PosixFile(temporary, PosixFile::Mode::replace).write(content, 0);
    rename_durably(temporary, path);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
}

void create_folders(const std::filesystem::path& folder) {
  std::error_code problem;
  std::filesystem::create_directories(folder, problem);
  if (problem) {
    throw FatalError(folder.string() + ": cannot be created: " + problem.message());
  }
}

void require_space(const std::filesystem::path& path, std::uint64_t bytes) {
  std::error_code problem;
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  const std::filesystem::space_info space = std::filesystem::space(folder, problem);
  const bool unknown = problem || space.available == static_cast<std::uintmax_t>(-1);
  const bool full = pass_point("space") == Accident::full;
  if (full || (!unknown && space.available < bytes)) {
    throw FatalError(path.string() + ": cannot be written, " + std::to_string(bytes) +
                     " bytes are needed: " + std::to_string(full ? 0 : space.available) +
                     " bytes are free");
  }
}

std::string fingerprint(const std::filesystem::path& path) {
  const InputFile file = open_input(path);
  Hash hash;
  hash.number(file.size);
  std::vector<char> buffer(std::min(file.size, kMebibyte));
  const auto add = [&](std::size_t offset) {
    const std::size_t count = std::min(kMebibyte, file.size - offset);
    read_input(file, offset, std::span(buffer).first(count), path);
    hash.bytes(std::as_bytes(std::span(buffer).first(count)));
  };
  if (file.size <= kWholeUpTo) {
    for (std::size_t offset = 0; offset < file.size; offset += kMebibyte) {
      add(offset);
    }
    return hash.hex();
  }
  // Beyond the limit 64 blocks from the first to the last one: both ends are always in.
  constexpr std::size_t kBlocks = kWholeUpTo / kMebibyte;
  for (std::size_t i = 0; i < kBlocks; ++i) {
    add((file.size - kMebibyte) / (kBlocks - 1) * i);
  }
  add(file.size - kMebibyte);
  return hash.hex();
}

std::string quick_fingerprint(const std::filesystem::path& path) {
  constexpr std::size_t kEnd = std::size_t{64} << 10;
  const InputFile file = open_input(path);
  Hash hash;
  hash.number(file.size);
  std::vector<char> buffer(std::min(file.size, kEnd));
  for (const std::size_t offset : {std::size_t{0}, file.size - buffer.size()}) {
    read_input(file, offset, buffer, path);
    hash.bytes(std::as_bytes(std::span(buffer)));
  }
  return hash.hex();
}

std::string sha256(const std::filesystem::path& path) {
  const InputFile file = open_input(path);
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        EVP_MD_CTX_free);
  std::array<unsigned char, 32> digest{};
  bool good = context && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1;
  std::vector<char> buffer(std::min(file.size, kMebibyte));
  for (std::size_t offset = 0; good && offset < file.size; offset += kMebibyte) {
    const std::size_t count = std::min(kMebibyte, file.size - offset);
    read_input(file, offset, std::span(buffer).first(count), path);
    good = EVP_DigestUpdate(context.get(), buffer.data(), count) == 1;
  }
  if (!good || EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) != 1) {
    throw FatalError("libcrypto cannot compute SHA-256");
  }
  std::string text;
  for (const unsigned char byte : digest) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    text += {kDigits[byte / 16], kDigits[byte % 16]};
  }
  return text;
}

std::filesystem::path shipped(const std::filesystem::path& name) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  const char* chosen = std::getenv("SKYLOOM_SHARE");
  const fs::path folder =
      chosen != nullptr ? fs::path(chosen) : program.parent_path() / "share" / "skyloom";
  if (fs::exists(folder / name, ignored)) {
    return folder / name;
  }
  throw ConfigError(name.string(), "ships with the program, but is not in " + folder.string(),
                    "an installation, or SKYLOOM_SHARE to name its share/skyloom");
}

}  // namespace skyloom::io
