#pragma once
// A pipeline: its configuration, its ordered stages, what is published at the end, its report and
// its simulated survey. The engine and the program know pipelines only through this interface.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "skyloom/core/config.hpp"
#include "skyloom/engine/file_sets.hpp"
#include "skyloom/engine/products.hpp"
#include "skyloom/engine/stage.hpp"
#include "skyloom/web/report.hpp"

namespace skyloom::engine {

/// A table of the final product, taken from a stage's product.
struct Published {
  std::string stage;
  std::string table;  ///< or the name of a slab array, which is always linked
  std::string as;     ///< name in <pipeline>.h5
  /// Columns become links to those of the stage's product: for tables that are too large to be
  /// copied by one process.
  bool linked = false;
  std::function<Table(const Products&)> make = {};  ///< when set, gives the table
};

/// An export that a run writes: a table of the final product, or one made from all products, as a
/// file in the run directory.
struct Export {
  std::string table;        ///< name in <pipeline>.h5; of the file when it is made
  std::string file;         ///< relative to the run directory
  std::string format;       ///< csv | ecsv | fits | json
  bool with_arrays = true;  ///< false leaves out columns whose cells are arrays
  /// Only rows whose text column `where` has this value, without that column; "" = all rows. For
  /// tables that are stored.
  std::string where = {};
  std::string value = {};
  std::function<Table(const Products&)> make = {};  ///< when set, gives the rows that are exported
};

/// What a stage will need, estimated from the inputs before it can be planned.
struct StageForecast {
  std::string stage;
  double units = 0.0;
  double cost = 0.0;              ///< of all units, in the unit of Unit::cost
  double largest_cost = 0.0;      ///< of one unit
  double seconds_per_cost = 0.0;  ///< core seconds, measured
  double memory_mb = 0.0;         ///< of one rank
  double output_mb = 0.0;         ///< of its product
};

struct SimulateOptions {
  std::filesystem::path folder;
  std::string size = "small";  ///< tiny | small | full, or another that the pipeline knows
  std::uint64_t seed = 1;
};

/// What is asked of a report beyond what every report shows.
struct ReportOptions {
  /// Names of sources whose cut-outs are drawn, or "all"; empty = the pipeline's sample.
  std::vector<std::string> cutouts;
};

/// A command of a pipeline that is no part of a run, such as fetching its data: one process.
struct Tool {
  std::string name;
  std::string help;
};

struct ToolOptions {
  std::filesystem::path out;                      ///< file to write, "" = none was named
  std::filesystem::path run_directory;            ///< of a run of this configuration, by default
  std::function<void(const std::string&)> print;  ///< text for standard output
  std::function<bool()> stop;                     ///< true once a signal asked for the end
};

class Pipeline {
 public:
  virtual ~Pipeline() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  [[nodiscard]] virtual std::string_view summary() const = 0;
  /// Declares every key, bound to this object's configuration.
  virtual void declare(ConfigSpec& spec) = 0;
  /// Checks that span several keys, after the configuration was read. @throws ConfigError
  virtual void check() = 0;
  /// Keeps only the share of the survey that one member of a job array does: the fields, sectors,
  /// targets ... of one of `count` parts. @return whether the configuration names them itself now;
  ///   if not, the part is taken from run.shard whenever the inputs are looked through
  /// @throws ConfigError for a share that cannot be taken, such as one without fields
  virtual bool take_share(std::size_t index, std::size_t count);
  /// Estimates of the stages for a dry run, from the measured costs of this pipeline; reads headers
  /// and catalogues, never pixels. Empty when nothing was measured. @throws ConfigError
  [[nodiscard]] virtual std::vector<StageForecast> forecast() const { return {}; }
  /// Default of run.max_failed_fraction.
  [[nodiscard]] virtual double max_failed_fraction() const { return 0.0; }
  /// Run directory that the configuration names, or "" for the default beside the TOML.
  [[nodiscard]] virtual std::string run_directory() const = 0;
  [[nodiscard]] virtual std::vector<std::unique_ptr<StageBase>> stages() = 0;
  [[nodiscard]] virtual std::vector<Published> published() const = 0;
  [[nodiscard]] virtual std::vector<Export> exports() const = 0;
  /// Files of their own for parts of the results, written by all ranks after the last stage. Asked
  /// on every rank.
  [[nodiscard]] virtual std::vector<FileSet> file_sets(const Products& /*products*/) const {
    return {};
  }
  /// Folders of the run directory that hold nothing but such files; --fresh removes them.
  [[nodiscard]] virtual std::vector<std::string> folders() const { return {}; }
  /// Lines printed at the end of a run, such as counts of converged sources.
  [[nodiscard]] virtual std::vector<std::string> summary_lines(const Products& products) const = 0;
  /// A figure that cannot be drawn becomes a line of the report and one of Report::problems.
  /// @throws ConfigError for options that cannot be met
  [[nodiscard]] virtual web::Report report(const Products& products,
                                           const ReportOptions& options) const = 0;
  [[nodiscard]] virtual std::vector<Tool> tools() const { return {}; }
  /// Does what one of tools() is for, after the configuration was read.
  /// @return exit status @throws ConfigError
  [[nodiscard]] virtual int use_tool(std::string_view name, const ToolOptions& options) const;
  /// Writes a survey with known truth and <pipeline>.toml.
  virtual void simulate(const SimulateOptions& options) const = 0;
};

}  // namespace skyloom::engine
