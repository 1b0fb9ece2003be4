#include "pipelines/photometry/patches/stage.hpp"

namespace skyloom::photometry {

PatchesStage::Result PatchesStage::compute(const Config& config, const Input& input,
                                           const Rng& /*rng*/) {
  Result result;
  result.input = input;
  const int halo = patches::halo_pix(config.epsf.kernel.final_psf_size, config.halo_pix_min);
  result.patches =
      patches::split_cell(input.cell.tag, input.cell.box, config.epsf.ngrid, halo, input.image);
  for (const patches::Patch& patch : result.patches) {
    std::int64_t count = 0;
    for (std::size_t i = 0; i < input.x.size(); ++i) {
      count += patch.base.contains(input.x[i], input.y[i]) ? 1 : 0;
    }
    result.n_sources.push_back(count);
  }
  return result;
}

void PatchesStage::append(const Config& config, const Result& result, engine::Rows& rows) {
  Table& table = rows.table("patches");
  const int halo = patches::halo_pix(config.epsf.kernel.final_psf_size, config.halo_pix_min);
  for (std::size_t i = 0; i < result.patches.size(); ++i) {
    if (config.skip_empty_patch && result.n_sources[i] == 0) {
      continue;
    }
    const patches::Patch& patch = result.patches[i];
    const std::size_t row = table.add_row();
    table.set(row, "epsf_r", result.input.cell_row);
    table.set(row, "epsf_c", result.input.cell_column);
    table.set(row, "patch_r", patch.row);
    table.set(row, "patch_c", patch.column);
    table.set(row, "epsf_tag", result.input.cell.tag);
    table.set(row, "patch_tag", patch.tag);
    table.set(row, "x0_base", patch.base.x0);
    table.set(row, "x1_base", patch.base.x1);
    table.set(row, "y0_base", patch.base.y0);
    table.set(row, "y1_base", patch.base.y1);
    table.set(row, "x0_roi", patch.roi.x0);
    table.set(row, "x1_roi", patch.roi.x1);
    table.set(row, "y0_roi", patch.roi.y0);
    table.set(row, "y1_roi", patch.roi.y1);
    table.set(row, "halo_pix", halo);
    table.set(row, "n_sources", result.n_sources[i]);
  }
  set_field(rows, result.input.field);
}

}  // namespace skyloom::photometry
