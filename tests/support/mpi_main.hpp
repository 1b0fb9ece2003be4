#pragma once
// What MPI tests share: the communicator of the test program.

#include "skyloom/parallel/comm.hpp"

const skyloom::parallel::Comm& test_world();
