#include <atomic>
#include <exception>

#include "skyloom/core/errors.hpp"
#include "skyloom/parallel/comm_mpi.hpp"

namespace skyloom::parallel {

struct SharedCounter::Impl {
  MPI_Win window = MPI_WIN_NULL;
  std::int64_t* memory = nullptr;
  std::size_t slots = 0;
  int exceptions_at_birth = 0;
};

SharedCounter::SharedCounter(const Comm& comm, std::size_t slots)
    : impl_(std::make_unique<Impl>()) {
  impl_->slots = slots;
  impl_->exceptions_at_birth = std::uncaught_exceptions();
  const std::size_t bytes = comm.rank() == 0 ? slots * sizeof(std::int64_t) : 0;
  check_mpi(MPI_Win_allocate(static_cast<MPI_Aint>(bytes), sizeof(std::int64_t), MPI_INFO_NULL,
                             comm.handle().comm, &impl_->memory, &impl_->window),
            "allocate a shared counter");
  check_mpi(MPI_Win_set_errhandler(impl_->window, MPI_ERRORS_RETURN), "set the error handler");
  check_mpi(MPI_Win_lock_all(MPI_MODE_NOCHECK, impl_->window), "open the shared counter");
  if (comm.rank() == 0) {
    for (std::size_t slot = 0; slot < slots; ++slot) {
      impl_->memory[slot] = 0;
    }
    check_mpi(MPI_Win_sync(impl_->window), "zero the shared counter");
  }
  comm.barrier();
}

SharedCounter::~SharedCounter() {
  // Freeing is collective: a rank that unwinds would wait for ranks that still compute.
  if (std::uncaught_exceptions() > impl_->exceptions_at_birth) {
    return;
  }
  MPI_Win_unlock_all(impl_->window);
  MPI_Win_free(&impl_->window);
}

std::int64_t SharedCounter::next() {
  return add(0, 1);
}

std::int64_t SharedCounter::add(std::size_t slot, std::int64_t amount) {
  if (slot >= impl_->slots) {
    throw FatalError("shared counter: no slot " + std::to_string(slot));
  }
  std::int64_t before = 0;
  check_mpi(MPI_Fetch_and_op(&amount, &before, MPI_INT64_T, 0, static_cast<MPI_Aint>(slot), MPI_SUM,
                             impl_->window),
            "advance the shared counter");
  check_mpi(MPI_Win_flush(0, impl_->window), "advance the shared counter");
  return before;
}

std::int64_t SharedCounter::peek(std::size_t slot) const {
  return std::atomic_ref<std::int64_t>(impl_->memory[slot]).load(std::memory_order_relaxed);
}

}  // namespace skyloom::parallel
