#include <array>

#include "example.hpp"
#include "program.hpp"

int main(int argc, char** argv) {
  constexpr std::array kPipelines{skyloom::app::PipelineEntry{"example", "two stages for tests",
                                                              &skyloom::example::make_example}};
  return skyloom::app::run_program(argc, argv, kPipelines);
}
