#pragma once
// Stage `epsf`: the effective PSF of every frame that brings none of its own, on the pixels of the
// frame that are used. Unit: one frame; the cells are where the model is reported.

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/photometry/config.hpp"
#include "pipelines/photometry/epsf/kernel.hpp"
#include "pipelines/photometry/field.hpp"
#include "skyloom/engine/stage.hpp"

namespace skyloom::photometry {

struct EpsfStage {
  static constexpr std::string_view name = "epsf";
  using Config = photometry::Config;

  struct Context {
    Survey survey;
    std::vector<std::size_t> frames;  ///< row of /frames of every unit
    const Table* sources = nullptr;
    std::map<std::size_t, Table> gaia;  ///< of a field, read when first needed
    Log* log = nullptr;
  };
  struct Input {
    std::string field;  ///< "" when there is only one
    std::string band;
    int frame = 0;  ///< row of /frames
    epsf::Options options;
    epsf::Input kernel;
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
  static std::vector<std::string> needs() { return {"frames"}; }
  static engine::Plan plan(const Config& config, const engine::Products& before);
  static std::unique_ptr<Context> open(const Config& config, const engine::Products& before,
                                       Log& log);
  static Input load(const Config& config, Context& context, const engine::Unit& unit);
  static Result compute(const Config& config, const Input& input, const Rng& rng);
  static void append(const Config& config, const Result& result, engine::Rows& rows);
};

/// The kernel's options as the configuration means them: "auto" and 0 resolved.
epsf::Options effective_options(const Config& config);

/// Cells of a frame that hold at least one active source (or all, as configured).
/// @param x, y positions of the active sources in pixels of the frame that are used
std::vector<epsf::Cell> active_cells(const Config& config, const Box& frame,
                                     const std::vector<double>& x, const std::vector<double>& y);

/// Active sources of a field: positions in the white frame.
struct ActivePositions {
  std::vector<double> x;
  std::vector<double> y;
};
ActivePositions active_positions(const Survey& survey, const Field& field, const Table& sources);

/// Frames without a PSF of their own in fields with active sources (or in all, as configured), rows
/// of /frames in order.
std::vector<std::size_t> frames_without_psf(const Config& config, const Survey& survey,
                                            const Table& sources);

Schema epsf_schema(const Config& config, const Survey& survey);

}  // namespace skyloom::photometry
