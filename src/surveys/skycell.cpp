#include "skyloom/surveys/skycell.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <set>

#include "skyloom/core/errors.hpp"
#include "skyloom/core/table.hpp"
#include "skyloom/sky/wcs.hpp"

namespace skyloom::surveys {
namespace {

// STScI's ps1grid.fits. The last ring ends above 90 degrees so that the pole belongs to it.
constexpr TessellationRing kRings[] = {
    {15, 635, 79, -30.0, -31.988927151841324, -27.990585819085737, 6274, 6269, 239.5, 241.5},
    {16, 714, 82, -26.0, -27.990585819085737, -23.991856317278298, 6255, 6265, 241.5, 240.5},
    {17, 796, 84, -22.0, -23.991856317278298, -19.99333106003115, 6279, 6261, 241.0, 242.0},
    {18, 880, 86, -18.0, -19.99333106003115, -15.994464100667857, 6274, 6258, 241.5, 238.0},
    {19, 966, 88, -14.0, -15.994464100667857, -11.995671545879146, 6242, 6254, 240.5, 239.5},
    {20, 1054, 89, -10.0, -11.995671545879146, -7.997014822849273, 6248, 6250, 240.0, 242.0},
    {21, 1143, 89, -6.0, -7.997014822849273, -3.998086931795508, 6291, 6247, 237.5, 240.0},
    {22, 1232, 90, -2.0, -3.998086931795508, 0.0, 6240, 6243, 240.0, 242.0},
    {23, 1322, 90, 2.0, 0.0, 3.998086931795508, 6240, 6243, 240.0, 242.0},
    {24, 1412, 89, 6.0, 3.998086931795508, 7.997014822849273, 6291, 6247, 237.5, 240.0},
    {25, 1501, 89, 10.0, 7.997014822849273, 11.995671545879146, 6248, 6250, 240.0, 242.0},
    {26, 1590, 88, 14.0, 11.995671545879146, 15.994464100667857, 6242, 6254, 240.5, 239.5},
    {27, 1678, 86, 18.0, 15.994464100667857, 19.99333106003115, 6274, 6258, 241.5, 238.0},
    {28, 1764, 84, 22.0, 19.99333106003115, 23.991856317278298, 6279, 6261, 241.0, 242.0},
    {29, 1848, 82, 26.0, 23.991856317278298, 27.990585819085737, 6255, 6265, 241.5, 240.5},
    {30, 1930, 79, 30.0, 27.990585819085737, 31.988947843740302, 6274, 6269, 239.5, 241.5},
    {31, 2009, 76, 34.0, 31.988947843740302, 35.98748871852416, 6265, 6274, 237.5, 237.5},
    {32, 2085, 72, 38.0, 35.98748871852416, 39.98569922229713, 6305, 6279, 239.5, 238.0},
    {33, 2157, 68, 42.0, 39.98569922229713, 43.98384988850235, 6320, 6284, 239.5, 240.0},
    {34, 2225, 64, 46.0, 43.98384988850235, 47.98179099058205, 6307, 6289, 238.0, 242.0},
    {35, 2289, 60, 50.0, 47.98179099058205, 51.97972846465295, 6261, 6295, 241.0, 239.5},
    {36, 2349, 55, 54.0, 51.97972846465295, 55.97676677254534, 6283, 6302, 239.0, 242.0},
    {37, 2404, 50, 58.0, 55.97676677254534, 59.97411834356914, 6278, 6311, 238.5, 237.5},
    {38, 2454, 45, 62.0, 59.97411834356914, 63.97005521318337, 6240, 6319, 240.0, 241.0},
    {39, 2499, 39, 66.0, 63.97005521318337, 67.96475284198297, 6307, 6333, 239.5, 240.0},
    {40, 2538, 33, 70.0, 67.96475284198297, 71.95817764373305, 6365, 6350, 238.5, 240.0},
    {41, 2571, 27, 74.0, 71.95817764373305, 75.94974140116577, 6413, 6371, 240.5, 242.0},
    {42, 2598, 21, 78.0, 75.94974140116577, 79.93968190571101, 6452, 6398, 240.0, 242.0},
    {43, 2619, 15, 82.0, 79.93968190571101, 83.93610604798963, 6481, 6429, 241.0, 242.0},
    {44, 2634, 9, 86.0, 83.93610604798963, 87.96940975734594, 6501, 6419, 239.0, 239.5},
    {45, 2643, 1, 90.0, 87.96940975734594, 90.0001, 6240, 6240, 239.5, 240.0},
};

constexpr const char* kCtypes[] = {"RA---TAN", "DEC--TAN"};

/// Digits only, as a number; -1 when there are other characters, none, or too many.
int digits(std::string_view text) {
  constexpr std::size_t kMost = 6;
  if (text.empty() || text.size() > kMost ||
      text.find_first_not_of("0123456789") != std::string_view::npos) {
    return -1;
  }
  int value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

/// x and y of "0YX".
bool parse_cell(std::string_view text, SkycellId& id) {
  if (text.size() != 3 || text[0] != '0' || digits(text) < 0) {
    return false;
  }
  id.y = text[1] - '0';
  id.x = text[2] - '0';
  return true;
}

std::string card(std::string keyword, const std::string& value) {
  keyword.resize(8, ' ');
  std::string out = keyword + "= " + std::string(value.size() < 20 ? 20 - value.size() : 0, ' ');
  out += value;
  out.resize(80, ' ');
  return out;
}

std::string number_card(const std::string& keyword, double value) {
  std::string text = upper(shortest(value));
  return card(keyword, text.find_first_of(".E") == std::string::npos ? text + ".0" : text);
}

std::string text_card(const std::string& keyword, const std::string& value) {
  return card(keyword,
              "'" + value + std::string(value.size() < 8 ? 8 - value.size() : 0, ' ') + "'");
}

/// @param cells in the order of their identifiers
const Skycell* found_in(const std::vector<Skycell>& cells, const SkycellId& id) {
  const auto found =
      std::lower_bound(cells.begin(), cells.end(), id,
                       [](const Skycell& a, const SkycellId& b) { return a.id < b; });
  return found != cells.end() && found->id == id ? &*found : nullptr;
}

}  // namespace

std::string SkycellId::projection_text() const {
  const std::string text = std::to_string(projection);
  return std::string(text.size() < 4 ? 4 - text.size() : 0, '0') + text;
}

std::string SkycellId::cell_text() const {
  return "0" + std::to_string(y) + std::to_string(x);
}

std::string SkycellId::name() const {
  return "skycell." + projection_text() + "." + cell_text();
}

std::optional<SkycellId> parse_skycell_name(std::string_view name, int projection) {
  const std::string text = upper(trimmed(name));
  std::string_view rest = text;
  SkycellId id;
  if (projection > 0) {
    id.projection = projection;
    if (parse_cell(rest, id)) {
      return id;
    }
  }
  constexpr std::string_view kRingsPrefix = "RINGS.V3.";
  constexpr std::string_view kPrefix = "SKYCELL.";
  if (rest.starts_with(kRingsPrefix)) {
    rest.remove_prefix(kRingsPrefix.size());
  }
  if (!rest.starts_with(kPrefix)) {
    return std::nullopt;
  }
  rest.remove_prefix(kPrefix.size());
  const std::size_t dot = rest.find('.');
  if (dot == std::string_view::npos) {
    return std::nullopt;
  }
  id.projection = digits(rest.substr(0, dot));
  if (id.projection < 1 || !parse_cell(rest.substr(dot + 1), id)) {
    return std::nullopt;
  }
  return id;
}

std::span<const TessellationRing> rings_v3() {
  return kRings;
}

const TessellationRing* ring_of_projection(int projection) {
  for (const TessellationRing& ring : kRings) {
    if (projection >= ring.first && projection < ring.first + ring.count) {
      return &ring;
    }
  }
  return nullptr;
}

std::string Skycell::wcs_cards() const {
  std::string out = card("NAXIS", "2") + card("NAXIS1", std::to_string(width)) +
                    card("NAXIS2", std::to_string(height));
  for (std::size_t axis = 0; axis < 2; ++axis) {
    const std::string number = std::to_string(axis + 1);
    out += text_card("CTYPE" + number, kCtypes[axis]);
    out += number_card("CRVAL" + number, crval_deg[axis]);
    out += number_card("CRPIX" + number, crpix[axis]);
    out += number_card("CD" + number + "_1", cd[2 * axis]);
    out += number_card("CD" + number + "_2", cd[2 * axis + 1]);
  }
  return out + number_card("LONPOLE", kSkycellLonpoleDeg) + text_card("RADESYS", radesys) +
         number_card("EQUINOX", 2000.0);
}

Skycell tessellation_cell(const SkycellId& id) {
  const TessellationRing* ring = ring_of_projection(id.projection);
  if (ring == nullptr) {
    throw ConfigError(
        id.name(), "RINGS.V3 has no projection " + std::to_string(id.projection),
        std::to_string(kRings[0].first) + " to " + std::to_string(std::rbegin(kRings)->first));
  }
  if (std::min(id.x, id.y) < 0 || std::max(id.x, id.y) >= kSkycellsPerAxis) {
    throw ConfigError(id.name(), "has no place in its projection", "x and y from 0 to 9");
  }
  constexpr int kMiddle = kSkycellsPerAxis / 2;
  Skycell cell;
  cell.id = id;
  cell.width = ring->width;
  cell.height = ring->height;
  cell.crval_deg = {360.0 * (id.projection - ring->first) / ring->count, ring->dec_deg};
  cell.crpix = {ring->crpix1 + (kMiddle - id.x) * (ring->width - kSkycellOverlap),
                ring->crpix2 + (kMiddle - id.y) * (ring->height - kSkycellOverlap)};
  cell.cd = {-kSkycellScaleDeg, 0.0, 0.0, kSkycellScaleDeg};
  const double x_pix = 0.5 * (cell.width - 1);
  const double y_pix = 0.5 * (cell.height - 1);
  sky::Wcs(cell.wcs_cards(), id.name())
      .to_sky({&x_pix, 1}, {&y_pix, 1}, {&cell.ra_deg, 1}, {&cell.dec_deg, 1});
  return cell;
}

const Skycell* SkycellList::find(const SkycellId& id) const {
  return found_in(cells, id);
}

const Skycell* SkycellList::find_source(const SkycellId& id) const {
  const Skycell* cell = found_in(cells, id);
  return cell != nullptr ? cell : found_in(padding_sources, id);
}

void keep_projections(SkycellList& list, const std::vector<int>& projections) {
  const auto is_kept = [&](const Skycell& cell) {
    return std::find(projections.begin(), projections.end(), cell.id.projection) !=
           projections.end();
  };
  const SkycellList all = std::move(list);
  list = {{}, {}, all.warnings};
  std::set<SkycellId> sought;
  for (const Skycell& cell : all.cells) {
    if (!is_kept(cell)) {
      continue;
    }
    list.cells.push_back(cell);
    for (const SkycellPad& pad : cell.pads) {
      sought.insert(pad.sources.begin(), pad.sources.end());
    }
  }
  for (const SkycellId& source : sought) {
    const Skycell* cell = all.find_source(source);
    if (cell != nullptr && list.find(source) == nullptr) {
      list.padding_sources.push_back(*cell);
    }
  }
}

SkycellList named_skycells(const std::vector<std::string>& names, const std::string& where) {
  SkycellList list;
  for (const std::string& name : names) {
    const auto id = parse_skycell_name(name);
    if (!id) {
      throw ConfigError(where, "\"" + name + "\" is no skycell", "names such as skycell.1405.053");
    }
    list.cells.push_back(tessellation_cell(*id));
    list.cells.back().line = static_cast<int>(list.cells.size()) - 1;
  }
  std::sort(list.cells.begin(), list.cells.end(),
            [](const Skycell& a, const Skycell& b) { return a.id < b.id; });
  const auto twice =
      std::adjacent_find(list.cells.begin(), list.cells.end(),
                         [](const Skycell& a, const Skycell& b) { return a.id == b.id; });
  if (twice != list.cells.end()) {
    throw ConfigError(where, twice->id.name() + " is named twice", "every cell once");
  }
  return list;
}

SkycellList skycells_of_projections(const std::vector<int>& projections, const std::string& where) {
  std::vector<std::string> names;
  for (const int projection : projections) {
    if (ring_of_projection(projection) == nullptr) {
      throw ConfigError(where, "RINGS.V3 has no projection " + std::to_string(projection),
                        "numbers from 635 to 2643");
    }
    for (int y = 0; y < kSkycellsPerAxis; ++y) {
      for (int x = 0; x < kSkycellsPerAxis; ++x) {
        names.push_back(SkycellId{projection, y, x}.name());
      }
    }
  }
  return named_skycells(names, where);
}

}  // namespace skyloom::surveys
