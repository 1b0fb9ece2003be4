#include <toml++/toml.h>

#include "skyloom/core/errors.hpp"
#include "skyloom/io/files.hpp"

namespace skyloom::io {
namespace {

std::string at_line(const std::string& name, const toml::source_region& where) {
  return name + " line " + std::to_string(where.begin.line);
}

ConfigValue converted(const toml::node& node, const std::string& name) {
  ConfigValue out;
  out.line = static_cast<int>(node.source().begin.line);
  if (const auto* table = node.as_table()) {
    ConfigValue::TableMap map;
    for (const auto& [key, value] : *table) {
      map.emplace(std::string(key.str()), converted(value, name));
    }
    out.value = std::move(map);
  } else if (const auto* array = node.as_array()) {
    ConfigValue::Array values;
    for (const auto& value : *array) {
      values.push_back(converted(value, name));
    }
    out.value = std::move(values);
  } else if (const auto* flag = node.as_boolean()) {
    out.value = flag->get();
  } else if (const auto* integer = node.as_integer()) {
    out.value = integer->get();
  } else if (const auto* number = node.as_floating_point()) {
    out.value = number->get();
  } else if (const auto* text = node.as_string()) {
    out.value = text->get();
  } else {
    throw ConfigError(at_line(name, node.source()), "dates and times are not used here",
                      "a text in quotes, a number, a boolean, a list or a table");
  }
  return out;
}

void clear_lines(ConfigValue& value) {
  value.line = 0;
  if (auto* table = std::get_if<ConfigValue::TableMap>(&value.value)) {
    for (auto& [key, child] : *table) {
      clear_lines(child);
    }
  } else if (auto* array = std::get_if<ConfigValue::Array>(&value.value)) {
    for (ConfigValue& child : *array) {
      clear_lines(child);
    }
  }
}

/// Follows the single-key tables of `change` into `target` and replaces what they end in.
void merge(ConfigValue& target, ConfigValue change, const std::string& assignment) {
  auto* from = std::get_if<ConfigValue::TableMap>(&change.value);
  auto* into = std::get_if<ConfigValue::TableMap>(&target.value);
  if (into == nullptr) {
    throw ConfigError("--set " + assignment, "a part of the key is not a table",
                      "the dotted name of a key");
  }
  for (auto& [key, value] : *from) {
    const auto found = into->find(key);
    const bool descend =
        found != into->end() && std::holds_alternative<ConfigValue::TableMap>(value.value);
    if (descend) {
      merge(found->second, std::move(value), assignment);
    } else {
      into->insert_or_assign(key, std::move(value));
    }
  }
}

}  // namespace

ConfigValue parse_toml(std::string_view text, const std::string& name) {
  try {
    return converted(toml::parse(text, name), name);
  } catch (const toml::parse_error& error) {
    throw ConfigError(at_line(name, error.source()), "is not valid TOML", error.description());
  }
}

ConfigValue read_toml(const std::filesystem::path& path) {
  return parse_toml(read_text(path), path.string());
}

void set_toml(ConfigValue& document, const std::string& assignment) {
  const std::size_t equals = assignment.find('=');
  const std::string key = trimmed(assignment.substr(0, equals));
  if (equals == std::string::npos || key.empty()) {
    throw ConfigError("--set " + assignment, "is not an assignment", "key=value");
  }
  const std::string value = assignment.substr(equals + 1);
  ConfigValue change;
  try {
    change = parse_toml(key + " = " + value, "--set");
  } catch (const ConfigError&) {
    // Shells eat quotes: what is no TOML value is a text. A bad key fails again, with its message.
    change = parse_toml(key + " = " + toml_quoted(value), "--set " + assignment);
  }
  clear_lines(change);
  merge(document, std::move(change), assignment);
}

}  // namespace skyloom::io
