#pragma once
// Stage `convolve`: every combined skycell with what its neighbours lend it, convolved. Units: the
// cells that `combine` finished.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pipelines/skycells/config.hpp"
#include "pipelines/skycells/convolve/kernel.hpp"
#include "pipelines/skycells/convolve/kernel_owned.hpp"
#include "pipelines/skycells/convolve/kernel_window.hpp"
#include "pipelines/skycells/stored.hpp"
#include "skyloom/core/runs.hpp"
#include "skyloom/engine/stage.hpp"
#include "skyloom/numerics/gaussian.hpp"

namespace skyloom::skycells {

struct ConvolveStage {
  static constexpr std::string_view name = "convolve";
  using Config = skycells::Config;

  struct Context {
    const engine::Products* products = nullptr;
    std::optional<StoredCells> cells;
    std::optional<numerics::MultirateGaussian> gaussian;       ///< of the streaming form
    std::optional<numerics::GaussianConvolution> convolution;  ///< of the plain one
    /// Cells that the last unit used, by row of /list and which missing pixels.
    std::map<std::pair<std::size_t, MissingRows>, std::shared_ptr<const CombinedCell>> kept;
  };
  struct Input {
    const StoredCell* cell = nullptr;
    CellGeometry geometry;
    RimRules rules;
    Neighbours neighbours;
    Context* context = nullptr;
    std::vector<std::shared_ptr<const CombinedCell>> combined;  ///< with the streaming form
    Surroundings around;                                        ///< of these
    PixelSurroundings pixels;                                   ///< with the plain one
    RunBytes mask;
  };
  struct Result {
    const StoredCell* cell = nullptr;
    CellGeometry geometry;
    std::optional<ConvolvedCell> streamed;
    Image<float> pixels;               ///< of the plain form
    std::optional<OwnedPixels> owned;  ///< with io.extract = "unique"
    RunBytes mask;
  };

  static std::vector<std::string> inputs(const Config& /*config*/) { return {}; }
  static std::vector<std::string> needs() { return {"combine"}; }
  static std::string slab_file(const Config& config);
  static engine::Plan plan(const Config& config, const engine::Products& before);
  static std::unique_ptr<Context> open(const Config& config, const engine::Products& before,
                                       Log& log);
  static Input load(const Config& config, Context& context, const engine::Unit& unit);
  static Result compute(const Config& config, const Input& input, const Rng& rng);
  static void append(const Config& config, const Result& result, engine::Rows& rows);
};

}  // namespace skyloom::skycells
