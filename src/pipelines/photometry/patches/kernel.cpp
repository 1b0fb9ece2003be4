#include "pipelines/photometry/patches/kernel.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "skyloom/core/errors.hpp"

namespace skyloom::photometry::patches {

int halo_pix(int final_psf_size, int halo_pix_min) {
  return std::max((final_psf_size - 1) / 2 + 2, halo_pix_min);
}

std::vector<Patch> split_cell(const std::string& cell_tag, const Box& cell, int ngrid, int halo,
                              const Box& image) {
  if (cell.width() < ngrid || cell.height() < ngrid) {
    throw ConfigError("epsf.ngrid",
                      fmt::format("value {} is too fine for cell {} of {} x {} pixels", ngrid,
                                  cell_tag, cell.width(), cell.height()),
                      fmt::format("expected at most {}, or a smaller epsf.epsf_ngrid",
                                  std::min(cell.width(), cell.height())));
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

std::size_t patch_at(const Box& cell, int ngrid, double x, double y) {
  const auto place = [ngrid](double at, int first, int size) {
    return std::min(static_cast<int>(std::floor(at) - first) / (size / ngrid), ngrid - 1);
  };
  return static_cast<std::size_t>(place(y, cell.y0, cell.height()) * ngrid +
                                  place(x, cell.x0, cell.width()));
}

}  // namespace skyloom::photometry::patches
