#include "kernel_survey.hpp"

#include <algorithm>
#include <cmath>

#include "skyloom/numerics/robust.hpp"

namespace skyloom::flares {
namespace {

constexpr double kSecondsPerDay = 86400.0;
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

double total_duration(std::span<const FlareEvent> flares) {
  double sum = 0.0;
  for (const FlareEvent& flare : flares) {
    sum += flare.equivalent_duration_s;
  }
  return sum;
}

double median_or_none(std::vector<double> values) {
  std::erase_if(values, [](double value) { return !std::isfinite(value); });
  return values.empty() ? kNone : numerics::median(values);
}

/// The rates that events, curve and limit give.
CombinedRates combined_rates(std::span<const FlareEvent> flares, double days,
                             const CompletenessCurve& curve, double limit) {
  CombinedRates out;
  out.days = days;
  out.flares = static_cast<int>(flares.size());
  out.curve = curve;
  out.log10_ed50 = limit;
  out.luminosity_fraction = days > 0.0 ? total_duration(flares) / (kSecondsPerDay * days) : kNone;
  out.points = frequency_distribution(flares, days, curve, limit);
  out.law = fit_power_law(out.points);
  return out;
}

void add_all(Completeness& to, const Completeness& from) {
  to.amplitude.add(from.amplitude);
  to.duration.add(from.duration);
  to.equivalent_duration.add(from.equivalent_duration);
  to.energy.add(from.energy);
  for (std::size_t i = 0; i < to.map.trials.size(); ++i) {
    to.map.trials[i] += from.map.trials[i];
    to.map.recovered[i] += from.map.recovered[i];
  }
}

}  // namespace

void CountMap::add(const InjectedOutcome& flare) {
  add(flare.amplitude, flare.duration_d, flare.repeats, flare.recovered);
}

void CountMap::add(double of_amplitude, double of_duration_d, std::int64_t of_trials,
                   std::int64_t of_recovered) {
  const int a = amplitude.bin_of(of_amplitude);
  const int d = duration.bin_of(of_duration_d);
  if (a >= 0 && d >= 0) {
    const auto at = static_cast<std::size_t>(a * duration.count + d);
    trials[at] += of_trials;
    recovered[at] += of_recovered;
  }
}

void Completeness::add(const InjectedOutcome& flare) {
  amplitude.add(flare.amplitude, flare.repeats, flare.recovered);
  duration.add(flare.duration_d, flare.repeats, flare.recovered);
  equivalent_duration.add(flare.equivalent_duration_s, flare.repeats, flare.recovered);
  if (std::isfinite(flare.log10_energy_erg)) {
    energy.add(std::pow(10.0, flare.log10_energy_erg), flare.repeats, flare.recovered);
  }
  map.add(flare);
}

void StarSearch::add(const SectorSearch& sector) {
  SectorRates rates;
  rates.tic = sector.tic;
  rates.sector = sector.sector;
  rates.days = sector.days;
  rates.flares = static_cast<int>(sector.flares.size());
  Counts counts(kEquivalentDurationBins);
  for (const InjectedOutcome& flare : sector.injected) {
    counts.add(flare.equivalent_duration_s, flare.repeats, flare.recovered);
    completeness_.add(flare);
    rates.trials += flare.repeats;
    rates.recovered += flare.recovered;
  }
  injected_.insert(injected_.end(), sector.injected.begin(), sector.injected.end());
  rates.linear = fit_curve(counts, false);
  rates.logarithmic = fit_curve(counts, true);
  rates.log10_ed50 = (options_.logarithmic ? rates.logarithmic : rates.linear).log10_half();
  rates.luminosity_fraction =
      sector.days > 0.0 ? total_duration(sector.flares) / (kSecondsPerDay * sector.days) : kNone;
  sample_.exposure.add(sector.days, smoothed_fractions(counts), rates.log10_ed50);
  const int first = Exposure::first_bin(rates.log10_ed50);
  first_flare_.push_back(flares_.size());
  for (FlareEvent flare : sector.flares) {
    const int bin = kEquivalentDurationBins.bin_of(flare.equivalent_duration_s);
    flare.above_limit = bin >= first && flare.equivalent_duration_s > 0.0;
    flares_.push_back(flare);
    if (flare.above_limit) {
      sample_.log10_ed.push_back(std::log10(flare.equivalent_duration_s));
      ++rates.above_limit;
    }
  }
  sectors_.push_back(rates);
}

CombinedRates StarSearch::finish() {
  const auto over_sectors = [&](auto value) {
    std::vector<double> values;
    for (const SectorRates& sector : sectors_) {
      const CompletenessCurve& curve = options_.logarithmic ? sector.logarithmic : sector.linear;
      if (curve.converged) {
        values.push_back(value(sector, curve));
      }
    }
    return median_or_none(std::move(values));
  };
  using Curve = const CompletenessCurve&;
  CompletenessCurve curve;
  curve.logarithmic = options_.logarithmic;
  curve.steepness = over_sectors([](const SectorRates&, Curve c) { return c.steepness; });
  curve.middle = over_sectors([](const SectorRates&, Curve c) { return c.middle; });
  curve.ceiling = over_sectors([](const SectorRates&, Curve c) { return c.ceiling; });
  curve.converged = std::isfinite(curve.steepness);
  const double limit = over_sectors([](const SectorRates& s, Curve) { return s.log10_ed50; });
  double days = 0.0;
  for (const SectorRates& sector : sectors_) {
    days += sector.days;
  }
  CombinedRates out = combined_rates(flares_, days, curve, limit);
  out.likelihood = maximum_likelihood(std::span(&sample_, 1));
  for (std::size_t i = 0; i < sectors_.size(); ++i) {
    SectorRates& sector = sectors_[i];
    const std::span<const FlareEvent> flares =
        std::span(flares_).subspan(first_flare_[i], static_cast<std::size_t>(sector.flares));
    const std::vector<FrequencyPoint> points = frequency_distribution(
        flares, sector.days, options_.logarithmic ? sector.logarithmic : sector.linear,
        sector.log10_ed50);
    sector.law = fit_intercept(points, out.law.slope);
  }
  return out;
}

StarPart StarSearch::part() const {
  StarPart out{{}, flares_, sample_.exposure};
  for (const SectorRates& sector : sectors_) {
    out.days.push_back(sector.days);
  }
  return out;
}

void SampleSearch::add(const StarPart& star) {
  StarSample sample{{}, star.exposure};
  for (const FlareEvent& flare : star.flares) {
    if (flare.above_limit) {
      sample.log10_ed.push_back(std::log10(flare.equivalent_duration_s));
    }
  }
  samples_.push_back(std::move(sample));
  sectors_ += star.days.size();
  for (const double days : star.days) {
    days_ += days;
  }
  flares_.insert(flares_.end(), star.flares.begin(), star.flares.end());
}

void SampleSearch::add(const Completeness& completeness) {
  add_all(completeness_, completeness);
}

CombinedRates SampleSearch::finish() const {
  const CompletenessCurve curve =
      fit_curve(completeness_.equivalent_duration, options_.logarithmic);
  CombinedRates out = combined_rates(flares_, days_, curve, curve.log10_half());
  out.likelihood = maximum_likelihood(samples_);
  return out;
}

}  // namespace skyloom::flares
