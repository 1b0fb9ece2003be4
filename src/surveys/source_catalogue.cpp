#include "skyloom/surveys/source_catalogue.hpp"

#include <map>
#include <set>

#include "skyloom/core/errors.hpp"

#include "table_lookup.hpp"

namespace skyloom::surveys {
namespace {

struct Canonical {
  std::string name;
  std::string unit;
  std::string description;
};

std::string joined(const std::set<std::string>& names) {
  std::string out;
  for (const std::string& name : names) {
    out += (out.empty() ? "" : ", ") + name;
  }
  return out.empty() ? "none" : out;
}

/// Bands of the FLUX_ columns, in the order of the file.
std::vector<std::string> flux_bands(const Table& table) {
  constexpr std::string_view kPrefix = "FLUX_";
  std::vector<std::string> bands;
  for (const Column& column : table.columns()) {
    const std::string name = trimmed(column.name);
    if (name.starts_with(kPrefix) && name.size() > kPrefix.size() && column.shape.empty()) {
      bands.push_back(name.substr(kPrefix.size()));
    }
  }
  return bands;
}

void check_bands(const std::string& path, const std::vector<std::string>& in_catalogue,
                 const std::vector<std::string>& in_images) {
  if (in_catalogue.empty() || in_images.empty()) {
    return;
  }
  std::set<std::string> catalogue_only(in_catalogue.begin(), in_catalogue.end());
  std::set<std::string> images_only(in_images.begin(), in_images.end());
  for (const std::string& band : in_images) {
    catalogue_only.erase(band);
  }
  for (const std::string& band : in_catalogue) {
    images_only.erase(band);
  }
  if (!catalogue_only.empty() || !images_only.empty()) {
    throw ConfigError(
        path, "Band mismatch between input catalog and image list",
        "catalogue only: " + joined(catalogue_only) + "; images only: " + joined(images_only));
  }
}

/// The texts of a column as the file has them ("" throughout when it lacks the column).
std::vector<std::string> texts_of(const Table& table, std::size_t position) {
  if (position == Table::npos) {
    return std::vector<std::string>(table.rows());
  }
  return table.texts(table.columns()[position].name);
}

void check_keys(const std::string& path, const Table& table) {
  const auto& id = table.get<std::string>("ID");
  const auto& ra = table.get<double>("RA");
  const auto& dec = table.get<double>("DEC");
  std::map<std::string, std::size_t> first_row;
  std::string doubled;
  int count = 0;
  for (std::size_t row = 0; row < table.rows(); ++row) {
    // A position cannot look like an ID: it begins with a control character.
    const std::string key =
        id[row].empty() ? "\x01" + shortest(ra[row]) + ", " + shortest(dec[row]) : id[row];
    if (id[row].empty() && (ra[row] != ra[row] || dec[row] != dec[row])) {
      continue;
    }
    const auto [at, is_new] = first_row.emplace(key, row);
    constexpr int kMostNamed = 10;
    if (!is_new && ++count <= kMostNamed) {
      doubled += (doubled.empty() ? "" : "; ") + (id[row].empty() ? key.substr(1) : key) +
                 " (rows " + std::to_string(at->second + 1) + " and " + std::to_string(row + 1) +
                 ")";
    }
  }
  if (count > 0) {
    throw ConfigError(path, std::to_string(count) + " rows repeat a key: " + doubled,
                      "one row per ID, or per RA and DEC without an ID");
  }
}

void add_numbers(Table& out, const Table& file, std::size_t position, const Canonical& what) {
  out.add_column({what.name, Type::float64, what.unit, what.description},
                 file.numbers(file.columns()[position].name));
}

}  // namespace

bool is_fits_name(std::string_view path) {
  const std::string name = upper(path);
  for (const std::string_view end : {".FITS", ".FIT", ".FITS.GZ", ".FITS.BZ2", ".FIT.GZ"}) {
    if (name.ends_with(end)) {
      return true;
    }
  }
  return false;
}

Table read_source_catalogue(const std::string& path, const std::vector<std::string>& bands,
                            std::vector<std::string>* notes) {
  const Table file = read_any_table(path, {"ID", "TYPE"});
  const std::size_t ra = find_column(file, "RA");
  const std::size_t dec = find_column(file, "DEC");
  if (ra == Table::npos || dec == Table::npos) {
    throw ConfigError(path, "input_catalog must have RA/DEC columns",
                      "columns RA and DEC in degrees");
  }
  const std::string& ra_name = file.columns()[ra].name;
  const std::string& dec_name = file.columns()[dec].name;
  if (notes != nullptr && (ra_name != "RA" || dec_name != "DEC")) {
    notes->push_back(path + ": columns \"" + ra_name + "\" and \"" + dec_name +
                     "\" are taken as RA and DEC");
  }
  const std::vector<std::string> fluxes = flux_bands(file);
  check_bands(path, fluxes, bands);

  Table out(TableSchema{"sources", {}});
  out.add_rows(file.rows());
  std::set<std::size_t> used;
  const std::size_t id = find_column(file, "ID");
  const std::size_t type = find_column(file, "TYPE");
  std::vector<std::string> types = texts_of(file, type);
  for (std::string& text : types) {
    text = upper(trimmed(text));
  }
  out.add_column({"ID", Type::text, "", "name of the source, as given"}, texts_of(file, id));
  add_numbers(out, file, ra, {"RA", "deg", "right ascension"});
  add_numbers(out, file, dec, {"DEC", "deg", "declination"});
  out.add_column({"TYPE", Type::text, "", "kind of model"}, std::move(types));
  used.insert({id, ra, dec, type});
  std::vector<Canonical> optional{{"ELL", "", "starting ellipticity 1 - b/a"},
                                  {"THETA", "deg", "starting position angle from +x"},
                                  {"Re", "pix", "starting half-light radius"}};
  for (const std::string& band : fluxes) {
    optional.push_back({"FLUX_" + band, "", "starting scaled flux in " + band});
  }
  for (const Canonical& what : optional) {
    const std::size_t at = find_column(file, what.name);
    if (at != Table::npos && used.insert(at).second) {
      add_numbers(out, file, at, what);
    }
  }
  for (std::size_t i = 0; i < file.columns().size(); ++i) {
    if (used.count(i) == 0 && !out.has(file.columns()[i].name)) {
      out.add_column(file.columns()[i], file.data(i));
    }
  }
  check_keys(path, out);
  return out;
}

}  // namespace skyloom::surveys
