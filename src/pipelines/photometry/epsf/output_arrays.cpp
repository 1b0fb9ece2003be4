#include "pipelines/photometry/epsf/output_arrays.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <vector>

namespace skyloom::photometry {
namespace {

std::size_t side_of(int n) {
  return static_cast<std::size_t>(n);
}

TableSchema grids_schema(const epsf::Options& options) {
  const std::size_t n = side_of((options.final_psf_size * options.oversamp) | 1);
  return {"psf_grids",
          {{"band", Type::text, "", "filter"},
           {"frame", Type::int32, "", "row of /frames"},
           {"epsf_tag", Type::text, "", "cell"},
           {"x0", Type::int32, "pix", "first column of the cell"},
           {"x1", Type::int32, "pix", "end of its columns"},
           {"y0", Type::int32, "pix", "first row"},
           {"y1", Type::int32, "pix", "end of its rows"},
           {"built", Type::boolean, "", "there is an array"},
           {"nstars_used", Type::int32, "", "stars behind the array"},
           {"oversamp", Type::int32, "", "samples per pixel"},
           {"samples", Type::float32, "", "light of a pixel centred at the sample", {n, n}}}};
}

TableSchema stamps_schema(const epsf::Options& options) {
  const std::size_t n = side_of(options.cutout_size);
  TableSchema schema{
      "star_stamps",
      {{"band", Type::text, "", "filter"},
       {"frame", Type::int32, "", "row of /frames"},
       {"epsf_tag", Type::text, "", "cell"},
       {"star", Type::int32, "", "row among the stars of this frame in /stars"},
       {"x0", Type::int32, "pix", "first column of the stamp"},
       {"y0", Type::int32, "pix", "first row"},
       {"x", Type::float64, "pix", "position at which the star was chosen"},
       {"y", Type::float64, "pix", "position at which the star was chosen"},
       {"origin", Type::text, "", "sep, gaia or both"},
       {"used", Type::boolean, "", "part of the PSF"},
       {"background", Type::float64, "",
        "level below the star, scaled flux per pixel: mesh and the star's own sky"},
       {"background_npix", Type::int32, "", "pixels of the annulus behind it; 0 = fitted"},
       {"background_status", Type::text, "", "ok, fallback_zero, disabled or fitted"},
       {"raw", Type::float32, "", "pixels before any subtraction; NaN = bad", {n, n}}}};
  if (options.method == "anderson-king" && options.save_star_local_background_diagnostics) {
    schema.columns.push_back({"annulus", Type::boolean, "", "pixels of the annulus", {n, n}});
  }
  return schema;
}

TableSchema images_schema() {
  const std::size_t n = side_of(epsf::kCellPictureSide);
  return {"cell_images",
          {{"band", Type::text, "", "filter"},
           {"frame", Type::int32, "", "row of /frames"},
           {"epsf_tag", Type::text, "", "cell"},
           {"binning", Type::int32, "pix", "pixels per side of a block"},
           {"width", Type::int32, "", "blocks along x; the rest of the arrays is NaN"},
           {"height", Type::int32, "", "blocks along y"},
           {"raw", Type::float32, "", "mean of the good pixels, scaled flux", {n, n}},
           {"background", Type::float32, "", "mean of the mesh background", {n, n}}}};
}

/// An image in the corner of a square array, NaN elsewhere.
std::vector<float> padded(const Image<float>& image, int side) {
  std::vector<float> out(side_of(side) * side_of(side), std::numeric_limits<float>::quiet_NaN());
  for (int y = 0; y < image.height(); ++y) {
    for (int x = 0; x < image.width(); ++x) {
      out[side_of(y) * side_of(side) + side_of(x)] = image(y, x);
    }
  }
  return out;
}

std::size_t add_row(const EpsfStage::Result& result, int cell, Table& table) {
  const std::size_t row = table.add_row();
  table.set(row, "band", result.band);
  table.set(row, "frame", result.frame);
  table.set(row, "epsf_tag", cell >= 0 ? result.cells[side_of(cell)].tag : "");
  return row;
}

void append_grids(const epsf::Options& options, const EpsfStage::Result& result, Table& table) {
  for (std::size_t i = 0; i < result.kernel.cells.size(); ++i) {
    const epsf::CellResult& cell = result.kernel.cells[i];
    const Box& box = result.cells[i].box;
    const std::size_t row = add_row(result, static_cast<int>(i), table);
    table.set(row, "x0", box.x0);
    table.set(row, "x1", box.x1);
    table.set(row, "y0", box.y0);
    table.set(row, "y1", box.y1);
    table.set(row, "built", !cell.samples.empty());
    table.set(row, "nstars_used", cell.n_stars);
    table.set(row, "oversamp", options.oversamp);
    if (!cell.samples.empty()) {
      table.set(row, "samples", std::span<const float>(cell.samples.pixels()));
    }
  }
}

void append_stamps(const EpsfStage::Result& result, Table& table) {
  for (const epsf::StarCutout& cutout : result.kernel.cutouts) {
    const epsf::StarRow& star = result.kernel.stars[side_of(cutout.star)];
    const std::size_t row = add_row(result, star.cell, table);
    table.set(row, "star", cutout.star);
    table.set(row, "x0", cutout.x0);
    table.set(row, "y0", cutout.y0);
    table.set(row, "x", cutout.x);
    table.set(row, "y", cutout.y);
    table.set(row, "origin", star.origin);
    table.set(row, "used", star.used);
    table.set(row, "background", cutout.background);
    table.set(row, "background_npix", cutout.background_pixels);
    table.set(row, "background_status", cutout.background_status);
    table.set(row, "raw", std::span<const float>(cutout.raw.pixels()));
    if (table.has("annulus") && !cutout.annulus.empty()) {
      const auto pixels = cutout.annulus.pixels();
      std::copy(pixels.begin(), pixels.end(),
                table.get<std::uint8_t>("annulus").begin() +
                    static_cast<std::ptrdiff_t>(row * pixels.size()));
    }
  }
}

void append_images(const EpsfStage::Result& result, Table& table) {
  for (std::size_t i = 0; i < result.kernel.cells.size(); ++i) {
    const epsf::CellPicture& picture = result.kernel.cells[i].picture;
    if (picture.raw.empty()) {
      continue;
    }
    const std::size_t row = add_row(result, static_cast<int>(i), table);
    table.set(row, "binning", picture.binning);
    table.set(row, "width", picture.raw.width());
    table.set(row, "height", picture.raw.height());
    const std::vector<float> raw = padded(picture.raw, epsf::kCellPictureSide);
    const std::vector<float> background = padded(picture.background, epsf::kCellPictureSide);
    table.set(row, "raw", std::span<const float>(raw));
    table.set(row, "background", std::span<const float>(background));
  }
}

}  // namespace

void add_array_tables(const epsf::Options& options, Schema& schema) {
  const bool classic = options.method == "anderson-king";
  if (classic) {
    schema.tables.push_back(grids_schema(options));
  }
  if (options.save_star_montage_max > 0) {
    schema.tables.push_back(stamps_schema(options));
  }
  if (classic && options.save_patch_background_diagnostics) {
    schema.tables.push_back(images_schema());
  }
}

void append_arrays(const epsf::Options& options, const EpsfStage::Result& result,
                   engine::Rows& rows) {
  const bool classic = options.method == "anderson-king";
  if (classic) {
    append_grids(options, result, rows.table("psf_grids"));
  }
  if (options.save_star_montage_max > 0) {
    append_stamps(result, rows.table("star_stamps"));
  }
  if (classic && options.save_patch_background_diagnostics) {
    append_images(result, rows.table("cell_images"));
  }
}

}  // namespace skyloom::photometry
