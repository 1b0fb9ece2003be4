#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "skyloom/core/errors.hpp"
#include "skyloom/sky/wcs.hpp"
#include "skyloom/surveys/skycell.hpp"

#include "table_lookup.hpp"

namespace skyloom::surveys {
namespace {

constexpr const char* kTwoAxes[] = {"1", "2"};
constexpr const char* kCtypes[] = {"RA---TAN", "DEC--TAN"};

std::string pad_column(std::size_t side) {
  return "pad_skycell_" + std::string(kPadSideNames[side]);
}

/// The CSV with its columns by name.
class Lines {
 public:
  explicit Lines(const std::string& path) : path_(path) {
    std::vector<std::string> as_text{"NAME", "projection", "cell"};
    for (std::size_t side = 0; side < kPadSideNames.size(); ++side) {
      as_text.push_back(pad_column(side));
    }
    table_ = read_any_table(path, as_text);
  }

  [[nodiscard]] std::size_t count() const { return table_.rows(); }
  [[nodiscard]] bool has(const std::string& column) const {
    return find_column(table_, column) != Table::npos;
  }
  /// "" for an absent column.
  [[nodiscard]] std::string text(std::size_t line, const std::string& column) const {
    const std::size_t at = find_column(table_, column);
    return at == Table::npos ? std::string() : trimmed(table_.cell_text(line, at));
  }
  [[nodiscard]] double number(std::size_t line, const std::string& column) const {
    if (!has(column)) {
      throw ConfigError(path_, "has no column " + column, "a list of skycells");
    }
    const double value = to_number(text(line, column));
    if (!std::isfinite(value)) {
      refuse(line, column, "a number");
    }
    return value;
  }
  [[nodiscard]] int integer(std::size_t line, const std::string& column, int least) const {
    const double value = number(line, column);
    if (value != std::floor(value) || value < least || value > std::numeric_limits<int>::max()) {
      refuse(line, column, "an integer not below " + std::to_string(least));
    }
    return static_cast<int>(value);
  }
  [[noreturn]] void refuse(std::size_t line, const std::string& column,
                           const std::string& expected) const {
    throw ConfigError(where(line), column + " is \"" + text(line, column) + "\"", expected);
  }
  [[nodiscard]] std::string where(std::size_t line) const {
    constexpr std::size_t kHeaderAndCountFromOne = 2;
    return path_ + ": line " + std::to_string(line + kHeaderAndCountFromOne);
  }

