#pragma once
// A section of the report to which figures are added one by one.

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "skyloom/web/report.hpp"

namespace skyloom::web {

/// One figure that cannot be drawn becomes a line of text; the rest of the section stays.
class SectionWriter {
 public:
  SectionWriter(std::string title, std::vector<std::string>& problems)
      : section_{std::move(title), {}}, problems_(problems) {}

  void add(Block block) { section_.blocks.push_back(std::move(block)); }
  /// @param what the figure, for the line that says why it is missing
  void draw(const std::string& what, const std::function<std::vector<Block>()>& make);
  [[nodiscard]] bool empty() const { return section_.blocks.empty(); }
  [[nodiscard]] Section take() { return std::move(section_); }

 private:
  Section section_;
  std::vector<std::string>& problems_;
};

}  // namespace skyloom::web
