#include "skyloom/io/download.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>

#include <curl/curl.h>

#include "skyloom/core/errors.hpp"

namespace skyloom::io {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using State = DownloadOutcome::State;

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
struct EasyCloser {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct MultiCloser {
  void operator()(CURLM* handle) const { curl_multi_cleanup(handle); }
};

/// libcurl's state of the process.
class Library {
 public:
  Library() {
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
      throw FatalError("libcurl cannot be started");
    }
  }
  ~Library() { curl_global_cleanup(); }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;
};

/// One try of one file.
struct Transfer {
  std::size_t item = 0;
  std::unique_ptr<std::FILE, FileCloser> file;
  int write_error = 0;  ///< errno
  std::uint64_t received = 0;
  std::unique_ptr<CURL, EasyCloser> handle;
};

std::size_t keep_bytes(char* bytes, std::size_t size, std::size_t count, void* user) {
  auto* transfer = static_cast<Transfer*>(user);
  const std::size_t written = std::fwrite(bytes, size, count, transfer->file.get());
  transfer->write_error = written == count ? 0 : errno;
  transfer->received += written * size;
  return written * size;
}

std::uint64_t size_of(const fs::path& path) {
  std::error_code absent;
  const std::uint64_t size = fs::file_size(path, absent);
  return absent ? 0 : size;
}

/// How a try ended, in words, and what follows.
struct Verdict {
  std::string reason;  ///< "" = all bytes are there
  int answer = 0;
  bool passing = true;
  bool discard = false;  ///< what was received is of no use
  double wait_s = 0.0;   ///< that the server asks for
};

Verdict verdict_of(CURL* handle, CURLcode code) {
  long status = 0;
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  curl_off_t wait = 0;
  curl_easy_getinfo(handle, CURLINFO_RETRY_AFTER, &wait);
  Verdict out;
  out.wait_s = static_cast<double>(wait);
  out.answer = static_cast<int>(status);
  switch (code) {
    case CURLE_OK:
      return out;
    case CURLE_HTTP_RETURNED_ERROR:
      out.reason = "the server answers " + std::to_string(status);
      out.discard = status == 416;  // nothing after the bytes that are there
      out.passing =
          status == 408 || status == 416 || status == 425 || status == 429 || status >= 500;
      return out;
    case CURLE_RANGE_ERROR:
    case CURLE_BAD_DOWNLOAD_RESUME:
      out.reason = "the server cannot continue a file";
      out.discard = true;
      return out;
    case CURLE_PARTIAL_FILE:
      out.reason = "the answer was cut short";
      return out;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_FILE_COULDNT_READ_FILE:
      out.passing = false;
      break;
    default:
      break;
  }
  out.reason = curl_easy_strerror(code);
  return out;
}

class Downloader {
 public:
  Downloader(const std::vector<Download>& files, const DownloadRule& rule,
             const DownloadCalls& calls)
      : files_(files),
        rule_(rule),
        calls_(calls),
        outcomes_(files.size()),
        multi_(curl_multi_init()) {
    if (multi_ == nullptr) {
      throw FatalError("libcurl cannot be started");
    }
    for (std::size_t i = 0; i < files.size(); ++i) {
      waiting_.emplace(Clock::time_point::min(), i);
    }
  }

  std::vector<DownloadOutcome> run() {
    while (!waiting_.empty() || !running_.empty()) {
      if (calls_.stop && calls_.stop()) {
        break;
      }
      start_due();
      int active = 0;
      check(curl_multi_perform(multi_.get(), &active));
      finish_ended();
      if (!waiting_.empty() || !running_.empty()) {
        constexpr int kAskAgain_ms = 100;
        check(curl_multi_poll(multi_.get(), nullptr, 0, kAskAgain_ms, nullptr));
      }
    }
    for (auto& [handle, transfer] : running_) {
      curl_multi_remove_handle(multi_.get(), handle);
      outcomes_[transfer->item].bytes += transfer->received;
    }
    running_.clear();
    return std::move(outcomes_);
  }

 private:
  static void check(CURLMcode code) {
    if (code != CURLM_OK) {
      throw FatalError(std::string("libcurl: ") + curl_multi_strerror(code));
    }
  }

