#include "skyloom/web/report.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <string_view>
#include <utility>

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
  const bool line = markers.shape == "line" || markers.shape == "box";
  require(!line || (markers.x2.size() == markers.x.size() && markers.y2.size() == markers.x.size()),
          markers.label, "lines and boxes need both ends");
  require(markers.names.empty() || markers.names.size() == markers.x.size(), markers.label,
          "names need one entry per marker");
  Json json = {{"label", markers.label},  {"color", markers.color},
               {"shape", markers.shape},  {"radius", number(markers.radius_pix)},
               {"x", numbers(markers.x)}, {"y", numbers(markers.y)}};
  json["dashed"] = markers.dashed;
  if (markers.counted) {
    json["count"] = markers.x.size() + markers.not_drawn;
  }
  if (line) {
    json["x2"] = numbers(markers.x2);
    json["y2"] = numbers(markers.y2);
  }
  if (!markers.names.empty()) {
    json["names"] = markers.names;
  }
  return json;
}

Json json_of(const SkyMesh& sky) {
  const auto points = static_cast<std::size_t>(sky.columns) * static_cast<std::size_t>(sky.rows);
  require(sky.ra_deg.size() == points && sky.dec_deg.size() == points, "sky mesh",
          "needs one position per point");
  // Nine digits of a right ascension are a few milliarcseconds.
  return {{"columns", sky.columns},         {"rows", sky.rows},
          {"x_first", number(sky.x_first)}, {"x_step", number(sky.x_step)},
          {"y_first", number(sky.y_first)}, {"y_step", number(sky.y_step)},
          {"ra", numbers(sky.ra_deg)},      {"dec", numbers(sky.dec_deg)}};
}

/// Pixels of pictures; the same pixels with other markers are kept once.
class PixelPool {
 public:
  std::size_t add(std::string codes) {
    const auto [at, is_new] = index_.emplace(std::move(codes), index_.size());
    return at->second;
  }
  [[nodiscard]] Json json() const {
    std::vector<const std::string*> order(index_.size());
    for (const auto& [codes, index] : index_) {
      order[index] = &codes;
    }
    Json array = Json::array();
    for (const std::string* codes : order) {
      array.push_back(*codes);
    }
    return array;
  }

 private:
  std::map<std::string, std::size_t> index_;
};

Json json_of(const Picture& picture, PixelPool& pool) {
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
               {"axes", picture.axes},
               {"color_bar", picture.color_bar},
               {"file", picture.file},
               {"codes", pool.add(base64_of(quantised.codes))}};
  for (const PictureAxis& axis : picture.graph) {
    json["graph"].push_back(
        {{"label", axis.label}, {"first", number(axis.first)}, {"step", number(axis.step)}});
  }
  if (picture.sky.columns > 1 && picture.sky.rows > 1) {
    json["sky"] = json_of(picture.sky);
  }
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
  require(series.kind != "band" || series.error.size() == series.y.size(), series.label,
          "a band needs its half width as error");
  Outline drawn{series.x, series.y};
  if (edges && !series.y.empty()) {
    drawn.y.push_back(series.y.back());
  } else if (steps) {
    drawn = outline_of_centres(series, log_x);
  }
  Json json = {{"label", series.label},   {"color", series.color},   {"kind", series.kind},
               {"symbol", series.symbol}, {"dashed", series.dashed}, {"x", numbers(drawn.x)},
               {"y", numbers(drawn.y)}};
  if (!series.error.empty()) {
    json["error"] = numbers(series.error);
  }
  return json;
}

struct ToJson {
  PixelPool& pool;

  Json operator()(const Text& block) const {
    return {{"type", "text"}, {"text", block.text}, {"problem", block.problem}};
  }

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
      pictures.push_back(json_of(picture, pool));
    }
    return {{"type", "pictures"},
            {"title", block.title},
            {"columns", block.columns},
            {"file", block.file},
            {"pictures", std::move(pictures)}};
  }

  Json operator()(const Chart& block) const {
    Json series = Json::array();
    for (const Series& one : block.series) {
      series.push_back(json_of(one, block.log_x));
    }
    return {{"type", "chart"},          {"title", block.title},       {"x_label", block.x_label},
            {"y_label", block.y_label}, {"log_x", block.log_x},       {"log_y", block.log_y},
            {"file", block.file},       {"series", std::move(series)}};
  }
};

Json json_of(const Report& report) {
  Json facts = Json::array();
  for (const auto& [name, value] : report.facts) {
    facts.push_back({name, value});
  }
  PixelPool pool;
  Json sections = Json::array();
  for (const Section& section : report.sections) {
    Json blocks = Json::array();
    for (const Block& block : section.blocks) {
      blocks.push_back(std::visit(ToJson{pool}, block));
    }
    sections.push_back({{"title", section.title}, {"blocks", std::move(blocks)}});
  }
  return {{"title", report.title},     {"subtitle", report.subtitle},
          {"facts", std::move(facts)}, {"dpi", report.dpi},
          {"pixels", pool.json()},     {"sections", std::move(sections)}};
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

void check(const Block& block) {
  PixelPool pool;
  (void)std::visit(ToJson{pool}, block);
}

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
