#include "pipelines/flares/config_injection.hpp"

namespace skyloom::flares {
namespace {

const std::vector<std::string> kInject{"inject"};
const std::vector<std::string> kRates{"rates"};

}  // namespace

void declare_injection(ConfigSpec& spec, Config& c) {
  spec.table("injection", "Artificial flares, added one at a time and searched for.");
  spec.add(
      "injection.n_inject", &c.injection.n_inject,
      Key{.help = "injected flares per sector; 0 = none", .min = 0, .max = 1e6, .stages = kInject});
  spec.add("injection.n_repeat", &c.injection.n_repeat,
           Key{.help = "times that each is injected, every time at another cadence",
               .min = 1,
               .max = 1000,
               .stages = kInject});
  spec.add("injection.template", &c.injection.shape,
           Key{.help = "shape of a flare",
               .choices = {"mendoza2022", "davenport2014"},
               .stages = kInject});
  spec.add("injection.sample", &c.injection.sample,
           Key{.help = "amplitudes evenly in their logarithm with log-normal durations, or both "
                       "from a distribution of energies",
               .choices = {"lognormal", "ffd"},
               .stages = kInject});
  spec.add("injection.ffd_slope", &c.injection.ffd_slope,
           Key{.help = "the number of flares with more than an energy goes with energy^slope",
               .min = -10.0,
               .max = -0.01,
               .stages = kInject,
               .effective_with = "injection.sample",
               .effective_for = {"ffd"}});
  spec.add("injection.ffd_energy_min", &c.injection.ffd_energy_min,
           Key{.help = "smallest energy",
               .unit = "erg",
               .min = 1e20,
               .max = 1e45,
               .stages = kInject,
               .effective_with = "injection.sample",
               .effective_for = {"ffd"}});
  spec.add("injection.ffd_energy_max", &c.injection.ffd_energy_max,
           Key{.help = "largest energy",
               .unit = "erg",
               .min = 1e20,
               .max = 1e45,
               .stages = kInject,
               .effective_with = "injection.sample",
               .effective_for = {"ffd"}});
  spec.add("injection.criterion", &c.injection.criterion,
           Key{.help = "an injected flare counts as found when detection finds it, or by the rule "
                       "of the program that the peer mode is compared with",
               .choices = {"detect", "peer"},
               .stages = kInject});
  spec.add("injection.block_flares", &c.injection.block_flares,
           Key{.help = "flares of one unit of work; 0 = chosen; never changes a result", .min = 0});
  spec.add("injection.exposure_oversample", &c.injection.exposure_oversample,
           Key{.help = "points of the template averaged over each cadence; 1 = its middle",
               .min = 1,
               .max = 101,
               .stages = kInject});
  spec.add("injection.simultaneous", &c.injection.simultaneous,
           Key{.help = "all flares of a repeat in the same light curve (for comparison)",
               .stages = kInject});
  spec.table("rates", "Completeness and rates.");
  spec.add("rates.duration", &c.rates.duration,
           Key{.help = "time observed: the cadences that could be searched, or from the first to "
                       "the last one",
               .choices = {"live", "peer"},
               .stages = kRates});
  spec.add("rates.completeness", &c.rates.completeness,
           Key{.help = "curve that corrects rates: logistic in log10 of the equivalent duration "
                       "with a free ceiling, or in the duration itself with the ceiling 0.96",
               .choices = {"log", "linear"},
               .stages = kRates});
}

}  // namespace skyloom::flares
