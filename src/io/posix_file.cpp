#include "skyloom/io/posix_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "skyloom/core/errors.hpp"
#include "skyloom/io/accident.hpp"

namespace skyloom::io {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& what) {
  throw FatalError(path.string() + ": " + what + ": " + std::strerror(errno));
}

int flags_of(PosixFile::Mode mode) {
  switch (mode) {
    case PosixFile::Mode::read:
      return O_RDONLY | O_CLOEXEC;
    case PosixFile::Mode::read_write:
      return O_RDWR | O_CLOEXEC;
    case PosixFile::Mode::create:
      return O_RDWR | O_CREAT | O_CLOEXEC;
    case PosixFile::Mode::replace:
      return O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC;
  }
  return O_RDONLY;
}

/// Forces a file (or the entries of a folder) to disk.
void sync_path(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    fail(path, "cannot be opened");
  }
  const int code = sync_data(descriptor);
  const int cause = errno;
  ::close(descriptor);
  // Some file systems cannot sync a folder; its entry is then as durable as they make it.
  if (code != 0 && cause != EINVAL) {
    errno = cause;
    fail(path, "cannot be forced to disk");
  }
}

}  // namespace

PosixFile::PosixFile(const std::filesystem::path& path, Mode mode)
    : path_(path), descriptor_(::open(path.c_str(), flags_of(mode), 0666)) {
  if (descriptor_ < 0) {
    fail(path_, "cannot be opened");
  }
}

PosixFile::~PosixFile() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
}

PosixFile::PosixFile(PosixFile&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

PosixFile& PosixFile::operator=(PosixFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

void PosixFile::write(std::string_view bytes, std::uint64_t offset) {
  // One call writes at most 2 GiB on Linux: large slabs go out in pieces.
  constexpr std::size_t kMost = std::size_t{1} << 30;
  while (!bytes.empty()) {
    std::string_view piece = bytes.substr(0, kMost);
    bytes.remove_prefix(piece.size());
    errno = 0;
    for (int attempt = 0; attempt < 2 && !piece.empty(); ++attempt) {
      const std::ptrdiff_t written = write_at(descriptor_, piece, offset);
      piece.remove_prefix(static_cast<std::size_t>(std::max<std::ptrdiff_t>(0, written)));
      offset += static_cast<std::uint64_t>(std::max<std::ptrdiff_t>(0, written));
    }
    if (!piece.empty()) {
      errno = errno == 0 ? ENOSPC : errno;
      fail(path_, "cannot be written, " + std::to_string(piece.size() + bytes.size()) +
                      " bytes are needed");
    }
  }
}

std::size_t PosixFile::read(std::span<std::byte> bytes, std::uint64_t offset) const {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const std::ptrdiff_t got =
        read_at(descriptor_, bytes.data() + done, bytes.size() - done, offset + done);
    if (got < 0) {
      fail(path_, "cannot be read");
    }
    if (got == 0) {
      break;
    }
    done += static_cast<std::size_t>(got);
  }
  return done;
}

void PosixFile::sync() {
  if (sync_data(descriptor_) != 0) {
    fail(path_, "cannot be forced to disk");
  }
}

std::filesystem::path temporary_name(const std::filesystem::path& path) {
  return path.string() + ".tmp";
}

void rename_durably(const std::filesystem::path& from, const std::filesystem::path& to) {
  sync_path(from);
  if (rename_file(from.c_str(), to.c_str()) != 0) {
    fail(from, "cannot be renamed to " + to.filename().string());
  }
  sync_path(to.has_parent_path() ? to.parent_path() : ".");
}

void copy_durably(const std::filesystem::path& from, const std::filesystem::path& to) {
  constexpr std::size_t kBlock = std::size_t{8} << 20;
  const std::filesystem::path temporary = temporary_name(to);
  {
    const PosixFile source(from, PosixFile::Mode::read);
    PosixFile copy(temporary, PosixFile::Mode::replace);
    std::string block(kBlock, '\0');
    std::uint64_t at = 0;
    std::size_t got = 0;
    while ((got = source.read(std::as_writable_bytes(std::span(block.data(), block.size())), at)) >
           0) {
      copy.write(std::string_view(block).substr(0, got), at);
      at += got;
    }
  }
  rename_durably(temporary, to);
}

}  // namespace skyloom::io
