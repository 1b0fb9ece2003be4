#pragma once
// Private to the engine: where the record of every unit stands, divided among the ranks. Each rank
// knows the places of a contiguous share of units, which is what it assembles in the end; what all
// ranks must know of a unit is one byte.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "skyloom/engine/journal.hpp"
#include "skyloom/parallel/comm.hpp"

namespace skyloom::engine {

/// Pieces with the payloads of some of them: Piece::kept is a position in `bytes`, or kNotKept.
struct Pieces {
  std::vector<Piece> pieces;
  std::string bytes;

  void add(Piece piece, std::string_view payload);
};

class JournalIndex {
 public:
  /// @param shares rank r has the units shares[r] to shares[r + 1]
  JournalIndex(const parallel::Comm& comm, std::vector<std::size_t> shares);

  /// First unit of this rank's share and the one after its last.
  [[nodiscard]] std::pair<std::size_t, std::size_t> share() const { return {first_, last_}; }

  /// Collective: in place of what was known, what this rank has found of any units, of all kinds.
  void recover(const std::vector<Piece>& found);
  /// Collective: outcomes that this rank has written, which join those that are known.
  void add(const Pieces& written);
  /// Collective: drops units (the same on every rank).
  void forget(std::span<const std::uint8_t> units);

  [[nodiscard]] std::size_t units() const { return known_.size(); }

  // Of any unit:
  [[nodiscard]] bool has(std::size_t unit) const { return known_[unit] != kNothing; }
  [[nodiscard]] bool failed(std::size_t unit) const { return known_[unit] == kFailed; }
  [[nodiscard]] std::size_t count_failed() const;
  [[nodiscard]] int deaths(std::size_t unit) const;
  [[nodiscard]] std::span<const Piece> state_of(std::size_t unit) const;
  /// Beginnings of units whose process died.
  [[nodiscard]] const std::vector<Piece>& starts() const { return starts_; }

  /// Of a unit of this rank's share: the pieces of the record that counts.
  [[nodiscard]] std::span<const Piece> outcome_of(std::size_t unit) const;
  /// Payload of a piece of such a record, when it is in memory.
  [[nodiscard]] std::string_view kept(const Piece& piece) const;

 private:
  static constexpr std::uint8_t kNothing = 0;
  static constexpr std::uint8_t kResult = 1;
  static constexpr std::uint8_t kFailed = 2;

  [[nodiscard]] std::size_t owner_of(std::size_t unit) const;
  [[nodiscard]] Pieces sent_to_owners(const Pieces& mine) const;
  void take_outcomes(Pieces found);
  void tell_all();

  const parallel::Comm& comm_;
  std::vector<std::size_t> shares_;
  std::size_t first_;
  std::size_t last_;
  Pieces outcomes_;                  // of the share, by unit and part
  std::vector<std::size_t> at_;      // position of the first piece of a unit of the share
  std::vector<std::uint8_t> known_;  // of all units
  std::vector<Piece> states_;        // of all unfinished units, by unit and part
  std::vector<Piece> starts_;        // of all unfinished units, by unit
};

/// The values of all ranks, in rank order.
template <class T>
std::vector<T> gather_values(const parallel::Comm& comm, const std::vector<T>& mine) {
  std::vector<T> all;
  const std::string bytes(reinterpret_cast<const char*>(mine.data()), mine.size() * sizeof(T));
  for (const std::string& part : comm.gather_all(bytes)) {
    const T* values = reinterpret_cast<const T*>(part.data());
    all.insert(all.end(), values, values + part.size() / sizeof(T));
  }
  return all;
}

}  // namespace skyloom::engine
