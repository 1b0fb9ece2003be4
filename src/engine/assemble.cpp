#include "skyloom/engine/assemble.hpp"

#include <algorithm>
#include <optional>

#include "skyloom/core/errors.hpp"
#include "skyloom/io/accident.hpp"
#include "skyloom/io/files.hpp"
#include "skyloom/io/hdf5.hpp"
#include "skyloom/io/posix_file.hpp"

#include "open_parts.hpp"
#include "payload.hpp"

namespace skyloom::engine {
namespace {

namespace fs = std::filesystem;

// Units are decoded in rounds of at most this much payload.
constexpr std::size_t kRoundBytes = std::size_t{16} << 20;

/// What one rank contributes: its share of units, decoded in part, and the size of all of it.
struct Share {
  std::vector<std::size_t> rounds;  ///< first unit of every round, and the end
  std::vector<Table> tables;        ///< of the schema, then /units, of the round read last
  std::size_t round = 0;            ///< which one that is
  std::vector<io::TableExtent> extents;
  std::vector<SlabClaim> claims;
  std::vector<double> seconds;  ///< of every unit
};

TableSchema units_schema(const Schema& schema) {
  TableSchema units{"units",
                    {{"unit", Type::int64, "", "index of the unit in its plan"},
                     {"key", Type::text, "", "stable name of the unit"},
                     {"outcome", Type::text, "", "ok or failed"},
                     {"reason", Type::text, "", "why it failed, none otherwise"},
                     {"message", Type::text, "", "what was wrong, in words"}}};
  for (const TableSchema& table : schema.tables) {
    units.columns.push_back(
        {"rows_" + table.name, Type::int64, "", "rows of the unit in table " + table.name});
  }
  return units;
}

void append_unit(const Unit& unit, const Payload& payload, Table& units) {
  const std::size_t row = units.add_row();
  const bool ok = payload.outcome.reason == Reason::none;
  units.set(row, "unit", static_cast<std::int64_t>(unit.index));
  units.set(row, "key", unit.key);
  units.set(row, "outcome", ok ? "ok" : "failed");
  units.set(row, "reason", to_string(payload.outcome.reason));
  units.set(row, "message", payload.outcome.text);
  for (const Table& table : payload.tables) {
    units.set(row, "rows_" + table.name(), static_cast<std::int64_t>(table.rows()));
  }
}

std::vector<std::size_t> rounds_of(const Journal& journal) {
  const auto [first, last] = journal.share();
  std::vector<std::size_t> rounds{first};
  std::size_t bytes = 0;
  for (std::size_t unit = first; unit < last; ++unit) {
    const std::size_t next = journal.payload_bytes(unit);
    if (unit > rounds.back() && bytes + next > kRoundBytes) {
      rounds.push_back(unit);
      bytes = 0;
    }
    bytes += next;
  }
  rounds.push_back(last);
  return rounds;
}

/// Reads round `round`, or none when this rank has fewer. @param survey notes claims and times too
void read_round(const Plan& plan, const Journal& journal, std::size_t round, bool survey,
                Share& share) {
  share.tables.clear();
  for (const TableSchema& table : plan.schema.tables) {
    share.tables.emplace_back(table);
  }
  share.tables.emplace_back(units_schema(plan.schema));
  share.round = round;
  const std::size_t last = round + 1 < share.rounds.size() ? share.rounds[round + 1] : 0;
  UnitList::Iterator unit = plan.units.from(last == 0 ? 0 : share.rounds[round]);
  for (; unit->index < last; ++unit) {
    Payload payload = decode_payload(journal.payload(unit->index), plan.schema);
    append_unit(*unit, payload, share.tables.back());
    for (std::size_t i = 0; i < payload.tables.size(); ++i) {
      share.tables[i].append(payload.tables[i]);
    }
    if (survey) {
      share.seconds.push_back(payload.seconds);
      std::move(payload.claims.begin(), payload.claims.end(), std::back_inserter(share.claims));
    }
  }
}

Share survey(const Plan& plan, const Journal& journal) {
  Share share;
  share.rounds = rounds_of(journal);
  share.extents.resize(plan.schema.tables.size() + 1);
  for (std::size_t round = 0; round + 1 < share.rounds.size(); ++round) {
    read_round(plan, journal, round, true, share);
    for (std::size_t i = 0; i < share.tables.size(); ++i) {
      share.extents[i].add(share.tables[i]);
    }
  }
  return share;
}

std::size_t elements(const std::vector<std::size_t>& sides) {
  std::size_t out = 1;
  for (const std::size_t side : sides) {
    out *= side;
  }
  return out;
}

// What no unit wrote must not look like data: neither the zeros of a new file nor what an earlier
// attempt of a unit left there. Units do not overlap, so equal counts mean that nothing is open.
void fill_open_parts(const parallel::Comm& comm, const Schema& schema,
                     const std::vector<SlabClaim>& claims, SlabFile& slabs) {
  for (std::size_t slab = 0; slab < schema.slabs.size(); ++slab) {
    std::size_t covered = 0;
    for (const SlabClaim& claim : claims) {
      covered += claim.slab == slab ? elements(claim.count) : 0;
    }
    const std::vector<std::size_t>& shape = schema.slabs[slab].shape;
    if (static_cast<std::size_t>(comm.sum(static_cast<std::int64_t>(covered))) == elements(shape)) {
      continue;
    }
    for (const SlabBox& box : uncovered_share(comm, claims, slab, shape)) {
      slabs.fill_missing(slab, box);
    }
  }
}

/// All ranks take part in as many rounds as the one with the most.
void write_tables(const parallel::Comm& comm, const Plan& plan, const Journal& journal,
                  Share& share, io::Hdf5Writer& writer) {
  for (std::size_t i = 0; i < share.tables.size(); ++i) {
    writer.begin_table(share.tables[i].schema(), share.extents[i]);
  }
  const auto rounds =
      static_cast<std::size_t>(comm.max(static_cast<double>(share.rounds.size() - 1)));
  for (std::size_t round = 0; round < rounds; ++round) {
    std::string trouble;
    try {
      if (share.round != round) {
        read_round(plan, journal, round, false, share);
      }
    } catch (const std::exception& error) {
      trouble = error.what();
    }
    parallel::agree(comm, trouble.empty(), trouble);
    for (const Table& table : share.tables) {
      writer.add_rows(table);
    }
  }
}

void write_product(const parallel::Comm& comm, const Plan& plan, const Journal& journal,
                   Share& share, const SlabFile* slabs, const fs::path& path,
                   const ProductAttributes& attributes) {
  io::Hdf5Writer writer(comm, path);
  write_tables(comm, plan, journal, share, writer);
  for (const SlabArray& slab : plan.schema.slabs) {
    writer.link(slab.name, slabs->final_name(), "/" + slab.name);
  }
  writer.attribute("/", "stage", attributes.stage);
  writer.attribute("/", "stage_hash", attributes.stage_hash);
  writer.attribute("/", "format_version", kProductFormatVersion);
  writer.make_group("provenance");
  for (const auto& [name, text] : of_root(comm, attributes.provenance)) {
    writer.attribute("provenance", name, text);
  }
  writer.write_column("provenance",
                      {kUnitSecondsName, Type::float64, "s", "wall time of every row of /units"},
                      share.seconds);
  writer.close();
}

// What stands in the journal is about what the product will need. Better said before a collective
// write than by a library in the middle of it.
void require_space_for(const parallel::Comm& comm, const Journal& journal,
                       const fs::path& product) {
  std::int64_t bytes = 0;
  const auto [first, last] = journal.share();
  for (std::size_t unit = first; unit < last; ++unit) {
    bytes += static_cast<std::int64_t>(journal.payload_bytes(unit));
  }
  bytes = comm.sum(bytes);
  parallel::on_root(comm, [&] { io::require_space(product, static_cast<std::uint64_t>(bytes)); });
}

}  // namespace

void assemble(const parallel::Comm& comm, const Plan& plan, const Journal& journal, SlabFile* slabs,
              const fs::path& product, const ProductAttributes& attributes) {
  std::optional<Share> share;
  std::string trouble;
  try {
    share = survey(plan, journal);
  } catch (const std::exception& error) {
    trouble = error.what();
  }
  parallel::agree(comm, trouble.empty(), trouble);
  io::pass_point("assembly.read");
  require_space_for(comm, journal, product);
  if (slabs != nullptr) {
    fill_open_parts(comm, plan.schema, share->claims, *slabs);
    slabs->finish();
  }
  const fs::path temporary = io::temporary_name(product);
  io::pass_point("assembly.slabs");
  write_product(comm, plan, journal, *share, slabs, temporary, attributes);
  io::pass_point("assembly.written");
  // Not before: an earlier product must not show the arrays of another one.
  if (slabs != nullptr) {
    slabs->publish();
  }
  parallel::on_root(comm, [&] { io::rename_durably(temporary, product); });
}

}  // namespace skyloom::engine
