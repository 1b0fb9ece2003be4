#include <algorithm>
#include <iterator>
#include <limits>

#include "pipelines/photometry/background/stage.hpp"
#include "pipelines/photometry/epsf/stage.hpp"
#include "pipelines/photometry/objects/stage.hpp"

namespace skyloom::photometry {

std::unique_ptr<ObjectsStage::Context> ObjectsStage::open(const Config& config,
                                                          const engine::Products& before,
                                                          Log& /*log*/) {
  auto context = std::make_unique<Context>();
  context->survey = survey_from_product(config, before);
  context->before = &before;
  return context;
}

namespace {

std::unique_ptr<ObjectsStage::OpenBand> open_band(const ObjectsStage::Context& context,
                                                  std::size_t row, const epsf::Options& options) {
  auto open = std::make_unique<ObjectsStage::OpenBand>(
      ObjectsStage::OpenBand{OpenFrame(context.survey, row), {}, {}});
  open->input.width = open->frame.used.width();
  open->input.height = open->frame.used.height();
  const std::vector<background::Node> nodes =
      background_of_frame(*context.before, static_cast<int>(row));
  if (!nodes.empty()) {
    open->band = epsf::make_band(open->input, options, nodes);
  }
  return open;
}

/// Tiles of a frame that have rows, numbers increasing: first row of each, and the end of all.
struct TileRows {
  std::vector<int> tile;
  std::vector<std::size_t> first;
};

TileRows tile_rows(const Table& table) {
  TileRows out;
  const auto& tiles = table.get<std::int32_t>("tile");
  for (std::size_t i = 0; i < tiles.size(); ++i) {
    if (i == 0 || tiles[i] != tiles[i - 1]) {
      out.tile.push_back(tiles[i]);
      out.first.push_back(i);
    }
  }
  out.first.push_back(tiles.size());
  return out;
}

objects::Object object_at(const Table& table, std::size_t i) {
  const auto number = [&](const char* column) {
    return static_cast<double>(table.get<float>(column)[i]);
  };
  objects::Object object;
  // The isophotal flux is not kept.
  object.detection = {table.get<double>("x")[i],
                      table.get<double>("y")[i],
                      number("a"),
                      number("b"),
                      std::numeric_limits<double>::quiet_NaN(),
                      number("peak")};
  object.flux = number("flux");
  object.snr = number("snr");
  object.r50 = number("r50_pix");
  object.saturated = table.get<std::uint8_t>("saturated")[i] != 0;
  object.near_saturated = table.get<std::uint8_t>("near_saturated")[i] != 0;
  object.near_bad = table.get<std::uint8_t>("near_bad")[i] != 0;
  return object;
}

}  // namespace

ObjectsStage::Input ObjectsStage::load(const Config& config, Context& context,
                                       const engine::Unit& unit) {
  const auto [row, number] = frame_and_part(unit);
  Input input;
  input.options = effective_options(config);
  OpenBand& open =
      context.open.get(row, [&, &of = row] { return open_band(context, of, input.options); });
  const Box& used = open.frame.used;
  input.frame = static_cast<int>(row);
  input.number = static_cast<int>(number);
  input.tile = background::tiles(used.width(), used.height(), input.options).at(number);
  input.reach = objects::reach(input.tile, used.width(), used.height());
  input.fwhm_pix = open.frame.fwhm_pix;
  input.band = &open.band;
  input.pixels = open.frame.read(input.reach);
  return input;
}

objects::Objects objects_of_frame(const engine::Products& before, int frame, const Box& used,
                                  const epsf::Options& options) {
  const std::vector<Box> tiles = background::tiles(used.width(), used.height(), options);
  std::vector<objects::Found> found(tiles.size());
  const auto [first, last] = rows_of_frame(before, "objects", "objects", frame);
  const Table rows = before.rows("objects", "objects", first, last);
  const auto& tile = rows.get<std::int32_t>("tile");
  for (std::size_t i = 0; i < rows.rows(); ++i) {
    found.at(static_cast<std::size_t>(tile[i])).objects.push_back(object_at(rows, i));
  }
  const auto [begin, end] = rows_of_frame(before, "objects", "object_pixels", frame);
  const Table pieces = before.rows("objects", "object_pixels", begin, end);
  const auto& length = pieces.get<std::int32_t>("length");
  const auto& bytes = pieces.get<std::int32_t>("runs");  // small integers are read as these
  const TileRows parts = tile_rows(pieces);
  for (std::size_t k = 0; k < parts.tile.size(); ++k) {
    std::vector<std::uint8_t> packed;
    for (std::size_t i = parts.first[k]; i < parts.first[k + 1]; ++i) {
      const auto from = bytes.begin() + static_cast<std::ptrdiff_t>(i * kRunBytes);
      std::transform(from, from + length[i], std::back_inserter(packed),
                     [](std::int32_t byte) { return static_cast<std::uint8_t>(byte); });
    }
    const auto number = static_cast<std::size_t>(parts.tile[k]);
    found.at(number).runs =
        objects::unpacked(packed, objects::reach(tiles[number], used.width(), used.height()));
  }
  return objects::join(found, used.height());
}

}  // namespace skyloom::photometry
