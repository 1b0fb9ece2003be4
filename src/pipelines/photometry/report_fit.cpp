// The fit: patches on the white image, iterations, and PSFs that were fitted as sums of Gaussians.

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <tuple>

#include <fmt/format.h>

#include "pipelines/photometry/fit/stage.hpp"
#include "pipelines/photometry/report_parts.hpp"
#include "skyloom/sky/psf_mixture.hpp"

namespace skyloom::photometry {
namespace {

constexpr std::size_t kPatchesShown = 3;

/// Input and fitted positions of a patch's sources, joined by lines; of every band where bands were
/// fitted by themselves.
std::vector<web::Markers> position_marks(const ReportInput& input, const Field& field,
                                         const std::string& patch_tag) {
  const Table& catalogue = input.products.table("catalogue", "catalogue");
  const auto& tag = catalogue.get<std::string>("patch_tag");
  const auto& x = catalogue.get<double>("x_pix_white");
  const auto& y = catalogue.get<double>("y_pix_white");
  const auto [first, last] = input.survey.rows(catalogue, field);
  std::vector<web::Markers> out(1);
  out[0].label = "input position";
  out[0].color = "#ff9800";
  out[0].shape = "cross";
  out[0].radius_pix = 4.0;
  const FitNames names{input.config.fits_bands_apart()};
  const std::vector<std::string> sets = names.sets(input.survey.bands);
  for (std::size_t s = 0; s < sets.size(); ++s) {
    const auto& x_fit = catalogue.get<double>(names.fitted("x_pix_white", sets[s]));
    const auto& y_fit = catalogue.get<double>(names.fitted("y_pix_white", sets[s]));
    web::Markers fitted;
    fitted.label = names.apart ? "fit in " + sets[s] : "fit";
    fitted.color = names.apart ? band_color(s) : "#00bfff";
    fitted.shape = "cross";
    fitted.radius_pix = names.apart ? 2.5 : 4.0;
    web::Markers moved = fitted;
    moved.label = "shift";
    moved.shape = "line";
    moved.counted = false;
    for (std::size_t i = first; i < last; ++i) {
      if (tag[i] != patch_tag || !std::isfinite(x_fit[i])) {
        continue;
      }
      if (s == 0) {
        mark(out[0], x[i], y[i]);
      }
      mark(fitted, x_fit[i], y_fit[i]);
      mark(moved, x[i], y[i]);
      moved.x2.push_back(x_fit[i]);
      moved.y2.push_back(y_fit[i]);
    }
    out.push_back(std::move(fitted));
    out.push_back(std::move(moved));
  }
  return out;
}

/// Data, model and residual of one patch, on the white stack.
web::PictureRow patch_pictures(const ReportInput& input, const Field& field, std::size_t patch) {
  const engine::Products& products = input.products;
  const Table& patches = products.table("patches", "patches");
  const auto number = [&](const char* column) { return patches.get<std::int32_t>(column)[patch]; };
  const Box base{number("x0_base"), number("x1_base"), number("y0_base"), number("y1_base")};
  const auto read = [&](const char* stage, const char* name) {
    return products.image(stage, input.survey.slab(field, name), base);
  };
  const Image<float> data = read("frames", "white/image");
  const Image<float> sigma = read("frames", "white/sigma");
  const Image<float> model = read("fit", "white_model/image");
  Image<float> residual(base.width(), base.height());
  for (std::size_t i = 0; i < residual.pixels().size(); ++i) {
    residual.pixels()[i] = (data.pixels()[i] - model.pixels()[i]) / sigma.pixels()[i];
  }
  const auto levels = quantiles_of(data, 0.01, 0.997);
  const std::string& tag = patches.get<std::string>("patch_tag")[patch];
  const auto picture = [&](const char* title, const Image<float>& pixels) {
    web::Picture p;
    p.title = title;
    p.pixels = pixels;
    p.low = levels.first;
    p.high = levels.second;
    p.stretch = "asinh";
    p.unit = "scaled flux / pixel";
    p.scale = std::clamp(300.0 / std::max(base.width(), base.height()), 1.0, 6.0);
    p.x0 = base.x0;
    p.y0 = base.y0;
    return p;
  };
  web::PictureRow row{
      "Patch " + tag + input.of_field(field),
      {picture("data", data), picture("model + sky", model), picture("residual / sigma", residual)},
      3,
      "patch_overview_" + tag};
  row.pictures[0].markers = position_marks(input, field, tag);
  place_markers(row.pictures[0]);
  row.pictures[2].low = -5.0;
  row.pictures[2].high = 5.0;
  row.pictures[2].stretch = "linear";
  row.pictures[2].colors = "diverging";
  row.pictures[2].unit = "sky sigma";
  return row;
}

/// Rows of /patches of a field, those with most sources first.
std::vector<std::size_t> fullest_patches(const ReportInput& input, const Field& field) {
  const Table& patches = input.products.table("patches", "patches");
  const auto& n_sources = patches.get<std::int64_t>("n_sources");
  const auto [first, last] = input.survey.rows(patches, field);
  std::vector<std::size_t> order(last - first);
  std::iota(order.begin(), order.end(), first);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return n_sources[a] > n_sources[b]; });
  return order;
}

