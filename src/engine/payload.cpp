#include "payload.hpp"

#include <sstream>

#include <boost/archive/binary_iarchive.hpp>
#include <boost/archive/binary_oarchive.hpp>
#include <boost/serialization/string.hpp>
#include <boost/serialization/utility.hpp>
#include <boost/serialization/vector.hpp>

#include "skyloom/core/hash.hpp"

namespace skyloom::engine {
namespace {

constexpr unsigned kFlags = boost::archive::no_header | boost::archive::no_codecvt;

void save_claims(boost::archive::binary_oarchive& archive, const std::vector<SlabClaim>& claims) {
  const std::size_t count = claims.size();
  archive << count;
  for (const SlabClaim& claim : claims) {
    archive << claim.slab << claim.start << claim.count << claim.crc;
  }
}

void load_head(boost::archive::binary_iarchive& archive, Payload& payload) {
  std::uint8_t reason = 0;
  std::size_t count = 0;
  archive >> reason >> payload.outcome.text >> count;
  payload.outcome.reason = static_cast<Reason>(reason);
  payload.claims.resize(count);
  for (SlabClaim& claim : payload.claims) {
    archive >> claim.slab >> claim.start >> claim.count >> claim.crc;
  }
}

void load_table(boost::archive::binary_iarchive& archive, Table& table) {
  std::size_t rows = 0;
  archive >> rows;
  table.add_rows(rows);
  for (std::size_t i = 0; i < table.columns().size(); ++i) {
    const std::size_t expected = rows * table.columns()[i].elements();
    std::visit(
        [&](auto& values) {
          archive >> values;
          if (values.size() != expected) {
            throw FatalError("journal: table " + table.name() + " does not match the schema");
          }
        },
        table.data(i));
  }
}

}  // namespace

std::string encode_result(const Rows& rows, const std::vector<SlabClaim>& claims, double seconds) {
  std::ostringstream stream;
  boost::archive::binary_oarchive archive(stream, kFlags);
  const auto reason = static_cast<std::uint8_t>(Reason::none);
  const std::string text;
  archive << reason << text;
  save_claims(archive, claims);
  for (const Table& table : rows.tables()) {
    const std::size_t count = table.rows();
    archive << count;
    for (std::size_t i = 0; i < table.columns().size(); ++i) {
      std::visit([&archive](const auto& values) { archive << values; }, table.data(i));
    }
  }
  archive << seconds;
  return std::move(stream).str();
}

std::string encode_failure(const Outcome& outcome, double seconds) {
  std::ostringstream stream;
  boost::archive::binary_oarchive archive(stream, kFlags);
  const auto reason = static_cast<std::uint8_t>(outcome.reason);
  archive << reason << outcome.text;
  save_claims(archive, {});
  archive << seconds;
  return std::move(stream).str();
}

Payload decode_head(const std::string& bytes) {
  std::istringstream stream(bytes);
  boost::archive::binary_iarchive archive(stream, kFlags);
  Payload payload;
  load_head(archive, payload);
  return payload;
}

Payload decode_payload(const std::string& bytes, const Schema& schema) {
  std::istringstream stream(bytes);
  boost::archive::binary_iarchive archive(stream, kFlags);
  Payload payload;
  load_head(archive, payload);
  payload.tables = Rows(schema).tables();
  if (payload.outcome.reason == Reason::none) {
    for (Table& table : payload.tables) {
      load_table(archive, table);
    }
  }
  if (stream.rdbuf()->in_avail() > 0) {
    archive >> payload.seconds;
  }
  return payload;
}

std::string encode_texts(const std::vector<std::pair<std::string, std::string>>& texts) {
  std::ostringstream stream;
  boost::archive::binary_oarchive archive(stream, kFlags);
  archive << texts;
  return std::move(stream).str();
}

std::vector<std::pair<std::string, std::string>> decode_texts(const std::string& bytes) {
  std::istringstream stream(bytes);
  boost::archive::binary_iarchive archive(stream, kFlags);
  std::vector<std::pair<std::string, std::string>> texts;
  archive >> texts;
  return texts;
}

std::vector<std::pair<std::string, std::string>> of_root(
    const parallel::Comm& comm, const std::vector<std::pair<std::string, std::string>>& texts) {
  std::string bytes = encode_texts(texts);
  comm.broadcast(bytes);
  return decode_texts(bytes);
}

std::string journal_key(const std::string& stage_hash, const Plan& plan) {
  const Schema& schema = plan.schema;
  Hash hash;
  hash.number(plan.units.size());
  for (const Unit& unit : plan.units) {
    hash.text(unit.key).text(unit.random_key).number(unit.items);
  }
  for (const TableSchema& table : schema.tables) {
    hash.text(table.name).number(table.columns.size());
    for (const Column& column : table.columns) {
      hash.text(column.name).number(static_cast<std::uint64_t>(column.type));
      hash.number(column.shape.size());
      for (const std::size_t side : column.shape) {
        hash.number(side);
      }
    }
  }
  for (const SlabArray& slab : schema.slabs) {
    hash.text(slab.name).number(static_cast<std::uint64_t>(slab.type)).number(slab.shape.size());
    for (const std::size_t side : slab.shape) {
      hash.number(side);
    }
  }
  return stage_hash + "-" + hash.hex();
}

}  // namespace skyloom::engine
