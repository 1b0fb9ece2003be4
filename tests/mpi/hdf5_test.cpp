#include "skyloom/io/hdf5.hpp"

#include <cmath>
#include <limits>

#include <catch2/catch.hpp>

#include "shared_folder.hpp"
#include "support/mpi_main.hpp"

using namespace skyloom;

namespace {

TableSchema schema() {
  return {"sources",
          {{"zeta", Type::int64, "", "comes first although its name is last"},
           {"flux_njy", Type::float64, "nJy", "flux"},
           {"good", Type::boolean, "", "a flag"},
           {"name", Type::text, "", "UTF-8, ragged"},
           {"stamp", Type::float32, "nJy", "2 x 3 values", {2, 3}},
           {"count", Type::int32, "", "a number"}}};
}

void fill(Table& table, std::size_t first, std::size_t last) {
  for (std::size_t i = first; i < last; ++i) {
    const std::size_t row = table.add_row();
    table.set(row, "zeta", static_cast<std::int64_t>(i) << 40);
    table.set(
        row, "flux_njy",
        i % 7 == 3 ? std::numeric_limits<double>::quiet_NaN() : std::sqrt(static_cast<double>(i)));
    table.set(row, "good", i % 2 == 0);
    table.set(row, "name", std::string(i % 5, 'x') + (i % 3 == 0 ? "\u03b1" : ""));
    std::vector<float> stamp(6);
    for (std::size_t k = 0; k < 6; ++k) {
      stamp[k] = static_cast<float>(i * 10 + k);
    }
    table.set(row, "stamp", std::span<const float>(stamp));
    table.set(row, "count", static_cast<std::int64_t>(i));
  }
}

bool same_column(const Table& a, const Table& b, std::size_t at) {
  for (std::size_t row = 0; row < a.rows(); ++row) {
    if (a.columns()[at].shape.empty() && a.cell_text(row, at) != b.cell_text(row, at)) {
      return false;
    }
  }
  return a.columns()[at] == b.columns()[at] && a.rows() == b.rows();
}

}  // namespace

TEST_CASE("ragged contributions, some empty, become one table in rank order") {
  const parallel::Comm& comm = test_world();
  const SharedFolder folder(comm);
  const auto path = folder.path() / "t.h5";
  const auto rank = static_cast<std::size_t>(comm.rank());
  // Rank 1 has nothing; the others 10 * (rank + 1).
  const auto rows_of = [](std::size_t r) { return r == 1 ? 0 : 10 * (r + 1); };
  std::size_t first = 0;
  for (std::size_t r = 0; r < rank; ++r) {
    first += rows_of(r);
  }
  Table mine(schema());
  fill(mine, first, first + rows_of(rank));
  {
    io::Hdf5Writer writer(comm, path);
    writer.write_table(mine);
    writer.write_table(Table(TableSchema{"empty", schema().columns}));
    writer.attribute("/", "stage", "test");
    writer.attribute("/", "format_version", std::int64_t{3});
    writer.attribute("sources", "scale", 0.25);
    writer.make_group("provenance");
    writer.attribute("provenance", "long", std::string(100000, 'l'));
    writer.close();
  }
  comm.barrier();
  Table all(schema());
  fill(all, 0, static_cast<std::size_t>(comm.sum(static_cast<std::int64_t>(mine.rows()))));
  const io::Hdf5File file(path);  // every rank reads at the same time
  REQUIRE(comm.all(file.tables() == std::vector<std::string>{"empty", "sources"}));
  const Table back = file.read_table("sources");
  bool same = back.columns().size() == all.columns().size();
  for (std::size_t i = 0; same && i < all.columns().size(); ++i) {
    same = same_column(all, back, i);
  }
  REQUIRE(comm.all(same));
  REQUIRE(comm.all(back.get<float>("stamp") == all.get<float>("stamp")));
  const Table part = file.read_table("sources", 3, 7);
  REQUIRE(comm.all(part.rows() == 4 && part.get<std::int32_t>("count")[0] == 3));
  REQUIRE(comm.all(file.read_table("empty").rows() == 0));
  REQUIRE(comm.all(file.read_table("empty").schema().columns == schema().columns));
  REQUIRE(comm.all(file.attribute("/", "stage") == "test"));
  REQUIRE(comm.all(file.attribute("/", "format_version") == "3"));
  REQUIRE(comm.all(file.attribute("sources", "scale") == "0.25"));
  REQUIRE(comm.all(!file.attribute("/", "absent")));
  REQUIRE(comm.all(file.has("provenance/long")));
  REQUIRE(comm.all(!file.has("provenance/short/deeper")));
}

TEST_CASE("a table written by one process, arrays, links, and errors that name the file") {
  const parallel::Comm& comm = test_world();
  const SharedFolder folder(comm);
  if (comm.rank() == 0) {
    const auto path = folder.path() / "serial.h5";
    Table table(schema());
    fill(table, 0, 5);
    io::Hdf5Writer arrays(folder.path() / "arrays.h5");
    arrays.create_array({"white/image", Type::float32, {4, 6}, "nJy", "an image"});
    REQUIRE(arrays.array_offset("white/image") > 0);
    REQUIRE_THROWS_AS(arrays.array_offset("red/image"), FatalError);
    arrays.close();
    io::Hdf5Writer writer(path);
    writer.write_table(table);
    writer.link("white/image", "arrays.h5", "/white/image");
    writer.link("dangling/image", "nowhere.h5", "/image");
    writer.close();

    const io::Hdf5File file(path);
    REQUIRE(file.read_table("sources").rows() == 5);
    REQUIRE(file.arrays() == std::vector<std::string>{"white/image"});
    REQUIRE(file.tables() == std::vector<std::string>{"sources"});
    REQUIRE(file.shape("white/image") == std::vector<std::size_t>{4, 6});
    REQUIRE(file.read_image("white/image", {1, 4, 2, 4}).width() == 3);
    REQUIRE_THROWS_AS(file.read_image("white/image", {1, 7, 2, 4}), FatalError);
    REQUIRE_THROWS_AS(file.read_table("white"), FatalError);
    REQUIRE_FALSE(file.has("dangling/image"));
    REQUIRE_THROWS_AS(io::Hdf5File(folder.path() / "none.h5"), ConfigError);
    REQUIRE_THROWS_AS(io::Hdf5Writer(folder.path() / "no" / "folder.h5"), FatalError);
    REQUIRE_FALSE(io::is_hdf5(folder.path()));
  }
}
