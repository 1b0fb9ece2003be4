#include "pipelines/flares/config.hpp"

#include "pipelines/flares/config_injection.hpp"
#include "pipelines/flares/fetch.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/engine/products.hpp"

namespace skyloom::flares {
namespace {

// Which stages depend on a key. A key of an early stage reaches the later ones through its product.
const std::vector<std::string> kDetect{"detect"};
const std::vector<std::string> kGp{"gp"};

void declare_inputs(ConfigSpec& spec, Config& c) {
  spec.table("inputs", "What is searched. Relative paths are relative to this file.");
  spec.add(
      "inputs.light_curves", &c.inputs.light_curves,
      Key{.help = "light curves of sectors: files (SPOC _lc.fits, also gz, CSV, or NumPy .npy), "
                  "patterns with * ? [], text files (.txt, .lst, .list) with one path per line, "
                  "and folders, whose _lc.fits, TIC_SECTOR.csv and TIC_SECTOR.npy files are "
                  "taken at any depth",
          .input_path = true});
  spec.add("inputs.runs", &c.inputs.runs,
           Key{.help = "finished run directories whose sectors `rates` takes in beside its own; "
                       "light curves may then be missing",
               .input_path = true});
  spec.add(
      "inputs.targets", &c.inputs.targets,
      Key{.help = "which stars: CSV with the column TICID, or a list of light curves, one path "
                  "per line; empty = all that are found",
          .input_path = true});
  spec.add("inputs.quality_bitmask", &c.inputs.quality_bitmask,
           Key{.help = "cadences with one of these bits of QUALITY are dropped; 175 = default, "
                       "7407 = hard, 65535 = hardest",
               .min = 0,
               .stages = kDetect});
  spec.add("inputs.base_url", &c.inputs.base_url,
           Key{.help = "server that `flares fetch` takes light curves from: what a file's name is "
                       "appended to, or an address with {file} (and {sector}) in it; empty = "
                       "MAST"});
  spec.add("inputs.cache_dir", &c.inputs.cache_dir,
           Key{.help = "folder that `flares fetch` fills; searched like inputs.light_curves",
               .input_path = true});
}

void declare_detection(ConfigSpec& spec, Config& c) {
  spec.table("network", "The networks that give every cadence the probability of a flare.");
  spec.add("network.models", &c.network.models,
           Key{.help = "weight files (Keras HDF5), or one folder; empty = the ensemble that ships "
                       "with the program",
               .input_path = true});
  spec.add("network.combine", &c.network.combine,
           Key{.help = "how the probabilities of several networks become one",
               .choices = {"median", "mean"},
               .stages = kDetect});
  spec.add("network.edge", &c.network.edge,
           Key{.help = "cadences without a window: no probability, or the network's answer to zero "
                       "flux as the stella package has it",
               .choices = {"invalid", "peer"},
               .stages = kDetect});
  spec.add("network.mode", &c.network.mode,
           Key{.help = "rules for gaps and for the median flux with an injected flare: our own, or "
                       "those of the stella package",
               .choices = {"native", "peer"},
               .stages = kDetect});
  spec.table("detection", "From probabilities to flares.");
  spec.add("detection.threshold", &c.detection.threshold,
           Key{.help = "a cadence counts above this probability",
               .min = 0.0,
               .max = 1.0,
               .stages = kDetect});
  spec.add("detection.merge_cadences", &c.detection.merge_cadences,
           Key{.help = "runs whose facing ends are closer than this become one flare",
               .unit = "",
               .min = 1,
               .max = 1000,
               .stages = kDetect});
  spec.add("detection.min_cadences", &c.detection.min_cadences,
           Key{.help = "cadences of the shortest flare", .min = 1, .max = 1000, .stages = kDetect});
}

}  // namespace

void declare(ConfigSpec& spec, Config& c) {
  declare_inputs(spec, c);
  declare_fetch(spec, c);
  declare_detection(spec, c);
  spec.table("gp", "Gaussian process of the star without its flares.");
  spec.add("gp.kernel", &c.gp.kernel,
           Key{.help = "covariance: rotation and a smooth term, or two oscillators",
               .choices = {"rotation_sho", "sho2"},
               .stages = kGp});
  spec.add("gp.priors", &c.gp.priors,
           Key{.help = "weak priors that keep quiet stars stable, or none",
               .choices = {"default", "none"},
               .stages = kGp});
  declare_injection(spec, c);
  spec.table("output", "");
  spec.add("output.per_sector", &c.output.per_sector,
           Key{.help = "one HDF5 file per sector, sectors/TIC_SECTOR.h5"});
  spec.add("output.per_star", &c.output.per_star,
           Key{.help = "one HDF5 file per star, stars/TIC_final.h5"});
}

void check(const Config& c) {
  if (c.inputs.light_curves.empty() && c.inputs.targets.empty() && c.inputs.cache_dir.empty() &&
      c.inputs.runs.empty()) {
    throw ConfigError("inputs.light_curves", "missing",
                      "light curves, or folders with them; or finished runs in inputs.runs");
  }
  for (const std::string& run : c.inputs.runs) {
    for (const char* stage : {"detect", "gp", "inject"}) {
      if (!engine::Products(run).has(stage)) {
        throw ConfigError(run, std::string("has no product of the stage ") + stage,
                          "a run directory whose stages up to inject are finished (inputs.runs)");
      }
    }
  }
  if (!(c.injection.ffd_energy_min < c.injection.ffd_energy_max)) {
    throw ConfigError("injection.ffd_energy_min", "is not below injection.ffd_energy_max",
                      "the smaller of the two energies");
  }
}

}  // namespace skyloom::flares
