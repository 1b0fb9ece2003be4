#pragma once
// Configuration of the skycells pipeline: one field per TOML key, with its default.

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "pipelines/skycells/combine/kernel.hpp"
#include "pipelines/skycells/combine/kernel_sources.hpp"
#include "pipelines/skycells/combine/kernel_zones.hpp"
#include "pipelines/skycells/convolve/kernel.hpp"
#include "skyloom/core/config.hpp"
#include "skyloom/numerics/gaussian.hpp"
#include "skyloom/surveys/skycell_image.hpp"
#include "skyloom/surveys/skycell_rows.hpp"

namespace skyloom::skycells {

struct Survey;

struct Config {
  struct Inputs {
    int sector = 0;
    int camera = 0;
    int ccd = 0;
    std::string data_root = "data";
    std::string csv;
    std::string format = "fits";
    std::string input_root;
    int projections_limit = 0;
    std::vector<std::string> cells;
    std::vector<int> projections;
  } inputs;

  struct Bands {
    std::vector<std::string> use{"r", "i", "z", "y"};
    std::vector<double> weights{0.238, 0.344, 0.283, 0.135};
    std::string missing_band = "error";
    std::string missing_pixel = "nan";
  } bands;

  struct Geometry {
    int overlap = surveys::kSkycellOverlap;
    int edge_exclusion = 10;
    int pad = surveys::kSkycellOverlap;
    std::string edge_policy = "keep";
    bool strict_slots = false;
    bool cross_projection = true;
    std::string interpolation = "bilinear";
  } geometry;

  struct Psf {
    double sigma = 60.0;
    int radius = 470;
    std::string method = "auto";
    double tolerance = 1e-6;
    std::string missing = "zero";
    double min_weight = 0.1;
  } psf;

  struct Background {
    std::string mode = "none";
    double detect_sigma = 2.5;
    double bright_sigma = 50.0;
  } background;

  struct Saturation {
    std::string mode = "none";
    std::string catalog;
    double bright_star_mag_threshold = 13.0;
  } saturation;

  struct Io {
    std::string compression = "none";
    int level = 1;
    int chunk = 512;
    std::string extract = "full";
    std::string sampling = "full";
    int retries = 3;
    double gather_timeout_s = 300.0;
    bool verify_checksums = false;
  } io;

  struct Downsample {
    bool enabled = false;
    std::string registration_root;
    std::string jobs;
    int oversample = 1;
    std::vector<int> ignore_mask_bits{12};
    bool gzip = false;
  } downsample;

  struct Exported {
    std::string cell;
    std::string run;
  } exported;

  mutable std::shared_ptr<const Survey> found;  ///< see found_survey()

  /// "sector_SSSS/camera_C/ccd_K": below folders of the input and of the run directory.
  [[nodiscard]] std::string detector_folder() const;
  /// Folders of the standard place of metadata and registration maps, the first to be tried first,
  /// and what ends the names there: with oversampling F "_osF", which its own folder does not need.
  [[nodiscard]] std::vector<std::pair<std::filesystem::path, std::string>> mapping_places() const;
  /// "tess_sSSSS_C_K_": begins the names of these files.
  [[nodiscard]] std::string mapping_stem() const;
  /// Metadata list: inputs.csv, else its standard place; "" when cells or projections stand for it.
  [[nodiscard]] std::string csv_file() const;
  /// Root of the images: inputs.input_root, else its standard place.
  [[nodiscard]] std::filesystem::path input_root() const;
  /// The catalogue of saturated stars: saturation.catalog, else its standard place.
  [[nodiscard]] std::string star_catalogue() const;
  [[nodiscard]] surveys::SkycellFormat input_format() const {
    return inputs.format == "zarr" ? surveys::SkycellFormat::zarr : surveys::SkycellFormat::fits;
  }
  [[nodiscard]] surveys::RowRules row_rules() const {
    return {geometry.overlap, geometry.edge_exclusion, geometry.pad, geometry.strict_slots};
  }
  /// @param width of the cells of a projection @param height theirs
  [[nodiscard]] CellGeometry cell_geometry(int width, int height) const {
    return {width, height, geometry.overlap, geometry.edge_exclusion, geometry.pad};
  }
  [[nodiscard]] MissingPixel missing_pixel() const {
    return bands.missing_pixel == "renormalise" ? MissingPixel::renormalise : MissingPixel::nan;
  }
  [[nodiscard]] numerics::MissingData missing_data() const {
    return psf.missing == "normalise" ? numerics::MissingData::normalise
                                      : numerics::MissingData::zero;
  }
  /// How `convolve` treats rims. @param first_column smallest x of the projection
  [[nodiscard]] RimRules rim_rules(int first_column) const {
    return {geometry.strict_slots, first_column, geometry.edge_policy == "void", missing_data(),
            psf.min_weight};
  }
  /// @throws ConfigError psf.method cannot reach psf.tolerance
  [[nodiscard]] numerics::GaussianPlan gaussian() const;
  /// What happens to combined cells as wholes.
  [[nodiscard]] SourceOptions source_options() const {
    SourceOptions options;
    options.suppress_sky = background.mode == "segment";
    options.detect_sigma = background.detect_sigma;
    options.bright_sigma = background.bright_sigma;
    options.saturation = saturation.mode == "remove"    ? SaturationMode::remove
                         : saturation.mode == "replace" ? SaturationMode::replace
                                                        : SaturationMode::none;
    options.limit_mag = saturation.bright_star_mag_threshold;
    return options;
  }
  [[nodiscard]] bool needs_variance() const { return source_options().needs_noise(); }
  /// How far beyond its sides `combine` keeps the pixels of a cell when it keeps them: what other
  /// projections fill, of which only a metadata list tells.
  [[nodiscard]] int kept_margin() const {
    return geometry.cross_projection && !csv_file().empty() ? geometry.pad : 0;
  }
  /// `combine` leaves its light on the coarse grid; else its pixels.
  [[nodiscard]] bool streams() const {
    return gaussian().method == numerics::GaussianMethod::multirate;
  }
};

/// Declares every key, bound to `config`.
void declare(ConfigSpec& spec, Config& config);

/// Checks that span several keys. @throws ConfigError
void check(const Config& config);

}  // namespace skyloom::skycells
