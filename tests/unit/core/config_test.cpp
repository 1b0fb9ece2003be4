#include "skyloom/core/config.hpp"

#include <catch2/catch.hpp>

#include "skyloom/core/errors.hpp"

using namespace skyloom;

namespace {

struct Settings {
  double threshold = 5.0;
  int rounds = 3;
  bool enabled = true;
  std::string mode = "fast";
  std::string file;
  std::vector<double> range{0.7, 1.3};
  struct Image {
    std::string file;
    double zp = 25.0;
  };
  std::vector<Image> images;
};

void declare(ConfigSpec& spec, Settings& s) {
  spec.table("find", "How sources are found");
  spec.add("find.threshold", &s.threshold,
           Key{.help = "threshold", .unit = "sigma", .min = 1, .max = 20, .stages = {"detect"}});
  spec.add("find.rounds", &s.rounds, Key{.help = "rounds", .min = 1, .stages = {"fit"}});
  spec.add("find.enabled", &s.enabled, Key{.help = "switch"});
  spec.add("find.mode", &s.mode, Key{.help = "mode", .choices = {"fast", "exact"}});
  spec.add("find.range", &s.range, Key{.help = "range"});
  spec.add("inputs.file", &s.file, Key{.help = "file", .stages = {"read"}, .input_path = true});
  spec.ignore("find.workers", "ranks come from mpirun");
  spec.add_tables<Settings::Image>(
      "inputs.images", s.images, Key{.help = "images", .stages = {"read"}},
      [](ConfigSpec& inner, Settings::Image& image) {
        inner.add("file", &image.file, Key{.help = "file", .input_path = true});
        inner.add("zp", &image.zp, Key{.help = "zero point", .unit = "mag"});
      });
}

ConfigValue value(
    std::variant<bool, std::int64_t, double, std::string, ConfigValue::Array, ConfigValue::TableMap>
        v,
    int line = 1) {
  return ConfigValue{std::move(v), line};
}

ConfigValue find_table(const std::string& key, ConfigValue v) {
  return value(ConfigValue::TableMap{{"find", value(ConfigValue::TableMap{{key, std::move(v)}})}});
}

std::string error_of(const ConfigValue& document) {
  Settings settings;
  ConfigSpec spec;
  declare(spec, settings);
  try {
    spec.apply(document, "run.toml", "/base");
  } catch (const ConfigError& e) {
    return e.what();
  }
  return {};
}

}  // namespace

TEST_CASE("Values land in their fields and relative paths are resolved") {
  Settings settings;
  ConfigSpec spec;
  declare(spec, settings);
  ConfigValue::TableMap image{{"file", value(std::string("g.fits"))}};
  const ConfigValue document = value(ConfigValue::TableMap{
      {"find", value(ConfigValue::TableMap{{"threshold", value(std::int64_t{7})},
                                           {"mode", value(std::string("exact"))}})},
      {"inputs",
       value(ConfigValue::TableMap{{"file", value(std::string("a/../b.csv"))},
                                   {"images", value(ConfigValue::Array{value(image)})}})}});
  spec.apply(document, "run.toml", "/base");
  CHECK(settings.threshold == 7.0);
  CHECK(settings.mode == "exact");
  CHECK(settings.file == "/base/b.csv");
  REQUIRE(settings.images.size() == 1);
  CHECK(settings.images[0].file == "/base/g.fits");
  CHECK(settings.images[0].zp == 25.0);
  CHECK(spec.warnings().empty());
}

TEST_CASE("Errors name file and key and say what was expected") {
  CHECK(error_of(find_table("treshold", value(3.0, 12))) ==
        "run.toml: find.treshold: unknown key (line 12): did you mean find.threshold?");
  CHECK(error_of(find_table("threshold", value(std::string("x")))) ==
        "run.toml: find.threshold: wrong type: expected a number");
  CHECK(error_of(find_table("rounds", value(2.5))) ==
        "run.toml: find.rounds: wrong type: expected an integer");
  CHECK(error_of(find_table("rounds", value(true))) ==
        "run.toml: find.rounds: wrong type: expected an integer");
  CHECK(error_of(find_table("threshold", value(0.5))) ==
        "run.toml: find.threshold: value 0.5 is out of range: expected 1 to 20");
  CHECK(error_of(find_table("mode", value(std::string("slow")))) ==
        "run.toml: find.mode: value \"slow\" is not allowed: expected fast | exact");
  CHECK(error_of(value(ConfigValue::TableMap{{"find", value(1.0)}})) ==
        "run.toml: find: wrong type: expected a table");
  CHECK(error_of(value(ConfigValue::TableMap{{"nothing", value(1.0)}})).find("unknown key") !=
        std::string::npos);
}

