// Predicts how a stage scales: a discrete-event simulation of ranks that take the program's own
// chunks (engine/schedule.hpp) from one counter, journal their units and assemble the product.
//   scheduler_simulation [largest]      comma-separated table on standard output
//   scheduler_simulation RUN CORE_SECONDS FIELDS
// The second form takes the units of all stages from a finished run of one field, as many times as
// there are fields; their wall times are scaled to the processor seconds of the run, or to those of
// every stage: frames=9.8,epsf=34 (stages that are left out stay as they are).
// Costs of the engine are those of engine_overhead; what a cluster adds is assumed (Machine).
// docs/scaling.md explains model and results.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <map>
#include <numeric>
#include <queue>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "skyloom/core/errors.hpp"
#include "skyloom/core/random.hpp"
#include "skyloom/engine/assemble.hpp"
#include "skyloom/engine/manifest.hpp"
#include "skyloom/engine/schedule.hpp"
#include "skyloom/io/hdf5.hpp"

using namespace skyloom;

namespace {

/// Seconds and bytes per second.
struct Machine {
  double counter_service = 1.4e-6;  ///< 700 000 grabs/s, platform measurement on shared memory
  double latency = 5e-6;            ///< of a fetch-and-add over the network, there and back
  double begin_and_save = 2.5e-6;   ///< per unit: start record, encoding, result record
  double save_byte = 2e-9;          ///< per byte of payload
  double replicated_unit = 1.0e-7;  ///< per unit on every rank: unpacked plan, schedule, shares
  double broadcast_bytes = 11;      ///< per unit, to every rank: key, cost, and whether it is done
  double assembled_unit = 2.1e-6;   ///< per unit on one rank: reading back, decoding
  double assembled_byte = 3.8e-9;   ///< the same per byte of payload
  double record_bytes = 64;         ///< where a record stands, sent to the rank that assembles it
  double node_bandwidth = 1e10;     ///< into a node, and shared by its ranks' copies
  double file_bandwidth = 5e10;     ///< of the file system, all ranks together
  bool reads_back = false;          ///< after a restart nothing is in memory
  int ranks_per_node = 64;
};

struct Case {
  std::string name;
  std::size_t units;
  std::function<double(const Rng&, std::uint64_t)> cost;  ///< seconds of a unit
  double scatter;        ///< of the true cost about the estimate, natural logarithm
  double payload_bytes;  ///< of a unit
};

struct Prediction {
  std::size_t chunks = 0;
  double work_s = 0.0;        ///< of all units, per rank
  double loop_s = 0.0;        ///< until the last rank is done
  double idle = 0.0;          ///< fraction of the loop, waiting at the end
  double counter = 0.0;       ///< fraction of the loop, waiting for the counter
  double journal = 0.0;       ///< fraction of the loop
  double replicated_s = 0.0;  ///< what every rank repeats, and the broadcast of the plan
  double assembly_s = 0.0;
  [[nodiscard]] double total_s() const { return loop_s + replicated_s + assembly_s; }
  [[nodiscard]] double efficiency() const { return work_s / total_s(); }
};

/// Estimated and true costs of the units.
struct Costs {
  std::vector<float> estimated;
  std::vector<double> actual;
};

Costs draw(const Case& kind) {
  const Rng rng(1, "scheduler", kind.name);
  const Rng errors = rng.stream("errors");
  Costs costs;
  costs.estimated.reserve(kind.units);
  costs.actual.reserve(kind.units);
  for (std::size_t i = 0; i < kind.units; ++i) {
    const double estimate = kind.cost(rng, i);
    costs.estimated.push_back(static_cast<float>(estimate));
    costs.actual.push_back(estimate * std::exp(kind.scatter * errors.normal(i)));
  }
  return costs;
}

Prediction simulate(const Case& kind, const Costs& costs, int ranks, double chunks_per_rank,
                    const Machine& machine) {
  std::vector<engine::UnitIndex> todo(kind.units);
  std::iota(todo.begin(), todo.end(), 0);
  const engine::Chunks chunks =
      engine::guided_chunks(costs.estimated, std::move(todo), ranks, chunks_per_rank);
  const double saving_s = machine.begin_and_save + machine.save_byte * kind.payload_bytes;
  std::priority_queue<double, std::vector<double>, std::greater<>> free_at;
  for (int rank = 0; rank < ranks; ++rank) {
    free_at.push(0.0);
  }
  Prediction out;
  out.chunks = chunks.count();
  double counter_free = 0.0;
  double waited = 0.0;
  const auto grab = [&](double now) {
    const double served = std::max(now + machine.latency / 2, counter_free);
    counter_free = served + machine.counter_service;
    const double answered = counter_free + machine.latency / 2;
    waited += answered - now;
    return answered;
  };
  double busy = 0.0;
  for (std::size_t k = 0; k < chunks.count(); ++k) {
    double time = grab(free_at.top());
    free_at.pop();
    for (std::size_t i = chunks.begin[k]; i < chunks.begin[k + 1]; ++i) {
      time += costs.actual[chunks.order[i]] + saving_s;
      busy += costs.actual[chunks.order[i]];
    }
    free_at.push(time);
  }
  double idle = 0.0;
  std::vector<double> ends;
  while (!free_at.empty()) {
    ends.push_back(grab(free_at.top()));  // the answer that nothing is left
    free_at.pop();
  }
  out.loop_s = *std::max_element(ends.begin(), ends.end());
  for (const double end : ends) {
    idle += out.loop_s - end;
  }
  const double all = out.loop_s * ranks;
  const double units = static_cast<double>(kind.units);
  out.work_s = busy / ranks;
  out.idle = idle / all;
  out.counter = waited / all;
  out.journal = units * saving_s / all;
  const double copies = std::min(ranks, machine.ranks_per_node);
  const double nodes = ranks / copies;
  out.replicated_s =
      units * (machine.replicated_unit + machine.broadcast_bytes * copies / machine.node_bandwidth);
  out.assembly_s =
      units / ranks * (machine.assembled_unit + machine.assembled_byte * kind.payload_bytes) +
      units / nodes * (machine.record_bytes + kind.payload_bytes) / machine.node_bandwidth +
      (machine.reads_back ? 2 : 1) * units * kind.payload_bytes / machine.file_bandwidth;
  return out;
}

/// Patches of 5 to 50 sources, 1 to 5 ms each.
double patch_s(const Rng& rng, std::uint64_t i) {
  const double sources = 5.0 * std::pow(10.0, rng.uniform(2 * i));
  return sources * (1e-3 + 4e-3 * rng.uniform(2 * i + 1));
}

/// Sectors of a light curve, 1 to 10 s each.
double sector_s(const Rng& rng, std::uint64_t i) {
  return std::pow(10.0, rng.uniform(i));
}

void print(const Case& kind, const Costs& costs, int ranks, double chunks_per_rank,
           const Machine& machine, const char* cluster) {
  const Prediction p = simulate(kind, costs, ranks, chunks_per_rank, machine);
  std::printf("%s,%zu,%d,%.3g,%s,%zu,%.5g,%.5g,%.5f,%.2e,%.2e,%.4g,%.4g,%.4f\n", kind.name.c_str(),
              kind.units, ranks, chunks_per_rank, cluster, p.chunks, p.work_s, p.loop_s, p.idle,
              p.counter, p.journal, p.replicated_s, p.assembly_s, p.efficiency());
  std::fflush(stdout);
}

/// The units of a finished stage of one field, for many fields; estimates are taken to be right.
Case stage_of_run(const std::filesystem::path& run, const std::string& name, std::size_t fields,
                  Costs& costs) {
  const io::Hdf5File product(run / (name + ".h5"));
  const std::string dataset = std::string("provenance/") + engine::kUnitSecondsName;
  std::vector<double> seconds(product.shape(dataset)[0]);
  product.read_rows(dataset, Type::float64, 0, seconds.size(),
                    std::as_writable_bytes(std::span(seconds)));
  costs = {};
  for (std::size_t field = 0; field < fields; ++field) {
    costs.actual.insert(costs.actual.end(), seconds.begin(), seconds.end());
  }
  std::transform(costs.actual.begin(), costs.actual.end(), std::back_inserter(costs.estimated),
                 [](double s) { return static_cast<float>(s); });
  const auto bytes = static_cast<double>(std::filesystem::file_size(run / (name + ".h5")));
  return {name, costs.actual.size(), {}, 0.0, bytes / static_cast<double>(seconds.size())};
}

/// Processor over wall seconds of every stage.
std::map<std::string, double> scales(const std::filesystem::path& run,
                                     const std::vector<std::string>& names,
                                     const std::string& core_s) {
  std::map<std::string, double> wall_s;
  double all_s = 0.0;
  for (const std::string& name : names) {
    Costs costs;
    stage_of_run(run, name, 1, costs);
    wall_s[name] = std::accumulate(costs.actual.begin(), costs.actual.end(), 0.0);
    all_s += wall_s[name];
  }
  std::map<std::string, double> out;
  for (const std::string& name : names) {
    out[name] = core_s.find('=') == std::string::npos ? std::stod(core_s) / all_s : 1.0;
  }
  std::istringstream list(core_s.find('=') == std::string::npos ? "" : core_s);
  for (std::string entry; std::getline(list, entry, ',');) {
    const std::size_t equals = entry.find('=');
    const std::string name = entry.substr(0, equals);
    if (equals == std::string::npos || !wall_s.contains(name)) {
      throw ConfigError("CORE_SECONDS", entry, "STAGE=SECONDS of a stage of the run");
    }
    out[name] = wall_s[name] > 0.0 ? std::stod(entry.substr(equals + 1)) / wall_s[name] : 1.0;
  }
  return out;
}

void simulate_run(const std::filesystem::path& run, const std::string& core_s, std::size_t fields) {
  const std::vector<std::string> names = engine::read_manifest(run).value().stage_order;
  const std::map<std::string, double> scale = scales(run, names, core_s);
  std::puts("stage,units,ranks,work_s,loop_s,idle,replicated_s,assembly_s,efficiency");
  for (int ranks = 256; ranks <= 16384; ranks *= 2) {
    double work_s = 0.0;
    double total_s = 0.0;
    for (const std::string& name : names) {
      Costs costs;
      const Case kind = stage_of_run(run, name, fields, costs);
      for (std::size_t i = 0; i < kind.units; ++i) {
        costs.actual[i] *= scale.at(name);
        costs.estimated[i] = static_cast<float>(costs.actual[i]);
      }
      const Prediction p = simulate(kind, costs, ranks, engine::kChunksPerRank, Machine{});
      std::printf("%s,%zu,%d,%.4g,%.4g,%.4f,%.3g,%.3g,%.4f\n", name.c_str(), kind.units, ranks,
                  p.work_s, p.loop_s, p.idle, p.replicated_s, p.assembly_s, p.efficiency());
      work_s += p.work_s;
      total_s += p.total_s();
    }
    std::printf("all,,%d,%.4g,%.4g,,,,%.4f\n", ranks, work_s, total_s, work_s / total_s);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 4) {
    simulate_run(argv[1], argv[2], std::stoul(argv[3]));
    return 0;
  }
  const bool largest = argc > 1 && std::string(argv[1]) == "largest";
  const Machine machine;
  Machine polled = machine;  // a network whose target must enter MPI to answer
  polled.latency = 0.02;
  Machine resumed = machine;
  resumed.reads_back = true;
  Machine slow_files = machine;
  slow_files.file_bandwidth = 5e9;
  std::vector<Case> cases{{"fit of 10 fields", 10000, patch_s, 0.3, 20000},
                          {"fit of 100 fields", 100000, patch_s, 0.3, 20000},
                          {"fit of 1000 fields", 1000000, patch_s, 0.3, 20000},
                          {"fit of 10000 fields", 10000000, patch_s, 0.3, 20000},
                          {"flares CVZ", 293908, sector_s, 0.3, 50000},
                          {"flares CVZ poorly estimated", 293908, sector_s, 1.0, 50000}};
  if (largest) {
    cases = {{"fit of 100000 fields", 100000000, patch_s, 0.3, 20000}};
  }
  std::puts(
      "case,units,ranks,chunks_per_rank,cluster,chunks,work_s,loop_s,idle,counter,journal,"
      "replicated_s,assembly_s,efficiency");
  for (const Case& kind : cases) {
    const Costs costs = draw(kind);
    for (int ranks = largest ? 65536 : 64; ranks <= 65536; ranks *= 4) {
      print(kind, costs, ranks, engine::kChunksPerRank, machine, "usual");
    }
    if (largest) {
      continue;
    }
    print(kind, costs, 4096, engine::kChunksPerRank, polled, "polled");
    print(kind, costs, 4096, engine::kChunksPerRank, slow_files, "slow files");
    print(kind, costs, 4096, engine::kChunksPerRank, resumed, "resumed");
    for (const double chunks_per_rank : {1.0, 2.0, 4.0, 16.0}) {
      print(kind, costs, 4096, chunks_per_rank, machine, "usual");
    }
  }
  return 0;
}
