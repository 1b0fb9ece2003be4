#include "skyloom/surveys/truth.hpp"

#include "skyloom/core/errors.hpp"
#include "skyloom/io/files.hpp"

namespace skyloom::surveys {

Table read_truth(const std::string& path) {
  Table table = io::read_csv(path, {"ID"});
  for (const char* column : {"ID", "x", "y"}) {
    if (!table.has(column)) {
      throw ConfigError(path, std::string("no column ") + column,
                        "expected a table of true values");
    }
  }
  return table;
}

}  // namespace skyloom::surveys
