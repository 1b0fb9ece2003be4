#include "pipelines/skycells/simulate_sky.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <set>
#include <span>

#include "pipelines/skycells/simulate_lanes.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/core/random.hpp"
#include "skyloom/sky/wcs.hpp"

namespace skyloom::skycells {
namespace {

constexpr double kDegree = std::numbers::pi / 180.0;

/// The grid of a projection: cell (x, y) begins at pixel (x step_x, y step_y).
surveys::Skycell grid_cell(const SkyOptions& options, const surveys::SkycellId& id) {
  if (options.cell_width == 0) {
    return surveys::tessellation_cell(id);
  }
  const surveys::TessellationRing* ring = surveys::ring_of_projection(id.projection);
  if (ring == nullptr) {
    throw ConfigError("simulate", "RINGS.V3 has no projection " + std::to_string(id.projection),
                      "numbers from 635 to 2643");
  }
  const ProjectionLayout& layout = options.layouts.at(id.projection);
  std::set<int> columns;
  for (const auto& [y, row] : layout) {
    columns.insert(row.begin(), row.end());
  }
  const int first_x = *columns.begin();
  const int slots = *columns.rbegin() - first_x + 1;
  const int step_x = options.cell_width - options.rules.overlap;
  const int step_y = options.cell_height - options.rules.overlap;
  surveys::Skycell cell;
  cell.id = id;
  cell.width = options.cell_width;
  cell.height = options.cell_height;
  cell.crval_deg = {360.0 * (id.projection - ring->first) / ring->count, ring->dec_deg};
  // The tangent point is the middle of the projection's columns and of its rows 0 to 9, and the
  // slots span the distance to the next one.
  const double scale_deg =
      360.0 / ring->count * std::cos(ring->dec_deg * kDegree) / (slots * step_x);
  cell.crpix = {
      0.5 * (slots * step_x + options.rules.overlap + 1) - (id.x - first_x) * step_x,
      0.5 * (surveys::kSkycellsPerAxis * step_y + options.rules.overlap + 1) - id.y * step_y};
  cell.cd = {-scale_deg, 0.0, 0.0, scale_deg};
  const double x_pix = 0.5 * (cell.width - 1);
  const double y_pix = 0.5 * (cell.height - 1);
  sky::Wcs(cell.wcs_cards(), id.name())
      .to_sky({&x_pix, 1}, {&y_pix, 1}, {&cell.ra_deg, 1}, {&cell.dec_deg, 1});
  return cell;
}

sky::Wcs wcs_of(const surveys::Skycell& cell) {
  return {cell.wcs_cards(), cell.id.name()};
}

/// Cells of the other projections that have pixels in a window of the master row, in their order.
std::vector<surveys::SkycellId> sources_of(const SimulatedSky& sky, const surveys::Skycell& cell,
                                           const Box& window) {
  constexpr int kLattice = 33;
  std::vector<double> x;
  std::vector<double> y;
  for (int j = 0; j < kLattice; ++j) {
    for (int i = 0; i < kLattice; ++i) {
      x.push_back(window.x0 + (window.width() - 1.0) * i / (kLattice - 1));
      y.push_back(window.y0 + (window.height() - 1.0) * j / (kLattice - 1));
    }
  }
  std::vector<double> ra(x.size());
  std::vector<double> dec(x.size());
  wcs_of(cell).to_sky(x, y, ra, dec);
  std::vector<surveys::SkycellId> out;
  const int edge = sky.options.rules.edge;
  for (const surveys::Skycell& other : sky.list.cells) {
    if (other.id.projection == cell.id.projection) {
      continue;
    }
    wcs_of(other).to_pixel(ra, dec, x, y);
    const Box inner = Box{0, other.width - 1, 0, other.height - 1}.grown(-edge);
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (inner.contains(x[i], y[i])) {
        out.push_back(other.id);
        break;
      }
    }
  }
  return out;
}

void find_pads(SimulatedSky& sky) {
  const auto projections = surveys::projection_rows(sky.list.cells, sky.options.rules);
  for (const surveys::ProjectionRows& projection : projections) {
    for (const surveys::SkycellRow& row : projection.rows) {
      for (const surveys::RowCell& place : row.cells) {
        surveys::Skycell& cell = sky.list.cells[place.index];
        for (std::size_t side = 0; side < surveys::kPadSideNames.size(); ++side) {
          const auto pad = static_cast<surveys::PadSide>(side);
          if (!surveys::pad_applies(projection, cell.id, pad)) {
            continue;
          }
          Box window = surveys::pad_window(place, pad, sky.options.rules);
          window = {window.x0 - place.placed.x0, window.x1 - place.placed.x0,
                    window.y0 - place.placed.y0, window.y1 - place.placed.y0};
          auto sources = sources_of(sky, cell, window);
          if (!sources.empty()) {
            cell.pads.push_back({pad, std::move(sources)});
          }
        }
      }
    }
  }
}

/// Numbers of one star, each a lane of its draw.
enum Lane : std::uint32_t { kX, kY, kFlux, kColour };

/// Counts per second that 16 bits hold, far above the noise.
constexpr double kStoredBscale = 2.115535619667e-4;
constexpr double kStoredBzero = 3.632529139519;
constexpr std::int16_t kStoredBlank = 32767;
constexpr double kSoftenPerNoise = 1.0 / 1.5;

void draw_stars(SimulatedSky& sky) {
  const SkyOptions& options = sky.options;
  for (const surveys::Skycell& cell : sky.list.cells) {
    const Rng rng(options.seed, "stars", cell.id.name());
    const sky::Wcs wcs = wcs_of(cell);
    for (int i = 0; i < options.stars_per_cell; ++i) {
      const auto draw = static_cast<std::uint64_t>(i);
      TrueStar star;
      star.id = cell.id.name() + "." + std::to_string(i);
      star.projection = cell.id.projection;
      const double x = rng.uniform(draw, 0.0, cell.width - 1.0, kX);
      const double y = rng.uniform(draw, 0.0, cell.height - 1.0, kY);
      wcs.to_sky({&x, 1}, {&y, 1}, {&star.ra_deg, 1}, {&star.dec_deg, 1});
      // Five decades below the saturated ones, as many stars in each.
      const bool is_saturated = i < options.saturated_per_cell;
      const double flux =
          options.noise * (is_saturated ? rng.uniform(draw, 1e6, 3e6, kFlux)
                                        : std::pow(10.0, rng.uniform(draw, 0.5, 5.0, kFlux)));
      const double colour = rng.uniform(draw, 0.8, 1.25, kColour);
      for (std::size_t band = 0; band < options.bands.size(); ++band) {
        star.flux.push_back(flux * std::pow(colour, static_cast<double>(band)));
      }
      sky.stars.push_back(std::move(star));
    }
  }
}

/// Adds a star at (x, y), in pixels of the projection, to a cell that begins at `origin`.
void add_star(Image<float>& image, double x, double y, double flux, double sigma, const Box& origin,
              double faintest) {
  const double peak = flux / (2.0 * std::numbers::pi * sigma * sigma);
  if (peak <= faintest) {
    return;
  }
  const double reach = sigma * std::sqrt(2.0 * std::log(peak / faintest)) + 1.0;
  const Box box = Box{static_cast<int>(std::floor(x - reach)), static_cast<int>(x + reach) + 1,
                      static_cast<int>(std::floor(y - reach)), static_cast<int>(y + reach) + 1}
                      .intersect(origin);
  if (box.empty()) {
    return;
  }
  std::vector<float> across(static_cast<std::size_t>(box.width()));
  for (int px = box.x0; px < box.x1; ++px) {
    const double r = (px - x) / sigma;
    across[static_cast<std::size_t>(px - box.x0)] = static_cast<float>(std::exp(-0.5 * r * r));
  }
  for (int py = box.y0; py < box.y1; ++py) {
    const double r = (py - y) / sigma;
    const auto along = static_cast<float>(peak * std::exp(-0.5 * r * r));
    const auto row = image.view()
                         .row(py - origin.y0)
                         .subspan(static_cast<std::size_t>(box.x0 - origin.x0), across.size());
    for (std::size_t i = 0; i < row.size(); ++i) {
      row[i] += along * across[i];
    }
  }
}

/// Light that varies slowly over the sky, from 0 to `amplitude`.
void add_extended(Image<float>& image, const surveys::Skycell& cell, double amplitude) {
  const sky::Wcs wcs = wcs_of(cell);
  const double wave_deg = cell.width * std::abs(cell.cd[3]);
  std::vector<double> x(static_cast<std::size_t>(cell.width));
  std::vector<double> y(x.size());
  std::vector<double> ra(x.size());
  std::vector<double> dec(x.size());
  for (int row = 0; row < cell.height; ++row) {
    for (std::size_t i = 0; i < x.size(); ++i) {
      x[i] = static_cast<double>(i);
      y[i] = row;
    }
    wcs.to_sky(x, y, ra, dec);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double along = std::cos(dec[i] * kDegree) * std::cos(ra[i] * kDegree) / kDegree;
      const double phase = 2.0 * std::numbers::pi / wave_deg;
      image(row, static_cast<int>(i)) += static_cast<float>(
          0.25 * amplitude * (1.0 + std::sin(phase * along)) * (1.0 + std::sin(phase * dec[i])));
    }
  }
}

