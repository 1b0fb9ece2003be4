#include "skyloom/core/config.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "skyloom/core/errors.hpp"
#include "skyloom/core/table.hpp"

#include "config_names.hpp"

namespace skyloom {
namespace {

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

std::string number_text(double value) {
  if (std::isinf(value)) {
    return value > 0 ? "inf" : "-inf";
  }
  if (std::isnan(value)) {
    return "nan";
  }
  std::string text = shortest(value);
  if (text.find_first_of(".e") == std::string::npos) {
    text += ".0";
  }
  return text;
}

std::string text_of(bool value) {
  return value ? "true" : "false";
}
std::string text_of(int value) {
  return std::to_string(value);
}
std::string text_of(double value) {
  return number_text(value);
}
std::string text_of(const std::string& value) {
  return toml_quoted(value);
}

template <class T>
std::string list_text(const std::vector<T>& values) {
  std::string out = "[";
  for (std::size_t i = 0; i < values.size(); ++i) {
    out += (i == 0 ? "" : ", ") + text_of(values[i]);
  }
  return out + "]";
}

std::string field_text(const ConfigSpec::Field& field) {
  return std::visit(Overloaded{[](const bool* v) { return text_of(*v); },
                               [](const int* v) { return std::to_string(*v); },
                               [](const std::int64_t* v) { return std::to_string(*v); },
                               [](const double* v) { return number_text(*v); },
                               [](const std::string* v) { return toml_quoted(*v); },
                               [](const auto* v) { return list_text(*v); }},
                    field);
}

std::string name_of(const std::string& path) {
  const std::filesystem::path given(path);
  return (given.has_filename() ? given : given.parent_path()).filename().string();
}

/// The text of a path or of several, without the folders.
std::string names_text(const ConfigSpec::Field& field) {
  if (const auto* const* path = std::get_if<std::string*>(&field)) {
    return toml_quoted(name_of(**path));
  }
  std::vector<std::string> names = *std::get<std::vector<std::string>*>(field);
  std::transform(names.begin(), names.end(), names.begin(), name_of);
  return list_text(names);
}

std::string type_name(const ConfigSpec::Field& field) {
  return std::visit(
      Overloaded{[](const bool*) { return "a boolean"; }, [](const int*) { return "an integer"; },
                 [](const std::int64_t*) { return "an integer"; },
                 [](const double*) { return "a number"; },
                 [](const std::string*) { return "a text"; },
                 [](const std::vector<double>*) { return "a list of numbers"; },
                 [](const std::vector<int>*) { return "a list of integers"; },
                 [](const std::vector<std::string>*) { return "a list of texts"; }},
      field);
}

std::optional<double> as_number(const ConfigValue& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value.value)) {
    return static_cast<double>(*integer);
  }
  if (const auto* number = std::get_if<double>(&value.value)) {
    return *number;
  }
  return std::nullopt;
}

std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) {
    row[j] = j;
  }
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t cost = a[i - 1] == b[j - 1] ? 0 : 1;
      const std::size_t next = std::min({row[j] + 1, row[j - 1] + 1, diagonal + cost});
      diagonal = row[j];
      row[j] = next;
    }
  }
  return row[b.size()];
}

std::string expand_home(const std::string& path) {
  if (path == "~" || path.starts_with("~/")) {
    if (const char* home = std::getenv("HOME")) {
      return home + path.substr(1);
    }
  }
  return path;
}

std::string resolved(const std::string& path, const std::string& base) {
  if (path.empty()) {
    return path;
  }
  const std::filesystem::path expanded = expand_home(path);
  return expanded.is_absolute()
             ? expanded.string()
             : (std::filesystem::path(base) / expanded).lexically_normal().string();
}

}  // namespace

std::string toml_quoted(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7F) {
      out += "\\u00";
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    } else {
      out += c;
    }
  }
  return out + "\"";
}

void ConfigSpec::table(std::string name, std::string help) {
  tables_.emplace_back(std::move(name), std::move(help));
}

void ConfigSpec::add(std::string name, Field field, Key key) {
  Entry entry{std::move(name), field, std::move(key), false, {}, {}, {}, field_text(field), false};
  entries_.push_back(std::move(entry));
}

void ConfigSpec::ignore(std::string name, std::string why) {
  Entry entry{std::move(name),
              static_cast<bool*>(nullptr),
              Key{std::move(why)},
              true,
              {},
              {},
              {},
              {},
              false};
  entries_.push_back(std::move(entry));
}

void ConfigSpec::add_nested(std::string name, Key key, Fill fill, Each each, Each blank) {
  Entry entry{std::move(name),
              static_cast<bool*>(nullptr),
              std::move(key),
              false,
              std::move(fill),
              std::move(each),
              std::move(blank),
              "[]",
              false};
  entries_.push_back(std::move(entry));
}

