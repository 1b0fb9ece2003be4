#pragma once
// Private to core: the parts of a dotted configuration key.

#include <string>
#include <string_view>

namespace skyloom {

/// "max_stars" of "epsf.max_stars".
inline std::string last_part(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  return std::string(dot == std::string_view::npos ? name : name.substr(dot + 1));
}

/// "epsf" of "epsf.max_stars"; empty at top level.
inline std::string table_part(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  return std::string(dot == std::string_view::npos ? std::string_view{} : name.substr(0, dot));
}

}  // namespace skyloom
