#pragma once
// A unit of work: dense index in its plan, stable key (of the science, not of a list or a block),
// estimated cost in arbitrary units of time, and where its data are when the key does not say it.
// And the plan of a stage.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "skyloom/core/table.hpp"
#include "skyloom/engine/file_content.hpp"

namespace skyloom::engine {

struct Unit {
  std::size_t index = 0;
  std::string key;
  double cost = 1.0;
  std::string source = {};  ///< such as a file that rank 0 found; no part of its identity
  /// Key of its random numbers; empty = that of the unit. Units that are pieces of one object share
  /// it, so that results do not depend on how the object was cut.
  std::string random_key = {};
  std::uint32_t items = 0;  ///< how many of Plan::items it does; 0 where they are not counted
};

/// Texts that resemble the one before: how many bytes they share with it, the rest, and a zero.
/// Every sixteenth stands for itself, so that any can be found. No bytes while all are empty.
class PackedTexts {
 public:
  /// @throws FatalError for a text with a zero byte
  void add(std::string_view text);
  [[nodiscard]] std::size_t size() const { return count_; }

  /// Where the text after the one read last begins.
  using Place = std::size_t;
  /// Reads text `i` < size(). @return where the next one begins
  Place read(std::size_t i, std::string& text) const;
  /// Reads the text at `place`; `text` holds the one before.
  void read_next(Place& place, std::string& text) const;

  template <class Archive>
  void serialize(Archive& archive, unsigned /*version*/) {
    archive& count_& bytes_& starts_& last_;
  }

 private:
  static constexpr std::size_t kRun = 16;

  std::size_t count_ = 0;
  std::string bytes_;
  std::vector<std::uint64_t> starts_;  // of texts 0, 16, ...
  std::string last_;
};

/// Units in their fixed order, of which every rank holds all: some 15 bytes each. Costs are kept in
/// single precision.
class UnitList {
 public:
  /// One after the other.
  class Iterator {
   public:
    Iterator(const UnitList& list, std::size_t index);
    const Unit& operator*() const { return unit_; }
    const Unit* operator->() const { return &unit_; }
    Iterator& operator++();
    friend bool operator==(const Iterator& a, const Iterator& b) {
      return a.unit_.index == b.unit_.index;
    }

   private:
    void take_numbers();

    const UnitList* list_;
    Unit unit_;
    PackedTexts::Place key_ = 0;
    PackedTexts::Place source_ = 0;
    PackedTexts::Place random_key_ = 0;
  };

  /// Appends a unit; its index is the next one. @throws FatalError for a text with a zero byte
  void add(const Unit& unit);
  [[nodiscard]] std::size_t size() const { return costs_.size(); }
  [[nodiscard]] bool empty() const { return costs_.empty(); }
  [[nodiscard]] Unit operator[](std::size_t index) const { return *from(index); }
  [[nodiscard]] Iterator begin() const { return from(0); }
  [[nodiscard]] Iterator end() const { return from(size()); }
  [[nodiscard]] Iterator from(std::size_t index) const { return {*this, index}; }
  [[nodiscard]] std::span<const float> costs() const { return costs_; }
  /// The same without costs, sources and keys of random numbers.
  [[nodiscard]] UnitList names() const;

  template <class Archive>
  void serialize(Archive& archive, unsigned /*version*/) {
    archive& costs_& keys_& sources_& random_keys_& items_;
  }

 private:
  std::vector<float> costs_;
  PackedTexts keys_;
  PackedTexts sources_;
  PackedTexts random_keys_;
  std::vector<std::uint32_t> items_;  // none while all are 0
};

/// The units of a stage in their fixed order (rows of the product follow it), and what they write.
struct Plan {
  UnitList units;
  Schema schema;
  /// What `skyloom status --units` counts of units that are pieces of one object, in the plural,
  /// such as "injections"; empty = nothing but units.
  std::string items;
  /// Megabytes that all units together read or write, for the progress; 0 = not worth saying.
  double volume_mb = 0.0;
  /// Goes into the slab file beside its arrays, with the run's provenance; for slab files that are
  /// products in their own right.
  FileContent slab_content = {};

  /// Appends a unit with the next index.
  void add(std::string key, double cost, std::string source = {}) {
    units.add(Unit{0, std::move(key), cost, std::move(source)});
  }
};

}  // namespace skyloom::engine
