#include "pipelines/photometry/report.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "skyloom/numerics/robust.hpp"

namespace skyloom::photometry {
namespace {

constexpr int kWhiteSidePix = 1400;  // largest side of the white picture on the page
constexpr std::size_t kPatchesShown = 3;

/// Mean of k x k blocks, NaN pixels left out.
Image<float> binned(const Image<float>& image, int k) {
  if (k <= 1) {
    return image;
  }
  Image<float> out(std::max(1, image.width() / k), std::max(1, image.height() / k));
  for (int y = 0; y < out.height(); ++y) {
    for (int x = 0; x < out.width(); ++x) {
      double sum = 0.0;
      int n = 0;
      for (int j = 0; j < k; ++j) {
        for (int i = 0; i < k; ++i) {
          const float v = image(y * k + j, x * k + i);
          if (std::isfinite(v)) {
            sum += v;
            ++n;
          }
        }
      }
      out(y, x) = n > 0 ? static_cast<float>(sum / n) : std::numeric_limits<float>::quiet_NaN();
    }
  }
  return out;
}

struct SourceMarks {
  web::Markers stars{"STAR", "#00bcd4", "circle", 7, {}, {}, {}, {}, {}};
  web::Markers galaxies{"GAL/EXP/DEV/SERSIC", "#e040fb", "circle", 10, {}, {}, {}, {}, {}};
  web::Markers unknown{"UNKNOWN", "#ffeb3b", "square", 9, {}, {}, {}, {}, {}};
  web::Markers saturated{"excluded: saturation", "#ff5252", "cross", 8, {}, {}, {}, {}, {}};
  web::Markers gaia{"matched with Gaia", "#76ff03", "square", 9, {}, {}, {}, {}, {}};
  web::Markers injected{"added from Gaia", "#ff9100", "circle", 13, {}, {}, {}, {}, {}};
};

void mark(web::Markers& markers, double x, double y, const std::string& name) {
  markers.x.push_back(x);
  markers.y.push_back(y);
  markers.names.push_back(name);
}

/// Markers in pixels of the white frame become markers in pixels of the picture.
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

web::PictureRow white_picture(const Config& config, const engine::Products& products) {
  const Box box = products.image_box("frames", "white/image");
  const int k =
      std::max(1, (std::max(box.width(), box.height()) + kWhiteSidePix - 1) / kWhiteSidePix);
  web::Picture picture;
  picture.title = "White image with sources by TYPE";
  picture.pixels = binned(products.image("frames", "white/image"), k);
  picture.stretch = "asinh";
  picture.unit = "scaled flux / pixel";
  picture.pixel_size = k;
  picture.x0 = 0.5 * (k - 1);
  picture.y0 = 0.5 * (k - 1);
  const Table& catalogue = products.table("catalogue", "catalogue");
  const auto& x = catalogue.get<double>("x_pix_white");
  const auto& y = catalogue.get<double>("y_pix_white");
  const auto& crop = catalogue.get<std::uint8_t>("excluded_crop");
  const auto& saturation = catalogue.get<std::uint8_t>("excluded_saturation");
  const std::vector<std::string> id =
      catalogue.has("ID") ? catalogue.texts("ID") : std::vector<std::string>(catalogue.rows());
  const std::vector<std::string> type =
      catalogue.has("TYPE") ? catalogue.texts("TYPE") : std::vector<std::string>(catalogue.rows());
  const auto& gaia_id = catalogue.get<std::string>("gaia_source_id");
  SourceMarks marks;
  std::size_t outside = 0;
  for (std::size_t i = 0; i < catalogue.rows(); ++i) {
    if (crop[i] != 0 || !std::isfinite(x[i]) || !box.contains(x[i], y[i])) {
      ++outside;
      continue;
    }
    if (!gaia_id[i].empty()) {
      mark(id[i] == "gaia_" + gaia_id[i] ? marks.injected : marks.gaia, x[i], y[i], gaia_id[i]);
    }
    if (saturation[i] != 0) {
      mark(marks.saturated, x[i], y[i], id[i]);
    } else if (type[i] == "STAR") {
      mark(marks.stars, x[i], y[i], id[i]);
    } else if (type[i] == "EXP" || type[i] == "DEV" || type[i] == "SERSIC" || type[i] == "GAL") {
      mark(marks.galaxies, x[i], y[i], id[i] + " " + type[i]);
    } else {
      mark(marks.unknown, x[i], y[i], id[i]);
    }
  }
  marks.unknown.label = fmt::format("UNKNOWN (fallback to {})", upper(config.patch_run.gal_model));
  for (web::Markers* m : {&marks.stars, &marks.galaxies, &marks.unknown, &marks.saturated,
                          &marks.gaia, &marks.injected}) {
    if (!m->x.empty()) {
      picture.markers.push_back(std::move(*m));
    }
  }
  place_markers(picture);
  return {fmt::format("{} x {} pixels; {} sources are outside or cropped", box.width(),
                      box.height(), outside),
          {std::move(picture)}};
}

/// Data, model and residual of one patch, on the white stack.
web::PictureRow patch_pictures(const engine::Products& products, std::size_t patch) {
  const Table& patches = products.table("patches", "patches");
  const auto number = [&](const char* column) { return patches.get<std::int32_t>(column)[patch]; };
  const Box base{number("x0_base"), number("x1_base"), number("y0_base"), number("y1_base")};
  const Image<float> data = products.image("frames", "white/image", base);
  const Image<float> sigma = products.image("frames", "white/sigma", base);
  const Image<float> model = products.image("fit", "white_model/image", base);
  Image<float> residual(base.width(), base.height());
  for (std::size_t i = 0; i < residual.pixels().size(); ++i) {
    residual.pixels()[i] = (data.pixels()[i] - model.pixels()[i]) / sigma.pixels()[i];
  }
  web::Markers input{"input position", "#ff9800", "plus", 4, {}, {}, {}, {}, {}};
  web::Markers fitted{"fit", "#00b0ff", "cross", 4, {}, {}, {}, {}, {}};
  web::Markers moved{"shift", "#00b0ff", "line", 1, {}, {}, {}, {}, {}};
  const Table& catalogue = products.table("catalogue", "catalogue");
  const auto& tag = catalogue.get<std::string>("patch_tag");
  const auto& x = catalogue.get<double>("x_pix_white");
  const auto& y = catalogue.get<double>("y_pix_white");
  const auto& x_fit = catalogue.get<double>("x_pix_white_fit");
  const auto& y_fit = catalogue.get<double>("y_pix_white_fit");
  const std::string& wanted = patches.get<std::string>("patch_tag")[patch];
  for (std::size_t i = 0; i < catalogue.rows(); ++i) {
    if (tag[i] == wanted) {
      mark(input, x[i], y[i], {});
      mark(fitted, x_fit[i], y_fit[i], {});
      moved.x.push_back(x[i]);
      moved.y.push_back(y[i]);
      moved.x2.push_back(x_fit[i]);
      moved.y2.push_back(y_fit[i]);
    }
  }
  const double scale = std::clamp(300.0 / std::max(base.width(), base.height()), 1.0, 6.0);
  std::vector<float> sorted;
  for (const float v : data.pixels()) {
    if (std::isfinite(v)) {
      sorted.push_back(v);
    }
  }
  std::sort(sorted.begin(), sorted.end());
  const auto quantile = [&](double q) {
    return sorted.empty()
               ? 0.0
               : static_cast<double>(
                     sorted[static_cast<std::size_t>(q * static_cast<double>(sorted.size() - 1))]);
  };
  const auto picture = [&](const char* title, const Image<float>& pixels) {
    web::Picture p;
    p.title = title;
    p.pixels = pixels;
    p.low = quantile(0.01);
    p.high = quantile(0.997);
    p.stretch = "asinh";
    p.unit = "scaled flux / pixel";
    p.scale = scale;
    p.x0 = base.x0;
    p.y0 = base.y0;
    return p;
  };
  web::PictureRow row{"Patch " + wanted,
                      {picture("data", data), picture("model + sky", model),
                       picture("residual / sigma", residual)}};
  row.pictures[0].markers = {input, fitted, moved};
  place_markers(row.pictures[0]);
  row.pictures[2].low = -5.0;
  row.pictures[2].high = 5.0;
  row.pictures[2].stretch = "linear";
  row.pictures[2].colors = "diverging";
  row.pictures[2].unit = "sky sigma";
  return row;
}

web::Section fit_section(const Config& config, const engine::Products& products) {
  web::Section section{"Fit", {}};
  const Table& patches = products.table("patches", "patches");
  const auto& n_sources = patches.get<std::int64_t>("n_sources");
  if (!config.patch_run.no_patch_overview && products.has_image("fit", "white_model/image")) {
    std::vector<std::size_t> order(patches.rows());
    for (std::size_t i = 0; i < order.size(); ++i) {
      order[i] = i;
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return n_sources[a] > n_sources[b]; });
    for (std::size_t i = 0; i < std::min(kPatchesShown, order.size()); ++i) {
      section.blocks.emplace_back(patch_pictures(products, order[i]));
    }
  }
  const Table& fit = products.table("fit", "fit_patches");
  const auto iterations = fit.numbers("opt_niters");
  std::map<int, int> counts;
  for (const double n : iterations) {
    ++counts[static_cast<int>(n)];
  }
  web::Series bars{"patches", "#1565c0", "steps", {}, {}, {}};
  for (const auto& [n, count] : counts) {
    bars.x.push_back(n);
    bars.y.push_back(count);
  }
  if (!bars.x.empty()) {
    section.blocks.emplace_back(
        web::Chart{"Iterations per patch", "iterations", "patches", false, false, {bars}});
  }
  return section;
}

web::Section catalogue_section(const engine::Products& products) {
  web::Section section{"Catalogue", {}};
  const Table& catalogue = products.table("catalogue", "catalogue");
  const Table& frames = products.table("frames", "frames");
  const auto& type = catalogue.get<std::string>("stype_fit");
  const auto& converged = catalogue.get<std::uint8_t>("opt_converged");
  std::map<std::string, std::array<int, 2>> counts;
  for (std::size_t i = 0; i < type.size(); ++i) {
    if (!type[i].empty()) {
      ++counts[type[i]][0];
      counts[type[i]][1] += converged[i];
    }
  }
  web::DataTable table{"Sources by model", {"model", "fitted", "converged"}, {}};
  for (const auto& [name, count] : counts) {
    table.rows.push_back({name, std::to_string(count[0]), std::to_string(count[1])});
  }
  section.blocks.emplace_back(std::move(table));
  web::Chart chart{"Flux error against flux", "scaled flux", "marginal error", true, true, {}};
  const std::array<const char*, 6> colors{"#1565c0", "#2e7d32", "#ef6c00",
                                          "#c62828", "#6a1b9a", "#00838f"};
  for (const std::string& band : frames.get<std::string>("band")) {
    web::Series points{band, colors[chart.series.size() % colors.size()], "points", {}, {}, {}};
    const auto& flux = catalogue.get<double>("FLUX_" + band + "_fit");
    const auto& error = catalogue.get<double>("FLUXERR_" + band + "_fit");
    for (std::size_t i = 0; i < flux.size(); ++i) {
      if (flux[i] > 0.0 && error[i] > 0.0) {
        points.x.push_back(flux[i]);
        points.y.push_back(error[i]);
      }
    }
    chart.series.push_back(std::move(points));
  }
  section.blocks.emplace_back(std::move(chart));
  return section;
}

web::Section frames_section(const engine::Products& products) {
  web::Section section{"Frames", {}};
  const Table& frames = products.table("frames", "frames");
  web::DataTable table{"Images",
                       {"band", "file", "size", "zero point [mag]", "scale", "sky sigma [ADU]",
                        "gain [e/ADU]", "saturated pixels", "other bad pixels"},
                       {}};
  for (std::size_t i = 0; i < frames.rows(); ++i) {
    const auto number = [&](const char* column) { return frames.numbers(column)[i]; };
    table.rows.push_back(
        {frames.get<std::string>("band")[i], frames.get<std::string>("file")[i],
         fmt::format("{} x {}", number("width"), number("height")),
         fmt::format("{:.4f}", number("zp_mag")), fmt::format("{:.5g}", number("scale")),
         fmt::format("{:.3g}", number("skysig_adu")), fmt::format("{:.3g}", number("egain")),
         fmt::format("{}", number("n_saturated")),
         fmt::format("{}", number("n_not_finite") + number("n_masked"))});
  }
  section.blocks.emplace_back(std::move(table));
  return section;
}

}  // namespace

