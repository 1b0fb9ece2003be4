#include "pipelines/photometry/report_parts.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

namespace skyloom::photometry {

std::vector<const Field*> ReportInput::shown_fields() const {
  std::vector<const Field*> fields;
  for (std::size_t i = 0; i < std::min(kFieldsShown, survey.fields.size()); ++i) {
    fields.push_back(&survey.fields[i]);
  }
  return fields;
}

std::string ReportInput::of_field(const Field& field) const {
  return survey.is_listed ? ", " + field.name() : std::string();
}

std::string ReportInput::frame_label(std::size_t row) const {
  const auto [index, number] = survey.frame_at(row);
  const Field& field = survey.fields[index];
  const int band = field.band_of_frame[number];
  const bool alone = std::count(field.band_of_frame.begin(), field.band_of_frame.end(), band) == 1;
  const std::string name = alone ? field.infos[number].band : frame_key(field, number);
  return survey.key(field, name);
}

std::string band_color(std::size_t i) {
  constexpr std::array<const char*, 8> kColors{"#1565c0", "#2e7d32", "#ef6c00", "#c62828",
                                               "#6a1b9a", "#00838f", "#795548", "#d81b60"};
  return kColors[i % kColors.size()];
}

void mark(web::Markers& markers, double x, double y, const std::string& name) {
  markers.x.push_back(x);
  markers.y.push_back(y);
  markers.names.push_back(name);
}

void place_markers(web::Picture& picture) {
  for (web::Markers& group : picture.markers) {
    for (auto* values : {&group.x, &group.x2}) {
      for (double& v : *values) {
        v = (v - picture.x0) / picture.pixel_size;
      }
    }
    for (auto* values : {&group.y, &group.y2}) {
      for (double& v : *values) {
        v = (v - picture.y0) / picture.pixel_size;
      }
    }
    group.radius_pix = std::max(2.0, group.radius_pix / picture.pixel_size);
  }
}

namespace {

std::vector<float> sorted_values(const Image<float>& image, std::size_t most) {
  const std::size_t step = std::max<std::size_t>(1, image.pixels().size() / most);
  std::vector<float> values;
  for (std::size_t i = 0; i < image.pixels().size(); i += step) {
    if (std::isfinite(image.pixels()[i])) {
      values.push_back(image.pixels()[i]);
    }
  }
  std::sort(values.begin(), values.end());
  return values;
}

/// Least squares line through (i, v[i]) of the marked ones: value at 0 and slope.
std::pair<double, double> line_through(const std::vector<float>& v,
                                       const std::vector<std::uint8_t>& used) {
  double n = 0.0;
  double sx = 0.0;
  double sy = 0.0;
  double sxx = 0.0;
  double sxy = 0.0;
  for (std::size_t i = 0; i < v.size(); ++i) {
    if (used[i] != 0) {
      const auto x = static_cast<double>(i);
      n += 1.0;
      sx += x;
      sy += v[i];
      sxx += x * x;
      sxy += x * v[i];
    }
  }
  const double det = n * sxx - sx * sx;
  const double slope = det > 0.0 ? (n * sxy - sx * sy) / det : 0.0;
  return {n > 0.0 ? (sy - slope * sx) / n : 0.0, slope};
}

}  // namespace

std::pair<double, double> quantiles_of(const Image<float>& image, double low, double high) {
  const std::vector<float> values = sorted_values(image, 4'000'000);
  if (values.empty()) {
    return {0.0, 1.0};
  }
  const auto at = [&](double q) {
    return static_cast<double>(
        values[static_cast<std::size_t>(std::lround(q * static_cast<double>(values.size() - 1)))]);
  };
  return {at(low), at(high)};
}

std::pair<double, double> zscale(const Image<float>& image) {
  constexpr double kContrast = 0.25;
  constexpr double kReject = 2.5;
  constexpr int kRounds = 5;
  const std::vector<float> values = sorted_values(image, 4000);
  if (values.size() < 5) {
    return quantiles_of(image, 0.0, 1.0);
  }
  std::vector<std::uint8_t> used(values.size(), 1);
  std::pair<double, double> line;
  std::size_t n_used = values.size();
  for (int round = 0; round < kRounds && 2 * n_used >= values.size(); ++round) {
    line = line_through(values, used);
    double sum = 0.0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double r = values[i] - line.first - line.second * static_cast<double>(i);
      sum += used[i] != 0 ? r * r : 0.0;
    }
    const double limit = kReject * std::sqrt(sum / static_cast<double>(n_used));
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double r = values[i] - line.first - line.second * static_cast<double>(i);
      used[i] = std::abs(r) <= limit ? 1 : 0;
    }
    n_used = static_cast<std::size_t>(std::accumulate(used.begin(), used.end(), 0));
  }
  const std::size_t half = values.size() / 2;
  const auto middle = static_cast<double>(half);
  const double median = values[half];
  const double slope = line.second / kContrast;
  const double low = std::max<double>(values.front(), median - middle * slope);
  const double high = std::min<double>(
      values.back(), median + (static_cast<double>(values.size() - 1) - middle) * slope);
  return low < high ? std::pair{low, high} : quantiles_of(image, 0.0, 1.0);
}

web::SkyMesh sky_mesh(const sky::Wcs& wcs, const web::Picture& picture) {
  constexpr int kPoints = 17;
  web::SkyMesh mesh;
  mesh.columns = kPoints;
  mesh.rows = kPoints;
  mesh.x_first = -0.5;
  mesh.y_first = -0.5;
  mesh.x_step = static_cast<double>(picture.pixels.width()) / (kPoints - 1);
  mesh.y_step = static_cast<double>(picture.pixels.height()) / (kPoints - 1);
  std::vector<double> x;
  std::vector<double> y;
  for (int j = 0; j < kPoints; ++j) {
    for (int i = 0; i < kPoints; ++i) {
      x.push_back(picture.x0 + picture.pixel_size * (mesh.x_first + i * mesh.x_step));
      y.push_back(picture.y0 + picture.pixel_size * (mesh.y_first + j * mesh.y_step));
    }
  }
  mesh.ra_deg.resize(x.size());
  mesh.dec_deg.resize(x.size());
  wcs.to_sky(x, y, mesh.ra_deg, mesh.dec_deg);
  const double centre = mesh.ra_deg[mesh.ra_deg.size() / 2];
  for (double& ra : mesh.ra_deg) {
    ra -= 360.0 * std::round((ra - centre) / 360.0);
  }
  return mesh;
}

web::Picture array_picture(const Table& table, const std::string& column, std::size_t row) {
  const Column& description = table.columns()[table.position(column)];
  web::Picture picture;
  picture.pixels =
      Image<float>(static_cast<int>(description.shape[1]), static_cast<int>(description.shape[0]));
  const std::size_t n = picture.pixels.pixels().size();
  std::copy_n(table.get<float>(column).begin() + static_cast<std::ptrdiff_t>(row * n), n,
              picture.pixels.pixels().begin());
  return picture;
}

web::DataTable shortened(web::DataTable table) {
  if (table.rows.size() > kRowsShown) {
    table.title += fmt::format(" (the first {} of {})", kRowsShown, table.rows.size());
    table.rows.resize(kRowsShown);
  }
  return table;
}

std::string file_part(const std::string& name) {
  std::string out = name;
  std::replace_if(
      out.begin(), out.end(),
      [](unsigned char c) { return std::isalnum(c) == 0 && c != '_' && c != '-' && c != '.'; },
      '_');
  return out;
}

}  // namespace skyloom::photometry