ConfigSpec::Entry* ConfigSpec::find(std::string_view name) {
  for (Entry& entry : entries_) {
    if (entry.name == name) {
      return &entry;
    }
  }
  return nullptr;
}

bool ConfigSpec::is_table(std::string_view name) const {
  const std::string prefix = std::string(name) + ".";
  return std::any_of(entries_.begin(), entries_.end(),
                     [&](const Entry& entry) { return entry.name.starts_with(prefix); });
}

std::string ConfigSpec::nearest(std::string_view name) const {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(3, name.size() / 2);
  for (const Entry& entry : entries_) {
    std::size_t d = distance(name, entry.name);
    if (last_part(name) == last_part(entry.name)) {
      d = std::min<std::size_t>(d, 2);
    }
    if (!entry.ignored && d < best_distance) {
      best_distance = d;
      best = entry.name;
    }
  }
  return best;
}

void ConfigSpec::apply(const ConfigValue& document, const std::string& file,
                       const std::string& base_folder) {
  warnings_.clear();
  ignored_seen_.clear();
  for (Entry& entry : entries_) {
    entry.was_set = false;
  }
  if (base_field_ != nullptr) {
    *base_field_ = base_folder;
  }
  apply_at(document, file, base_folder, {});
  if (!ignored_seen_.empty()) {
    std::string text = file + ": accepted without effect:";
    for (const std::string& name : ignored_seen_) {
      text += " " + name + " (" + find(name)->key.help + ")";
    }
    warnings_.push_back(text);
  }
  warn_without_effect();
}

void ConfigSpec::warn_without_effect() {
  // One line per deciding key, in order of declaration.
  std::vector<std::pair<std::string, std::string>> lists;
  for (const Entry& entry : entries_) {
    if (!entry.was_set || entry.key.effective_with.empty()) {
      continue;
    }
    const Entry* decider = find(entry.key.effective_with);
    const std::string* const* text =
        decider != nullptr ? std::get_if<std::string*>(&decider->field) : nullptr;
    if (text == nullptr) {
      throw FatalError("key " + entry.name + " depends on " + entry.key.effective_with +
                       ", which is no text");
    }
    const auto& with = entry.key.effective_for;
    if (std::find(with.begin(), with.end(), **text) != with.end()) {
      continue;
    }
    const std::string why = decider->name + " = " + toml_quoted(**text);
    auto list = std::find_if(lists.begin(), lists.end(),
                             [&](const auto& known) { return known.first == why; });
    if (list == lists.end()) {
      list = lists.insert(list, {why, ""});
    }
    list->second += (list->second.empty() ? "" : ", ") + entry.name;
  }
  for (const auto& [why, names] : lists) {
    warnings_.push_back(file_ + ": without effect with " + why + ": " + names);
  }
}

void ConfigSpec::apply_at(const ConfigValue& document, const std::string& file,
                          const std::string& base, const std::string& prefix) {
  file_ = file;
  base_ = base;
  const auto* root = std::get_if<ConfigValue::TableMap>(&document.value);
  if (root == nullptr) {
    throw ConfigError(file + ": " + prefix, "wrong type", "expected a table");
  }
  apply_table(*root, {}, prefix);
}

void ConfigSpec::apply_table(const ConfigValue::TableMap& table, const std::string& path,
                             const std::string& prefix) {
  for (const auto& [key, value] : table) {
    const std::string name = path.empty() ? key : path + "." + key;
    const std::string shown = prefix.empty() ? name : prefix + "." + name;
    if (Entry* entry = find(name)) {
      if (entry->ignored) {
        ignored_seen_.push_back(name);
      } else {
        set(*entry, value, shown);
        entry->was_set = true;
      }
      continue;
    }
    const auto* inner = std::get_if<ConfigValue::TableMap>(&value.value);
    if (inner != nullptr && is_table(name)) {
      apply_table(*inner, name, prefix);
      continue;
    }
    if (inner == nullptr && is_table(name)) {
      throw ConfigError(file_ + ": " + shown, "wrong type", "expected a table");
    }
    const std::string near = nearest(name);
    const std::string line = value.line > 0 ? " (line " + std::to_string(value.line) + ")" : "";
    throw ConfigError(file_ + ": " + shown, "unknown key" + line,
                      near.empty() ? "see 'skyloom config'" : "did you mean " + near + "?");
  }
}