/// The cell (0, 0) of a projection, whose pixels are those of the projection.
surveys::Skycell origin_cell(const SkyOptions& options, const surveys::Skycell& cell, Box& box) {
  surveys::Skycell origin = cell;
  const int step_x = cell.width - options.rules.overlap;
  const int step_y = cell.height - options.rules.overlap;
  box = {cell.id.x * step_x, cell.id.x * step_x + cell.width, cell.id.y * step_y,
         cell.id.y * step_y + cell.height};
  origin.crpix[0] += box.x0;
  origin.crpix[1] += box.y0;
  return origin;
}

Image<float> draw_truth(const SimulatedSky& sky, const surveys::Skycell& cell, std::size_t band) {
  const SkyOptions& options = sky.options;
  Box box;
  const sky::Wcs wcs = wcs_of(origin_cell(options, cell, box));
  std::vector<double> ra;
  std::vector<double> dec;
  for (const TrueStar& star : sky.stars) {
    ra.push_back(star.ra_deg);
    dec.push_back(star.dec_deg);
  }
  std::vector<double> x(ra.size());
  std::vector<double> y(ra.size());
  wcs.to_pixel(ra, dec, x, y);
  Image<float> image(cell.width, cell.height);
  const Box near = box.grown(static_cast<int>(20.0 * options.psf_sigma_pix));
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (near.contains(x[i], y[i])) {
      add_star(image, x[i], y[i], sky.stars[i].flux[band], options.psf_sigma_pix, box,
               1e-3 * options.noise);
    }
  }
  if (options.extended > 0.0) {
    add_extended(image, cell, options.extended);
  }
  return image;
}

