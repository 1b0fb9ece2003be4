#pragma once
// The state of a very long unit of work, so that an interruption costs minutes and not the unit. A
// kernel passes borders of its computation: places from which it goes on bit for bit. What it hands
// over there comes back when the unit is taken up again.

#include <functional>
#include <string>
#include <string_view>

namespace skyloom {

/// Leaves a unit whose state was saved because the run must stop. Kernels let it pass.
struct UnitInterrupted {};

class UnitState {
 public:
  virtual ~UnitState() = default;
  /// What an earlier attempt handed over last; empty when the unit begins.
  [[nodiscard]] virtual std::string_view saved() const = 0;
  /// To be called about every second. Calls `state` and saves its bytes when that is due.
  /// @throws UnitInterrupted after saving when the run must stop
  virtual void border(const std::function<std::string()>& state) = 0;
};

}  // namespace skyloom
