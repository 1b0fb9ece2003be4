#include "pipelines/skycells/export_cell.hpp"

#include <filesystem>
#include <utility>

#include <fmt/format.h>

#include "pipelines/skycells/convolve/stage.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/engine/pipeline_run.hpp"
#include "skyloom/surveys/convolved_image.hpp"
#include "skyloom/surveys/skycell_image.hpp"

namespace skyloom::skycells {
namespace {

namespace fs = std::filesystem;

surveys::SkycellId asked_cell(const Config& config) {
  const auto id = surveys::parse_skycell_name(config.exported.cell);
  if (!id) {
    throw ConfigError("export.cell",
                      config.exported.cell.empty()
                          ? std::string("missing")
                          : "\"" + config.exported.cell + "\" is no skycell",
                      "expected a name such as skycell.1405.053");
  }
  return *id;
}

/// The row of a cell among those of its projection.
class CellRow {
 public:
  CellRow(const surveys::ConvolvedImages& images, const surveys::SkycellId& id)
      : cells_(images.cells(id.projection)), row_(images.plane(id)) {}

  [[nodiscard]] int integer(const char* column) const {
    return cells_.get<std::int32_t>(column)[row_];
  }
  [[nodiscard]] double real(const char* column) const { return cells_.get<double>(column)[row_]; }

 private:
  const Table& cells_;
  std::size_t row_;
};

}  // namespace

void declare_export(ConfigSpec& spec, Config& c) {
  spec.table("export", "What `skycells export-cell` writes.");
  spec.add("export.cell", &c.exported.cell, Key{.help = "skycell, such as skycell.1405.053"});
  spec.add(
      "export.run", &c.exported.run,
      Key{.help = "directory of the run; empty = NAME.run beside NAME.toml", .input_path = true});
}

std::vector<engine::Tool> export_tools() {
  return {{"export-cell", "write the convolved cell export.cell as a FITS file"}};
}

int use_export_tool(const Config& config, std::string_view /*name*/,
                    const engine::ToolOptions& options) {
  const surveys::SkycellId id = asked_cell(config);
  const fs::path run =
      config.exported.run.empty() ? options.run_directory : fs::path(config.exported.run);
  const surveys::ConvolvedImages images(run / ConvolveStage::slab_file(config));
  (void)images.plane(id);  // complains when the cell is not there
  const CellRow cell(images, id);
  const Box whole{0, cell.integer("NAXIS1"), 0, cell.integer("NAXIS2")};
  std::vector<io::FitsCard> cards{{"SKYCELL", id.name()}, {"CTYPE1", "RA---TAN"},
                                  {"CTYPE2", "DEC--TAN"}, {"CUNIT1", "deg"},
                                  {"CUNIT2", "deg"},      {"RADESYS", "FK5"},
                                  {"EQUINOX", 2000.0},    {"LONPOLE", surveys::kSkycellLonpoleDeg}};
  for (const char* keyword :
       {"CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "CD1_1", "CD1_2", "CD2_1", "CD2_2"}) {
    cards.emplace_back(keyword, cell.real(keyword));
  }
  io::FitsImage image{{}, cards};
  const Image<float> pixels = images.read(id, whole);
  image.pixels = pixels.view();
  image.cards.emplace_back("BUNIT", "count/s");
  image.cards.emplace_back("MAGZERO", surveys::kSkycellZeroPoint);
  image.cards.emplace_back("CREATOR", std::string("skyloom ") + SKYLOOM_VERSION);
  const Image<std::uint16_t> bits = images.read_mask(id, whole);
  io::FitsImage mask{bits.view(), std::move(cards)};
  mask.cards.emplace_back("EXTNAME", "MASK");
  const fs::path file = options.out.empty() ? fs::path(id.name() + ".fits") : options.out;
  engine::write_fits_file(file, {{std::move(image), std::move(mask)}, nullptr});
  options.print(fmt::format("{}: {} x {} pixels\n", file.string(), whole.width(), whole.height()));
  return engine::kExitComplete;
}

}  // namespace skyloom::skycells
