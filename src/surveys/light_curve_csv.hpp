#pragma once
// Light curves as text. Private to the room.

#include <string>

#include "skyloom/core/table.hpp"
#include "skyloom/surveys/light_curve.hpp"

namespace skyloom::surveys {

/// A file that ends in .csv.
bool is_csv(const std::string& path);

struct CsvLightCurve {
  LightCurveHeader header;
  Table table;  ///< TIME, PDCSAP_FLUX, PDCSAP_FLUX_ERR, QUALITY and, when given, CADENCENO
};

/// @throws ConfigError for a file without star and sector, without the columns, or one whose median
///   step of time is not two minutes
CsvLightCurve read_csv_light_curve(const std::string& path);

}  // namespace skyloom::surveys
