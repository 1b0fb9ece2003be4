#pragma once
// Typed configuration, declared once: a key's default, unit, range and meaning stand in one place,
// and parsing, checking, the documented template, the snapshot of a run and the hash of a stage
// derive from it. The reader of TOML is io/toml.hpp; this room knows values, not files.

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace skyloom {

/// A parsed configuration value with the line it came from (0 = not from a file).
struct ConfigValue {
  using Array = std::vector<ConfigValue>;
  using TableMap = std::map<std::string, ConfigValue>;

  std::variant<bool, std::int64_t, double, std::string, Array, TableMap> value;
  int line = 0;
};

/// What is said about a key besides its name, default and type.
struct Key {
  std::string help;       ///< meaning, one sentence
  std::string unit = {};  ///< VOUnit text; empty = dimensionless
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  std::vector<std::string> choices = {};  ///< allowed texts; empty = any
  std::vector<std::string> stages = {};   ///< stages whose results depend on it; empty = none
  bool input_path = false;                ///< relative to the configuration file
  bool number_as_text = false;            ///< a text field that also takes a number
  /// Key of a text that decides whether this one has an effect, and the texts for which it has one;
  /// empty = always. Setting it for another text is a warning.
  std::string effective_with = {};
  std::vector<std::string> effective_for = {};
};

/// The declared keys of one pipeline, bound to the fields of its Config struct, which must outlive
/// this object. Dotted names ("epsf.max_stars") name tables and keys.
class ConfigSpec {
 public:
  using Field = std::variant<bool*, int*, std::int64_t*, double*, std::string*,
                             std::vector<double>*, std::vector<int>*, std::vector<std::string>*>;

  /// Starts a table; the text becomes its comment in the template.
  void table(std::string name, std::string help);
  void add(std::string name, Field field, Key key);
  /// A key that other programs have: accepted, without effect, named in one warning.
  void ignore(std::string name, std::string why);

  /// apply() stores the folder that relative input paths are relative to in `field`.
  void bind_base_folder(std::string* field) { base_field_ = field; }

  /// An array of tables ([[name]]): each element is a T described by `declare(ConfigSpec&, T&)`.
  template <class T>
  void add_tables(const std::string& name, std::vector<T>& field, const Key& key,
                  std::function<void(ConfigSpec&, T&)> declare) {
    auto fill = [&field, declare](const ConfigValue::Array& elements, const std::string& where,
                                  const std::string& file, const std::string& base) {
      field.clear();
      for (std::size_t i = 0; i < elements.size(); ++i) {
        T element{};
        ConfigSpec spec;
        declare(spec, element);
        spec.apply_at(elements[i], file, base, where + "[" + std::to_string(i) + "]");
        field.push_back(std::move(element));
      }
    };
    auto each = [&field, declare](const std::function<void(const ConfigSpec&)>& visit) {
      for (T& element : field) {
        ConfigSpec spec;
        declare(spec, element);
        visit(spec);
      }
    };
    auto blank = [declare](const std::function<void(const ConfigSpec&)>& visit) {
      T element{};
      ConfigSpec spec;
      declare(spec, element);
      visit(spec);
    };
    add_nested(name, key, fill, each, blank);
  }

  /// Sets the bound fields from a parsed document and checks every value.
  /// @param file name used in messages
  /// @param base_folder folder that relative input paths are relative to
  /// @throws ConfigError for an unknown key (with the nearest name), a wrong type or a value out of
  ///   range; names the file and the dotted key
  void apply(const ConfigValue& document, const std::string& file, const std::string& base_folder);

  /// Warnings of the last apply(), one line each.
  [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }

  /// Current values as (dotted key, TOML text), in order of declaration.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> values() const;
  /// Those a stage depends on. Of an input path the name of the file alone: a run depends on what
  /// its inputs are, not on where they lie.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> values_of(
      std::string_view stage) const;
  /// The documented TOML with current values: every key, its unit, range and meaning.
  [[nodiscard]] std::string toml() const;
  /// The same as a Markdown reference page.
  [[nodiscard]] std::string markdown(std::string_view title) const;

 private:
  using Fill = std::function<void(const ConfigValue::Array&, const std::string&, const std::string&,
                                  const std::string&)>;
  using Each = std::function<void(const std::function<void(const ConfigSpec&)>&)>;

  struct Entry {
    std::string name;
    Field field;
    Key key;
    bool ignored = false;
    Fill fill;             // arrays of tables only
    Each each;             // visits the elements of an array of tables
    Each blank;            // visits one element with defaults
    std::string initial;   // default value as TOML text
    bool was_set = false;  // by the last apply()
  };

  void add_nested(std::string name, Key key, Fill fill, Each each, Each blank);
  void apply_at(const ConfigValue& document, const std::string& file, const std::string& base,
                const std::string& prefix);
  void apply_table(const ConfigValue::TableMap& table, const std::string& path,
                   const std::string& prefix);
  void set(Entry& entry, const ConfigValue& value, const std::string& shown);
  void warn_without_effect();
  [[nodiscard]] Entry* find(std::string_view name);
  [[nodiscard]] bool is_table(std::string_view name) const;
  [[nodiscard]] std::string nearest(std::string_view name) const;
  [[nodiscard]] std::string describe(const Entry& entry) const;
  enum class Paths { whole, names };
  static std::string value_text(const Entry& entry, Paths paths = Paths::whole);
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> values(Paths paths) const;
  /// @param prefix of the names of nested tables: "" or the dotted path of this one with a dot
  [[nodiscard]] std::string toml_under(const std::string& prefix) const;

  std::vector<Entry> entries_;
  std::vector<std::pair<std::string, std::string>> tables_;
  std::vector<std::string> warnings_;
  std::vector<std::string> ignored_seen_;
  std::string file_;
  std::string base_;
  std::string* base_field_ = nullptr;
};

/// A text as a TOML basic string, quotes included.
std::string toml_quoted(std::string_view text);

}  // namespace skyloom