 private:
  std::string path_;
  Table table_;
};

SkycellId read_id(const Lines& lines, std::size_t line) {
  const auto has_value = [&](const char* column) { return !lines.text(line, column).empty(); };
  const int projection = has_value("projection") ? lines.integer(line, "projection", 1) : 0;
  const auto id = parse_skycell_name(lines.text(line, "NAME"), projection);
  if (!id) {
    lines.refuse(line, "NAME", "a name such as skycell.1405.053");
  }
  if (projection > 0 && projection != id->projection) {
    lines.refuse(line, "projection", id->projection_text() + " as in " + id->name());
  }
  for (const auto& [column, value] : {std::pair("x", id->x), std::pair("y", id->y)}) {
    if (has_value(column) && lines.integer(line, column, 0) != value) {
      lines.refuse(line, column, std::to_string(value) + " as in " + id->name());
    }
  }
  return *id;
}

std::array<double, 4> read_cd(const Lines& lines, std::size_t line) {
  std::array<double, 4> out{};
  const bool has_cd = !lines.text(line, "CD1_1").empty();
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::string axis = kTwoAxes[i / 2];
    const std::string element = axis + "_" + kTwoAxes[i % 2];
    if (has_cd) {
      out[i] = lines.number(line, "CD" + element);
    } else {
      const bool is_diagonal = i / 2 == i % 2;
      const double pc = lines.has("PC" + element) ? lines.number(line, "PC" + element)
                                                  : static_cast<double>(is_diagonal);
      out[i] = pc == 0.0 ? 0.0 : pc * lines.number(line, "CDELT" + axis);
    }
  }
  if (out[0] * out[3] == out[1] * out[2]) {
    throw ConfigError(lines.where(line), "its CD or CDELT and PC are singular",
                      "a matrix that can be inverted");
  }
  return out;
}

void read_wcs(const Lines& lines, std::size_t line, Skycell& cell) {
  for (std::size_t axis = 0; axis < 2; ++axis) {
    const std::string number = kTwoAxes[axis];
    cell.crval_deg[axis] = lines.number(line, "CRVAL" + number);
    cell.crpix[axis] = lines.number(line, "CRPIX" + number);
    const std::string type = lines.text(line, "CTYPE" + number);
    if (!type.empty() && type != kCtypes[axis]) {
      lines.refuse(line, "CTYPE" + number, kCtypes[axis]);
    }
  }
  cell.cd = read_cd(lines, line);
  const std::string frame = lines.text(line, "RADESYS");
  cell.radesys = frame.empty() ? cell.radesys : frame;
  const double x_pix = 0.5 * (cell.width - 1);
  const double y_pix = 0.5 * (cell.height - 1);
  sky::Wcs(cell.wcs_cards(), lines.where(line))
      .to_sky({&x_pix, 1}, {&y_pix, 1}, {&cell.ra_deg, 1}, {&cell.dec_deg, 1});
  for (const auto& [column, value] :
       {std::pair("RA", &cell.ra_deg), std::pair("DEC", &cell.dec_deg)}) {
    if (!lines.text(line, column).empty()) {
      *value = lines.number(line, column);
    }
  }
}

bool means_none(const std::string& text) {
  return text.empty() || same_ignoring_case(text, "nan") || same_ignoring_case(text, "none");
}

std::vector<SkycellPad> read_pads(const Lines& lines, std::size_t line, const SkycellId& id) {
  std::vector<SkycellPad> pads;
  for (std::size_t side = 0; side < kPadSideNames.size(); ++side) {
    const std::string text = lines.text(line, pad_column(side));
    SkycellPad pad{static_cast<PadSide>(side), {}};
    for (std::size_t at = 0; at <= text.size();) {
      const std::size_t end = std::min(text.find_first_of("/,", at), text.size());
      const std::string name = trimmed(text.substr(at, end - at));
      at = end + 1;
      if (means_none(name)) {
        continue;
      }
      const auto source = parse_skycell_name(name, id.projection);
      if (!source) {
        lines.refuse(line, pad_column(side), "names of skycells with / between them");
      }
      if (source->projection != id.projection) {
        pad.sources.push_back(*source);
      }
    }
    if (!pad.sources.empty()) {
      pads.push_back(std::move(pad));
    }
  }
  return pads;
}

bool by_id(const Skycell& a, const Skycell& b) {
  return a.id < b.id;
}

void warn_of_sizes(const std::string& path, SkycellList& list) {
  std::map<int, std::set<std::pair<int, int>>> sizes;
  for (const Skycell& cell : list.cells) {
    sizes[cell.id.projection].emplace(cell.width, cell.height);
  }
  for (const auto& [projection, different] : sizes) {
    if (different.size() > 1) {
      list.warnings.push_back(path + ": projection " + std::to_string(projection) +
                              " has cells of " + std::to_string(different.size()) +
                              " sizes; the largest makes the grid");
    }
  }
}

/// Moves the cells of all but the first projections out of the list.
std::vector<Skycell> beyond_limit(SkycellList& list, int projections_limit) {
  int projections = 0;
  auto end = list.cells.begin();
  for (int last = 0; end != list.cells.end(); ++end) {
    projections += static_cast<int>(end->id.projection != last);
    last = end->id.projection;
    if (projections_limit > 0 && projections > projections_limit) {
      break;
    }
  }
  std::vector<Skycell> others(end, list.cells.end());
  list.cells.erase(end, list.cells.end());
  return others;
}

void find_padding_sources(const Lines& lines, const std::vector<Skycell>& others,
                          SkycellList& list) {
  std::set<SkycellId> sought;
  for (const Skycell& cell : list.cells) {
    for (const SkycellPad& pad : cell.pads) {
      for (const SkycellId& source : pad.sources) {
        if (list.find(source) != nullptr || !sought.insert(source).second) {
          continue;
        }
        const auto listed =
            std::lower_bound(others.begin(), others.end(), source,
                             [](const Skycell& a, const SkycellId& b) { return a.id < b; });
        if (listed != others.end() && listed->id == source) {
          list.padding_sources.push_back(*listed);
        } else if (ring_of_projection(source.projection) != nullptr) {
          list.padding_sources.push_back(tessellation_cell(source));
        } else {
          lines.refuse(static_cast<std::size_t>(cell.line),
                       pad_column(static_cast<std::size_t>(pad.side)),
                       "cells that have a line or a place in RINGS.V3");
        }
      }
    }
  }
  std::sort(list.padding_sources.begin(), list.padding_sources.end(), by_id);
}

}  // namespace

SkycellList read_skycell_list(const std::string& path, int projections_limit) {
  const Lines lines(path);
  for (const char* column : {"NAME", "NAXIS1", "NAXIS2"}) {
    if (!lines.has(column)) {
      throw ConfigError(path, std::string("has no column ") + column, "a list of skycells");
    }
  }
  if (lines.count() == 0) {
    throw ConfigError(path, "lists no skycell", "a line per skycell");
  }
  SkycellList list;
  for (std::size_t line = 0; line < lines.count(); ++line) {
    Skycell cell;
    cell.id = read_id(lines, line);
    cell.line = static_cast<int>(line);
    cell.width = lines.integer(line, "NAXIS1", 1);
    cell.height = lines.integer(line, "NAXIS2", 1);
    read_wcs(lines, line, cell);
    cell.pads = read_pads(lines, line, cell.id);
    list.cells.push_back(std::move(cell));
  }
  std::stable_sort(list.cells.begin(), list.cells.end(), by_id);
  const auto twice =
      std::adjacent_find(list.cells.begin(), list.cells.end(),
                         [](const Skycell& a, const Skycell& b) { return a.id == b.id; });
  if (twice != list.cells.end()) {
    lines.refuse(static_cast<std::size_t>(std::next(twice)->line), "NAME", "every cell once");
  }
  const std::vector<Skycell> others = beyond_limit(list, projections_limit);
  find_padding_sources(lines, others, list);
  warn_of_sizes(path, list);
  return list;
}

}  // namespace skyloom::surveys
