#include "journal_index.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

namespace skyloom::engine {
namespace {

constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

bool is_outcome(const Piece& piece) {
  return piece.kind == RecordKind::result || piece.kind == RecordKind::failed;
}

std::string_view payload_in(const std::string& bytes, const Piece& piece) {
  return piece.kept == Piece::kNotKept ? std::string_view()
                                       : std::string_view(bytes).substr(piece.kept, piece.length);
}

/// One after the other: a piece, and its payload when there is one.
Pieces unpacked(const std::vector<std::string>& messages) {
  Pieces out;
  for (const std::string& message : messages) {
    for (std::size_t at = 0; at < message.size();) {
      Piece piece;
      std::memcpy(&piece, message.data() + at, sizeof piece);
      at += sizeof piece;
      const std::size_t length = piece.kept == Piece::kNotKept ? 0 : piece.length;
      out.add(piece, std::string_view(message).substr(at, length));
      at += length;
    }
  }
  return out;
}

}  // namespace

void Pieces::add(Piece piece, std::string_view payload) {
  if (payload.empty()) {
    piece.kept = Piece::kNotKept;
  } else {
    piece.kept = bytes.size();
    bytes += payload;
  }
  pieces.push_back(piece);
}

JournalIndex::JournalIndex(const parallel::Comm& comm, std::vector<std::size_t> shares)
    : comm_(comm),
      shares_(std::move(shares)),
      first_(shares_[static_cast<std::size_t>(comm.rank())]),
      last_(shares_[static_cast<std::size_t>(comm.rank()) + 1]),
      at_(last_ - first_, kNone),
      known_(shares_.back(), kNothing) {}

std::size_t JournalIndex::owner_of(std::size_t unit) const {
  const auto after = std::upper_bound(shares_.begin(), shares_.end(), unit);
  return static_cast<std::size_t>(after - shares_.begin()) - 1;
}

Pieces JournalIndex::sent_to_owners(const Pieces& mine) const {
  std::vector<std::string> messages(shares_.size() - 1);
  for (const Piece& piece : mine.pieces) {
    if (piece.unit < shares_.back()) {
      std::string& message = messages[owner_of(piece.unit)];
      message.append(reinterpret_cast<const char*>(&piece), sizeof piece);
      message += payload_in(mine.bytes, piece);
    }
  }
  return unpacked(comm_.exchange(messages));
}

void JournalIndex::take_outcomes(Pieces found) {
  if (outcomes_.pieces.empty()) {
    outcomes_ = std::move(found);
  } else {
    for (const Piece& piece : found.pieces) {
      outcomes_.add(piece, payload_in(found.bytes, piece));
    }
  }
  outcomes_.pieces = winning_pieces(std::move(outcomes_.pieces));
  std::fill(at_.begin(), at_.end(), kNone);
  for (std::size_t i = outcomes_.pieces.size(); i-- > 0;) {
    at_[outcomes_.pieces[i].unit - first_] = i;
  }
}

void JournalIndex::tell_all() {
  std::fill(known_.begin(), known_.end(), kNothing);
  for (const Piece& piece : outcomes_.pieces) {
    known_[piece.unit] = piece.kind == RecordKind::failed ? kFailed : kResult;
  }
  comm_.combine_or(known_);
}

void JournalIndex::recover(const std::vector<Piece>& found) {
  Pieces of_share = sent_to_owners({found, {}});
  std::vector<Piece> all = of_share.pieces;
  std::erase_if(of_share.pieces, [](const Piece& piece) { return !is_outcome(piece); });
  outcomes_ = {};
  take_outcomes(std::move(of_share));
  tell_all();
  std::erase_if(all, [this](const Piece& piece) { return known_[piece.unit] == kResult; });
  starts_ = gather_values(comm_, dangling_starts(all));
  states_ = gather_values(comm_, newest_states(std::move(all)));
}

void JournalIndex::add(const Pieces& written) {
  take_outcomes(sent_to_owners(written));
  tell_all();
}

void JournalIndex::forget(std::span<const std::uint8_t> units) {
  std::erase_if(outcomes_.pieces, [units](const Piece& piece) { return units[piece.unit] != 0; });
  take_outcomes({});
  tell_all();
}

std::size_t JournalIndex::count_failed() const {
  return static_cast<std::size_t>(std::count(known_.begin(), known_.end(), kFailed));
}

int JournalIndex::deaths(std::size_t unit) const {
  const auto range =
      std::equal_range(starts_.begin(), starts_.end(), Piece{.unit = unit},
                       [](const Piece& a, const Piece& b) { return a.unit < b.unit; });
  return static_cast<int>(range.second - range.first);
}

std::span<const Piece> JournalIndex::state_of(std::size_t unit) const {
  const auto at =
      std::lower_bound(states_.begin(), states_.end(), unit,
                       [](const Piece& piece, std::size_t u) { return piece.unit < u; });
  if (at == states_.end() || at->unit != unit) {
    return {};
  }
  return {at, at + at->parts};
}

std::span<const Piece> JournalIndex::outcome_of(std::size_t unit) const {
  const std::size_t at = at_[unit - first_];
  if (at == kNone) {
    return {};
  }
  return std::span(outcomes_.pieces).subspan(at, outcomes_.pieces[at].parts);
}

std::string_view JournalIndex::kept(const Piece& piece) const {
  return payload_in(outcomes_.bytes, piece);
}

}  // namespace skyloom::engine
