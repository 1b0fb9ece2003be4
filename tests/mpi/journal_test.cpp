#include "skyloom/engine/journal.hpp"

#include <algorithm>
#include <fstream>

#include <catch2/catch.hpp>

#include "skyloom/core/errors.hpp"

#include "shared_folder.hpp"
#include "support/mpi_main.hpp"

using namespace skyloom;
using engine::Journal;
using engine::RecordKind;

namespace {

std::string payload_of(std::size_t unit) {
  // Unit 5 needs several segments.
  return std::string(unit == 5 ? 2500000 : unit * 13 % 4000, static_cast<char>('a' + unit % 26));
}

void put_share(const parallel::Comm& comm, Journal& journal, std::size_t first, std::size_t last) {
  for (std::size_t unit = first; unit < last; ++unit) {
    if (unit % static_cast<std::size_t>(comm.size()) == static_cast<std::size_t>(comm.rank())) {
      journal.put(unit, RecordKind::result, payload_of(unit));
    }
  }
}

bool has_exactly(const Journal& journal, std::size_t units, std::size_t first, std::size_t last) {
  bool right = true;
  for (std::size_t unit = 0; unit < units; ++unit) {
    const bool expected = unit >= first && unit < last;
    const bool mine = unit >= journal.share().first && unit < journal.share().second;
    right = right && journal.has(unit) == expected &&
            (!expected || !mine || journal.payload(unit) == payload_of(unit));
  }
  return right;
}

std::size_t known_units(const Journal& journal, std::size_t units) {
  std::size_t known = 0;
  for (std::size_t unit = 0; unit < units; ++unit) {
    known += journal.has(unit) ? 1 : 0;
  }
  return known;
}

/// Units that are done as far as a reader without a run can tell.
std::size_t listed_units(const SharedFolder& folder, std::size_t units) {
  const engine::JournalUnits list = engine::list_journal(folder.path());
  const auto done = std::count_if(list.units.begin(), list.units.end(),
                                  [](const engine::JournalUnit& unit) { return unit.done; });
  return list.units.size() == units ? static_cast<std::size_t>(done) : units + 1;
}

/// Whether the rank that has the unit reads this payload.
bool reads(const parallel::Comm& comm, const Journal& journal, std::size_t unit,
           std::string_view payload) {
  const auto [first, last] = journal.share();
  return comm.any(unit >= first && unit < last && journal.payload(unit) == payload);
}

}  // namespace

TEST_CASE("records of all ranks are known to all after a merge and after a restart") {
  const parallel::Comm& comm = test_world();
  const SharedFolder folder(comm);
  constexpr std::size_t kUnits = 3000;
  {
    Journal journal(comm, folder.path(), "key", kUnits);
    REQUIRE(known_units(journal, kUnits) == 0);
    put_share(comm, journal, 0, 1000);
    journal.sync();
    journal.merge();
    REQUIRE(comm.all(has_exactly(journal, kUnits, 0, 1000)));
    put_share(comm, journal, 1000, 1001);
  }
  comm.barrier();
  {
    Journal journal(comm, folder.path(), "key", kUnits);
    REQUIRE(comm.all(has_exactly(journal, kUnits, 0, 1001)));
    put_share(comm, journal, 1001, kUnits);
    journal.merge();
    REQUIRE(comm.all(has_exactly(journal, kUnits, 0, kUnits)));
  }
  comm.barrier();
  const engine::JournalCount count = engine::count_journal(folder.path());
  REQUIRE(comm.all(count.units == kUnits && count.done == kUnits && count.failed == 0));
  REQUIRE(comm.all(listed_units(folder, kUnits) == kUnits));
  comm.barrier();
  Journal other(comm, folder.path(), "another key", kUnits);
  REQUIRE(known_units(other, kUnits) == 0);
  other.remove();
  REQUIRE(comm.all(!std::filesystem::exists(folder.path())));
}

TEST_CASE("a result replaces a failure, a failure no result, and forgotten units are open again") {
  const parallel::Comm& comm = test_world();
  const SharedFolder folder(comm);
  const bool writes = comm.rank() == comm.size() - 1;
  {
    Journal journal(comm, folder.path(), "key", 4);
    if (writes) {
      journal.put(0, RecordKind::failed, "first");
      journal.put(1, RecordKind::result, "good");
      journal.put(2, RecordKind::started, "");
    }
    journal.merge();
    REQUIRE(comm.all(journal.failed(0) && !journal.failed(1) && !journal.has(2)));
    REQUIRE(journal.count_failed() == 1);
  }
  comm.barrier();
  Journal journal(comm, folder.path(), "key", 4);
  if (writes) {
    journal.put(0, RecordKind::result, "mended");
    journal.put(1, RecordKind::failed, "later");
  }
  journal.merge();
  REQUIRE(reads(comm, journal, 0, "mended"));
  REQUIRE(reads(comm, journal, 1, "good"));
  journal.forget(std::vector<std::uint8_t>{1, 0, 0, 0});
  REQUIRE(comm.all(!journal.has(0) && journal.has(1)));
}

