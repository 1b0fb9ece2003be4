#include "pipelines/photometry/epsf/classic.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>

#include "pipelines/photometry/epsf/cell_report.hpp"
#include "pipelines/photometry/epsf/classic_cell.hpp"
#include "pipelines/photometry/epsf/classic_stars.hpp"
#include "pipelines/photometry/epsf/star_background.hpp"
#include "pipelines/photometry/epsf/stars.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/sky/effective_psf.hpp"
#include "skyloom/sky/psf.hpp"

namespace skyloom::photometry::epsf {

using sky::EffectivePsf;
using sky::FittedStar;
using sky::StarStamp;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr int kNeighbourGrow = 2;
constexpr double kMaxSizeRadius = 15.0;

/// A chosen star with its pixels.
struct Extract {
  const ClassicStar* star = nullptr;
  Box box;  ///< in the cell
  StarStamp stamp;
  LocalBackground background;
};

/// True when a pixel within `kNeighbourGrow` belongs to another object than `own`.
bool near_other_object(const Image<std::int32_t>& segments, int x, int y, int own) {
  const Box around =
      Box{x - kNeighbourGrow, x + kNeighbourGrow + 1, y - kNeighbourGrow, y + kNeighbourGrow + 1}
          .intersect(segments.box());
  for (int j = around.y0; j < around.y1; ++j) {
    for (int i = around.x0; i < around.x1; ++i) {
      if (segments(j, i) != 0 && segments(j, i) != own) {
        return true;
      }
    }
  }
  return false;
}

Extract extract(const ClassicCell& cell, const ClassicSelection& selection, const Options& options,
                const ClassicStar& star) {
  Extract out;
  out.star = &star;
  const int half = (options.cutout_size - 1) / 2;
  const int cx = static_cast<int>(std::lround(star.x));
  const int cy = static_cast<int>(std::lround(star.y));
  out.box = {cx - half, cx + half + 1, cy - half, cy + half + 1};
  if (out.box.intersect(cell.data.box()) != out.box) {
    out.box = {};
    return out;
  }
  // The array of 6.9 leaves neighbours to the median over the stars; a smooth wing cannot.
  const bool mask_neighbours = options.wing_model == "radial" && !selection.segments.empty();
  const int own = mask_neighbours ? selection.segments(cy, cx) : 0;
  const int size = options.cutout_size;
  out.stamp.data = Image<double>(size, size);
  out.stamp.weight = Image<double>(size, size);
  out.stamp.x = star.x - out.box.x0;
  out.stamp.y = star.y - out.box.y0;
  for (int y = 0; y < size; ++y) {
    for (int x = 0; x < size; ++x) {
      const int i = out.box.x0 + x;
      const int j = out.box.y0 + y;
      const bool good = cell.mask(j, i) == 0 &&
                        !(mask_neighbours && near_other_object(selection.segments, i, j, own));
      const double sigma = cell.sigma(j, i);
      out.stamp.data(y, x) = good ? static_cast<double>(cell.data(j, i)) : kNaN;
      out.stamp.weight(y, x) = good ? 1.0 / (sigma * sigma) : 0.0;
    }
  }
  out.background =
      local_background(out.stamp.data, out.stamp.weight, out.stamp.x, out.stamp.y, options);
  for (double& value : out.stamp.data.pixels()) {
    value -= out.background.value;
  }
  return out;
}

LocalBackgroundStats background_stats(const std::vector<Extract>& extracts) {
  LocalBackgroundStats stats;
  std::vector<double> values;
  for (const Extract& e : extracts) {
    stats.n_stars += e.background.status != "disabled" ? 1 : 0;
    if (e.background.status == "ok") {
      values.push_back(e.background.value);
    }
  }
  stats.n_ok = static_cast<int>(values.size());
  if (!values.empty()) {
    stats.mean = 0.0;
    for (const double value : values) {
      stats.mean += value / stats.n_ok;
    }
    stats.median = median_of(std::move(values));
  }
  return stats;
}

/// Medians over the first fitted stars, pixel by pixel, and the residuals in units of the noise.
void describe_residuals(const EffectivePsf& psf, const std::vector<Extract>& extracts,
                        const Options& options, CellResult& cell) {
  const int size = options.cutout_size;
  std::vector<std::vector<double>> light(static_cast<std::size_t>(size * size));
  std::vector<std::vector<double>> residual(light.size());
  std::vector<std::vector<double>> relative(light.size());
  std::vector<double> normalised;
  for (std::size_t s = 0; s < extracts.size(); ++s) {
    const FittedStar& star = psf.stars[s];
    if (star.failed || cell.n_resid >= options.residual_diag_max_stars) {
      continue;
    }
    ++cell.n_resid;
    const Image<double> model = star_model(psf, star, size);
    const StarStamp& stamp = extracts[s].stamp;
    for (std::size_t k = 0; k < light.size(); ++k) {
      const double weight = stamp.weight.pixels()[k];
      if (weight > 0.0) {
        const double r = stamp.data.pixels()[k] - model.pixels()[k];
        light[k].push_back(stamp.data.pixels()[k] / star.flux);
        residual[k].push_back(r);
        relative[k].push_back(r / star.flux);
        normalised.push_back(r * std::sqrt(weight));
      }
    }
  }
  const auto rms = [](const std::vector<double>& values) {
    double square = 0.0;
    for (const double value : values) {
      square += value * value;
    }
    return std::sqrt(square / static_cast<double>(values.size()));
  };
  std::vector<double> medians;
  if (options.save_residual_diagnostics) {
    cell.median_star = Image<double>(size, size, kNaN);
    cell.median_residual = Image<double>(size, size, kNaN);
  }
  for (std::size_t k = 0; k < light.size(); ++k) {
    if (light[k].empty()) {
      continue;
    }
    medians.push_back(median_of(std::move(residual[k])));
    if (options.save_residual_diagnostics) {
      cell.median_star.pixels()[k] = median_of(std::move(light[k]));
      cell.median_residual.pixels()[k] = median_of(std::move(relative[k]));
    }
  }
  if (!medians.empty()) {
    cell.resid_rms = rms(medians);
    cell.resid_bias = median_of(std::move(medians));
    cell.resid_norm_rms = rms(normalised);
    cell.resid_norm_bias = median_of(std::move(normalised));
  }
}

/// Sum over a grid divided by its samples per pixel.
double light_of(const Image<double>& grid, int oversamp) {
  double sum = 0.0;
  for (const double value : grid.pixels()) {
    sum += value;
  }
  return sum / (static_cast<double>(oversamp) * oversamp);
}

/// Arrays of the cell, normalised to their sum.
/// @return light of the array in units of the effective PSF's own norm
double make_arrays(const EffectivePsf& psf, const Options& options, CellResult& cell) {
  Image<double> grid = central_square(psf, options.final_psf_size);
  if (options.wing_model == "radial") {
    sky::replace_wing(grid, psf.oversamp);
  }
  const double light = light_of(grid, psf.oversamp);
  if (!(std::isfinite(light) && light > 0.0)) {
    throw UnitError(Reason::numerical, "the array has no light");
  }
  cell.samples = Image<float>(grid.width(), grid.height());
  for (std::size_t k = 0; k < grid.pixels().size(); ++k) {
    cell.samples.pixels()[k] = static_cast<float>(grid.pixels()[k] / light);
  }
  // Samples are light per pixel already: the native array takes every oversamp-th of them.
  const int size = options.final_psf_size;
  const int centre = (grid.width() - 1) / 2;
  cell.epsf = Image<double>(size, size);
  double sum = 0.0;
  for (int y = 0; y < size; ++y) {
    for (int x = 0; x < size; ++x) {
      const double value =
          grid(centre + psf.oversamp * (y - size / 2), centre + psf.oversamp * (x - size / 2));
      cell.epsf(y, x) = value;
      sum += value;
    }
  }
  for (double& value : cell.epsf.pixels()) {
    value /= sum;
  }
  cell.fwhm_pix = sky::measured_fwhm_pix({cell.samples, psf.oversamp});
  return light;
}

class CellBuilder {
 public:
  CellBuilder(const Input& input, const Options& options, int index, Result& result)
      : input_(input), options_(options), index_(index), result_(result) {
    cell_.tag = input.cells[static_cast<std::size_t>(index)].tag;
  }

