#pragma once
// Stage `epsf`: the effective PSF of every frame that brings none of its own, on the pixels of the
// frame that are used. Unit: one frame, whose row of /frames is its source; the cells are where the
// model is reported.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/photometry/config.hpp"
#include "pipelines/photometry/epsf/found.hpp"
#include "pipelines/photometry/epsf/kernel.hpp"
#include "pipelines/photometry/field.hpp"
#include "skyloom/engine/stage.hpp"

namespace skyloom::photometry {

struct EpsfStage {
  static constexpr std::string_view name = "epsf";
  using Config = photometry::Config;

  /// What the frames of a field share.
  struct OpenField {
    Table sources;  ///< its rows of /sources
    Table gaia;     ///< empty without a Gaia table
  };
  struct Context {
    Survey survey;
    const engine::Products* before = nullptr;
    RecentFields<OpenField> open;
    Log* log = nullptr;
  };
  struct Input {
    std::string field;  ///< "" when there is only one
    std::string band;
    int frame = 0;  ///< row of /frames
    epsf::Options options;
    epsf::Input kernel;
    epsf::Found found;  ///< empty with method anderson-king
    Log* log = nullptr;
  };
  struct Result {
    std::string field;
    std::string band;
    int frame = 0;
    std::vector<epsf::Cell> cells;
    epsf::Result kernel;
  };

  static std::vector<std::string> inputs(const Config& config);
  static std::vector<std::string> needs() { return {"frames", "background", "objects"}; }
  static engine::Plan plan(const Config& config, const engine::Products& before);
  static std::unique_ptr<Context> open(const Config& config, const engine::Products& before,
                                       Log& log);
  static Input load(const Config& config, Context& context, const engine::Unit& unit);
  static Result compute(const Config& config, const Input& input, const Rng& rng);
  static void append(const Config& config, const Result& result, engine::Rows& rows);
};

/// The kernel's options as the configuration means them: "auto" and 0 resolved.
epsf::Options effective_options(const Config& config);

/// Cost of a frame: its stars are what counts, and those of a large one are limited.
/// @param used its pixels that are used
double epsf_cost(const Box& used);

/// Cells of a frame that hold at least one active source (or all, as configured).
/// @param x, y positions of the active sources in pixels of the frame that are used
std::vector<epsf::Cell> active_cells(const Config& config, const Box& frame,
                                     const std::vector<double>& x, const std::vector<double>& y);

Schema epsf_schema(const Config& config, const Survey& survey);

}  // namespace skyloom::photometry
