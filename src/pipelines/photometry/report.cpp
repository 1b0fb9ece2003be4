#include "pipelines/photometry/report.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "pipelines/photometry/catalogue/stage.hpp"
#include "pipelines/photometry/report_parts.hpp"

namespace skyloom::photometry {
namespace {

std::string subtitle(const Config& config) {
  if (config.patch_run.forced) {
    return "Forced fluxes per image: positions and shapes held at the catalogue's";
  }
  return config.fits_bands_apart() ? "Every band fitted by itself" : "Simultaneous multi-band fit";
}

std::vector<std::pair<std::string, std::string>> facts(const ReportInput& input) {
  const engine::Products& products = input.products;
  const Table& catalogue = products.table("catalogue", "catalogue");
  const auto& type = catalogue.get<std::string>("stype_fit");
  const auto fitted = static_cast<std::size_t>(
      std::count_if(type.begin(), type.end(), [](const auto& name) { return !name.empty(); }));
  const auto converged = converged_rows(input.config, catalogue, input.survey.bands);
  const auto n_converged = std::count(converged.begin(), converged.end(), 1);
  std::vector<std::pair<std::string, std::string>> out{
      {"bands", std::to_string(input.survey.bands.size())},
      {"frames", std::to_string(products.table("frames", "frames").rows())},
      {"catalogue rows", std::to_string(catalogue.rows())},
      {"fitted", std::to_string(fitted)},
      {"converged", fitted > 0 ? fmt::format("{:.1f} %", 100.0 * static_cast<double>(n_converged) /
                                                             static_cast<double>(fitted))
                               : std::string("-")},
      {"patches", std::to_string(products.table("patches", "patches").rows())}};
  if (input.survey.is_listed) {
    out.insert(out.begin(), {"fields", std::to_string(input.survey.fields.size())});
  }
  return out;
}

}  // namespace

web::Report report(const Config& config, const engine::Products& products,
                   const engine::ReportOptions& options) {
  const ReportInput input{config, products, survey_from_product(config, products)};
  web::Report out;
  out.title = input.survey.is_listed
                  ? fmt::format("Photometry of {} field{}", input.survey.fields.size(),
                                input.survey.fields.size() == 1 ? "" : "s")
                  : "Photometry of " + config.field_entries().front().tile_name;
  out.subtitle = subtitle(config);
  out.dpi = config.plotting_dpi;
  out.facts = facts(input);
  const auto add = [&](web::Section section) {
    if (!section.blocks.empty()) {
      out.sections.push_back(std::move(section));
    }
  };
  add(fields_section(input, out.problems));
  add(white_section(input, out.problems));
  add(fit_section(input, out.problems));
  add(cutouts_section(input, options, out.problems));
  add(light_curves_section(input, out.problems));
  add(truth_section(input, out.problems));
  add(zero_point_section(input, out.problems));
  add(epsf_section(input, out.problems));
  add(catalogue_section(input, out.problems));
  add(frames_section(input, out.problems));
  return out;
}

}  // namespace skyloom::photometry