  void start_due() {
    while (!waiting_.empty() && running_.size() < static_cast<std::size_t>(rule_.parallel) &&
           waiting_.begin()->first <= Clock::now()) {
      const std::size_t item = waiting_.begin()->second;
      waiting_.erase(waiting_.begin());
      start(item);
    }
  }

  void start(std::size_t item) {
    const Download& file = files_[item];
    auto transfer = std::make_unique<Transfer>();
    transfer->item = item;
    transfer->file.reset(std::fopen(file.part.c_str(), "ab"));
    if (transfer->file == nullptr) {
      throw FatalError(file.part.string() + ": cannot be written: " + std::strerror(errno));
    }
    transfer->handle.reset(curl_easy_init());
    CURL* handle = transfer->handle.get();
    if (handle == nullptr) {
      throw FatalError("libcurl cannot be started");
    }
    outcomes_[item].tries += 1;
    outcomes_[item].resumed = size_of(file.part);
    const auto milliseconds = [](double s) { return static_cast<long>(std::ceil(1000.0 * s)); };
    curl_easy_setopt(handle, CURLOPT_URL, file.url.c_str());
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &keep_bytes);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, transfer.get());
    curl_easy_setopt(handle, CURLOPT_RESUME_FROM_LARGE,
                     static_cast<curl_off_t>(outcomes_[item].resumed));
    curl_easy_setopt(handle, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(handle, CURLOPT_MAXREDIRS, 10L);
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(rule_.connect_s));
    curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, static_cast<long>(std::ceil(rule_.stalled_s)));
    curl_easy_setopt(handle, CURLOPT_USERAGENT, "skyloom");
    check(curl_multi_add_handle(multi_.get(), handle));
    running_.emplace(handle, std::move(transfer));
  }

  void finish_ended() {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
      if (message->msg == CURLMSG_DONE) {
        finish(message->easy_handle, message->data.result);
      }
    }
  }

  void finish(CURL* handle, CURLcode code) {
    const auto at = running_.find(handle);
    const std::unique_ptr<Transfer> transfer = std::move(at->second);
    running_.erase(at);
    Verdict verdict = verdict_of(handle, code);
    curl_multi_remove_handle(multi_.get(), handle);
    const std::size_t item = transfer->item;
    const fs::path& part = files_[item].part;
    outcomes_[item].bytes += transfer->received;
    const int closed = std::fclose(transfer->file.release());
    if (code == CURLE_WRITE_ERROR || closed != 0) {
      const int error = transfer->write_error != 0 ? transfer->write_error : errno;
      throw FatalError(part.string() + ": cannot be written: " + std::strerror(error));
    }
    if (verdict.reason.empty()) {
      verdict.reason = calls_.arrived(item);
      verdict.discard = !verdict.reason.empty();
    }
    std::error_code ignored;
    if (verdict.discard || size_of(part) == 0) {
      fs::remove(part, ignored);
    }
    settle(item, verdict);
  }

  void settle(std::size_t item, const Verdict& verdict) {
    DownloadOutcome& outcome = outcomes_[item];
    outcome.reason = verdict.reason;
    outcome.answer = verdict.answer;
    if (verdict.reason.empty()) {
      outcome.state = State::arrived;
    } else if (!verdict.passing || outcome.tries >= rule_.tries) {
      outcome.state = State::failed;
    } else {
      const double wait = std::min(
          std::max(rule_.first_wait_s * std::ldexp(1.0, outcome.tries - 1), verdict.wait_s),
          rule_.longest_wait_s);
      waiting_.emplace(Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                          std::chrono::duration<double>(wait)),
                       item);
      return;
    }
    if (calls_.ended) {
      calls_.ended(item, outcome);
    }
  }

  const std::vector<Download>& files_;
  const DownloadRule& rule_;
  const DownloadCalls& calls_;
  std::vector<DownloadOutcome> outcomes_;
  std::unique_ptr<CURLM, MultiCloser> multi_;
  std::map<CURL*, std::unique_ptr<Transfer>> running_;
  std::multimap<Clock::time_point, std::size_t> waiting_;  // equal times keep their order
};

}  // namespace

std::vector<DownloadOutcome> download(const std::vector<Download>& files, const DownloadRule& rule,
                                      const DownloadCalls& calls) {
  const Library library;
  return Downloader(files, rule, calls).run();
}

}  // namespace skyloom::io
