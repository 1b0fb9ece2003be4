#include "pipelines/photometry/epsf/kernel.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "pipelines/photometry/epsf/cell_report.hpp"
#include "pipelines/photometry/epsf/classic.hpp"
#include "pipelines/photometry/epsf/diagnostics.hpp"
#include "pipelines/photometry/epsf/found.hpp"
#include "pipelines/photometry/epsf/joint_fit.hpp"
#include "pipelines/photometry/epsf/local_variation.hpp"
#include "pipelines/photometry/epsf/neighbours.hpp"
#include "pipelines/photometry/epsf/residual.hpp"
#include "pipelines/photometry/epsf/second_pass.hpp"
#include "pipelines/photometry/epsf/star_checks.hpp"
#include "pipelines/photometry/epsf/stars.hpp"
#include "skyloom/core/errors.hpp"

namespace skyloom::photometry::epsf {
namespace {

constexpr double kStartBeta = 3.5;
constexpr double kFwhmPerR50 = 1.9;
constexpr int kMaxRejectPasses = 5;
constexpr int kMinStarsResidual = 4;
constexpr int kMinStarsVariation = 15;
constexpr double kMinNorm = 0.8;
constexpr double kMaxNorm = 1.25;
constexpr double kNonlinear = 3.0;  // sigma
constexpr int kMaxWingSteps = 5;    // in one round
constexpr double kWingConverged = 0.3;

/// Steps of building one band, in the order of build().
class Builder {
 public:
  Builder(const Options& options, const Band& band, Selection& selection, Result& result)
      : options_(options), band_(band), selection_(selection), result_(result) {
    noise_ = {band.gain, band.sigma_median};
  }

  void run() {
    if (count_core(stars()) == 0 || !fit_moffat()) {
      result_.level_text = "no usable star";
      return;
    }
    const int core = count_core(stars());
    if (core == 1) {
      result_.level = PsfLevel::moffat_fixed_beta;
      result_.level_text = "one star";
    } else {
      result_.level = model_.order > 0 ? PsfLevel::moffat_field : PsfLevel::moffat;
      if (core < kMinStarsResidual) {
        result_.level_text = std::to_string(core) + " stars";
      }
    }
    if (options_.method == "epsf" && core >= kMinStarsResidual && build_full() &&
        options_.passes > 1) {
      build_again();
    }
    finish();
  }

 private:
  /// Electrons per flux and flux per pixel; scaled when chi^2 says that they are wrong.
  struct Noise {
    double gain = 0.0;
    double sigma_sky = 0.0;
  };
  /// All that a step changes.
  struct State {
    sky::FieldPsfModel model;
    HyperParameters hyper;
    Noise noise;
    bool beta_on_bound = false;
    std::vector<Star> stars;
    std::vector<Neighbour> neighbours;
    Diagnostics diagnostics;
    std::size_t n_warnings = 0;
  };

  [[nodiscard]] State state() const {
    return {model_,
            hyper_,
            noise_,
            beta_on_bound_,
            selection_.stars,
            selection_.neighbours,
            result_.diagnostics,
            result_.warnings.size()};
  }

  /// As if the steps since then had never been made.
  void go_back_to(State state) {
    model_ = std::move(state.model);
    hyper_ = state.hyper;
    noise_ = state.noise;
    beta_on_bound_ = state.beta_on_bound;
    selection_.stars = std::move(state.stars);
    selection_.neighbours = std::move(state.neighbours);
    result_.diagnostics = state.diagnostics;
    result_.warnings.resize(state.n_warnings);
  }

  std::vector<Star>& stars() { return selection_.stars; }
  [[nodiscard]] static sky::FieldPsf working(const sky::FieldPsfModel& model) {
    return sky::FieldPsf(model, 1, 1);
  }

