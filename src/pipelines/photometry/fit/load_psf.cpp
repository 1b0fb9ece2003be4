// Which PSF a frame is fitted with (photometry.md 9.2).

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "pipelines/photometry/fit/stage.hpp"
#include "skyloom/sky/field_psf.hpp"
#include "skyloom/sky/grid_psf.hpp"
#include "skyloom/surveys/psf_file.hpp"

namespace skyloom::photometry {
namespace {

/// Gaussians that stand for a Moffat fallback in galaxies.
constexpr int kMoffatTerms = 3;

/// The fallback of a frame and what of it is rendered as Gaussians.
void choose_fallback(const Config& config, const surveys::FrameInfo& info, PsfChoice& choice) {
  const Config::PatchRun& p = config.patch_run;
  const double fwhm =
      std::max(1.0, std::isfinite(info.fwhm_pix) ? info.fwhm_pix : p.fallback_default_fwhm_pix);
  const double s = fwhm / 2.3548200450309493;
  const double radius = p.fallback_stamp_radius_pix;
  choice.model = p.psf_fallback_model;
  if (p.psf_fallback_model == "moffat") {
    // An undersampled Moffat needs its finer sampling; at 2 samples per pixel it costs nothing.
    choice.psf = sky::make_moffat_psf(fwhm, config.moffat_psf.beta, config.moffat_psf.radius_pix,
                                      fwhm < 2.5 ? 2 : 1);
    if (p.galaxy_psf_fallback == "mixture") {
      choice.model = "moffat+gaussian_mixture";
      choice.gaussians = Gaussians::galaxies;
      choice.n_gaussians = kMoffatTerms;
    }
    return;
  }
  choice.has_parameters = true;
  if (p.psf_fallback_model == "gaussian_mixture") {
    choice.psf = sky::make_gaussian_psf({s}, {1.0}, radius);
    choice.gaussians = Gaussians::all;
    choice.n_gaussians = p.gaussian_mixture_n;
    return;
  }
  switch (p.ncircular_gaussian_n) {
    case 1:
      choice.psf = sky::make_gaussian_psf({s}, {1.0}, radius);
      return;
    case 2:
      choice.psf = sky::make_gaussian_psf({s, 2.5 * s}, {0.85, 0.15}, radius);
      return;
    default:
      choice.psf = sky::make_gaussian_psf({s, 2.0 * s, 4.0 * s}, {0.80, 0.15, 0.05}, radius);
  }
}

/// An ePSF or a given PSF is rendered as patch_run.psf_model asks for.
void choose_model(const Config& config, PsfChoice& choice) {
  const Config::PatchRun& p = config.patch_run;
  choice.model = p.psf_model;
  if (p.psf_model == "hybrid") {
    choice.gaussians = Gaussians::very_wide;
    choice.n_gaussians = p.hybrid_psf_n;
  } else if (p.psf_model == "gaussian_mixture_from_stamp") {
    choice.gaussians = Gaussians::all;
    choice.n_gaussians = p.gaussian_mixture_n;
    choice.has_parameters = true;
  }
}

/// Notes that an ePSF of so few stars is not used; @return true when it is not.
bool has_too_few_stars(const Config& config, int n_stars, PsfChoice& choice) {
  const int least = config.patch_run.min_epsf_nstars_for_use;
  if (least > 0 && n_stars < least) {
    choice.low_stars = true;
    choice.fallback_reason =
        fmt::format("low-star ePSF (nstars_used={} < min_epsf_nstars_for_use={})", n_stars, least);
  }
  return choice.low_stars;
}

/// The array in one row of /psf_grids.
Image<float> stored_array(const Table& grids, std::size_t row) {
  const auto side = static_cast<int>(grids.columns()[grids.position("samples")].shape[0]);
  const auto& samples = grids.get<float>("samples");
  Image<float> array(side, side);
  const std::size_t n = array.pixels().size();
  std::copy_n(samples.begin() + static_cast<std::ptrdiff_t>(row * n), n, array.pixels().begin());
  return array;
}

bool has_arrays(const Config& config) {
  return config.epsf.kernel.method == "anderson-king";
}

/// The PSF model of a frame, or null when the stage epsf has none.
std::shared_ptr<const sky::Psf> stored_psf(const Table& models, int frame) {
  const auto& parameter = models.get<std::string>("parameter");
  const auto& index = models.get<std::int32_t>("index");
  const auto& value = models.get<double>("value");
  sky::FieldPsf::Parameters parameters;
  const auto [first, last] = rows_of_frame(models, frame);
  for (std::size_t i = first; i < last; ++i) {
    if (parameters.empty() || parameters.back().first != parameter[i]) {
      parameters.emplace_back(parameter[i], std::vector<double>{});
    }
    if (index[i] >= 0) {
      parameters.back().second.push_back(value[i]);
    }
  }
  return parameters.empty() ? nullptr : sky::FieldPsf::from_parameters(parameters);
}

}  // namespace

std::vector<PsfChoice> choose_psfs(const Config& config, const Survey& survey, const Field& field,
                                   const engine::Products& before) {
  const Table bands = field_rows(survey, before, "epsf", "bands", field).table;
  const Table models = field_rows(survey, before, "epsf", "psf_models", field).table;
  std::vector<PsfChoice> out;
  for (std::size_t i = 0; i < field.size(); ++i) {
    PsfChoice choice;
    const surveys::FrameSpec& spec = field.specs[i];
    if (!spec.psf.empty()) {
      choice.psf = surveys::load_psf(spec.psf, spec.psf_origin_x_pix, spec.psf_origin_y_pix);
      choice.in_image_pixels = true;
      choose_model(config, choice);
      out.push_back(std::move(choice));
      continue;
    }
    if (has_arrays(config)) {
      choose_fallback(config, field.infos[i], choice);  // where no cell is near
      out.push_back(std::move(choice));
      continue;
    }
    const auto row_of_frame = static_cast<int>(field.first_frame + i);
    const auto model = stored_psf(models, row_of_frame);
    if (model == nullptr) {
      choice.fallback_reason = "missing ePSF";
    } else {
      const std::size_t row = rows_of_frame(bands, row_of_frame).first;
      has_too_few_stars(config, bands.get<std::int32_t>("n_stars")[row], choice);
    }
    choice.used_epsf = choice.fallback_reason.empty();
    if (choice.used_epsf) {
      choice.psf = model;
      choose_model(config, choice);
    } else {
      choose_fallback(config, field.infos[i], choice);
    }
    out.push_back(std::move(choice));
  }
  return out;
}

namespace {

/// Cells of the frame in one row of /frames.
std::vector<CellPsf> cells_of_frame(const Config& config, const Table& grids,
                                    const surveys::FrameInfo& info, int frame) {
  const auto number = [&](const char* column, std::size_t row) {
    return grids.get<std::int32_t>(column)[row];
  };
  std::vector<CellPsf> cells;
  std::vector<sky::GridPsfCell> arrays;
  int oversamp = 1;
  const auto [first, last] = rows_of_frame(grids, frame);
  for (std::size_t i = first; i < last; ++i) {
    CellPsf cell;
    cell.box = {number("x0", i), number("x1", i), number("y0", i), number("y1", i)};
    if (grids.get<std::uint8_t>("built")[i] == 0) {
      cell.choice.fallback_reason = "missing ePSF";
    } else if (!has_too_few_stars(config, number("nstars_used", i), cell.choice)) {
      oversamp = number("oversamp", i);
      arrays.push_back({0.5 * (cell.box.x0 + cell.box.x1 - 1),
                        0.5 * (cell.box.y0 + cell.box.y1 - 1), stored_array(grids, i)});
      if (!config.epsf.interpolate) {
        cell.choice.psf = sky::make_stamp_psf(arrays.back().samples, oversamp, false);
      }
    }
    cells.push_back(std::move(cell));
  }
  std::shared_ptr<const sky::Psf> between;
  if (config.epsf.interpolate && !arrays.empty()) {
    between = std::make_shared<const sky::GridPsf>(std::move(arrays), oversamp, true);
  }
  for (CellPsf& cell : cells) {
    PsfChoice& choice = cell.choice;
    choice.used_epsf = choice.fallback_reason.empty();
    if (!choice.used_epsf) {
      choose_fallback(config, info, choice);
      continue;
    }
    if (choice.psf == nullptr) {
      choice.psf = between;
    }
    choose_model(config, choice);
  }
  return cells;
}

}  // namespace

std::shared_ptr<const sky::Psf> built_psf(const Config& config, const engine::Products& before,
                                          std::size_t cell) {
  const Table& cells = before.table("epsf", "cells");
  const std::int32_t frame = cells.get<std::int32_t>("frame")[cell];
  if (!has_arrays(config)) {
    return stored_psf(before.table("epsf", "psf_models"), frame);
  }
  const Table& grids = before.table("epsf", "psf_grids");
  const std::string& tag = cells.get<std::string>("epsf_tag")[cell];
  const auto [first, last] = rows_of_frame(grids, frame);
  for (std::size_t i = first; i < last; ++i) {
    if (grids.get<std::string>("epsf_tag")[i] == tag && grids.get<std::uint8_t>("built")[i] != 0) {
      return sky::make_stamp_psf(stored_array(grids, i), grids.get<std::int32_t>("oversamp")[i],
                                 false);
    }
  }
  return nullptr;
}

std::vector<std::vector<CellPsf>> choose_cell_psfs(const Config& config, const Survey& survey,
                                                   const Field& field,
                                                   const engine::Products& before) {
  std::vector<std::vector<CellPsf>> out(field.size());
  if (!has_arrays(config)) {
    return out;
  }
  const Table grids = field_rows(survey, before, "epsf", "psf_grids", field).table;
  for (std::size_t i = 0; i < field.size(); ++i) {
    if (field.specs[i].psf.empty()) {
      out[i] =
          cells_of_frame(config, grids, field.infos[i], static_cast<int>(field.first_frame + i));
    }
  }
  return out;
}

namespace {

/// Number and box of the ePSF cell that a patch lies in.
std::pair<std::size_t, Box> cell_of(const Config& config, const Field& field, const Box& base) {
  const std::vector<Box> cells = grid_boxes(field.box(), config.epsf.epsf_ngrid);
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (cells[i].contains(base.x0, base.y0)) {
      return {i, cells[i]};
    }
  }
  return {cells.size(), base};
}

/// Where a frame sees the centre of a box of the white frame, in pixels of its PSF.
std::pair<double, double> centre_in(const FitStage::OpenField& open, std::size_t frame,
                                    const Box& box) {
  const int origin = open.psfs[frame].in_image_pixels ? open.field->origin(frame) : 0;
  const auto [x, y] =
      open.grids->frame_pixel(frame, 0.5 * (box.x0 + box.x1 - 1), 0.5 * (box.y0 + box.y1 - 1));
  return {x + origin, y + origin};
}

/// The choice of a frame for the patches of a cell of the white frame: that of the frame's own cell
/// which holds its centre, or of the nearest one when none does.
const PsfChoice& choice_for(const FitStage::OpenField& open, std::size_t frame, const Box& cell) {
  const PsfChoice* best = &open.psfs[frame];
  if (open.cell_psfs[frame].empty()) {
    return *best;
  }
  const auto [x, y] = centre_in(open, frame, cell);
  double distance = std::numeric_limits<double>::infinity();
  for (const CellPsf& candidate : open.cell_psfs[frame]) {
    const Box& box = candidate.box;
    const double d = box.contains(x, y) ? -1.0
                                        : std::hypot(0.5 * (box.x0 + box.x1 - 1) - x,
                                                     0.5 * (box.y0 + box.y1 - 1) - y);
    if (d < distance) {
      distance = d;
      best = &candidate.choice;
    }
  }
  return *best;
}

/// Made when a patch of the cell first needs it; a PSF that is the same everywhere has one for all
/// cells.
const CellMixture& cell_mixture(FitStage::OpenField& open, const PsfChoice& choice,
                                std::size_t frame, std::size_t number, const Box& cell) {
  const bool same_everywhere = choice.psf->is_constant() && open.cell_psfs[frame].empty();
  CellMixture& entry = open.mixtures[{frame, same_everywhere ? 0 : number}];
  if (entry.mixture.terms.empty()) {
    const auto [x, y] = centre_in(open, frame, cell);
    entry.mixture = sky::fit_psf_mixture(choice.psf->at(x, y), choice.n_gaussians);
    if (choice.gaussians == Gaussians::all) {
      entry.psf = sky::make_mixture_psf(entry.mixture);
    }
  }
  return entry;
}

}  // namespace

