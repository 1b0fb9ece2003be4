#include "skyloom/web/report.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <string_view>

#include <nlohmann/json.hpp>

#include "skyloom/core/errors.hpp"

#include "web/page.hpp"
#include "web/quantise.hpp"

namespace skyloom::web {
namespace {

using Json = nlohmann::ordered_json;

// Nine digits tell apart what a chart can show, at half the size of a double's shortest form.
Json number(double value) {
  if (!std::isfinite(value)) {
    return nullptr;
  }
  std::array<char, 32> text{};
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::general, 9);
  double rounded = value;
  std::from_chars(text.data(), end.ptr, rounded);
  if (rounded == std::floor(rounded) && std::abs(rounded) < 1e15) {
    return static_cast<std::int64_t>(rounded);
  }
  return rounded;
}

Json numbers(const std::vector<double>& values) {
  Json array = Json::array();
  for (const double value : values) {
    array.push_back(number(value));
  }
  return array;
}

void require(bool holds, const std::string& title, const char* what) {
  if (!holds) {
    throw FatalError("report: \"" + title + "\": " + what);
  }
}

Json json_of(const Markers& markers) {
  require(markers.x.size() == markers.y.size(), markers.label, "markers need as many x as y");
  const bool line = markers.shape == "line";
  require(!line || (markers.x2.size() == markers.x.size() && markers.y2.size() == markers.x.size()),
          markers.label, "lines need both ends");
  require(markers.names.empty() || markers.names.size() == markers.x.size(), markers.label,
          "names need one entry per marker");
  Json json = {{"label", markers.label},  {"color", markers.color},
               {"shape", markers.shape},  {"radius", number(markers.radius_pix)},
               {"x", numbers(markers.x)}, {"y", numbers(markers.y)}};
  if (line) {
    json["x2"] = numbers(markers.x2);
    json["y2"] = numbers(markers.y2);
  }
  if (!markers.names.empty()) {
    json["names"] = markers.names;
  }
  return json;
}

Json json_of(const Picture& picture) {
  const Levels levels = display_levels(picture);
  const Quantised quantised = quantise(picture.pixels, levels);
  Json json = {{"title", picture.title},
               {"width", picture.pixels.width()},
               {"height", picture.pixels.height()},
               {"low", levels.low},
               {"high", levels.high},
               {"stretch", picture.stretch},
               {"colors", picture.colors},
               {"unit", picture.unit},
               {"scale", number(picture.scale)},
               {"pixel_size", number(picture.pixel_size)},
               {"x0", number(picture.x0)},
               {"y0", number(picture.y0)},
               {"centre", quantised.centre},
               {"soft", quantised.soft},
               {"first", quantised.first},
               {"step", quantised.step},
               {"codes", base64_of(quantised.codes)}};
  Json markers = Json::array();
  for (const Markers& group : picture.markers) {
    markers.push_back(json_of(group));
  }
  json["markers"] = std::move(markers);
  return json;
}

struct Outline {
  std::vector<double> x;
  std::vector<double> y;  ///< y[i] holds from x[i] to x[i + 1]; the last one closes the figure
};

/// Bins around their centres, all as wide as the closest two are apart; zero in between.
Outline outline_of_centres(const Series& series, bool log_x) {
  const auto place = [&](double x) { return log_x ? std::log(x) : x; };
  const auto back = [&](double x) { return log_x ? std::exp(x) : x; };
  double width = std::numeric_limits<double>::infinity();
  for (std::size_t i = 1; i < series.x.size(); ++i) {
    width = std::min(width, place(series.x[i]) - place(series.x[i - 1]));
  }
  width = std::isfinite(width) ? width : 1.0;
  require(width > 0.0, series.label, "bins must be in increasing order");
  Outline outline;
  for (std::size_t i = 0; i < series.x.size(); ++i) {
    const double centre = place(series.x[i]);
    outline.x.push_back(back(centre - 0.5 * width));
    outline.y.push_back(series.y[i]);
    const bool last = i + 1 == series.x.size();
    if (last || place(series.x[i + 1]) - centre > 1.01 * width) {
      outline.x.push_back(back(centre + 0.5 * width));
      outline.y.push_back(last ? series.y[i] : 0.0);
    }
  }
  return outline;
}

Json json_of(const Series& series, bool log_x) {
  const bool steps = series.kind == "steps";
  const bool edges = steps && series.x.size() == series.y.size() + 1;
  require(edges || series.x.size() == series.y.size(), series.label,
          "a series needs as many x as y");
  require(series.error.empty() || series.error.size() == series.y.size(), series.label,
          "errors need one entry per point");
  require(!steps || series.error.empty(), series.label, "steps have no errors");
  Outline drawn{series.x, series.y};
  if (edges && !series.y.empty()) {
    drawn.y.push_back(series.y.back());
  } else if (steps) {
    drawn = outline_of_centres(series, log_x);
  }
  Json json = {{"label", series.label},
               {"color", series.color},
               {"kind", series.kind},
               {"x", numbers(drawn.x)},
               {"y", numbers(drawn.y)}};
  if (!series.error.empty()) {
    json["error"] = numbers(series.error);
  }
  return json;
}

struct ToJson {
  Json operator()(const Text& block) const { return {{"type", "text"}, {"text", block.text}}; }