  bool fit_moffat() {
    model_.width = band_.box.width();
    model_.height = band_.box.height();
    const bool one = count_core(stars()) == 1;
    model_.beta = one ? options_.moffat_beta : kStartBeta;
    const double fwhm = kFwhmPerR50 * selection_.locus_r50;
    model_.lambda = {std::log(0.5 * fwhm / std::sqrt(std::pow(2.0, 1.0 / model_.beta) - 1.0))};
    model_.g1 = {0.0};
    model_.g2 = {0.0};
    ShapeFitOptions fit{{noise_.gain, options_.model_error_moffat}, 12, !one, true};
    if (!shape_with_rejection(fit)) {
      return false;
    }
    const OrderChoice choice = choose_order(model_, stars(), options_.poly_order_max);
    result_.diagnostics.loo_chi2 = choice.loo_chi2;
    if (choice.order > 0) {
      State constant = state();
      model_ = choice.model;
      if (!shape_with_rejection(fit)) {
        go_back_to(std::move(constant));
      }
    }
    if (beta_on_bound_) {
      result_.warnings.push_back("beta of the Moffat sits on its bound");
    }
    return count_core(stars()) > 0;
  }

  /// Shape fit, rejecting what is no star until nothing more is.
  bool shape_with_rejection(const ShapeFitOptions& fit) {
    for (int pass = 0; pass < kMaxRejectPasses; ++pass) {
      ShapeFit shape = fit_shape(model_, stars(), fit);
      if (!shape.ok) {
        return false;
      }
      model_ = std::move(shape.model);
      beta_on_bound_ = shape.beta_on_bound;
      if (count_core(stars()) < kMinStarsResidual ||
          reject_by_shape(stars(), options_.reject_nsigma) == 0) {
        break;
      }
    }
    return true;
  }

  bool build_full() {
    State moffat = state();
    if (options_.residual) {
      model_ = with_residual_basis(std::move(model_), options_);
    }
    std::string wrong = run_rounds(0, options_.rounds + (selection_.crowded ? 1 : 0));
    if (wrong.empty() && drops_bright_stars()) {
      wrong = run_rounds(1, options_.rounds);
    }
    if (!wrong.empty()) {
      go_back_to(std::move(moffat));
      result_.level_text = wrong;
      return false;
    }
    if (options_.residual) {
      result_.level = working(model_).is_constant() ? PsfLevel::constant : PsfLevel::field;
    } else if (!working(model_).is_constant()) {
      result_.level = PsfLevel::moffat_field;
    }
    return true;
  }

  /// Leaves bright stars out of the core when they have another size than faint ones. Asked for the
  /// full model only: of a PSF that is no Moffat, a Moffat fit has a size that depends on the S/N.
  bool drops_bright_stars() {
    const double significance = size_flux_significance(stars());
    if (std::abs(significance) < kNonlinear) {
      return false;
    }
    const double saturation = band_.input->saturation_scaled;
    const int dropped = std::isfinite(saturation) ? drop_brightest(stars(), saturation) : 0;
    result_.warnings.push_back("the size of stars depends on their flux (" +
                               std::to_string(significance) + " sigma); " +
                               std::to_string(dropped) + " bright stars left out");
    if (dropped > 0) {
      forget_local_variation();
    }
    return dropped > 0;
  }

  void forget_local_variation() {
    model_.gp_x.clear();
    model_.gp_y.clear();
    model_.gp_weight = {};
    model_.gp_tau = {};
  }

  /// The rounds once more, with catalogued sources near the stars subtracted.
  void build_again() {
    State first = state();
    const auto psf =
        std::make_shared<const sky::FieldPsf>(model_, options_.final_psf_size, options_.oversamp);
    const int refined =
        subtract_catalogued(psf, *band_.input, noise_.gain, noise_.sigma_sky, options_, selection_);
    if (refined == 0) {
      go_back_to(std::move(first));
      return;
    }
    forget_local_variation();
    const std::string wrong = run_rounds(1, options_.rounds);
    if (!wrong.empty()) {
      go_back_to(std::move(first));
      result_.warnings.push_back("second pass given up: " + wrong);
      return;
    }
    result_.diagnostics.n_refined = refined;
  }

