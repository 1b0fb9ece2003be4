#include "pipelines/skycells/report.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include <fmt/format.h>

#include "pipelines/skycells/convolve/kernel_preview.hpp"
#include "pipelines/skycells/report_parts.hpp"
#include "pipelines/skycells/tables.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/engine/assemble.hpp"
#include "skyloom/engine/manifest.hpp"

namespace skyloom::skycells {
namespace {

/// Pixels of a cell that are not NaN, and all of them.
struct Filled {
  double pixels = 0.0;
  double all = 0.0;
};

Filled filled(const ReportInput& input) {
  const Table& list = input.products.table("combine", "list");
  Filled out;
  for (std::size_t i = 0; i < input.cells.rows(); ++i) {
    if (input.ending(i) != "ok") {
      continue;
    }
    const double area = static_cast<double>(list.get<std::int32_t>("width")[i]) *
                        list.get<std::int32_t>("height")[i];
    out.all += area;
    out.pixels += area - static_cast<double>(input.cells.get<std::int64_t>("n_nan")[i]);
  }
  return out;
}

std::vector<std::pair<std::string, std::string>> facts(const ReportInput& input) {
  const auto& status = input.cells.get<std::string>("status");
  const auto& bytes = input.cells.get<std::int64_t>("bytes_read");
  const Filled pixels = filled(input);
  const double read = std::accumulate(bytes.begin(), bytes.end(), 0.0);
  return {{"projections", std::to_string(input.projections.size())},
          {"cells", std::to_string(input.cells.rows())},
          {"failed", std::to_string(std::count(status.begin(), status.end(), "failed"))},
          {"megapixels", fmt::format("{:.1f}", 1e-6 * pixels.all)},
          {"without a value",
           pixels.all > 0.0 ? fmt::format("{:.2f} %", 100.0 * (1.0 - pixels.pixels / pixels.all))
                            : "-"},
          {"read", fmt::format("{:.1f} MB", 1e-6 * read)}};
}

/// Seconds that ranks spent in the units of a stage, and the cells and megapixels they did.
std::vector<std::string> throughput_row(const ReportInput& input, const engine::Manifest& manifest,
                                        const std::string& stage) {
  const engine::StageRecord* record = manifest.find(stage);
  const std::vector<double> seconds =
      input.products.range<double>(stage, std::string("provenance/") + "unit_seconds", 0,
                                   input.products.table(stage, "units").rows());
  const double sum = std::accumulate(seconds.begin(), seconds.end(), 0.0);
  const auto cells = static_cast<double>(input.products.table(stage, "cells").rows());
  const double mpx = 1e-6 * filled(input).all;
  const auto per = [](double a, double b, const char* format) {
    return b > 0.0 ? fmt::format(fmt::runtime(format), a / b) : std::string("-");
  };
  return {stage,
          std::to_string(static_cast<std::int64_t>(cells)),
          fmt::format("{:.2f}", sum),
          per(sum, cells, "{:.3f}"),
          per(mpx, sum, "{:.1f}"),
          record == nullptr ? "-" : fmt::format("{:.1f}", record->elapsed_s),
          record == nullptr ? "-" : fmt::format("{:.0f} %", 100.0 * record->idle_mean)};
}

web::DataTable throughput(const ReportInput& input) {
  web::DataTable table;
  table.title = "Time";
  table.header = {"stage",        "cells",       "rank seconds", "per cell [s]",
                  "Mpx / second", "elapsed [s]", "ranks idle"};
  const auto manifest = engine::read_manifest(input.products.directory());
  for (const std::string stage : {"combine", "convolve"}) {
    table.rows.push_back(throughput_row(input, manifest.value_or(engine::Manifest{}), stage));
  }
  return table;
}

std::string method_name(numerics::GaussianMethod method) {
  switch (method) {
    case numerics::GaussianMethod::automatic:
      return "auto";
    case numerics::GaussianMethod::direct:
      return "direct sums";
    case numerics::GaussianMethod::fft:
      return "Fourier transforms";
    case numerics::GaussianMethod::multirate:
      return "multirate";
    case numerics::GaussianMethod::expsum:
      return "sums of exponentials";
  }
  return {};
}

web::DataTable method(const Config& config) {
  const numerics::GaussianPlan plan = config.gaussian();
  web::DataTable table;
  table.title = "Convolution";
  table.header = {"quantity", "value"};
  table.rows = {
      {"method", method_name(plan.method)},
      {"sigma of the Gaussian [pix]", fmt::format("{:g}", plan.sigma)},
      {"cut at [pix]", plan.radius > 0 ? std::to_string(plan.radius) : "not cut"},
      {"bound of the error, of the largest value", fmt::format("{:.1e}", plan.error_bound)}};
  if (plan.method == numerics::GaussianMethod::multirate) {
    table.rows.push_back({"D, pixels between coarse samples", std::to_string(plan.step)});
    table.rows.push_back(
        {"s, sigma of the narrow Gaussians in units of D", fmt::format("{:g}", plan.narrow)});
    table.rows.push_back({"R1, where these are cut [pix]", std::to_string(plan.reach)});
  }
  table.rows.push_back({"missing pixels", config.psf.missing});
  table.rows.push_back({"sky", config.needs_variance() ? "0 outside of sources" : "kept"});
  table.rows.push_back({"saturated stars", config.saturation.mode});
  table.rows.push_back(
      {"paddings by other projections", config.geometry.cross_projection ? "yes" : "no"});
  return table;
}

std::vector<std::string> cell_row(const ReportInput& input, std::size_t i) {
  const Table& c = input.cells;
  const Table& list = input.products.table("combine", "list");
  const double area =
      static_cast<double>(list.get<std::int32_t>("width")[i]) * list.get<std::int32_t>("height")[i];
  const bool is_ok = input.ending(i) == "ok";
  const auto number = [&](const char* column) {
    return is_ok ? fmt::format("{:.4g}", c.get<double>(column)[i]) : std::string("-");
  };
  const auto percent = [&](const char* column) {
    return is_ok ? fmt::format("{:.2f}",
                               100.0 * static_cast<double>(c.get<std::int64_t>(column)[i]) / area)
                 : std::string("-");
  };
  return {c.get<std::string>("name")[i],
          input.ending(i) == "ok" ? "ok" : "failed in " + input.ending(i),
          c.get<std::string>("bands")[i],
          fmt::format("{:.1f}", 1e-6 * static_cast<double>(c.get<std::int64_t>("bytes_read")[i])),
          percent("n_missing"),
          percent("n_masked"),
          percent("n_nan"),
          number("mean"),
          number("maximum")};
}

}  // namespace

std::vector<std::size_t> ReportInput::rows_of(int projection) const {
  std::vector<std::size_t> rows;
  const auto& of = cells.get<std::int32_t>("projection");
  for (std::size_t i = 0; i < of.size(); ++i) {
    if (of[i] == projection) {
      rows.push_back(i);
    }
  }
  return rows;
}

std::string ReportInput::ending(std::size_t row) const {
  if (cells.get<std::string>("status")[row] == "ok") {
    return "ok";
  }
  const std::string& message = cells.get<std::string>("message")[row];
  return message.substr(0, message.find(':'));
}

std::vector<StoredPreview> ReportInput::previews_of(int projection) const {
  const Table& table = products.table("convolve", "previews");
  const auto get = [&](const char* column, std::size_t i) {
    return table.get<std::int32_t>(column)[i];
  };
  std::vector<StoredPreview> out;
  for (std::size_t i = 0; i < table.rows(); ++i) {
    if (get("projection", i) != projection) {
      continue;
    }
    StoredPreview preview{table.get<std::string>("name")[i],
                          get("x", i),
                          get("y", i),
                          get("first_x", i),
                          get("first_y", i),
                          Image<float>(kPreviewPoints, kPreviewPoints)};
    const std::size_t n = preview.points.pixels().size();
    std::copy_n(table.get<float>("points").begin() + static_cast<std::ptrdiff_t>(i * n), n,
                preview.points.pixels().begin());
    out.push_back(std::move(preview));
  }
  return out;
}

std::string ending_color(const std::string& ending) {
  return ending == "ok" ? "#2e9e4f" : ending == "combine" ? "#e53935" : "#fb8c00";
}

web::Section method_section(const ReportInput& input, std::vector<std::string>& problems) {
  web::SectionWriter section("Method", problems);
  section.draw("table of the method",
               [&]() -> std::vector<web::Block> { return {method(input.config)}; });
  section.draw("table of times", [&]() -> std::vector<web::Block> { return {throughput(input)}; });
  return section.take();
}

web::Section cells_section(const ReportInput& input, std::vector<std::string>& problems) {
  web::SectionWriter section("Cells", problems);
  section.draw("table of failed cells", [&]() -> std::vector<web::Block> {
    web::DataTable table;
    table.header = {"skycell", "stage", "reason"};
    std::size_t failed = 0;
    for (std::size_t i = 0; i < input.cells.rows(); ++i) {
      const std::string ending = input.ending(i);
      if (ending == "ok" || ++failed > kRowsShown) {
        continue;
      }
      const std::string& message = input.cells.get<std::string>("message")[i];
      table.rows.push_back({input.cells.get<std::string>("name")[i], ending,
                            message.substr(std::min(message.size(), ending.size() + 2))});
    }
    if (failed == 0) {
      return {web::Text{"No cell failed.", false}};
    }
    table.title = failed > kRowsShown
                      ? fmt::format("The first {} of {} failed cells", kRowsShown, failed)
                      : fmt::format("Failed cells: {}", failed);
    return {table};
  });
  section.draw("table of cells", [&]() -> std::vector<web::Block> {
    web::DataTable table;
    const std::size_t rows = std::min(kRowsShown, input.cells.rows());
    table.title = rows < input.cells.rows()
                      ? fmt::format("The first {} of {} cells", rows, input.cells.rows())
                      : "All cells";
    table.header = {"skycell",    "status",  "bands", "read [MB]", "missing [%]",
                    "masked [%]", "NaN [%]", "mean",  "maximum"};
    for (std::size_t i = 0; i < rows; ++i) {
      table.rows.push_back(cell_row(input, i));
    }
    return {table};
  });
  return section.take();
}

web::Report report(const Config& config, const engine::Products& products,
                   const engine::ReportOptions& options) {
  if (!options.cutouts.empty()) {
    throw ConfigError("--cutouts", "skycells has no cut-outs", "no such option");
  }
  ReportInput input{config, products, cell_table(config, products), {}};
  const auto& projections = input.cells.get<std::int32_t>("projection");
  const std::set<int> distinct(projections.begin(), projections.end());
  input.projections.assign(distinct.begin(), distinct.end());
  web::Report out;
  out.title = "Skycells";
  out.subtitle =
      fmt::format("Bands {} combined, padded and convolved with a Gaussian of {:g} pixels",
                  fmt::join(config.bands.use, ", "), config.psf.sigma);
  out.facts = facts(input);
  const auto add = [&](web::Section section) {
    if (!section.blocks.empty()) {
      out.sections.push_back(std::move(section));
    }
  };
  add(sky_section(input, out.problems));
  add(projections_section(input, out.problems));
  add(seams_section(input, out.problems));
  add(stars_section(input, out.problems));
  add(method_section(input, out.problems));
  add(cells_section(input, out.problems));
  return out;
}

}  // namespace skyloom::skycells
