#include "pipelines/flares/fetch.hpp"

#include <fmt/format.h>

#include "skyloom/core/errors.hpp"
#include "skyloom/engine/pipeline_run.hpp"
#include "skyloom/surveys/light_curve_cache.hpp"

namespace skyloom::flares {
namespace {

surveys::FetchRequest request_of(const Config& config, const engine::ToolOptions& options) {
  if (config.inputs.targets.empty()) {
    throw ConfigError("inputs.targets", "missing", "the stars whose light curves are fetched");
  }
  if (config.inputs.cache_dir.empty()) {
    throw ConfigError("inputs.cache_dir", "missing", "the folder that light curves go to");
  }
  surveys::FetchRequest request;
  request.base_url = config.inputs.base_url;
  request.folder = config.inputs.cache_dir;
  request.targets = config.inputs.targets;
  request.sectors = config.fetch.sectors;
  request.rule.parallel = config.fetch.parallel;
  request.rule.tries = config.fetch.tries;
  request.rule.first_wait_s = config.fetch.wait_s;
  request.rule.stalled_s = config.fetch.stalled_s;
  request.stop = options.stop;
  return request;
}

int fetch_list(const surveys::FetchRequest& request, const engine::ToolOptions& options) {
  const std::vector<surveys::SpocName> files = surveys::wanted_light_curves(request);
  if (options.stop()) {
    return engine::kExitStopped;
  }
  const std::string script = surveys::download_script(files, request.base_url);
  if (options.out.empty()) {
    options.print(script);
  } else {
    surveys::write_script(options.out, script);
    options.print(fmt::format("{} light curves: {}\n", files.size(), options.out.string()));
  }
  return engine::kExitComplete;
}

int fetch(surveys::FetchRequest request, const engine::ToolOptions& options) {
  request.tell = [&](const std::string& line) { options.print(line + "\n"); };
  const surveys::FetchResult result = surveys::fetch_light_curves(request);
  options.print(fmt::format("{} light curves: {} were there, {} fetched, {} failed{}\n",
                            result.wanted, result.present, result.fetched, result.failed,
                            result.stopped ? "; stopped, the same command goes on" : ""));
  if (result.failed > 0) {
    options.print(fmt::format("{}\nreasons of all: {}; the same command tries them again\n",
                              result.first_failure, (request.folder / "files.csv").string()));
  }
  return result.stopped      ? engine::kExitStopped
         : result.failed > 0 ? engine::kExitManyFailed
                             : engine::kExitComplete;
}

}  // namespace

void declare_fetch(ConfigSpec& spec, Config& c) {
  constexpr int kMostAtOnce = 32;
  spec.table("fetch", "How `flares fetch` and `flares fetch-list` ask the server.");
  spec.add("fetch.sectors", &c.fetch.sectors,
           Key{.help = "sectors to fetch; empty = all that the server lists", .min = 1});
  spec.add("fetch.parallel", &c.fetch.parallel,
           Key{.help = "files at a time", .min = 1, .max = kMostAtOnce});
  spec.add("fetch.tries", &c.fetch.tries,
           Key{.help = "tries of one file before it counts as failed", .min = 1, .max = 100});
  spec.add(
      "fetch.wait_s", &c.fetch.wait_s,
      Key{.help = "wait before the second try of a file, doubled for each further one, at most "
                  "a minute",
          .unit = "s",
          .min = 0.0});
  spec.add("fetch.stalled_s", &c.fetch.stalled_s,
           Key{.help = "a transfer that brings nothing for so long is tried again",
               .unit = "s",
               .min = 1.0});
}

std::vector<engine::Tool> fetch_tools() {
  return {{"fetch-list", "print a script that downloads the light curves of inputs.targets"},
          {"fetch", "download the light curves of inputs.targets into inputs.cache_dir"}};
}

int use_fetch_tool(const Config& config, std::string_view name,
                   const engine::ToolOptions& options) {
  const surveys::FetchRequest request = request_of(config, options);
  return name == "fetch" ? fetch(request, options) : fetch_list(request, options);
}

}  // namespace skyloom::flares
