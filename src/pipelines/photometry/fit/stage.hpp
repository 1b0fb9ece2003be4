#pragma once
// Stage `fit`: the fit of every patch: all bands at once, every band by itself, or forced (fluxes
// per image at held positions and shapes). Unit: one patch, in the order of /patches.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pipelines/photometry/config.hpp"
#include "pipelines/photometry/field.hpp"
#include "pipelines/photometry/fit/kernel.hpp"
#include "pipelines/photometry/patches/geometry.hpp"
#include "pipelines/photometry/patches/payload.hpp"
#include "skyloom/engine/stage.hpp"
#include "skyloom/sky/psf_mixture.hpp"

namespace skyloom::photometry {

/// What of a frame's PSF is rendered as a sum of Gaussians fitted to its stamp.
enum class Gaussians : std::uint8_t {
  none,
  very_wide,  ///< what the terms of galaxies wider than sky::kVeryWidePix are convolved with
  galaxies,   ///< what galaxies are convolved with; stars are the stamp
  all,        ///< the Gaussians are the PSF
};

/// Which PSF a frame is fitted with, and why.
struct PsfChoice {
  std::shared_ptr<const sky::Psf> psf;  ///< before Gaussians take its place
  std::string model;                    ///< after patch_run.psf_model or .psf_fallback_model
  Gaussians gaussians = Gaussians::none;
  int n_gaussians = 0;
  bool has_parameters = false;   ///< a sum of Gaussians: widths and weights, which are held
  bool in_image_pixels = false;  ///< evaluated at image pixels (given PSF), else in Field::used_box
  bool used_epsf = false;
  bool low_stars = false;
  std::string fallback_reason;  ///< empty unless it is the fallback
};

/// PSF of one cell of a frame (epsf.method = "anderson-king").
struct CellPsf {
  Box box;  ///< in Field::used_box
  PsfChoice choice;
};

/// Gaussians fitted to the PSF of a frame at the centre of an ePSF cell.
struct CellMixture {
  sky::PsfMixture mixture;
  std::shared_ptr<const sky::Psf> psf;  ///< of these Gaussians alone; for Gaussians::all
};

struct FitStage {
  static constexpr std::string_view name = "fit";
  using Config = photometry::Config;

  /// What the patches of a field share.
  struct OpenField {
    const Field* field = nullptr;
    std::vector<std::unique_ptr<surveys::FrameReader>> readers;  ///< none when pixels are saved
    std::unique_ptr<FrameGrids> grids;
    std::vector<PsfChoice> psfs;
    /// Per frame; where there are any they take the place of the frame's choice.
    std::vector<std::vector<CellPsf>> cell_psfs;
    std::map<std::pair<std::size_t, std::size_t>, CellMixture> mixtures;  ///< by frame and cell
    std::size_t first_row = 0;                                            ///< of /sources
    std::size_t first_patch = 0;                                          ///< row of /patches
    Table patches;                                                        ///< its rows of /patches
    std::vector<std::uint8_t> describes_cell;  ///< of every patch: Patch::describes_cell
    std::unique_ptr<SavedPixels> saved;        ///< null when pixels are read from the images
    std::vector<std::uint8_t> active;
    std::vector<fit::SourceStart> starts;  ///< of every catalogue row, white frame
    std::vector<std::uint8_t> type_unknown;
    std::vector<std::size_t> by_y;  ///< rows with finite positions, by increasing y
  };
  struct Context {
    Survey survey;
    const engine::Products* before = nullptr;
    RecentFields<OpenField> open;
    Log* log = nullptr;
    std::shared_ptr<fit::Workspace> workspace = fit::make_workspace();
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
    bool describes_cell = false;  ///< the one patch per cell that writes /psf_mixtures
    std::vector<std::pair<std::size_t, sky::PsfMixture>> mixtures;  ///< by frame of the field
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
std::vector<PsfChoice> choose_psfs(const Config& config, const Survey& survey, const Field& field,
                                   const engine::Products& before);

/// PSFs of the cells of every frame, for frames whose ePSF is an array per cell: a cell without
/// one, or with one of too few stars, has the fallback.
std::vector<std::vector<CellPsf>> choose_cell_psfs(const Config& config, const Survey& survey,
                                                   const Field& field,
                                                   const engine::Products& before);

/// What the stage epsf made for a row of /cells, however few stars are behind it; null for nothing.
std::shared_ptr<const sky::Psf> built_psf(const Config& config, const engine::Products& before,
                                          std::size_t cell);

/// The PSF of a frame in a patch: evaluated where epsf.evaluate asks for (itself, or held at the
/// centre of the patch or of its cell), with Gaussians where the choice wants them. Where a PSF
/// varies over the field its Gaussians are those of the cell's centre throughout the cell: a fit
/// takes some 30 ms. Adds them to the patch that describes its cell. Notes the choice of a cell in
/// the patch.
std::shared_ptr<const sky::Psf> patch_psf(const Config& config, FitStage::OpenField& open,
                                          std::size_t frame, FitStage::Patch& patch);

/// True for the four TYPE values that name a model.
bool is_model_type(const std::string& type);

/// Starting values in white pixels (photometry.md 9.4); NaN fluxes are unknown.
/// @param sources rows of /sources that belong to one field; with the column `field` where there
/// are many
std::vector<fit::SourceStart> starting_values(const Config& config, const Table& sources,
                                              const std::vector<std::string>& bands);

}  // namespace skyloom::photometry
