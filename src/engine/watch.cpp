#include "watch.hpp"

#include <utility>

#include <signal.h>

namespace skyloom::engine {

Watch::~Watch() {
  end();
}

void Watch::start(std::chrono::milliseconds interval, std::function<void()> look) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // the thread inherits the mask
  thread_ = std::thread([this, interval, look = std::move(look)] {
    std::unique_lock lock(mutex_);
    while (!ending_.wait_for(lock, interval, [this] { return end_; })) {
      try {
        look();
      } catch (...) {
        error_ = std::current_exception();
        failed_ = true;
        return;
      }
    }
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Watch::check() {
  if (failed_) {
    stop();
  }
}

void Watch::stop() {
  end();
  if (error_) {
    std::rethrow_exception(std::exchange(error_, nullptr));
  }
}

void Watch::end() {
  {
    const std::scoped_lock lock(mutex_);
    end_ = true;
  }
  ending_.notify_all();
  if (thread_.joinable()) {
    thread_.join();
  }
}

}  // namespace skyloom::engine
