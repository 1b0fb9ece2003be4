#include <cmath>
#include <fstream>

#include <catch2/catch.hpp>
#include <signal.h>

#include "skyloom/core/hash.hpp"
#include "skyloom/engine/journal.hpp"
#include "skyloom/engine/publish.hpp"
#include "skyloom/engine/run.hpp"
#include "skyloom/io/hdf5.hpp"

#include "engine/payload.hpp"
#include "shared_folder.hpp"
#include "support/mpi_main.hpp"
#include "toy_stage.hpp"

using namespace skyloom;
using engine::StageEnd;
using engine::StageOutcome;

namespace {

/// Everything one test run needs, in a folder of its own.
struct Bench {
  explicit Bench(const std::filesystem::path& folder) : products(folder), log(1) {
    settings.directory = folder;
    settings.stage_hash = "0123456789abcdef";
    settings.seed = 3;
    // As times and host names do, these differ between ranks.
    const auto rank = static_cast<std::size_t>(test_world().rank());
    settings.provenance = {{"version", "test"}, {"host", std::string(1 + 7 * rank, 'h')}};
  }
  StageOutcome run(toy::Stage& stage) {
    const engine::Plan plan = stage.plan(products);
    products.forget("toy");
    return engine::run_stage(
        test_world(), stage, plan, products, settings,
        [this](const engine::StageProgress& p) { last = p; }, log);
  }
  engine::StageSettings settings;
  engine::Products products;
  engine::StageProgress last;
  Log log;
};

struct NoState final : UnitState {
  [[nodiscard]] std::string_view saved() const override { return {}; }
  void border(const std::function<std::string()>&) override {}
};

/// What a single process computes for the same units, without any engine.
Table expected_things(std::size_t units, const std::set<std::size_t>& without) {
  toy::Stage stage(units);
  const Schema schema = toy::schema(units);
  engine::Rows rows(schema);
  Table out(schema.tables[0]);
  for (std::size_t k = 0; k < units; ++k) {
    rows.clear();
    if (!without.contains(k)) {
      NoState state;
      stage.process({k, "unit " + std::to_string(k), 1.0}, 3, rows, state);
      out.append(rows.table("things"));
    }
  }
  return out;
}

bool same(const Table& a, const Table& b) {
  bool equal = a.rows() == b.rows() && a.columns() == b.columns();
  for (std::size_t i = 0; equal && i < a.columns().size(); ++i) {
    equal = a.data(i) == b.data(i);
  }
  return equal;
}

bool image_is_right(const engine::Products& products, std::size_t units,
                    const std::set<std::size_t>& without) {
  const Image<float> image = products.image("toy", "toy/image");
  bool right = image.height() == static_cast<int>(units) && image.width() == toy::kWidth;
  for (int y = 0; right && y < image.height(); ++y) {
    for (int x = 0; x < image.width(); ++x) {
      const bool missing = without.contains(static_cast<std::size_t>(y));
      right = right &&
              (missing ? std::isnan(image(y, x)) : image(y, x) == static_cast<float>(y) + 0.5F);
    }
  }
  return right;
}

/// The product holds what one process would have computed.
bool product_is_right(const Bench& bench, std::size_t units, const std::set<std::size_t>& without) {
  return same(bench.products.table("toy", "things"), expected_things(units, without)) &&
         bench.products.table("toy", "units").rows() == units &&
         bench.products.table("toy", "nothing").rows() == 0 &&
         image_is_right(bench.products, units, without);
}

}  // namespace

TEST_CASE("a product that is larger than what is decoded at a time is whole") {
  const parallel::Comm& comm = test_world();
  const SharedFolder folder(comm);
  Bench bench(folder.path());
  constexpr std::size_t kUnits = 24;
  constexpr std::size_t kBulk = 1000000;  // 92 MB of all units
  toy::Stage stage(kUnits);
  stage.bulk = kBulk;
  stage.failing = {7};
  REQUIRE(comm.all(bench.run(stage).end == StageEnd::complete));
  REQUIRE(comm.all(same(bench.products.table("toy", "things"), expected_things(kUnits, {7}))));
  bool right = true;
  for (std::size_t i = 0; i + 1 < kUnits; ++i) {
    const auto unit = static_cast<float>(i < 7 ? i : i + 1);
    for (const std::size_t at : {i * kBulk, (i + 1) * kBulk - 1}) {
      right = right && bench.products.range<float>("toy", "nothing/value", at, 1)[0] == unit;
    }
  }
  REQUIRE(comm.all(right));
  REQUIRE(comm.all(bench.products.table("toy", "units").get<std::int64_t>("rows_nothing")[8] ==
                   static_cast<std::int64_t>(kBulk)));
}