TEST_CASE("damage anywhere in the files costs the records it hits and no others") {
  const parallel::Comm& comm = test_world();
  const SharedFolder folder(comm);
  constexpr std::size_t kUnits = 500;
  {
    Journal journal(comm, folder.path(), "key", kUnits);
    if (comm.rank() == 0) {
      for (std::size_t unit = 0; unit < kUnits; ++unit) {
        journal.put(unit, RecordKind::result, payload_of(unit + 100));
      }
    }
  }
  comm.barrier();
  if (comm.rank() == 0) {
    const auto name = folder.path() / "journal.g0001.000";
    std::fstream file(name, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(30000);
    file << "damage";
    file.close();
    std::filesystem::resize_file(name, std::filesystem::file_size(name) - 20);
  }
  comm.barrier();
  // Headers do not tell of damage inside a payload, but records that were cut short do not count.
  REQUIRE(comm.all(listed_units(folder, kUnits) == kUnits - 1));
  comm.barrier();
  Journal journal(comm, folder.path(), "key", kUnits);
  REQUIRE(known_units(journal, kUnits) == kUnits - 2);
  REQUIRE(comm.all(!journal.has(kUnits - 1)));
}

TEST_CASE("many attempts are rewritten into one, with states and deaths, and damage is named") {
  const parallel::Comm& comm = test_world();
  const SharedFolder folder(comm);
  constexpr std::size_t kUnits = 40;
  for (std::size_t attempt = 0; attempt < 9; ++attempt) {
    Journal journal(comm, folder.path(), "key", kUnits);
    REQUIRE(comm.all(journal.damage().empty()));
    put_share(comm, journal, 3 * attempt, 3 * attempt + 3);
    if (comm.rank() == comm.size() - 1 && attempt < 2) {
      journal.begin(38, "killer");
      journal.begin(39, "long");
      journal.put_state(39, std::string(1500000, static_cast<char>('a' + attempt)));
      journal.begin(37, "innocent");
      journal.withdraw();
    }
    comm.barrier();
  }
  const auto files = [&folder] {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
      count += entry.path().filename().string().starts_with("journal.g") ? 1 : 0;
    }
    return count;
  };
  REQUIRE(comm.all(files() == 9));
  comm.barrier();
  for (int again = 0; again < 2; ++again) {
    const Journal journal(comm, folder.path(), "key", kUnits);
    REQUIRE(comm.all(has_exactly(journal, kUnits, 0, 27)));
    REQUIRE(comm.all(journal.deaths(38) == 2 && journal.deaths(39) == 0 &&
                     journal.deaths(37) == 0 && journal.deaths(5) == 0));
    REQUIRE(comm.all(journal.state(39) == std::string(1500000, 'b') && journal.state(38).empty()));
    REQUIRE(comm.all(files() == 1));
    comm.barrier();
  }
  const engine::JournalCount count = engine::count_journal(folder.path());
  REQUIRE(comm.all(count.done == 27 && count.suspects == std::vector<std::string>{"killer (2)"}));
  comm.barrier();
  if (comm.rank() == 0) {
    const auto name = folder.path() / "journal.g0010.000";
    std::fstream file(name, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(engine::kRecordHeaderBytes + 2);  // inside the payload of the first unit with one
    file << "damage";
  }
  comm.barrier();
  const Journal journal(comm, folder.path(), "key", kUnits);
  REQUIRE(comm.all(!journal.damage().empty() == (comm.rank() == 0)));
  REQUIRE(comm.all(known_units(journal, kUnits) == 26));
}

TEST_CASE("a journal goes on under another key, without some units") {
  const parallel::Comm& comm = test_world();
  const SharedFolder folder(comm);
  constexpr std::size_t kUnits = 60;
  {
    Journal journal(comm, folder.path(), "old", kUnits);
    put_share(comm, journal, 0, 50);
    if (comm.rank() == 0) {
      journal.put_state(55, "kept");
      journal.put_state(56, "left out");
    }
  }
  comm.barrier();
  {
    std::vector<std::uint8_t> without(kUnits, 0);
    without[0] = without[5] = without[56] = 1;
    Journal journal(comm, folder.path(), "old", kUnits);
    put_share(comm, journal, 50, 52);  // in files of this attempt, which go as well
    journal.merge();
    journal.rewrite("new", without);
  }
  comm.barrier();
  {
    const Journal journal(comm, folder.path(), "new", kUnits);
    REQUIRE(comm.all(known_units(journal, kUnits) == 50 && !journal.has(0) && !journal.has(5)));
    REQUIRE(comm.all(reads(comm, journal, 51, payload_of(51))));
    REQUIRE(comm.all(journal.state(55) == "kept" && journal.state(56).empty()));
    REQUIRE(comm.all(journal.damage().empty()));
  }
  comm.barrier();
  REQUIRE(comm.all(listed_units(folder, kUnits) == 50));
  comm.barrier();
  const Journal old(comm, folder.path(), "old", kUnits);
  REQUIRE(comm.all(known_units(old, kUnits) == 0));
}

TEST_CASE("shares of any size, and payloads from memory as from the file") {
  const parallel::Comm& comm = test_world();
  const SharedFolder folder(comm);
  constexpr std::size_t kUnits = 12;
  // All units are the last rank's.
  std::vector<std::size_t> shares(static_cast<std::size_t>(comm.size()) + 1, 0);
  shares.back() = kUnits;
  for (const bool with_payloads : {true, false}) {
    Journal journal(comm, folder.path(), with_payloads ? "one" : "two", kUnits, shares);
    put_share(comm, journal, 0, kUnits);
    journal.merge(with_payloads);
    comm.barrier();
    if (comm.rank() == 0) {
      // What is in memory does not need the file any more.
      std::filesystem::resize_file(
          folder.path() / (with_payloads ? "journal.g0001.000" : "journal.g0002.000"), 0);
    }
    comm.barrier();
    if (with_payloads) {
      REQUIRE(comm.all(has_exactly(journal, kUnits, 0, kUnits)));
    } else if (comm.rank() == comm.size() - 1) {
      REQUIRE_THROWS_AS(journal.payload(0 + 3), FatalError);
    }
    comm.barrier();
  }
}
