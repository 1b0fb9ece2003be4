#pragma once
// What was searched and found in sectors, added up over the sectors of a star or of the sample, and
// the rates that follow.

#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "pipelines/flares/rates/kernel.hpp"
#include "pipelines/flares/rates/kernel_surface.hpp"

namespace skyloom::flares {

/// One sector: what was injected, what was found, for how long.
struct SectorSearch {
  std::int64_t tic = 0;
  int sector = 0;
  double days = 0.0;  ///< the duration that rates refer to
  std::vector<FlareEvent> flares;
  std::vector<InjectedOutcome> injected;
};

struct RateOptions {
  bool logarithmic = true;  ///< which completeness curve corrects rates
};

struct SectorRates {
  std::int64_t tic = 0;
  int sector = 0;
  double days = 0.0;
  int flares = 0;
  int above_limit = 0;  ///< flares that rates are fitted to
  std::int64_t trials = 0;
  std::int64_t recovered = 0;
  CompletenessCurve linear;
  CompletenessCurve logarithmic;
  double log10_ed50 = std::numeric_limits<double>::quiet_NaN();  ///< of the curve that corrects
  double luminosity_fraction = 0.0;  ///< energy of the flares / energy of the star
  PowerLaw law;                      ///< intercept, with the slope of the star
};

/// Counts in bins of two quantities: amplitude and duration.
struct CountMap {
  LogBins amplitude{-5.0, 0.2, 35};
  LogBins duration{-5.0, 0.2, 30};
  std::vector<std::int64_t> trials = std::vector<std::int64_t>(35 * 30, 0);
  std::vector<std::int64_t> recovered = std::vector<std::int64_t>(35 * 30, 0);

  void add(const InjectedOutcome& flare);
  void add(double of_amplitude, double of_duration_d, std::int64_t of_trials,
           std::int64_t of_recovered);
};

struct Completeness {
  Counts amplitude{kAmplitudeBins};
  Counts duration{kDurationBins};
  Counts equivalent_duration{kEquivalentDurationBins};
  Counts energy{kEnergyBins};
  CountMap map;

  void add(const InjectedOutcome& flare);
};

/// Distribution of all flares of a star or of the sample.
struct CombinedRates {
  double days = 0.0;
  int flares = 0;
  CompletenessCurve curve;
  double log10_ed50 = std::numeric_limits<double>::quiet_NaN();
  double luminosity_fraction = 0.0;
  std::vector<FrequencyPoint> points;  ///< their `event` counts the flares in order of adding
  PowerLaw law;                        ///< straight line through the cumulative points
  MaximumLikelihood likelihood;
};

/// What a sample of stars takes from one of them, beside its completeness.
struct StarPart {
  std::vector<double> days;  ///< of every sector
  std::vector<FlareEvent> flares;
  Exposure exposure;
};

/// The sectors of a star, added one after the other.
class StarSearch {
 public:
  explicit StarSearch(const RateOptions& options) : options_(options) {}
  void add(const SectorSearch& sector);

  /// Curve and limit are the medians of those of the sectors; also sets SectorRates::law.
  [[nodiscard]] CombinedRates finish();

  [[nodiscard]] const std::vector<SectorRates>& sectors() const { return sectors_; }
  [[nodiscard]] const Completeness& completeness() const { return completeness_; }
  [[nodiscard]] StarPart part() const;
  /// Of all its injections.
  [[nodiscard]] CompletenessSurface surface() const { return fit_surface(injected_); }

 private:
  RateOptions options_;
  std::vector<SectorRates> sectors_;
  std::vector<FlareEvent> flares_;
  std::vector<std::size_t> first_flare_;  // of every sector
  std::vector<InjectedOutcome> injected_;
  Completeness completeness_;
  StarSample sample_;
};

/// All stars, added one after the other.
class SampleSearch {
 public:
  explicit SampleSearch(const RateOptions& options) : options_(options) {}
  void add(const StarPart& star);
  /// Of one star or of many: the sample adds up counts.
  void add(const Completeness& completeness);

  /// The curve goes through the counts of all sectors together.
  [[nodiscard]] CombinedRates finish() const;

  [[nodiscard]] const Completeness& completeness() const { return completeness_; }
  [[nodiscard]] std::size_t stars() const { return samples_.size(); }
  [[nodiscard]] std::size_t sectors() const { return sectors_; }

 private:
  RateOptions options_;
  std::size_t sectors_ = 0;
  double days_ = 0.0;
  std::vector<FlareEvent> flares_;
  std::vector<StarSample> samples_;
  Completeness completeness_;
};

}  // namespace skyloom::flares
