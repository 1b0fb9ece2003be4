#pragma once
// The catalogue of sources that forced photometry starts from (CSV, or a FITS table).

#include <string>
#include <string_view>
#include <vector>

#include "skyloom/core/table.hpp"

namespace skyloom::surveys {

/// Reads a source catalogue. First the columns ID and TYPE (text, "" when absent; TYPE trimmed and
/// in capitals), RA and DEC (deg), then those of ELL, THETA (deg), Re (pixels) and FLUX_<band> that
/// the file has, all float64 with NaN for what is no number; then all other columns as they are.
/// Names are looked up regardless of case and outer blanks, FLUX_ only in capitals.
/// @param bands names of the bands of the images; empty = no check
/// @param notes filled with a sentence when RA or DEC are spelled otherwise; may be null
/// @throws ConfigError naming file and column: no RA/DEC, FLUX_ columns of other bands than those
/// of
///   the images, two rows with one key (ID, or RA and DEC where the ID is empty)
Table read_source_catalogue(const std::string& path, const std::vector<std::string>& bands,
                            std::vector<std::string>* notes = nullptr);

/// True for a file name that stands for FITS rather than CSV.
bool is_fits_name(std::string_view path);

}  // namespace skyloom::surveys
