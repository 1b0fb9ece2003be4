#pragma once
// Log lines: UTC time, rank, level, text; one line is one write. Rank 0 prints to the terminal,
// every rank writes logs/rank-NNNN.log from warning up (the file appears with its first line).
// Reached by reference from engine and load, never from kernels; from any thread.

#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace skyloom {

enum class LogLevel { debug, info, warning, error };

class Log {
 public:
  /// @param rank of this process; only rank 0 prints, from `terminal_level` up
  explicit Log(int rank, LogLevel terminal_level = LogLevel::info);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  /// From now on also writes to folder/rank-NNNN.log, from `level` up.
  void open_folder(const std::string& folder, LogLevel level = LogLevel::warning);
  /// Least level of what is printed and of what goes into the log of the command.
  void set_level(LogLevel level);
  /// From now on rank 0 also appends every line to this file. @param format with the fields
  /// %(asctime)s (UTC), %(name)s, %(levelname)s and %(message)s, as Python's logging names them
  void open_command_log(const std::string& file,
                        const std::string& format = "%(asctime)s %(levelname)s %(message)s");
  /// Live lines at the end of rank 0's terminal, in place of those shown before; the next message
  /// erases them. Cut by the caller: a line that wraps could not be erased.
  void show(const std::vector<std::string>& lines);

  void write(LogLevel level, const std::string& text);

  template <class... Args>
  void debug(fmt::format_string<Args...> format, Args&&... args) {
    write(LogLevel::debug, fmt::format(format, std::forward<Args>(args)...));
  }
  template <class... Args>
  void info(fmt::format_string<Args...> format, Args&&... args) {
    write(LogLevel::info, fmt::format(format, std::forward<Args>(args)...));
  }
  template <class... Args>
  void warning(fmt::format_string<Args...> format, Args&&... args) {
    write(LogLevel::warning, fmt::format(format, std::forward<Args>(args)...));
  }
  template <class... Args>
  void error(fmt::format_string<Args...> format, Args&&... args) {
    write(LogLevel::error, fmt::format(format, std::forward<Args>(args)...));
  }

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace skyloom
