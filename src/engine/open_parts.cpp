#include "open_parts.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

namespace skyloom::engine {
namespace {

/// The axis along which the claims of all ranks overlap the fewest shares.
std::size_t axis_to_share(const parallel::Comm& comm, const std::vector<SlabClaim>& claims,
                          std::size_t slab, const std::vector<std::size_t>& shape) {
  std::size_t best = 0;
  double least = 0.0;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    std::int64_t length = 0;
    for (const SlabClaim& claim : claims) {
      length += claim.slab == slab ? static_cast<std::int64_t>(claim.count[axis]) : 0;
    }
    const double part = static_cast<double>(comm.sum(length)) / static_cast<double>(shape[axis]);
    if (axis == 0 || part < least || (part == least && shape[axis] > shape[best])) {
      best = axis;
      least = part;
    }
  }
  return best;
}

/// The claims for every rank, cut at the borders of the shares: starts, then counts.
std::vector<std::string> cut_claims(const std::vector<SlabClaim>& claims, std::size_t slab,
                                    std::size_t axis, const std::vector<std::size_t>& borders) {
  std::vector<std::string> messages(borders.size() - 1);
  for (const SlabClaim& claim : claims) {
    const std::size_t end = claim.slab == slab ? claim.start[axis] + claim.count[axis] : 0;
    for (std::size_t at = claim.slab == slab ? claim.start[axis] : 0; at < end;) {
      const auto next = std::upper_bound(borders.begin(), borders.end(), at);
      std::vector<std::uint64_t> numbers(claim.start.begin(), claim.start.end());
      numbers.insert(numbers.end(), claim.count.begin(), claim.count.end());
      numbers[axis] = at;
      numbers[claim.start.size() + axis] = std::min(end, *next) - at;
      messages[static_cast<std::size_t>(next - borders.begin()) - 1].append(
          reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(std::uint64_t));
      at = *next;
    }
  }
  return messages;
}

std::vector<SlabBox> boxes_of(const std::vector<std::string>& messages, std::size_t axes) {
  std::vector<SlabBox> boxes;
  for (const std::string& bytes : messages) {
    std::vector<std::uint64_t> numbers(bytes.size() / sizeof(std::uint64_t));
    if (!bytes.empty()) {
      std::memcpy(numbers.data(), bytes.data(), bytes.size());
    }
    for (auto at = numbers.begin(); at != numbers.end();) {
      const auto middle = at + static_cast<std::ptrdiff_t>(axes);
      const auto end = middle + static_cast<std::ptrdiff_t>(axes);
      boxes.push_back({{at, middle}, {middle, end}});
      at = end;
    }
  }
  return boxes;
}

}  // namespace

std::vector<SlabBox> uncovered_share(const parallel::Comm& comm,
                                     const std::vector<SlabClaim>& claims, std::size_t slab,
                                     const std::vector<std::size_t>& shape) {
  const std::size_t axis = axis_to_share(comm, claims, slab, shape);
  const auto ranks = static_cast<std::size_t>(comm.size());
  std::vector<std::size_t> borders;
  for (std::size_t rank = 0; rank <= ranks; ++rank) {
    borders.push_back(shape[axis] * rank / ranks);
  }
  const std::size_t first = borders[static_cast<std::size_t>(comm.rank())];
  std::vector<SlabBox> covered =
      boxes_of(comm.exchange(cut_claims(claims, slab, axis, borders)), shape.size());
  for (SlabBox& box : covered) {
    box.start[axis] -= first;
  }
  std::vector<std::size_t> mine = shape;
  mine[axis] = borders[static_cast<std::size_t>(comm.rank()) + 1] - first;
  std::vector<SlabBox> open = uncovered(mine, std::move(covered));
  for (SlabBox& box : open) {
    box.start[axis] += first;
  }
  return open;
}

}  // namespace skyloom::engine