web::Report report(const Config& config, const engine::Products& products) {
  const Table& catalogue = products.table("catalogue", "catalogue");
  const auto& type = catalogue.get<std::string>("stype_fit");
  const auto& converged = catalogue.get<std::uint8_t>("opt_converged");
  std::size_t fitted = 0;
  std::size_t n_converged = 0;
  for (std::size_t i = 0; i < type.size(); ++i) {
    fitted += type[i].empty() ? 0 : 1;
    n_converged += converged[i] != 0 ? 1 : 0;
  }
  web::Report out;
  out.title = "Photometry of " + config.inputs.tile_name;
  out.subtitle = "Simultaneous multi-band fit";
  out.facts = {
      {"frames", std::to_string(products.table("frames", "frames").rows())},
      {"catalogue rows", std::to_string(catalogue.rows())},
      {"fitted", std::to_string(fitted)},
      {"converged", fitted > 0 ? fmt::format("{:.1f} %", 100.0 * static_cast<double>(n_converged) /
                                                             static_cast<double>(fitted))
                               : std::string("-")},
      {"patches", std::to_string(products.table("patches", "patches").rows())}};
  out.sections.push_back({"Field", {white_picture(config, products)}});
  out.sections.push_back(fit_section(config, products));
  if (web::Section truth = truth_section(config, products); !truth.blocks.empty()) {
    out.sections.push_back(std::move(truth));
  }
  out.sections.push_back(zero_point_section(config, products));
  out.sections.push_back(epsf_section(products));
  out.sections.push_back(catalogue_section(products));
  out.sections.push_back(frames_section(products));
  return out;
}

}  // namespace skyloom::photometry
