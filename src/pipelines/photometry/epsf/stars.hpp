#pragma once
// The stellar locus, choice of stars, and the pixels of each.

#include <cstdint>
#include <string>
#include <vector>

#include "pipelines/photometry/epsf/frame.hpp"
#include "pipelines/photometry/epsf/kernel.hpp"
#include "pipelines/photometry/objects/kernel.hpp"

namespace skyloom::photometry::epsf {

/// One star of the set and its pixels; arrays are row by row over `box`.
struct Star {
  StarRow row;
  int object = 0;
  Box box;
  std::vector<float> data;
  std::vector<float> neighbours;     ///< model of all other objects that have one
  std::vector<float> galaxies;       ///< the part of it that the second pass fixed; may be empty
  std::vector<float> variance;       ///< of the sky
  std::vector<std::uint8_t> masked;  ///< bad, or of another object
  std::vector<std::uint8_t> clipped;
  double sigma_sky = 1.0;              ///< median over the stamp
  double peak = 0.0;                   ///< brightest pixel of the detection
  double excess[3] = {0.0, 0.0, 0.0};  ///< lambda, g1, g2 it would have on its own
  double excess_error[3] = {1.0, 1.0, 1.0};

  /// True when pixel k of the stamp counts.
  [[nodiscard]] bool good(std::size_t k) const { return masked[k] == 0 && clipped[k] == 0; }
  /// Light of the star in pixel k: without neighbours and sky.
  [[nodiscard]] double light(std::size_t k) const {
    return static_cast<double>(data[k]) - static_cast<double>(neighbours[k]) - row.sky;
  }
};

/// A star-like detection that is subtracted from the stamps of others.
struct Neighbour {
  double x = 0.0;
  double y = 0.0;
  double flux = 0.0;
  int star = -1;  ///< index into Selection::stars when it belongs to the set
};

struct Selection {
  int n_detections = 0;
  double locus_r50 = 0.0;
  int n_candidates = 0;
  bool crowded = false;           ///< isolation had to be relaxed
  std::vector<Star> stars;        ///< core stars by decreasing S/N, then wing stars
  std::vector<StarRow> left_out;  ///< candidates over the quota of their cell
  std::vector<Neighbour> neighbours;
  NearPixels near{Box{}};  ///< covers stamps, cut-outs and the cores of neighbours
};

[[nodiscard]] Selection select_stars(const Band& band, const objects::Objects& objects,
                                     const Options& options, std::vector<std::string>& warnings);

/// Cell that holds a position; -1 = none.
[[nodiscard]] int cell_of(const std::vector<Cell>& cells, double x, double y);

/// Median of the values, 0 for none; reorders its argument.
[[nodiscard]] double median_of(std::vector<double> values);
/// 1.4826 times the median absolute deviation from `centre`.
[[nodiscard]] double robust_sigma(std::vector<double> values, double centre);

}  // namespace skyloom::photometry::epsf
