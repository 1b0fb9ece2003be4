#pragma once
// Light curves that are no FITS files: text and NumPy arrays. Private to the room.

#include <string>
#include <vector>

#include "skyloom/core/table.hpp"
#include "skyloom/surveys/light_curve.hpp"

namespace skyloom::surveys {

/// A file that ends in .csv, or in .npy.
bool is_csv(const std::string& path);
bool is_npy(const std::string& path);

struct PlainLightCurve {
  LightCurveHeader header;
  Table table;  ///< TIME, PDCSAP_FLUX, PDCSAP_FLUX_ERR, QUALITY and, when given, CADENCENO
};

/// @throws ConfigError for a file without star and sector, without the columns, or one whose median
///   step of time is not two minutes
PlainLightCurve read_csv_light_curve(const std::string& path);

/// Array (3, cadences) of float64: time, normalised flux, normalised error; QUALITY is 0. The
/// format is that of numpy.lib.format, versions 1 to 3, in C or Fortran order, little-endian.
/// @throws ConfigError for a file of another name than TIC_SECTOR.npy, one that holds anything else
///   or is cut short, and as above
PlainLightCurve read_npy_light_curve(const std::string& path);

/// @throws ConfigError naming the file when the median step of time is not two minutes
void require_two_minutes(const std::vector<double>& time, const std::string& path);

}  // namespace skyloom::surveys
