#pragma once
// Detection, the stellar locus, choice of stars, and the pixels of each.

#include <cstdint>
#include <string>
#include <vector>

#include "pipelines/photometry/epsf/kernel.hpp"
#include "skyloom/sky/detection.hpp"

namespace skyloom::photometry::epsf {

/// The band image as all steps see it: background subtracted, bad pixels 0.
struct Frame {
  Image<float> data;
  Image<float> sigma;        ///< median of the good ones where bad
  Image<std::uint8_t> bad;   ///< bits of Input::bad, and not finite
  Image<std::uint8_t> mask;  ///< 1 = bad
  double sigma_median = 0.0;
  double gain = 0.0;
  std::vector<BackgroundStats> cell_background;
};

/// A detection with its aperture flux and size.
struct Object {
  sky::Detection detection;
  double flux = 0.0;
  double snr = 0.0;
  double r50 = 0.0;
  bool saturated = false;
  int owner = 0;  ///< index of the object its pixels belong to (fragments)
};

/// One star of the set and its pixels; arrays are row by row over `box`.
struct Star {
  StarRow row;
  int object = 0;
  Box box;
  std::vector<double> data;
  std::vector<double> neighbours;    ///< model of all other star-like objects
  std::vector<double> variance;      ///< of the sky
  std::vector<std::uint8_t> masked;  ///< bad, or of another object
  std::vector<std::uint8_t> clipped;
  double excess[3] = {0.0, 0.0, 0.0};  ///< lambda, g1, g2 it would have on its own
  double excess_error[3] = {1.0, 1.0, 1.0};

  /// True when pixel k of the stamp counts.
  [[nodiscard]] bool good(std::size_t k) const { return masked[k] == 0 && clipped[k] == 0; }
  /// Light of the star in pixel k: without neighbours and sky.
  [[nodiscard]] double light(std::size_t k) const { return data[k] - neighbours[k] - row.sky; }
};

/// A star-like detection that is subtracted from the stamps of others.
struct Neighbour {
  double x = 0.0;
  double y = 0.0;
  double flux = 0.0;
  int star = -1;  ///< index into Selection::stars when it belongs to the set
};

struct Selection {
  std::vector<Object> objects;
  Image<std::int32_t> segments;
  double locus_r50 = 0.0;
  int n_candidates = 0;
  std::vector<Star> stars;        ///< core stars by decreasing S/N, then wing stars
  std::vector<StarRow> left_out;  ///< candidates over the quota of their cell
  std::vector<Neighbour> neighbours;
};

/// @throws UnitError when nothing is good
[[nodiscard]] Frame prepare_frame(const Input& input, const Options& options,
                                  std::vector<std::string>& warnings);

[[nodiscard]] Selection select_stars(const Input& input, const Options& options,
                                     const Frame& frame);

/// Cell that holds a position; -1 = none.
[[nodiscard]] int cell_of(const std::vector<Cell>& cells, double x, double y);

/// Median of the values, 0 for none; reorders its argument.
[[nodiscard]] double median_of(std::vector<double> values);
/// 1.4826 times the median absolute deviation from `centre`.
[[nodiscard]] double robust_sigma(std::vector<double> values, double centre);

}  // namespace skyloom::photometry::epsf