  CellResult run() {
    try {
      pixels_ = read_cell(input_, options_, input_.cells[static_cast<std::size_t>(index_)].box);
    } catch (const UnitError& error) {
      cell_.error = error.what();
      return std::move(cell_);
    }
    cell_.background = pixels_.stats;
    if (options_.save_patch_background_diagnostics) {
      cell_.picture =
          cell_picture(pixels_.raw.view(), pixels_.mask.view(), pixels_.background.view());
    }
    selection_ = select_classic_stars(input_, options_, pixels_);
    count_selection();
    for (const ClassicStar& star : selection_.stars) {
      Extract e = extract(pixels_, selection_, options_, star);
      if (!e.box.empty()) {
        extracts_.push_back(std::move(e));
      }
    }
    cell_.n_extract = static_cast<int>(extracts_.size());
    cell_.local_background = background_stats(extracts_);
    std::vector<FittedStar> fitted(extracts_.size());
    double light = 1.0;
    try {
      light = build(fitted);
    } catch (const UnitError& error) {
      cell_.error = error.what();
      for (FittedStar& star : fitted) {
        star.failed = true;
      }
    }
    add_rows(fitted, light);
    return std::move(cell_);
  }

 private:
  void count_selection() {
    cell_.n_candidates = selection_.n_candidates;
    cell_.n_seed = selection_.n_seeds;
    cell_.n_selected = static_cast<int>(selection_.stars.size());
    result_.diagnostics.n_detections += selection_.n_detections;
    result_.diagnostics.n_candidates += selection_.n_candidates;
    if (!selection_.detection_error.empty()) {
      result_.warnings.push_back("cell " + cell_.tag +
                                 ": detection failed: " + selection_.detection_error);
    }
  }

