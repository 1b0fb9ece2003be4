#include "pipelines/photometry/epsf/diagnostics.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include "pipelines/photometry/epsf/cell_report.hpp"
#include "pipelines/photometry/epsf/joint_fit.hpp"
#include "pipelines/photometry/epsf/neighbours.hpp"
#include "pipelines/photometry/epsf/star_model.hpp"

namespace skyloom::photometry::epsf {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kModelError = 0.01;

bool is_core(const Star& star) {
  return star.row.used && !star.row.wing;
}

void residual_moments(const sky::FieldPsf& psf, const std::vector<Star>& stars, double gain,
                      Diagnostics& d) {
  const double radius = 1.5 * effective_fwhm_pix(psf.model());
  std::vector<double> z;
  for (const Star& star : stars) {
    if (!is_core(star)) {
      continue;
    }
    const StarModel model(psf, psf.shape(star.row.x, star.row.y));
    std::size_t k = 0;
    for (int y = star.box.y0; y < star.box.y1; ++y) {
      for (int x = star.box.x0; x < star.box.x1; ++x, ++k) {
        const double u = x - star.row.x;
        const double v = y - star.row.y;
        if (star.good(k) && std::hypot(u, v) < radius) {
          const double light = star.row.flux * model.p(u, v);
          z.push_back((star.light(k) - light) /
                      std::sqrt(pixel_variance({gain, kModelError},
                                               static_cast<double>(star.variance[k]), light)));
        }
      }
    }
  }
  if (z.size() < 10) {
    return;
  }
  const auto n = static_cast<double>(z.size());
  double mean = 0.0;
  for (const double value : z) {
    mean += value / n;
  }
  double m2 = 0.0;
  double m3 = 0.0;
  double m4 = 0.0;
  for (const double value : z) {
    const double e = value - mean;
    m2 += e * e / n;
    m3 += e * e * e / n;
    m4 += e * e * e * e / n;
  }
  d.resid_skew = m3 / std::pow(m2, 1.5);
  d.resid_kurtosis = m4 / (m2 * m2);
}

/// Mean correlation of the normalised residuals of two stars at the same place of the PSF, the
/// largest over shifts of up to a pixel. Sums over pairs follow from the sums over stars.
double residual_correlation(const sky::FieldPsf& psf, const std::vector<Star>& stars, double gain) {
  const double radius = 1.5 * effective_fwhm_pix(psf.model());
  const int half = static_cast<int>(std::ceil(radius)) + 1;
  const int side = 2 * half + 1;
  std::vector<Image<double>> residuals;
  Image<double> total(side, side);
  for (const Star& star : stars) {
    if (!is_core(star)) {
      continue;
    }
    const StarModel model(psf, psf.shape(star.row.x, star.row.y));
    Image<double> z(side, side);
    std::size_t k = 0;
    for (int y = star.box.y0; y < star.box.y1; ++y) {
      for (int x = star.box.x0; x < star.box.x1; ++x, ++k) {
        const double u = x - star.row.x;
        const double v = y - star.row.y;
        if (star.good(k) && std::hypot(u, v) < radius) {
          const double light = star.row.flux * model.p(u, v);
          const double noise = std::sqrt(
              pixel_variance({gain, kModelError}, static_cast<double>(star.variance[k]), light));
          const int i = static_cast<int>(std::lround(u)) + half;
          const int j = static_cast<int>(std::lround(v)) + half;
          z(j, i) = (star.light(k) - light) / noise;
          total(j, i) += z(j, i);
        }
      }
    }
    residuals.push_back(std::move(z));
  }
  if (residuals.size() < 2) {
    return kNaN;
  }
  double own = 0.0;
  for (const Image<double>& z : residuals) {
    for (const double value : z.pixels()) {
      own += value * value;
    }
  }
  const auto pairs = static_cast<double>(residuals.size() - 1);
  double largest = 0.0;
  for (int dy = 0; dy <= 1; ++dy) {
    for (int dx = dy == 0 ? 0 : -1; dx <= 1; ++dx) {
      double sum = 0.0;
      for (int j = 1; j + 1 < side; ++j) {
        for (int i = 1; i + 1 < side; ++i) {
          sum += total(j, i) * total(j + dy, i + dx);
          for (const Image<double>& z : residuals) {
            sum -= z(j, i) * z(j + dy, i + dx);
          }
        }
      }
      largest = std::max(largest, sum / (own * pairs));
    }
  }
  return largest;
}

/// Slope of ln chi^2 on ln S/N: a wrong model shows at high S/N first.
double chi2_trend(const std::vector<Star>& stars) {
  double n = 0.0;
  double sx = 0.0;
  double sy = 0.0;
  double sxx = 0.0;
  double sxy = 0.0;
  for (const Star& star : stars) {
    if (is_core(star) && star.row.snr > 50.0 && star.row.chi2_core > 0.0) {
      const double x = std::log(star.row.snr);
      const double y = std::log(star.row.chi2_core);
      n += 1.0;
      sx += x;
      sy += y;
      sxx += x * x;
      sxy += x * y;
    }
  }
  const double spread = n * sxx - sx * sx;
  return n >= 3.0 && spread > 0.0 ? (n * sxy - sx * sy) / spread : kNaN;
}

/// Scatter of the shapes after the model, their errors removed. Weighted by what each star can say,
/// or the faint ones' noise would swamp it.
double shape_scatter(const std::vector<Star>& stars) {
  constexpr double kIntrinsic = 0.01;
  double sum = 0.0;
  double total = 0.0;
  for (const Star& star : stars) {
    if (is_core(star)) {
      for (std::size_t a = 0; a < 3; ++a) {
        const double variance = star.excess_error[a] * star.excess_error[a];
        const double expected = variance + kIntrinsic * kIntrinsic;
        const double weight = 1.0 / (expected * expected);
        sum += weight * (star.excess[a] * star.excess[a] - variance);
        total += weight;
      }
    }
  }
  return total > 0.0 ? std::sqrt(std::max(sum / total, 0.0)) : kNaN;
}

/// Data over model inside 2.5 FWHM, masked pixels filled with the model; NaN when unusable.
double aperture_ratio(const sky::FieldPsf& psf, const Star& star, double radius) {
  const StarModel model(psf, psf.shape(star.row.x, star.row.y));
  double data = 0.0;
  double expected = 0.0;
  double foreign = 0.0;
  double masked = 0.0;
  double total = 0.0;
  std::size_t k = 0;
  for (int y = star.box.y0; y < star.box.y1; ++y) {
    for (int x = star.box.x0; x < star.box.x1; ++x, ++k) {
      const double u = x - star.row.x;
      const double v = y - star.row.y;
      if (std::hypot(u, v) > radius) {
        continue;
      }
      const double light = star.row.flux * model.p(u, v);
      const bool good = star.good(k);
      data += good ? star.light(k) : light;
      expected += light;
      foreign += std::abs(static_cast<double>(star.neighbours[k]));
      masked += good ? 0.0 : 1.0;
      total += 1.0;
    }
  }
  const bool usable = expected > 0.0 && masked < 0.02 * total && foreign < 0.02 * expected;
  return usable ? data / expected : kNaN;
}

void aperture_check(const sky::FieldPsf& psf, const std::vector<Star>& stars, Diagnostics& d) {
  const double radius = 2.5 * effective_fwhm_pix(psf.model());
  std::vector<double> ratios;
  for (const Star& star : stars) {
    if (is_core(star) && star.row.snr > 50.0) {
      const double ratio = aperture_ratio(psf, star, radius);
      if (std::isfinite(ratio)) {
        ratios.push_back(ratio - 1.0);
      }
    }
  }
  d.apcor_n = static_cast<int>(ratios.size());
  if (!ratios.empty()) {
    d.apcor = median_of(ratios);
    d.apcor_err =
        1.25 * robust_sigma(ratios, d.apcor) / std::sqrt(static_cast<double>(ratios.size()));
  }
}

double root_mean_square(const std::vector<double>& values) {
  double square = 0.0;
  for (const double value : values) {
    square += value * value;
  }
  return std::sqrt(square / static_cast<double>(values.size()));
}

/// Values of stars at the pixels of a square, and their medians.
class Stack {
 public:
  Stack(int side, std::size_t most)
      : side_(side),
        most_(most),
        values_(static_cast<std::size_t>(side) * static_cast<std::size_t>(side) * most),
        count_(static_cast<std::size_t>(side) * static_cast<std::size_t>(side), 0) {}