TEST_CASE("a stage's product is what one process computes, for any number of ranks") {
  const parallel::Comm& comm = test_world();
  const SharedFolder folder(comm);
  Bench bench(folder.path());
  toy::Stage stage(101);
  const StageOutcome outcome = bench.run(stage);
  REQUIRE(comm.all(outcome.end == StageEnd::complete));
  REQUIRE(comm.all(outcome.units == 101 && outcome.failed == 0 && outcome.recovered == 0));
  REQUIRE(comm.all(outcome.idle_fraction.size() ==
                   (comm.rank() == 0 ? static_cast<std::size_t>(comm.size()) : 0)));
  REQUIRE(comm.sum(stage.processed) == 101);
  REQUIRE(comm.all(bench.last.units_done == 101 && bench.last.units_total == 101));
  REQUIRE(comm.all(product_is_right(bench, 101, {})));
  const io::Hdf5File file(bench.products.path("toy"));
  REQUIRE(comm.all(file.attribute("/", "stage_hash") == "0123456789abcdef"));
  REQUIRE(comm.all(file.attribute("provenance", "version") == "test"));
  REQUIRE(comm.all(file.attribute("provenance", "host") == "h"));
  const Table& units = bench.products.table("toy", "units");
  REQUIRE(comm.all(units.get<std::string>("key")[100] == "unit 100"));
  REQUIRE(comm.all(units.get<std::int64_t>("rows_things")[7] == 3));
  REQUIRE(comm.all(!std::filesystem::exists(folder.path() / "toy")));
  REQUIRE(engine::unit_counts(bench.products, "toy").failed == 0);
}

TEST_CASE("a run stopped by a signal or a deadline goes on where it was") {
  const parallel::Comm& comm = test_world();
  const SharedFolder folder(comm);
  Bench bench(folder.path());
  constexpr std::size_t kUnits = 60;
  toy::Stage stage(kUnits);
  int here = 0;
  stage.after_unit = [&] {
    if (++here == 3) {
      ::raise(SIGUSR1);
    }
  };
  const StageOutcome first = bench.run(stage);
  parallel::clear_stop_signal();
  REQUIRE(comm.all(first.end == StageEnd::stopped));
  REQUIRE(comm.all(!bench.products.has("toy")));
  REQUIRE(std::filesystem::exists(folder.path() / "toy.slabs.h5.tmp"));
  const auto done = static_cast<std::size_t>(comm.sum(stage.processed));
  REQUIRE(done > 0);
  REQUIRE(done < kUnits);
  REQUIRE(engine::count_journal(folder.path() / "toy").done == done);

  comm.barrier();
  bench.settings.deadline_s = engine::now_s() - 1.0;
  toy::Stage late(kUnits);
  const StageOutcome second = bench.run(late);
  REQUIRE(comm.all(second.end == StageEnd::stopped && second.recovered == done));
  REQUIRE(comm.sum(late.processed) == 0);
  REQUIRE(comm.sum(late.opened) == 0);

  bench.settings.deadline_s = 0.0;
  toy::Stage rest(kUnits);
  const StageOutcome third = bench.run(rest);
  REQUIRE(comm.all(third.end == StageEnd::complete && third.recovered == done));
  REQUIRE(static_cast<std::size_t>(comm.sum(rest.processed)) == kUnits - done);
  REQUIRE(comm.all(product_is_right(bench, kUnits, {})));
}

