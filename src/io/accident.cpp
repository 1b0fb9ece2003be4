#include "skyloom/io/accident.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <signal.h>
#include <unistd.h>

#include "skyloom/core/errors.hpp"

namespace skyloom::io {
namespace {

constexpr const char* kVariable = "SKYLOOM_TEST_ACCIDENT";

enum class Action : std::uint8_t { stop, kill, fail, full, cut, torn };

constexpr std::array<std::pair<std::string_view, Action>, 6> kActions{{{"stop", Action::stop},
                                                                       {"kill", Action::kill},
                                                                       {"fail", Action::fail},
                                                                       {"full", Action::full},
                                                                       {"cut", Action::cut},
                                                                       {"torn", Action::torn}}};

struct Rule {
  std::string point;
  Action action = Action::stop;
  long passage = 1;
  bool repeated = false;
  std::optional<long> rank;
  long passed = 0;
};

[[noreturn]] void misunderstood(const std::string& text) {
  throw FatalError(std::string(kVariable) + ": \"" + text +
                   "\" is not understood: point=action[@n[+]][#rank]");
}

/// The number behind `mark`, which is cut off together with it.
std::optional<long> take_number(std::string& text, char mark, const std::string& whole) {
  const std::size_t at = text.rfind(mark);
  if (at == std::string::npos) {
    return std::nullopt;
  }
  const std::string digits = text.substr(at + 1);
  if (digits.empty() || digits.find_first_not_of("0123456789") != std::string::npos) {
    misunderstood(whole);
  }
  text.resize(at);
  return std::stol(digits);
}

Rule parse_rule(const std::string& whole) {
  Rule rule;
  std::string text = whole;
  rule.rank = take_number(text, '#', whole);
  if (!text.empty() && text.back() == '+') {
    rule.repeated = true;
    text.pop_back();
  }
  rule.passage = take_number(text, '@', whole).value_or(1);
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    misunderstood(whole);
  }
  rule.point = text.substr(0, equals);
  for (const auto& [name, action] : kActions) {
    if (text.substr(equals + 1) == name) {
      rule.action = action;
      return rule;
    }
  }
  misunderstood(whole);
}

/// The rules for this process. Its rank is known from the launcher: MPI may not have started yet.
std::vector<Rule> parse_rules(std::string text) {
  std::vector<Rule> rules;
  const char* launched = std::getenv("OMPI_COMM_WORLD_RANK");
  const long rank = launched == nullptr ? 0 : std::atol(launched);
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    Rule rule = parse_rule(text.substr(0, comma));
    if (rule.rank.value_or(rank) == rank) {
      rules.push_back(std::move(rule));
    }
    text.erase(0, comma == std::string::npos ? comma : comma + 1);
  }
  return rules;
}

std::vector<Rule>& rules_of_process() {
  const char* value = std::getenv(kVariable);
  static std::vector<Rule> rules = parse_rules(value == nullptr ? "" : value);
  return rules;
}

Accident meet(Action action) {
  switch (action) {
    case Action::stop:
      ::raise(SIGSTOP);
      return Accident::none;
    case Action::kill:
      ::raise(SIGKILL);
      return Accident::none;
    case Action::fail:
      return Accident::fail;
    case Action::full:
      return Accident::full;
    case Action::cut:
      return Accident::cut;
    case Action::torn:
      return Accident::torn;
  }
  return Accident::none;
}

/// True when the call must fail; errno says how.
bool must_fail(Accident accident) {
  errno = accident == Accident::full ? ENOSPC : EIO;
  return accident == Accident::fail || accident == Accident::full;
}

}  // namespace

void set_accidents(const std::string& text) {
  rules_of_process() = parse_rules(text);
}

Accident pass_point(std::string_view point) {
  static std::vector<Rule>& rules = rules_of_process();
  if (rules.empty()) {
    return Accident::none;
  }
  std::optional<Action> met;
  for (Rule& rule : rules) {
    if (rule.point == point) {
      ++rule.passed;
      if (rule.passed == rule.passage || (rule.repeated && rule.passed > rule.passage)) {
        met = rule.action;
      }
    }
  }
  return met ? meet(*met) : Accident::none;
}

std::ptrdiff_t write_at(int descriptor, std::string_view bytes, std::uint64_t offset) {
  const Accident accident = pass_point("write");
  if (must_fail(accident)) {
    return -1;
  }
  if (accident == Accident::cut || accident == Accident::torn) {
    bytes = bytes.substr(0, bytes.size() / 2);
  }
  ssize_t written = -1;
  do {
    written = ::pwrite(descriptor, bytes.data(), bytes.size(), static_cast<off_t>(offset));
  } while (written < 0 && errno == EINTR);
  if (accident == Accident::torn) {
    ::raise(SIGKILL);
  }
  return written;
}

std::ptrdiff_t read_at(int descriptor, void* bytes, std::size_t count, std::uint64_t offset) {
  if (must_fail(pass_point("read"))) {
    return -1;
  }
  ssize_t got = -1;
  do {
    got = ::pread(descriptor, bytes, count, static_cast<off_t>(offset));
  } while (got < 0 && errno == EINTR);
  return got;
}

int sync_data(int descriptor) {
  return must_fail(pass_point("sync")) ? -1 : ::fsync(descriptor);
}

int rename_file(const char* from, const char* to) {
  return must_fail(pass_point("rename")) ? -1 : std::rename(from, to);
}

}  // namespace skyloom::io
