#include <array>
#include <atomic>
#include <cerrno>
#include <exception>

#include <petscsys.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "skyloom/core/errors.hpp"
#include "skyloom/parallel/comm_mpi.hpp"

namespace skyloom::parallel {
namespace {

volatile sig_atomic_t stop_flag = 0;

// Signals come to the thread that sets these.
volatile sig_atomic_t erased_descriptor = -1;
std::uint64_t erased_offset = 0;
std::size_t erased_bytes = 0;
timespec erased_since{};
constexpr std::array<char, 4096> kZeros{};
constexpr time_t kHanging_s = 1800;

extern "C" void note_stop(int signal) {
  stop_flag = 1;
  if (signal == SIGTERM && erased_descriptor >= 0) {
    const int before = errno;
    timespec now{};
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0 ||
        now.tv_sec - erased_since.tv_sec > kHanging_s) {
      return;
    }
    // What fails here counts as a death in the unit, of which several are needed.
    [[maybe_unused]] const auto written =
        ::pwrite(erased_descriptor, kZeros.data(), erased_bytes, static_cast<off_t>(erased_offset));
    errno = before;
  }
}

void check_petsc(PetscErrorCode code, const char* what) {
  if (code != 0) {
    throw FatalError(std::string("PETSc: ") + what + ": error " + std::to_string(code));
  }
}

// PETSc would print a trace for signals that are ours, and would read option files of whatever
// folder the run is started in.
void start_petsc() {
  check_petsc(PetscOptionsSetValue(nullptr, "-no_signal_handler", "true"), "options");
  check_petsc(PetscOptionsSetValue(nullptr, "-skip_petscrc", "true"), "options");
  check_petsc(PetscInitializeNoArguments(), "initialisation");
  check_petsc(PetscPushErrorHandler(PetscReturnErrorHandler, nullptr), "error handler");
}

}  // namespace

Runtime::Runtime(int& argc, char**& argv) {
  int provided = 0;
  if (MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS) {
    throw FatalError("MPI cannot be started");
  }
  check_mpi(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "set the error handler");
  start_petsc();
  catch_stop_signals();
  world_ = std::make_unique<Comm>(std::make_shared<Comm::Handle>(MPI_COMM_WORLD));
}

Runtime::~Runtime() {
  if (std::uncaught_exceptions() > 0) {
    return;
  }
  world_.reset();
  PetscFinalize();
  MPI_Finalize();
}

void Runtime::abort(int status) {
  MPI_Abort(MPI_COMM_WORLD, status);
  std::_Exit(status);
}

void catch_stop_signals() {
  struct sigaction action = {};
  action.sa_handler = note_stop;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (const int signal : {SIGTERM, SIGUSR1, SIGINT}) {
    if (sigaction(signal, &action, nullptr) != 0) {
      throw FatalError("cannot install a signal handler");
    }
  }
}

void erase_on_term(int descriptor, std::uint64_t offset, std::size_t bytes) noexcept {
  erased_descriptor = -1;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  erased_offset = offset;
  erased_bytes = bytes;
  clock_gettime(CLOCK_MONOTONIC, &erased_since);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  erased_descriptor = bytes <= kZeros.size() ? descriptor : -1;
}

bool stop_signalled() {
  return stop_flag != 0;
}

void clear_stop_signal() {
  stop_flag = 0;
}

}  // namespace skyloom::parallel
