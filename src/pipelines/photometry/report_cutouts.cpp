// Cut-outs of sources: data, model and residual in every band. The images are read again and the
// model is made from the fitted parameters, so that a fit spends nothing on pictures.

#include "pipelines/photometry/report_cutouts.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <tuple>

#include <fmt/format.h>

#include "pipelines/photometry/report_parts.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/core/log.hpp"

namespace skyloom::photometry {
namespace {

constexpr std::size_t kSample = 6;

double total_snr(const Table& catalogue, const std::vector<std::string>& bands, std::size_t row) {
  double sum = 0.0;
  for (const std::string& band : bands) {
    const double snr = catalogue.get<double>("FLUX_" + band + "_fit")[row] /
                       catalogue.get<double>("FLUXERR_" + band + "_fit")[row];
    sum += std::isfinite(snr) && snr > 0.0 ? snr * snr : 0.0;
  }
  return std::sqrt(sum);
}

double worst_chi2(const Table& catalogue, const std::vector<std::string>& bands, std::size_t row) {
  double worst = 0.0;
  for (const std::string& band : bands) {
    worst = std::fmax(worst, catalogue.get<double>("chi2_" + band)[row]);
  }
  return worst;
}

/// Three from bright to faint, and the three with the largest chi2.
std::vector<std::size_t> sample_of(const ReportInput& input, std::vector<std::size_t> rows) {
  const Table& catalogue = input.products.table("catalogue", "catalogue");
  const std::vector<std::string>& bands = input.survey.bands;
  std::vector<double> snr(catalogue.rows(), 0.0);
  std::vector<double> chi2(catalogue.rows(), 0.0);
  for (const std::string& band : bands) {
    const auto& flux = catalogue.get<double>("FLUX_" + band + "_fit");
    const auto& error = catalogue.get<double>("FLUXERR_" + band + "_fit");
    const auto& of_band = catalogue.get<double>("chi2_" + band);
    for (const std::size_t row : rows) {
      snr[row] = std::fmax(snr[row], flux[row] / error[row]);
      chi2[row] = std::fmax(chi2[row], of_band[row]);
    }
  }
  if (rows.size() <= kSample) {
    return rows;
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [&](std::size_t a, std::size_t b) { return snr[a] > snr[b]; });
  std::vector<std::size_t> out{rows[0], rows[rows.size() / 4], rows[rows.size() / 2]};
  std::stable_sort(rows.begin(), rows.end(),
                   [&](std::size_t a, std::size_t b) { return chi2[a] > chi2[b]; });
  for (std::size_t i = 0; i < rows.size() && out.size() < kSample; ++i) {
    if (std::find(out.begin(), out.end(), rows[i]) == out.end()) {
      out.push_back(rows[i]);
    }
  }
  return out;
}

/// Catalogue rows of names; a source without ID is named by its row.
/// @throws ConfigError for a name that the catalogue does not have
std::vector<std::size_t> named_rows(const Table& catalogue, const std::vector<std::string>& names) {
  const std::vector<std::string> ids =
      catalogue.has("ID") ? catalogue.texts("ID") : std::vector<std::string>(catalogue.rows());
  std::multimap<std::string, std::size_t> row_of;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    row_of.emplace(ids[i].empty() ? fmt::format("{:06d}", i) : ids[i], i);
  }
  std::vector<std::size_t> out;
  for (const std::string& name : names) {
    const auto [first, last] = row_of.equal_range(name);
    if (first == last) {
      throw ConfigError("--cutouts", "no source " + name + " in the catalogue",
                        catalogue.has("ID") ? "expected values of the column ID, or all"
                                            : "expected six-digit row numbers, or all");
    }
    std::transform(first, last, std::back_inserter(out), [](const auto& at) { return at.second; });
  }
  return out;
}

/// Catalogue rows to draw, in the order they are shown.
std::vector<std::size_t> wanted_rows(const ReportInput& input,
                                     const std::vector<std::string>& names) {
  const Config::PatchRun& p = input.config.patch_run;
  const Table& catalogue = input.products.table("catalogue", "catalogue");
  const bool all = names == std::vector<std::string>{"all"};
  if (!names.empty() && !all) {
    return named_rows(catalogue, names);
  }
  if (p.no_cutouts && !all) {
    return {};
  }
  const auto& type = catalogue.get<std::string>("stype_fit");
  std::vector<std::size_t> rows;
  for (std::size_t i = 0; i < type.size(); ++i) {
    if (!type[i].empty()) {
      rows.push_back(i);
    }
  }
  rows.erase(rows.begin(),
             rows.begin() + std::min<std::ptrdiff_t>(p.cutout_start,
                                                     static_cast<std::ptrdiff_t>(rows.size())));
  if (p.cutout_max_sources > 0) {
    rows.resize(std::min(rows.size(), static_cast<std::size_t>(p.cutout_max_sources)));
    return rows;
  }
  return all ? rows : sample_of(input, std::move(rows));
}

/// The source drawn and what surrounds it.
struct Montage {
  const ReportInput& report;
  const DrawnPatch& patch;
  std::size_t row = 0;  ///< of the catalogue
};

/// Positions in a band's pixels, fitted or given.
std::pair<double, double> placed(const Montage& montage, const BandView& view, double x, double y) {
  const Box& roi = montage.patch.input.patch.roi;
  return {view.matrix[0] * (x - roi.x0) + view.matrix[1] * (y - roi.y0) + view.dx,
          view.matrix[2] * (x - roi.x0) + view.matrix[3] * (y - roi.y0) + view.dy};
}

/// A box of the wanted size around a position, smaller by as much on both sides at the edges.
Box shrunk_box(double x, double y, int size, const Box& all) {
  const auto axis = [size](double centre, int end) {
    const int c = std::clamp(static_cast<int>(std::lround(centre)), 0, end - 1);
    const int half = std::min({size / 2, c, end - 1 - c});
    return std::pair{c - half, std::min(c + half + (half == size / 2 ? size % 2 : 1), end)};
  };
  const auto [x0, x1] = axis(x, all.x1);
  const auto [y0, y1] = axis(y, all.y1);
  return {x0, x1, y0, y1};
}

web::Markers crosshair(const char* label, const char* color, std::pair<double, double> at,
                       const Box& box, bool dashed) {
  web::Markers lines;
  lines.label = label;
  lines.color = color;
  lines.shape = "line";
  lines.dashed = dashed;
  lines.counted = false;
  // Arms that leave the source itself free.
  const double gap = std::max(3.0, 0.08 * std::max(box.width(), box.height()));
  const auto arm = [&](double x, double y, double x2, double y2) {
    mark(lines, x, y);
    lines.x2.push_back(x2);
    lines.y2.push_back(y2);
  };
  const auto [x, y] = at;
  arm(x, box.y0 - 0.5, x, y - gap);
  arm(x, y + gap, x, box.y1 - 0.5);
  arm(box.x0 - 0.5, y, x - gap, y);
  arm(x + gap, y, box.x1 - 0.5, y);
  return lines;
}

/// Crosshairs of the source, crosses of the others in the box.
std::vector<web::Markers> marks_in(const Montage& montage, const FitColumns& column,
                                   const BandView& view, const Box& box) {
  const Table& catalogue = column.catalogue;
  const auto input_at = [&](std::size_t row) {
    return placed(montage, view, catalogue.get<double>("x_pix_white")[row],
                  catalogue.get<double>("y_pix_white")[row]);
  };
  const auto fit_at = [&](std::size_t row) {
    return placed(montage, view, column("x_pix_white", row), column("y_pix_white", row));
  };
  web::Markers others_input;
  others_input.label = "others, input";
  others_input.color = "#ff9800";
  others_input.shape = "cross";
  others_input.radius_pix = 3.0;
  web::Markers others_fit = others_input;
  others_fit.label = "others, fit";
  others_fit.color = "#2196f3";
  for (const std::int64_t number : montage.patch.input.patch.source_row) {
    const auto row = static_cast<std::size_t>(number);
    if (row == montage.row) {
      continue;
    }
    const auto [x, y] = input_at(row);
    const auto [u, v] = fit_at(row);
    if (box.contains(x, y)) {
      mark(others_input, x, y);
    }
    if (std::isfinite(u) && box.contains(u, v)) {
      mark(others_fit, u, v);
    }
  }
  std::vector<web::Markers> out{crosshair("fit", "#ff00ff", fit_at(montage.row), box, false),
                                crosshair("input", "#00ff00", input_at(montage.row), box, true)};
  for (web::Markers* group : {&others_input, &others_fit}) {
    if (!group->x.empty()) {
      out.push_back(std::move(*group));
    }
  }
  return out;
}

Image<float> cut(const Image<float>& image, const Box& box) {
  Image<float> out(box.width(), box.height());
  for (int y = box.y0; y < box.y1; ++y) {
    for (int x = box.x0; x < box.x1; ++x) {
      out(y - box.y0, x - box.x0) = image(y, x);
    }
  }
  return out;
}

/// Data, model and residual of one band.
std::array<web::Picture, 3> band_pictures(const Montage& montage, const FitColumns& column,
                                          const std::string& band, const BandView& view) {
  const Config::PatchRun& p = montage.report.config.patch_run;
  const Table& catalogue = column.catalogue;
  // Bands that are fitted apart share the centre, so that their columns compare.
  const bool apart = column.names.apart;
  const auto centre = placed(montage, view,
                             apart ? catalogue.get<double>("x_pix_white")[montage.row]
                                   : column("x_pix_white", montage.row),
                             apart ? catalogue.get<double>("y_pix_white")[montage.row]
                                   : column("y_pix_white", montage.row));
  const Box box = shrunk_box(centre.first, centre.second, p.cutout_size, view.data.box());
  web::Picture data;
  data.title = band + ": data";
  data.pixels = cut(view.data, box);
  data.unit = "scaled flux / pixel";
  data.scale = std::clamp(180.0 / std::max(box.width(), box.height()), 0.2, 8.0);
  data.x0 = box.x0;
  data.y0 = box.y0;
  data.markers = marks_in(montage, column, view, box);
  web::Picture model = data;
  model.title = band + ": model + sky";
  model.pixels = cut(view.model, box);
  web::Picture residual = data;
  residual.title = band + ": residual";
  for (std::size_t i = 0; i < residual.pixels.pixels().size(); ++i) {
    residual.pixels.pixels()[i] -= model.pixels.pixels()[i];
  }
  residual.colors = "diverging";
  Image<float> size = residual.pixels;
  std::transform(size.pixels().begin(), size.pixels().end(), size.pixels().begin(),
                 [](float v) { return std::abs(v); });
  residual.high = quantiles_of(size, 0.0, 0.01 * p.cutout_resid_p_abs).second;
  residual.low = -residual.high;
  std::tie(data.low, data.high) =
      quantiles_of(data.pixels, 0.01 * p.cutout_data_p_lo, 0.01 * p.cutout_data_p_hi);
  std::tie(model.low, model.high) =
      quantiles_of(model.pixels, 0.01 * p.cutout_model_p_lo, 0.01 * p.cutout_model_p_hi);
  for (web::Picture* picture : {&data, &model, &residual}) {
    place_markers(*picture);
  }
  return {data, model, residual};
}

web::PictureRow montage_of(const Montage& montage) {
  const ReportInput& report = montage.report;
  const Table& catalogue = report.products.table("catalogue", "catalogue");
  const FitStage::Patch& patch = montage.patch.input.patch;
  const FitNames names{report.config.fits_bands_apart()};
  std::vector<std::array<web::Picture, 3>> columns;
  for (std::size_t b = 0; b < patch.bands.size(); ++b) {
    const BandView view = band_view(montage.patch, static_cast<int>(b));
    if (!view.data.empty()) {
      columns.push_back(
          band_pictures(montage, {catalogue, names, names.apart ? patch.bands[b] : std::string()},
                        patch.bands[b], view));
    }
  }
  const std::string id = catalogue.has("ID") ? catalogue.texts("ID")[montage.row] : std::string();
  web::PictureRow row;
  row.columns = static_cast<int>(columns.size());
  row.file = "src_" + (id.empty() ? fmt::format("{:06d}", montage.row) : file_part(id));
  row.title =
      fmt::format("{} ({}), patch {}: S/N {:.0f}, largest chi2 {:.2f}", id.empty() ? row.file : id,
                  catalogue.get<std::string>("stype_fit")[montage.row], patch.patch_tag,
                  total_snr(catalogue, patch.bands, montage.row),
                  worst_chi2(catalogue, patch.bands, montage.row));
  for (std::size_t k = 0; k < 3; ++k) {
    for (std::array<web::Picture, 3>& column : columns) {
      row.pictures.push_back(std::move(column[k]));
      // One legend is enough for all.
      if (k > 0 || &column != &columns.front()) {
        for (web::Markers& group : row.pictures.back().markers) {
          group.label.clear();
        }
      }
    }
  }
  return row;
}

/// Row of /patches that a catalogue row was fitted in; Table::npos without a fit.
std::size_t patch_of(const ReportInput& input, std::size_t row) {
  const Table& catalogue = input.products.table("catalogue", "catalogue");
  const Table& patches = input.products.table("patches", "patches");
  const std::string& tag = catalogue.get<std::string>("patch_tag")[row];
  const auto field =
      std::find_if(input.survey.fields.begin(), input.survey.fields.end(), [&](const Field& f) {
        const auto [first, last] = input.survey.rows(catalogue, f);
        return row >= first && row < last;
      });
  const auto [first, last] = input.survey.rows(patches, *field);
  for (std::size_t i = first; i < last && !tag.empty(); ++i) {
    if (patches.get<std::string>("patch_tag")[i] == tag) {
      return i;
    }
  }
  return Table::npos;
}

}  // namespace

