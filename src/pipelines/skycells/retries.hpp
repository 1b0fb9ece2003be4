#pragma once
// Reads that are tried again: a file on a busy file system may be there a second later.

#include <algorithm>
#include <functional>

#include "skyloom/core/errors.hpp"

namespace skyloom::skycells {

struct RetryRule {
  int retries = 3;           ///< after the first try
  double timeout_s = 300.0;  ///< none so long after the first failure
};

/// The tries of one cell: waits 1, 2, 4, ... seconds before each.
class Retries {
 public:
  /// @param wait waits so many seconds   @param now_s seconds of a steady clock
  Retries(RetryRule rule, std::function<void(double)> wait, std::function<double()> now_s)
      : rule_(rule), wait_(std::move(wait)), now_s_(std::move(now_s)) {}

  /// What `read` returns. @throws whatever it throws: a ReadFailure only when no try is left, any
  /// other error at once
  template <class Read>
  auto operator()(const Read& read) {
    double pause_s = 1.0;
    for (int left = rule_.retries;; --left) {
      try {
        return read();
      } catch (const ReadFailure&) {
        begin_s_ = begin_s_ < 0.0 ? now_s_() : begin_s_;
        const double rest_s = rule_.timeout_s - (now_s_() - begin_s_);
        if (left == 0 || rest_s <= 0.0) {
          throw;
        }
        wait_(std::min(pause_s, rest_s));
        pause_s *= 2.0;
      }
    }
  }

 private:
  RetryRule rule_;
  std::function<void(double)> wait_;
  std::function<double()> now_s_;
  double begin_s_ = -1.0;
};

}  // namespace skyloom::skycells
