#pragma once
// What the sections of the photometry report share: what they are drawn from, and the parts of
// pictures.

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "pipelines/photometry/config.hpp"
#include "pipelines/photometry/field.hpp"
#include "skyloom/engine/pipeline.hpp"
#include "skyloom/engine/products.hpp"
#include "skyloom/web/report.hpp"
#include "skyloom/web/section_writer.hpp"

namespace skyloom::photometry {

/// Details are drawn for so many fields of a survey, and tables hold so many rows.
inline constexpr std::size_t kFieldsShown = 3;
inline constexpr std::size_t kRowsShown = 300;

struct ReportInput {
  const Config& config;
  const engine::Products& products;
  Survey survey;

  /// The first fields: those whose details are drawn.
  [[nodiscard]] std::vector<const Field*> shown_fields() const;
  /// ", <field>" where fields are listed.
  [[nodiscard]] std::string of_field(const Field& field) const;
  /// Band of a row of /frames, with field and number where that does not tell.
  [[nodiscard]] std::string frame_label(std::size_t row) const;
};

using web::SectionWriter;

/// Colour of the i-th series of a chart that shows bands.
std::string band_color(std::size_t i);

void mark(web::Markers& markers, double x, double y, const std::string& name = {});

/// Markers in survey pixels become markers in pixels of the picture.
void place_markers(web::Picture& picture);

/// Values at quantiles of the finite pixels; {0, 1} without any.
std::pair<double, double> quantiles_of(const Image<float>& image, double low, double high);

/// Limits that show sky and faint sources: the line through the sorted pixel values around their
/// median, continued to four times its slope (the zscale of IRAF, contrast 0.25).
std::pair<double, double> zscale(const Image<float>& image);

/// Sky coordinates of a picture whose survey pixels are those of `wcs`.
web::SkyMesh sky_mesh(const sky::Wcs& wcs, const web::Picture& picture);

/// One cell of an array column as a picture.
web::Picture array_picture(const Table& table, const std::string& column, std::size_t row);

/// The table cut to kRowsShown rows, with a title that says so.
web::DataTable shortened(web::DataTable table);

/// A name as part of a file name: characters other than letters, digits and _ - . become _.
std::string file_part(const std::string& name);

// The sections. Those without content have no blocks.
web::Section fields_section(const ReportInput& input, std::vector<std::string>& problems);
web::Section white_section(const ReportInput& input, std::vector<std::string>& problems);
web::Section fit_section(const ReportInput& input, std::vector<std::string>& problems);
/// @throws ConfigError for a source that the catalogue does not have
web::Section cutouts_section(const ReportInput& input, const engine::ReportOptions& options,
                             std::vector<std::string>& problems);
web::Section light_curves_section(const ReportInput& input, std::vector<std::string>& problems);
/// Comparison with a simulation's truth.
web::Section truth_section(const ReportInput& input, std::vector<std::string>& problems);
web::Section zero_point_section(const ReportInput& input, std::vector<std::string>& problems);
web::Section epsf_section(const ReportInput& input, std::vector<std::string>& problems);
web::Section catalogue_section(const ReportInput& input, std::vector<std::string>& problems);
web::Section frames_section(const ReportInput& input, std::vector<std::string>& problems);

}  // namespace skyloom::photometry
