#include "pipelines/photometry/fit/kernel_errors.hpp"

#include <algorithm>
#include <cmath>
#include <span>

#include "skyloom/numerics/dense.hpp"
#include "skyloom/numerics/float_lanes.hpp"

namespace skyloom::photometry::fit {

namespace {

using Matrix = std::vector<double>;

std::size_t product(int a, int b) {
  return static_cast<std::size_t>(a) * static_cast<std::size_t>(b);
}

/// c += sign * a^T b, for a (rows, n) and b (rows, m).
void add_products(const Matrix& a, const Matrix& b, int rows, int n, int m, double sign,
                  Matrix& c) {
  if (rows == 0 || n == 0 || m == 0) {
    return;
  }
  Matrix scaled = a;
  for (double& v : scaled) {
    v *= -sign;
  }
  numerics::subtract_products(scaled.data(), n, b.data(), m, rows, n, m, c.data(), m);
}

Matrix transposed(const Matrix& a, int rows, int columns) {
  Matrix t(a.size());
  for (int i = 0; i < rows; ++i) {
    for (int j = 0; j < columns; ++j) {
      t[product(j, rows) + static_cast<std::size_t>(i)] =
          a[product(i, columns) + static_cast<std::size_t>(j)];
    }
  }
  return t;
}

/// Variance of the scores of a band: weights w^2 (sky variance + source variance).
struct Scores {
  Matrix linear;    ///< (L, L)
  Matrix coupling;  ///< (L, n)
};

/// What the sandwich needs beside the normal matrices.
class ScoreGram {
 public:
  explicit ScoreGram(Scene& scene) : gram_(scene.work().score_gram) {
    scene.resize(gram_);
    auto& weights = scene.work().score_weight;
    weights.resize(std::max(weights.size(), scene.frames().size()));
    std::vector<std::span<const float>> weight;
    for (std::size_t f = 0; f < scene.frames().size(); ++f) {
      const Frame& frame = scene.frames()[f];
      weights[f].resize(frame.weight.size());
      // Where nothing shines, all noise is that of the sky.
      sum_.push_back(frame.dark[0] + fill_lit(frame, weights[f].data()));
      weight.emplace_back(weights[f].data(), frame.weight.size());
    }
    scene.fill_gram(gram_, weight, true, scene.weight_id());
  }

  [[nodiscard]] const Gram& gram() const { return gram_; }
  [[nodiscard]] double sum(int frame) const { return sum_[static_cast<std::size_t>(frame)]; }

 private:
  /// Weights of the pixels under boxes. @return their sum
  static double fill_lit(const Frame& frame, float* out) {
    const double gain = frame.input->gain_e_per_flux;
    const auto per_flux = static_cast<float>(gain > 0.0 && std::isfinite(gain) ? 1.0 / gain : 0.0);
    double sum = 0.0;
    for (const RowPiece& piece : frame.lit) {
      const std::ptrdiff_t row = piece.y * frame.stride;
      for (std::ptrdiff_t i = row + piece.x0; i < row + piece.x1; ++i) {
        const auto k = static_cast<std::size_t>(i);
        const float sky = frame.sky_weight[k];
        const float used = frame.weight[k];
        const float source = std::max(0.0F, frame.model[k]) * per_flux;
        const float w = sky > 0.0F ? used * used * (1.0F / sky + source) : 0.0F;
        out[i] = w;
        sum += static_cast<double>(w);
      }
    }
    return sum;
  }