  void add(std::size_t pixel, double value) { values_[pixel * most_ + count_[pixel]++] = value; }
  /// Of every pixel, NaN without a value.
  [[nodiscard]] std::vector<double> medians() const {
    std::vector<double> out(count_.size(), kNaN);
    for (std::size_t k = 0; k < out.size(); ++k) {
      if (count_[k] > 0) {
        const auto first = values_.begin() + static_cast<std::ptrdiff_t>(k * most_);
        out[k] = median_of({first, first + static_cast<std::ptrdiff_t>(count_[k])});
      }
    }
    return out;
  }
  [[nodiscard]] Image<double> image() const {
    Image<double> out(side_, side_);
    const std::vector<double> values = medians();
    std::copy(values.begin(), values.end(), out.pixels().begin());
    return out;
  }

 private:
  int side_;
  std::size_t most_;
  std::vector<double> values_;  // pixel by pixel
  std::vector<std::size_t> count_;
};

/// Pixel-wise medians of the cell's stars and of their residuals, at the rounded positions.
void stack_stars(const sky::FieldPsf& psf, const std::vector<const Star*>& stars,
                 const Options& options, const NearPixels& near, CellResult& cell) {
  const int side = options.cutout_size;
  const int half = (side - 1) / 2;
  cell.n_resid = static_cast<int>(stars.size());
  Stack values(side, stars.size());
  Stack residuals(side, stars.size());  // relative to the flux
  Stack absolute(side, stars.size());
  std::vector<double> normalised;
  StampValues model;
  for (const Star* star : stars) {
    const int cx = static_cast<int>(std::lround(star->row.x));
    const int cy = static_cast<int>(std::lround(star->row.y));
    const Box box{cx - half, cx - half + side, cy - half, cy - half + side};
    StarModel(psf, psf.shape(star->row.x, star->row.y))
        .fill<false>(box, star->row.x, star->row.y, model);
    for (int y = 0; y < side; ++y) {
      for (int x = 0; x < side; ++x) {
        const int i = cx - half + x;
        const int j = cy - half + y;
        const std::ptrdiff_t k = near.offset(j, i);
        if (k == NearPixels::kAbsent || near.mask()[static_cast<std::size_t>(k)] != 0) {
          continue;
        }
        const double pixel = static_cast<double>(near.data()[static_cast<std::size_t>(k)]);
        const double value = (pixel - star->row.sky) / star->row.flux;
        const auto at = static_cast<std::size_t>(y * side + x);
        const double residual = value - static_cast<double>(model.p[at]);
        values.add(at, value);
        residuals.add(at, residual);
        absolute.add(at, residual * star->row.flux);
        const double sigma = static_cast<double>(near.sigma()[static_cast<std::size_t>(k)]);
        normalised.push_back(residual * star->row.flux / sigma);
      }
    }
  }
  std::vector<double> medians = absolute.medians();
  std::erase_if(medians, [](double value) { return std::isnan(value); });
  if (!medians.empty()) {
    cell.resid_rms = root_mean_square(medians);
    cell.resid_bias = median_of(std::move(medians));
    cell.resid_norm_rms = root_mean_square(normalised);
    cell.resid_norm_bias = median_of(std::move(normalised));
  }
  if (options.save_residual_diagnostics) {
    cell.median_star = values.image();
    cell.median_residual = residuals.image();
  }
}

}  // namespace

