#pragma once
// Files written and read in place at computed positions, and names that change durably. Every error
// names the file.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

namespace skyloom::io {

class PosixFile {
 public:
  /// create: read and write, made when absent; replace: the same, what it held is gone.
  enum class Mode { read, read_write, create, replace };

  PosixFile() = default;
  /// @throws FatalError
  PosixFile(const std::filesystem::path& path, Mode mode);
  ~PosixFile();
  PosixFile(PosixFile&& other) noexcept;
  PosixFile& operator=(PosixFile&& other) noexcept;
  PosixFile(const PosixFile&) = delete;
  PosixFile& operator=(const PosixFile&) = delete;

  [[nodiscard]] bool is_open() const { return descriptor_ >= 0; }
  [[nodiscard]] int descriptor() const { return descriptor_; }  ///< -1 = closed
  /// One write; when it is cut short or fails, one more for the rest.
  /// @throws FatalError naming the file and the bytes that are still needed
  void write(std::string_view bytes, std::uint64_t offset);
  /// Bytes read, less than asked for at the end of the file.
  [[nodiscard]] std::size_t read(std::span<std::byte> bytes, std::uint64_t offset) const;
  void sync();

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

/// Where a file is written until it is whole, beside its place; what a killed attempt left there is
/// written over.
std::filesystem::path temporary_name(const std::filesystem::path& path);
/// Syncs a file, gives it its final name and syncs the folder. @throws FatalError
void rename_durably(const std::filesystem::path& from, const std::filesystem::path& to);
/// Copies a file under a temporary name and renames it durably. @throws FatalError
void copy_durably(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace skyloom::io
