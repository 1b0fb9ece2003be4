#pragma once
// Stage `fit`: the fit of every patch: all bands at once, every band by itself, or forced (fluxes
// per image at held positions and shapes). Unit: one patch.

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/photometry/config.hpp"
#include "pipelines/photometry/field.hpp"
#include "pipelines/photometry/fit/kernel.hpp"
#include "pipelines/photometry/patches/kernel.hpp"
#include "skyloom/engine/stage.hpp"

namespace skyloom::photometry {

/// PSF of one cell of a frame, and why.
struct CellPsf {
  Box box;  ///< of the cell, in pixels of the ePSF's frame
  std::shared_ptr<const sky::Psf> psf;
  bool low_stars = false;
  std::string fallback_reason;  ///< empty unless it is the fallback
};

/// Which PSF a frame is fitted with, and why.
struct PsfChoice {
  std::shared_ptr<const sky::Psf> psf;
  bool in_image_pixels = false;  ///< evaluated at image pixels (given PSF), else in Field::used_box
  bool used_epsf = false;
  bool low_stars = false;
  std::string fallback_reason;  ///< empty unless it is the fallback
  /// Where every cell has a PSF of its own (epsf.method = "anderson-king"); those without one have
  /// the fallback.
  std::vector<CellPsf> cells;
};

struct FitStage {
  static constexpr std::string_view name = "fit";
  using Config = photometry::Config;

  /// What the patches of a field share.
  struct OpenField {
    const Field* field = nullptr;
    std::vector<std::unique_ptr<surveys::FrameReader>> readers;
    std::vector<std::unique_ptr<sky::Wcs>> wcs;  ///< frame_wcs(); null for frames on the grid
    std::unique_ptr<sky::Wcs> white_wcs;         ///< null when all frames are on the grid
    std::vector<PsfChoice> psfs;
    std::size_t first_row = 0;  ///< of /sources
    std::vector<std::uint8_t> active;
    std::vector<fit::SourceStart> starts;  ///< of every catalogue row, white frame
    std::vector<std::uint8_t> type_unknown;
    std::vector<std::size_t> by_y;  ///< rows with finite positions, by increasing y
  };
  struct Context {
    Survey survey;
    const engine::Products* before = nullptr;
    const Table* sources = nullptr;
    const Table* patches = nullptr;
    std::vector<std::size_t> field_of_patch;
    std::map<std::size_t, std::unique_ptr<OpenField>> open;  ///< the last few fields of this rank
    Log* log = nullptr;
  };
  /// One call of the kernel and what its bands and frames are.
  struct Run {
    fit::Input kernel;
    std::vector<int> bands;           ///< band of the field of every kernel band
    std::vector<std::size_t> frames;  ///< frame of the field of every kernel frame
  };
  /// Everything but pixels.
  struct Patch {
    std::string field;  ///< "" when there is only one
    std::string patch_tag;
    std::string epsf_tag;
    Box base;
    Box roi;
    std::vector<std::int64_t> source_row;    ///< of /sources, of every kernel source
    std::vector<std::uint8_t> type_unknown;  ///< its TYPE was replaced by patch_run.gal_model
    std::size_t n_base = 0;                  ///< the first ones are reported
    std::vector<fit::SourceType> types;
    std::vector<double> x;  ///< starting positions in the patch
    std::vector<double> y;
    std::vector<std::string> bands;  ///< of the field
    std::vector<int> band_of_frame;
    std::size_t first_frame = 0;  ///< row of /frames of the field's first one
    std::vector<PsfChoice> psfs;  ///< per frame of the field
    /// A bad pixel at the source's position: [frame of the field][reported source]
    std::vector<std::vector<std::uint8_t>> masked;
  };
  struct Input {
    Patch patch;
    std::vector<Run> runs;
    std::vector<std::uint8_t> on_grid;  ///< per frame of the field
  };
  struct RunResult {
    std::vector<int> bands;
    std::vector<std::size_t> frames;
    fit::Result kernel;
  };
  struct Result {
    Patch patch;
    std::vector<RunResult> runs;
    Image<float> white_model;  ///< of the base box; empty when not kept
  };

  static std::vector<std::string> inputs(const Config& config);
  static std::vector<std::string> needs() { return {"frames", "epsf", "patches"}; }
  static engine::Plan plan(const Config& config, const engine::Products& before);
  static std::unique_ptr<Context> open(const Config& config, const engine::Products& before,
                                       Log& log);
  static Input load(const Config& config, Context& context, const engine::Unit& unit);
  static Result compute(const Config& config, const Input& input, const Rng& rng);
  static void append(const Config& config, const Result& result, engine::Rows& rows);
};

/// Names of the columns of a fit: one set that all bands share, or one per band.
struct FitNames {
  bool apart = false;
  /// The sets: {""}, or the bands.
  [[nodiscard]] std::vector<std::string> sets(const std::vector<std::string>& bands) const;
  /// "Re" -> "Re_fit" or "Re_<band>_fit"
  [[nodiscard]] std::string fitted(const std::string& stem, const std::string& set) const;
  /// "flags" -> "flags" or "flags_<band>"
  [[nodiscard]] std::string plain(const std::string& stem, const std::string& set) const;
};

/// Columns of /fit after `source`: pixel bookkeeping, audit, and the fit (photometry.md 14.2).
std::vector<Column> fit_columns(const FitNames& names, const std::vector<std::string>& bands);

/// PSF of every frame of a field: the given one, the ePSF, or the fallback (photometry.md 9.2).
std::vector<PsfChoice> choose_psfs(const Config& config, const Field& field,
                                   const engine::Products& before);

/// The choice at a place in pixels of the PSF: that of the cell which holds it, or of the nearest one
/// when none does. `cells` is empty.
PsfChoice choice_at(const PsfChoice& frame, double x, double y);

/// What the log says about fallbacks; empty = there is none.
std::string fallback_text(const PsfChoice& choice);

/// True for the four TYPE values that name a model.
bool is_model_type(const std::string& type);

/// Starting values of the rows [first, last) of /sources in white pixels (photometry.md 9.4); NaN
/// fluxes are unknown.
std::vector<fit::SourceStart> starting_values(const Config& config, const Table& sources,
                                              std::pair<std::size_t, std::size_t> rows,
                                              const std::vector<std::string>& bands);

}  // namespace skyloom::photometry