web::Section cutouts_section(const ReportInput& input, const engine::ReportOptions& options,
                             std::vector<std::string>& problems) {
  SectionWriter section("Cut-outs of sources", problems);
  const std::vector<std::size_t> rows = wanted_rows(input, options.cutouts);
  if (rows.empty()) {
    return section.take();
  }
  Log silent(1);  // what it would say was said during the fit
  std::unique_ptr<FitStage::Context> context;
  section.draw("cut-outs", [&]() -> std::vector<web::Block> {
    context = FitStage::open(input.config, input.products, silent);
    return {
        web::Text{"Data, model with sky, and residual in every band; several images of a band "
                  "are averaged with the weights of the fit. For others: skyloom report DIR "
                  "--cutouts ID[,ID...]"}};
  });
  std::size_t at = Table::npos;
  DrawnPatch patch;
  for (const std::size_t row : rows) {
    section.draw(
        fmt::format("cut-outs of catalogue row {}", row), [&]() -> std::vector<web::Block> {
          const std::size_t wanted = context != nullptr ? patch_of(input, row) : Table::npos;
          if (wanted == Table::npos) {
            return {web::Text{fmt::format("Catalogue row {} was not fitted.", row)}};
          }
          if (wanted != at) {
            at = Table::npos;
            patch = drawn_patch(input, *context, wanted);
            at = wanted;
          }
          return {montage_of({input, patch, row})};
        });
  }
  return section.take();
}

}  // namespace skyloom::photometry
