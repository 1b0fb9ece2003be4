// Residuals of the PSF stars in units of the noise.

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "pipelines/photometry/fit/stage.hpp"
#include "pipelines/photometry/report_stars.hpp"
#include "skyloom/numerics/robust.hpp"
#include "skyloom/sky/render.hpp"

namespace skyloom::photometry {
namespace {

const surveys::FrameInfo& frame_of(const ReportInput& input, std::size_t cell) {
  const auto row = static_cast<std::size_t>(
      input.products.table("epsf", "cells").get<std::int32_t>("frame")[cell]);
  const auto [index, number] = input.survey.frame_at(row);
  return input.survey.fields[index].infos[number];
}

/// Residuals over noise of the used stars, pixels within the PSF array.
std::vector<double> normalised_residuals(const ReportInput& input, const Table& stamps,
                                         const std::vector<std::size_t>& used, std::size_t cell,
                                         const sky::Psf& psf) {
  const surveys::FrameInfo& info = frame_of(input, cell);
  const Table& stars = input.products.table("epsf", "stars");
  const std::size_t begin =
      rows_of_frame(stars, input.products.table("epsf", "cells").get<std::int32_t>("frame")[cell])
          .first;
  const double sky_sigma = info.skysig_adu * info.scale;
  const double gain = info.egain / info.scale;
  std::vector<double> out;
  sky::RenderScratch scratch;
  for (const std::size_t i : used) {
    const auto star = begin + static_cast<std::size_t>(stamps.get<std::int32_t>("star")[i]);
    const Image<float> raw = array_picture(stamps, "raw", i).pixels;
    const double x = stars.get<double>("x")[star] - stamps.get<std::int32_t>("x0")[i];
    const double y = stars.get<double>("y")[star] - stamps.get<std::int32_t>("y0")[i];
    const double flux = stars.get<double>("flux")[star];
    const double background = stamps.get<double>("background")[i];
    Image<float> model(raw.width(), raw.height(), 0.0F);
    const sky::PointSource point(
        psf.at(stars.get<double>("x")[star], stars.get<double>("y")[star]));
    sky::ImageBlock block;
    block.data = model.pixels().data();
    block.clip = model.box();
    block.stride = model.width();
    block.plane = static_cast<std::ptrdiff_t>(model.pixels().size());
    point.render(x, y, false, block, scratch);
    for (std::size_t p = 0; p < raw.pixels().size(); ++p) {
      const double light = flux * model.pixels()[p];
      const double variance =
          sky_sigma * sky_sigma + (gain > 0.0 ? std::fmax(light, 0.0) / gain : 0.0);
      const double r = (raw.pixels()[p] - background - light) / std::sqrt(variance);
      if (std::isfinite(r) && light != 0.0) {
        out.push_back(r);
      }
    }
  }
  return out;
}

}  // namespace

std::vector<web::Block> residual_histogram(const ReportInput& input, const Table& stamps,
                                           const std::vector<std::size_t>& rows, std::size_t cell) {
  constexpr int kBins = 60;
  constexpr double kRange = 6.0;
  std::vector<std::size_t> used = used_ones(stamps, rows);
  used.resize(std::min(used.size(),
                       static_cast<std::size_t>(input.config.epsf.kernel.residual_diag_max_stars)));
  const auto psf = built_psf(input.config, input.products, cell);
  if (used.empty() || psf == nullptr) {
    return {};
  }
  const std::string title = "Residuals of PSF stars of " + cell_label(input, cell);
  if (!std::isfinite(frame_of(input, cell).skysig_adu)) {
    return {web::Text{title + " over their noise: not drawn, since the image has no SKYSIG; its "
                              "noise is known from an inverse-variance image alone."}};
  }
  const std::vector<double> residuals = normalised_residuals(input, stamps, used, cell, *psf);
  if (residuals.empty()) {
    return {};
  }
  web::Series bins;
  bins.label = fmt::format("{} stars: median {:+.3f}, scatter {:.2f}", used.size(),
                           numerics::median(residuals), numerics::robust_scatter(residuals));
  bins.color = "#1565c0";
  bins.kind = "steps";
  bins.y.assign(kBins, 0.0);
  for (int b = 0; b <= kBins; ++b) {
    bins.x.push_back(-kRange + 2.0 * kRange * b / kBins);
  }
  for (const double r : residuals) {
    const auto b = static_cast<int>(std::floor((r + kRange) / (2.0 * kRange) * kBins));
    if (b >= 0 && b < kBins) {
      bins.y[static_cast<std::size_t>(b)] += 1.0;
    }
  }
  web::Series normal;
  normal.label = "unit normal";
  normal.color = "#757575";
  normal.kind = "line";
  normal.dashed = true;
  const double area = static_cast<double>(residuals.size()) * 2.0 * kRange / kBins;
  for (double x = -kRange; x <= kRange; x += 0.1) {
    normal.x.push_back(x);
    normal.y.push_back(area * std::exp(-0.5 * x * x) / std::sqrt(2.0 * M_PI));
  }
  return {web::Chart{title,
                     "residual / noise",
                     "pixels",
                     false,
                     false,
                     {bins, normal},
                     "epsf_residual_diagnostics"}};
}

}  // namespace skyloom::photometry
