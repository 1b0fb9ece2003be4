#include "skyloom/engine/job.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <optional>

#include <fmt/format.h>

#include "skyloom/core/errors.hpp"

#include "job_templates.hpp"

namespace skyloom::engine {
namespace {

namespace fs = std::filesystem;
using Values = std::vector<std::pair<std::string, std::string>>;

constexpr double kMebibytesPerGigabyte = 1e9 / 1048576.0;

std::string joined(const std::vector<std::string>& texts, const char* separator) {
  std::string out;
  for (const std::string& text : texts) {
    out += (out.empty() ? "" : separator) + text;
  }
  return out;
}

std::string words(const std::vector<std::string>& texts) {
  std::vector<std::string> out(texts.size());
  std::transform(texts.begin(), texts.end(), out.begin(), shell_word);
  return joined(out, " ");
}

std::string clock_text(double hours) {
  const auto seconds = static_cast<long long>(std::lround(hours * 3600.0));
  return fmt::format("{:02d}:{:02d}:{:02d}", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

/// Directives are split at blanks and know no escapes, and a % begins a pattern of Slurm's.
void require_plain(const std::string& text, std::string_view where) {
  const bool plain = std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return c > ' ' && c != 127 &&
           std::string_view("\"'\\%#").find(static_cast<char>(c)) == std::string_view::npos;
  });
  if (!plain) {
    throw ConfigError(where, "\"" + text + "\" cannot stand in a batch directive",
                      "expected no blanks, quotes, \\, % or #");
  }
}

void check_job(Batch batch, const JobSettings& job, const JobTask& task) {
  if (job.ranks_per_node == 0) {
    throw ConfigError("job.ranks_per_node", "is not set",
                      "expected the number of cores of a node (--dry-run suggests how many nodes)");
  }
  if (!seconds_per_job(job)) {
    throw ConfigError("job.walltime_h", "leaves no time between job.signal_lead_s and the start",
                      fmt::format("expected more than {:.3g}", 2.0 * job.signal_lead_s / 3600.0));
  }
  if (!job.container_options.empty() && job.container.empty()) {
    throw ConfigError("job.container_options", "is set without job.container",
                      "expected it empty, or an image");
  }
  if (job.shares_at_once > 0 && job.shares == 1) {
    throw ConfigError("job.shares_at_once", "is set for one share", "expected 0, or job.shares");
  }
  if (batch == Batch::pbs) {
    if (!job.qos.empty()) {
      throw ConfigError("job.qos", "is set, but PBS has no such thing", "expected it empty");
    }
    if (task.script.empty()) {
      throw ConfigError("--out", "missing: a PBS job submits itself again by its file",
                        "expected the name of the script");
    }
  }
  require_plain(job.name, "job.name");
  require_plain(job.account, "job.account");
  require_plain(job.partition, "job.partition");
  require_plain(job.qos, "job.qos");
  require_plain(job.after, "job.after");
  require_plain(task.config_file.string(), "configuration file");
  for (const std::string& line : job.directives) {
    if (line.find('\n') != std::string::npos || line.starts_with("#")) {
      throw ConfigError("job.directives", "\"" + line + "\" is no option",
                        "expected one such as \"--constraint=rome\"");
    }
  }
}

/// Both systems take letters, digits and -_. and want a letter first.
std::string job_name(const JobSettings& job, const JobTask& task) {
  std::string name = job.name.empty() ? task.config_file.stem().string() : job.name;
  std::replace_if(
      name.begin(), name.end(),
      [](unsigned char c) { return std::isalnum(c) == 0 && c != '-' && c != '_' && c != '.'; },
      '_');
  return std::isalpha(static_cast<unsigned char>(name[0])) != 0 ? name : "job_" + name;
}

/// survey.run -> survey.${share}of8.run, as a word of the shell.
std::string run_directory_word(const JobSettings& job, const JobTask& task) {
  if (job.shares == 1) {
    return shell_word(task.run_directory.string());
  }
  const fs::path stem = task.run_directory.parent_path() / task.run_directory.stem();
  return shell_word(stem.string() + ".") + "\"$share\"" +
         shell_word(fmt::format("of{}{}", job.shares, task.run_directory.extension().string()));
}

std::string run_command_words(const JobSettings& job, const JobTask& task) {
  std::string out;
  if (!job.container.empty()) {
    out = "apptainer exec ";
    if (!job.container_options.empty()) {
      out += words(job.container_options) + " ";
    }
    out += shell_word(job.container) + " ";
  }
  const std::string& fallback = job.container.empty() ? task.program : "skyloom";
  out += shell_word(job.program.empty() ? fallback : job.program) + " " + task.pipeline + " run " +
         shell_word(task.config_file.string()) + " --out " + run_directory_word(job, task);
  for (const std::string& assignment : task.assignments) {
    // The rest of [job] has done its work here.
    if (!assignment.starts_with("job.") || assignment.starts_with("job.signal_lead_s")) {
      out += " --set " + shell_word(assignment);
    }
  }
  if (job.shares > 1) {
    out += fmt::format(" --set run.shard=\"$share\"/{}", job.shares);
  }
  return out;
}

std::string array_text(const JobSettings& job) {
  if (job.shares == 1) {
    return "";
  }
  return fmt::format("1-{}", job.shares) +
         (job.shares_at_once > 0 ? fmt::format("%{}", job.shares_at_once) : "");
}

std::string directive_lines(Batch batch, const JobSettings& job) {
  std::vector<std::string> lines;
  for (const std::string& option : job.directives) {
    lines.push_back((batch == Batch::slurm ? "#SBATCH " : "#PBS ") + option);
  }
  return joined(lines, "\n");
}

void add_slurm(const JobSettings& job, const JobTask& task, long memory_mb, Values& values) {
  const std::string stem = (task.config_file.parent_path() / task.config_file.stem()).string();
  values.insert(values.end(), {{"qos", job.qos},
                               {"nodes", std::to_string(job.nodes)},
                               {"ranks_per_node", std::to_string(job.ranks_per_node)},
                               {"memory_mb", memory_mb > 0 ? std::to_string(memory_mb) : ""},
                               {"array", array_text(job)},
                               {"after", job.after},
                               {"log", stem + (job.shares > 1 ? ".%A_%a.log" : ".%j.log")},
                               {"share", job.shares > 1 ? "$SLURM_ARRAY_TASK_ID" : ""}});
}

void add_pbs(const JobSettings& job, const JobTask& task, long memory_mb, Values& values) {
  std::string select = fmt::format("{0}:ncpus={1}:mpiprocs={1}", job.nodes, job.ranks_per_node);
  if (memory_mb > 0) {
    select += fmt::format(":mem={}mb", memory_mb * job.ranks_per_node);
  }
  values.insert(values.end(),
                {{"select", select},
                 {"submit", submit_command(Batch::pbs, job, task)},
                 {"folder_plain", task.config_file.parent_path().string()},
                 {"share", job.shares > 1 ? "${SKYLOOM_MEMBER:-$PBS_ARRAY_INDEX}" : ""},
                 {"successor", std::string("SKYLOOM_RESTARTS=$((restarts + 1))") +
                                   (job.shares > 1 ? ",SKYLOOM_MEMBER=$share" : "")}});
}

const std::string& value_of(std::string_view name, const Values& values) {
  const auto found = std::find_if(values.begin(), values.end(),
                                  [&](const auto& value) { return value.first == name; });
  if (found == values.end()) {
    throw FatalError("job template: nothing to put for " + std::string(name));
  }
  return found->second;
}

/// A line filled in; nullopt when one of its values is empty.
std::optional<std::string> fill_line(std::string_view line, const Values& values) {
  std::string out;
  std::size_t at = 0;
  for (std::size_t open = 0; (open = line.find("{{", at)) != std::string_view::npos;) {
    const std::size_t close = line.find("}}", open);
    if (close == std::string_view::npos) {
      throw FatalError("job template: no }} in: " + std::string(line));
    }
    const std::string& value = value_of(line.substr(open + 2, close - open - 2), values);
    if (value.empty()) {
      return std::nullopt;
    }
    out += std::string(line.substr(at, open - at)) + value;
    at = close + 2;
  }
  return out + std::string(line.substr(at));
}

}  // namespace

std::optional<double> seconds_per_job(const JobSettings& settings) {
  const double seconds = settings.walltime_h * 3600.0 - settings.signal_lead_s;
  return seconds > settings.signal_lead_s ? std::optional(seconds) : std::nullopt;
}

void declare_job(ConfigSpec& spec, JobSettings& job) {
  spec.table("job",
             "What 'skyloom job slurm|pbs' writes into a batch script; no result depends on it.");
  spec.add("job.name", &job.name, {.help = "name of the job; empty = of this file"});
  spec.add("job.account", &job.account, {.help = "account that is charged; empty = the usual one"});
  spec.add("job.partition", &job.partition,
           {.help = "partition of Slurm, queue of PBS; empty = the usual one"});
  spec.add("job.qos", &job.qos, {.help = "quality of service, Slurm only; empty = the usual one"});
  spec.add("job.nodes", &job.nodes, {.help = "nodes", .min = 1});
  spec.add("job.ranks_per_node", &job.ranks_per_node,
           {.help = "ranks on every node, one per core; must be set for a job", .min = 0});
  spec.add("job.memory_per_rank_gb", &job.memory_per_rank_gb,
           {.help = "memory asked for; 0 = what the site gives", .unit = "GB", .min = 0});
  spec.add("job.walltime_h", &job.walltime_h,
           {.help = "time asked for", .unit = "h", .min = 0.1, .max = 8760});
  spec.add("job.signal_lead_s", &job.signal_lead_s,
           {.help = "a run stops so long before its job ends (when run.time_limit_s is 0); Slurm's "
                    "warning may be 60 s early",
            .unit = "s",
            .min = 90});
  spec.add("job.max_restarts", &job.max_restarts,
           {.help = "how often a stopped job queues itself again; 0 = never", .min = 0});
  spec.add("job.shares", &job.shares,
           {.help = "members of a job array, each with a share of the fields, sectors or targets "
                    "(run.shard) and a run directory of its own; 1 = no array",
            .min = 1});
  spec.add("job.shares_at_once", &job.shares_at_once,
           {.help = "members that may run at the same time; 0 = any number", .min = 0});
  spec.add("job.after", &job.after,
           {.help = "jobs that come first, such as \"afterok:1234\"; empty = none"});
  spec.add("job.modules", &job.modules, {.help = "environment modules to load"});
  spec.add("job.setup", &job.setup, {.help = "shell commands before the run"});
  spec.add("job.container", &job.container,
           {.help = "Apptainer image that the ranks run in; empty = none"});
  spec.add("job.container_options", &job.container_options,
           {.help = "options of apptainer exec, such as \"--bind=/scratch\""});
  spec.add("job.program", &job.program,
           {.help = "skyloom on the nodes; empty = the program that writes the script, in a "
                    "container its skyloom"});
  spec.add("job.launcher", &job.launcher,
           {.help = "command that starts the ranks, such as \"srun --mpi=pmix\"; empty = mpirun"});
  spec.add("job.directives", &job.directives,
           {.help = "further options of sbatch or qsub, such as \"--constraint=rome\""});
}

std::string shell_word(std::string_view text) {
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 ||
           std::string_view("-_./=+:,@%").find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (plain) {
    return std::string(text);
  }
  std::string out = "'";
  for (const char c : text) {
    out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  }
  return out + "'";
}

std::string fill_template(std::string_view text, const Values& values) {
  std::string out;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    if (const auto line = fill_line(text.substr(begin, end - begin), values)) {
      out += *line + "\n";
    }
    begin = end + 1;
  }
  return out;
}

