#include "skyloom/engine/publish.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <optional>
#include <set>

#include "skyloom/core/errors.hpp"
#include "skyloom/core/hash.hpp"
#include "skyloom/engine/assemble.hpp"
#include "skyloom/io/accident.hpp"
#include "skyloom/io/files.hpp"
#include "skyloom/io/hdf5.hpp"
#include "skyloom/io/posix_file.hpp"
#include "skyloom/web/report.hpp"

namespace skyloom::engine {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNotFailed = "ok";

/// Calls `use` with one block of rows after the other: tables of units are as long as surveys.
void for_each_block(const Products& products, const std::string& stage, const std::string& table,
                    const std::vector<std::string>& columns,
                    const std::function<void(const Table& rows)>& use) {
  constexpr std::size_t kRows = std::size_t{1} << 16;
  const std::size_t n = products.n_rows(stage, table);
  for (std::size_t first = 0; first < n; first += kRows) {
    use(products.rows(stage, table, first, std::min(n, first + kRows), columns));
  }
}

/// The units of all stages below each other, with a leading column `stage`. The counts of rows,
/// whose columns are another set in every stage, stay in the stages' own products.
class AllUnits {
 public:
  AllUnits(const Products& products, const std::vector<std::string>& stages)
      : products_(products), stages_(stages) {
    schema_.columns.push_back({"key", Type::text, "", "stable name of the unit"});
    schema_.columns.push_back({"outcome", Type::text, "", "ok or failed"});
    schema_.columns.push_back({"reason", Type::text, "", "why it failed, none otherwise"});
    schema_.columns.push_back({"message", Type::text, "", "what was wrong, in words"});
  }

  void write(io::Hdf5Writer& writer) const {
    io::TableExtent extent;
    for_each([&extent](const Table& rows) { extent.add(rows); });
    if (extent.rows == 0) {
      writer.write_table(Table(schema_));
      return;
    }
    writer.begin_table(schema_, extent);
    for_each([&writer](const Table& rows) { writer.add_rows(rows); });
  }

 private:
  void for_each(const std::function<void(const Table& rows)>& use) const {
    for (const std::string& stage : stages_) {
      for_each_block(products_, stage, "units", {"unit", "key", "outcome", "reason", "message"},
                     [&](const Table& part) {
                       Table rows(schema_);
                       rows.add_rows(part.rows());
                       rows.get<std::string>("stage").assign(part.rows(), stage);
                       rows.get<std::int64_t>("unit") = part.get<std::int64_t>("unit");
                       for (const char* name : {"key", "outcome", "reason", "message"}) {
                         rows.get<std::string>(name) = part.get<std::string>(name);
                       }
                       use(rows);
                     });
    }
  }

  const Products& products_;
  const std::vector<std::string>& stages_;
  TableSchema schema_{"units",
                      {{"stage", Type::text, "", "stage of the unit"},
                       {"unit", Type::int64, "", "index of the unit in the plan of its stage"}}};
};

/// The table without the columns whose cells are arrays.
Table scalar_columns(const Table& table) {
  Table out;
  for (std::size_t i = 0; i < table.columns().size(); ++i) {
    if (table.columns()[i].shape.empty()) {
      out.add_column(table.columns()[i], table.data(i));
    }
  }
  return out;
}

Table without_column(const Table& table, const std::string& name) {
  Table out(TableSchema{table.name(), {}});
  for (std::size_t i = 0; i < table.columns().size(); ++i) {
    if (table.columns()[i].name != name) {
      out.add_column(table.columns()[i], table.data(i));
    }
  }
  return out;
}

/// Where the values of the text columns of stored tables stand: a run of many fields exports every
/// table once per field.
class RowsByText {
 public:
  explicit RowsByText(const Products& products) : products_(products) {}

