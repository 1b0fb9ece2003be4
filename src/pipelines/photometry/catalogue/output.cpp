#include "pipelines/photometry/catalogue/stage.hpp"

namespace skyloom::photometry {

CatalogueStage::Result CatalogueStage::compute(const Config& /*config*/, const Input& input,
                                               const Rng& /*rng*/) {
  Table table = input.rows;
  input.wcs->to_sky(table.get<double>("x_pix_white_fit"), table.get<double>("y_pix_white_fit"),
                    table.get<double>("RA_fit"), table.get<double>("DEC_fit"));
  return table;
}

void CatalogueStage::append(const Config& /*config*/, const Result& result, engine::Rows& rows) {
  rows.table("catalogue").append(result);
}

}  // namespace skyloom::photometry
