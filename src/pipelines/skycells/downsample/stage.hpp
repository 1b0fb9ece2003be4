#pragma once
// Stage `downsample`: sums of the convolved cells over the pixels of a detector, for every offset
// of a list. Units: the cells that `convolve` finished and that have a registration map.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/skycells/config.hpp"
#include "pipelines/skycells/downsample/detector.hpp"
#include "pipelines/skycells/downsample/kernel.hpp"
#include "skyloom/engine/file_sets.hpp"
#include "skyloom/engine/stage.hpp"
#include "skyloom/sky/wcs.hpp"
#include "skyloom/surveys/convolved_image.hpp"

namespace skyloom::skycells {

struct DownsampleStage {
  static constexpr std::string_view name = "downsample";
  using Config = skycells::Config;

  struct Context {
    std::optional<surveys::ConvolvedImages> images;
    Detector detector;
    std::optional<sky::Wcs> wcs;  ///< of the detector
  };
  /// How far the cell is moved for each offset, in its pixels.
  struct Shift {
    double x = 0.0;
    double y = 0.0;
  };
  struct Input {
    std::string cell;
    std::vector<Shift> shifts;
    DownsampleInput sums;
  };
  struct Result {
    std::string cell;
    std::vector<Shift> shifts;
    DownsampleResult sums;
  };

  static std::vector<std::string> inputs(const Config& config);
  static std::vector<std::string> needs() { return {"combine", "convolve"}; }
  static engine::Plan plan(const Config& config, const engine::Products& before);
  static std::unique_ptr<Context> open(const Config& config, const engine::Products& before,
                                       Log& log);
  static Input load(const Config& config, Context& context, const engine::Unit& unit);
  static Result compute(const Config& config, const Input& input, const Rng& rng);
  static void append(const Config& config, const Result& result, engine::Rows& rows);
};

/// Folder of the templates in the run directory.
inline constexpr const char* kTemplateFolder = "templates";

/// One FITS file per offset: cells added in their order.
engine::FileSet template_files(const Config& config, const engine::Products& products);

}  // namespace skyloom::skycells
