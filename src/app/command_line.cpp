#include "command_line.hpp"

#include <algorithm>
#include <sstream>
#include <utility>

#include <CLI/CLI.hpp>

#include "skyloom/core/errors.hpp"
#include "skyloom/engine/job.hpp"

#include "names.hpp"

namespace skyloom::app {
namespace {

constexpr const char* kExamples = R"(Examples:
  skyloom simulate photometry --out survey             a small survey with known truth
  mpirun -n 4 skyloom photometry run survey/photometry.toml
  skyloom status survey/photometry.run                 how far it is, running or not
  skyloom config photometry --out my.toml              every key with its meaning
  skyloom job slurm survey/photometry.toml             a batch script, from its table [job])";

constexpr const char* kRunExamples = R"(Examples:
  mpirun -n 4 skyloom PIPELINE run survey.toml --out night1.run
  skyloom PIPELINE run survey.toml --dry-run --set run.seed=7
An interrupted run is continued by the same command, on any number of ranks.)";

constexpr const char* kToolExamples = R"(Example:
  skyloom PIPELINE TOOL survey.toml)";

std::vector<std::string> stage_names(const PipelineEntry& entry) {
  std::vector<std::string> names;
  for (const auto& stage : entry.make()->stages()) {
    names.emplace_back(stage->name());
  }
  return names;
}

void add_set(CLI::App& app, CommandLine& line) {
  app.add_option("--set", line.assignments, "set a configuration key, such as run.seed=7")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
}

void add_run_options(CLI::App& app, CommandLine& line, std::vector<std::string>& words) {
  app.add_option("CONFIG", words, "configuration file (TOML)")->required()->type_name("FILE");
  app.add_option("--out", line.out, "run directory (default: NAME.run beside NAME.toml)")
      ->type_name("DIR");
  add_set(app, line);
  app.add_flag("--dry-run", line.dry_run, "check everything, write nothing");
  app.add_flag("--fresh", line.fresh, "forget what the run directory holds of these stages");
  app.add_flag("--retry-failed", line.retry_failed, "run failed units again");
  app.add_flag("--accept-new-code", line.accept_new_code,
               "go on with a run that another version of skyloom began");
}

std::string filled_in(std::string text, const std::string& what, const std::string& with) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size()) {
    text.replace(at, what.size(), with);
  }
  return text;
}

void add_tools(CLI::App& pipeline, const PipelineEntry& entry, CommandLine& line,
               std::vector<std::string>& words) {
  const std::string name(entry.name);
  for (const engine::Tool& tool : entry.make()->tools()) {
    CLI::App* command = pipeline.add_subcommand(tool.name, tool.help);
    command->add_option("CONFIG", words, "configuration file (TOML)")
        ->required()
        ->type_name("FILE");
    command->add_option("--out", line.out, "file for what it prints (default: standard output)")
        ->type_name("FILE");
    add_set(*command, line);
    command->footer(filled_in(filled_in(kToolExamples, "PIPELINE", name), "TOOL", tool.name));
    command->callback([&line, name, tool = tool.name] {
      line.action = Action::tool;
      line.pipeline = name;
      line.tool = tool;
    });
  }
}

void add_pipelines(CLI::App& app, std::span<const PipelineEntry> pipelines, CommandLine& line,
                   std::vector<std::string>& words) {
  for (const PipelineEntry& entry : pipelines) {
    const std::string name(entry.name);
    CLI::App* pipeline = app.add_subcommand(name, std::string(entry.summary));
    pipeline->require_subcommand(1);
    const std::string examples = filled_in(kRunExamples, "PIPELINE", name);
    pipeline->footer(examples);
    const auto add = [&](const std::string& stage, const std::string& help) {
      CLI::App* command = pipeline->add_subcommand(stage.empty() ? "run" : stage, help);
      add_run_options(*command, line, words);
      command->footer(examples);
      command->callback([&line, name, stage] {
        line.action = Action::run;
        line.pipeline = name;
        line.stage = stage;
      });
    };
    add("", "run all stages that are not finished");
    for (const std::string& stage : stage_names(entry)) {
      add(stage, "only the stage " + stage + ", from what the earlier ones left");
    }
    add_tools(*pipeline, entry, line, words);
  }
}

void add_simulate(CLI::App& app, CommandLine& line) {
  CLI::App* command = app.add_subcommand("simulate", "write a survey with known truth");
  command->add_option("PIPELINE", line.pipeline, "for this pipeline")->required();
  command->add_option("--out", line.out, "folder for it")->required()->type_name("DIR");
  command->add_option("--size", line.size, "tiny, small, full, or another that the pipeline knows")
      ->capture_default_str();
  command->add_option("--seed", line.seed, "seed of its random numbers")->capture_default_str();
  command->callback([&line] { line.action = Action::simulate; });
}

void add_config(CLI::App& app, CommandLine& line) {
  CLI::App* command = app.add_subcommand("config", "print every configuration key");
  command->add_option("PIPELINE", line.pipeline, "of this pipeline")->required();
  command->add_option("--out", line.out, "write to a new file instead")->type_name("FILE");
  command->add_flag("--markdown", line.markdown, "as a reference page instead of TOML");
  command->callback([&line] { line.action = Action::config; });
}