std::shared_ptr<const sky::Psf> patch_psf(const Config& config, FitStage::OpenField& open,
                                          std::size_t frame, FitStage::Patch& patch) {
  const auto [number, cell] = cell_of(config, *open.field, patch.base);
  const PsfChoice& choice = choice_for(open, frame, cell);
  patch.psfs[frame] = choice;
  std::shared_ptr<const sky::Psf> psf = choice.psf;
  if (config.epsf.evaluate != "source" && !psf->is_constant()) {
    const auto [x, y] = centre_in(open, frame, config.epsf.evaluate == "cell" ? cell : patch.base);
    const sky::PsfStamp stamp = psf->at(x, y);
    psf = sky::make_stamp_psf(stamp.values, stamp.oversampling, false);
  }
  if (choice.gaussians == Gaussians::none) {
    return psf;
  }
  const CellMixture& gaussians = cell_mixture(open, choice, frame, number, cell);
  if (patch.describes_cell) {
    patch.mixtures.emplace_back(frame, gaussians.mixture);
  }
  if (choice.gaussians == Gaussians::all) {
    return gaussians.psf;
  }
  const bool hybrid = choice.gaussians == Gaussians::very_wide;
  return sky::with_mixture(std::move(psf), gaussians.mixture, hybrid ? sky::kVeryWidePix : 0.0);
}

}  // namespace skyloom::photometry