  /// Rows of a table whose column `where` has the value, without that column.
  Table rows(const std::string& stage, const std::string& table, const std::string& where,
             const std::string& value) {
    const auto [at, is_new] = places_.try_emplace({stage, table, where});
    if (is_new) {
      at->second = places_of(stage, table, where);
    }
    Table out = products_.rows(stage, table, 0, 0);
    for (const auto& [first, last] : at->second[value]) {
      out.append(products_.rows(stage, table, first, last));
    }
    return without_column(out, where);
  }

 private:
  using Places = std::map<std::string, std::vector<std::pair<std::size_t, std::size_t>>>;

  /// Ranges of rows of every value.
  Places places_of(const std::string& stage, const std::string& table, const std::string& where) {
    constexpr std::size_t kRowsAtOnce = std::size_t{1} << 20;
    const std::vector<std::string> column{where};
    const std::size_t n = products_.n_rows(stage, table);
    Places places;
    for (std::size_t first = 0; first < n; first += kRowsAtOnce) {
      const Table part =
          products_.rows(stage, table, first, std::min(n, first + kRowsAtOnce), column);
      const auto& texts = part.get<std::string>(where);
      for (std::size_t i = 0; i < texts.size(); ++i) {
        auto& ranges = places[texts[i]];
        if (ranges.empty() || ranges.back().second != first + i) {
          ranges.emplace_back(first + i, first + i);
        }
        ++ranges.back().second;
      }
    }
    return places;
  }

  const Products& products_;
  std::map<std::array<std::string, 3>, Places> places_;
};

void write_published(const Published& item, const Products& products, io::Hdf5Writer& writer) {
  if (item.linked) {
    // Beside each other in the run directory.
    const std::string file = products.path(item.stage).filename().string();
    if (!products.has_table(item.stage, item.table)) {
      if (products.has_image(item.stage, item.table)) {  // not when no unit had a part in it
        writer.link(item.as, file, "/" + item.table);
      }
      return;
    }
    for (const std::string& column : products.columns(item.stage, item.table)) {
      writer.link(item.as + "/" + column, file, "/" + item.table + "/" + column);
    }
    writer.attribute(item.as, io::kLinkedColumnsName, std::int32_t{1});
    return;
  }
  Table table = item.make ? item.make(products) : products.table(item.stage, item.table);
  table.rename(item.as);
  writer.write_table(table);
}

Table exported_table(const Pipeline& pipeline, const Products& products, const Export& exported,
                     RowsByText& by_text) {
  if (exported.make) {
    return exported.make(products);
  }
  const std::vector<Published> published = pipeline.published();
  const auto source = std::find_if(published.begin(), published.end(), [&](const Published& item) {
    return item.as == exported.table;
  });
  if (source == published.end()) {
    throw FatalError("export of the table " + exported.table + ", which " +
                     std::string(pipeline.name()) + " does not publish");
  }
  if (source->make && !exported.where.empty()) {
    throw FatalError("export of rows of the table " + exported.table + ", which is not stored");
  }
  Table table = source->make ? source->make(products)
                : exported.where.empty()
                    ? products.table(source->stage, source->table)
                    : by_text.rows(source->stage, source->table, exported.where, exported.value);
  if (!exported.with_arrays) {
    table = scalar_columns(table);
  }
  table.rename(source->as);
  return table;
}

}  // namespace

UnitCounts unit_counts(const Products& products, const std::string& stage) {
  constexpr std::size_t kShown = 10;
  UnitCounts counts;
  for_each_block(
      products, stage, "units", {"key", "outcome", "reason", "message"}, [&](const Table& units) {
        const auto& keys = units.get<std::string>("key");
        const auto& outcomes = units.get<std::string>("outcome");
        const auto& reasons = units.get<std::string>("reason");
        const auto& texts = units.get<std::string>("message");
        counts.units += units.rows();
        for (std::size_t i = 0; i < units.rows(); ++i) {
          if (outcomes[i] == kNotFailed) {
            continue;
          }
          ++counts.failed;
          if (counts.failures.size() < kShown) {
            counts.failures.push_back(stage + "/" + keys[i] + ": " + reasons[i] + ": " + texts[i]);
          }
        }
      });
  return counts;
}

