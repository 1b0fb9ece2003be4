#pragma once
// Small files: CSV, ECSV, JSON, TOML, and writing a file so that it is there whole or not at
// all. Knows no astronomy.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "skyloom/core/config.hpp"
#include "skyloom/core/table.hpp"

namespace skyloom::io {

/// Whole content of a file. @throws ConfigError naming it when it cannot be read
std::string read_text(const std::filesystem::path& path);
/// Writes to a temporary name beside it, syncs, renames. @throws FatalError naming file and cause
void write_atomically(const std::filesystem::path& path, std::string_view content);
/// Creates a folder and those it is in. @throws FatalError naming it
void create_folders(const std::filesystem::path& folder);
/// @throws FatalError when the file system of `path` says that it has less than `bytes` free. (That
/// it does not say so is no promise: quotas are not seen.)
void require_space(const std::filesystem::path& path, std::uint64_t bytes);
/// Hash of a file's size and content (up to 64 MiB whole, beyond that the ends and evenly spaced
/// blocks), 16 hexadecimal digits. @throws ConfigError naming it when it cannot be read
std::string fingerprint(const std::filesystem::path& path);
/// The same of its size and its first and last 64 KiB, for lists of very many files.
std::string quick_fingerprint(const std::filesystem::path& path);

/// SHA-256 of a file's content, 64 hexadecimal digits. @throws ConfigError naming it when it cannot
/// be read
std::string sha256(const std::filesystem::path& path);

/// A file or folder that ships with the program, by its path below share/skyloom: of the
/// installation that the running program belongs to, or of its build tree; the environment variable
/// SKYLOOM_SHARE names another share/skyloom. @throws ConfigError that tells where it was sought
std::filesystem::path shipped(const std::filesystem::path& name);

/// Comma-separated table with a header line (RFC 4180 quoting, LF or CRLF). A column whose filled
/// cells are all canonical integers and that has no empty cell becomes int64; one whose filled
/// cells are all numbers (at least one) float64 with NaN for empty ones; True/False (none empty)
/// become booleans; the rest, and the columns in `as_text` (case-blind), stay text exactly as
/// written. A column of digits that a float64 would not give back (leading zeros; more than 15
/// digits beside empty cells) stays text too, so that identifiers survive.
/// @throws ConfigError for a missing file, no header, doubled names, a row of another length (line)
Table read_csv(const std::filesystem::path& path, const std::vector<std::string>& as_text = {});
/// The same of the text of a file. @param path named in messages
Table parse_csv(std::string text, const std::filesystem::path& path,
                const std::vector<std::string>& as_text = {});
/// Numbers in shortest round-trip form, NaN as an empty cell, booleans True/False.
std::string csv_text(const Table& table);
/// ECSV 1.0 (astropy): YAML header with unit and description, then the rows.
std::string ecsv_text(const Table& table);
/// JSON array of objects, NaN as null.
std::string json_text(const Table& table);
/// Writes in one of csv | ecsv | json | fits. @throws ConfigError for another format
void write_table(const std::filesystem::path& path, const Table& table, std::string_view format);

/// Parses TOML. @throws ConfigError with file and line
ConfigValue read_toml(const std::filesystem::path& path);
ConfigValue parse_toml(std::string_view text, const std::string& name);
/// Parses JSON into the same tree; null becomes an empty text. @throws ConfigError naming `name`
ConfigValue parse_json(std::string_view text, const std::string& name);
/// Applies "a.b.c=value" on top of a document (the value as TOML, or as text when it is none).
void set_toml(ConfigValue& document, const std::string& assignment);

}  // namespace skyloom::io
