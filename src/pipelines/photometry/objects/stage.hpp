#pragma once
// Stage `objects`: all objects of every frame whose PSF is measured, and the pixels that belong to
// each. Unit: a tile of a frame; its source is the row of /frames and the number of the tile.

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/photometry/config.hpp"
#include "pipelines/photometry/frame_pixels.hpp"
#include "pipelines/photometry/objects/kernel.hpp"
#include "skyloom/engine/stage.hpp"

namespace skyloom::photometry {

struct ObjectsStage {
  static constexpr std::string_view name = "objects";
  using Config = photometry::Config;

  struct OpenBand {
    OpenFrame frame;
    epsf::Input input;  ///< what the band looks at: its size
    epsf::Band band;    ///< without a good pixel: of size 0
  };
  struct Context {
    Survey survey;
    const engine::Products* before = nullptr;
    RecentFields<OpenBand, 8> open;
  };
  struct Input {
    int frame = 0;  ///< row of /frames
    int number = 0;
    Box tile;
    Box reach;
    double fwhm_pix = 0.0;
    epsf::Options options;
    const epsf::Band* band = nullptr;
    epsf::Pixels pixels;  ///< of `reach`
  };
  struct Result {
    int frame = 0;
    int tile = 0;
    Box reach;
    objects::Found found;
  };

  static constexpr bool kPrepares = true;
  static std::vector<std::string> inputs(const Config& /*config*/) { return {}; }
  static std::vector<std::string> needs() { return {"frames", "background"}; }
  static engine::Plan plan(const Config& config, const engine::Products& before);
  static std::unique_ptr<Context> open(const Config& config, const engine::Products& before,
                                       Log& log);
  static Input load(const Config& config, Context& context, const engine::Unit& unit);
  static Result compute(const Config& config, const Input& input, const Rng& rng);
  static void append(const Config& config, const Result& result, engine::Rows& rows);
};

/// Bytes of a row of /object_pixels.
inline constexpr std::size_t kRunBytes = 1024;

/// Schema of /objects and /object_pixels.
Schema objects_schema();

/// The objects of one frame. @param frame row of /frames   @param used its pixels that are used
objects::Objects objects_of_frame(const engine::Products& before, int frame, const Box& used,
                                  const epsf::Options& options);

}  // namespace skyloom::photometry
