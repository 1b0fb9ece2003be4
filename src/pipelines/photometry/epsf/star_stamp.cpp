// The PSF of a star on all pixels of a stamp at once.

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "pipelines/photometry/epsf/star_model.hpp"

namespace skyloom::photometry::epsf {
namespace {

std::size_t padded(std::size_t count) {
  return (count + kMostLanes - 1) / kMostLanes * kMostLanes;
}

LaneSums views(std::array<std::vector<float>, 7>& sums, std::size_t count) {
  for (std::vector<float>& sum : sums) {
    sum.resize(std::max(sum.size(), count));
  }
  return {sums[0].data(),
          {sums[1].data(), sums[2].data(), sums[3].data(), sums[4].data(), sums[5].data()},
          sums[6].data()};
}

/// Where samples of one axis lie among the nodes of the residual.
struct Column {
  int sample = 0;
  int first = 0;  ///< node
  std::array<double, 4> weight{};
  std::array<double, 4> slope{};
};

/// @param start offset of the first pixel from the star
std::vector<Column> columns(double start, int pixels, double spacing, int reach) {
  std::vector<Column> out;
  for (int i = 0; i < pixels; ++i) {
    const double t = (start + i) / spacing;
    if (std::abs(t) < reach + 2) {
      out.push_back(
          {i, static_cast<int>(std::floor(t)) - 1 + reach, bspline_weights(t), bspline_slopes(t)});
    }
  }
  return out;
}

}  // namespace

LaneRule StarModel::Rule::lanes() const {
  LaneRule out;
  out.n = n;
  for (std::size_t k = 0; k < weight.size(); ++k) {
    out.first[k] = static_cast<float>(first[k]);
    out.second[k] = static_cast<float>(second[k]);
    out.weight[k] = static_cast<float>(weight[k]);
  }
  return out;
}

LaneProfile StarModel::lane_profile() const {
  const sky::RadialProfile& profile = psf_.profile();
  const std::vector<double>& knots = profile.knots();
  const std::vector<double>& q = profile.q_values();
  LaneProfile out;
  out.beta = static_cast<float>(profile.beta());
  out.scale = static_cast<float>(k2_ * inverse_alpha2_);
  out.g1 = static_cast<float>(shape_.g1);
  out.g2 = static_cast<float>(shape_.g2);
  if (knots.empty()) {
    return out;
  }
  out.q0 = static_cast<float>(q.front());
  double before = 0.0;
  for (std::size_t k = 0; k < knots.size(); ++k) {
    const bool last = k + 1 == knots.size();
    const double slope = last ? profile.end_slope() : (q[k + 1] - q[k]) / (knots[k + 1] - knots[k]);
    if (k == 0) {
      out.q_slope = static_cast<float>(slope);
    } else {
      out.knot[k - 1] = static_cast<float>(knots[k]);
      out.bend[k - 1] = static_cast<float>(slope - before);
      out.knots = static_cast<int>(k);
    }
    before = slope;
  }
  return out;
}

void StarModel::sum_stamp(const Box& box, double x, double y, StampValues& out) const {
  const auto width = static_cast<std::size_t>(box.width());
  const std::size_t count = width * static_cast<std::size_t>(box.height());
  out.a.resize(padded(count), 0.0F);
  out.b.resize(padded(count), 0.0F);
  std::size_t k = 0;
  for (int j = box.y0; j < box.y1; ++j) {
    for (int i = box.x0; i < box.x1; ++i, ++k) {
      out.a[k] = static_cast<float>(first(i - x, j - y));
      out.b[k] = static_cast<float>(second(i - x, j - y));
    }
  }
  const LaneProfile profile = lane_profile();
  const LaneSums all = views(out.sums, padded(count));
  sum_wing(profile, centre_.lanes(), out.a.data(), out.b.data(), padded(count), all);
  const int reach = static_cast<int>(std::ceil(std::sqrt(std::max(coarse2_, 0.0)))) + 1;
  const int cx = static_cast<int>(std::lround(x));
  const int cy = static_cast<int>(std::lround(y));
  const Box inner = Box{cx - reach, cx + reach + 1, cy - reach, cy + reach + 1}.intersect(box);
  for (const Rule* rule : {&fine_, &middle_, &coarse_}) {
    out.part.clear();
    for (int j = inner.y0; j < inner.y1; ++j) {
      for (int i = inner.x0; i < inner.x1; ++i) {
        if (&rule_at(i - x, j - y) == rule) {
          out.part.push_back(static_cast<std::size_t>(j - box.y0) * width +
                             static_cast<std::size_t>(i - box.x0));
        }
      }
    }
    const std::size_t members = out.part.size();
    if (members == 0) {
      continue;
    }
    out.part_a.resize(padded(members), 0.0F);
    out.part_b.resize(padded(members), 0.0F);
    for (std::size_t m = 0; m < members; ++m) {
      out.part_a[m] = out.a[out.part[m]];
      out.part_b[m] = out.b[out.part[m]];
    }
    const LaneSums part = views(out.part_sums, padded(members));
    sum_wing(profile, rule->lanes(), out.part_a.data(), out.part_b.data(), padded(members), part);
    for (std::size_t s = 0; s < out.sums.size(); ++s) {
      for (std::size_t m = 0; m < members; ++m) {
        out.sums[s][out.part[m]] = out.part_sums[s][m];
      }
    }
  }
}

void StarModel::add_residual(const Box& box, double x, double y, StampValues& out) const {
  const sky::FieldPsfModel& model = psf_.model();
  if (model.c.empty()) {
    return;
  }
  const double h = model.node_spacing_pix;
  const int reach = psf_.node_reach();
  const int side = 2 * reach + 1;
  const std::vector<Column> across = columns(box.x0 - x, box.width(), h, reach);
  const std::vector<Column> up = columns(box.y0 - y, box.height(), h, reach);
  // Of every row of nodes at every column of pixels: value and slope along x.
  std::vector<std::array<double, 2>> lines(static_cast<std::size_t>(side) * across.size());
  for (int j = 0; j < side; ++j) {
    const double* nodes = psf_.node_grid().data() + j * side;
    for (std::size_t n = 0; n < across.size(); ++n) {
      const Column& column = across[n];
      std::array<double, 2> sum{};
      for (int a = std::max(0, -column.first); a < std::min(4, side - column.first); ++a) {
        const auto k = static_cast<std::size_t>(a);
        sum[0] += nodes[column.first + a] * column.weight[k];
        sum[1] += nodes[column.first + a] * column.slope[k];
      }
      lines[static_cast<std::size_t>(j) * across.size() + n] = sum;
    }
  }
  const double scale = 1.0 / psf_.norm();
  for (const Column& row : up) {
    for (std::size_t n = 0; n < across.size(); ++n) {
      double p = 0.0;
      double pu = 0.0;
      double pv = 0.0;
      for (int b = std::max(0, -row.first); b < std::min(4, side - row.first); ++b) {
        const auto k = static_cast<std::size_t>(b);
        const std::array<double, 2>& line =
            lines[static_cast<std::size_t>(row.first + b) * across.size() + n];
        p += line[0] * row.weight[k];
        pu += line[1] * row.weight[k];
        pv += line[0] * row.slope[k];
      }
      const auto at = static_cast<std::size_t>(row.sample * box.width() + across[n].sample);
      out.p[at] += static_cast<float>(scale * p);
      out.pu[at] += static_cast<float>(scale / h * pu);
      out.pv[at] += static_cast<float>(scale / h * pv);
    }
  }
}

template <bool Shape>
void StarModel::fill(const Box& box, double x, double y, StampValues& out) const {
  sum_stamp(box, x, y, out);
  const std::size_t count = out.a.size();
  for (std::vector<float>* values : {&out.p, &out.pu, &out.pv}) {
    values->resize(count);
  }
  const auto g1 = static_cast<float>(shape_.g1);
  const auto g2 = static_cast<float>(shape_.g2);
  const auto norm = static_cast<float>(peak_ / psf_.norm());
  const auto scale = static_cast<float>(k2_ * inverse_alpha2_);
  const float slope = norm * 2.0F * scale;
  const float* light = out.sums[0].data();
  const float* first_sum = out.sums[1].data();
  const float* second_sum = out.sums[2].data();
  float* p = out.p.data();
  float* pu = out.pu.data();
  float* pv = out.pv.data();
  for (std::size_t k = 0; k < count; ++k) {
    p[k] = norm * light[k];
    pu[k] = slope * (first_sum[k] * (1.0F - g1) - second_sum[k] * g2);
    pv[k] = slope * (second_sum[k] * (1.0F + g1) - first_sum[k] * g2);
  }
  add_residual(box, x, y, out);
  if constexpr (Shape) {
    for (std::vector<float>* values : {&out.lambda, &out.g1, &out.g2, &out.kappa}) {
      values->resize(count);
    }
    const auto k2 = static_cast<float>(k2_);
    const auto power = static_cast<float>(2.0 * (psf_.profile().beta() - 1.0));
    const auto norm_slope = static_cast<float>(norm_slope_);
    const float* aa = out.sums[3].data();
    const float* ab = out.sums[4].data();
    const float* bb = out.sums[5].data();
    const float* light_s = out.sums[6].data();
    float* lambda = out.lambda.data();
    float* of_g1 = out.g1.data();
    float* of_g2 = out.g2.data();
    float* kappa = out.kappa.data();
    for (std::size_t k = 0; k < count; ++k) {
      // As in at().
      const float t = scale * (aa[k] + bb[k]);
      const float first_u = k2 * ((1.0F + g1) * aa[k] + g2 * ab[k]);
      const float first_v = k2 * (g2 * aa[k] + (1.0F - g1) * ab[k]);
      const float second_u = k2 * ((1.0F + g1) * ab[k] + g2 * bb[k]);
      const float second_v = k2 * (g2 * ab[k] + (1.0F - g1) * bb[k]);
      lambda[k] = -2.0F * norm * (light[k] + t);
      of_g1[k] = 2.0F * norm * (g1 * k2 * t + scale * (second_v - first_u));
      of_g2[k] = 2.0F * norm * (g2 * k2 * t - scale * (first_v + second_u));
      kappa[k] = norm * (light[k] - power * light_s[k]) - norm_slope * p[k];
    }
  }
}

template void StarModel::fill<true>(const Box& box, double x, double y, StampValues& out) const;
template void StarModel::fill<false>(const Box& box, double x, double y, StampValues& out) const;

}  // namespace skyloom::photometry::epsf
