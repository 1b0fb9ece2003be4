#pragma once
// Owners and small helpers for the solvers on PETSc/TAO: sequential vectors on one process.

#include <cstddef>
#include <span>
#include <string>

#include <petsctao.h>

#include "skyloom/core/errors.hpp"

namespace skyloom::numerics {

/// Owners of PETSc objects. Errors on destruction have nobody to go to.
struct VecOwner {
  Vec handle = nullptr;
  ~VecOwner() { VecDestroy(&handle); }
};
struct MatOwner {
  Mat handle = nullptr;
  ~MatOwner() { MatDestroy(&handle); }
};
struct TaoOwner {
  Tao handle = nullptr;
  ~TaoOwner() { TaoDestroy(&handle); }
};

/// PETSc's default handler prints tracebacks; ours returns the code, and the caller reports.
class QuietErrors {
 public:
  QuietErrors() { PetscPushErrorHandler(PetscReturnErrorHandler, nullptr); }
  ~QuietErrors() { PetscPopErrorHandler(); }
  QuietErrors(const QuietErrors&) = delete;
  QuietErrors& operator=(const QuietErrors&) = delete;
};

/// @throws FatalError in the name of the caller before PETSc was started
inline void require_petsc(const char* caller) {
  PetscBool ready = PETSC_FALSE;
  PetscInitialized(&ready);
  if (ready == PETSC_FALSE) {
    throw FatalError(std::string(caller) + ": PETSc is not initialised");
  }
}

/// What an error code means, in PETSc's words.
inline std::string petsc_text(PetscErrorCode code) {
  const char* text = nullptr;
  PetscErrorMessage(code, &text, nullptr);
  return text != nullptr ? text : "PETSc error";
}

/// Read access to a sequential vector.
class ReadArray {
 public:
  ReadArray(Vec vec, std::size_t n) : vec_(vec), n_(n) { VecGetArrayRead(vec_, &data_); }
  ~ReadArray() { VecRestoreArrayRead(vec_, &data_); }
  ReadArray(const ReadArray&) = delete;
  ReadArray& operator=(const ReadArray&) = delete;
  [[nodiscard]] std::span<const double> span() const { return {data_, n_}; }

 private:
  Vec vec_;
  std::size_t n_;
  const PetscScalar* data_ = nullptr;
};

/// Copies values into a vector.
inline PetscErrorCode fill(Vec vec, std::span<const double> values) {
  PetscScalar* data = nullptr;
  const PetscErrorCode code = VecGetArray(vec, &data);
  if (code != 0) {
    return code;
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    data[i] = values[i];
  }
  return VecRestoreArray(vec, &data);
}

/// Runs calls until the first error.
#define SKYLOOM_TRY(call)              \
  do {                                 \
    const PetscErrorCode code_ = call; \
    if (code_ != 0) {                  \
      return code_;                    \
    }                                  \
  } while (false)

}  // namespace skyloom::numerics
