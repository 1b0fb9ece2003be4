#pragma once
// Stage `frames`: reads and validates images and catalogues, scales, crops, flags sources,
// completes them with Gaia stars, and stacks the white image of every field. Units of a field: its
// catalogue, every frame, and row chunks of the white stack.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pipelines/photometry/config.hpp"
#include "pipelines/photometry/field.hpp"
#include "pipelines/photometry/frames/kernel_gaia.hpp"
#include "skyloom/engine/stage.hpp"

namespace skyloom::photometry {

struct FramesStage {
  static constexpr std::string_view name = "frames";
  using Config = photometry::Config;

  struct OpenField {
    Field field;
    std::vector<std::unique_ptr<surveys::FrameReader>> readers;
    std::vector<std::unique_ptr<sky::Wcs>> wcs;  ///< frame_wcs() of every frame
  };
  struct Context {
    std::map<std::string, std::size_t> index;  ///< of a field by its name
    RecentFields<OpenField> open;
    Log* log = nullptr;
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
      surveys::FrameInfo info;
      std::string wcs_cards;
      bool on_grid = true;
      Box used;
      std::int64_t n_good = 0;
      std::int64_t n_not_finite = 0;
      std::int64_t n_saturated = 0;
      std::int64_t n_masked = 0;
    };
    struct White {
      Box box;          ///< image pixels
      Box cropped;      ///< the part of it that belongs to the white frame; may be empty
      int y0 = 0;       ///< row of the white frame where that begins
      int binning = 0;  ///< of the picture before cropping; 0 = not kept
      std::size_t n_frames = 0;
      /// Part of a frame on the field's grid, image pixels; strip by strip, since the rows of all
      /// frames at once would be too much. Valid until the next load.
      std::function<surveys::FramePixels(std::size_t frame, const Box& box)> read;
    };
    std::string field;  ///< its name; "" when there is only one
    std::optional<Sources> sources;
    std::optional<Frame> frame;
    std::optional<White> white;
  };

  struct Result {
    std::string field;
    Table sources;
    std::optional<Input::Frame> frame;
    /// Gaia stars in the selection box.
    struct Gaia {
      Box box;
      frames::GaiaStars stars;
      std::vector<std::uint8_t> injected;
    };
    std::optional<Gaia> gaia;
    int y0 = 0;
    Image<float> white;
    Image<float> sigma;
    int preview_y0 = 0;
    Image<float> preview;
  };

  static std::vector<std::string> inputs(const Config& config);
  /// All files of the field: grids and scales are those of its first frames.
  static std::vector<std::string> reads(const Config& config, const engine::Unit& unit);
  static std::vector<std::string> needs() { return {}; }
  static engine::Plan plan(const Config& config, const engine::Products& before);
  static std::unique_ptr<Context> open(const Config& config, const engine::Products& before,
                                       Log& log);
  static Input load(const Config& config, Context& context, const engine::Unit& unit);
  static Result compute(const Config& config, const Input& input, const Rng& rng);
  static void append(const Config& config, const Result& result, engine::Rows& rows);
};

/// The input catalogue of a field, canonical columns first, without columns that this stage makes
/// anew. When zero points are measured it has FLUX_<band> of every band, missing where the file has
/// none. @param notes of surveys::read_source_catalogue
Table base_catalogue(const Config& config, const Field& field,
                     std::vector<std::string>* notes = nullptr);

/// Row chunks of the white stack, (first, end) in image pixels. Where the picture before cropping
/// is kept they cover the whole image in whole blocks of that picture.
std::vector<std::pair<int, int>> white_chunks(const Config& config, const Field& field);

/// Blocks of the picture before cropping; 0 = it is not kept.
int preview_binning(const Config& config, const Field& field);

/// Columns that this stage adds to the base catalogue.
std::vector<Column> added_source_columns();

/// Schema of /sources, /frames and the slabs. @param sources columns of the base catalogues
Schema frames_schema(const Config& config, const Survey& survey, const TableSchema& sources);

}  // namespace skyloom::photometry
