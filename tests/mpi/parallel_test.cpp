#include <algorithm>
#include <chrono>
#include <string>
#include <thread>

#include <catch2/catch.hpp>
#include <signal.h>

#include "skyloom/core/errors.hpp"

#include "support/mpi_main.hpp"

using namespace skyloom;

TEST_CASE("collectives give every rank the same answer") {
  const parallel::Comm& comm = test_world();
  const int rank = comm.rank();
  const int size = comm.size();
  REQUIRE(comm.sum(rank + 1) == size * (size + 1) / 2);
  REQUIRE(comm.max(rank) == size - 1);
  REQUIRE(comm.any(rank == size - 1));
  REQUIRE(comm.all(rank == 0) == (size == 1));
  std::string text = rank == 0 ? "from rank 0" : "other";
  comm.broadcast(text);
  REQUIRE(comm.all(text == "from rank 0"));
  std::vector<std::uint8_t> bits(16, 0);
  bits[static_cast<std::size_t>(rank)] = 1;
  comm.combine_or(bits);
  std::size_t set = 0;
  for (const std::uint8_t bit : bits) {
    set += bit;
  }
  REQUIRE(set == static_cast<std::size_t>(size));
}

TEST_CASE("texts of different length, some empty, are gathered in rank order") {
  const parallel::Comm& comm = test_world();
  const auto of = [](int rank) { return std::string(static_cast<std::size_t>(rank) * 3, 'a'); };
  const std::vector<std::string> all = comm.gather_all(of(comm.rank()));
  bool right = all.size() == static_cast<std::size_t>(comm.size());
  for (int r = 0; right && r < comm.size(); ++r) {
    right = all[static_cast<std::size_t>(r)] == of(r);
  }
  REQUIRE(comm.all(right));
  const std::vector<std::string> root = comm.gather(of(comm.rank()));
  REQUIRE(comm.all(comm.rank() == 0 ? root == all : root.empty()));
}

TEST_CASE("every rank gets what every rank has for it") {
  const parallel::Comm& comm = test_world();
  const auto of = [](int from, int to) {
    return std::string(static_cast<std::size_t>(from * 7 + to * 3), static_cast<char>('a' + from));
  };
  std::vector<std::string> messages;
  for (int to = 0; to < comm.size(); ++to) {
    messages.push_back(of(comm.rank(), to));
  }
  const std::vector<std::string> got = comm.exchange(messages);
  bool right = got.size() == messages.size();
  for (int from = 0; right && from < comm.size(); ++from) {
    right = got[static_cast<std::size_t>(from)] == of(from, comm.rank());
  }
  REQUIRE(comm.all(right));
}

TEST_CASE("agree throws on all ranks with the text of the lowest one") {
  const parallel::Comm& comm = test_world();
  std::string caught;
  try {
    parallel::agree(comm, false, "rank " + std::to_string(comm.rank()));
  } catch (const FatalError& error) {
    caught = error.what();
  }
  REQUIRE(comm.all(caught == "rank 0"));
  parallel::agree(comm, true, "");
}

TEST_CASE("an error of rank 0 alone is everybody's, with its type") {
  const parallel::Comm& comm = test_world();
  std::string caught;
  try {
    parallel::on_root(comm, [] { throw ConfigError("a.toml", "wrong", "right"); });
  } catch (const ConfigError& error) {
    caught = error.what();
  }
  REQUIRE(comm.all(caught == "a.toml: wrong: right"));
  bool fatal = false;
  try {
    parallel::on_root(comm, [] { throw std::runtime_error("disk"); });
  } catch (const FatalError&) {
    fatal = true;
  }
  REQUIRE(comm.all(fatal));
}

TEST_CASE("a shared counter hands out every number exactly once") {
  const parallel::Comm& comm = test_world();
  constexpr std::int64_t kCount = 2000;
  std::vector<std::uint8_t> mine(kCount, 0);
  std::int64_t taken = 0;
  {
    parallel::SharedCounter counter(comm, 2);
    for (std::int64_t k = counter.next(); k < kCount; k = counter.next()) {
      mine[static_cast<std::size_t>(k)] = 1;
      ++taken;
      counter.add(1, 1);
    }
    parallel::patient_barrier(comm);
    REQUIRE(comm.all(comm.rank() != 0 || counter.peek(1) == kCount));
  }
  REQUIRE(comm.sum(taken) == kCount);
  comm.combine_or(mine);
  REQUIRE(std::count(mine.begin(), mine.end(), 1) == kCount);
}

TEST_CASE("the signals that end a run set a flag and nothing else") {
  for (const int signal : {SIGTERM, SIGUSR1, SIGINT}) {
    parallel::clear_stop_signal();
    REQUIRE_FALSE(parallel::stop_signalled());
    ::raise(signal);
    REQUIRE(parallel::stop_signalled());
  }
  parallel::clear_stop_signal();
}
