// What the engine costs: mpirun -n 2 engine_overhead [UNITS] [MILLISECONDS] [BYTES] [DIRECTORY]
// runs so many units of so much work with so many bytes of rows, then recovers and assembles the
// same units again. The work is slept, so the processor seconds that are counted are the engine's;
// they are set against the seconds of work.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

#include "skyloom/engine/run.hpp"
#include "skyloom/engine/schedule.hpp"
#include "skyloom/parallel/comm.hpp"

#include "engine/plan_bytes.hpp"

using namespace skyloom;

namespace {

constexpr std::size_t kColumns = 16;

class Load final : public engine::StageBase {
 public:
  Load(std::size_t units, int milliseconds, std::size_t bytes)
      : units_(units), work_(milliseconds), rows_(bytes / (kColumns * sizeof(double))) {}
  [[nodiscard]] std::string_view name() const override { return "load"; }
  [[nodiscard]] std::vector<std::string> inputs() override { return {}; }
  [[nodiscard]] std::vector<std::string> needs() const override { return {}; }
  [[nodiscard]] engine::Plan plan(const engine::Products&) override {
    engine::Plan plan;
    TableSchema table{"values", {}};
    for (std::size_t i = 0; i < kColumns; ++i) {
      table.columns.push_back({"c" + std::to_string(i), Type::float64, "", "a number"});
    }
    if (rows_ > 0) {
      plan.schema.tables.push_back(table);
    }
    for (std::size_t i = 0; i < units_; ++i) {
      plan.add("unit-" + std::to_string(i), 1.0 + static_cast<double>(i * 7919 % 1000) / 100.0);
    }
    return plan;
  }
  void open(const engine::Products&, Log&) override {}
  void process(const engine::Unit& unit, std::uint64_t, engine::Rows& rows, UnitState&) override {
    if (work_.count() > 0) {
      std::this_thread::sleep_for(work_);
    }
    if (unit.index == 0) {
      throw UnitError(Reason::no_good_data, "keeps the journal");
    }
    if (rows_ == 0) {
      return;
    }
    Table& table = rows.table("values");
    table.add_rows(rows_);
    for (std::size_t i = 0; i < kColumns; ++i) {
      std::get<std::vector<double>>(table.data(i)).assign(rows_, static_cast<double>(unit.index));
    }
  }
  void close() override {}

 private:
  std::size_t units_;
  std::chrono::milliseconds work_;
  std::size_t rows_;
};

double processor_s() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// The most memory this process has held, MB.
double peak_mb() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024.0;
}

/// Of memory beyond `before_mb`, the rank with most; collective.
void print_memory(const parallel::Comm& comm, const char* phase, double before_mb,
                  std::size_t units) {
  const double first_mb = peak_mb() - before_mb;
  const double most_mb = comm.max(first_mb);
  const double last_mb = comm.max(comm.rank() + 1 == comm.size() ? first_mb : 0.0);
  if (comm.rank() == 0) {
    const double per_unit = 1048576.0 / static_cast<double>(std::max<std::size_t>(1, units));
    std::printf("memory up to the end of %s: %.0f MB, last rank %.0f MB = %.0f bytes per unit\n",
                phase, most_mb, last_mb, last_mb * per_unit);
  }
}

}  // namespace

int main(int argc, char** argv) {
  parallel::Runtime runtime(argc, argv);
  const parallel::Comm& comm = runtime.world();
  const auto argument = [&](int i, const char* otherwise) {
    return std::string(argc > i ? argv[i] : otherwise);
  };
  const std::size_t units = std::stoul(argument(1, "10000"));
  const int milliseconds = std::stoi(argument(2, "10"));
  const std::size_t bytes = std::stoul(argument(3, "2048"));
  std::string folder = argument(4, "/tmp") + "/engine-overhead-XXXXXX";
  parallel::on_root(comm, [&] { folder = ::mkdtemp(folder.data()); });
  comm.broadcast(folder);
  Log log(1);
  engine::StageSettings settings;
  settings.directory = folder;
  settings.stage_hash = "0123456789abcdef";
  const engine::Products products(folder);
  Load stage(units, milliseconds, bytes);
  comm.barrier();
  const double before_mb = peak_mb();
  const double plan_begin_cpu_s = processor_s();
  std::string plan_bytes;
  if (comm.rank() == 0) {
    plan_bytes = engine::plan_to_bytes(stage.plan(products));
  }
  comm.broadcast(plan_bytes);
  const double received_cpu_s = processor_s();
  const engine::Plan plan = engine::plan_from_bytes(plan_bytes);
  std::vector<engine::UnitIndex> todo(units);
  std::iota(todo.begin(), todo.end(), 0);
  const std::size_t chunks =
      engine::guided_chunks(plan.units.costs(), std::move(todo), comm.size()).count();
  const std::size_t shares = engine::contiguous_shares(plan.units.costs(), comm.size()).size();
  const double unpacked_s = comm.max(processor_s() - received_cpu_s);
  if (comm.rank() == 0) {
    std::printf(
        "plan: %.3f s of processor on rank 0, %.3f s on every rank for its %.1f bytes per unit, "
        "%zu "
        "chunks and %zu shares\n",
        processor_s() - plan_begin_cpu_s, unpacked_s,
        static_cast<double>(plan_bytes.size()) /
            static_cast<double>(std::max<std::size_t>(1, units)),
        chunks, shares - 1);
  }
  plan_bytes = {};
  print_memory(comm, "the plan", before_mb, units);
  for (const char* phase : {"run", "recovery and assembly"}) {
    comm.barrier();
    const double begin_s = engine::now_s();
    const double begin_cpu_s = processor_s();
    engine::run_stage(comm, stage, plan, products, settings, {}, log);
    const double cpu_s = comm.max(processor_s() - begin_cpu_s);
    const double wall_s = comm.max(engine::now_s() - begin_s);
    const double work_s = static_cast<double>(units) * milliseconds / 1000.0 / comm.size();
    if (comm.rank() == 0) {
      std::printf("%s: %zu units on %d ranks: %.2f s, %.3f s of processor per rank", phase, units,
                  comm.size(), wall_s, cpu_s);
      std::printf(" = %.0f units/s", static_cast<double>(units) / cpu_s);
      if (work_s > 0) {
        std::printf(" = %.2f %% of the work", 100 * cpu_s / work_s);
      }
      std::printf("\n");
    }
    print_memory(comm, phase, before_mb, units);
  }
  parallel::on_root(comm, [&] { std::filesystem::remove_all(folder); });
  return 0;
}
