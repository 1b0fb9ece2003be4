#pragma once
// Files from a server (HTTP, HTTPS, or file: URLs), several at a time, by libcurl. A transfer that
// broke off is continued where it stopped, by this process or a later one.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace skyloom::io {

struct Download {
  std::string url;
  /// Where it grows; its folder exists. Bytes that are there already are not asked for again.
  std::filesystem::path part;
};

struct DownloadRule {
  int parallel = 4;              ///< transfers at a time
  int tries = 5;                 ///< of one file, for failures that may pass
  double first_wait_s = 1.0;     ///< before the second try, doubled for each further one
  double longest_wait_s = 60.0;  ///< also of what a server asks for
  double connect_s = 30.0;       ///< until a connection stands
  double stalled_s = 60.0;       ///< without a byte
};

/// How one file ended.
struct DownloadOutcome {
  enum class State { open, arrived, failed };  ///< open: stopped before its end

  State state = State::open;
  int tries = 0;
  std::uint64_t bytes = 0;    ///< received in this call
  std::uint64_t resumed = 0;  ///< already there when the last try began
  int answer = 0;             ///< status of the last HTTP answer, 0 = none
  std::string reason = {};    ///< of the last failed try, "" = none
};

struct DownloadCalls {
  /// A file has arrived whole, as far as the server tells. "" takes it: the callee moves or removes
  /// it. Anything else is why it is refused: it is removed, and fetched again from its beginning.
  std::function<std::string(std::size_t)> arrived;
  /// It arrived and was taken, or failed for good.
  std::function<void(std::size_t, const DownloadOutcome&)> ended;
  /// Asked often: true ends all transfers and leaves their parts.
  std::function<bool()> stop;
};

/// Fetches all files, in their order as far as they are ready. What may pass (connections, answers
/// cut short, servers with trouble: 408, 429, 5xx, refused contents) is tried again after a wait;
/// other answers, such as 404, are final.
/// @return in the order of `files` @throws FatalError when a part cannot be written
std::vector<DownloadOutcome> download(const std::vector<Download>& files, const DownloadRule& rule,
                                      const DownloadCalls& calls);

}  // namespace skyloom::io
