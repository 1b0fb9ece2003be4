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

std::shared_ptr<const sky::Psf> fallback_psf(const Config& config, const surveys::FrameInfo& info) {
  const double fwhm =
      std::max(1.0, std::isfinite(info.fwhm_pix) ? info.fwhm_pix
                                                 : config.patch_run.fallback_default_fwhm_pix);
  if (config.patch_run.psf_fallback_model == "moffat") {
    // An undersampled Moffat needs its finer sampling; at 2 samples per pixel it costs nothing.
    return sky::make_moffat_psf(fwhm, config.moffat_psf.beta, config.moffat_psf.radius_pix,
                                fwhm < 2.5 ? 2 : 1);
  }
  const double s = fwhm / 2.3548200450309493;
  const double radius = config.patch_run.fallback_stamp_radius_pix;
  switch (config.patch_run.ncircular_gaussian_n) {
    case 1:
      return sky::make_gaussian_psf({s}, {1.0}, radius);
    case 2:
      return sky::make_gaussian_psf({s, 2.5 * s}, {0.85, 0.15}, radius);
    default:
      return sky::make_gaussian_psf({s, 2.0 * s, 4.0 * s}, {0.80, 0.15, 0.05}, radius);
  }
}

std::string low_stars_text(int n_stars, int least) {
  return fmt::format("low-star ePSF (nstars_used={} < min_epsf_nstars_for_use={})", n_stars, least);
}

/// The PSF model of a frame, or null when the stage epsf has none.
std::shared_ptr<const sky::FieldPsf> stored_psf(const Table& models, int frame) {
  const auto& frames = models.get<std::int32_t>("frame");
  const auto& parameter = models.get<std::string>("parameter");
  const auto& index = models.get<std::int32_t>("index");
  const auto& value = models.get<double>("value");
  sky::FieldPsf::Parameters parameters;
  for (std::size_t i = 0; i < models.rows(); ++i) {
    if (frames[i] != frame) {
      continue;
    }
    if (parameters.empty() || parameters.back().first != parameter[i]) {
      parameters.emplace_back(parameter[i], std::vector<double>{});
    }
    if (index[i] >= 0) {
      parameters.back().second.push_back(value[i]);
    }
  }
  return parameters.empty() ? nullptr : sky::FieldPsf::from_parameters(parameters);
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

/// Every cell of a frame with its own PSF, or the fallback where it has none or one of too few
/// stars.
void choose_by_cell(const Config& config, const Table& grids, int frame,
                    const std::shared_ptr<const sky::Psf>& fallback, PsfChoice& choice) {
  const auto& frames = grids.get<std::int32_t>("frame");
  const auto number = [&](const char* column, std::size_t row) {
    return grids.get<std::int32_t>(column)[row];
  };
  const int least = config.patch_run.min_epsf_nstars_for_use;
  std::vector<sky::GridPsfCell> arrays;
  int oversamp = 1;
  for (std::size_t i = 0; i < grids.rows(); ++i) {
    if (frames[i] != frame) {
      continue;
    }
    CellPsf cell;
    cell.box = {number("x0", i), number("x1", i), number("y0", i), number("y1", i)};
    const int n_stars = number("nstars_used", i);
    if (grids.get<std::uint8_t>("built")[i] == 0) {
      cell.fallback_reason = "missing ePSF";
    } else if (least > 0 && n_stars < least) {
      cell.low_stars = true;
      cell.fallback_reason = low_stars_text(n_stars, least);
    } else {
      oversamp = number("oversamp", i);
      arrays.push_back({0.5 * (cell.box.x0 + cell.box.x1 - 1),
                        0.5 * (cell.box.y0 + cell.box.y1 - 1), stored_array(grids, i)});
      if (!config.epsf.interpolate) {
        cell.psf = sky::make_stamp_psf(arrays.back().samples, oversamp, false);
      }
    }
    choice.cells.push_back(std::move(cell));
  }
  std::shared_ptr<const sky::Psf> between;
  if (config.epsf.interpolate && !arrays.empty()) {
    between = std::make_shared<const sky::GridPsf>(std::move(arrays), oversamp, true);
  }
  for (CellPsf& cell : choice.cells) {
    if (cell.psf == nullptr) {
      cell.psf = cell.fallback_reason.empty() ? between : fallback;
    }
  }
  choice.psf = fallback;
  choice.fallback_reason = "missing ePSF";
}

}  // namespace

PsfChoice choice_at(const PsfChoice& frame, double x, double y) {
  PsfChoice choice{frame.psf,       frame.in_image_pixels, frame.used_epsf,
                   frame.low_stars, frame.fallback_reason, {}};
  const CellPsf* best = nullptr;
  double distance = std::numeric_limits<double>::infinity();
  for (const CellPsf& cell : frame.cells) {
    const double d = cell.box.contains(x, y)
                         ? -1.0
                         : std::hypot(0.5 * (cell.box.x0 + cell.box.x1 - 1) - x,
                                      0.5 * (cell.box.y0 + cell.box.y1 - 1) - y);
    if (d < distance) {
      distance = d;
      best = &cell;
    }
  }
  if (best != nullptr) {
    choice.psf = best->psf;
    choice.low_stars = best->low_stars;
    choice.fallback_reason = best->fallback_reason;
    choice.used_epsf = best->fallback_reason.empty();
  }
  return choice;
}

std::string fallback_text(const PsfChoice& choice) {
  if (choice.cells.empty()) {
    return choice.fallback_reason;
  }
  const auto n = std::count_if(choice.cells.begin(), choice.cells.end(),
                               [](const CellPsf& cell) { return !cell.fallback_reason.empty(); });
  return n == 0 ? "" : fmt::format("{} of {} cells, see /cells", n, choice.cells.size());
}

std::vector<PsfChoice> choose_psfs(const Config& config, const Field& field,
                                   const engine::Products& before) {
  const Table& bands = before.table("epsf", "bands");
  const Table& models = before.table("epsf", "psf_models");
  std::vector<PsfChoice> out;
  for (std::size_t i = 0; i < field.size(); ++i) {
    PsfChoice choice;
    const surveys::FrameSpec& spec = field.specs[i];
    if (!spec.psf.empty()) {
      choice.psf = surveys::load_psf(spec.psf, spec.psf_origin_x_pix, spec.psf_origin_y_pix);
      choice.in_image_pixels = true;
      out.push_back(std::move(choice));
      continue;
    }
    const auto row_of_frame = static_cast<int>(field.first_frame + i);
    if (config.epsf.kernel.method == "anderson-king") {
      choose_by_cell(config, before.table("epsf", "psf_grids"), row_of_frame,
                     fallback_psf(config, field.infos[i]), choice);
      out.push_back(std::move(choice));
      continue;
    }
    const auto model = stored_psf(models, row_of_frame);
    int n_stars = 0;
    for (std::size_t row = 0; row < bands.rows(); ++row) {
      if (bands.get<std::int32_t>("frame")[row] == row_of_frame) {
        n_stars = bands.get<std::int32_t>("n_stars")[row];
      }
    }
    const int least = config.patch_run.min_epsf_nstars_for_use;
    if (model == nullptr) {
      choice.fallback_reason = "missing ePSF";
    } else if (least > 0 && n_stars < least) {
      choice.low_stars = true;
      choice.fallback_reason = low_stars_text(n_stars, least);
    }
    choice.used_epsf = choice.fallback_reason.empty();
    choice.psf = choice.used_epsf ? model : fallback_psf(config, field.infos[i]);
    out.push_back(std::move(choice));
  }
  return out;
}

}  // namespace skyloom::photometry
