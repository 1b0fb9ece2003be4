#include "skyloom/core/errors.hpp"

namespace skyloom {
namespace {

std::string join(std::string_view where, std::string_view wrong, std::string_view expected) {
  std::string text(where);
  if (!text.empty()) {
    text += ": ";
  }
  text += wrong;
  if (!expected.empty()) {
    text += ": ";
    text += expected;
  }
  for (char& c : text) {
    if (c == '\n' || c == '\r') {
      c = ' ';
    }
  }
  return text;
}

}  // namespace

ConfigError::ConfigError(std::string_view where, std::string_view wrong, std::string_view expected)
    : std::runtime_error(join(where, wrong, expected)) {}

std::string_view to_string(Reason reason) {
  switch (reason) {
    case Reason::none:
      return "none";
    case Reason::no_good_data:
      return "no_good_data";
    case Reason::bad_input:
      return "bad_input";
    case Reason::not_converged:
      return "not_converged";
    case Reason::numerical:
      return "numerical";
    case Reason::internal:
      return "internal";
    case Reason::crashed:
      return "crashed";
  }
  return "unknown";
}

}  // namespace skyloom
