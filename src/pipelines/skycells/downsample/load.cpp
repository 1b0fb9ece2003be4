#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "pipelines/skycells/convolve/stage.hpp"
#include "pipelines/skycells/downsample/stage.hpp"
#include "pipelines/skycells/survey.hpp"
#include "skyloom/core/errors.hpp"

namespace skyloom::skycells {
namespace {

using Context = DownsampleStage::Context;
using Input = DownsampleStage::Input;
using Shift = DownsampleStage::Shift;
using surveys::PixelFraction;

class FileMap final : public MapRows {
 public:
  explicit FileMap(surveys::RegistrationMap rows) : rows_(std::move(rows)) {}
  void next(std::span<std::int32_t> pixels) override { rows_.next(pixels); }

 private:
  surveys::RegistrationMap rows_;
};

/// Holds one field at a time: that of a coarse grid may take 10 MB.
class StoredPixels final : public PixelRows {
 public:
  StoredPixels(const surveys::ConvolvedImages& images, const surveys::SkycellId& cell,
               std::vector<PixelFraction> fields)
      : images_(images), cell_(cell), fields_(std::move(fields)) {}

  void row(int field, int y, std::span<float> values, std::span<std::uint16_t> mask) override {
    if (field != field_) {
      rows_.emplace(images_, cell_, fields_.at(static_cast<std::size_t>(field)));
      field_ = field;
    }
    rows_->row(y, values, mask);
  }

 private:
  const surveys::ConvolvedImages& images_;
  surveys::SkycellId cell_;
  std::vector<PixelFraction> fields_;
  int field_ = -1;
  std::optional<surveys::ConvolvedRows> rows_;
};

struct Place {
  double x = 0.0;
  double y = 0.0;
};

Place moved(const sky::Wcs& from, const Place& pixel, const sky::Wcs& to) {
  double ra = 0.0;
  double dec = 0.0;
  Place out;
  from.to_sky({&pixel.x, 1}, {&pixel.y, 1}, {&ra, 1}, {&dec, 1});
  to.to_pixel({&ra, 1}, {&dec, 1}, {&out.x, 1}, {&out.y, 1});
  return out;
}

/// What the offsets of the detector are at the centre of a cell, in pixels of the cell.
std::vector<Shift> shifts_of(const surveys::Skycell& cell, const sky::Wcs& detector,
                             const std::vector<DetectorOffset>& offsets) {
  const sky::Wcs wcs(cell.wcs_cards(), cell.id.name());
  const Place centre{0.5 * (cell.width - 1), 0.5 * (cell.height - 1)};
  const Place on_detector = moved(wcs, centre, detector);
  const Place begin = moved(detector, on_detector, wcs);
  std::vector<Shift> out;
  for (const DetectorOffset& offset : offsets) {
    const Place end = moved(detector, {on_detector.x + offset.dx, on_detector.y + offset.dy}, wcs);
    const Shift shift{end.x - begin.x, end.y - begin.y};
    if (!std::isfinite(shift.x) || !std::isfinite(shift.y)) {
      throw UnitError(
          Reason::bad_input,
          fmt::format("offset {:.3f}, {:.3f} leaves the detector's WCS", offset.dx, offset.dy));
    }
    out.push_back(shift);
  }
  return out;
}

/// Whole pixels and, with a coarse grid, the rest: pixel (i, j) of the map takes
/// (i - x + fraction, j - y + fraction), which is i, j minus the shift.
std::vector<Displacement> displacements(const std::vector<Shift>& shifts, bool is_coarse,
                                        std::vector<PixelFraction>& fields) {
  std::vector<Displacement> out;
  for (const Shift& shift : shifts) {
    if (!is_coarse) {
      fields.resize(1);
      out.push_back(
          {0, static_cast<int>(std::lround(shift.x)), static_cast<int>(std::lround(shift.y))});
      continue;
    }
    const double x = std::ceil(shift.x);
    const double y = std::ceil(shift.y);
    const PixelFraction fraction{x - shift.x, y - shift.y};
    const auto found = std::find(fields.begin(), fields.end(), fraction);
    const auto field = static_cast<int>(found - fields.begin());
    if (found == fields.end()) {
      fields.push_back(fraction);
    }
    out.push_back({field, static_cast<int>(x), static_cast<int>(y)});
  }
  return out;
}

surveys::RegistrationMap opened_map(const engine::Unit& unit, const Config& config,
                                    const surveys::Skycell& cell) {
  if (unit.source.empty()) {
    throw UnitError(Reason::bad_input,
                    expected_cell_map(config, cell.id).string() + " does not exist");
  }
  surveys::RegistrationMap map(unit.source);
  if (map.width() != cell.width || map.height() != cell.height) {
    throw UnitError(Reason::bad_input,
                    fmt::format("{} has {} x {} pixels, the cell {} x {}", unit.source, map.width(),
                                map.height(), cell.width, cell.height));
  }
  return map;
}

}  // namespace

std::unique_ptr<Context> DownsampleStage::open(const Config& config, const engine::Products& before,
                                               Log& /*log*/) {
  auto context = std::make_unique<Context>();
  context->images.emplace(before.directory() / ConvolveStage::slab_file(config));
  context->detector = read_detector(config);
  context->wcs.emplace(context->detector.cards, master_map_file(config).string());
  return context;
}

Input DownsampleStage::load(const Config& config, Context& context, const engine::Unit& unit) {
  const auto id = surveys::parse_skycell_name(unit.key);
  const surveys::Skycell* cell = id ? found_survey(config).list.find(*id) : nullptr;
  if (cell == nullptr) {
    throw FatalError(unit.key + " is not in the list of skycells");
  }
  const Detector& detector = context.detector;
  Input input;
  input.cell = unit.key;
  input.sums.map = std::make_unique<FileMap>(opened_map(unit, config, *cell));
  input.shifts = shifts_of(*cell, *context.wcs, detector.offsets);
  input.sums.width = cell->width;
  input.sums.height = cell->height;
  input.sums.detector_width = detector.width * detector.oversample;
  input.sums.window = detector.fine_window();
  for (const int bit : config.downsample.ignore_mask_bits) {
    input.sums.ignored_bits = static_cast<std::uint16_t>(input.sums.ignored_bits | 1U << bit);
  }
  std::vector<PixelFraction> fields;
  input.sums.offsets = displacements(input.shifts, config.io.sampling == "coarse", fields);
  input.sums.pixels = std::make_unique<StoredPixels>(*context.images, cell->id, std::move(fields));
  return input;
}

}  // namespace skyloom::skycells
