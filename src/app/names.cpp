#include "names.hpp"

#include <algorithm>
#include <cstddef>
#include <numeric>

#include "skyloom/core/errors.hpp"

#include "registry.hpp"

namespace skyloom::app {
namespace {

/// Insertions, deletions, replacements and swaps of neighbours that turn one word into the other.
std::size_t edits(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1);
  std::vector<std::size_t> above(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(above.begin(), above.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({replaced, above[j] + 1, row[j - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    before.swap(above);
    above.swap(row);
  }
  return above[b.size()];
}

}  // namespace

std::string nearest_name(std::string_view name, const std::vector<std::string>& known) {
  std::string best;
  std::size_t fewest = name.size() / 2 + 1;
  for (const std::string& candidate : known) {
    const std::size_t count = edits(name, candidate);
    if (count < fewest) {
      fewest = count;
      best = candidate;
    }
  }
  return best;
}

void require_known(std::string_view name, const std::vector<std::string>& known,
                   std::string_view kind) {
  if (std::find(known.begin(), known.end(), name) != known.end()) {
    return;
  }
  const std::string nearest = nearest_name(name, known);
  std::string expected = "did you mean " + nearest + "?";
  if (nearest.empty()) {
    expected = "one of";
    for (const std::string& candidate : known) {
      expected += " " + candidate;
    }
  }
  throw ConfigError(name, "no such " + std::string(kind), expected);
}

const PipelineEntry& find_pipeline(std::span<const PipelineEntry> pipelines,
                                   std::string_view name) {
  std::vector<std::string> known;
  for (const PipelineEntry& entry : pipelines) {
    known.emplace_back(entry.name);
  }
  require_known(name, known, "pipeline");
  return *std::find_if(pipelines.begin(), pipelines.end(),
                       [&](const PipelineEntry& entry) { return entry.name == name; });
}

}  // namespace skyloom::app
