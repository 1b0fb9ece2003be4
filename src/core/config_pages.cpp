// What a user reads of the declared keys: the documented TOML and the reference page.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "skyloom/core/config.hpp"

#include "config_names.hpp"

namespace skyloom {

namespace {

/// The help, and with what other key it has an effect.
std::string help_of_key(const Key& key) {
  std::string out = key.help;
  if (!key.effective_with.empty()) {
    out += "; only with " + key.effective_with + " = ";
    for (std::size_t i = 0; i < key.effective_for.size(); ++i) {
      out += (i > 0 ? " or " : "") + key.effective_for[i];
    }
  }
  return out;
}

std::string comment_of(const Key& key, const std::string& range) {
  std::string out = help_of_key(key);
  if (!key.unit.empty()) {
    out += " [" + key.unit + "]";
  }
  if (!range.empty()) {
    out += " (" + range + ")";
  }
  return out;
}

}  // namespace

std::string ConfigSpec::toml() const {
  return toml_under("");
}

std::string ConfigSpec::toml_under(const std::string& prefix) const {
  // Keys are grouped by table in order of first appearance; tables inside [[...]] come last.
  std::vector<std::string> order;
  for (const Entry& entry : entries_) {
    const std::string name = table_part(entry.name);
    if (!entry.ignored && std::find(order.begin(), order.end(), name) == order.end()) {
      order.push_back(name);
    }
  }
  const auto help_of = [this](const std::string& name) {
    for (const auto& [table, help] : tables_) {
      if (table == name) {
        return help;
      }
    }
    return std::string();
  };
  std::string out;
  std::string nested;
  for (const std::string& name : order) {
    const std::string help = help_of(name);
    std::string body;
    for (const Entry& entry : entries_) {
      if (entry.ignored || table_part(entry.name) != name) {
        continue;
      }
      if (!entry.fill) {
        body += last_part(entry.name) + " = " + value_text(entry) + "  # " +
                comment_of(entry.key, describe(entry)) + "\n";
        continue;
      }
      bool any = false;
      entry.each([&](const ConfigSpec& element) {
        const std::string path = prefix + entry.name;
        nested += "\n[[" + path + "]]\n" + element.toml_under(path + ".");
        any = true;
      });
      if (!any && prefix.empty()) {
        body += "# [[" + entry.name + "]]: " + entry.key.help + "\n";
        entry.blank([&](const ConfigSpec& element) {
          for (const Entry& inner : element.entries_) {
            if (inner.fill) {
              body += "#   [[" + entry.name + "." + inner.name + "]]: " + inner.key.help + "\n";
              continue;
            }
            body += "#   " + last_part(inner.name) + " = " + value_text(inner) + "  # " +
                    comment_of(inner.key, element.describe(inner)) + "\n";
          }
        });
      }
    }
    if (body.empty()) {
      continue;
    }
    if (!name.empty()) {
      out += (out.empty() ? "" : "\n");
      if (!help.empty()) {
        out += "# " + help + "\n";
      }
      out += "[" + name + "]\n";
    }
    out += body;
  }
  return out + nested;
}

std::string ConfigSpec::markdown(std::string_view title) const {
  std::string out = "# " + std::string(title) + "\n\n";
  out +=
      "Generated from the program's declarations by `skyloom config --markdown`. Do not edit.\n\n";
  out += "| key | default | unit | allowed | meaning |\n|---|---|---|---|---|\n";
  const auto escaped = [](std::string text) {
    for (std::size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) {
      text.replace(at, 1, "\\|");
    }
    return text;
  };
  const auto row = [&](const std::string& name, const Entry& entry, const ConfigSpec& spec) {
    out += "| `" + name + "` | `" + escaped(entry.initial) + "` | " + entry.key.unit + " | " +
           escaped(spec.describe(entry)) + " | " + escaped(help_of_key(entry.key)) + " |\n";
  };
  for (const Entry& entry : entries_) {
    if (entry.ignored) {
      continue;
    }
    if (!entry.fill) {
      row(entry.name, entry, *this);
      continue;
    }
    out += "| `[[" + entry.name + "]]` | | | | " + escaped(entry.key.help) + " |\n";
    entry.blank([&](const ConfigSpec& element) {
      for (const Entry& inner : element.entries_) {
        if (inner.fill) {
          out += "| `[[" + entry.name + "." + inner.name + "]]` | | | | " +
                 escaped(inner.key.help) + " |\n";
          continue;
        }
        row(entry.name + "[]." + inner.name, inner, element);
      }
    });
  }
  bool first = true;
  for (const Entry& entry : entries_) {
    if (entry.ignored) {
      out += first ? "\nAccepted from other programs, without effect:\n\n" : "";
      first = false;
      out += "- `" + entry.name + "`: " + entry.key.help + "\n";
    }
  }
  return out;
}

}  // namespace skyloom
