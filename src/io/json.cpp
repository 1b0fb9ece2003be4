#include <nlohmann/json.hpp>

#include "skyloom/core/errors.hpp"
#include "skyloom/io/files.hpp"

namespace skyloom::io {
namespace {

ConfigValue converted(const nlohmann::json& node) {
  ConfigValue out;
  if (node.is_object()) {
    ConfigValue::TableMap map;
    for (const auto& [key, value] : node.items()) {
      map.emplace(key, converted(value));
    }
    out.value = std::move(map);
  } else if (node.is_array()) {
    ConfigValue::Array values;
    for (const auto& value : node) {
      values.push_back(converted(value));
    }
    out.value = std::move(values);
  } else if (node.is_boolean()) {
    out.value = node.get<bool>();
  } else if (node.is_number_integer()) {
    out.value = node.get<std::int64_t>();
  } else if (node.is_number()) {
    out.value = node.get<double>();
  } else {
    out.value = node.is_string() ? node.get<std::string>() : std::string();
  }
  return out;
}

}  // namespace

ConfigValue parse_json(std::string_view text, const std::string& name) {
  try {
    return converted(nlohmann::json::parse(text));
  } catch (const nlohmann::json::exception& error) {
    throw ConfigError(name, std::string("is no JSON (") + error.what() + ")", "JSON text");
  }
}

}  // namespace skyloom::io