using Bit = std::uint16_t;
constexpr Bit kBlankBit = 0x0008;
constexpr Bit kSaturatedBits = 0x0020 | 0x1000;  // SAT and STARCORE
constexpr Bit kConvBadBit = 0x2000;

/// Side of the squares of a projection that are masked or empty as a whole.
constexpr int kBlock = 16;

/// Sets a bit in the squares that were drawn with a probability, of those that meet columns from x0
/// on of the row y of the projection.
void mark_blocks(const Rng& rng, int x0, int y, double probability, Bit bit, std::span<Bit> row) {
  const int width = static_cast<int>(row.size());
  for (int block = x0 / kBlock; block * kBlock < x0 + width; ++block) {
    const auto draw =
        (static_cast<std::uint64_t>(y / kBlock) << 32U) | static_cast<std::uint64_t>(block);
    if (rng.uniform(draw) < probability) {
      const int first = std::max(0, block * kBlock - x0);
      const int last = std::min(width, (block + 1) * kBlock - x0);
      for (int x = first; x < last; ++x) {
        Bit& mask = row[static_cast<std::size_t>(x)];
        mask = static_cast<Bit>(mask | bit);
      }
    }
  }
}

/// The mask without saturated pixels: squares of bad ones, holes and the border without data.
void draw_mask(const SkyOptions& options, const std::string& key, const Box& box,
               Image<Bit>& mask) {
  const Rng bad(options.seed, "conv.bad", key);
  const Rng holes(options.seed, "holes", key);
  constexpr int kBorder = 3;
  for (int y = 0; y < mask.height(); ++y) {
    const std::span<Bit> row = mask.view().row(y);
    const int py = box.y0 + y;
    if (y > 0 && py % kBlock != 0) {
      const std::span<const Bit> same = mask.view().row(y - 1);
      std::copy(same.begin(), same.end(), row.begin());
    } else {
      mark_blocks(bad, box.x0, py, 0.05, kConvBadBit, row);
      mark_blocks(holes, box.x0, py, 0.01, kBlankBit, row);
    }
  }
  const Box filled = Box{0, mask.width(), 0, mask.height()}.grown(-kBorder);
  for (int y = 0; y < mask.height(); ++y) {
    for (int x = 0; x < mask.width();) {
      mask(y, x) = static_cast<Bit>(mask(y, x) | (filled.contains(x, y) ? 0 : kBlankBit));
      const bool jumps = y >= filled.y0 && y < filled.y1 && x == filled.x0 - 1;
      x = jumps ? filled.x1 : x + 1;
    }
  }
}

}  // namespace