  Json operator()(const DataTable& block) const {
    for (const auto& row : block.rows) {
      require(row.size() == block.header.size(), block.title,
              "a row is longer or shorter than the header");
    }
    return {
        {"type", "table"}, {"title", block.title}, {"header", block.header}, {"rows", block.rows}};
  }

  Json operator()(const PictureRow& block) const {
    Json pictures = Json::array();
    for (const Picture& picture : block.pictures) {
      pictures.push_back(json_of(picture));
    }
    return {{"type", "pictures"}, {"title", block.title}, {"pictures", std::move(pictures)}};
  }

  Json operator()(const Chart& block) const {
    Json series = Json::array();
    for (const Series& one : block.series) {
      series.push_back(json_of(one, block.log_x));
    }
    return {{"type", "chart"},
            {"title", block.title},
            {"x_label", block.x_label},
            {"y_label", block.y_label},
            {"log_x", block.log_x},
            {"log_y", block.log_y},
            {"series", std::move(series)}};
  }
};

Json json_of(const Report& report) {
  Json facts = Json::array();
  for (const auto& [name, value] : report.facts) {
    facts.push_back({name, value});
  }
  Json sections = Json::array();
  for (const Section& section : report.sections) {
    Json blocks = Json::array();
    for (const Block& block : section.blocks) {
      blocks.push_back(std::visit(ToJson{}, block));
    }
    sections.push_back({{"title", section.title}, {"blocks", std::move(blocks)}});
  }
  return {{"title", report.title},
          {"subtitle", report.subtitle},
          {"facts", std::move(facts)},
          {"sections", std::move(sections)}};
}

// A "<" inside a data block could end it; JSON allows the escape in texts, and only texts hold one.
std::string escaped_for_script(const std::string& json) {
  std::string text;
  text.reserve(json.size());
  for (const char c : json) {
    if (c == '<') {
      text += "\\u003c";
    } else {
      text += c;
    }
  }
  return text;
}

std::string escaped_for_html(std::string_view plain) {
  std::string text;
  for (const char c : plain) {
    switch (c) {
      case '<':
        text += "&lt;";
        break;
      case '>':
        text += "&gt;";
        break;
      case '&':
        text += "&amp;";
        break;
      default:
        text += c;
    }
  }
  return text;
}

}  // namespace

std::string render(const Report& report) {
  const std::string data = escaped_for_script(
      json_of(report).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  std::string html;
  html.reserve(data.size() + page::kStyle.size() + page::kChartLibrary.size() +
               page::kScript.size() + page::kHtml.size());
  // The skeleton names its parts as {{part}}; parts are never searched for names themselves.
  std::string_view rest = page::kHtml;
  for (auto open = rest.find("{{"); open != std::string_view::npos; open = rest.find("{{")) {
    html += rest.substr(0, open);
    const auto close = rest.find("}}", open);
    const std::string_view part = rest.substr(open + 2, close - open - 2);
    if (part == "title") {
      html += escaped_for_html(report.title);
    } else if (part == "style") {
      html += page::kStyle;
    } else if (part == "chart-library") {
      html += page::kChartLibrary;
    } else if (part == "chart-license") {
      html += page::kChartLicense;
    } else if (part == "script") {
      html += page::kScript;
    } else if (part == "data") {
      html += data;
    }
    rest.remove_prefix(close + 2);
  }
  html += rest;
  return html;
}

}  // namespace skyloom::web
