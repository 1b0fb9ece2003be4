#include "pipelines/skycells/config.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <stdexcept>

#include <fmt/format.h>

#include "pipelines/skycells/export_cell.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/core/table.hpp"

namespace skyloom::skycells {
namespace {

// Which stages depend on a key. A key of an early stage reaches the later ones through its product.
const std::vector<std::string> kCombine{"combine"};
const std::vector<std::string> kConvolve{"convolve"};
const std::vector<std::string> kBoth{"combine", "convolve"};
const std::vector<std::string> kDownsample{"downsample"};

void declare_inputs(ConfigSpec& spec, Config::Inputs& in) {
  spec.table("inputs", "Which skycells. Relative paths are relative to this file.");
  spec.add("inputs.sector", &in.sector,
           Key{.help = "sector of the camera that results are for: names folders",
               .min = 0,
               .max = 9999,
               .stages = kConvolve});
  spec.add("inputs.camera", &in.camera,
           Key{.help = "its camera", .min = 0, .max = 9, .stages = kConvolve});
  spec.add("inputs.ccd", &in.ccd,
           Key{.help = "its detector", .min = 0, .max = 9, .stages = kConvolve});
  spec.add(
      "inputs.data_root", &in.data_root,
      Key{.help = "folder that the standard places of other inputs are in", .input_path = true});
  spec.add("inputs.csv", &in.csv,
           Key{.help = "list of skycells (CSV: NAME, NAXIS1, NAXIS2, CRVAL1, ...); empty = "
                       "skycell_pixel_mapping/sector_SSSS/camera_C/ccd_K/"
                       "tess_sSSSS_C_K_master_skycells_list.csv of data_root",
               .input_path = true});
  spec.add("inputs.format", &in.format,
           Key{.help = "format of the images", .choices = {"fits", "zarr"}, .stages = kCombine});
  spec.add("inputs.input_root", &in.input_root,
           Key{.help = "folder of the images; empty = ps1_skycells or ps1_skycells.zarr of "
                       "data_root",
               .input_path = true});
  spec.add(
      "inputs.projections_limit", &in.projections_limit,
      Key{.help = "only the first so many projections; 0 = all", .min = 0, .stages = kCombine});
  spec.add("inputs.cells", &in.cells,
           Key{.help = "these skycells in place of a list, from the table of RINGS.V3",
               .stages = kCombine});
  spec.add("inputs.projections", &in.projections,
           Key{.help = "all cells of these projections in place of a list; with inputs.csv those "
                       "that it lists",
               .stages = kCombine});
}

void declare_bands(ConfigSpec& spec, Config::Bands& bands) {
  spec.table("bands", "How bands become one image: sum of weight times counts per second.");
  spec.add("bands.use", &bands.use, Key{.help = "bands, of g, r, i, z, y", .stages = kCombine});
  spec.add("bands.weights", &bands.weights, Key{.help = "their weights", .stages = kCombine});
  spec.add("bands.missing_band", &bands.missing_band,
           Key{.help = "cell without the image of a band: the sum of the others, that over the sum "
                       "of their weights, or no result",
               .choices = {"skip", "renormalise", "error"},
               .stages = kCombine});
  spec.add(
      "bands.missing_pixel", &bands.missing_pixel,
      Key{.help = "pixel that a band lacks: no value, or the sum of the others over the sum of "
                  "their weights",
          .choices = {"nan", "renormalise"},
          .stages = kCombine});
  spec.ignore("bands.variance", "variances are read where something needs them");
}

void declare_geometry(ConfigSpec& spec, Config::Geometry& g) {
  spec.table("geometry", "How cells make rows.");
  spec.add("geometry.overlap", &g.overlap,
           Key{.help = "pixels that neighbouring cells share",
               .unit = "pix",
               .min = 0,
               .stages = kBoth});
  spec.add("geometry.edge_exclusion", &g.edge_exclusion,
           Key{.help = "outermost pixels that a neighbour's are preferred to",
               .unit = "pix",
               .min = 0,
               .stages = kBoth});
  spec.add(
      "geometry.pad", &g.pad,
      Key{.help = "width of what is seen beyond a row", .unit = "pix", .min = 1, .stages = kBoth});
  spec.add("geometry.edge_policy", &g.edge_policy,
           Key{.help = "uppermost pixels of a row without a row above: kept, or no value as the "
                       "older program has it",
               .choices = {"keep", "void"},
               .stages = kConvolve});
  spec.add(
      "geometry.strict_slots", &g.strict_slots,
      Key{.help = "drop the left overlap of a cell even without a left neighbour, as the older "
                  "program does",
          .stages = kConvolve});
  spec.add("geometry.cross_projection", &g.cross_projection,
           Key{.help = "fill the rim of a projection from other projections", .stages = kCombine});
  spec.add("geometry.interpolation", &g.interpolation,
           Key{.help = "between their pixels", .choices = {"bilinear"}, .stages = kCombine});
}

void declare_psf(ConfigSpec& spec, Config::Psf& psf) {
  spec.table("psf", "The Gaussian that images are convolved with.");
  spec.add("psf.sigma", &psf.sigma,
           Key{.help = "its sigma", .unit = "pix", .min = 0.5, .max = 1000, .stages = kBoth});
  spec.add("psf.radius", &psf.radius,
           Key{.help = "where it is cut; at most pad - edge_exclusion",
               .unit = "pix",
               .min = 1,
               .stages = kBoth});
  spec.add("psf.method", &psf.method,
           Key{.help = "how it is done; auto = what is cheapest for sigma, radius and tolerance",
               .choices = {"auto", "multirate", "fft", "direct", "expsum"},
               .stages = kBoth});
  spec.add("psf.tolerance", &psf.tolerance,
           Key{.help = "largest error, relative to the largest value",
               .min = 6e-7,
               .max = 0.1,
               .stages = kBoth});
  spec.add("psf.missing", &psf.missing,
           Key{.help = "pixels without a value are dark, or results are divided by the convolved "
                       "map of those with one",
               .choices = {"zero", "normalise"},
               .stages = kBoth});
  spec.add("psf.min_weight", &psf.min_weight,
           Key{.help = "least value of that map; no result below",
               .min = 1e-3,
               .max = 1.0,
               .stages = kConvolve,
               .effective_with = "psf.missing",
               .effective_for = {"normalise"}});
}

void declare_sources(ConfigSpec& spec, Config& c) {
  spec.table("background", "What becomes of the sky between sources.");
  spec.add("background.mode", &c.background.mode,
           Key{.help = "kept, or set to 0 outside of detected sources",
               .choices = {"none", "segment"},
               .stages = kCombine});
  spec.add(
      "background.detect_sigma", &c.background.detect_sigma,
      Key{.help = "detection threshold in units of the noise", .min = 0.1, .stages = kCombine});
  spec.add("background.bright_sigma", &c.background.bright_sigma,
           Key{.help = "pixels above this many median noises are kept without detection",
               .min = 1.0,
               .stages = kCombine});
  spec.table("saturation", "Saturated stars.");
  spec.add("saturation.mode", &c.saturation.mode,
           Key{.help = "left alone; removed with their segments; or replaced by a fitted PSF",
               .choices = {"none", "remove", "replace"},
               .stages = kCombine});
  spec.add("saturation.catalog", &c.saturation.catalog,
           Key{.help = "Gaia stars (CSV: ra, dec, phot_g_mean_mag, phot_bp_mean_mag, "
                       "phot_rp_mean_mag); empty = catalogs/sector_SSSS/camera_C/ccd_K/"
                       "gaia_catalog_sSSSS_C_K.csv of data_root",
               .input_path = true});
  spec.add("saturation.bright_star_mag_threshold", &c.saturation.bright_star_mag_threshold,
           Key{.help = "segments of stars brighter than this are removed",
               .unit = "mag",
               .stages = kCombine,
               .effective_with = "saturation.mode",
               .effective_for = {"remove"}});
}

void declare_io(ConfigSpec& spec, Config::Io& io) {
  spec.table("io", "Reading and writing.");
  spec.add("io.compression", &io.compression,
           Key{.help = "of the convolved images, in a pass after the last cell",
               .choices = {"none", "deflate"},
               .stages = kConvolve});
  spec.add("io.level", &io.level,
           Key{.help = "its level",
               .min = 1,
               .max = 9,
               .stages = kConvolve,
               .effective_with = "io.compression",
               .effective_for = {"deflate"}});
  spec.add("io.chunk", &io.chunk,
           Key{.help = "side of its chunks",
               .unit = "pix",
               .min = 16,
               .max = 2048,
               .stages = kConvolve,
               .effective_with = "io.compression",
               .effective_for = {"deflate"}});
  spec.add("io.extract", &io.extract,
           Key{.help = "whole cells, or no value where another cell has the same pixels",
               .choices = {"full", "unique"},
               .stages = kConvolve});
  spec.add("io.sampling", &io.sampling,
           Key{.help = "all pixels, or the coarse grid that they are interpolated from (1/250 of "
                       "the size)",
               .choices = {"full", "coarse"},
               .stages = kConvolve});
  spec.add("io.retries", &io.retries,
           Key{.help = "times that a read is tried again after an I/O error, 1, 2, 4, ... seconds "
                       "later",
               .min = 0,
               .max = 20});
  spec.add("io.gather_timeout_s", &io.gather_timeout_s,
           Key{.help = "no more tries so long after the first of a cell", .unit = "s", .min = 0});
  spec.add("io.verify_checksums", &io.verify_checksums,
           Key{.help = "compare FITS files with the checksums in their headers first; a file that "
                       "differs is one that cannot be read",
               .stages = kCombine});
}

void declare_downsample(ConfigSpec& spec, Config::Downsample& down) {
  spec.table("downsample", "Sums of convolved pixels on the grid of the detector.");
  spec.add("downsample.enabled", &down.enabled, Key{.help = "do it", .stages = kDownsample});
  spec.add("downsample.registration_root", &down.registration_root,
           Key{.help = "folder of the maps from skycell pixels to detector pixels; empty = "
                       "skycell_pixel_mapping/[oversampling_F/]sector_SSSS/camera_C/ccd_K of "
                       "data_root",
               .input_path = true});
  spec.add("downsample.jobs", &down.jobs,
           Key{.help = "offsets and region of interest (JSON)", .input_path = true});
  spec.add("downsample.oversample", &down.oversample,
           Key{.help = "pixels of the maps per pixel of the detector and axis",
               .min = 1,
               .max = 64,
               .stages = kDownsample});
  spec.add("downsample.ignore_mask_bits", &down.ignore_mask_bits,
           Key{.help = "pixels with one of these bits of the mask are left out of the sums",
               .min = 0,
               .max = 15,
               .stages = kDownsample});
  spec.add("downsample.gzip", &down.gzip, Key{.help = "templates are .fits.gz"});
}

void check_downsample(const Config& c) {
  if (!c.downsample.enabled) {
    return;
  }
  if (c.downsample.jobs.empty()) {
    throw ConfigError("downsample.jobs", "missing", "expected the file of offsets");
  }
  if (c.io.extract != "full") {
    throw ConfigError("io.extract", "cells without the pixels that others have cannot be summed",
                      "expected \"full\" with downsample.enabled");
  }
}

void check_inputs(const Config& c) {
  const Config::Inputs& in = c.inputs;
  if (!in.cells.empty() && (!in.projections.empty() || !in.csv.empty())) {
    throw ConfigError("inputs.cells",
                      in.csv.empty() ? "given together with inputs.projections"
                                     : "given together with inputs.csv",
                      "expected one of them");
  }
  if (c.csv_file().empty()) {
    return;
  }
  if (in.csv.empty() && (in.sector < 1 || in.camera < 1 || in.ccd < 1)) {
    throw ConfigError("inputs.csv",
                      "missing, and without sector, camera and ccd it has no "
                      "standard place",
                      "expected a CSV, or inputs.sector, inputs.camera and inputs.ccd, or "
                      "inputs.cells or inputs.projections");
  }
}

void check_bands(const Config::Bands& bands) {
  constexpr std::size_t kMost = 5;
  const std::set<std::string> names(bands.use.begin(), bands.use.end());
  if (bands.use.empty() || bands.use.size() > kMost || names.size() != bands.use.size()) {
    throw ConfigError("bands.use", "no bands, or one twice", "expected some of g, r, i, z, y");
  }
  for (const std::string& band : bands.use) {
    if (band.size() != 1 || std::string("grizy").find(band) == std::string::npos) {
      throw ConfigError("bands.use", "value \"" + band + "\" is not allowed",
                        "expected some of g, r, i, z, y");
    }
  }
  if (bands.weights.size() != bands.use.size()) {
    throw ConfigError("bands.weights", fmt::format("has {} values", bands.weights.size()),
                      fmt::format("expected {}, one per band", bands.use.size()));
  }
  for (const double weight : bands.weights) {
    if (!(weight > 0.0) || !std::isfinite(weight)) {
      throw ConfigError("bands.weights", "value " + shortest(weight) + " is not allowed",
                        "expected numbers above 0");
    }
  }
}

void check_geometry(const Config& c) {
  const Config::Geometry& g = c.geometry;
  if (g.edge_exclusion > g.overlap) {
    throw ConfigError("geometry.edge_exclusion",
                      fmt::format("value {} is above geometry.overlap", g.edge_exclusion),
                      fmt::format("expected at most {}", g.overlap));
  }
  if (c.psf.radius > g.pad - g.edge_exclusion) {
    throw ConfigError(
        "psf.radius",
        fmt::format("value {} is above geometry.pad - geometry.edge_exclusion", c.psf.radius),
        fmt::format("expected at most {}", g.pad - g.edge_exclusion));
  }
}

void check_methods(const Config& c) {
  const bool multirate = c.gaussian().method == numerics::GaussianMethod::multirate;
  if (c.io.sampling == "coarse" && !multirate) {
    throw ConfigError("io.sampling", "there is no coarse grid with this psf",
                      "expected \"full\", or a psf.sigma, psf.radius and psf.method that allow "
                      "multirate");
  }
  if (c.io.sampling == "coarse" && c.psf.missing == "normalise") {
    throw ConfigError("io.sampling", "quotients (psf.missing = \"normalise\") have no coarse grid",
                      "expected \"full\"");
  }
}

}  // namespace

void declare(ConfigSpec& spec, Config& c) {
  declare_inputs(spec, c.inputs);
  declare_bands(spec, c.bands);
  declare_geometry(spec, c.geometry);
  declare_psf(spec, c.psf);
  declare_sources(spec, c);
  declare_io(spec, c.io);
  declare_downsample(spec, c.downsample);
  declare_export(spec, c);
  spec.ignore("run.memory_limit_gb", "a rank needs little memory, however long a row is");
}

void check(const Config& c) {
  check_inputs(c);
  check_bands(c.bands);
  check_geometry(c);
  check_methods(c);
  check_downsample(c);
}

std::string Config::detector_folder() const {
  return fmt::format("sector_{:04}/camera_{}/ccd_{}", inputs.sector, inputs.camera, inputs.ccd);
}

std::string Config::csv_file() const {
  if (!inputs.csv.empty() || !inputs.cells.empty() || !inputs.projections.empty()) {
    return inputs.csv;
  }
  const std::string name = mapping_stem() + "master_skycells_list";
  auto places = mapping_places();
  // The cells are the same without oversampling.
  places.emplace_back(places.back().first, "");
  for (const auto& [folder, suffix] : places) {
    if (std::filesystem::is_regular_file(folder / (name + suffix + ".csv"))) {
      return folder / (name + suffix + ".csv");
    }
  }
  return places.back().first / (name + ".csv");
}

std::string Config::mapping_stem() const {
  return fmt::format("tess_s{:04}_{}_{}_", inputs.sector, inputs.camera, inputs.ccd);
}

std::vector<std::pair<std::filesystem::path, std::string>> Config::mapping_places() const {
  const std::filesystem::path root =
      std::filesystem::path(inputs.data_root) / "skycell_pixel_mapping";
  const int oversample = downsample.enabled ? downsample.oversample : 1;
  if (oversample == 1) {
    return {{root / detector_folder(), ""}};
  }
  const std::filesystem::path own =
      root / fmt::format("oversampling_{}", oversample) / detector_folder();
  const std::string suffix = fmt::format("_os{}", oversample);
  return {{own, suffix}, {own, ""}, {root / detector_folder(), suffix}};
}

std::filesystem::path Config::input_root() const {
  if (!inputs.input_root.empty()) {
    return inputs.input_root;
  }
  return std::filesystem::path(inputs.data_root) /
         (inputs.format == "zarr" ? "ps1_skycells.zarr" : "ps1_skycells");
}

std::string Config::star_catalogue() const {
  if (!saturation.catalog.empty()) {
    return saturation.catalog;
  }
  return std::filesystem::path(inputs.data_root) / "catalogs" / detector_folder() /
         fmt::format("gaia_catalog_s{:04}_{}_{}.csv", inputs.sector, inputs.camera, inputs.ccd);
}

numerics::GaussianPlan Config::gaussian() const {
  numerics::GaussianRequest request{psf.sigma, psf.tolerance, psf.radius};
  request.method = psf.method == "multirate" ? numerics::GaussianMethod::multirate
                   : psf.method == "fft"     ? numerics::GaussianMethod::fft
                   : psf.method == "direct"  ? numerics::GaussianMethod::direct
                   : psf.method == "expsum"  ? numerics::GaussianMethod::expsum
                                             : numerics::GaussianMethod::automatic;
  try {
    return numerics::plan_gaussian(request);
  } catch (const std::invalid_argument& error) {
    throw ConfigError("psf.method", error.what(),
                      "expected another method, or a psf.tolerance or "
                      "psf.radius above this one");
  }
}

}  // namespace skyloom::skycells
