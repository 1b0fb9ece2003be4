#pragma once
// The MPI side of Comm, for the few sources that must call MPI themselves. Every other room uses
// comm.hpp.

#include <cstddef>
#include <string_view>

#include <mpi.h>

#include "skyloom/parallel/comm.hpp"

namespace skyloom::parallel {

/// Owns a duplicated communicator; frees it unless MPI has ended or an exception unwinds.
struct Comm::Handle {
  explicit Handle(MPI_Comm original);
  ~Handle();
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  MPI_Comm comm = MPI_COMM_NULL;
};

/// @throws FatalError with the text of MPI and what was attempted, unless `code` is success
void check_mpi(int code, std::string_view what);

/// A count as MPI takes it. @throws FatalError when it does not fit
int mpi_count(std::size_t count);

}  // namespace skyloom::parallel
