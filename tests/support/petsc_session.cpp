// Linked into test programs that solve with PETSc: initialises it when tests start running, so that
// listing the tests stays free of MPI.

#include <petscsys.h>

#define CATCH_CONFIG_EXTERNAL_INTERFACES
#include <catch2/catch.hpp>

namespace {

struct PetscSession : Catch::TestEventListenerBase {
  using TestEventListenerBase::TestEventListenerBase;
  void testRunStarting(const Catch::TestRunInfo& /*info*/) override {
    PetscInitializeNoArguments();
    PetscPopSignalHandler();
  }
  void testRunEnded(const Catch::TestRunStats& /*stats*/) override { PetscFinalize(); }
};

}  // namespace

CATCH_REGISTER_LISTENER(PetscSession)