void diagnose(const sky::FieldPsf& psf, const std::vector<Star>& stars, double gain,
              const Options& options, Diagnostics& d) {
  const double x = 0.5 * psf.model().width;
  const double y = 0.5 * psf.model().height;
  const sky::PsfShape shape = psf.shape(x, y);
  d.order = psf.model().order;
  d.beta = psf.model().beta;
  d.fwhm_pix = psf.fwhm_pix();
  d.ellipticity = std::hypot(shape.g1, shape.g2);
  std::vector<double> chi2;
  for (const Star& star : stars) {
    if (is_core(star)) {
      chi2.push_back(star.row.chi2_core);
    }
  }
  d.chi2_core_median = chi2.empty() ? kNaN : median_of(std::move(chi2));
  d.chi2_trend = chi2_trend(stars);
  d.shape_scatter = shape_scatter(stars);
  residual_moments(psf, stars, gain, d);
  d.resid_corr = residual_correlation(psf, stars, gain);
  aperture_check(psf, stars, d);
  d.f_out = psf.light_outside(x, y);
  d.wing_slope = psf.wing_slope();
  d.neg_fraction = psf.negative_sum(x, y);
  if (std::isfinite(d.flux_err_pred) && std::isfinite(d.shape_scatter)) {
    d.flux_err_pred =
        std::hypot(d.flux_err_pred, (options.method == "epsf" ? 0.6 : 1.0) * d.shape_scatter);
  }
}

