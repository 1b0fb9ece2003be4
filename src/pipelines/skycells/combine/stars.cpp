#include "pipelines/skycells/combine/stars.hpp"

#include <cmath>
#include <numbers>

#include "skyloom/core/image.hpp"
#include "skyloom/sky/wcs.hpp"

namespace skyloom::skycells {
namespace {

constexpr double kDegree = std::numbers::pi / 180.0;

/// Half the diagonal of the cell and its margin, with some reserve for the projection.
double reach_deg(const surveys::Skycell& cell, int margin_pix) {
  const double scale = std::sqrt(std::abs(cell.cd[0] * cell.cd[3] - cell.cd[1] * cell.cd[2]));
  return 0.55 * scale * std::hypot(cell.width + 2.0 * margin_pix, cell.height + 2.0 * margin_pix);
}

}  // namespace

std::vector<CatalogueStar> stars_near(std::span<const surveys::GaiaStar> stars,
                                      const surveys::Skycell& cell, int margin_pix) {
  if (stars.empty()) {
    return {};
  }
  const double reach = reach_deg(cell, margin_pix);
  const double least_cosine = std::cos(reach * kDegree);
  const double sin_dec = std::sin(cell.dec_deg * kDegree);
  const double cos_dec = std::cos(cell.dec_deg * kDegree);
  std::vector<CatalogueStar> out;
  std::vector<double> ra;
  std::vector<double> dec;
  for (const surveys::GaiaStar& star : stars) {
    if (std::abs(star.dec_deg - cell.dec_deg) > reach) {
      continue;
    }
    const double cosine = sin_dec * std::sin(star.dec_deg * kDegree) +
                          cos_dec * std::cos(star.dec_deg * kDegree) *
                              std::cos((star.ra_deg - cell.ra_deg) * kDegree);
    if (cosine >= least_cosine) {
      out.push_back({star.source_id, star.ra_deg, star.dec_deg, star.g_mag, star.bp_mag,
                     star.rp_mag, 0.0, 0.0});
      ra.push_back(star.ra_deg);
      dec.push_back(star.dec_deg);
    }
  }
  std::vector<double> x(ra.size());
  std::vector<double> y(ra.size());
  sky::Wcs(cell.wcs_cards(), cell.id.name()).to_pixel(ra, dec, x, y);
  const Box box = Box{0, cell.width, 0, cell.height}.grown(margin_pix);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (box.contains(x[i] + 0.5, y[i] + 0.5)) {
      out[kept] = out[i];
      out[kept].x = x[i];
      out[kept].y = y[i];
      ++kept;
    }
  }
  out.resize(kept);
  return out;
}

TableSchema removed_schema() {
  return {"removed_stars",
          {{"source_id", Type::int64, "", "Gaia's identifier; 0 = none"},
           {"ra", Type::float64, "deg", "of the star; nan = a segment without any"},
           {"dec", Type::float64, "deg", "of the star"},
           {"pixel_x", Type::float64, "pix", "its place in the cell, 0-based"},
           {"pixel_y", Type::float64, "pix", "its place in the cell"},
           {"tess_mag", Type::float64, "mag", "its TESS magnitude"},
           {"phot_g_mean_mag", Type::float64, "mag", "its G magnitude"},
           {"phot_bp_mean_mag", Type::float64, "mag", "its BP magnitude"},
           {"phot_rp_mean_mag", Type::float64, "mag", "its RP magnitude"},
           {"seg_centroid_x", Type::float64, "pix", "middle of the removed segment by light"},
           {"seg_centroid_y", Type::float64, "pix", "middle of the removed segment by light"},
           {"seg_flux", Type::float64, "count/s", "light of the removed segment"},
           {"segment_id", Type::int32, "", "number of the segment in the cell, from 1"},
           {"removal_reason", Type::text, "",
            "catalog_bright_star, catalog_neighbor, quality_flag_star or quality_flag_no_star"},
           {"skycell_id", Type::text, "", "skycell"}}};
}

void append_removed(std::span<const RemovedStar> removed, const std::string& cell, Table& table) {
  for (const RemovedStar& one : removed) {
    const std::size_t row = table.add_row();
    table.set(row, "source_id", one.star.source_id);
    table.set(row, "ra", one.star.ra_deg);
    table.set(row, "dec", one.star.dec_deg);
    table.set(row, "pixel_x", one.star.x);
    table.set(row, "pixel_y", one.star.y);
    table.set(row, "tess_mag", tess_magnitude(one.star));
    table.set(row, "phot_g_mean_mag", one.star.g_mag);
    table.set(row, "phot_bp_mean_mag", one.star.bp_mag);
    table.set(row, "phot_rp_mean_mag", one.star.rp_mag);
    table.set(row, "seg_centroid_x", one.centroid_x);
    table.set(row, "seg_centroid_y", one.centroid_y);
    table.set(row, "seg_flux", one.flux);
    table.set(row, "segment_id", one.segment);
    table.set(row, "removal_reason", name_of(one.reason));
    table.set(row, "skycell_id", cell);
  }
}

}  // namespace skyloom::skycells