  /// @return what is wrong with the model; empty = nothing
  std::string run_rounds(int begin, int end) {
    std::string wrong;
    for (int round = begin; round < end && wrong.empty(); ++round) {
      wrong = run_round(round);
    }
    return wrong.empty() ? vary_locally() : wrong;
  }

  /// @return what is wrong with the model; empty = nothing
  std::string run_round(int round) {
    const Weighting shape{noise_.gain, options_.model_error_shape};
    if (round > 0) {
      subtract_neighbours(working(model_), noise_.sigma_sky, selection_);
      if (model_.order > 0) {
        ShapeFit refined = fit_shape(model_, stars(), {shape, 2, true, false});
        if (!refined.ok) {
          return "the shape refinement is singular";
        }
        model_ = std::move(refined.model);
      }
    }
    std::string wrong;
    for (int step = 0; step < kMaxWingSteps; ++step) {
      fit_stars(working(model_), stars(), shape, round == 0 ? 8 : 4);
      if (round == 1 && step == 0) {
        check_noise();
      }
      result_.diagnostics.clipped_fraction =
          clip_pixels(working(model_), stars(), noise_.gain, round < 2 ? 0.6 : 0.3);
      if (round > 0 && step == 0) {
        reject_by_chi2(working(model_), stars(), noise_.gain);
      }
      if (!options_.residual) {
        break;
      }
      wrong = solve();
      if (!wrong.empty() || wing_step_ < kWingConverged) {
        break;
      }
    }
    return wrong;
  }

  /// Gain or sky noise that are wrong show in the cores of all stars alike.
  void check_noise() {
    measure_core_chi2(working(model_), stars(), noise_.gain);
    const double factor = noise_factor(stars());
    if (factor == 1.0) {
      return;
    }
    scale_noise(stars(), factor);
    noise_.gain /= factor;
    noise_.sigma_sky *= std::sqrt(factor);
    result_.diagnostics.noise_factor *= factor;
    result_.warnings.push_back("chi2 per pixel is " + std::to_string(factor) +
                               " at all S/N: gain or sky noise are wrong");
  }

  std::string solve() {
    ResidualSolution solution =
        solve_residual(working(model_), stars(), options_, noise_.gain, noise_.sigma_sky, hyper_);
    if (!solution.ok) {
      return "the system of wing and residual is singular";
    }
    const double norm = norm_of(solution.model);
    if (!(norm > kMinNorm && norm < kMaxNorm)) {
      return "norm of the model outside 0.8..1.25";
    }
    const sky::FieldPsf psf(solution.model, options_.final_psf_size, 1);
    const Image<double> centre =
        psf.stamp(0.5 * model_.width, 0.5 * model_.height, 0.0, 0.0, options_.final_psf_size);
    const auto [low, high] = std::minmax_element(centre.pixels().begin(), centre.pixels().end());
    if (*low < -0.02 * *high) {
      return "the model is negative by more than 2 % of its peak";
    }
    model_ = std::move(solution.model);
    hyper_ = solution.hyper;
    wing_step_ = solution.wing_step;
    Diagnostics& d = result_.diagnostics;
    d.sigma_r = hyper_.sigma_r;
    d.sigma_q = hyper_.sigma_q;
    d.ell = hyper_.ell;
    d.p = hyper_.p;
    d.ln_evidence = solution.ln_evidence;
    d.flux_err_pred = solution.flux_err;
    d.flux_err_core = solution.flux_err_core;
    d.flux_err_wing = solution.flux_err_wing;
    return {};
  }

  static double norm_of(const sky::FieldPsfModel& model) {
    double sum = 0.0;
    for (const double c : model.c) {
      sum += c;
    }
    return sky::RadialProfile::integral(model.beta, model.knots, model.q) +
           model.node_spacing_pix * model.node_spacing_pix * sum;
  }

