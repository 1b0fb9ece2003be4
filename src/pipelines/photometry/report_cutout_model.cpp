#include <cmath>
#include <limits>
#include <utility>

#include "pipelines/photometry/report_cutouts.hpp"
#include "skyloom/core/errors.hpp"

namespace skyloom::photometry {
namespace {

/// The starting values of a run become the fitted ones, all held; fluxes and skies are solved for,
/// which gives the fitted ones again.
void hold_at_fit(const FitStage::Patch& patch, const FitColumns& column, FitStage::Run& run) {
  const auto& type = column.catalogue.get<std::string>("stype_fit");
  for (std::size_t i = 0; i < run.kernel.sources.size(); ++i) {
    fit::SourceStart& start = run.kernel.sources[i];
    const auto row = static_cast<std::size_t>(patch.source_row[i]);
    if (type[row].empty() || !std::isfinite(column("x_pix_white", row))) {
      continue;  // a source that is not reported stays where the catalogue has it
    }
    start.x = column("x_pix_white", row) - patch.roi.x0;
    start.y = column("y_pix_white", row) - patch.roi.y0;
    if (start.type != fit::SourceType::star) {
      start.re_pix = column("re_pix", row);
      start.axis_ratio = column("ab", row);
      start.phi_deg = column("phi_deg", row);
    }
    if (start.type == fit::SourceType::sersic) {
      start.sersic_n = column("sersic_n", row);
    }
    for (std::size_t b = 0; b < run.bands.size(); ++b) {
      const std::string& band = patch.bands[static_cast<std::size_t>(run.bands[b])];
      start.flux[b] = column.catalogue.get<double>("FLUX_" + band + "_fit")[row];
    }
  }
  run.kernel.options.forced = true;
  run.kernel.options.keep_models = true;
  run.kernel.options.solver = fit::Solver::levenberg_marquardt;
}

/// The unit that fitted a row of /patches.
engine::Unit unit_of(const Table& patches, std::size_t patch) {
  const std::string key = "patch/" + patches.get<std::string>("patch_tag")[patch];
  return {patch, patches.has("field") ? patches.get<std::string>("field")[patch] + "/" + key : key,
          1.0};
}

}  // namespace

DrawnPatch drawn_patch(const ReportInput& report, FitStage::Context& context, std::size_t patch) {
  const Table& catalogue = report.products.table("catalogue", "catalogue");
  DrawnPatch out;
  out.input = FitStage::load(report.config, context,
                             unit_of(report.products.table("patches", "patches"), patch));
  const FitNames names{report.config.fits_bands_apart()};
  const std::vector<std::string> sets = names.sets(out.input.patch.bands);
  for (std::size_t r = 0; r < out.input.runs.size(); ++r) {
    FitStage::Run& run = out.input.runs[r];
    hold_at_fit(out.input.patch, {catalogue, names, sets[r]}, run);
    fit::Result result;
    try {
      result = fit::compute(run.kernel);
    } catch (const UnitError& error) {
      if (error.reason() != Reason::no_good_data) {
        throw;
      }
    }
    out.results.push_back({run.bands, run.frames, std::move(result)});
  }
  return out;
}

BandView band_view(const DrawnPatch& patch, int band) {
  BandView view;
  Image<double> weight;
  Image<double> data;
  Image<double> model;
  for (std::size_t r = 0; r < patch.results.size(); ++r) {
    const FitStage::RunResult& result = patch.results[r];
    for (std::size_t f = 0; f < result.kernel.models.size(); ++f) {
      const std::size_t number = result.frames[f];
      const bool on_grid = patch.input.on_grid[number] != 0;
      if (patch.input.patch.band_of_frame[number] != band || (!weight.empty() && !on_grid)) {
        continue;
      }
      const fit::FrameData& frame = patch.input.runs[r].kernel.frames[f];
      if (weight.empty() || view.matrix != frame.matrix || view.dx != frame.dx) {
        // The first image, or the first one on the grid after others.
        weight = Image<double>(frame.data.width(), frame.data.height(), 0.0);
        data = weight;
        model = weight;
        view.matrix = frame.matrix;
        view.dx = frame.dx;
        view.dy = frame.dy;
      }
      const double sky = result.kernel.frames[f].sky;
      for (std::size_t i = 0; i < weight.pixels().size(); ++i) {
        const double w = frame.invvar.pixels()[i];
        if (w > 0.0) {
          weight.pixels()[i] += w;
          data.pixels()[i] += w * frame.data.pixels()[i];
          model.pixels()[i] += w * (result.kernel.models[f].pixels()[i] + sky);
        }
      }
    }
  }
  view.data =
      Image<float>(weight.width(), weight.height(), std::numeric_limits<float>::quiet_NaN());
  view.model = view.data;
  for (std::size_t i = 0; i < weight.pixels().size(); ++i) {
    if (weight.pixels()[i] > 0.0) {
      view.data.pixels()[i] = static_cast<float>(data.pixels()[i] / weight.pixels()[i]);
      view.model.pixels()[i] = static_cast<float>(model.pixels()[i] / weight.pixels()[i]);
    }
  }
  return view;
}

}  // namespace skyloom::photometry
