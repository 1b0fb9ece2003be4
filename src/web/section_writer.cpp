#include "skyloom/web/section_writer.hpp"

#include <exception>

namespace skyloom::web {

void SectionWriter::draw(const std::string& what, const std::function<std::vector<Block>()>& make) {
  try {
    std::vector<Block> blocks = make();
    for (const Block& block : blocks) {
      check(block);
    }
    for (Block& block : blocks) {
      add(std::move(block));
    }
  } catch (const std::exception& error) {
    const std::string problem = what + " could not be drawn: " + error.what();
    problems_.push_back(problem);
    add(Text{problem, true});
  }
}

}  // namespace skyloom::web
