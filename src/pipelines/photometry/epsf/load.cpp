#include <cmath>
#include <memory>
#include <utility>

#include "pipelines/photometry/background/stage.hpp"
#include "pipelines/photometry/epsf/stage.hpp"
#include "pipelines/photometry/fit/stage.hpp"
#include "pipelines/photometry/frame_pixels.hpp"
#include "pipelines/photometry/objects/stage.hpp"
#include "skyloom/surveys/gaia.hpp"

namespace skyloom::photometry {

epsf::Options effective_options(const Config& config) {
  epsf::Options options = config.epsf.kernel;
  options.local_variation = config.epsf.local_variation == "auto";
  options.residual = config.epsf.residual == "auto";
  options.moffat_beta = config.moffat_psf.beta;
  if (config.epsf.oversamp > 0) {
    options.oversamp = config.epsf.oversamp;
  } else {
    // The classical array has one sample per pixel unless more are asked for; tables of the field
    // model interpolate to 0.05 % with two (epsf.md 8).
    options.oversamp = options.method == "anderson-king" ? 1 : 2;
  }
  return options;
}

std::unique_ptr<EpsfStage::Context> EpsfStage::open(const Config& config,
                                                    const engine::Products& before, Log& log) {
  auto context = std::make_unique<Context>();
  context->survey = survey_from_product(config, before);
  context->before = &before;
  context->log = &log;
  return context;
}

namespace {

std::unique_ptr<EpsfStage::OpenField> open_field(const Config& config,
                                                 const EpsfStage::Context& context,
                                                 const Field& field) {
  std::vector<std::string> columns = position_columns();
  columns.insert(columns.end(), {"field", "RA", "DEC", "TYPE", "ELL", "THETA", "Re"});
  auto open = std::make_unique<EpsfStage::OpenField>();
  open->sources =
      field_rows(context.survey, *context.before, "frames", "sources", field, columns).table;
  const std::string& path = field.entry.gaiaxp_synphot_csv;
  if (config.epsf.use_gaiaxp && !path.empty()) {
    open->gaia = surveys::read_gaia(path, field.bands);
  }
  return open;
}

std::vector<epsf::KnownStar> known_stars(const Table& gaia, const sky::Wcs& wcs, const Box& frame,
                                         const std::string& band) {
  std::vector<epsf::KnownStar> stars;
  const std::string column = "mag_" + band;
  if (gaia.rows() == 0 || !gaia.has(column)) {
    return stars;
  }
  const auto& mag = gaia.get<double>(column);
  std::vector<double> x(mag.size());
  std::vector<double> y(mag.size());
  wcs.to_pixel(gaia.get<double>("ra"), gaia.get<double>("dec"), x, y);
  for (std::size_t i = 0; i < mag.size(); ++i) {
    if (std::isfinite(mag[i]) && std::isfinite(x[i]) && std::isfinite(y[i]) &&
        frame.contains(x[i], y[i])) {
      stars.push_back({x[i], y[i], mag[i]});
    }
  }
  return stars;
}

/// Positions of the field's catalogue in a frame.
struct Placed {
  std::vector<double> x;
  std::vector<double> y;
};

Placed placed_sources(const Table& sources, const Field& field, std::size_t frame,
                      const sky::Wcs& wcs) {
  if (field.on_grid[frame] != 0) {
    return {sources.get<double>("x_pix_white"), sources.get<double>("y_pix_white")};
  }
  Placed out{std::vector<double>(sources.rows()), std::vector<double>(sources.rows())};
  wcs.to_pixel(sources.get<double>("RA"), sources.get<double>("DEC"), out.x, out.y);
  return out;
}

std::vector<epsf::CatalogueSource> catalogue_sources(const Config& config, const Table& sources,
                                                     const Placed& placed, const Box& frame) {
  std::vector<epsf::CatalogueSource> out;
  if (!sources.has("TYPE")) {
    return out;
  }
  const auto& type = sources.get<std::string>("TYPE");
  const std::vector<fit::SourceStart> starts = config.epsf.kernel.passes > 1
                                                   ? starting_values(config, sources, {})
                                                   : std::vector<fit::SourceStart>(placed.x.size());
  for (std::size_t i = 0; i < placed.x.size(); ++i) {
    const std::string& name = type[i];
    // GAL says no more than that it is no star.
    const bool known = is_model_type(name) || name == "GAL";
    if (known && std::isfinite(placed.x[i]) && std::isfinite(placed.y[i]) &&
        frame.contains(placed.x[i], placed.y[i])) {
      const fit::SourceStart& start = starts[i];
      out.push_back({placed.x[i], placed.y[i], name == "STAR", start.type, start.re_pix,
                     start.axis_ratio, start.phi_deg, start.sersic_n});
    }
  }
  return out;
}

std::vector<epsf::Cell> cells_of(const Config& config, const Table& sources, const Field& field,
                                 const Placed& placed, const Box& frame) {
  const std::vector<std::uint8_t> active = active_sources(sources, field.box());
  std::vector<double> x;
  std::vector<double> y;
  for (std::size_t i = 0; i < active.size(); ++i) {
    if (active[i] != 0) {
      x.push_back(placed.x[i]);
      y.push_back(placed.y[i]);
    }
  }
  return active_cells(config, frame, x, y);
}

}  // namespace

EpsfStage::Input EpsfStage::load(const Config& config, Context& context, const engine::Unit& unit) {
  const auto row = static_cast<std::size_t>(std::stoull(unit.source));
  const auto [index, frame] = context.survey.frame_at(row);
  const Field& field = context.survey.fields[index];
  const OpenField& open =
      context.open.get(index, [&] { return open_field(config, context, field); });
  const surveys::FrameInfo& info = field.infos[frame];
  Input input;
  input.field = context.survey.label(field);
  input.band = info.band;
  input.frame = static_cast<int>(row);
  input.log = context.log;
  input.options = effective_options(config);
  const Box used = field.used_box(frame);
  input.kernel.width = used.width();
  input.kernel.height = used.height();
  input.kernel.read = box_reader(field.specs[frame], info, used);
  input.kernel.gain_e_per_flux = std::isfinite(info.egain) ? info.egain / info.scale : 0.0;
  input.kernel.saturation_scaled = info.saturate_adu * info.scale;
  input.kernel.fwhm_guess_pix = info.fwhm_pix;
  const Box frame_box{0, used.width(), 0, used.height()};
  const sky::Wcs wcs = frame_wcs(field, frame);
  const Placed placed = placed_sources(open.sources, field, frame, wcs);
  input.kernel.known_stars = known_stars(open.gaia, wcs, frame_box, info.band);
  input.kernel.catalogue = catalogue_sources(config, open.sources, placed, frame_box);
  if (input.options.method != "anderson-king") {
    input.found.nodes = background_of_frame(*context.before, input.frame);
    input.found.objects = objects_of_frame(*context.before, input.frame, used, input.options);
  }
  input.kernel.cells = cells_of(config, open.sources, field, placed, frame_box);
  return input;
}

EpsfStage::Result EpsfStage::compute(const Config& /*config*/, const Input& input,
                                     const Rng& /*rng*/) {
  Result result;
  result.field = input.field;
  result.band = input.band;
  result.frame = input.frame;
  result.cells = input.kernel.cells;
  result.kernel = input.options.method == "anderson-king"
                      ? epsf::build(input.kernel, input.options)
                      : epsf::build(input.kernel, input.options, input.found);
  for (const std::string& warning : result.kernel.warnings) {
    input.log->warning("epsf {}: {}", input.band, warning);
  }
  return result;
}

}  // namespace skyloom::photometry
