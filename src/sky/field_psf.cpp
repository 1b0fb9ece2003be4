#include "skyloom/sky/field_psf.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>

#include "skyloom/core/errors.hpp"

namespace skyloom::sky {
namespace {

constexpr double kMaxShear = 0.6;

// Gauss-Legendre points of the unit pixel.
constexpr std::array<double, 2> kPoint2 = {-0.28867513459481287, 0.28867513459481287};
constexpr std::array<double, 4> kPoint4 = {-0.43056815579702629, -0.16999052179242813,
                                           0.16999052179242813, 0.43056815579702629};
constexpr std::array<double, 4> kWeight4 = {0.17392742256872693, 0.32607257743127307,
                                            0.32607257743127307, 0.17392742256872693};

/// Pixel means of the Moffat with its wing for one shape.
class PixelMean {
 public:
  PixelMean(const RadialProfile& profile, const PsfShape& shape) : profile_(profile) {
    const double alpha = std::exp(shape.lambda);
    const double k2 = 1.0 / (1.0 - shape.g1 * shape.g1 - shape.g2 * shape.g2);
    const double scale = k2 / (alpha * alpha);
    const double g2 = shape.g1 * shape.g1 + shape.g2 * shape.g2;
    uu_ = scale * (1.0 - 2.0 * shape.g1 + g2);
    vv_ = scale * (1.0 + 2.0 * shape.g1 + g2);
    uv_ = -4.0 * scale * shape.g2;
    peak_ = (profile.beta() - 1.0) / (std::numbers::pi * alpha * alpha);
    fine2_ = 9.0 * alpha * alpha;
  }

  [[nodiscard]] double operator()(double u, double v) const {
    double sum = 0.0;
    if (u * u + v * v < fine2_) {
      for (std::size_t j = 0; j < 4; ++j) {
        for (std::size_t i = 0; i < 4; ++i) {
          sum += kWeight4[i] * kWeight4[j] * at(u + kPoint4[i], v + kPoint4[j]);
        }
      }
    } else {
      for (const double b : kPoint2) {
        for (const double a : kPoint2) {
          sum += 0.25 * at(u + a, v + b);
        }
      }
    }
    return peak_ * sum;
  }

 private:
  [[nodiscard]] double at(double u, double v) const {
    return profile_.f(u * (uu_ * u + uv_ * v) + vv_ * v * v);
  }

