#pragma once
// Stage `frames`: reads and validates images and catalogue, scales, crops, flags sources, completes
// them with Gaia stars, and stacks the white image. Units: the catalogue, every frame, and row
// chunks of the white stack.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/photometry/config.hpp"
#include "pipelines/photometry/field.hpp"
#include "pipelines/photometry/frames/kernel_gaia.hpp"
#include "skyloom/engine/stage.hpp"

namespace skyloom::photometry {

struct FramesStage {
  static constexpr std::string_view name = "frames";
  using Config = photometry::Config;

  struct Context {
    Field field;
    std::vector<std::unique_ptr<surveys::FrameReader>> readers;
    int chunk_rows = 0;
    int chunks = 0;
  };

  /// What one unit needs; exactly one member is filled.
  struct Input {
    struct Sources {
      Table catalogue;            ///< base_catalogue()
      std::vector<double> x_pix;  ///< white frame
      std::vector<double> y_pix;
      std::vector<int> bands_hit;  ///< bands saturated near the source
      int n_bands = 0;
      Box box;  ///< white frame
      std::vector<std::string> bands;
      std::optional<frames::GaiaStars> gaia;  ///< within the magnitude limits; when calibrating
    };
    struct Frame {
      surveys::FrameSpec spec;
      surveys::FrameInfo info;
      std::int64_t n_good = 0;
      std::int64_t n_not_finite = 0;
      std::int64_t n_saturated = 0;
      std::int64_t n_masked = 0;
    };
    struct White {
      int y0 = 0;
      std::vector<surveys::FramePixels> frames;
    };
    std::optional<Sources> sources;
    std::optional<Frame> frame;
    std::optional<White> white;
  };

  struct Result {
    Table sources;
    std::optional<Input::Frame> frame;
    int y0 = 0;
    Image<float> white;
    Image<float> sigma;
  };

  static std::vector<std::string> inputs(const Config& config);
  static std::vector<std::string> needs() { return {}; }
  static engine::Plan plan(const Config& config, const engine::Products& before);
  static std::unique_ptr<Context> open(const Config& config, const engine::Products& before,
                                       Log& log);
  static Input load(const Config& config, Context& context, const engine::Unit& unit);
  static Result compute(const Config& config, const Input& input, const Rng& rng);
  static void append(const Config& config, const Result& result, engine::Rows& rows);
};

/// The input catalogue, canonical columns first, without columns that this stage makes anew. When
/// zero points are measured it has FLUX_<band> of every band, missing where the file has none.
Table base_catalogue(const Config& config, const std::vector<std::string>& bands);

/// Columns that this stage adds to the base catalogue.
std::vector<Column> added_source_columns();

/// Schema of /frames and the slabs; /sources takes the columns of the base catalogue.
Schema frames_schema(const Field& field, const Table& catalogue);

}  // namespace skyloom::photometry
