#pragma once
// The end of a run: <pipeline>.h5 with the tables a user wants, their exports, and report.html. All
// on one process, each file whole or not at all.

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "skyloom/core/log.hpp"
#include "skyloom/core/table.hpp"
#include "skyloom/engine/manifest.hpp"
#include "skyloom/engine/pipeline.hpp"
#include "skyloom/engine/products.hpp"

namespace skyloom::engine {

/// What a product says about its stage.
struct UnitCounts {
  std::size_t units = 0;
  std::size_t failed = 0;
  std::vector<std::string> failures;  ///< "stage/key: reason: text" of the first ten
};
/// From the /units table of a finished stage.
UnitCounts unit_counts(const Products& products, const std::string& stage);

/// The stage hash that a product carries, or "" when there is no readable product.
std::string product_hash(const Products& products, const std::string& stage);

/// Hash of a product and of which of its units failed: products of the same stage hash are equal
/// exactly when the same units failed. "" when there is no readable product.
std::string product_identity(const Products& products, const std::string& stage);

/// Writes <pipeline>.h5 and the exports into the run directory.
/// @param stages names in order   @param provenance attributes of /provenance
void publish(const Pipeline& pipeline, const Products& products,
             const std::vector<std::string>& stages,
             const std::vector<std::pair<std::string, std::string>>& provenance);

/// publish(), the report, and the lines that are said at the end of a run.
void publish_run(const Pipeline& pipeline, const Products& products, const Manifest& manifest,
                 std::vector<std::pair<std::string, std::string>> facts, Log& log);

/// The report as HTML. Figures that could not be drawn are warnings.
/// @throws ConfigError for options that cannot be met
std::string drawn_report(const Pipeline& pipeline, const Products& products,
                         const ReportOptions& options, Log& log);

/// Writes report.html into the run directory and returns its path.
std::filesystem::path write_report(const std::string& html, const Products& products);

}  // namespace skyloom::engine
