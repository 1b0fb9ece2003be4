#pragma once
// Private to the engine: the files of a journal's folder, their names and what stands in them.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "skyloom/engine/journal.hpp"
#include "skyloom/engine/unit.hpp"
#include "skyloom/parallel/comm.hpp"

namespace skyloom::engine {

struct JournalFile {
  std::uint32_t generation = 0;
  std::uint32_t group = 0;
  std::uint64_t bytes = 0;
};

std::string journal_file_name(std::uint32_t generation, std::uint32_t group);

/// Journal files of a folder by generation and group; none when there is no folder.
std::vector<JournalFile> list_journal_files(const std::filesystem::path& directory);
/// Collective: the same as rank 0 sees it. Ranks on different nodes may see different folders.
std::vector<JournalFile> list_on_root(const parallel::Comm& comm,
                                      const std::filesystem::path& directory);

struct JournalScan {
  std::vector<Piece> pieces;
  std::vector<JournalDamage> damage;
};
/// The segments that fall to this reader of several. What cannot be read is damage.
/// @throws FatalError when a file cannot be opened
JournalScan scan_journal_files(const std::filesystem::path& directory,
                               const std::vector<JournalFile>& files, std::uint32_t seed,
                               std::size_t reader, std::size_t readers);

/// The piece whose header stands at the beginning of `bytes`, if there is one; its payload is not
/// looked at.
std::optional<Piece> piece_at(std::uint32_t seed, std::span<const std::byte> bytes);
/// Of a payload with its padding.
std::size_t padded_length(std::size_t length);

/// Calls `see` for every piece, as far as headers tell: payloads are skipped, but for the last of a
/// segment, which may have been cut short. What cannot be read is skipped too.
/// @throws FatalError when a file cannot be opened
void skim_journal_files(const std::filesystem::path& directory,
                        const std::vector<JournalFile>& files, std::uint32_t seed,
                        const std::function<void(const Piece& piece)>& see);

/// <directory>/journal.info: the key and the number of units, for a reader who does not know them.
struct JournalInfo {
  std::string key;
  std::size_t units = 0;
};
void write_journal_info(const std::filesystem::path& directory, const JournalInfo& info);
/// Key "" when there is none.
JournalInfo read_journal_info(const std::filesystem::path& directory);
/// <directory>/journal.units: keys and items of the units, for a reader who has no plan.
/// @param key of the journal
void write_journal_units(const std::filesystem::path& directory, const std::string& key,
                         const Plan& plan);
/// No units when there is no whole file of this key.
Plan read_journal_units(const std::filesystem::path& directory, const std::string& key);

/// Both.
void remove_journal_info(const std::filesystem::path& directory);

}  // namespace skyloom::engine