void add_warnings(const Options& options, Result& result) {
  const Diagnostics& d = result.diagnostics;
  if (d.flux_err_pred > options.warn_flux_err) {
    result.warnings.push_back("predicted flux error of the PSF is " +
                              std::to_string(100.0 * d.flux_err_pred) + " %");
  }
  if (d.apcor_n > 0 && std::abs(d.apcor) > 0.005 && std::abs(d.apcor) > 3.0 * d.apcor_err) {
    result.warnings.push_back("apertures and PSF disagree by " + std::to_string(100.0 * d.apcor) +
                              " %");
  }
  if (d.resid_corr > 0.1) {
    result.warnings.push_back("residuals of the stars are correlated: " +
                              std::to_string(d.resid_corr));
  }
  if (d.f_out > 0.02) {
    result.warnings.push_back("epsf.final_psf_size leaves out " + std::to_string(100.0 * d.f_out) +
                              " % of the light");
  }
}

std::vector<CellResult> describe_cells(const sky::FieldPsf* psf, const Band& band,
                                       const Options& options, const Selection& selection) {
  const Input& input = *band.input;
  std::vector<CellResult> cells;
  for (std::size_t i = 0; i < input.cells.size(); ++i) {
    CellResult cell;
    cell.tag = input.cells[i].tag;
    cell.background = band.stats(input.cells[i].box, options);
    std::vector<const Star*> members;
    std::vector<double> chi2;
    for (const Star& star : selection.stars) {
      if (star.row.cell != static_cast<int>(i) || star.row.wing) {
        continue;
      }
      ++cell.n_candidates;
      ++cell.n_selected;
      ++cell.n_extract;
      cell.n_seed += star.row.origin == "both" ? 1 : 0;
      cell.n_fitfail += star.row.used ? 0 : 1;
      if (star.row.used) {
        ++cell.n_stars;
        chi2.push_back(star.row.chi2_core);
        if (static_cast<int>(members.size()) < options.residual_diag_max_stars) {
          members.push_back(&star);
        }
      }
    }
    if (psf == nullptr) {
      cell.error = "no PSF of this frame";
    } else {
      const Box& box = input.cells[i].box;
      const double x = 0.5 * (box.x0 + box.x1 - 1);
      const double y = 0.5 * (box.y0 + box.y1 - 1);
      cell.epsf = psf->stamp(x, y, 0.0, 0.0, options.final_psf_size);
      cell.fwhm_pix = psf->fwhm_pix(x, y);
      cell.light_outside = psf->light_outside(x, y);
      describe_array(options, cell);
      if (!members.empty()) {
        cell.chi2_core_median = median_of(chi2);
        stack_stars(*psf, members, options, selection.near, cell);
      }
    }
    cells.push_back(std::move(cell));
  }
  return cells;
}

}  // namespace skyloom::photometry::epsf