SkyOptions sky_options(const std::string& size, std::uint64_t seed) {
  SkyOptions options;
  options.seed = seed;
  if (size == "tiny") {
    options.rules.overlap = 60;
    options.rules.edge = 4;
    options.rules.pad = 60;
    options.cell_width = 330;
    options.cell_height = 300;
    options.extended = 2.0;
    options.layouts = {{2404, {{4, {2, 3, 4}}, {5, {2, 4}}, {6, {2, 3}}}},
                       {2405, {{4, {3, 4, 5}}, {5, {3, 4, 5}}, {6, {4, 5}}}}};
  } else if (size == "small") {
    options.rules.overlap = 96;
    options.rules.edge = 6;
    options.rules.pad = 96;
    options.cell_width = 700;
    options.cell_height = 680;
    options.stars_per_cell = 300;
    options.saturated_per_cell = 3;
    options.layouts = {
        {2404, {{3, {2, 3, 4, 5}}, {4, {2, 3, 4, 5}}, {5, {2, 3, 5}}, {6, {2, 4, 5}}}},
        {2405, {{3, {4, 5, 6}}, {4, {3, 4, 5, 6}}, {5, {3, 4, 5, 6}}, {6, {5, 6}}}}};
  } else if (size == "row" || size == "full") {
    options.stars_per_cell = 20000;
    options.saturated_per_cell = 40;
    for (int y = 5; y < (size == "row" ? 6 : 8); ++y) {
      options.layouts[1405][y] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
      options.layouts[1406][y] = {8, 9};
    }
  } else {
    throw ConfigError("--size", "\"" + size + "\" is unknown", "tiny, small, full or row");
  }
  return options;
}

SimulatedSky make_sky(const SkyOptions& options) {
  SimulatedSky sky;
  sky.options = options;
  for (const auto& [projection, layout] : options.layouts) {
    for (const auto& [y, columns] : layout) {
      for (const int x : columns) {
        sky.list.cells.push_back(grid_cell(options, {projection, y, x}));
      }
    }
  }
  std::sort(sky.list.cells.begin(), sky.list.cells.end(),
            [](const surveys::Skycell& a, const surveys::Skycell& b) { return a.id < b.id; });
  for (std::size_t i = 0; i < sky.list.cells.size(); ++i) {
    sky.list.cells[i].line = static_cast<int>(i);
  }
  find_pads(sky);
  draw_stars(sky);
  return sky;
}

PlaneScaling plane_scaling(const SimulatedSky& sky, const surveys::Skycell& cell,
                           std::size_t band) {
  const Rng rng(sky.options.seed, "scaling", cell.id.name());
  PlaneScaling out;
  out.exptime_s = std::round(rng.uniform(band, 300.0, 1400.0, 0));
  out.asinh.linear = false;
  out.asinh.bsoften = kSoftenPerNoise * sky.options.noise * out.exptime_s;
  out.asinh.boffset = rng.uniform(band, 2.0, 9.0, 1);
  out.integers = {kStoredBzero, kStoredBscale, kStoredBlank};
  return out;
}

SimulatedPlane draw_plane(const SimulatedSky& sky, const surveys::Skycell& cell, std::size_t band) {
  const SkyOptions& options = sky.options;
  SimulatedPlane out{plane_scaling(sky, cell, band), Image<std::int16_t>(cell.width, cell.height),
                     Image<std::uint16_t>(cell.width, cell.height), draw_truth(sky, cell, band)};
  const std::string key = cell.id.projection_text() + "." + options.bands[band];
  Box box;
  (void)origin_cell(options, cell, box);
  draw_mask(options, key, box, out.mask);
  const StoreRule rule{static_cast<float>(options.noise),
                       static_cast<float>(out.scaling.exptime_s),
                       static_cast<float>(out.scaling.asinh.boffset),
                       static_cast<float>(out.scaling.asinh.bsoften),
                       static_cast<float>(kStoredBzero),
                       static_cast<float>(kStoredBscale),
                       kStoredBlank,
                       kBlankBit,
                       kSaturatedBits};
  const Rng noise(options.seed, "noise", key);
  for (int y = 0; y < cell.height; ++y) {
    store_row(rule, noise, box.x0, box.y0 + y, out.truth.view().row(y), out.mask.view().row(y),
              out.stored.view().row(y));
  }
  return out;
}

