#include <chrono>
#include <cmath>

#include <nlohmann/json.hpp>

#include "skyloom/io/files.hpp"

#include "unit/io/scratch.hpp"

using namespace skyloom;
using Catch::Contains;

TEST_CASE("Columns of a CSV file get the type their cells have") {
  const Scratch scratch;
  const auto path =
      scratch.file("t.csv",
                   "\xEF\xBB\xBFID,RA,n,gap,ok,name,code,big\r\n"
                   "0007,10.5,1,,True,\"a, \"\"b\"\"\r\nc\",01,4611686018427387905\r\n"
                   "12,-1e3,-2,3,False, x ,02,\r\n"
                   "\r\n");
  const Table table = io::read_csv(path, {"id"});
  REQUIRE(table.rows() == 2);
  CHECK(table.get<std::string>("ID") == std::vector<std::string>{"0007", "12"});
  CHECK(table.get<double>("RA") == std::vector<double>{10.5, -1000.0});
  CHECK(table.get<std::int64_t>("n") == std::vector<std::int64_t>{1, -2});
  CHECK(std::isnan(table.get<double>("gap")[0]));
  CHECK(table.get<double>("gap")[1] == 3.0);
  CHECK(table.get<std::uint8_t>("ok") == std::vector<std::uint8_t>{1, 0});
  CHECK(table.get<std::string>("name") == std::vector<std::string>{"a, \"b\"\r\nc", " x "});
  CHECK(table.get<std::string>("code") == std::vector<std::string>{"01", "02"});
  CHECK(table.get<std::string>("big")[0] == "4611686018427387905");
}

TEST_CASE("Integers of nineteen digits survive, and a written table reads back the same") {
  const Scratch scratch;
  Table table(TableSchema{"t",
                          {{"source_id", Type::int64, "", ""},
                           {"mag", Type::float64, "mag", ""},
                           {"flag", Type::boolean, "", ""},
                           {"note", Type::text, "", ""}}});
  for (int i = 0; i < 3; ++i) {
    table.add_row();
  }
  table.set(0, "source_id", std::int64_t{869663330491814144});
  table.set(0, "mag", 0.1);
  table.set(1, "mag", 1.0 / 3.0);
  table.set(2, "flag", true);
  table.set(0, "note", "comma, quote \" and\nline");
  io::write_table(scratch / "t.csv", table, "csv");
  const Table back = io::read_csv(scratch / "t.csv");
  CHECK(back.get<std::int64_t>("source_id") == table.get<std::int64_t>("source_id"));
  CHECK(back.get<double>("mag")[1] == 1.0 / 3.0);
  CHECK(std::isnan(back.get<double>("mag")[2]));
  CHECK(back.get<std::uint8_t>("flag") == table.get<std::uint8_t>("flag"));
  CHECK(back.get<std::string>("note") == table.get<std::string>("note"));
}

TEST_CASE("A CSV file without rows or line end is a table") {
  const Scratch scratch;
  CHECK(io::read_csv(scratch.file("a.csv", "x,y")).rows() == 0);
  const Table one = io::read_csv(scratch.file("b.csv", "x\n1\n\n3"));
  CHECK(one.rows() == 3);
  CHECK(one.get<double>("x")[2] == 3.0);
}

TEST_CASE("A bad CSV file is named with its line") {
  const Scratch scratch;
  const auto message = [&](const std::string& content) {
    const auto path = scratch.file("bad.csv", content);
    return error_of<ConfigError>([&] { (void)io::read_csv(path); });
  };
  CHECK_THAT(message(""), Contains("bad.csv") && Contains("no header"));
  CHECK_THAT(message("a,b,a\n"), Contains("bad.csv") && Contains("'a' stands there twice"));
  CHECK_THAT(message("a,b\n\"x\ny\",2\n1\n"), Contains("bad.csv line 4") && Contains("1 fields"));
  CHECK_THAT(message("a,b\n1,\"x"), Contains("line 2") && Contains("does not end"));
  CHECK_THAT(message("a,b\n1,\"x\"y\n"), Contains("line 2") && Contains("closing quote"));
  const auto missing = scratch / "no.csv";
  CHECK_THAT(error_of<ConfigError>([&] { (void)io::read_csv(missing); }),
             Contains("no.csv") && Contains("No such file"));
}

TEST_CASE("A million CSV cells take well below a second") {
  const Scratch scratch;
  std::string text = "a,b,c,d,e,f,g,h,i,j\n";
  for (int i = 0; i < 100000; ++i) {
    text += "12.25,-3.5e-7,150.123456789,2,x,7.5,8.25,9.125,True,1.75\n";
  }
  const auto path = scratch.file("big.csv", text);
  const auto begin = std::chrono::steady_clock::now();
  const Table table = io::read_csv(path);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  CHECK(table.rows() == 100000);
  CHECK(table.get<double>("c")[99999] == 150.123456789);
  // Generous, for instrumented builds on a busy machine; a release build needs a tenth of it.
  CHECK(seconds < 5.0);
}

TEST_CASE("ECSV and JSON carry units, arrays and missing values") {
  Table table(TableSchema{"stars",
                          {{"id", Type::text, "", "name: of it"},
                           {"flux", Type::float64, "mJy", "flux \"total\""},
                           {"stamp", Type::float32, "", "", {2}}}});
  table.add_row();
  table.add_row();
  table.set(0, "id", "a,b");
  table.set(0, "flux", 2.5);
  const std::vector<float> stamp{1.0F, 0.5F};
  table.set(0, "stamp", std::span<const float>(stamp));
  const std::string ecsv = io::ecsv_text(table);
  CHECK_THAT(ecsv, Contains("# - {name: \"flux\", unit: \"mJy\", datatype: float64, "
                            "description: \"flux \\\"total\\\"\"}\n"));
  CHECK_THAT(ecsv, Contains("subtype: 'float32[2]'"));
  CHECK_THAT(ecsv, Contains("\nid,flux,stamp\n\"a,b\",2.5,\"[1,0.5]\"\n\"\",nan,\"[NaN,NaN]\"\n"));
  const auto json = nlohmann::json::parse(io::json_text(table));
  REQUIRE(json.size() == 2);
  CHECK(json[0]["stamp"][1] == 0.5);
  CHECK(json[1]["flux"].is_null());
  CHECK_THAT(error_of<ConfigError>([&] { io::write_table("x", table, "xls"); }),
             Contains("xls") && Contains("ecsv"));
}
