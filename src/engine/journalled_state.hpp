#pragma once
// Private to the engine: the state of the unit that this rank computes, kept in the journal.

#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "skyloom/core/unit_state.hpp"
#include "skyloom/engine/journal.hpp"
#include "skyloom/engine/run.hpp"

namespace skyloom::engine {

class JournalledState final : public UnitState {
 public:
  JournalledState(Journal& journal, std::size_t unit, std::function<bool()> must_stop)
      : journal_(journal),
        unit_(unit),
        must_stop_(std::move(must_stop)),
        saved_(journal.state(unit)) {}

  [[nodiscard]] std::string_view saved() const override { return saved_; }

  void border(const std::function<std::string()>& state) override {
    const bool stop = must_stop_();
    if (!stop && now_s() - saved_s_ < kSaveEvery_s) {
      return;
    }
    journal_.put_state(unit_, state());
    saved_s_ = now_s();
    if (stop) {
      throw UnitInterrupted{};
    }
  }

 private:
  static constexpr double kSaveEvery_s = 30.0;

  Journal& journal_;
  std::size_t unit_;
  std::function<bool()> must_stop_;
  std::string saved_;
  double saved_s_ = now_s();
};

}  // namespace skyloom::engine
