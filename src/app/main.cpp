#include "program.hpp"

int main(int argc, char** argv) {
  return skyloom::app::run_program(argc, argv, skyloom::app::registry());
}
