#pragma once
// A small pipeline for tests of the engine and the program: `cut` makes pieces (rows and a slab per
// unit), `join` plans one unit per group of pieces from the product of `cut`. Units fail, sleep or
// crash when keys that belong to no stage say so; units of several steps save their state.

#include <memory>
#include <string>

#include "skyloom/engine/pipeline.hpp"

namespace skyloom::example {

struct Config {
  std::string marks;
  std::string parts;  // input file: one line of text, part of the input identity
  int units = 24;
  int steps = 1;  // of every unit of `cut`, with a border behind each
  double scale = 1.0;
  int groups = 5;
  double offset = 0.0;
  std::string work_dir;
  int broken_unit = -1;  // of no stage: an accident from outside
  int crashing_unit = -1;
  int sleep_ms = 0;
};

std::unique_ptr<engine::Pipeline> make_example();

}  // namespace skyloom::example
