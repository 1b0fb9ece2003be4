#include "skyloom/numerics/minimise.hpp"

#include <algorithm>
#include <cmath>
#include <exception>

#include "petsc_handles.hpp"

namespace skyloom::numerics {

namespace {

/// The call in progress. TAO may leave its iterate at a failed trial point, so the best one is kept
/// here.
struct Search {
  const Objective& objective;
  std::size_t n;
  std::exception_ptr error;
  int evaluations = 0;
  bool any = false;
  double best = 0.0;
  std::vector<double> best_x;
};

PetscErrorCode evaluate(Tao /*tao*/, Vec x, PetscReal* f, Vec g, void* raw) noexcept {
  auto& search = *static_cast<Search*>(raw);
  PetscScalar* data = nullptr;
  SKYLOOM_TRY(VecGetArray(g, &data));
  PetscErrorCode code = 0;
  try {
    const ReadArray point(x, search.n);
    *f = search.objective(point.span(), {data, search.n});
    ++search.evaluations;
    code = std::isfinite(*f) ? 0 : PETSC_ERR_FP;
    if (code == 0 && (!search.any || *f < search.best)) {
      search.any = true;
      search.best = *f;
      std::copy_n(point.span().begin(), search.n, search.best_x.begin());
    }
  } catch (...) {
    search.error = std::current_exception();
    code = PETSC_ERR_USER;
  }
  VecRestoreArray(g, &data);
  return code;
}

struct Objects {
  VecOwner x, lower, upper;
  TaoOwner tao;
};

PetscErrorCode solve(Objects& o, Search& search, std::span<const double> start,
                     std::span<const double> lower, std::span<const double> upper,
                     const MinimiseOptions& options) {
  SKYLOOM_TRY(VecCreateSeq(PETSC_COMM_SELF, static_cast<PetscInt>(search.n), &o.x.handle));
  SKYLOOM_TRY(VecDuplicate(o.x.handle, &o.lower.handle));
  SKYLOOM_TRY(VecDuplicate(o.x.handle, &o.upper.handle));
  SKYLOOM_TRY(fill(o.x.handle, start));
  SKYLOOM_TRY(fill(o.lower.handle, lower));
  SKYLOOM_TRY(fill(o.upper.handle, upper));
  SKYLOOM_TRY(TaoCreate(PETSC_COMM_SELF, &o.tao.handle));
  Tao tao = o.tao.handle;
  SKYLOOM_TRY(TaoSetType(tao, TAOBLMVM));
  SKYLOOM_TRY(TaoSetOptionsPrefix(tao, "minimise_"));
  SKYLOOM_TRY(TaoSetSolution(tao, o.x.handle));
  SKYLOOM_TRY(TaoSetVariableBounds(tao, o.lower.handle, o.upper.handle));
  SKYLOOM_TRY(TaoSetObjectiveAndGradient(tao, nullptr, evaluate, &search));
  SKYLOOM_TRY(TaoSetTolerances(tao, options.gradient_absolute, 0.0, 0.0));
  SKYLOOM_TRY(TaoSetMaximumIterations(tao, options.max_iterations));
  SKYLOOM_TRY(TaoSetFromOptions(tao));
  return TaoSolve(tao);
}

}  // namespace

Minimum minimise(const Objective& objective, std::span<const double> start,
                 std::span<const double> lower, std::span<const double> upper,
                 const MinimiseOptions& options) {
  require_petsc("minimise");
  std::vector<double> inside(start.begin(), start.end());
  for (std::size_t i = 0; i < inside.size(); ++i) {
    inside[i] = std::clamp(inside[i], lower[i], upper[i]);
  }
  Search search{objective, inside.size(), nullptr, 0, false, 0.0, inside};
  const QuietErrors quiet;
  Objects objects;
  const PetscErrorCode code = solve(objects, search, inside, lower, upper, options);
  if (search.error) {
    std::rethrow_exception(search.error);
  }
  Minimum result;
  result.x = search.best_x;
  result.value = search.best;
  result.evaluations = search.evaluations;
  if (code != 0) {
    result.detail = petsc_text(code);
    return result;
  }
  TaoConvergedReason reason = TAO_CONTINUE_ITERATING;
  PetscInt iterations = 0;
  TaoGetSolutionStatus(objects.tao.handle, &iterations, nullptr, nullptr, nullptr, nullptr,
                       &reason);
  result.iterations = static_cast<int>(iterations);
  result.converged = reason > 0;
  if (!result.converged) {
    result.detail = TaoConvergedReasons[reason];
  }
  return result;
}

}  // namespace skyloom::numerics
