#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>

#include "pipelines/photometry/frames/kernel.hpp"
#include "pipelines/photometry/frames/stage.hpp"
#include "skyloom/surveys/gaia.hpp"

namespace skyloom::photometry {
namespace {

constexpr int kStripRows = 128;

/// A position in a frame and what is looked at around it.
struct Disc {
  std::size_t source = 0;
  int x = 0;  ///< its pixel
  int y = 0;
  Box box;  ///< inside the used part
};

/// The positions that a frame holds, from bottom to top, so that it is read once.
std::vector<Disc> discs_in_frame(const sky::Wcs& wcs, const Box& used, int reach,
                                 const std::vector<double>& ra_deg,
                                 const std::vector<double>& dec_deg) {
  std::vector<double> x_pix(ra_deg.size());
  std::vector<double> y_pix(ra_deg.size());
  wcs.to_pixel(ra_deg, dec_deg, x_pix, y_pix);
  std::vector<Disc> discs;
  for (std::size_t i = 0; i < x_pix.size(); ++i) {
    if (!std::isfinite(x_pix[i]) || !std::isfinite(y_pix[i]) || std::abs(x_pix[i]) > 1e9 ||
        std::abs(y_pix[i]) > 1e9) {
      continue;
    }
    const int x = static_cast<int>(std::nearbyint(x_pix[i]));
    const int y = static_cast<int>(std::nearbyint(y_pix[i]));
    const Box box = Box{x - reach, x + reach + 1, y - reach, y + reach + 1}.intersect(
        {0, used.width(), 0, used.height()});
    if (!box.empty()) {
      discs.push_back({i, x, y, box});
    }
  }
  std::stable_sort(discs.begin(), discs.end(),
                   [](const Disc& a, const Disc& b) { return a.y < b.y; });
  return discs;
}

/// Whether every frame of a band that holds a position is saturated there: 1 + that, 0 = none holds
/// it. Where positions are dense, whole rows are read for all that lie there.
void saturated_in_frame(const Config& config, FramesStage::OpenField& open, std::size_t frame,
                        const std::vector<double>& ra_deg, const std::vector<double>& dec_deg,
                        std::vector<std::uint8_t>& state) {
  constexpr double kRowInPixels = 1000.0;  // reading a few pixels of a row costs as much as so many
  const Box used = open.field.used_box(frame);
  const double radius = config.saturation_cut.radius_pix;
  const int reach = static_cast<int>(std::floor(radius));
  const std::vector<Disc> discs = discs_in_frame(*open.wcs[frame], used, reach, ra_deg, dec_deg);
  const auto read = [&](const Box& box) {
    return open.readers[frame]->read_bad(
        {box.x0 + used.x0, box.x1 + used.x0, box.y0 + used.y0, box.y1 + used.y0});
  };
  for (std::size_t first = 0; first < discs.size();) {
    Box all = discs[first].box;
    double rows = 0.0;
    std::size_t last = first;
    for (; last < discs.size() && discs[last].y < discs[first].y + kStripRows; ++last) {
      const Box& box = discs[last].box;
      all = {std::min(all.x0, box.x0), std::max(all.x1, box.x1), std::min(all.y0, box.y0),
             std::max(all.y1, box.y1)};
      rows += box.height();
    }
    const bool dense = kRowInPixels * rows > static_cast<double>(all.width()) * all.height();
    Image<std::uint8_t> bad = dense ? read(all) : Image<std::uint8_t>();
    const std::vector<std::uint8_t> columns = frames::saturated_columns(std::as_const(bad).view());
    for (; first < last; ++first) {
      const Disc& disc = discs[first];
      const Box& from = dense ? all : disc.box;
      if (!dense) {
        bad = read(disc.box);
      }
      const bool near = !dense || std::any_of(columns.begin() + (disc.box.x0 - all.x0),
                                              columns.begin() + (disc.box.x1 - all.x0),
                                              [](std::uint8_t any) { return any != 0; });
      const bool hit = near && frames::saturated_within(std::as_const(bad).view(), from.x0, from.y0,
                                                        disc.x, disc.y, radius);
      std::uint8_t& of = state[disc.source];
      of = of == 1 || !hit ? 1 : 2;
    }
  }
}

/// Number of bands that are saturated within the radius of every position. Of several frames of a
/// band, all that hold the position must be: one good epoch is enough for a flux.
std::vector<int> saturated_bands(const Config& config, FramesStage::OpenField& open,
                                 const std::vector<double>& ra_deg,
                                 const std::vector<double>& dec_deg) {
  std::vector<int> hits(ra_deg.size(), 0);
  if (!config.saturation_cut.enabled) {
    return hits;
  }
  for (std::size_t band = 0; band < open.field.bands.size(); ++band) {
    std::vector<std::uint8_t> state(hits.size(), 0);
    bool known = true;
    for (std::size_t frame = 0; frame < open.field.size(); ++frame) {
      if (open.field.band_of_frame[frame] != static_cast<int>(band)) {
        continue;
      }
      known = known && std::isfinite(open.field.infos[frame].saturate_adu);
      if (known) {
        saturated_in_frame(config, open, frame, ra_deg, dec_deg, state);
      }
    }
    for (std::size_t i = 0; known && i < hits.size(); ++i) {
      hits[i] += state[i] == 2 ? 1 : 0;
    }
  }
  return hits;
}

/// Stars of the Gaia table within the magnitude limits; `saturated` stays empty.
frames::GaiaStars load_gaia(const Config& config, FramesStage::OpenField& open,
                            const sky::Wcs& wcs) {
  const std::string& path = open.field.entry.gaiaxp_synphot_csv;
  const Table table = surveys::read_gaia(path, open.field.bands);
  surveys::require_zero_point_columns(table, path);
  const auto& g_mag = table.get<double>("phot_g_mean_mag");
  std::vector<std::size_t> rows;
  for (std::size_t i = 0; i < g_mag.size(); ++i) {
    if (g_mag[i] >= config.zp.gaia_mag_min && g_mag[i] <= config.zp.gaia_mag_max) {
      rows.push_back(i);
    }
  }
  const auto taken = [&](const auto& values) {
    std::decay_t<decltype(values)> out;
    for (const std::size_t row : rows) {
      out.push_back(values[row]);
    }
    return out;
  };
  frames::GaiaStars stars;
  stars.id = taken(table.get<std::string>("source_id"));
  stars.ra_deg = taken(table.get<double>("ra"));
  stars.dec_deg = taken(table.get<double>("dec"));
  for (const std::string& band : open.field.bands) {
    stars.mags.push_back(
        table.has("mag_" + band)
            ? taken(table.get<double>("mag_" + band))
            : std::vector<double>(rows.size(), std::numeric_limits<double>::quiet_NaN()));
  }
  stars.x_pix.resize(rows.size());
  stars.y_pix.resize(rows.size());
  wcs.to_pixel(stars.ra_deg, stars.dec_deg, stars.x_pix, stars.y_pix);
  return stars;
}

FramesStage::Input::Sources load_sources(const Config& config, FramesStage::OpenField& open,
                                         Log& log) {
  const Field& field = open.field;
  FramesStage::Input::Sources out;
  std::vector<std::string> notes;
  out.catalogue = base_catalogue(config, field, &notes);
  for (const std::string& note : notes) {
    log.warning("{}", note);
  }
  const std::size_t n = out.catalogue.rows();
  out.x_pix.resize(n);
  out.y_pix.resize(n);
  const auto& ra = out.catalogue.get<double>("RA");
  const auto& dec = out.catalogue.get<double>("DEC");
  open.wcs.front()->to_pixel(ra, dec, out.x_pix, out.y_pix);
  out.n_bands = static_cast<int>(field.bands.size());
  out.box = field.box();
  out.bands = field.bands;
  if (!field.calibrates(config)) {
    out.bands_hit = saturated_bands(config, open, ra, dec);
    return out;
  }
  // Sources and stars together, so that the images are read once.
  frames::GaiaStars& stars = out.gaia.emplace(load_gaia(config, open, *open.wcs.front()));
  std::vector<double> all_ra = ra;
  std::vector<double> all_dec = dec;
  all_ra.insert(all_ra.end(), stars.ra_deg.begin(), stars.ra_deg.end());
  all_dec.insert(all_dec.end(), stars.dec_deg.begin(), stars.dec_deg.end());
  out.bands_hit = saturated_bands(config, open, all_ra, all_dec);
  const int needed = config.saturation_cut.require_all_bands ? out.n_bands : 1;
  for (std::size_t i = n; i < out.bands_hit.size(); ++i) {
    stars.saturated.push_back(out.bands_hit[i] >= needed ? 1 : 0);
  }
  out.bands_hit.resize(n);
  return out;
}

FramesStage::Input::Frame load_frame(FramesStage::OpenField& open, std::size_t index) {
  FramesStage::Input::Frame out;
  out.info = open.field.infos[index];
  out.wcs_cards = open.field.wcs_cards[index];
  out.on_grid = open.field.on_grid[index] != 0;
  out.used = open.field.used_box(index);
  for (int y0 = out.used.y0; y0 < out.used.y1; y0 += kStripRows) {
    const int y1 = std::min(y0 + kStripRows, out.used.y1);
    const Image<std::uint8_t> verdicts =
        open.readers[index]->read_bad({out.used.x0, out.used.x1, y0, y1});
    std::array<std::int64_t, 256> count{};
    for (const std::uint8_t bad : verdicts.pixels()) {
      ++count[bad];
    }
    out.n_good += count[0];
    for (std::size_t bits = 1; bits < count.size(); ++bits) {
      out.n_not_finite += (bits & frames::kNotFinite) != 0 ? count[bits] : 0;
      out.n_saturated += (bits & frames::kSaturated) != 0 ? count[bits] : 0;
      out.n_masked += (bits & frames::kMasked) != 0 ? count[bits] : 0;
    }
  }
  return out;
}

FramesStage::Input::White load_white(const Config& config, FramesStage::OpenField& open,
                                     int first_row) {
  const Field& field = open.field;
  const auto chunks = white_chunks(config, field);
  const auto chunk = std::find_if(chunks.begin(), chunks.end(),
                                  [&](const auto& rows) { return rows.first == first_row; });
  const Box used = field.used_box(0);
  FramesStage::Input::White white;
  white.binning = preview_binning(config, field);
  white.box = {used.x0, used.x1, chunk->first, chunk->second};
  if (white.binning > 0) {
    white.box.x0 = 0;
    white.box.x1 = field.infos.front().width;
  }
  white.cropped = white.box.intersect(used);
  white.y0 = white.cropped.y0 - used.y0;
  std::vector<surveys::FrameReader*> readers;
  for (std::size_t i = 0; i < field.size(); ++i) {
    if (field.on_grid[i] != 0) {
      readers.push_back(open.readers[i].get());
    }
  }
  white.n_frames = readers.size();
  white.read = [readers](std::size_t frame, const Box& box) { return readers[frame]->read(box); };
  return white;
}

std::unique_ptr<FramesStage::OpenField> open_field(const Config& config, std::size_t index) {
  auto open = std::make_unique<FramesStage::OpenField>();
  open->field = field_from_inputs(config, index);
  for (std::size_t i = 0; i < open->field.size(); ++i) {
    open->readers.push_back(
        std::make_unique<surveys::FrameReader>(open->field.specs[i], open->field.infos[i]));
    open->wcs.push_back(std::make_unique<sky::Wcs>(frame_wcs(open->field, i)));
  }
  return open;
}

}  // namespace

std::unique_ptr<FramesStage::Context> FramesStage::open(const Config& config,
                                                        const engine::Products& /*before*/,
                                                        Log& log) {
  auto context = std::make_unique<Context>();
  context->log = &log;
  for (const FieldEntry& entry : config.field_entries()) {
    context->index.emplace(entry.tile_name, context->index.size());
  }
  if (config.zp.enabled && !config.calibrates()) {
    log.warning("no inputs.gaiaxp_synphot_csv: no stars are added and no zero points are measured");
  }
  return context;
}

FramesStage::Input FramesStage::load(const Config& config, Context& context,
                                     const engine::Unit& unit) {
  Input input;
  std::string key = unit.key;
  std::size_t index = 0;
  if (config.lists_fields()) {
    const std::size_t slash = key.find('/');
    input.field = key.substr(0, slash);
    index = context.index.at(input.field);
    key.erase(0, slash + 1);
  }
  OpenField& open = context.open.get(index, [&] { return open_field(config, index); });
  if (key == "sources") {
    input.sources = load_sources(config, open, *context.log);
    return input;
  }
  const std::size_t slash = key.find('/');
  const int number = std::stoi(key.substr(slash + 1));
  if (key.starts_with("frame/")) {
    input.frame = load_frame(open, static_cast<std::size_t>(number));
  } else {
    input.white = load_white(config, open, number);
  }
  return input;
}

}  // namespace skyloom::photometry