  /// @return light of the array in units of the fitted fluxes' norm
  double build(std::vector<FittedStar>& fitted) {
    if (extracts_.empty()) {
      throw UnitError(Reason::no_good_data, "no usable star");
    }
    std::vector<StarStamp> stamps;
    for (const Extract& e : extracts_) {
      stamps.push_back(e.stamp);
    }
    const EffectivePsf psf = build_effective_psf(
        stamps,
        {options_.oversamp, options_.maxiters, options_.do_clip, options_.recenter_boxsize});
    if (!psf.converged) {
      result_.warnings.push_back("cell " + cell_.tag + ": stars still move after " +
                                 std::to_string(psf.rounds) + " rounds (epsf.maxiters)");
    }
    const double light = make_arrays(psf, options_, cell_);
    fitted = psf.stars;
    describe_array(options_, cell_);
    describe_residuals(psf, extracts_, options_, cell_);
    return light;
  }

  void add_rows(const std::vector<FittedStar>& fitted, double light) {
    std::vector<double> chi2;
    for (std::size_t s = 0; s < extracts_.size(); ++s) {
      const Extract& e = extracts_[s];
      const FittedStar& star = fitted[s];
      StarRow row;
      row.cell = index_;
      row.x = pixels_.box.x0 + (star.failed ? e.star->x : e.box.x0 + star.x);
      row.y = pixels_.box.y0 + (star.failed ? e.star->y : e.box.y0 + star.y);
      row.flux = star.failed ? e.star->flux : star.flux * light;
      row.sky = e.background.value;
      row.snr = e.star->snr;
      row.r50_pix =
          sky::half_light_radius(pixels_.data.view(), pixels_.mask.view(), e.star->x, e.star->y,
                                 std::min(kMaxSizeRadius, 0.5 * options_.cutout_size));
      row.used = !star.failed;
      row.reason = star.failed ? Rejected::fit : Rejected::no;
      row.origin = e.star->origin;
      if (row.used) {
        row.chi2_core = star.chi2;
        chi2.push_back(star.chi2);
      }
      cell_.n_stars += row.used ? 1 : 0;
      cell_.n_fitfail += row.used ? 0 : 1;
      if (static_cast<int>(s) < options_.save_star_montage_max) {
        result_.cutouts.push_back(cutout(e, static_cast<int>(result_.stars.size())));
      }
      result_.stars.push_back(row);
    }
    if (!chi2.empty()) {
      cell_.chi2_core_median = median_of(std::move(chi2));
    }
  }