void ConfigSpec::set(Entry& entry, const ConfigValue& value, const std::string& shown) {
  const std::string where = file_ + ": " + shown;
  if (entry.fill) {
    const auto* array = std::get_if<ConfigValue::Array>(&value.value);
    if (array == nullptr) {
      throw ConfigError(where, "wrong type", "expected an array of tables, [[" + shown + "]]");
    }
    entry.fill(*array, shown, file_, base_);
    return;
  }
  const auto wrong_type = [&] {
    return ConfigError(where, "wrong type", "expected " + type_name(entry.field));
  };
  const auto checked = [&](double number) {
    // NaN is a value like any other ("as the header says") where the key has no range.
    if (number < entry.key.min || number > entry.key.max ||
        (std::isnan(number) && !describe(entry).empty())) {
      throw ConfigError(where, "value " + shortest(number) + " is out of range",
                        "expected " + describe(entry));
    }
    return number;
  };
  const auto number = [&](const ConfigValue& v) {
    const auto found = as_number(v);
    if (!found) {
      throw wrong_type();
    }
    return checked(*found);
  };
  const auto integer = [&](const ConfigValue& v) {
    const auto* found = std::get_if<std::int64_t>(&v.value);
    if (found == nullptr) {
      throw wrong_type();
    }
    checked(static_cast<double>(*found));
    return *found;
  };
  const auto text = [&](const ConfigValue& v) {
    if (const auto plain = as_number(v); plain && entry.key.number_as_text) {
      return shortest(*plain);
    }
    const auto* found = std::get_if<std::string>(&v.value);
    if (found == nullptr) {
      throw wrong_type();
    }
    const auto& choices = entry.key.choices;
    if (!choices.empty() && std::find(choices.begin(), choices.end(), *found) == choices.end()) {
      throw ConfigError(where, "value " + toml_quoted(*found) + " is not allowed",
                        "expected " + describe(entry));
    }
    return entry.key.input_path ? resolved(*found, base_) : *found;
  };
  const auto list = [&](auto* field, auto&& convert) {
    const auto* array = std::get_if<ConfigValue::Array>(&value.value);
    if (array == nullptr) {
      throw wrong_type();
    }
    field->clear();
    for (const ConfigValue& element : *array) {
      field->push_back(
          static_cast<typename std::decay_t<decltype(*field)>::value_type>(convert(element)));
    }
  };
  std::visit(Overloaded{[&](bool* field) {
                          const auto* found = std::get_if<bool>(&value.value);
                          if (found == nullptr) {
                            throw wrong_type();
                          }
                          *field = *found;
                        },
                        [&](int* field) { *field = static_cast<int>(integer(value)); },
                        [&](std::int64_t* field) { *field = integer(value); },
                        [&](double* field) { *field = number(value); },
                        [&](std::string* field) { *field = text(value); },
                        [&](std::vector<double>* field) { list(field, number); },
                        [&](std::vector<int>* field) { list(field, integer); },
                        [&](std::vector<std::string>* field) { list(field, text); }},
             entry.field);
}

std::string ConfigSpec::describe(const Entry& entry) const {
  if (!entry.key.choices.empty()) {
    std::string out;
    for (const std::string& choice : entry.key.choices) {
      out += (out.empty() ? "" : " | ") + (choice.empty() ? std::string("\"\"") : choice);
    }
    return out;
  }
  const bool low = !std::isinf(entry.key.min);
  const bool high = !std::isinf(entry.key.max);
  if (low && high) {
    return shortest(entry.key.min) + " to " + shortest(entry.key.max);
  }
  if (low) {
    return "at least " + shortest(entry.key.min);
  }
  if (high) {
    return "at most " + shortest(entry.key.max);
  }
  return {};
}

std::string ConfigSpec::value_text(const Entry& entry, Paths paths) {
  if (entry.each) {
    std::string out = "[";
    entry.each([&out, paths](const ConfigSpec& element) {
      out += out == "[" ? "{" : ", {";
      bool first = true;
      for (const auto& [key, value] : element.values(paths)) {
        out += (first ? "" : ", ") + key + " = " + value;
        first = false;
      }
      out += "}";
    });
    return out + "]";
  }
  return entry.key.input_path && paths == Paths::names ? names_text(entry.field)
                                                       : field_text(entry.field);
}

std::vector<std::pair<std::string, std::string>> ConfigSpec::values(Paths paths) const {
  std::vector<std::pair<std::string, std::string>> out;
  for (const Entry& entry : entries_) {
    if (!entry.ignored) {
      out.emplace_back(entry.name, value_text(entry, paths));
    }
  }
  return out;
}

std::vector<std::pair<std::string, std::string>> ConfigSpec::values() const {
  return values(Paths::whole);
}

std::vector<std::pair<std::string, std::string>> ConfigSpec::values_of(
    std::string_view stage) const {
  std::vector<std::pair<std::string, std::string>> out;
  for (const Entry& entry : entries_) {
    const auto& stages = entry.key.stages;
    if (!entry.ignored && std::find(stages.begin(), stages.end(), stage) != stages.end()) {
      out.emplace_back(entry.name, value_text(entry, Paths::names));
    }
  }
  return out;
}

}  // namespace skyloom