TEST_CASE("a failing unit is a row with its reason, and a retry mends it without doing the rest") {
  const parallel::Comm& comm = test_world();
  const SharedFolder folder(comm);
  Bench bench(folder.path());
  toy::Stage stage(30);
  stage.failing = {7};
  stage.broken = {11};
  const StageOutcome outcome = bench.run(stage);
  REQUIRE(comm.all(outcome.end == StageEnd::complete && outcome.failed == 2));
  REQUIRE(comm.all(bench.last.units_failed == 2));
  REQUIRE(comm.all(product_is_right(bench, 30, {7, 11})));
  const Table& units = bench.products.table("toy", "units");
  REQUIRE(comm.all(units.get<std::string>("outcome")[7] == "failed"));
  REQUIRE(comm.all(units.get<std::string>("reason")[11] == "internal"));
  REQUIRE(comm.all(units.get<std::int64_t>("rows_things")[11] == 0));
  REQUIRE(engine::unit_counts(bench.products, "toy").failed == 2);

  comm.barrier();
  toy::Stage unchanged(30);  // failed units stay failed
  REQUIRE(comm.all(bench.run(unchanged).failed == 2));
  REQUIRE(comm.sum(unchanged.processed) == 0);

  bench.settings.retry_failed = true;
  toy::Stage mended(30);
  const StageOutcome again = bench.run(mended);
  REQUIRE(comm.all(again.end == StageEnd::complete && again.failed == 0));
  REQUIRE(comm.sum(mended.processed) == 2);
  REQUIRE(comm.all(product_is_right(bench, 30, {})));
  REQUIRE(comm.all(!std::filesystem::exists(folder.path() / "toy")));
}

TEST_CASE("no units, one unit, fewer units than ranks") {
  const parallel::Comm& comm = test_world();
  for (const std::size_t units : {0U, 1U, 2U, 3U}) {
    const SharedFolder folder(comm);
    Bench bench(folder.path());
    toy::Stage stage(units);
    const StageOutcome outcome = bench.run(stage);
    REQUIRE(comm.all(outcome.end == StageEnd::complete && outcome.units == units));
    REQUIRE(comm.all((stage.opened == 1) == (stage.processed > 0)));
    REQUIRE(comm.all(bench.products.table("toy", "units").rows() == units));
    REQUIRE(comm.all(same(bench.products.table("toy", "things"), expected_things(units, {}))));
  }
}

TEST_CASE("a slab that lost its bytes is computed again") {
  const parallel::Comm& comm = test_world();
  const SharedFolder folder(comm);
  Bench bench(folder.path());
  toy::Stage stage(20);
  int here = 0;
  stage.after_unit = [&] {
    if (++here == 2) {
      ::raise(SIGTERM);
    }
  };
  bench.run(stage);
  parallel::clear_stop_signal();
  const auto done = static_cast<std::size_t>(comm.sum(stage.processed));
  comm.barrier();
  parallel::on_root(comm, [&] { std::filesystem::remove(folder.path() / "toy.slabs.h5.tmp"); });
  toy::Stage again(20);
  const StageOutcome outcome = bench.run(again);
  REQUIRE(done > 0);
  REQUIRE(comm.all(outcome.recovered == 0 && outcome.end == StageEnd::complete));
  REQUIRE(comm.all(product_is_right(bench, 20, {})));
}

TEST_CASE("a crash between the two renames of an assembly costs no unit") {
  const parallel::Comm& comm = test_world();
  const SharedFolder folder(comm);
  Bench bench(folder.path());
  toy::Stage stage(20);
  stage.failing = {4};  // keeps the journals
  bench.run(stage);
  comm.barrier();
  parallel::on_root(comm, [&] { std::filesystem::remove(bench.products.path("toy")); });
  toy::Stage again(20);
  const StageOutcome outcome = bench.run(again);
  REQUIRE(comm.all(outcome.end == StageEnd::complete && outcome.recovered == 20));
  REQUIRE(comm.sum(again.processed) == 0);
  REQUIRE(comm.all(product_is_right(bench, 20, {4})));
}

TEST_CASE("units that another set-up finished do not count") {
  const parallel::Comm& comm = test_world();
  const SharedFolder folder(comm);
  Bench bench(folder.path());
  toy::Stage stage(12);
  stage.failing = {4};
  bench.run(stage);
  comm.barrier();
  bench.settings.stage_hash = "fedcba9876543210";
  toy::Stage other(12);
  const StageOutcome outcome = bench.run(other);
  REQUIRE(comm.all(outcome.recovered == 0 && outcome.failed == 0));
  REQUIRE(comm.sum(other.processed) == 12);
  REQUIRE(comm.all(product_is_right(bench, 12, {})));
}

TEST_CASE("a folder that cannot be made is a fatal error of all ranks") {
  const parallel::Comm& comm = test_world();
  const SharedFolder folder(comm);
  Bench bench(folder.path());
  parallel::on_root(comm, [&] { std::ofstream(folder.path() / "toy") << "in the way"; });
  toy::Stage stage(5);
  std::string text;
  try {
    bench.run(stage);
  } catch (const FatalError& error) {
    text = error.what();
  }
  REQUIRE(comm.all(text.find("toy") != std::string::npos));
}

