#include "run_folder.hpp"

#include <string>
#include <system_error>

#include "skyloom/core/errors.hpp"
#include "skyloom/engine/file_sets.hpp"
#include "skyloom/engine/manifest.hpp"
#include "skyloom/engine/slabs.hpp"
#include "skyloom/io/files.hpp"

namespace skyloom::engine {

void remove_journal(const std::filesystem::path& folder) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  std::vector<fs::path> journals;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (entry.path().filename().string().starts_with("journal.")) {
      journals.push_back(entry.path());
    }
  }
  for (const fs::path& journal : journals) {
    fs::remove(journal, ignored);
  }
  fs::remove(folder, ignored);  // only when nothing else is in it
}

namespace {

/// A file outside of the run directory may be anything by now.
std::vector<std::string> exports_inside(const Pipeline& pipeline) {
  std::vector<std::string> files;
  for (const Export& exported : pipeline.exports()) {
    const auto path = std::filesystem::path(exported.file).lexically_normal();
    if (path.is_relative() && *path.begin() != "..") {
      files.push_back(path.string());
    }
  }
  return files;
}

}  // namespace

void remove_stages(const Pipeline& pipeline, const Stages& stages,
                   const std::vector<std::size_t>& selected,
                   const std::filesystem::path& run_directory) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  const auto remove = [&](const std::string& name) { fs::remove(run_directory / name, ignored); };
  for (const std::size_t i : selected) {
    const std::string name(stages[i]->name());
    remove(name + ".h5");
    remove(name + ".h5.tmp");
    remove_slab_files({run_directory, name, stages[i]->slab_file()});
    remove_journal(run_directory / name);
  }
  remove(std::string(pipeline.name()) + ".h5");
  remove("report.html");
  remove("progress.json");
  for (const std::string& folder : pipeline.folders()) {
    remove_stamped_files(run_directory / folder);
  }
  for (const std::string& file : exports_inside(pipeline)) {
    remove(file);
  }
}

void remove_cut_off_copies(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> files;
  for (const std::filesystem::directory_entry& entry :
       std::filesystem::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("config_used_") && name.ends_with(".tmp")) {
      files.push_back(entry.path());
    }
  }
  for (const std::filesystem::path& file : files) {
    std::filesystem::remove(file);
  }
}

void refuse_foreign_files(const Pipeline& pipeline, const Stages& stages,
                          const std::filesystem::path& run_directory) {
  std::vector<std::string> names{std::string(pipeline.name()) + ".h5", "config.toml",
                                 "report.html"};
  for (const auto& stage : stages) {
    names.push_back(std::string(stage->name()) + ".h5");
    names.push_back(stage->slab_file());
  }
  for (const std::string& file : exports_inside(pipeline)) {
    names.push_back(file);
  }
  for (const std::string& folder : pipeline.folders()) {
    names.push_back(folder);
  }
  for (const std::string& name : names) {
    if (!name.empty() && std::filesystem::exists(run_directory / name)) {
      throw ConfigError((run_directory / name).string(), "is not from a run here",
                        "a directory with manifest.json, or without such files");
    }
  }
}

void write_config_copies(const ConfigSpec& spec, const RunOptions& options) {
  const std::filesystem::path& directory = options.run_directory;
  io::write_atomically(directory / "config.toml", spec.toml());
  remove_cut_off_copies(directory);
  io::write_atomically(directory / ("config_used_" + utc_stamp() + ".toml"),
                       io::read_text(options.config_file));
  std::error_code problem;
  std::filesystem::create_directories(directory / "logs", problem);
  if (problem) {
    throw FatalError((directory / "logs").string() + ": cannot be created: " + problem.message());
  }
}

Attempt attempt_of(const RunOptions& options, int ranks) {
  Attempt attempt;
  attempt.command = options.command;
  attempt.started = utc_now();
  attempt.ranks = ranks;
  attempt.host = host_name();
  attempt.code_version = SKYLOOM_VERSION;
  attempt.accepted_new_code = options.accept_new_code;
  return attempt;
}

NamedTexts provenance_of(const Pipeline& pipeline, const ConfigSpec& spec,
                         const RunOptions& options, int ranks,
                         const StageDescription* description) {
  NamedTexts out{{"skyloom_version", SKYLOOM_VERSION},
                 {"pipeline", std::string(pipeline.name())},
                 {"seed", std::to_string(options.settings.seed)},
                 {"written", utc_now()},
                 {"ranks", std::to_string(ranks)},
                 {"host", host_name()},
                 {"command", options.command},
                 {"config", spec.toml()},
                 {"accepted_new_code", options.accept_new_code ? "true" : "false"}};
  if (description != nullptr) {
    std::string inputs;
    for (const auto& [path, fingerprint] : description->inputs) {
      inputs += fingerprint + "  " + path + "\n";
    }
    out.emplace_back("inputs", inputs);
  }
  return out;
}

}  // namespace skyloom::engine
