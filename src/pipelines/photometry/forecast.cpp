#include "pipelines/photometry/forecast.hpp"

#include <algorithm>
#include <cmath>

#include "pipelines/photometry/catalogue/stage.hpp"
#include "pipelines/photometry/epsf/stage.hpp"
#include "pipelines/photometry/field.hpp"
#include "pipelines/photometry/frames/stage.hpp"
#include "pipelines/photometry/patches/stage.hpp"

namespace skyloom::photometry {
namespace {

/// Measured on one core; see docs/pipelines/photometry.md before changing a figure.
struct Cost {
  const char* stage;
  double seconds_per_cost;         ///< the plan of the stage says what its cost counts
  double memory_mb;                ///< of a rank, whatever the input,
  double memory_bytes_per_pix;     ///< for every pixel of the largest frame,
  double memory_bytes_per_source;  ///< and for every source of the survey,
  double most_source_mb = 1e12;    ///< in all at most so many
};
constexpr Cost kFrames{"frames", 1.6e-9, 58.0, 3.3, 0.0};
constexpr Cost kBackground{"background", 2.0e-8, 55.0, 0.0, 0.0};
constexpr Cost kObjects{"objects", 4.0e-8, 55.0, 0.0, 0.0};
constexpr Cost kEpsf{"epsf", 1.6e-7, 65.0, 2.0, 0.0};
constexpr Cost kPatches{"patches", 1e-3, 50.0, 0.0, 500.0, 10.0};
constexpr Cost kSavedPatches{"patches", 1e-3, 63.0, 4.3, 500.0};
constexpr Cost kFit{"fit", 5.5e-4, 106.0, 5.2, 0.0};
constexpr Cost kCatalogue{"catalogue", 3e-5, 55.0, 0.0, 3.2e3, 500.0};
constexpr Cost kZeropoint{"zeropoint", 1.5e-4, 115.0, 0.0, 1e4};

/// A fit of fluxes alone, and one that reads saved pixels, over one of everything from the images.
constexpr double kForcedFit = 0.42;
constexpr double kFitOfSaved = 1.5;
/// Of a pixel of one frame that is saved, and the same compressed.
constexpr double kBytesPerPixel = 13.0;
constexpr double kBytesPerPackedPixel = 4.7;
/// Of a source on one frame in /forced.
constexpr double kBytesPerForced = 85.0;

/// Memory for a pixel of a tile, and of a tile with its overlap; of a frame up to its many stars.
constexpr double kBytesPerTilePixel = 60.0;
constexpr double kBytesPerReachPixel = 95.0;
constexpr double kBytesPerStarsPixel = 16.0;
/// Of the products of these stages for a pixel of a frame.
constexpr double kBytesPerMeshPixel = 0.0035;
constexpr double kBytesPerObjectPixel = 0.025;

/// Bytes of a row of the products that hold sources: so many, and so many for every band.
constexpr double kBytesPerSource = 400.0;
constexpr double kBytesPerBand = 80.0;
constexpr double kBytesPerPatch = 200.0;
constexpr double kBytesPerCell = 4.5e4;
/// Pixels of the stars that are kept, for a pixel of a frame, and of a frame at most.
constexpr double kStampBytesPerPixel = 0.8;
constexpr double kMostStampBytes = 2.2e6;
/// Of those bytes, the part that the input catalogue has already.
constexpr double kShareOfInput = 0.25;
/// The published catalogue and its CSV file, in these bytes.
constexpr double kCopies = 2.7;
/// The report, mostly its pictures.
constexpr double kReport_mb = 8.0;
/// Size of the slabs of `frames` over that of a white image: its flux, its noise, pictures.
constexpr double kFrameSlabs = 2.1;
/// Sources gather: the fullest patch has so many times the mean.
constexpr double kClustering = 3.0;

struct Totals {
  double frames = 0.0;
  double pixels = 0.0;         ///< of all white frames
  double largest_frame = 0.0;  ///< pixels
  double psf_frames = 0.0;     ///< frames whose ePSF is measured
  double psf_pixels = 0.0;
  double psf_cost = 0.0;
  double stamp_bytes = 0.0;
  double largest_psf_cost = 0.0;
  double tiles = 0.0;  ///< of these frames
  double largest_tile = 0.0;
  double reach_pixels = 0.0;  ///< of tiles with their overlap
  double largest_reach = 0.0;
  double sources = 0.0;
  double source_frames = 0.0;
  double largest_patch = 0.0;  ///< sources times frames
  double cells = 0.0;
  double patches = 0.0;
  double patch_pixels = 0.0;        ///< with halos, times frames
  double largest_patch_pixels = 0;  ///< of one patch
  double cell_bands = 0.0;
  double band_sources = 0.0;
  double calibrated_bands = 0.0;
  double blocks = 0.0;  ///< of catalogue rows
};

void add_tiles(const Config& config, const Box& used, Totals& totals) {
  if (config.epsf.kernel.method == "anderson-king") {
    return;
  }
  for (const Box& tile :
       background::tiles(used.width(), used.height(), effective_options(config))) {
    const Box reach = objects::reach(tile, used.width(), used.height());
    const double pixels = static_cast<double>(reach.width()) * reach.height();
    totals.tiles += 1.0;
    totals.largest_tile =
        std::max(totals.largest_tile, static_cast<double>(tile.width()) * tile.height());
    totals.reach_pixels += pixels;
    totals.largest_reach = std::max(totals.largest_reach, pixels);
  }
}

void add_field(const Config& config, const Field& field, Totals& totals) {
  const auto sources = static_cast<double>(base_catalogue(config, field).rows());
  const auto frames = static_cast<double>(field.size());
  const auto bands = static_cast<double>(field.bands.size());
  totals.frames += frames;
  totals.pixels += static_cast<double>(field.width) * field.height;
  for (std::size_t i = 0; i < field.size(); ++i) {
    const double pixels = static_cast<double>(field.infos[i].width) * field.infos[i].height;
    totals.largest_frame = std::max(totals.largest_frame, pixels);
    if (field.specs[i].psf.empty()) {
      const Box used = field.used_box(i);
      const double area = static_cast<double>(used.width()) * used.height();
      totals.psf_frames += 1.0;
      totals.psf_pixels += area;
      totals.psf_cost += epsf_cost(used);
      totals.stamp_bytes += std::min(kStampBytesPerPixel * area, kMostStampBytes);
      totals.largest_psf_cost = std::max(totals.largest_psf_cost, epsf_cost(used));
      add_tiles(config, used, totals);
    }
  }
  const double cells = static_cast<double>(config.epsf.epsf_ngrid) * config.epsf.epsf_ngrid;
  const double patches = cells * config.epsf.ngrid * config.epsf.ngrid;
  totals.sources += sources;
  totals.blocks += std::ceil(sources / static_cast<double>(CatalogueStage::kBlockRows));
  totals.source_frames += sources * frames;
  totals.band_sources += sources * bands;
  totals.largest_patch = std::max(totals.largest_patch, kClustering * sources * frames / patches);
  const double side = static_cast<double>(config.epsf.epsf_ngrid) * config.epsf.ngrid;
  const double halo =
      2.0 * patches::halo_pix(config.epsf.kernel.final_psf_size, config.halo_pix_min);
  const double patch_pixels = (field.width / side + halo) * (field.height / side + halo) * frames;
  totals.patch_pixels += patches * patch_pixels;
  totals.largest_patch_pixels = std::max(totals.largest_patch_pixels, patch_pixels);
  totals.cells += cells;
  totals.patches += patches;
  totals.cell_bands += cells * bands;
  totals.calibrated_bands += field.calibrates(config) ? bands : 0.0;
}

engine::StageForecast stage(const Cost& cost, const Totals& totals, double units, double work,
                            double largest_work) {
  engine::StageForecast out;
  out.stage = cost.stage;
  out.units = units;
  out.cost = work;
  out.largest_cost = largest_work;
  out.seconds_per_cost = cost.seconds_per_cost;
  out.memory_mb =
      cost.memory_mb + cost.memory_bytes_per_pix * totals.largest_frame / 1e6 +
      std::min(cost.memory_bytes_per_source * totals.sources / 1e6, cost.most_source_mb);
  return out;
}

engine::StageForecast patches_stage(const Config& config, const Totals& totals) {
  if (!config.patch_inputs.save_patch_inputs) {
    engine::StageForecast out = stage(kPatches, totals, totals.cells, totals.cells, 1.0);
    out.output_mb = kBytesPerPatch * totals.patches / 1e6;
    return out;
  }
  engine::StageForecast out =
      stage(kSavedPatches, totals, totals.cells + totals.patches,
            totals.cells + PatchesStage::kCostOfPixel * totals.patch_pixels,
            std::max(1.0, PatchesStage::kCostOfPixel * totals.largest_patch_pixels));
  const double bytes =
      config.patch_inputs.gzip_compresslevel > 0 ? kBytesPerPackedPixel : kBytesPerPixel;
  out.output_mb = (kBytesPerPatch * totals.patches + bytes * totals.patch_pixels) / 1e6;
  return out;
}

}  // namespace

std::vector<engine::StageForecast> forecast(const Config& config) {
  Totals totals;
  for (std::size_t i = 0; i < config.field_entries().size(); ++i) {
    add_field(config, field_from_inputs(config, i), totals);
  }
  const double source_mb =
      (kBytesPerSource * totals.sources + kBytesPerBand * totals.band_sources) / 1e6;
  const double forced_mb =
      config.patch_run.forced ? kBytesPerForced * totals.source_frames / 1e6 : 0.0;
  const double image_mb = 4.0 * totals.pixels / 1e6;
  const auto block = static_cast<double>(CatalogueStage::kBlockRows);
  const double rows_of_block = std::min(totals.sources, block);

  // The first stage is always planned itself.
  engine::StageForecast frames = stage(kFrames, totals, 0.0, 0.0, 0.0);
  engine::StageForecast background =
      stage(kBackground, totals, totals.tiles, totals.psf_pixels, totals.largest_tile);
  engine::StageForecast objects =
      stage(kObjects, totals, totals.tiles, totals.reach_pixels, totals.largest_reach);
  engine::StageForecast epsf =
      stage(kEpsf, totals, totals.psf_frames, totals.psf_cost, totals.largest_psf_cost);
  engine::StageForecast patches = patches_stage(config, totals);
  engine::StageForecast fit = stage(kFit, totals, totals.patches,
                                    totals.patches + totals.source_frames, totals.largest_patch);
  engine::StageForecast catalogue =
      stage(kCatalogue, totals, totals.blocks, totals.sources, rows_of_block);
  engine::StageForecast zeropoint = stage(kZeropoint, totals, 0.0, 0.0, 0.0);
  frames.output_mb = kFrameSlabs * image_mb + kShareOfInput * source_mb;
  background.memory_mb += kBytesPerTilePixel * totals.largest_tile / 1e6;
  objects.memory_mb += kBytesPerReachPixel * totals.largest_reach / 1e6;
  background.output_mb = kBytesPerMeshPixel * totals.psf_pixels / 1e6;
  objects.output_mb = kBytesPerObjectPixel * totals.psf_pixels / 1e6;
  epsf.memory_mb += kBytesPerStarsPixel * totals.largest_psf_cost / 1e6;
  epsf.output_mb = (kBytesPerCell * totals.cell_bands + totals.stamp_bytes) / 1e6;
  fit.seconds_per_cost *= config.patch_run.forced ? kForcedFit : 1.0;
  fit.seconds_per_cost *= config.patch_inputs.save_patch_inputs ? kFitOfSaved : 1.0;
  fit.output_mb = source_mb + (config.patch_run.no_patch_overview ? 0.0 : image_mb);
  catalogue.output_mb = source_mb + forced_mb;
  if (config.calibrates()) {
    zeropoint = stage(kZeropoint, totals, totals.calibrated_bands + totals.blocks,
                      totals.calibrated_bands + totals.sources, rows_of_block);
    zeropoint.output_mb = source_mb + forced_mb;
  }
  // With the last stage photometry.h5, the exports and the report are written.
  zeropoint.output_mb += epsf.output_mb + kCopies * source_mb + 2.0 * forced_mb + kReport_mb;
  return {frames, background, objects, epsf, patches, fit, catalogue, zeropoint};
}

}  // namespace skyloom::photometry
