#include "pipelines/photometry/epsf/matching.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

namespace skyloom::photometry::epsf {
namespace {

/// Entries with x and y, found by position.
template <class Entry>
class PositionIndex {
 public:
  explicit PositionIndex(std::vector<Entry> entries) : entries_(std::move(entries)) {
    std::stable_sort(entries_.begin(), entries_.end(),
                     [](const Entry& a, const Entry& b) { return a.y < b.y; });
  }

  [[nodiscard]] const Entry* nearest(double x, double y, double radius) const {
    const Entry* best = nullptr;
    double distance = radius;
    auto entry = std::lower_bound(entries_.begin(), entries_.end(), y - radius,
                                  [](const Entry& e, double value) { return e.y < value; });
    for (; entry != entries_.end() && entry->y <= y + radius; ++entry) {
      const double d = std::hypot(entry->x - x, entry->y - y);
      if (d <= distance && (best == nullptr || d < distance)) {
        best = &*entry;
        distance = d;
      }
    }
    return best;
  }

 private:
  std::vector<Entry> entries_;
};

}  // namespace

Knowledge match(const Input& input, const Options& options,
                const std::vector<objects::Object>& objects) {
  std::vector<KnownStar> wanted;
  if (options.psfstar_mode != "sep") {
    std::copy_if(input.known_stars.begin(), input.known_stars.end(), std::back_inserter(wanted),
                 [&](const KnownStar& star) {
                   return star.mag >= options.gaia_mag_min && star.mag <= options.gaia_mag_max;
                 });
  }
  const PositionIndex<KnownStar> known(std::move(wanted));
  const PositionIndex<CatalogueSource> catalogue(input.catalogue);
  Knowledge result;
  for (const objects::Object& object : objects) {
    const double x = object.detection.x;
    const double y = object.detection.y;
    const double radius = options.gaia_match_r_pix;
    result.gaia.push_back(known.nearest(x, y, radius) != nullptr ? 1 : 0);
    const CatalogueSource* row = catalogue.nearest(x, y, radius);
    result.typed_star.push_back(row != nullptr && row->is_star ? 1 : 0);
    result.typed_other.push_back(row != nullptr && !row->is_star ? 1 : 0);
  }
  return result;
}

}  // namespace skyloom::photometry::epsf
