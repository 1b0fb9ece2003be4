#include "pipelines/photometry/patches/kernel.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "skyloom/core/errors.hpp"

namespace skyloom::photometry::patches {

int halo_pix(int final_psf_size, int halo_pix_min) {
  return std::max((final_psf_size - 1) / 2 + 2, halo_pix_min);
}

std::vector<Patch> split_cell(const std::string& cell_tag, const Box& cell, int ngrid, int halo,
                              const Box& image) {
  if (cell.width() < ngrid || cell.height() < ngrid) {
    throw UnitError(Reason::bad_input,
                    fmt::format("cell {}: ngrid {} is too fine for {} x {} pixels", cell_tag, ngrid,
                                cell.width(), cell.height()));
  }
  std::vector<Patch> out;
  const int step_x = cell.width() / ngrid;
  const int step_y = cell.height() / ngrid;
  for (int row = 0; row < ngrid; ++row) {
    for (int column = 0; column < ngrid; ++column) {
      Patch patch;
      patch.tag = fmt::format("{}_pr{:02d}_pc{:02d}", cell_tag, row, column);
      patch.row = row;
      patch.column = column;
      patch.base = {cell.x0 + column * step_x,
                    column + 1 == ngrid ? cell.x1 : cell.x0 + (column + 1) * step_x,
                    cell.y0 + row * step_y,
                    row + 1 == ngrid ? cell.y1 : cell.y0 + (row + 1) * step_y};
      patch.roi = patch.base.grown(halo).intersect(image);
      out.push_back(std::move(patch));
    }
  }
  return out;
}

}  // namespace skyloom::photometry::patches
