#include "skyloom/numerics/gap_fill.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace skyloom::numerics {
namespace {

constexpr double kTolerance = 1e-12;
constexpr int kMaxIterations = 5000;

struct Node {
  int x = 0;
  int y = 0;
};

std::int64_t turn(const Node& a, const Node& b, const Node& c) {
  return static_cast<std::int64_t>(b.x - a.x) * (c.y - a.y) -
         static_cast<std::int64_t>(b.y - a.y) * (c.x - a.x);
}

/// Convex hull of nodes sorted by (x, y), counter-clockwise (Andrew 1979).
std::vector<Node> convex_hull(const std::vector<Node>& nodes) {
  std::vector<Node> hull;
  const auto add = [&hull](const Node& node, std::size_t keep) {
    while (hull.size() > keep && turn(hull[hull.size() - 2], hull.back(), node) <= 0) {
      hull.pop_back();
    }
    hull.push_back(node);
  };
  for (const Node& node : nodes) {
    add(node, 1);
  }
  const std::size_t lower = hull.size();
  for (std::size_t k = nodes.size() - 1; k-- > 0;) {
    add(nodes[k], lower);
  }
  hull.pop_back();
  return hull;
}

/// 1 inside or on the hull of the present samples.
Image<std::uint8_t> inside_hull(const Image<double>& image) {
  Image<std::uint8_t> inside(image.width(), image.height());
  std::vector<Node> present;
  for (int x = 0; x < image.width(); ++x) {
    for (int y = 0; y < image.height(); ++y) {
      if (std::isfinite(image(y, x))) {
        present.push_back({x, y});
      }
    }
  }
  if (present.size() < 3) {
    return inside;
  }
  const std::vector<Node> hull = convex_hull(present);
  if (hull.size() < 3) {
    return inside;
  }
  for (int y = 0; y < image.height(); ++y) {
    for (int x = 0; x < image.width(); ++x) {
      bool all = true;
      for (std::size_t k = 0; k < hull.size() && all; ++k) {
        all = turn(hull[k], hull[(k + 1) % hull.size()], {x, y}) >= 0;
      }
      inside(y, x) = all ? 1 : 0;
    }
  }
  return inside;
}

/// One squared term of the bending energy: sum of factor[k] * f[node[k]].
struct Term {
  std::array<std::size_t, 4> node{};
  std::array<double, 4> factor{};
};

class Bending {
 public:
  Bending(const Image<double>& image, const Image<std::uint8_t>& inside) {
    const int width = image.width();
    const auto add = [&](int x, int y, const std::array<Node, 4>& offset,
                         const std::array<double, 4>& factor) {
      Term term;
      bool any = false;
      for (std::size_t k = 0; k < 4; ++k) {
        const int i = x + offset[k].x;
        const int j = y + offset[k].y;
        if (!image.box().contains(i, j) || inside(j, i) == 0) {
          return;
        }
        term.node[k] = static_cast<std::size_t>(j) * static_cast<std::size_t>(width) +
                       static_cast<std::size_t>(i);
        term.factor[k] = factor[k];
        any = any || (factor[k] != 0.0 && !std::isfinite(image(j, i)));
      }
      if (any) {
        terms_.push_back(term);
      }
    };
    const double cross = std::sqrt(2.0);
    for (int y = 0; y < image.height(); ++y) {
      for (int x = 0; x < width; ++x) {
        add(x, y, {{{0, 0}, {1, 0}, {2, 0}, {0, 0}}}, {1.0, -2.0, 1.0, 0.0});
        add(x, y, {{{0, 0}, {0, 1}, {0, 2}, {0, 0}}}, {1.0, -2.0, 1.0, 0.0});
        add(x, y, {{{0, 0}, {1, 0}, {0, 1}, {1, 1}}}, {cross, -cross, -cross, cross});
      }
    }
  }

  /// Half the gradient of the energy at f, into `gradient`; f and gradient over all samples.
  void gradient(const std::vector<double>& f, std::vector<double>& gradient) const {
    std::fill(gradient.begin(), gradient.end(), 0.0);
    for (const Term& term : terms_) {
      double value = 0.0;
      for (std::size_t k = 0; k < 4; ++k) {
        value += term.factor[k] * f[term.node[k]];
      }
      for (std::size_t k = 0; k < 4; ++k) {
        gradient[term.node[k]] += term.factor[k] * value;
      }
    }
  }

 private:
  std::vector<Term> terms_;
};

/// Least energy over the unknown samples by conjugate gradients; f holds 0 there.
void minimise(const Bending& energy, const std::vector<std::size_t>& unknown,
              std::vector<double>& f) {
  std::vector<double> all(f.size());
  energy.gradient(f, all);
  const std::size_t n = unknown.size();
  std::vector<double> residual(n);
  double square = 0.0;
  for (std::size_t k = 0; k < n; ++k) {
    residual[k] = -all[unknown[k]];
    square += residual[k] * residual[k];
  }
  const double enough = square * kTolerance * kTolerance;
  std::vector<double> direction = residual;
  std::vector<double> spread(f.size(), 0.0);
  for (int iteration = 0; iteration < kMaxIterations && square > enough; ++iteration) {
    for (std::size_t k = 0; k < n; ++k) {
      spread[unknown[k]] = direction[k];
    }
    energy.gradient(spread, all);
    double curvature = 0.0;
    for (std::size_t k = 0; k < n; ++k) {
      curvature += direction[k] * all[unknown[k]];
    }
    if (!(curvature > 0.0)) {
      break;
    }
    const double step = square / curvature;
    double next = 0.0;
    for (std::size_t k = 0; k < n; ++k) {
      f[unknown[k]] += step * direction[k];
      residual[k] -= step * all[unknown[k]];
      next += residual[k] * residual[k];
    }
    const double ratio = next / square;
    square = next;
    for (std::size_t k = 0; k < n; ++k) {
      direction[k] = residual[k] + ratio * direction[k];
    }
  }
}

}  // namespace

void fill_gaps(Image<double>& image) {
  const Image<std::uint8_t> inside = inside_hull(image);
  std::vector<std::size_t> unknown;
  for (std::size_t k = 0; k < image.pixels().size(); ++k) {
    if (inside.pixels()[k] != 0 && !std::isfinite(image.pixels()[k])) {
      unknown.push_back(k);
    }
  }
  if (unknown.empty()) {
    return;
  }
  const Bending energy(image, inside);
  std::vector<double> f(image.pixels().begin(), image.pixels().end());
  for (double& value : f) {
    value = std::isfinite(value) ? value : 0.0;
  }
  minimise(energy, unknown, f);
  for (const std::size_t k : unknown) {
    image.pixels()[k] = f[k];
  }
}

void fill_nearest(Image<double>& image) {
  const Image<double> original = image;
  for (int y = 0; y < image.height(); ++y) {
    for (int x = 0; x < image.width(); ++x) {
      if (std::isfinite(original(y, x))) {
        continue;
      }
      double best = std::numeric_limits<double>::infinity();
      for (int j = 0; j < image.height(); ++j) {
        for (int i = 0; i < image.width(); ++i) {
          const double distance = std::hypot(i - x, j - y);
          if (std::isfinite(original(j, i)) && distance < best) {
            best = distance;
            image(y, x) = original(j, i);
          }
        }
      }
    }
  }
}

}  // namespace skyloom::numerics
