#pragma once
// Private to the engine: a thread that looks at a stage while the rank computes, so that units of
// any length show life. It must not call MPI, HDF5 or PETSc; signals go to the main thread.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

namespace skyloom::engine {

class Watch {
 public:
  Watch() = default;
  /// Waits for the end of the thread; what it threw is lost.
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  /// Calls `look` at this interval from now on, until it throws or the watch ends.
  void start(std::chrono::milliseconds interval, std::function<void()> look);
  /// Throws what `look` has thrown, if anything. To be called by the thread that called start().
  void check();
  /// Ends the thread. @throws what `look` has thrown
  void stop();

 private:
  void end();

  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable ending_;
  bool end_ = false;
  std::atomic<bool> failed_ = false;
  std::exception_ptr error_;
};

}  // namespace skyloom::engine
