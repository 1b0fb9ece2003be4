#include "skyloom/parallel/comm.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <exception>
#include <limits>
#include <numeric>
#include <thread>

#include "skyloom/core/errors.hpp"
#include "skyloom/parallel/comm_mpi.hpp"

namespace skyloom::parallel {
namespace {

// Larger transfers go out in pieces: counts of MPI are int.
constexpr std::size_t kChunkBytes = std::size_t{1} << 28;

void broadcast_bytes(MPI_Comm comm, char* data, std::size_t size, int root) {
  for (std::size_t done = 0; done < size; done += kChunkBytes) {
    const std::size_t count = std::min(kChunkBytes, size - done);
    check_mpi(MPI_Bcast(data + done, mpi_count(count), MPI_BYTE, root, comm), "broadcast");
  }
}

int reduce_flag(const Comm& comm, bool value, MPI_Op operation) {
  int flag = value ? 1 : 0;
  check_mpi(MPI_Allreduce(MPI_IN_PLACE, &flag, 1, MPI_INT, operation, comm.handle().comm),
            "reduction of a flag");
  return flag;
}

/// Bytes [done, done + most) of every message, as far as it is so long.
void exchange_round(MPI_Comm comm, const std::vector<std::string>& messages,
                    std::vector<std::string>& out, std::uint64_t done, std::uint64_t most) {
  const std::size_t ranks = messages.size();
  std::vector<int> send_counts(ranks);
  std::vector<int> send_begins(ranks);
  std::vector<int> counts(ranks);
  std::vector<int> begins(ranks);
  std::string sent;
  int total = 0;
  const auto part = [&](const std::string& text) {
    return text.size() > done ? std::min(text.size() - done, most) : 0;
  };
  for (std::size_t r = 0; r < ranks; ++r) {
    send_begins[r] = mpi_count(sent.size());
    send_counts[r] = mpi_count(part(messages[r]));
    sent.append(messages[r], std::min(done, messages[r].size()), part(messages[r]));
    begins[r] = total;
    counts[r] = mpi_count(part(out[r]));
    total += counts[r];
  }
  std::string received(static_cast<std::size_t>(total), '\0');
  check_mpi(MPI_Alltoallv(sent.data(), send_counts.data(), send_begins.data(), MPI_BYTE,
                          received.data(), counts.data(), begins.data(), MPI_BYTE, comm),
            "exchange");
  for (std::size_t r = 0; r < ranks; ++r) {
    std::copy_n(received.begin() + begins[r], counts[r],
                out[r].begin() + static_cast<std::ptrdiff_t>(std::min(done, out[r].size())));
  }
}

bool unwinding_or_ended() {
  int finalized = 0;
  MPI_Finalized(&finalized);
  return finalized != 0 || std::uncaught_exceptions() > 0;
}

}  // namespace

void check_mpi(int code, std::string_view what) {
  if (code == MPI_SUCCESS) {
    return;
  }
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(code, text.data(), &length);
  throw FatalError("MPI: " + std::string(what) + ": " +
                   std::string(text.data(), static_cast<std::size_t>(length)));
}

int mpi_count(std::size_t count) {
  if (count > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
    throw FatalError("MPI: a message of " + std::to_string(count) +
                     " elements: at most 2^31 - 1 were expected");
  }
  return static_cast<int>(count);
}

Comm::Handle::Handle(MPI_Comm original) {
  check_mpi(MPI_Comm_dup(original, &comm), "duplicate a communicator");
  check_mpi(MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN), "set the error handler");
}

Comm::Handle::~Handle() {
  if (comm != MPI_COMM_NULL && !unwinding_or_ended()) {
    MPI_Comm_free(&comm);
  }
}

Comm::Comm(std::shared_ptr<Handle> handle) : handle_(std::move(handle)) {}

int Comm::rank() const {
  int rank = 0;
  check_mpi(MPI_Comm_rank(handle_->comm, &rank), "rank");
  return rank;
}

int Comm::size() const {
  int size = 0;
  check_mpi(MPI_Comm_size(handle_->comm, &size), "size");
  return size;
}

void Comm::barrier() const {
  check_mpi(MPI_Barrier(handle_->comm), "barrier");
}

void Comm::broadcast(std::string& bytes) const {
  std::uint64_t size = bytes.size();
  check_mpi(MPI_Bcast(&size, 1, MPI_UINT64_T, 0, handle_->comm), "broadcast of a size");
  bytes.resize(size);
  broadcast_bytes(handle_->comm, bytes.data(), bytes.size(), 0);
}

bool Comm::any(bool value) const {
  return reduce_flag(*this, value, MPI_MAX) != 0;
}

bool Comm::all(bool value) const {
  return reduce_flag(*this, value, MPI_MIN) != 0;
}

std::int64_t Comm::sum(std::int64_t value) const {
  check_mpi(MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_INT64_T, MPI_SUM, handle_->comm), "sum");
  return value;
}

double Comm::max(double value) const {
  check_mpi(MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_DOUBLE, MPI_MAX, handle_->comm), "maximum");
  return value;
}

