#pragma once
// The program: command line in, exit status out. Only here is an exit status decided.

#include <span>

#include "registry.hpp"

namespace skyloom::app {

/// Exit status: 0, 2, 3, 70 or 75 (docs/run-directory.md). A fatal error of a run ends the whole
/// MPI job and does not return.
int run_program(int argc, char** argv, std::span<const PipelineEntry> pipelines);

}  // namespace skyloom::app
