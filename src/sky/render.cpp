#include "skyloom/sky/render.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "skyloom/numerics/bspline.hpp"

#include "render_lanes.hpp"

namespace skyloom::sky {

namespace {

constexpr double kTwoPi = 2.0 * std::numbers::pi;

int padded(int n) {
  return (n + lanes::kLanePad - 1) / lanes::kLanePad * lanes::kLanePad;
}

std::size_t product(int a, int b) {
  return static_cast<std::size_t>(a) * static_cast<std::size_t>(b);
}

std::vector<double> cosines(int period) {
  std::vector<double> table(static_cast<std::size_t>(period));
  for (int i = 0; i < period; ++i) {
    table[static_cast<std::size_t>(i)] = std::cos(kTwoPi * i / period);
  }
  return table;
}

std::vector<double> sines(int period) {
  std::vector<double> table(static_cast<std::size_t>(period));
  for (int i = 0; i < period; ++i) {
    table[static_cast<std::size_t>(i)] = std::sin(kTwoPi * i / period);
  }
  return table;
}

}  // namespace

DftGrid::DftGrid(GridShape shape)
    : shape_(shape), kp_(padded(shape.k_max + 1)), ip_(padded(shape.half + 1)) {
  const int n = shape.period;
  const auto cos_table = cosines(n);
  const auto sin_table = sines(n);
  cosine_.resize(product(shape.k_max + 1, ip_));
  sine_.resize(cosine_.size());
  for (int k = 0; k <= shape.k_max; ++k) {
    for (int i = 0; i < ip_; ++i) {
      const auto at = static_cast<std::size_t>((k * i) % n);
      cosine_[product(k, ip_) + static_cast<std::size_t>(i)] = static_cast<float>(cos_table[at]);
      sine_[product(k, ip_) + static_cast<std::size_t>(i)] = static_cast<float>(sin_table[at]);
    }
  }
  q_limit_.assign(static_cast<std::size_t>(kp_), -1);
  for (int p = 0; p <= shape.k_max; ++p) {
    int q = static_cast<int>(std::sqrt(static_cast<double>(shape.k_max * shape.k_max - p * p)));
    q_limit_[static_cast<std::size_t>(p)] = q;
  }
}

AlignedVector<float> psf_transform(const PsfStamp& stamp, const DftGrid& grid) {
  const int s = stamp.oversampling;
  const int n = grid.shape().period * s;
  const int k_max = grid.shape().k_max;
  const int kp = grid.padded_frequencies();
  const int radius = (stamp.values.width() - 1) / 2;
  const auto cos_table = cosines(n);
  const auto sin_table = sines(n);
  AlignedVector<float> cosine(product(radius + 1, kp));
  AlignedVector<float> sine(cosine.size());
  for (int x = 0; x <= radius; ++x) {
    for (int p = 0; p < kp; ++p) {
      const auto at = static_cast<std::size_t>((p * x) % n);
      cosine[product(x, kp) + static_cast<std::size_t>(p)] = static_cast<float>(cos_table[at]);
      sine[product(x, kp) + static_cast<std::size_t>(p)] = static_cast<float>(sin_table[at]);
    }
  }
  AlignedVector<float> result(product(k_max + 1, 4 * kp));
  AlignedVector<float> rows(product(2 * radius + 1, 2 * kp));
  AlignedVector<float> folded(product(radius + 1, 8));
  lanes::kernels().psf({k_max, kp, radius, stamp.values.pixels().data(), cosine.data(), sine.data(),
                        folded.data(), rows.data(), result.data()});
  const double period2 = static_cast<double>(grid.shape().period) * grid.shape().period;
  const double scale = 1.0 / (period2 * s * s);
  for (int q = 0; q <= k_max; ++q) {
    for (int part = 0; part < 4; ++part) {
      float* row = &result[product(4 * q + part, kp)];
      for (int p = 0; p < kp; ++p) {
        const bool inside = q <= grid.q_limit()[static_cast<std::size_t>(p)];
        const bool counted_once = part >= 2 && q == 0;
        const double weight = inside && !counted_once ? scale * (p == 0 ? 1.0 : 2.0) : 0.0;
        row[p] = weight == 0.0 ? 0.0F : row[p] * static_cast<float>(weight);
      }
    }
  }
  return result;
}

namespace {

/// exp(i angle k) for k = 0 .. count - 1, by repeated rotation in double.
void fill_phases(double angle, int count, float* re, float* im, int step) {
  const double c = std::cos(angle);
  const double s = std::sin(angle);
  double a = 1.0;
  double b = 0.0;
  for (int k = 0; k < count; ++k) {
    re[k * step] = static_cast<float>(a);
    im[k * step] = static_cast<float>(b);
    const double next = a * c - b * s;
    b = a * s + b * c;
    a = next;
  }
}

/// Quadratic form of k along a row of frequencies.
struct RowForm {
  float pp;
  float pq;
  float qq;
  [[nodiscard]] float at(float p, float q) const { return p * (p * pp + q * pq) + q * q * qq; }
};

RowForm row_form(const Symmetric2& s, double period) {
  const double n2 = period * period;
  return {static_cast<float>(s.xx / n2), static_cast<float>(2.0 * s.xy / n2),
          static_cast<float>(s.yy / n2)};
}

}  // namespace

void GalaxyFactors::compute(const DftGrid& grid, const RadialTable& profile,
                            const RadialTable* n_derivative, const ShapeMatrix& shape,
                            const std::array<double, 4>& matrix, bool derivatives) {
  const int k_max = grid.shape().k_max;
  const int kp = grid.padded_frequencies();
  const double period = grid.shape().period;
  images_ = !derivatives ? 1 : (n_derivative != nullptr ? kSersicImages : kGalaxyImages);
  imaginary_.assign(static_cast<std::size_t>(images_), 0);
  if (derivatives) {
    imaginary_[1] = 1;
    imaginary_[2] = 1;
  }
  const std::size_t plane = product(k_max + 1, 2 * kp);
  values_.resize(plane * static_cast<std::size_t>(images_));
  const RowForm c = row_form(shape.c, period);
  const RowForm e1 = row_form(shape.d_ee1, period);
  const RowForm e2 = row_form(shape.d_ee2, period);
  const auto kx_p = static_cast<float>(-kTwoPi * matrix[0] / period);
  const auto kx_q = static_cast<float>(-kTwoPi * matrix[2] / period);
  const auto ky_p = static_cast<float>(-kTwoPi * matrix[1] / period);
  const auto ky_q = static_cast<float>(-kTwoPi * matrix[3] / period);
  for (int block = 0; block <= k_max; block += lanes::kLanePad) {
    const int limit = grid.q_limit()[static_cast<std::size_t>(block)];
    for (int q = 0; q <= limit; ++q) {
      for (int sign = 0; sign < 2; ++sign) {
        float* out = &values_[product(2 * q + sign, kp) + static_cast<std::size_t>(block)];
        const auto fq = static_cast<float>(sign == 0 ? q : -q);
        for (int l = 0; l < lanes::kLanePad; ++l) {
          const auto fp = static_cast<float>(block + l);
          const float t = std::max(0.0F, c.at(fp, fq));
          if (!derivatives) {
            out[l] = profile.value(t);
            continue;
          }
          float value = 0.0F;
          float slope = 0.0F;
          profile.evaluate(t, value, slope);
          out[l] = value;
          out[plane + static_cast<std::size_t>(l)] = value * (kx_p * fp + kx_q * fq);
          out[2 * plane + static_cast<std::size_t>(l)] = value * (ky_p * fp + ky_q * fq);
          out[3 * plane + static_cast<std::size_t>(l)] = 2.0F * t * slope;
          out[4 * plane + static_cast<std::size_t>(l)] = slope * e1.at(fp, fq);
          out[5 * plane + static_cast<std::size_t>(l)] = slope * e2.at(fp, fq);
          if (n_derivative != nullptr) {
            out[6 * plane + static_cast<std::size_t>(l)] = n_derivative->value(t);
          }
        }
      }
    }
  }
}

void render_galaxy(const DftGrid& grid, const AlignedVector<float>& psf,
                   const GalaxyFactors& factors, double x, double y, int centre_x, int centre_y,
                   bool add, const ImageBlock& block, RenderScratch& scratch,
                   const char* instruction_set) {
  const int k_max = grid.shape().k_max;
  const int half = grid.shape().half;
  const int kp = grid.padded_frequencies();
  const int ip = grid.padded_pixels();
  const Box keep = block.clip.intersect(
      {centre_x - half, centre_x + half + 1, centre_y - half, centre_y + half + 1});
  if (keep.empty()) {
    return;
  }
  lanes::DftJob job{};
  job.y_first = keep.y0 - centre_y;
  job.y_last = keep.y1 - 1 - centre_y;
  job.x_first = keep.x0 - centre_x;
  job.x_last = keep.x1 - 1 - centre_x;
  const bool straddles = job.y_first <= 0 && job.y_last >= 0;
  job.row_first = straddles ? 0 : std::min(std::abs(job.y_first), std::abs(job.y_last)) / 4 * 4;
  job.row_last = std::max(std::abs(job.y_first), std::abs(job.y_last));
  scratch.spectrum.resize(product(k_max + 1, 4 * kp));
  scratch.columns.resize(product(job.row_last - job.row_first + 4, 4 * kp));
  scratch.row.resize(product(4, 2 * ip + lanes::kLanePad));
  scratch.phase.resize(static_cast<std::size_t>(2 * kp + 2 * (k_max + 1)));
  float* phase_y = scratch.phase.data() + 2 * kp;
  const double angle_x = -kTwoPi * (x - centre_x) / grid.shape().period;
  const double angle_y = -kTwoPi * (y - centre_y) / grid.shape().period;
  fill_phases(angle_x, kp, scratch.phase.data(), scratch.phase.data() + kp, 1);
  fill_phases(angle_y, k_max + 1, phase_y, phase_y + 1, 2);
  job.k_max = k_max;
  job.kp = kp;
  job.ip = ip;
  job.q_limit = grid.q_limit().data();
  job.cosine = grid.cosine().data();
  job.sine = grid.sine().data();
  job.psf = psf.data();
  job.phase_x = scratch.phase.data();
  job.phase_y = phase_y;
  job.factor = factors.values().data();
  job.imaginary = factors.imaginary().data();
  job.images = factors.images();
  job.spectrum = scratch.spectrum.data();
  job.columns = scratch.columns.data();
  job.row = scratch.row.data();
  job.out = block.data + (keep.y0 - block.clip.y0) * block.stride + (keep.x0 - block.clip.x0);
  job.stride = block.stride;
  job.plane = block.plane;
  job.add = add;
  const lanes::Kernels* kernels =
      instruction_set != nullptr ? lanes::kernels(instruction_set) : &lanes::kernels();
  kernels->galaxy(job);
}

PointSource::PointSource(const PsfStamp& stamp) : oversampling_(stamp.oversampling) {
  // The coefficients ring with 0.43^distance beyond the stamp.
  constexpr int kPadding = 12;
  const Image<double> image = numerics::quintic_coefficients(stamp.values.view(), kPadding);
  const int radius = (stamp.values.width() - 1) / 2;
  half_size_ = (radius + kPadding - 3) / oversampling_;
  // A border of one box more on each side so that the taps of any kept pixel exist.
  const int border = 3 * oversampling_ + 3;
  rows_ = image.height() + 2 * border;
  centre_ = radius + kPadding + border;
  phase_width_ = padded((rows_ + oversampling_ - 1) / oversampling_ + 1);
  // Whole vectors are read, also at the end of the last row.
  coefficients_.assign(product(rows_, oversampling_ * phase_width_) + 2 * lanes::kLanePad, 0.0F);
  for (int y = 0; y < image.height(); ++y) {
    for (int x = 0; x < image.width(); ++x) {
      const int column = x + border;
      coefficients_[product(y + border, oversampling_ * phase_width_) +
                    product(column % oversampling_, phase_width_) +
                    static_cast<std::size_t>(column / oversampling_)] =
          static_cast<float>(image(y, x));
    }
  }
}

PointSource PointSource::combined(const std::vector<PointSource>& planes,
                                  const std::vector<double>& weight, int half_pix) {
  const PointSource& first = planes.front();
  PointSource sum;
  sum.oversampling_ = first.oversampling_;
  sum.phase_width_ = first.phase_width_;
  sum.rows_ = first.rows_;
  sum.centre_ = first.centre_;
  sum.half_size_ = first.half_size_;
  sum.coefficients_.assign(first.coefficients_.size(), 0.0F);
  // Taps reach three samples beyond; the source may lie a pixel off the middle of its box.
  const int reach = (half_pix + 2) * sum.oversampling_ + 4;
  const int y0 = std::max(0, sum.centre_ - reach);
  const int y1 = std::min(sum.rows_, sum.centre_ + reach + 1);
  const int x0 = std::max(0, (sum.centre_ - reach) / sum.oversampling_);
  const int x1 = std::min(sum.phase_width_, (sum.centre_ + reach) / sum.oversampling_ + 1);
  for (std::size_t k = 0; k < planes.size(); ++k) {
    const auto w = static_cast<float>(weight[k]);
    for (int row = y0 * sum.oversampling_; row < y1 * sum.oversampling_; ++row) {
      const float* in = planes[k].coefficients_.data() + product(row, sum.phase_width_);
      float* out = sum.coefficients_.data() + product(row, sum.phase_width_);
      for (int x = x0; x < x1; ++x) {
        out[x] += w * in[x];
      }
    }
  }
  return sum;
}

void PointSource::render(double x, double y, bool derivatives, const ImageBlock& block,
                         RenderScratch& scratch) const {
  // Pixels whose six taps lie inside the padded coefficients; the others are 0.
  const auto first_pixel = [this](double at) {
    return static_cast<int>(std::ceil(at - static_cast<double>(centre_ - 3) / oversampling_));
  };
  const auto last_pixel = [this](double at) {
    return static_cast<int>(
        std::floor(at + static_cast<double>(rows_ - 5 - centre_) / oversampling_));
  };
  const Box keep =
      block.clip.intersect({first_pixel(x), last_pixel(x) + 1, first_pixel(y), last_pixel(y) + 1});
  const int images = derivatives ? kStarImages : 1;
  if (keep != block.clip) {
    for (int m = 0; m < images; ++m) {
      for (int row = 0; row < block.clip.height(); ++row) {
        float* out = block.data + m * block.plane + row * block.stride;
        std::fill(out, out + block.clip.width(), 0.0F);
      }
    }
  }
  if (keep.empty()) {
    return;
  }
  const double column = centre_ + oversampling_ * (keep.x0 - x);
  const double row = centre_ + oversampling_ * (keep.y0 - y);
  const auto wx = numerics::quintic_weights(column - std::floor(column));
  const auto wy = numerics::quintic_weights(row - std::floor(row));
  std::array<float, 24> weights{};
  for (std::size_t k = 0; k < 6; ++k) {
    weights[k] = static_cast<float>(wx.value[k]);
    weights[6 + k] = static_cast<float>(-oversampling_ * wx.derivative[k]);
    weights[12 + k] = static_cast<float>(wy.value[k]);
    weights[18 + k] = static_cast<float>(-oversampling_ * wy.derivative[k]);
  }
  const std::ptrdiff_t row_stride = static_cast<std::ptrdiff_t>(oversampling_) * phase_width_;
  scratch.row.resize(static_cast<std::size_t>(2 * (row_stride + 2 * lanes::kLanePad)));
  lanes::kernels().spline(
      {coefficients_.data(), row_stride, phase_width_, oversampling_,
       static_cast<int>(std::floor(column)) - 2, static_cast<int>(std::floor(row)) - 2,
       weights.data(), weights.data() + 12, keep.width(), keep.height(), scratch.row.data(),
       block.data + (keep.y0 - block.clip.y0) * block.stride + (keep.x0 - block.clip.x0),
       block.stride, block.plane, derivatives});
}

}  // namespace skyloom::sky