void Comm::combine_or(std::vector<std::uint8_t>& bits) const {
  for (std::size_t done = 0; done < bits.size(); done += kChunkBytes) {
    const std::size_t count = std::min(kChunkBytes, bits.size() - done);
    check_mpi(MPI_Allreduce(MPI_IN_PLACE, bits.data() + done, mpi_count(count), MPI_UINT8_T,
                            MPI_BOR, handle_->comm),
              "combination of bits");
  }
}

std::vector<std::string> Comm::gather_all(const std::string& bytes) const {
  const auto ranks = static_cast<std::size_t>(size());
  std::vector<std::uint64_t> sizes(ranks);
  const std::uint64_t mine = bytes.size();
  check_mpi(MPI_Allgather(&mine, 1, MPI_UINT64_T, sizes.data(), 1, MPI_UINT64_T, handle_->comm),
            "gather sizes");
  std::vector<std::string> out(ranks);
  const std::uint64_t total = std::accumulate(sizes.begin(), sizes.end(), std::uint64_t{0});
  if (total > kChunkBytes) {
    for (std::size_t r = 0; r < ranks; ++r) {
      out[r] = r == static_cast<std::size_t>(rank()) ? bytes : std::string(sizes[r], '\0');
      broadcast_bytes(handle_->comm, out[r].data(), out[r].size(), static_cast<int>(r));
    }
    return out;
  }
  std::vector<int> counts(ranks);
  std::vector<int> begins(ranks);
  int begin = 0;
  for (std::size_t r = 0; r < ranks; ++r) {
    counts[r] = mpi_count(sizes[r]);
    begins[r] = begin;
    begin += counts[r];
  }
  std::string all(total, '\0');
  check_mpi(MPI_Allgatherv(bytes.data(), mpi_count(bytes.size()), MPI_BYTE, all.data(),
                           counts.data(), begins.data(), MPI_BYTE, handle_->comm),
            "gather");
  for (std::size_t r = 0; r < ranks; ++r) {
    out[r] = all.substr(static_cast<std::size_t>(begins[r]), sizes[r]);
  }
  return out;
}

std::vector<std::string> Comm::exchange(const std::vector<std::string>& messages) const {
  const auto ranks = static_cast<std::size_t>(size());
  std::vector<std::uint64_t> sizes(ranks);
  std::vector<std::uint64_t> coming(ranks);
  std::transform(messages.begin(), messages.end(), sizes.begin(),
                 [](const std::string& message) { return message.size(); });
  check_mpi(
      MPI_Alltoall(sizes.data(), 1, MPI_UINT64_T, coming.data(), 1, MPI_UINT64_T, handle_->comm),
      "exchange of sizes");
  std::vector<std::string> out(ranks);
  for (std::size_t r = 0; r < ranks; ++r) {
    out[r].resize(coming[r]);
  }
  // Counts of MPI are int: no round brings a rank more than this.
  const std::uint64_t most = std::max<std::uint64_t>(1, kChunkBytes / ranks);
  const std::uint64_t longest = std::max(*std::max_element(sizes.begin(), sizes.end()),
                                         *std::max_element(coming.begin(), coming.end()));
  const auto rounds = static_cast<std::uint64_t>(max(static_cast<double>(longest + most - 1)) /
                                                 static_cast<double>(most));
  for (std::uint64_t done = 0; done < rounds * most; done += most) {
    exchange_round(handle_->comm, messages, out, done, most);
  }
  return out;
}

std::vector<std::string> Comm::gather(const std::string& text) const {
  std::vector<std::string> all = gather_all(text);
  if (rank() != 0) {
    all.clear();
  }
  return all;
}

void agree(const Comm& comm, bool ok, const std::string& what) {
  int bad_rank = ok ? std::numeric_limits<int>::max() : comm.rank();
  check_mpi(MPI_Allreduce(MPI_IN_PLACE, &bad_rank, 1, MPI_INT, MPI_MIN, comm.handle().comm),
            "agreement");
  if (bad_rank == std::numeric_limits<int>::max()) {
    return;
  }
  std::string text = what;
  std::uint64_t size = text.size();
  check_mpi(MPI_Bcast(&size, 1, MPI_UINT64_T, bad_rank, comm.handle().comm), "agreement");
  text.resize(size);
  broadcast_bytes(comm.handle().comm, text.data(), text.size(), bad_rank);
  throw FatalError(text);
}

void on_root(const Comm& comm, const std::function<void()>& action) {
  std::string text;  // first character: the type of the exception
  if (comm.rank() == 0) {
    try {
      action();
    } catch (const ConfigError& error) {
      text = std::string("c") + error.what();
    } catch (const std::exception& error) {
      text = std::string("f") + error.what();
    }
  }
  comm.broadcast(text);
  if (text.empty()) {
    return;
  }
  if (text.front() == 'c') {
    throw ConfigError({}, text.substr(1));
  }
  throw FatalError(text.substr(1));
}

void patient_barrier(const Comm& comm) {
  MPI_Request request = MPI_REQUEST_NULL;
  check_mpi(MPI_Ibarrier(comm.handle().comm, &request), "barrier");
  for (;;) {
    int done = 0;
    check_mpi(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "barrier");
    if (done != 0) {
      return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

}  // namespace skyloom::parallel