web::Chart iterations_chart(const ReportInput& input) {
  std::map<int, int> counts;
  for (const double n : input.products.table("fit", "fit_patches").numbers("opt_niters")) {
    ++counts[static_cast<int>(n)];
  }
  web::Series bars;
  bars.label = "patches";
  bars.color = band_color(0);
  bars.kind = "steps";
  for (const auto& [n, count] : counts) {
    bars.x.push_back(n);
    bars.y.push_back(count);
  }
  return {"Iterations per patch", "iterations", "patches", false, false, {bars}, "iterations"};
}

/// Sum of Gaussians of the rows [first, last) of /psf_mixtures at the pixels of a stamp.
Image<float> mixture_image(const Table& mixtures, std::size_t first, std::size_t last, int side) {
  const auto number = [&](const char* column, std::size_t i) {
    return mixtures.get<double>(column)[i];
  };
  sky::PsfMixture mixture;
  for (std::size_t i = first; i < last; ++i) {
    mixture.terms.push_back({number("weight", i),
                             number("mean_x", i),
                             number("mean_y", i),
                             {number("cxx", i), number("cxy", i), number("cyy", i)}});
  }
  Image<float> out(side, side);
  const int half = side / 2;
  for (int y = 0; y < side; ++y) {
    for (int x = 0; x < side; ++x) {
      out(y, x) = static_cast<float>(mixture.at(x - half, y - half));
    }
  }
  return out;
}

/// ePSF, Gaussians and difference of one frame and cell.
web::PictureRow mixture_pictures(const ReportInput& input, std::size_t first, std::size_t last,
                                 std::size_t cell) {
  const Table& mixtures = input.products.table("fit", "psf_mixtures");
  web::Picture stamp = array_picture(input.products.table("epsf", "cells"), "epsf", cell);
  web::Picture model = stamp;
  web::Picture difference = stamp;
  model.pixels = mixture_image(mixtures, first, last, stamp.pixels.width());
  for (std::size_t i = 0; i < model.pixels.pixels().size(); ++i) {
    difference.pixels.pixels()[i] = stamp.pixels.pixels()[i] - model.pixels.pixels()[i];
  }
  stamp.title = "ePSF";
  stamp.stretch = "log";
  model.title = fmt::format("{} Gaussians", last - first);
  model.stretch = "log";
  std::tie(stamp.low, stamp.high) = quantiles_of(stamp.pixels, 0.01, 1.0);
  model.low = stamp.low;
  model.high = stamp.high;
  difference.title = "difference";
  difference.colors = "diverging";
  web::PictureRow row{{}, {stamp, model, difference}, 3, {}};
  for (web::Picture& picture : row.pictures) {
    picture.scale = 3.0;
    picture.x0 = -0.5 * (picture.pixels.width() - 1);
    picture.y0 = picture.x0;
  }
  const std::string label =
      input.frame_label(static_cast<std::size_t>(mixtures.get<std::int32_t>("frame")[first]));
  const bool hybrid = input.config.patch_run.psf_model == "hybrid";
  row.title = "PSF as Gaussians: " + label + " " + mixtures.get<std::string>("epsf_tag")[first];
  row.file = hybrid ? "hybrid_psf_diagnostics" : "gaussian_mixture_psf_diagnostics";
  return row;
}

/// The first cell of every frame of the fields shown that has Gaussians and an ePSF.
std::vector<web::Block> all_mixtures(const ReportInput& input) {
  constexpr std::size_t kMost = 6;
  std::vector<web::Block> blocks;
  const Table& mixtures = input.products.table("fit", "psf_mixtures");
  const Table& cells = input.products.table("epsf", "cells");
  const auto& frame = mixtures.get<std::int32_t>("frame");
  const auto& tag = mixtures.get<std::string>("epsf_tag");
  std::set<std::int32_t> seen;
  for (std::size_t i = 0; i < mixtures.rows() && blocks.size() < kMost;) {
    std::size_t end = i;
    while (end < mixtures.rows() && frame[end] == frame[i] && tag[end] == tag[i]) {
      ++end;
    }
    for (std::size_t c = 0; c < cells.rows() && !seen.contains(frame[i]); ++c) {
      if (cells.get<std::int32_t>("frame")[c] == frame[i] &&
          cells.get<std::string>("epsf_tag")[c] == tag[i]) {
        seen.insert(frame[i]);
        blocks.emplace_back(mixture_pictures(input, i, end, c));
      }
    }
    i = end;
  }
  return blocks;
}

}  // namespace

web::Section fit_section(const ReportInput& input, std::vector<std::string>& problems) {
  SectionWriter section("Fit", problems);
  for (const Field* field : input.shown_fields()) {
    const std::string slab = input.survey.slab(*field, "white_model/image");
    if (input.config.patch_run.no_patch_overview || !input.products.has_image("fit", slab)) {
      continue;
    }
    const std::vector<std::size_t> order = fullest_patches(input, *field);
    for (std::size_t i = 0; i < std::min(kPatchesShown, order.size()); ++i) {
      section.draw("patch" + input.of_field(*field), [&]() -> std::vector<web::Block> {
        return {patch_pictures(input, *field, order[i])};
      });
    }
  }
  section.draw("iterations",
               [&]() -> std::vector<web::Block> { return {iterations_chart(input)}; });
  if (input.products.has_table("fit", "psf_mixtures")) {
    section.draw("PSFs as Gaussians", [&] { return all_mixtures(input); });
  }
  return section.take();
}

}  // namespace skyloom::photometry