std::vector<io::FitsCard> plane_cards(const SimulatedSky& sky, const surveys::Skycell& cell,
                                      std::size_t band) {
  const PlaneScaling scaling = plane_scaling(sky, cell, band);
  const std::string filter = sky.options.bands[band] + ".00000";
  return {{"TESS_ID", "RINGS.V3"},
          {"SKYCELL", cell.id.name()},
          {"STK_TYPE", "DEEP_STACK"},
          {"PSCAMERA", "GPC1"},
          {"PSFORMAT", "SKYCELL"},
          {"CTYPE1", "RA---TAN"},
          {"CTYPE2", "DEC--TAN"},
          {"CRVAL1", cell.crval_deg[0]},
          {"CRVAL2", cell.crval_deg[1]},
          {"CRPIX1", cell.crpix[0]},
          {"CRPIX2", cell.crpix[1]},
          {"CDELT1", std::abs(cell.cd[0])},
          {"CDELT2", cell.cd[3]},
          {"PC001001", -1.0},
          {"PC001002", 0.0},
          {"PC002001", 0.0},
          {"PC002002", 1.0},
          {"HIERARCH FPA.TELESCOPE", "PS1"},
          {"HIERARCH FPA.INSTRUMENT", "GPC1"},
          {"HIERARCH FPA.FILTER", filter},
          {"HIERARCH FPA.ZP", surveys::kSkycellZeroPoint},
          {"EXPTIME", scaling.exptime_s},
          {"BSOFTEN", scaling.asinh.bsoften},
          {"BOFFSET", scaling.asinh.boffset}};
}

Table metadata_table(const SimulatedSky& sky) {
  TableSchema schema{"skycells",
                     {{"NAME", Type::text, "", ""},
                      {"projection", Type::int64, "", ""},
                      {"y", Type::int64, "", ""},
                      {"x", Type::int64, "", ""},
                      {"cell", Type::text, "", ""},
                      {"NAXIS1", Type::int64, "", ""},
                      {"NAXIS2", Type::int64, "", ""}}};
  const std::vector<std::string> numbers{"RA",     "DEC",   "CRVAL1", "CRVAL2", "CRPIX1",
                                         "CRPIX2", "CD1_1", "CD1_2",  "CD2_1",  "CD2_2"};
  for (const std::string& name : numbers) {
    schema.columns.push_back({name, Type::float64, "", ""});
  }
  schema.columns.push_back({"RADESYS", Type::text, "", ""});
  for (const std::string_view side : surveys::kPadSideNames) {
    schema.columns.push_back({"pad_skycell_" + std::string(side), Type::text, "", ""});
  }
  Table table(schema);
  for (const surveys::Skycell& cell : sky.list.cells) {
    const std::size_t row = table.add_row();
    table.set(row, "NAME", cell.id.name());
    table.set(row, "projection", cell.id.projection);
    table.set(row, "y", cell.id.y);
    table.set(row, "x", cell.id.x);
    table.set(row, "cell", cell.id.cell_text());
    table.set(row, "NAXIS1", cell.width);
    table.set(row, "NAXIS2", cell.height);
    table.set(row, "RADESYS", cell.radesys);
    const double values[] = {cell.ra_deg,   cell.dec_deg,  cell.crval_deg[0], cell.crval_deg[1],
                             cell.crpix[0], cell.crpix[1], cell.cd[0],        cell.cd[1],
                             cell.cd[2],    cell.cd[3]};
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      table.set(row, numbers[i], values[i]);
    }
    for (const surveys::SkycellPad& pad : cell.pads) {
      std::string text;
      for (const surveys::SkycellId& source : pad.sources) {
        text += (text.empty() ? "" : "/") + source.name();
      }
      const auto side = surveys::kPadSideNames[static_cast<std::size_t>(pad.side)];
      table.set(row, "pad_skycell_" + std::string(side), text);
    }
  }
  return table;
}

Table truth_table(const SimulatedSky& sky) {
  TableSchema schema{"truth",
                     {{"id", Type::text, "", "star"},
                      {"projection", Type::int64, "", "whose cell it was drawn for"},
                      {"ra", Type::float64, "deg", "right ascension"},
                      {"dec", Type::float64, "deg", "declination"}}};
  for (const std::string& band : sky.options.bands) {
    schema.columns.push_back({"flux_" + band, Type::float64, "ct/s", "flux in " + band});
  }
  Table table(schema);
  for (const TrueStar& star : sky.stars) {
    const std::size_t row = table.add_row();
    table.set(row, "id", star.id);
    table.set(row, "projection", star.projection);
    table.set(row, "ra", star.ra_deg);
    table.set(row, "dec", star.dec_deg);
    for (std::size_t band = 0; band < sky.options.bands.size(); ++band) {
      table.set(row, "flux_" + sky.options.bands[band], star.flux[band]);
    }
  }
  return table;
}

}  // namespace skyloom::skycells