std::string submit_command(Batch batch, const JobSettings& job, const JobTask& task) {
  const std::string script = task.script.empty() ? "FILE" : shell_word(task.script.string());
  if (batch == Batch::slurm) {
    return "sbatch " + script;
  }
  std::string out = "qsub ";
  if (job.shares > 1) {
    out += "-J " + array_text(job) + " ";
  }
  if (!job.after.empty()) {
    out += "-W depend=" + job.after + " ";
  }
  return out + script;
}

std::string render_job(Batch batch, const JobSettings& job, const JobTask& task) {
  check_job(batch, job, task);
  const int ranks = job.nodes * job.ranks_per_node;
  const std::string launcher =
      !job.launcher.empty()   ? job.launcher
      : batch == Batch::slurm ? fmt::format("mpirun -n {}", ranks)
                              : fmt::format("mpirun -n {} --hostfile \"$PBS_NODEFILE\"", ranks);
  const auto memory_mb =
      static_cast<long>(std::ceil(job.memory_per_rank_gb * kMebibytesPerGigabyte));
  Values values{{"title", fmt::format("skyloom {}: {} of {}", SKYLOOM_VERSION, task.pipeline,
                                      task.config_file.string())},
                {"submit", submit_command(batch, job, task)},
                {"script", shell_word(task.script.string())},
                {"max_restarts", std::to_string(job.max_restarts)},
                {"name", job_name(job, task)},
                {"account", job.account},
                {"partition", job.partition},
                {"walltime", clock_text(job.walltime_h)},
                {"lead_s", fmt::format("{:.0f}", job.signal_lead_s)},
                {"directives", directive_lines(batch, job)},
                {"folder", shell_word(task.config_file.parent_path().string())},
                {"modules", words(job.modules)},
                {"setup", joined(job.setup, "\n")},
                {"launcher", launcher},
                {"command", run_command_words(job, task)}};
  if (batch == Batch::slurm) {
    add_slurm(job, task, memory_mb, values);
    return fill_template(kSlurmTemplate, values);
  }
  add_pbs(job, task, memory_mb, values);
  return fill_template(kPbsTemplate, values);
}

}  // namespace skyloom::engine
