#pragma once
// Stage `epsf`: the effective PSF of every frame that brings none of its own. Unit: one frame; the
// cells are where the model is reported.

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
    Field field;
    std::vector<std::size_t> frames;  ///< frame of every unit
    const Table* sources = nullptr;
    Table gaia;                            ///< empty when there is none
    std::vector<epsf::Cell> cells;         ///< active ones
    std::vector<fit::SourceStart> starts;  ///< of the sources; with two passes only
    std::unique_ptr<sky::Wcs> wcs;         ///< of the white frame
    Log* log = nullptr;
  };
  struct Input {
    std::string band;
    int frame = 0;
    epsf::Options options;
    epsf::Input kernel;
    Log* log = nullptr;
  };
  struct Result {
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

/// Cells that hold at least one active source (or all, as configured).
std::vector<epsf::Cell> active_cells(const Config& config, const Field& field,
                                     const Table& sources);

/// Frames without a PSF of their own, in order.
std::vector<std::size_t> frames_without_psf(const Field& field);

Schema epsf_schema(const Config& config);

}  // namespace skyloom::photometry
