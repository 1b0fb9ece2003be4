#include "example.hpp"

#include <fmt/format.h>

#include "skyloom/engine/pipeline_run.hpp"
#include "skyloom/io/files.hpp"

#include "stages.hpp"

namespace skyloom::example {
namespace {

class Example final : public engine::Pipeline {
 public:
  [[nodiscard]] std::string_view name() const override { return "example"; }
  [[nodiscard]] std::string_view summary() const override { return "two stages for tests"; }
  void declare(ConfigSpec& spec) override;
  void check() override {
    if (config_.broken_unit >= config_.units && config_.units > 0) {
      throw ConfigError("accident.broken_unit", "no such unit", "less than cut.units");
    }
  }
  [[nodiscard]] std::string run_directory() const override { return config_.work_dir; }
  [[nodiscard]] std::vector<std::unique_ptr<engine::StageBase>> stages() override {
    std::vector<std::unique_ptr<engine::StageBase>> stages;
    stages.push_back(std::make_unique<engine::StageAdapter<Cut>>(config_));
    stages.push_back(std::make_unique<engine::StageAdapter<Join>>(config_));
    return stages;
  }
  [[nodiscard]] std::vector<engine::Published> published() const override {
    return {{"join", "sums", "sums"}, {"cut", "pieces", "pieces"}};
  }
  [[nodiscard]] std::vector<engine::Export> exports() const override {
    return {{"sums", "sums.csv", "csv"}};
  }
  [[nodiscard]] std::vector<std::string> summary_lines(
      const engine::Products& products) const override {
    return {fmt::format("{} sums of {} pieces", products.table("join", "sums").rows(),
                        products.table("cut", "pieces").rows())};
  }
  [[nodiscard]] web::Report report(const engine::Products& products,
                                   const engine::ReportOptions& /*options*/) const override {
    web::Report report;
    report.title = "Example";
    report.facts = {{"sums", std::to_string(products.table("join", "sums").rows())}};
    return report;
  }
  [[nodiscard]] std::vector<engine::Tool> tools() const override {
    return {{"describe", "prints how many units there are"}};
  }
  [[nodiscard]] int use_tool(std::string_view /*name*/,
                             const engine::ToolOptions& options) const override {
    const std::string text = fmt::format("{} units\n", config_.units);
    if (options.out.empty()) {
      options.print(text);
    } else {
      io::write_atomically(options.out, text);
    }
    return config_.units > 0 ? engine::kExitComplete : engine::kExitManyFailed;
  }
  void simulate(const engine::SimulateOptions& options) const override {
    const int units = options.size == "tiny" ? 6 : options.size == "small" ? 24 : 96;
    io::write_atomically(options.folder / "marks.txt", fmt::format("seed {}\n", options.seed));
    io::write_atomically(options.folder / "example.toml",
                         fmt::format("[input]\nmarks = \"marks.txt\"\n[cut]\nunits = {}\n", units));
  }

 private:
  Config config_;
};

void Example::declare(ConfigSpec& spec) {
  const std::vector<std::string> both{"cut", "join"};
  spec.add("input.marks", &config_.marks,
           {.help = "a file that counts as input", .stages = {"cut"}, .input_path = true});
  spec.add("input.parts", &config_.parts,
           {.help = "folder with a file of every unit that holds a factor; empty = 1",
            .input_path = true});
  spec.add("cut.units", &config_.units, {.help = "number of units", .min = 0, .stages = {"cut"}});
  spec.add("cut.steps", &config_.steps,
           {.help = "steps of every unit", .min = 1, .max = 200, .stages = {"cut"}});
  spec.add("cut.scale", &config_.scale, {.help = "factor of all values", .stages = {"cut"}});
  spec.add("join.groups", &config_.groups,
           {.help = "number of groups", .min = 1, .stages = {"join"}});
  spec.add("join.offset", &config_.offset,
           {.help = "added to all sums", .unit = "Jy", .stages = {"join"}});
  spec.add("output.work_dir", &config_.work_dir, {.help = "run directory"});
  spec.add("accident.broken_unit", &config_.broken_unit, {.help = "this unit fails"});
  spec.add("accident.crashing_unit", &config_.crashing_unit,
           {.help = "this unit takes its process along"});
  spec.add("accident.sleep_ms", &config_.sleep_ms,
           {.help = "every step of a unit takes so long", .unit = "ms", .min = 0});
}

}  // namespace

std::unique_ptr<engine::Pipeline> make_example() {
  return std::make_unique<Example>();
}

}  // namespace skyloom::example