std::string product_hash(const Products& products, const std::string& stage) {
  if (!products.has(stage)) {
    return {};
  }
  try {
    return io::Hdf5File(products.path(stage)).attribute("/", "stage_hash").value_or("");
  } catch (const ConfigError&) {
    return {};
  }
}

std::string product_identity(const Products& products, const std::string& stage) {
  std::string hash = product_hash(products, stage);
  if (hash.empty()) {
    return hash;
  }
  return hash + products.remembered(stage, "failed units", [&] {
    Hash failed;
    bool any = false;
    for_each_block(products, stage, "units", {"key", "outcome"}, [&](const Table& units) {
      const auto& keys = units.get<std::string>("key");
      const auto& outcomes = units.get<std::string>("outcome");
      for (std::size_t i = 0; i < units.rows(); ++i) {
        if (outcomes[i] != kNotFailed) {
          failed.text(keys[i]);
          any = true;
        }
      }
    });
    return any ? "-" + failed.hex() : std::string();
  });
}

void publish(const Pipeline& pipeline, const Products& products,
             const std::vector<std::string>& stages,
             const std::vector<std::pair<std::string, std::string>>& provenance) {
  const std::string name(pipeline.name());
  const fs::path path = products.directory() / (name + ".h5");
  const fs::path temporary = path.string() + ".tmp";
  {
    io::Hdf5Writer writer(temporary);
    writer.attribute("/", "pipeline", std::string_view(name));
    writer.attribute("/", "format_version", kProductFormatVersion);
    for (const Published& item : pipeline.published()) {
      write_published(item, products, writer);
    }
    AllUnits(products, stages).write(writer);
    writer.make_group("provenance");
    for (const auto& [key, text] : provenance) {
      writer.attribute("provenance", key, std::string_view(text));
    }
    writer.close();
  }
  io::pass_point("publish");
  io::rename_durably(temporary, path);
  RowsByText by_text(products);
  for (const Export& exported : pipeline.exports()) {
    const fs::path file = products.directory() / exported.file;
    std::error_code ignored;
    fs::create_directories(file.parent_path(), ignored);
    io::write_table(file, exported_table(pipeline, products, exported, by_text), exported.format);
  }
}

void publish_run(const Pipeline& pipeline, const Products& products, const Manifest& manifest,
                 std::vector<std::pair<std::string, std::string>> facts, Log& log) {
  std::string inputs;
  std::set<std::string> seen;
  std::string versions;
  for (const StageRecord& record : manifest.stages) {
    versions += record.description.stage + " " + record.code_version + "\n";
    for (const auto& [path, fingerprint] : record.description.inputs) {
      const std::string line = fingerprint + "  " + path + "\n";
      inputs += seen.insert(line).second ? line : "";
    }
  }
  facts.emplace_back("stage_versions", versions);
  facts.emplace_back("inputs", inputs);
  publish(pipeline, products, manifest.stage_order, facts);
  io::pass_point("published");
  std::optional<std::string> page;
  try {
    page = drawn_report(pipeline, products, {}, log);
  } catch (const std::exception& error) {
    // The products are complete; a picture that cannot be drawn must not look like a failed run.
    log.warning("no report: {}", error.what());
  }
  const std::string report = page ? write_report(*page, products).string() : "";
  for (const std::string& line : pipeline.summary_lines(products)) {
    log.info("{}", line);
  }
  log.info("Catalogue: {}",
           (products.directory() / (std::string(pipeline.name()) + ".h5")).string());
  if (!report.empty()) {
    log.info("Report: {}", report);
  }
}

std::string drawn_report(const Pipeline& pipeline, const Products& products,
                         const ReportOptions& options, Log& log) {
  const web::Report report = pipeline.report(products, options);
  for (const std::string& problem : report.problems) {
    log.warning("report: {}", problem);
  }
  return web::render(report);
}

std::filesystem::path write_report(const std::string& html, const Products& products) {
  fs::path path = products.directory() / "report.html";
  io::write_atomically(path, html);
  return path;
}

}  // namespace skyloom::engine
