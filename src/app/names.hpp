#pragma once
// Names that users type: which known one is nearest to a wrong one.

#include <string>
#include <string_view>
#include <vector>

namespace skyloom::app {

/// The known name with the fewest edits, or "" when none is near (more than half of it differs).
std::string nearest_name(std::string_view name, const std::vector<std::string>& known);

/// @throws ConfigError `<name>: no such <kind>: did you mean <nearest>?` unless known
void require_known(std::string_view name, const std::vector<std::string>& known,
                   std::string_view kind);

}  // namespace skyloom::app
