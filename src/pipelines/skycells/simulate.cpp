#include "pipelines/skycells/simulate.hpp"

#include <array>
#include <system_error>
#include <vector>

#include <fmt/format.h>

#include "pipelines/skycells/simulate_maps.hpp"
#include "pipelines/skycells/simulate_sky.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/io/files.hpp"
#include "skyloom/io/fits.hpp"

namespace skyloom::skycells {
namespace {

namespace fs = std::filesystem;

constexpr int kSector = 20;
constexpr int kCamera = 3;
constexpr int kCcd = 3;

void make_folder(const fs::path& folder) {
  std::error_code failure;
  fs::create_directories(folder, failure);
  if (failure) {
    throw ConfigError(folder.string(), "cannot be created", failure.message());
  }
}

/// Bits of a mask as PS1 lists them in its headers.
std::vector<io::FitsCard> mask_cards(std::vector<io::FitsCard> cards) {
  struct Bit {
    const char* name;
    std::int64_t value;
  };
  constexpr std::array kBits{
      Bit{"DETECTOR", 0x0001},  Bit{"FLAT", 0x0002},      Bit{"DARK", 0x0004},
      Bit{"BLANK", 0x0008},     Bit{"CTE", 0x0010},       Bit{"SAT", 0x0020},
      Bit{"LOW", 0x0040},       Bit{"SUSPECT", 0x0080},   Bit{"BURNTOOL", 0x0080},
      Bit{"CR", 0x0100},        Bit{"SPIKE", 0x0200},     Bit{"GHOST", 0x0400},
      Bit{"STREAK", 0x0800},    Bit{"STARCORE", 0x1000},  Bit{"CONV.BAD", 0x2000},
      Bit{"CONV.POOR", 0x4000}, Bit{"MARK.VALUE", 0x8000}};
  std::erase_if(cards, [](const io::FitsCard& card) {
    return card.first == "BSOFTEN" || card.first == "BOFFSET";
  });
  cards.emplace_back("MSKNUM", static_cast<std::int64_t>(kBits.size()));
  for (std::size_t i = 0; i < kBits.size(); ++i) {
    cards.emplace_back(fmt::format("MSKNAM{:02}", i), std::string(kBits.at(i).name));
    cards.emplace_back(fmt::format("MSKVAL{:02}", i), kBits.at(i).value);
  }
  return cards;
}

void write_plane(const SimulatedSky& sky, const surveys::Skycell& cell, std::size_t band,
                 const fs::path& folder) {
  const SimulatedPlane plane = draw_plane(sky, cell, band);
  const surveys::StoredIntegers& integers = plane.scaling.integers;
  io::FitsImage image{plane.stored.view(), plane_cards(sky, cell, band), true};
  io::FitsImage mask{plane.mask.view(), mask_cards(image.cards), true};
  image.cards.emplace_back("BZERO", integers.bzero);
  image.cards.emplace_back("BSCALE", integers.bscale);
  image.cards.emplace_back("BLANK", integers.blank.value());
  const std::string stem =
      fmt::format("rings.v3.{}.stk.{}.unconv", cell.id.name(), sky.options.bands[band]);
  io::write_fits_images(folder / (stem + ".fits"), {&image, 1});
  io::write_fits_images(folder / (stem + ".mask.fits"), {&mask, 1});
}

/// Offsets and region of interest as `downsample` reads them: all of the detector.
std::string offsets_text(const DetectorGrid& grid) {
  return fmt::format(
      "{{\n  \"sector\": {}, \"camera\": {}, \"ccd\": {},\n"
      "  \"x_min\": 0, \"x_max\": {}, \"y_min\": 0, \"y_max\": {},\n  \"groups\": [\n"
      "    {{\"group_dx\": 0.0, \"group_dy\": 0.0}},\n"
      "    {{\"group_dx\": 0.25, \"group_dy\": -0.5}},\n"
      "    {{\"group_dx\": -1.0, \"group_dy\": 0.125}}\n  ]\n}}\n",
      kSector, kCamera, kCcd, grid.width, grid.height);
}

std::string toml_text(const SimulationOptions& options, const SkyOptions& sky) {
  const surveys::RowRules& rules = sky.rules;
  std::string text = fmt::format(
      "# Skycells of two simulated projections that meet; truth.csv has the stars that were put "
      "in.\n\n[inputs]\nsector = {}\ncamera = {}\nccd = {}\ndata_root = \"data\"\n",
      kSector, kCamera, kCcd);
  if (sky.cell_width > 0) {
    // As many pixels per sigma between the edge and the rim of a row as in real cells.
    text += fmt::format(
        "\n[geometry]\noverlap = {}\nedge_exclusion = {}\npad = {}\n\n[psf]\nsigma = {:.1f}\n"
        "radius = {}\n",
        rules.overlap, rules.edge, rules.pad, rules.pad / 8.0, rules.pad - rules.edge);
  }
  text += "\n[downsample]\nenabled = false\njobs = \"offsets.json\"\n";
  return text + fmt::format("\n[run]\nseed = {}\n", options.seed);
}

}  // namespace

void simulate(const SimulationOptions& options) {
  const SimulatedSky sky = make_sky(sky_options(options.size, options.seed));
  const fs::path data = options.folder / "data";
  const fs::path detector = fs::path(fmt::format("sector_{:04}", kSector)) /
                            fmt::format("camera_{}", kCamera) / fmt::format("ccd_{}", kCcd);
  const std::string stem = fmt::format("tess_s{:04}_{}_{}", kSector, kCamera, kCcd);
  const fs::path mapping = data / "skycell_pixel_mapping" / detector;
  make_folder(mapping);
  for (const surveys::Skycell& cell : sky.list.cells) {
    const fs::path folder = data / "ps1_skycells" / cell.id.projection_text() / cell.id.cell_text();
    make_folder(folder);
    for (std::size_t band = 0; band < sky.options.bands.size(); ++band) {
      write_plane(sky, cell, band, folder);
    }
  }
  io::write_atomically(mapping / (stem + "_master_skycells_list.csv"),
                       io::csv_text(metadata_table(sky)));
  const DetectorGrid grid = detector_grid(sky);
  write_registration(sky, grid, mapping, stem, 1);
  if (options.size == "tiny") {
    const fs::path fine = data / "skycell_pixel_mapping" / "oversampling_2" / detector;
    make_folder(fine);
    io::write_atomically(fine / (stem + "_master_skycells_list_os2.csv"),
                         io::csv_text(metadata_table(sky)));
    write_registration(sky, grid, fine, stem, 2);
  }
  io::write_atomically(options.folder / "offsets.json", offsets_text(grid));
  io::write_atomically(options.folder / "truth.csv", io::csv_text(truth_table(sky)));
  io::write_atomically(options.folder / "skycells.toml", toml_text(options, sky.options));
}

}  // namespace skyloom::skycells