TEST_CASE("NaN is refused where a range is declared and a value elsewhere") {
  CHECK(error_of(find_table("threshold", value(std::nan("")))).find("out of range") !=
        std::string::npos);
  ConfigValue::TableMap image{{"zp", value(std::nan(""))}};
  CHECK(error_of(value(ConfigValue::TableMap{
                     {"inputs", value(ConfigValue::TableMap{
                                    {"images", value(ConfigValue::Array{value(image)})}})}}))
            .empty());
}

TEST_CASE("Ignored keys give one warning") {
  Settings settings;
  ConfigSpec spec;
  declare(spec, settings);
  spec.apply(find_table("workers", value(std::int64_t{4})), "run.toml", "/base");
  REQUIRE(spec.warnings().size() == 1);
  CHECK(spec.warnings()[0] ==
        "run.toml: accepted without effect: find.workers (ranks come from mpirun)");
}

TEST_CASE("Keys without effect for what another key says are named in one warning") {
  struct Methods {
    std::string method = "fast";
    int steps = 3;
    double width = 1.0;
    bool both = true;
  } settings;
  ConfigSpec spec;
  spec.add("find.method", &settings.method, Key{.help = "method", .choices = {"fast", "exact"}});
  Key exact{.help = "steps"};
  exact.effective_with = "find.method";
  exact.effective_for = {"exact"};
  spec.add("find.steps", &settings.steps, exact);
  spec.add("find.width", &settings.width, exact);
  spec.add("find.both", &settings.both, Key{.help = "always"});
  const auto apply = [&](ConfigValue::TableMap keys) {
    spec.apply(value(ConfigValue::TableMap{{"find", value(std::move(keys))}}), "run.toml", "/base");
    return spec.warnings();
  };
  const auto two =
      apply({{"steps", value(std::int64_t{5})}, {"both", value(false)}, {"width", value(2.0)}});
  REQUIRE(two.size() == 1);
  CHECK(two[0] == "run.toml: without effect with find.method = \"fast\": find.steps, find.width");
  CHECK(apply({{"both", value(true)}}).empty());
  CHECK(
      apply({{"steps", value(std::int64_t{5})}, {"method", value(std::string("exact"))}}).empty());
  CHECK(spec.markdown("Keys").find("steps; only with find.method = exact") != std::string::npos);
}

TEST_CASE("A stage depends on the names of its input files, not on their folders") {
  Settings settings;
  settings.file = "/a/b/list.csv";
  settings.images = {{"/a/g.fits", 25.0}, {"", 26.0}};
  ConfigSpec spec;
  declare(spec, settings);
  const std::vector<std::pair<std::string, std::string>> expected{
      {"inputs.file", "\"list.csv\""},
      {"inputs.images", "[{file = \"g.fits\", zp = 25.0}, {file = \"\", zp = 26.0}]"}};
  CHECK(spec.values_of("read") == expected);
  CHECK(spec.toml().find("file = \"/a/g.fits\"") != std::string::npos);
}

TEST_CASE("Template, values of a stage and reference come from the declarations") {
  Settings settings;
  ConfigSpec spec;
  declare(spec, settings);
  const std::string toml = spec.toml();
  CHECK(toml.find(
            "# How sources are found\n[find]\nthreshold = 5.0  # threshold [sigma] (1 to 20)\n") !=
        std::string::npos);
  CHECK(toml.find("# [[inputs.images]]: images") != std::string::npos);
  CHECK(toml.find("workers") == std::string::npos);
  REQUIRE(spec.values_of("detect").size() == 1);
  CHECK(spec.values_of("detect")[0] ==
        std::pair<std::string, std::string>{"find.threshold", "5.0"});
  CHECK(spec.markdown("x").find("| `find.mode` | `\"fast\"` |  | fast \\| exact | mode |") !=
        std::string::npos);
}
