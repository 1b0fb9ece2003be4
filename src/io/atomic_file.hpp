#pragma once
// A file that appears under its name only when it is whole: written under a temporary name beside
// it, synced, renamed. Private to the room io.

#include <filesystem>

namespace skyloom::io {

/// Name of the temporary file beside `path`; what a killed attempt left there is overwritten.
std::filesystem::path temporary_name(const std::filesystem::path& path);

/// Syncs the finished temporary file, renames it to `path` and syncs the folder.
/// @throws FatalError naming file and cause; the temporary file is removed then
void publish(const std::filesystem::path& temporary, const std::filesystem::path& path);

}  // namespace skyloom::io