  const RadialProfile& profile_;
  double uu_ = 0.0;
  double uv_ = 0.0;
  double vv_ = 0.0;
  double peak_ = 0.0;
  double fine2_ = 0.0;
};

double polynomial(const std::vector<double>& coefficients, const std::array<double, 6>& basis) {
  double sum = 0.0;
  for (std::size_t i = 0; i < coefficients.size(); ++i) {
    sum += coefficients[i] * basis[i];
  }
  return sum;
}

void check(bool ok, const char* wrong, const char* expected) {
  if (!ok) {
    throw ConfigError("field PSF model", wrong, expected);
  }
}

void check_model(const FieldPsfModel& model, int stamp_size, int oversampling) {
  check(stamp_size > 0 && stamp_size % 2 == 1, "even stamp size", "an odd number of pixels");
  check(oversampling >= 1, "oversampling below 1", "1 or more");
  check(model.width > 0 && model.height > 0, "no frame size", "width and height above 0");
  check(model.order >= 0 && model.order <= 2, "polynomial order", "0, 1 or 2");
  const auto terms = static_cast<std::size_t>(shape_terms(model.order));
  check(model.lambda.size() == terms && model.g1.size() == terms && model.g2.size() == terms,
        "number of shape coefficients", "those of the order");
  check(model.beta > 1.0, "beta", "above 1");
  check(model.knots.size() == model.q.size(), "knots and q differ in number", "one q per knot");
  check(model.node_i.size() == model.c.size() && model.node_j.size() == model.c.size(),
        "nodes and coefficients differ in number", "one coefficient per node");
  check(model.node_spacing_pix > 0.0, "node spacing", "above 0");
  check(model.gp_x.size() == model.gp_y.size(), "local variation", "x and y of every star");
  for (const std::vector<double>& weight : model.gp_weight) {
    check(weight.empty() || weight.size() == model.gp_x.size(), "local variation",
          "one weight per star");
  }
}

bool has_local_variation(const FieldPsfModel& model) {
  return std::any_of(std::begin(model.gp_weight), std::end(model.gp_weight),
                     [](const std::vector<double>& weight) { return !weight.empty(); });
}

}  // namespace

std::array<double, 6> shape_basis(int order, double scaled_x, double scaled_y) {
  std::array<double, 6> basis = {1.0, 0.0, 0.0, 0.0, 0.0, 0.0};
  if (order >= 1) {
    basis[1] = scaled_x;
    basis[2] = scaled_y;
  }
  if (order >= 2) {
    basis[3] = scaled_x * scaled_x;
    basis[4] = scaled_x * scaled_y;
    basis[5] = scaled_y * scaled_y;
  }
  return basis;
}

double cubic_bspline(double t) {
  const double a = std::abs(t);
  if (a >= 2.0) {
    return 0.0;
  }
  if (a >= 1.0) {
    const double d = 2.0 - a;
    return d * d * d / 6.0;
  }
  return 2.0 / 3.0 - a * a * (1.0 - 0.5 * a);
}

FieldPsf::FieldPsf(FieldPsfModel model, int stamp_size_pix, int oversampling)
    : model_((check_model(model, stamp_size_pix, oversampling), std::move(model))),
      stamp_size_(stamp_size_pix),
      oversampling_(oversampling),
      profile_(model_.beta, model_.knots, model_.q) {
  double core = 0.0;
  for (std::size_t k = 0; k < model_.c.size(); ++k) {
    core += model_.c[k];
    node_reach_ = std::max({node_reach_, static_cast<int>(std::abs(model_.node_i[k])),
                            static_cast<int>(std::abs(model_.node_j[k]))});
  }
  const int side = 2 * node_reach_ + 1;
  node_grid_.assign(static_cast<std::size_t>(side) * static_cast<std::size_t>(side), 0.0);
  for (std::size_t k = 0; k < model_.c.size(); ++k) {
    const int i = static_cast<int>(model_.node_i[k]) + node_reach_;
    const int j = static_cast<int>(model_.node_j[k]) + node_reach_;
    node_grid_[static_cast<std::size_t>(j * side + i)] = model_.c[k];
  }
  // B-splines on their grid sum to 1, so each carries spacing^2 of light per unit coefficient.
  norm_ = profile_.integral() + model_.node_spacing_pix * model_.node_spacing_pix * core;
  check(std::isfinite(norm_) && norm_ > 0.0, "norm", "finite and positive");
  constant_ = model_.order == 0 && !has_local_variation(model_);
  if (constant_) {
    constant_stamp_ = make_stamp(0.5 * model_.width, 0.5 * model_.height);
  }
}

PsfShape FieldPsf::shape(double x, double y) const {
  const double scaled_x = 2.0 * x / model_.width - 1.0;
  const double scaled_y = 2.0 * y / model_.height - 1.0;
  const std::array<double, 6> basis = shape_basis(model_.order, scaled_x, scaled_y);
  std::array<double, 3> value = {polynomial(model_.lambda, basis), polynomial(model_.g1, basis),
                                 polynomial(model_.g2, basis)};
  if (has_local_variation(model_)) {
    const double rate = 0.5 / (model_.gp_length * model_.gp_length);
    for (std::size_t k = 0; k < model_.gp_x.size(); ++k) {
      const double dx = scaled_x - model_.gp_x[k];
      const double dy = scaled_y - model_.gp_y[k];
      const double correlation = std::exp(-rate * (dx * dx + dy * dy));
      for (std::size_t a = 0; a < 3; ++a) {
        if (!model_.gp_weight[a].empty()) {
          value[a] += model_.gp_tau[a] * model_.gp_tau[a] * correlation * model_.gp_weight[a][k];
        }
      }
    }
  }
  const double g = std::hypot(value[1], value[2]);
  const double shrink = g > kMaxShear ? kMaxShear / g : 1.0;
  return {value[0], value[1] * shrink, value[2] * shrink};
}

void FieldPsf::fill(const PsfShape& shape, double u0, double v0, double step, int side,
                    double* out) const {
  const PixelMean mean(profile_, shape);
  // A grid centred on the source has point symmetry, which halves the work.
  const double centre = 0.5 * step * (side - 1);
  const bool symmetric = u0 == -centre && v0 == -centre;
  const int total = side * side;
  const int count = symmetric ? (total + 1) / 2 : total;
  const double scale = 1.0 / norm_;
  for (int k = 0; k < count; ++k) {
    const int y = k / side;
    const int x = k % side;
    const double value = scale * mean(u0 + step * x, v0 + step * y);
    out[k] = value;
    if (symmetric) {
      out[total - 1 - k] = value;
    }
  }
  if (!model_.c.empty()) {
    add_residual(u0, v0, step, side, out);
  }
}

void FieldPsf::add_residual(double u0, double v0, double step, int side, double* out) const {
  struct Column {
    int sample;
    int first;
    std::array<double, 4> weight;
  };
  const double h = model_.node_spacing_pix;
  const auto columns = [&](double start) {
    std::vector<Column> list;
    for (int i = 0; i < side; ++i) {
      const double t = (start + step * i) / h;
      if (std::abs(t) < node_reach_ + 2) {
        Column column{i, static_cast<int>(std::floor(t)) - 1, {}};
        for (std::size_t a = 0; a < 4; ++a) {
          column.weight[a] = cubic_bspline(t - column.first - static_cast<double>(a));
        }
        list.push_back(column);
      }
    }
    return list;
  };
  const std::vector<Column> horizontal = columns(u0);
  const std::vector<Column> vertical = columns(v0);
  const int grid = 2 * node_reach_ + 1;
  const double scale = 1.0 / norm_;
  for (const Column& row : vertical) {
    for (const Column& column : horizontal) {
      double sum = 0.0;
      for (int b = 0; b < 4; ++b) {
        const int j = row.first + b + node_reach_;
        if (j < 0 || j >= grid) {
          continue;
        }
        for (int a = 0; a < 4; ++a) {
          const int i = column.first + a + node_reach_;
          if (i >= 0 && i < grid) {
            sum += row.weight[static_cast<std::size_t>(b)] *
                   column.weight[static_cast<std::size_t>(a)] *
                   node_grid_[static_cast<std::size_t>(j * grid + i)];
          }
        }
      }
      out[row.sample * side + column.sample] += scale * sum;
    }
  }
}

PsfStamp FieldPsf::make_stamp(double x, double y) const {
  const int side = (stamp_size_ * oversampling_) | 1;
  const double step = 1.0 / oversampling_;
  const double start = -0.5 * step * (side - 1);
  std::vector<double> values(static_cast<std::size_t>(side) * static_cast<std::size_t>(side));
  fill(shape(x, y), start, start, step, side, values.data());
  PsfStamp stamp{Image<float>(side, side), oversampling_};
  std::transform(values.begin(), values.end(), stamp.values.pixels().begin(),
                 [](double value) { return static_cast<float>(value); });
  return stamp;
}

PsfStamp FieldPsf::at(double x, double y) const {
  return constant_ ? constant_stamp_ : make_stamp(x, y);
}

Image<double> FieldPsf::stamp(double x, double y, double dx, double dy, int size_pix) const {
  check(size_pix > 0 && size_pix % 2 == 1, "even stamp size", "an odd number of pixels");
  Image<double> image(size_pix, size_pix);
  const double start = -0.5 * (size_pix - 1);
  fill(shape(x, y), start - dx, start - dy, 1.0, size_pix, image.pixels().data());
  return image;
}

double FieldPsf::value(double x, double y, double u, double v) const {
  double value = 0.0;
  fill(shape(x, y), u, v, 1.0, 1, &value);
  return value;
}

double FieldPsf::fwhm_pix() const {
  return fwhm_pix(0.5 * model_.width, 0.5 * model_.height);
}

double FieldPsf::fwhm_pix(double x, double y) const {
  const auto azimuthal_mean = [&](double r) {
    double sum = 0.0;
    for (int k = 0; k < 16; ++k) {
      const double angle = std::numbers::pi * k / 8.0;
      sum += value(x, y, r * std::cos(angle), r * std::sin(angle));
    }
    return sum / 16.0;
  };
  const double half = 0.5 * azimuthal_mean(0.0);
  double low = 0.0;
  double high = 0.5;
  while (azimuthal_mean(high) > half && high < 1000.0) {
    low = high;
    high *= 1.5;
  }
  for (int i = 0; i < 40; ++i) {
    const double middle = 0.5 * (low + high);
    (azimuthal_mean(middle) > half ? low : high) = middle;
  }
  return low + high;
}

double FieldPsf::light_outside(double x, double y) const {
  const Image<double> image = stamp(x, y, 0.0, 0.0, stamp_size_);
  double inside = 0.0;
  for (const double value : image.pixels()) {
    inside += value;
  }
  return 1.0 - inside;
}

double FieldPsf::wing_slope() const {
  return -2.0 * model_.beta + profile_.end_slope();
}

double FieldPsf::negative_sum(double x, double y) const {
  const Image<double> image = stamp(x, y, 0.0, 0.0, stamp_size_);
  double sum = 0.0;
  for (const double value : image.pixels()) {
    sum += std::min(value, 0.0);
  }
  return sum;
}

FieldPsf::Parameters FieldPsf::parameters() const {
  const FieldPsfModel& m = model_;
  return {{"frame", {double(m.width), double(m.height)}},
          {"order", {double(m.order)}},
          {"lambda", m.lambda},
          {"g1", m.g1},
          {"g2", m.g2},
          {"beta", {m.beta}},
          {"knots", m.knots},
          {"q", m.q},
          {"node_spacing_pix", {m.node_spacing_pix}},
          {"node_i", m.node_i},
          {"node_j", m.node_j},
          {"c", m.c},
          {"gp_x", m.gp_x},
          {"gp_y", m.gp_y},
          {"gp_weight_lambda", m.gp_weight[0]},
          {"gp_weight_g1", m.gp_weight[1]},
          {"gp_weight_g2", m.gp_weight[2]},
          {"gp_length", {m.gp_length}},
          {"gp_tau", {m.gp_tau[0], m.gp_tau[1], m.gp_tau[2]}},
          {"stamp_size_pix", {double(stamp_size_)}},
          {"oversampling", {double(oversampling_)}}};
}

std::shared_ptr<const FieldPsf> FieldPsf::from_parameters(const Parameters& parameters) {
  const auto list = [&](const char* name) -> const std::vector<double>& {
    const auto found = std::find_if(parameters.begin(), parameters.end(),
                                    [name](const auto& entry) { return entry.first == name; });
    check(found != parameters.end(), name, "this parameter");
    return found->second;
  };
  const auto numbers = [&](const char* name, std::size_t count) -> const std::vector<double>& {
    const std::vector<double>& values = list(name);
    check(values.size() == count, name, "another number of values");
    return values;
  };
  FieldPsfModel m;
  m.width = static_cast<int>(numbers("frame", 2)[0]);
  m.height = static_cast<int>(numbers("frame", 2)[1]);
  m.order = static_cast<int>(numbers("order", 1)[0]);
  m.lambda = list("lambda");
  m.g1 = list("g1");
  m.g2 = list("g2");
  m.beta = numbers("beta", 1)[0];
  m.knots = list("knots");
  m.q = list("q");
  m.node_spacing_pix = numbers("node_spacing_pix", 1)[0];
  m.node_i = list("node_i");
  m.node_j = list("node_j");
  m.c = list("c");
  m.gp_x = list("gp_x");
  m.gp_y = list("gp_y");
  m.gp_weight[0] = list("gp_weight_lambda");
  m.gp_weight[1] = list("gp_weight_g1");
  m.gp_weight[2] = list("gp_weight_g2");
  m.gp_length = numbers("gp_length", 1)[0];
  for (std::size_t a = 0; a < 3; ++a) {
    m.gp_tau[a] = numbers("gp_tau", 3)[a];
  }
  return std::make_shared<const FieldPsf>(std::move(m),
                                          static_cast<int>(numbers("stamp_size_pix", 1)[0]),
                                          static_cast<int>(numbers("oversampling", 1)[0]));
}

std::vector<double> growth_curve(const Image<double>& stamp) {
  const double cx = 0.5 * (stamp.width() - 1);
  const double cy = 0.5 * (stamp.height() - 1);
  const int last = static_cast<int>(std::ceil(std::hypot(cx, cy)));
  std::vector<double> ring(static_cast<std::size_t>(last) + 1, 0.0);
  for (int y = 0; y < stamp.height(); ++y) {
    for (int x = 0; x < stamp.width(); ++x) {
      const double r = std::hypot(x - cx, y - cy);
      ring[static_cast<std::size_t>(std::ceil(r))] += stamp(y, x);
    }
  }
  for (std::size_t r = 1; r < ring.size(); ++r) {
    ring[r] += ring[r - 1];
  }
  return ring;
}

}  // namespace skyloom::sky