  std::string vary_locally() {
    const Weighting shape{noise_.gain, options_.model_error_shape};
    fit_stars(working(model_), stars(), shape, 4);
    ShapeFit step = fit_shape(model_, stars(), {shape, 1, true, true});
    if (!step.ok) {
      return "the shape refinement is singular";
    }
    model_ = std::move(step.model);
    if (!options_.local_variation || count_core(stars()) < kMinStarsVariation) {
      return {};
    }
    LocalVariation local = fit_local_variation(model_, stars());
    result_.diagnostics.gp_gain = local.gain;
    if (!local.used) {
      return {};
    }
    result_.diagnostics.gp_length = local.length;
    result_.diagnostics.gp_tau = local.tau;
    model_ = std::move(local.model);
    fit_stars(working(model_), stars(), shape, 4);
    return options_.residual ? solve() : std::string();
  }

  void finish() {
    const Weighting shape{noise_.gain, options_.model_error_shape};
    auto psf =
        std::make_shared<const sky::FieldPsf>(model_, options_.final_psf_size, options_.oversamp);
    fit_stars(*psf, stars(), shape, 6);
    measure_excess(model_, stars(), {shape, 1, true, true});
    measure_core_chi2(*psf, stars(), noise_.gain);
    diagnose(*psf, stars(), noise_.gain, options_, result_.diagnostics);
    result_.psf = std::move(psf);
  }

  const Options& options_;
  const Band& band_;
  Noise noise_;
  Selection& selection_;
  Result& result_;
  sky::FieldPsfModel model_;
  HyperParameters hyper_;
  bool beta_on_bound_ = false;
  double wing_step_ = 0.0;
};

void count_stars(const Selection& selection, Result& result) {
  Diagnostics& d = result.diagnostics;
  d.n_detections = selection.n_detections;
  d.n_candidates = selection.n_candidates;
  d.locus_r50_pix = selection.locus_r50;
  for (const Star& star : selection.stars) {
    if (!star.row.used) {
      ++d.n_rejected;
    } else if (star.row.wing) {
      ++d.n_wing;
    } else {
      ++d.n_stars;
    }
    result.stars.push_back(star.row);
  }
  result.stars.insert(result.stars.end(), selection.left_out.begin(), selection.left_out.end());
}

}  // namespace

std::string to_string(PsfLevel level) {
  switch (level) {
    case PsfLevel::none:
      return "none";
    case PsfLevel::moffat_fixed_beta:
      return "moffat_fixed_beta";
    case PsfLevel::moffat:
      return "moffat";
    case PsfLevel::moffat_field:
      return "moffat_field";
    case PsfLevel::constant:
      return "constant";
    case PsfLevel::field:
      return "field";
    case PsfLevel::cells:
      return "cells";
  }
  return "unknown";
}

std::string to_string(Rejected reason) {
  switch (reason) {
    case Rejected::no:
      return "no";
    case Rejected::quota:
      return "quota";
    case Rejected::shape:
      return "shape";
    case Rejected::chi2:
      return "chi2";
    case Rejected::fit:
      return "fit";
    case Rejected::nonlinear:
      return "nonlinear";
  }
  return "unknown";
}

Result build(const Input& input, const Options& options, const Found& found) {
  Result result;
  const Band band = make_band(input, options, found.nodes);
  if (!band.failure.empty()) {
    result.warnings.push_back("background not subtracted: " + band.failure);
  }
  Selection selection = select_stars(band, found.objects, options, result.warnings);
  Builder(options, band, selection, result).run();
  count_stars(selection, result);
  result.cells = describe_cells(result.psf.get(), band, options, selection);
  if (options.save_star_montage_max > 0) {
    result.cutouts = star_cutouts(band, options, result.stars);
  }
  add_warnings(options, result);
  return result;
}

Result build(const Input& input, const Options& options) {
  return options.method == "anderson-king" ? build_classic(input, options)
                                           : build(input, options, survey(input, options));
}

}  // namespace skyloom::photometry::epsf
