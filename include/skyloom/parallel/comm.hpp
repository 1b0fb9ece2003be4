#pragma once
// Communication as a value: a duplicate of the world communicator and the few collectives that the
// engine needs. Does not include mpi.h; comm_mpi.hpp opens it for rooms that must call MPI.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace skyloom::parallel {

class Comm {
 public:
  struct Handle;
  explicit Comm(std::shared_ptr<Handle> handle);

  [[nodiscard]] int rank() const;
  [[nodiscard]] int size() const;
  void barrier() const;
  /// Replaces `bytes` on every rank by those of rank 0.
  void broadcast(std::string& bytes) const;
  [[nodiscard]] bool any(bool value) const;
  [[nodiscard]] bool all(bool value) const;
  [[nodiscard]] std::int64_t sum(std::int64_t value) const;
  [[nodiscard]] double max(double value) const;
  /// Byte-wise OR of equally long arrays, on every rank.
  void combine_or(std::vector<std::uint8_t>& bits) const;
  /// The texts of all ranks, on rank 0 in rank order (empty elsewhere).
  [[nodiscard]] std::vector<std::string> gather(const std::string& text) const;
  /// The bytes of all ranks, on every rank in rank order.
  [[nodiscard]] std::vector<std::string> gather_all(const std::string& bytes) const;

  /// Sends a message to every rank (its own included); returns those of all ranks to this one.
  [[nodiscard]] std::vector<std::string> exchange(const std::vector<std::string>& messages) const;

  [[nodiscard]] const Handle& handle() const { return *handle_; }

 private:
  std::shared_ptr<Handle> handle_;
};

/// Collective: when `ok` is false on any rank, every rank throws FatalError with the text of the
/// lowest such rank. To be called before a collective that one rank might not reach.
void agree(const Comm& comm, bool ok, const std::string& what);

/// Collective: runs `action` on rank 0 only. When it throws, every rank throws: ConfigError when it
/// was one, otherwise FatalError, with its text.
void on_root(const Comm& comm, const std::function<void()>& action);

/// Counters shared by all ranks (one-sided fetch-and-add on rank 0), all zero at first.
/// Construction and destruction are collective, the rest is not. While an exception unwinds,
/// nothing is freed.
class SharedCounter {
 public:
  explicit SharedCounter(const Comm& comm, std::size_t slots = 1);
  ~SharedCounter();
  SharedCounter(const SharedCounter&) = delete;
  SharedCounter& operator=(const SharedCounter&) = delete;
  /// Value of slot 0 before adding one.
  [[nodiscard]] std::int64_t next();
  /// Adds to a slot and returns the value before.
  std::int64_t add(std::size_t slot, std::int64_t amount);
  /// Rank 0 only: a slot as it stands in memory, without MPI. Another thread may ask.
  [[nodiscard]] std::int64_t peek(std::size_t slot) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Waits for everybody without spinning (non-blocking barrier, sleeping in between).
void patient_barrier(const Comm& comm);

/// Starts MPI and PETSc (their only initialisation in the program) and ends them. While an
/// exception unwinds, nothing is finalised. Signals TERM, USR1 and INT set a flag.
class Runtime {
 public:
  Runtime(int& argc, char**& argv);
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;
  /// A duplicate of the world communicator.
  [[nodiscard]] const Comm& world() const { return *world_; }
  /// Ends the whole MPI job at once with this exit status; never returns.
  [[noreturn]] static void abort(int status);

 private:
  std::unique_ptr<Comm> world_;
};

/// From now on TERM, USR1 and INT only raise a flag. Runtime does this too.
void catch_stop_signals();
/// Bytes of a file, at most 4096, that the handler of TERM overwrites with zeros: when a process
/// dies, the launcher sends TERM to the others before it kills them. Not when this call was half an
/// hour ago: then TERM is more likely the end of a job that hangs here. The file stays open until
/// the next call. @param descriptor -1 = none
void erase_on_term(int descriptor, std::uint64_t offset, std::size_t bytes) noexcept;
/// True once one of them has arrived at this process.
[[nodiscard]] bool stop_signalled();
/// Forgets it: a server or a test goes on after it has answered the signal.
void clear_stop_signal();

}  // namespace skyloom::parallel
