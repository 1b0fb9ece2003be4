#pragma once
// Stage `patches`: cuts the active cells into fitting patches and, when asked to, keeps the pixels
// and sources of every patch, so that the fit needs no images. Units: the cells, then, for the
// pixels, the patches, each with its row of /patches as its source.

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/photometry/field.hpp"
#include "pipelines/photometry/patches/geometry.hpp"
#include "skyloom/engine/stage.hpp"

namespace skyloom::photometry {

struct PatchesStage {
  static constexpr std::string_view name = "patches";
  /// Saving one pixel of one frame (reading, noise, compression) over laying out a cell.
  static constexpr double kCostOfPixel = 1.5e-4;
  using Config = photometry::Config;

  struct OpenField {
    std::size_t first_row = 0;  ///< of /sources
    Table sources;              ///< its rows of it; positions alone when no pixels are saved
    FieldPatches patches;
    std::map<std::string, std::size_t> index_of;  ///< of a patch by its tag
    /// Filled when the first patch of the field is saved.
    std::vector<std::unique_ptr<surveys::FrameReader>> readers;
    PixelLayout layout;
  };
  struct Context {
    Survey survey;
    const engine::Products* before = nullptr;
    RecentFields<OpenField> open;
  };
  /// Rows of /patches of one cell.
  struct Cell {
    epsf::Cell cell;
    int row = 0;
    int column = 0;
    std::vector<FieldPatch> patches;
    std::vector<std::string> wcs;  ///< of every patch; empty when not wanted
  };
  /// What one patch is fitted to.
  struct Payload {
    struct Frame {
      int row = 0;        ///< of /frames
      std::string group;  ///< of its arrays
      PixelLayout::Place place;
      double flux_per_electron = 0.0;
      surveys::FramePixels pixels;
    };
    std::int64_t row = 0;  ///< of /patches
    FieldPatch patch;
    std::vector<Frame> frames;
    const Table* sources = nullptr;  ///< OpenField::sources
    std::size_t first_row = 0;
  };
  /// Exactly one member is filled.
  struct Input {
    std::string field;  ///< "" when there is only one
    std::optional<Cell> cell;
    std::optional<Payload> payload;
  };
  /// Noise per pixel of a frame, sqrt of the variance; infinite where the pixel is bad.
  struct Noise {
    Image<float> sky;
    Image<float> total;
  };
  struct Result {
    const Input* input = nullptr;
    std::vector<Noise> noise;  ///< of every frame of a payload
  };

  static std::vector<std::string> inputs(const Config& /*config*/) { return {}; }
  static std::vector<std::string> needs() { return {"frames"}; }
  static engine::Plan plan(const Config& config, const engine::Products& before);
  static std::unique_ptr<Context> open(const Config& config, const engine::Products& before,
                                       Log& log);
  static Input load(const Config& config, Context& context, const engine::Unit& unit);
  static Result compute(const Config& config, const Input& input, const Rng& rng);
  static void append(const Config& config, const Result& result, engine::Rows& rows);
};

}  // namespace skyloom::photometry
