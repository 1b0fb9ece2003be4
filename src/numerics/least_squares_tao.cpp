#include <cmath>
#include <exception>
#include <map>
#include <memory>
#include <utility>

#include "skyloom/numerics/least_squares.hpp"

#include "petsc_handles.hpp"

namespace skyloom::numerics {

namespace {

struct Context {
  LeastSquaresProblem& problem;
  const LeastSquaresOptions& options;
  std::size_t n;
  std::exception_ptr error;
  Verdict verdict = Verdict::proceed;
};

PetscErrorCode objective(Tao /*tao*/, Vec x, PetscReal* f, void* raw) noexcept {
  auto& context = *static_cast<Context*>(raw);
  try {
    *f = context.problem.value(ReadArray(x, context.n).span());
    return std::isfinite(*f) ? 0 : PETSC_ERR_FP;
  } catch (...) {
    context.error = std::current_exception();
    return PETSC_ERR_USER;
  }
}

PetscErrorCode objective_gradient(Tao /*tao*/, Vec x, PetscReal* f, Vec g, void* raw) noexcept {
  auto& context = *static_cast<Context*>(raw);
  PetscScalar* data = nullptr;
  PetscErrorCode code = VecGetArray(g, &data);
  if (code != 0) {
    return code;
  }
  try {
    *f = context.problem.gradient(ReadArray(x, context.n).span(), {data, context.n});
    code = std::isfinite(*f) ? 0 : PETSC_ERR_FP;
  } catch (...) {
    context.error = std::current_exception();
    code = PETSC_ERR_USER;
  }
  VecRestoreArray(g, &data);
  return code;
}

PetscErrorCode hessian(Tao /*tao*/, Vec x, Mat h, Mat /*preconditioner*/, void* raw) noexcept {
  auto& context = *static_cast<Context*>(raw);
  PetscScalar* data = nullptr;
  PetscErrorCode code = MatDenseGetArrayWrite(h, &data);
  if (code != 0) {
    return code;
  }
  try {
    const std::span<double> matrix{data, context.n * context.n};
    context.problem.normal_matrix(ReadArray(x, context.n).span(), matrix);
    add_ridge(matrix, static_cast<int>(context.n));
  } catch (...) {
    context.error = std::current_exception();
    code = PETSC_ERR_USER;
  }
  MatDenseRestoreArrayWrite(h, &data);
  if (code == 0) {
    code = MatAssemblyBegin(h, MAT_FINAL_ASSEMBLY);
    code = code != 0 ? code : MatAssemblyEnd(h, MAT_FINAL_ASSEMBLY);
  }
  return code;
}

PetscErrorCode convergence(Tao tao, void* raw) noexcept {
  auto& context = *static_cast<Context*>(raw);
  try {
    Vec x = nullptr;
    PetscInt iteration = 0;
    PetscReal value = 0.0;
    PetscErrorCode code = TaoGetSolution(tao, &x);
    code = code != 0
               ? code
               : TaoGetSolutionStatus(tao, &iteration, &value, nullptr, nullptr, nullptr, nullptr);
    if (code != 0) {
      return code;
    }
    if (context.options.monitor) {
      const ReadArray point(x, context.n);
      context.verdict = context.options.monitor({static_cast<int>(iteration), value, point.span()});
      if (context.verdict != Verdict::proceed) {
        return TaoSetConvergedReason(
            tao, context.verdict == Verdict::stop ? TAO_DIVERGED_USER : TAO_CONVERGED_USER);
      }
    }
    return TaoDefaultConvergenceTest(tao, nullptr);
  } catch (...) {
    context.error = std::current_exception();
    return PETSC_ERR_USER;
  }
}

struct Objects {
  VecOwner x, lower, upper;
  MatOwner matrix;
  TaoOwner tao;
};

/// Solvers by number of parameters: making one takes as long as an iteration. PETSc's end ends
/// them.
class Solvers {
 public:
  /// One for n parameters, new or used before; it belongs to the caller until keep().
  std::unique_ptr<Objects> take(std::size_t n) {
    const auto found = kept_.find(n);
    if (found == kept_.end()) {
      return std::make_unique<Objects>();
    }
    auto objects = std::move(found->second);
    kept_.erase(found);
    return objects;
  }

  void keep(std::size_t n, std::unique_ptr<Objects> objects) {
    constexpr std::size_t kLargest = 200;  // 0.3 MB of matrices
    constexpr std::size_t kMost = 64;
    static const bool kRegistered = PetscRegisterFinalize(&Solvers::forget) == 0;
    if (kRegistered && n <= kLargest && kept_.size() < kMost) {
      kept_[n] = std::move(objects);
    }
  }

  static Solvers& of_process() {
    static Solvers solvers;
    return solvers;
  }

 private:
  static PetscErrorCode forget() {
    of_process().kept_.clear();
    return 0;
  }

