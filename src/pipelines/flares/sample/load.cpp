#include <cmath>
#include <numeric>

#include "pipelines/flares/sample/stage.hpp"
#include "skyloom/core/errors.hpp"

namespace skyloom::flares {
namespace {

constexpr const char* kStage = "rates";
constexpr std::size_t kRowsAtOnce = 100'000;
constexpr std::size_t kStarsAtOnce = 1000;

std::size_t total(const std::vector<std::int32_t>& counts) {
  return std::accumulate(
      counts.begin(), counts.end(), std::size_t{0},
      [](std::size_t sum, std::int32_t count) { return sum + static_cast<std::size_t>(count); });
}

/// Visits a table in pieces.
template <class Visit>
void for_pieces(const engine::Products& products, const char* table, std::size_t rows,
                std::size_t at_once, const Visit& visit) {
  for (std::size_t first = 0; first < rows; first += at_once) {
    visit(products.rows(kStage, table, first, std::min(rows, first + at_once)));
  }
}

/// Middle of a bin that is equally wide in the logarithm.
double middle(const std::vector<double>& low, const std::vector<double>& high, std::size_t row) {
  return std::sqrt(low[row]) * std::sqrt(high[row]);
}

void add_counts(const Table& table, Completeness& to) {
  const auto& quantity = table.get<std::string>("quantity");
  const auto& low = table.get<double>("low");
  const auto& high = table.get<double>("high");
  const auto& trials = table.get<std::int64_t>("n_injected");
  const auto& recovered = table.get<std::int64_t>("n_recovered");
  for (std::size_t row = 0; row < table.rows(); ++row) {
    Counts& counts = quantity[row] == "amplitude"             ? to.amplitude
                     : quantity[row] == "duration"            ? to.duration
                     : quantity[row] == "equivalent_duration" ? to.equivalent_duration
                                                              : to.energy;
    counts.add(middle(low, high, row), trials[row], recovered[row]);
  }
}

void add_map(const Table& table, CountMap& to) {
  const auto& amp_low = table.get<double>("amp_low");
  const auto& amp_high = table.get<double>("amp_high");
  const auto& fwhm_low = table.get<double>("fwhm_low");
  const auto& fwhm_high = table.get<double>("fwhm_high");
  const auto& trials = table.get<std::int64_t>("n_injected");
  const auto& recovered = table.get<std::int64_t>("n_recovered");
  for (std::size_t row = 0; row < table.rows(); ++row) {
    to.add(middle(amp_low, amp_high, row), middle(fwhm_low, fwhm_high, row), trials[row],
           recovered[row]);
  }
}

}  // namespace

std::unique_ptr<SampleStage::Context> SampleStage::open(const Config& /*config*/,
                                                        const engine::Products& before,
                                                        Log& /*log*/) {
  auto context = std::make_unique<Context>();
  context->products = &before;
  return context;
}

SampleStage::Input SampleStage::load(const Config& config, Context& context,
                                     const engine::Unit& /*unit*/) {
  const engine::Products& products = *context.products;
  const std::size_t stars = products.table(kStage, "star_rates").rows();
  const auto counts = [&](const char* column) {
    return products.range<std::int32_t>(kStage, column, 0, stars);
  };
  const std::vector<std::int32_t> sectors = counts("star_rates/n_sectors");
  const std::vector<std::int32_t> flares = counts("star_rates/n_flares");
  const std::vector<double> days =
      products.range<double>(kStage, "sector_rates/duration", 0, total(sectors));
  const auto events = [&]<class T>(const char* column, T /*type*/) {
    return products.range<T>(kStage, column, 0, total(flares));
  };
  const auto length = events("events/equivalent_duration", double{});
  const auto error = events("events/equivalent_duration_err", double{});
  const auto above = events("events/above_limit", std::uint8_t{});
  SampleSearch sample(RateOptions{config.rates.completeness == "log"});
  std::size_t star = 0;
  auto next_days = days.begin();
  std::size_t event = 0;
  for_pieces(products, "parts", stars, kStarsAtOnce, [&](const Table& table) {
    const auto& exposure = table.get<double>("exposure");
    for (std::size_t row = 0; row < table.rows(); ++row, ++star) {
      StarPart part;
      const auto bins = static_cast<std::ptrdiff_t>(part.exposure.days.size());
      std::copy_n(exposure.begin() + static_cast<std::ptrdiff_t>(row) * bins, bins,
                  part.exposure.days.begin());
      part.days.assign(next_days, next_days + sectors[star]);
      next_days += sectors[star];
      for (const std::size_t last = event + static_cast<std::size_t>(flares[star]); event < last;
           ++event) {
        part.flares.push_back({length[event], error[event], above[event] != 0});
      }
      sample.add(part);
    }
  });
  Completeness completeness;
  for_pieces(products, "completeness", total(counts("parts/completeness_rows")), kRowsAtOnce,
             [&](const Table& table) { add_counts(table, completeness); });
  for_pieces(products, "completeness_map", total(counts("parts/map_rows")), kRowsAtOnce,
             [&](const Table& table) { add_map(table, completeness.map); });
  sample.add(completeness);
  return sample;
}

}  // namespace skyloom::flares
