#include "pipelines/photometry/patches/payload.hpp"

#include <algorithm>
#include <tuple>

#include <fmt/format.h>

#include "skyloom/core/errors.hpp"

namespace skyloom::photometry {

SavedPixels::SavedPixels(const engine::Products& before, const Survey& survey, const Field& field)
    : before_(before),
      survey_(survey),
      places_(field_rows(survey, before, "patches", "patch_pixels", field).table) {}

std::size_t SavedPixels::row(const Field& field, std::size_t frame, std::size_t patch) const {
  // In order of patches and frames; those of a patch whose images could not be read are missing.
  const auto& patches = places_.get<std::int64_t>("patch");
  const auto& frames = places_.get<std::int32_t>("frame");
  const std::pair key(static_cast<std::int64_t>(patch),
                      static_cast<std::int32_t>(field.first_frame + frame));
  std::size_t first = 0;
  std::size_t last = places_.rows();
  while (first < last) {
    const std::size_t middle = (first + last) / 2;
    if (std::pair(patches[middle], frames[middle]) < key) {
      first = middle + 1;
    } else {
      last = middle;
    }
  }
  if (first == places_.rows() || std::pair(patches[first], frames[first]) != key) {
    throw UnitError(Reason::bad_input, "the stage patches did not save its pixels");
  }
  return first;
}

Footprint SavedPixels::footprint(const Field& field, std::size_t frame, std::size_t patch) const {
  const std::size_t i = row(field, frame, patch);
  const auto whole = [&](const char* column) { return places_.get<std::int32_t>(column)[i]; };
  const auto number = [&](const char* column) { return places_.get<double>(column)[i]; };
  Footprint out;
  out.box = {whole("x0"), whole("x0") + whole("width"), whole("y0"), whole("y0") + whole("height")};
  out.matrix = {number("m_xx"), number("m_xy"), number("m_yx"), number("m_yy")};
  out.dx = number("dx");
  out.dy = number("dy");
  return out;
}

surveys::FramePixels SavedPixels::read(const Field& field, std::size_t frame,
                                       std::size_t patch) const {
  const std::size_t i = row(field, frame, patch);
  const int width = places_.get<std::int32_t>("width")[i];
  const int height = places_.get<std::int32_t>("height")[i];
  const auto offset = static_cast<std::size_t>(places_.get<std::int64_t>("offset")[i]);
  const std::string group = pixel_group(survey_, field, frame);
  surveys::FramePixels out{Image<float>(width, height), Image<float>(width, height), {}};
  const std::size_t count = out.data.pixels().size();
  const auto data = before_.range<float>("patches", group + "/img", offset, count);
  const auto sigma = before_.range<float>("patches", group + "/sigma_sky", offset, count);
  std::copy(data.begin(), data.end(), out.data.pixels().begin());
  std::transform(sigma.begin(), sigma.end(), out.invvar.pixels().begin(), surveys::invvar_of_sigma);
  return out;
}

}  // namespace skyloom::photometry
