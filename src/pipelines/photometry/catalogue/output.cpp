#include <algorithm>
#include <vector>

#include "pipelines/photometry/catalogue/stage.hpp"
#include "pipelines/photometry/zeropoint/kernel.hpp"

namespace skyloom::photometry {

CatalogueStage::Result CatalogueStage::compute(const Config& config, const Input& input,
                                               const Rng& /*rng*/) {
  Result result{input.field, input.rows, input.forced};
  Table& table = result.rows;
  // The sets of columns are those that the schema has: RA_fit, or RA_<band>_fit.
  std::vector<std::string> sets;
  for (const Column& column : table.columns()) {
    constexpr std::string_view kEnd = "_fit";
    if (column.name.starts_with("RA_") && column.name.ends_with(kEnd)) {
      sets.push_back(column.name.substr(2));
    }
  }
  for (const std::string& set : sets) {
    input.wcs->to_sky(table.get<double>("x_pix_white" + set),
                      table.get<double>("y_pix_white" + set), table.get<double>("RA" + set),
                      table.get<double>("DEC" + set));
  }
  const zeropoint::ZeroPoint nominal{.zp_mag = config.zp_ref, .scatter_mag = 0.0, .stars = {}};
  Table& forced = result.forced;
  for (std::size_t i = 0; i < forced.rows(); ++i) {
    const zeropoint::Magnitude m = zeropoint::magnitude(
        forced.get<double>("FLUX_fit")[i], forced.get<double>("FLUXERR_fit")[i], nominal);
    forced.set(i, "MAG_fit", m.mag);
    forced.set(i, "MAGERR_fit", m.err_mag);
  }
  return result;
}

void CatalogueStage::append(const Config& /*config*/, const Result& result, engine::Rows& rows) {
  rows.table("catalogue").append(result.rows);
  if (result.forced.rows() > 0) {
    rows.table("forced").append(result.forced);
  }
  set_field(rows, result.field);
}

}  // namespace skyloom::photometry
