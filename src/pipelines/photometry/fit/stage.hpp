#pragma once
// Stage `fit`: the simultaneous multi-band fit of every patch. Unit: one patch.

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

/// Which PSF a frame is fitted with, and why.
struct PsfChoice {
  std::shared_ptr<const sky::Psf> psf;
  bool in_image_pixels = false;  ///< evaluated at image pixels (given PSF), else white pixels
  bool used_epsf = false;
  bool low_stars = false;
  std::string fallback_reason;  ///< empty unless it is the fallback
};

struct FitStage {
  static constexpr std::string_view name = "fit";
  using Config = photometry::Config;

  struct Context {
    Field field;
    std::vector<std::unique_ptr<surveys::FrameReader>> readers;
    std::vector<PsfChoice> psfs;
    const Table* sources = nullptr;
    const Table* patches = nullptr;
    std::vector<std::uint8_t> active;
    std::vector<fit::SourceStart> starts;  ///< of every catalogue row, white frame
    std::vector<std::uint8_t> type_unknown;
    std::vector<std::size_t> by_y;  ///< rows with finite positions, by increasing y
    std::shared_ptr<fit::Workspace> workspace = fit::make_workspace();
  };
  struct Input {
    std::string patch_tag;
    std::string epsf_tag;
    Box base;
    Box roi;
    fit::Input kernel;
    std::vector<std::int64_t> source_row;    ///< catalogue row of every kernel source
    std::vector<std::uint8_t> type_unknown;  ///< its TYPE was replaced by patch_run.gal_model
    std::size_t n_base = 0;                  ///< the first ones are reported
    std::vector<std::string> bands;
    std::vector<PsfChoice> psfs;
  };
  struct Result {
    Input input;  ///< without pixels
    fit::Result kernel;
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

/// Columns of /fit after `source`: pixel bookkeeping, audit, and the fit (photometry.md 14.2).
std::vector<Column> fit_columns(const std::vector<std::string>& bands);

/// PSF of every frame: the given one, the ePSF, or the fallback (photometry.md 9.2).
std::vector<PsfChoice> choose_psfs(const Config& config, const Field& field,
                                   const engine::Products& before);

/// True for the four TYPE values that name a model.
bool is_model_type(const std::string& type);

/// Starting values of every catalogue row in white pixels (photometry.md 9.4); NaN fluxes are
/// unknown.
std::vector<fit::SourceStart> starting_values(const Config& config, const Table& sources,
                                              const std::vector<std::string>& bands);

}  // namespace skyloom::photometry