void add_directory_commands(CLI::App& app, CommandLine& line) {
  CLI::App* status = app.add_subcommand("status", "how far a run is, from its files alone");
  status->add_option("DIR", line.target, "run directory")->required();
  CLI::Option* json = status->add_flag("--json", line.json, "for programs");
  CLI::Option* watch =
      status->add_flag("--watch", line.watch, "again every two seconds, until the run is complete")
          ->excludes(json);
  CLI::Option* units = status
                           ->add_flag("--units", line.units,
                                      "one line per object (sector, patch): what is done of it")
                           ->excludes(json)
                           ->excludes(watch);
  status->add_option("PATTERN", line.pattern, "of --units: only keys that it fits (default: *)")
      ->needs(units);
  status->footer(
      "Examples:\n  skyloom status survey/photometry.run --watch\n"
      "  skyloom status survey/flares.run --units '142052876/*'");
  status->callback([&line] { line.action = Action::status; });

  CLI::App* report = app.add_subcommand("report", "draw report.html of a run again");
  report->add_option("DIR", line.target, "run directory")->required();
  report
      ->add_option("--cutouts", line.cutouts,
                   "draw data, model and residual of these sources, or of all")
      ->type_name("ID[,ID...]")
      ->delimiter(',')
      ->allow_extra_args(false);
  report->footer("Example:\n  skyloom report survey/photometry.run --cutouts 17,gaia_42");
  report->callback([&line] { line.action = Action::report; });

  CLI::App* exported = app.add_subcommand("export", "write a table in another format");
  exported->add_option("DIR|FILE", line.target, "run directory or HDF5 product")->required();
  exported->add_option("--format", line.format, "fits | csv | ecsv | json")
      ->check(CLI::IsMember({"fits", "csv", "ecsv", "json"}))
      ->required();
  exported->add_option("--table", line.table, "which table (default: the first published)");
  exported->add_option("--out", line.out, "file to write")->required()->type_name("FILE");
  exported->footer(
      "Example:\n  skyloom export survey/photometry.run --format fits --out catalogue.fits");
  exported->callback([&line] { line.action = Action::export_table; });
}

void add_job(CLI::App& app, CommandLine& line, std::vector<std::string>& words) {
  CLI::App* job = app.add_subcommand("job", "write a batch script ready to submit, from [job]");
  job->add_option("SYSTEM", line.batch, "slurm | pbs")
      ->check(CLI::IsMember({"slurm", "pbs"}))
      ->required();
  job->add_option("CONFIG", words, "configuration file (TOML)")->required()->type_name("FILE");
  job->add_option("--out", line.out, "the script (default, not for pbs: standard output)")
      ->type_name("FILE");
  job->add_option("--set", line.assignments, "set a configuration key, for the run as well")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  job->footer("Example:\n  skyloom job slurm survey.toml --set job.nodes=4 --out survey.job");
  job->callback([&line] { line.action = Action::job; });
}

void check_words(const std::vector<std::string>& arguments,
                 std::span<const PipelineEntry> pipelines) {
  if (arguments.empty() || arguments[0].starts_with("-")) {
    return;
  }
  std::vector<std::string> known{"simulate", "config", "status", "report", "export", "job"};
  for (const PipelineEntry& entry : pipelines) {
    known.emplace_back(entry.name);
  }
  require_known(arguments[0], known, "command or pipeline");
  const auto entry = std::find_if(pipelines.begin(), pipelines.end(),
                                  [&](const auto& e) { return e.name == arguments[0]; });
  if (entry != pipelines.end() && arguments.size() > 1 && !arguments[1].starts_with("-")) {
    std::vector<std::string> commands = stage_names(*entry);
    commands.insert(commands.begin(), "run");
    for (const engine::Tool& tool : entry->make()->tools()) {
      commands.push_back(tool.name);
    }
    require_known(arguments[1], commands, "command of " + arguments[0]);
  }
}

/// The first word is the configuration; `--set a=1 b=2` leaves the others behind.
void take_words(CommandLine& line, const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    if (line.target.empty()) {
      line.target = word;
    } else if (!line.assignments.empty() && word.find('=') != std::string::npos) {
      line.assignments.push_back(word);
    } else {
      throw ConfigError(word, "unexpected argument", "one configuration file");
    }
  }
}

}  // namespace

Parsed parse_command_line(const std::vector<std::string>& arguments,
                          std::span<const PipelineEntry> pipelines) {
  check_words(arguments, pipelines);
  CommandLine line;
  std::vector<std::string> words;
  CLI::App app{"skyloom: MPI-parallel survey astronomy", "skyloom"};
  app.set_version_flag("--version", std::string("skyloom ") + SKYLOOM_VERSION);
  app.footer(kExamples);
  app.require_subcommand(1);
  add_pipelines(app, pipelines, line, words);
  add_simulate(app, line);
  add_config(app, line);
  add_directory_commands(app, line);
  add_job(app, line, words);
  try {
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
    app.parse(std::move(reversed));
  } catch (const CLI::Success& success) {
    std::ostringstream out;
    app.exit(success, out, out);
    return {std::nullopt, out.str()};
  } catch (const CLI::ParseError& error) {
    throw ConfigError("command line", error.what(), "see --help");
  }
  take_words(line, words);
  return {line, {}};
}

std::string spelled(const CommandLine& command, const std::string& config, const std::string& out) {
  std::string text = "skyloom " + command.pipeline + " " +
                     (command.stage.empty() ? "run" : command.stage) + " " +
                     engine::shell_word(config) + " --out " + engine::shell_word(out);
  for (const std::string& assignment : command.assignments) {
    text += " --set " + engine::shell_word(assignment);
  }
  return text;
}

}  // namespace skyloom::app