  [[nodiscard]] StarCutout cutout(const Extract& e, int row) const {
    StarCutout out;
    out.star = row;
    out.x0 = pixels_.box.x0 + e.box.x0;
    out.y0 = pixels_.box.y0 + e.box.y0;
    out.x = pixels_.box.x0 + e.star->x;
    out.y = pixels_.box.y0 + e.star->y;
    const int x_star = static_cast<int>(std::lround(e.star->x));
    const int y_star = static_cast<int>(std::lround(e.star->y));
    out.background = pixels_.background(y_star, x_star) + e.background.value;
    out.background_pixels = e.background.n_pixels;
    out.background_status = e.background.status;
    const int size = options_.cutout_size;
    out.raw = Image<float>(size, size, std::numeric_limits<float>::quiet_NaN());
    const bool annulus =
        options_.save_star_local_background_diagnostics && e.background.rout_pix > 0.0;
    if (annulus) {
      out.annulus = Image<std::uint8_t>(size, size);
    }
    for (int y = 0; y < size; ++y) {
      for (int x = 0; x < size; ++x) {
        if (pixels_.mask(e.box.y0 + y, e.box.x0 + x) == 0) {
          out.raw(y, x) = pixels_.raw(e.box.y0 + y, e.box.x0 + x);
        }
        const double r = std::hypot(x - e.stamp.x, y - e.stamp.y);
        if (annulus && e.stamp.weight(y, x) > 0.0 && r >= e.background.rin_pix &&
            r <= e.background.rout_pix) {
          out.annulus(y, x) = 1;
        }
      }
    }
    return out;
  }

  const Input& input_;
  const Options& options_;
  int index_;
  Result& result_;
  CellResult cell_;
  ClassicCell pixels_;
  ClassicSelection selection_;
  std::vector<Extract> extracts_;
};

void summarise(Result& result) {
  Diagnostics& d = result.diagnostics;
  std::vector<double> fwhm;
  std::vector<double> chi2;
  std::vector<double> negative;
  std::size_t built = 0;
  for (const CellResult& cell : result.cells) {
    d.n_stars += cell.n_stars;
    d.n_rejected += cell.n_fitfail;
    if (cell.epsf.empty()) {
      continue;
    }
    ++built;
    fwhm.push_back(cell.fwhm_pix);
    chi2.push_back(cell.chi2_core_median);
    double sum = 0.0;
    for (const double value : cell.epsf.pixels()) {
      sum += std::min(value, 0.0);
    }
    negative.push_back(sum);
  }
  if (built > 0) {
    result.level = PsfLevel::cells;
    d.fwhm_pix = median_of(std::move(fwhm));
    d.chi2_core_median = median_of(std::move(chi2));
    d.neg_fraction = median_of(std::move(negative));
  }
  if (built < result.cells.size()) {
    result.level_text = std::to_string(result.cells.size() - built) + " of " +
                        std::to_string(result.cells.size()) + " cells without an array";
  }
}

}  // namespace

Result build_classic(const Input& input, const Options& options) {
  Result result;
  if (!std::isfinite(input.fwhm_guess_pix) && options.psfstar_mode != "sep") {
    result.warnings.push_back("FWHM unknown: seeds are measured in apertures of 3 pixels");
  }
  for (std::size_t i = 0; i < input.cells.size(); ++i) {
    result.cells.push_back(CellBuilder(input, options, static_cast<int>(i), result).run());
  }
  summarise(result);
  return result;
}

}  // namespace skyloom::photometry::epsf
