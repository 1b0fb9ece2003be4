#pragma once
// The error types of skyloom and who handles them (docs/architecture.md, "Errors").
// ConfigError ends a run before any work (exit 2), UnitError becomes one outcome row, FatalError
// aborts the MPI job (exit 70) and leaves a resumable run directory.

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace skyloom {

/// Wrong usage, configuration or input. The text reads "<where>: <wrong>: <expected>", one line.
class ConfigError : public std::runtime_error {
 public:
  /// @param where file, key or column that is to blame
  /// @param wrong what is wrong with it
  /// @param expected what was expected instead; may be empty
  ConfigError(std::string_view where, std::string_view wrong, std::string_view expected = {});
};

/// A file that is there could not be opened or read: the same call may succeed a little later.
class ReadFailure : public ConfigError {
 public:
  using ConfigError::ConfigError;
};

/// Why a unit of work has no result. The numbers are stored in products: never renumber.
enum class Reason : std::uint8_t {
  none = 0,           ///< it has a result
  no_good_data = 1,   ///< all pixels or samples masked
  bad_input = 2,      ///< a file of this unit is unreadable or inconsistent
  not_converged = 3,  ///< the optimiser gave up
  numerical = 4,      ///< NaN, singular matrix or another numerical breakdown
  internal = 5,       ///< an unexpected exception: a defect of the program
  crashed = 6,        ///< its process died in it, again and again
};

/// Lower-case name of a reason, as it stands in the `/units` tables.
std::string_view to_string(Reason reason);

/// One unit cannot be done; the run goes on.
class UnitError : public std::runtime_error {
 public:
  UnitError(Reason reason, const std::string& text) : std::runtime_error(text), reason_(reason) {}

  [[nodiscard]] Reason reason() const { return reason_; }

 private:
  Reason reason_;
};

/// A promise was broken outside a unit: disk full, HDF5 or MPI failure.
class FatalError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace skyloom
