#pragma once
// Stage `background`: the mesh of the sky background of every frame whose PSF is measured, on the
// pixels that are used. Unit: a tile of a frame; its source is the row of /frames and the number
// of the tile.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/photometry/background/kernel.hpp"
#include "pipelines/photometry/config.hpp"
#include "pipelines/photometry/frame_pixels.hpp"
#include "skyloom/engine/stage.hpp"

namespace skyloom::photometry {

struct BackgroundStage {
  static constexpr std::string_view name = "background";
  using Config = photometry::Config;

  struct Context {
    Survey survey;
    RecentFields<OpenFrame, 8> open;
  };
  struct Input {
    int frame = 0;  ///< row of /frames
    Box tile;
    Box reach;
    epsf::Options options;
    epsf::Pixels pixels;  ///< of `reach`
  };
  struct Result {
    int frame = 0;
    std::vector<background::Node> nodes;
  };

  static constexpr bool kPrepares = true;
  static std::vector<std::string> inputs(const Config& /*config*/) { return {}; }
  static std::vector<std::string> needs() { return {"frames"}; }
  static engine::Plan plan(const Config& config, const engine::Products& before);
  static std::unique_ptr<Context> open(const Config& config, const engine::Products& before,
                                       Log& log);
  static Input load(const Config& config, Context& context, const engine::Unit& unit);
  static Result compute(const Config& config, const Input& input, const Rng& rng);
  static void append(const Config& config, const Result& result, engine::Rows& rows);
};

/// Schema of /background.
Schema background_schema();

/// The boxes of one frame. @param frame row of /frames
std::vector<background::Node> background_of_frame(const engine::Products& before, int frame);

}  // namespace skyloom::photometry
