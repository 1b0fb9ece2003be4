#include <algorithm>

#include "pipelines/photometry/objects/stage.hpp"

namespace skyloom::photometry {

Schema objects_schema() {
  Schema schema;
  schema.tables = {
      {"objects",
       {{"frame", Type::int32, "", "row of /frames"},
        {"tile", Type::int32, "", "tile of the frame"},
        {"x", Type::float64, "pix", "barycentre in the cropped frame, 0-based"},
        {"y", Type::float64, "pix", "barycentre in the cropped frame, 0-based"},
        {"a", Type::float32, "pix", "isophotal semi-axis"},
        {"b", Type::float32, "pix", "the smaller one"},
        {"peak", Type::float32, "", "brightest pixel, scaled flux"},
        {"flux", Type::float32, "", "aperture flux, scaled"},
        {"snr", Type::float32, "", "its signal-to-noise"},
        {"r50_pix", Type::float32, "pix", "half-light radius; NaN up to a signal-to-noise of 5"},
        {"saturated", Type::boolean, "", "star with a saturated core"},
        {"near_saturated", Type::boolean, "", "a saturated pixel within 2 of the centre"},
        {"near_bad", Type::boolean, "", "a bad pixel within 1 of the centre"}}},
      {"object_pixels",
       {{"frame", Type::int32, "", "row of /frames"},
        {"tile", Type::int32, "", "tile of the frame"},
        {"length", Type::int32, "", "bytes that count"},
        {"runs",
         Type::uint8,
         "",
         "pixels of the tile's objects: runs as numbers of 7 bits per byte, lowest first; see "
         "docs/pipelines/photometry.md",
         {kRunBytes}}}}};
  return schema;
}

ObjectsStage::Result ObjectsStage::compute(const Config& /*config*/, const Input& input,
                                           const Rng& /*rng*/) {
  Result result{input.frame, input.number, input.reach, {}};
  if (input.band->input != nullptr) {
    result.found = objects::find(input.band->prepare(input.pixels, input.reach), input.tile,
                                 input.fwhm_pix, input.options);
  }
  return result;
}

namespace {

void append_objects(const ObjectsStage::Result& result, Table& table) {
  const std::vector<objects::Object>& list = result.found.objects;
  table.add_rows(list.size());
  const auto put = [&](const char* column, auto value) {
    auto& values = table.get<float>(column);
    std::transform(list.begin(), list.end(), values.begin(), [&](const objects::Object& object) {
      return static_cast<float>(value(object));
    });
  };
  const auto flag = [&](const char* column, auto value) {
    auto& values = table.get<std::uint8_t>(column);
    std::transform(list.begin(), list.end(), values.begin(), [&](const objects::Object& object) {
      return static_cast<std::uint8_t>(value(object) ? 1 : 0);
    });
  };
  for (std::size_t i = 0; i < list.size(); ++i) {
    table.get<std::int32_t>("frame")[i] = result.frame;
    table.get<std::int32_t>("tile")[i] = result.tile;
    table.get<double>("x")[i] = list[i].detection.x;
    table.get<double>("y")[i] = list[i].detection.y;
  }
  put("a", [](const objects::Object& o) { return o.detection.a; });
  put("b", [](const objects::Object& o) { return o.detection.b; });
  put("peak", [](const objects::Object& o) { return o.detection.peak; });
  put("flux", [](const objects::Object& o) { return o.flux; });
  put("snr", [](const objects::Object& o) { return o.snr; });
  put("r50_pix", [](const objects::Object& o) { return o.r50; });
  flag("saturated", [](const objects::Object& o) { return o.saturated; });
  flag("near_saturated", [](const objects::Object& o) { return o.near_saturated; });
  flag("near_bad", [](const objects::Object& o) { return o.near_bad; });
}

void append_pixels(const ObjectsStage::Result& result, Table& table) {
  const std::vector<std::uint8_t> bytes = objects::packed(result.found.runs, result.reach);
  for (std::size_t begin = 0; begin < bytes.size(); begin += kRunBytes) {
    const std::size_t length = std::min(kRunBytes, bytes.size() - begin);
    const std::size_t row = table.add_row();
    table.set(row, "frame", result.frame);
    table.set(row, "tile", result.tile);
    table.set(row, "length", static_cast<std::int64_t>(length));
    auto& column = table.get<std::uint8_t>("runs");
    const auto from = bytes.begin() + static_cast<std::ptrdiff_t>(begin);
    std::copy(from, from + static_cast<std::ptrdiff_t>(length),
              column.begin() + static_cast<std::ptrdiff_t>(row * kRunBytes));
  }
}

}  // namespace

void ObjectsStage::append(const Config& /*config*/, const Result& result, engine::Rows& rows) {
  append_objects(result, rows.table("objects"));
  append_pixels(result, rows.table("object_pixels"));
}

}  // namespace skyloom::photometry