TEST_CASE("a configuration that open() refuses is every rank's error, and the run ends") {
  const parallel::Comm& comm = test_world();
  const SharedFolder folder(comm);
  Bench bench(folder.path());
  toy::Stage stage(500);
  stage.at_open = [] { throw ConfigError("psf.fits", "no such file", "an image"); };
  std::string text;
  try {
    bench.run(stage);
  } catch (const ConfigError& error) {
    text = error.what();
  }
  REQUIRE(comm.all(text == "psf.fits: no such file: an image"));
  REQUIRE(comm.sum(stage.processed) == 0);
}

TEST_CASE("a long unit leaves at a border with its state and goes on from there") {
  const parallel::Comm& comm = test_world();
  const SharedFolder folder(comm);
  Bench bench(folder.path());
  toy::Stage stage(1);
  int steps = 0;
  stage.with_state = [&](const engine::Unit&, UnitState& state) {
    for (std::size_t step = state.saved().size(); step < 5; ++step) {
      ++steps;
      if (step == 1) {
        ::raise(SIGUSR1);
      }
      state.border([&] { return std::string(step + 1, 's'); });
    }
  };
  REQUIRE(comm.all(bench.run(stage).end == StageEnd::stopped));
  parallel::clear_stop_signal();
  REQUIRE(comm.sum(steps) == 2);
  comm.barrier();
  steps = 0;
  REQUIRE(comm.all(bench.run(stage).end == StageEnd::complete));
  REQUIRE(comm.sum(steps) == 3);
  REQUIRE(comm.all(product_is_right(bench, 1, {})));
}

TEST_CASE("a process that is told to end before it is killed does not blame its unit") {
  const parallel::Comm& comm = test_world();
  const SharedFolder folder(comm);
  for (int attempt = 0; attempt < 3; ++attempt) {
    engine::Journal journal(comm, folder.path() / "toy", "key", 20);
    REQUIRE(comm.all(journal.deaths(3) == 0 && journal.deaths(4) == attempt));
    if (comm.rank() == 0) {
      journal.begin(4, "unit 4");
      journal.begin(3, "unit 3");
      REQUIRE(::raise(SIGTERM) == 0);
      parallel::clear_stop_signal();
    }
    comm.barrier();
  }
}

TEST_CASE("a unit in which processes die is tried alone at last, and then never again") {
  const parallel::Comm& comm = test_world();
  const SharedFolder folder(comm);
  Bench bench(folder.path());
  const std::string key =
      engine::journal_key(bench.settings.stage_hash, toy::Stage(20).plan(bench.products));
  for (int attempt = 0; attempt < 3; ++attempt) {
    engine::Journal journal(comm, folder.path() / "toy", key, 20);
    REQUIRE(comm.all(journal.deaths(6) == attempt));
    if (comm.rank() == 0) {
      journal.begin(6, "unit 6");
      if (attempt > 0) {
        journal.begin(7, "unit 7");
      }
    }
    comm.barrier();
  }
  toy::Stage stage(20);
  std::vector<std::size_t> order;
  stage.with_state = [&](const engine::Unit& unit, UnitState&) { order.push_back(unit.index); };
  const StageOutcome outcome = bench.run(stage);
  REQUIRE(comm.all(outcome.end == StageEnd::complete && outcome.failed == 1));
  REQUIRE(comm.sum(stage.processed) == 19);
  // Two deaths: unit 7 comes after all others.
  REQUIRE((comm.rank() != 0 || order.back() == 7));
  REQUIRE(comm.all(product_is_right(bench, 20, {6})));
  const Table& units = bench.products.table("toy", "units");
  REQUIRE(comm.all(units.get<std::string>("reason")[6] == "crashed"));
  REQUIRE(comm.all(bench.last.units_failed == 1 && bench.last.units_done == 20));

  comm.barrier();
  bench.settings.retry_failed = true;
  toy::Stage mended(20);
  REQUIRE(comm.all(bench.run(mended).failed == 0));
  REQUIRE(comm.sum(mended.processed) == 1);
  REQUIRE(comm.all(product_is_right(bench, 20, {})));
}