  std::map<std::size_t, std::unique_ptr<Objects>> kept_;
};

PetscErrorCode create(Objects& o, std::size_t size) {
  const auto n = static_cast<PetscInt>(size);
  SKYLOOM_TRY(VecCreateSeq(PETSC_COMM_SELF, n, &o.x.handle));
  SKYLOOM_TRY(VecDuplicate(o.x.handle, &o.lower.handle));
  SKYLOOM_TRY(VecDuplicate(o.x.handle, &o.upper.handle));
  SKYLOOM_TRY(MatCreateSeqDense(PETSC_COMM_SELF, n, n, nullptr, &o.matrix.handle));
  SKYLOOM_TRY(MatSetOption(o.matrix.handle, MAT_SPD, PETSC_TRUE));
  SKYLOOM_TRY(TaoCreate(PETSC_COMM_SELF, &o.tao.handle));
  Tao tao = o.tao.handle;
  SKYLOOM_TRY(TaoSetType(tao, TAOBNLS));
  SKYLOOM_TRY(TaoSetOptionsPrefix(tao, "patch_"));
  SKYLOOM_TRY(TaoSetSolution(tao, o.x.handle));
  return TaoSetVariableBounds(tao, o.lower.handle, o.upper.handle);
}

PetscErrorCode set_up(Objects& o, Context& context, std::span<const double> start,
                      std::span<const double> lower, std::span<const double> upper) {
  const bool first = o.tao.handle == nullptr;
  if (first) {
    SKYLOOM_TRY(create(o, context.n));
  }
  SKYLOOM_TRY(fill(o.x.handle, start));
  SKYLOOM_TRY(fill(o.lower.handle, lower));
  SKYLOOM_TRY(fill(o.upper.handle, upper));
  Tao tao = o.tao.handle;
  SKYLOOM_TRY(TaoSetObjective(tao, objective, &context));
  SKYLOOM_TRY(TaoSetObjectiveAndGradient(tao, nullptr, objective_gradient, &context));
  SKYLOOM_TRY(TaoSetHessian(tao, o.matrix.handle, o.matrix.handle, hessian, &context));
  SKYLOOM_TRY(TaoSetConvergenceTest(tao, convergence, &context));
  SKYLOOM_TRY(TaoSetTolerances(tao, context.options.gradient_absolute,
                               context.options.gradient_relative, 0.0));
  SKYLOOM_TRY(TaoSetMaximumIterations(tao, context.options.max_iterations));
  return first ? TaoSetFromOptions(tao) : 0;
}

/// The preconditioner of the inner solver is only reachable by name; a user's own choice wins.
void set_default_options() {
  static const bool kDone = [] {
    PetscBool found = PETSC_FALSE;
    PetscOptionsHasName(nullptr, nullptr, "-patch_tao_bnk_pc_type", &found);
    if (found == PETSC_FALSE) {
      PetscOptionsInsertString(nullptr, "-patch_tao_bnk_pc_type jacobi");
    }
    PetscOptionsHasName(nullptr, nullptr, "-patch_tao_ls_max_funcs", &found);
    if (found == PETSC_FALSE) {
      PetscOptionsInsertString(nullptr, "-patch_tao_ls_max_funcs 8");
    }
    return true;
  }();
  static_cast<void>(kDone);
}

Outcome outcome_of(TaoConvergedReason reason, Verdict verdict) {
  if (verdict != Verdict::proceed) {
    return verdict == Verdict::stop ? Outcome::stopped : Outcome::by_monitor;
  }
  if (reason > 0) {
    return Outcome::converged;
  }
  switch (reason) {
    case TAO_DIVERGED_MAXITS:
    case TAO_DIVERGED_MAXFCN:
      return Outcome::max_iterations;
    case TAO_DIVERGED_LS_FAILURE:
    case TAO_DIVERGED_TR_REDUCTION:
      return Outcome::no_progress;
    default:
      return Outcome::failed;
  }
}

}  // namespace

LeastSquaresResult minimize_tao(LeastSquaresProblem& problem, std::span<const double> start,
                                std::span<const double> lower, std::span<const double> upper,
                                const LeastSquaresOptions& options) {
  require_petsc("minimize_tao");
  set_default_options();
  Context context{problem, options, start.size(), nullptr, Verdict::proceed};
  const QuietErrors quiet;
  std::unique_ptr<Objects> objects = Solvers::of_process().take(context.n);
  LeastSquaresResult result;
  PetscErrorCode code = set_up(*objects, context, start, lower, upper);
  code = code != 0 ? code : TaoSolve(objects->tao.handle);
  if (context.error) {
    std::rethrow_exception(context.error);
  }
  result.x.assign(start.begin(), start.end());
  if (code != 0) {
    result.detail = petsc_text(code);
    return result;
  }
  TaoConvergedReason reason = TAO_CONTINUE_ITERATING;
  PetscInt iterations = 0;
  PetscReal value = 0.0;
  TaoGetSolutionStatus(objects->tao.handle, &iterations, &value, nullptr, nullptr, nullptr,
                       &reason);
  result.iterations = static_cast<int>(iterations);
  result.value = value;
  {
    const ReadArray point(objects->x.handle, context.n);
    result.x.assign(point.span().begin(), point.span().end());
  }
  result.outcome = outcome_of(reason, context.verdict);
  if (reason != TAO_DIVERGED_NAN) {
    Solvers::of_process().keep(context.n, std::move(objects));
  }
  return result;
}

}  // namespace skyloom::numerics
