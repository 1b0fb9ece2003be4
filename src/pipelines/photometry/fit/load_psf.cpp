// Which PSF a frame is fitted with (photometry.md 9.2).

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "pipelines/photometry/fit/stage.hpp"
#include "skyloom/sky/field_psf.hpp"
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

}  // namespace

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
      choice.fallback_reason = fmt::format(
          "low-star ePSF (nstars_used={} < min_epsf_nstars_for_use={})", n_stars, least);
    }
    choice.used_epsf = choice.fallback_reason.empty();
    choice.psf = choice.used_epsf ? model : fallback_psf(config, field.infos[i]);
    out.push_back(std::move(choice));
  }
  return out;
}

}  // namespace skyloom::photometry