  std::vector<double> sum_;
  Gram& gram_;
};

Scores scores_of(const Scene& scene, const ScoreGram& score, int b, int n) {
  const BandSystem& band = scene.band(b);
  const int size = band.size();
  const int sources = static_cast<int>(band.source.size());
  Scores result{Matrix(product(size, size)), Matrix(product(size, n))};
  scene.linear_matrix(score.gram(), band, b, result.linear);
  scene.coupling_matrix(score.gram(), band, b, result.coupling);
  for (int k = sources; k < size; ++k) {
    const int f = band.sky_frame[static_cast<std::size_t>(k - sources)];
    for (int i = 0; i < sources; ++i) {
      const auto s = static_cast<std::size_t>(band.source[static_cast<std::size_t>(i)]);
      const double sum = score.gram().frame[static_cast<std::size_t>(f)][s].sum[0];
      result.linear[product(i, size) + static_cast<std::size_t>(k)] = sum;
      result.linear[product(k, size) + static_cast<std::size_t>(i)] = sum;
    }
    result.linear[product(k, size) + static_cast<std::size_t>(k)] = score.sum(f);
  }
  return result;
}

/// A^-1 X for X (L, m).
Matrix solved(const BandSystem& band, Matrix x, int m) {
  if (m > 0) {
    band.factor.solve_lower_rows(x, m);
    band.factor.solve_upper_rows(x, m);
  }
  return x;
}

/// Columns of all skies in the inverse of the full normal matrix, P = A^-1 + W H^-1 W^T (A^-1 only
/// within a band), turned into P_fs P_ss^-1.
void fill_flux_per_sky(const Scene& scene, const std::vector<Matrix>& response,
                       const Matrix& inverse, Covariance& result) {
  const int n = result.n;
  const auto sources_of = [&](int b) { return static_cast<int>(scene.band(b).source.size()); };
  int skies = 0;
  for (int b = 0; b < scene.n_bands(); ++b) {
    const auto& frames = scene.band(b).sky_frame;
    result.sky_frame.insert(result.sky_frame.end(), frames.begin(), frames.end());
    skies += static_cast<int>(frames.size());
  }
  // W^T and H^-1 W^T for the skies.
  Matrix wt_sky(product(n, skies), 0.0);
  int first = 0;
  for (int b = 0; b < scene.n_bands(); ++b) {
    const int own = scene.band(b).size() - sources_of(b);
    for (int k = 0; k < own; ++k) {
      for (int i = 0; i < n; ++i) {
        wt_sky[product(i, skies) + static_cast<std::size_t>(first + k)] =
            response[static_cast<std::size_t>(b)]
                    [product(sources_of(b) + k, n) + static_cast<std::size_t>(i)];
      }
    }
    first += own;
  }
  Matrix follow(product(n, skies), 0.0);
  add_products(inverse, wt_sky, n, n, skies, 1.0, follow);
  Matrix sky_sky(product(skies, skies), 0.0);
  first = 0;
  for (int b = 0; b < scene.n_bands(); ++b) {
    const BandSystem& band = scene.band(b);
    const int size = band.size();
    const int own = size - sources_of(b);
    Matrix columns(product(size, skies), 0.0);
    for (int k = 0; k < own; ++k) {
      columns[product(sources_of(b) + k, skies) + static_cast<std::size_t>(first + k)] = 1.0;
    }
    columns = solved(band, std::move(columns), skies);
    add_products(transposed(response[static_cast<std::size_t>(b)], size, n), follow, n, size, skies,
                 1.0, columns);
    const auto border = static_cast<std::ptrdiff_t>(product(sources_of(b), skies));
    std::copy(columns.begin() + border, columns.end(),
              sky_sky.begin() + static_cast<std::ptrdiff_t>(product(first, skies)));
    columns.resize(product(sources_of(b), skies));
    result.flux_per_sky.push_back(std::move(columns));
    first += own;
  }
  numerics::SmallCholesky factor;
  const bool ok = skies > 0 && factor.factor(sky_sky, skies);
  for (Matrix& rows : result.flux_per_sky) {
    for (std::size_t at = 0; at < rows.size(); at += static_cast<std::size_t>(skies)) {
      const std::span<double> row(rows.data() + at, static_cast<std::size_t>(skies));
      if (ok) {
        factor.solve(row);
      } else {
        std::fill(row.begin(), row.end(), 0.0);
      }
    }
  }
}

}  // namespace

Covariance covariance(Scene& scene, const std::vector<double>& inverse,
                      const std::vector<double>& hessian,
                      const std::vector<double>& prior_precision) {
  const int n = scene.active_parameters();
  Covariance result;
  result.n = n;
  const ScoreGram score(scene);
  Matrix middle(product(n, n), 0.0);
  scene.direct_matrix(score.gram(), middle);
  for (int i = 0; i < n; ++i) {
    middle[product(i, n) + static_cast<std::size_t>(i)] +=
        prior_precision[static_cast<std::size_t>(i)];
  }
  std::vector<Matrix> response;  // A^-1 B per band
  std::vector<Scores> scores;
  for (int b = 0; b < scene.n_bands(); ++b) {
    const BandSystem& band = scene.band(b);
    const int size = band.size();
    Matrix coupling(product(size, n));
    scene.coupling_matrix(scene.gram(), band, b, coupling);
    response.push_back(solved(band, std::move(coupling), n));
    scores.push_back(scores_of(scene, score, b, n));
    // Projected scores: N - W^T X - X^T W + W^T N_A W.
    const Matrix& w = response.back();
    const Scores& s = scores.back();
    add_products(w, s.coupling, size, n, n, -1.0, middle);
    add_products(s.coupling, w, size, n, n, -1.0, middle);
    Matrix nw(product(size, n), 0.0);
    add_products(s.linear, w, size, size, n, 1.0, nw);
    add_products(w, nw, size, n, n, 1.0, middle);
  }
  Matrix half(product(n, n), 0.0);
  add_products(inverse, middle, n, n, n, 1.0, half);  // the inverse is symmetric
  result.theta.assign(product(n, n), 0.0);
  add_products(transposed(half, n, n), inverse, n, n, n, 1.0, result.theta);
  for (int b = 0; b < scene.n_bands(); ++b) {
    const BandSystem& band = scene.band(b);
    const int size = band.size();
    const Matrix& w = response[static_cast<std::size_t>(b)];
    const Scores& s = scores[static_cast<std::size_t>(b)];
    // A^-1 N_A A^-1
    const Matrix left = solved(band, s.linear, size);
    Matrix cov = solved(band, transposed(left, size, size), size);
    if (n > 0) {
      const Matrix wt = transposed(w, size, n);
      // A^-1 (X - N_A W) H^-1 W^T and its transpose
      Matrix x = s.coupling;
      add_products(s.linear, w, size, size, n, -1.0, x);
      x = solved(band, std::move(x), n);
      Matrix xh(product(size, n), 0.0);
      add_products(transposed(x, size, n), inverse, n, size, n, 1.0, xh);
      const Matrix xht = transposed(xh, size, n);
      add_products(xht, wt, n, size, size, -1.0, cov);
      add_products(wt, xht, n, size, size, -1.0, cov);
      Matrix wc(product(size, n), 0.0);
      add_products(wt, result.theta, n, size, n, 1.0, wc);
      add_products(transposed(wc, size, n), wt, n, size, size, 1.0, cov);
    }
    result.linear.push_back(std::move(cov));
  }
  fill_flux_per_sky(scene, response, hessian, result);
  return result;
}

}  // namespace skyloom::photometry::fit
