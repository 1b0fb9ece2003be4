#include "pipelines/photometry/simulate.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "pipelines/photometry/simulate_render.hpp"
#include "pipelines/photometry/simulate_scene.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/core/random.hpp"
#include "skyloom/io/files.hpp"
#include "skyloom/io/fits.hpp"

namespace skyloom::photometry {
namespace {

constexpr double kZeroPoint = 25.0;
constexpr int kPsfSidePix = 81;
constexpr int kPsfOversampling = 4;

/// What a size means, besides the defaults of SimulationOptions.
struct Preset {
  int side_pix;
  int n_sources;
  std::size_t n_bands;
  double faint_limit_mag;
  int crop_margin;
  int cells;
  int patches_per_cell;
};

Preset preset_of(const std::string& size) {
  if (size == "tiny") {
    return {256, 40, 3, 19.0, 16, 1, 2};
  }
  if (size == "small") {
    return {1024, 400, 5, 20.0, 32, 2, 4};
  }
  if (size == "full") {
    return {4096, 6000, 5, 20.0, 64, 7, 6};
  }
  throw ConfigError("--size", "\"" + size + "\" is unknown", "tiny, small or full");
}

std::vector<SimulatedBand> usual_bands(std::size_t count) {
  std::vector<SimulatedBand> bands{{"g", 4.4, 3.5, 24.85},
                                   {"r", 4.0, 3.3, 25.10},
                                   {"i", 3.7, 3.5, 25.00},
                                   {"z", 3.5, 3.2, 24.60},
                                   {"y", 3.9, 3.8, 24.20}};
  bands.resize(std::min(count, bands.size()));
  return bands;
}

SimulationOptions completed(SimulationOptions options, const Preset& preset) {
  if (options.side_pix == 0) {
    options.side_pix = preset.side_pix;
  }
  if (options.n_sources == 0) {
    options.n_sources = preset.n_sources;
  }
  if (options.faint_limit_mag == 0.0) {
    options.faint_limit_mag = preset.faint_limit_mag;
  }
  if (options.bands.empty()) {
    options.bands = usual_bands(preset.n_bands);
  }
  if (options.side_pix < 64 || options.n_sources < 0) {
    throw ConfigError("simulate", "no room for a field", "a side of at least 64 pixels");
  }
  for (const SimulatedBand& band : options.bands) {
    if (!(band.fwhm_pix >= 2.0) || !(band.beta > 1.5) || !(band.skysig_adu > 0.0) ||
        !(band.egain > 0.0) || band.name.empty()) {
      throw ConfigError("simulate", "band \"" + band.name + "\" cannot be simulated",
                        "a name, FWHM >= 2 pixels, beta > 1.5, noise and gain above 0");
    }
  }
  return options;
}

/// Expected counts without noise.
Image<double> noise_free(const SimulationOptions& options, const std::vector<TrueSource>& sources,
                         std::size_t band_index) {
  const SimulatedBand& band = options.bands[band_index];
  const double adu_per_flux = std::pow(10.0, 0.4 * (band.zp_mag - kZeroPoint));
  SceneRenderer renderer(band);
  Image<double> image(options.side_pix, options.side_pix);
  for (const TrueSource& source : sources) {
    renderer.add(source, source.flux[band_index] * adu_per_flux, 0.005 * band.skysig_adu,
                 image.view());
  }
  return image;
}

Image<float> observed(const SimulationOptions& options, const SimulatedBand& band,
                      const Image<double>& expected) {
  const Rng rng(options.seed, "simulate/noise", options.size + "/" + band.name);
  Image<float> image(options.side_pix, options.side_pix);
  const auto pixels = expected.pixels();
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    const double electrons = rng.poisson(i, std::max(0.0, pixels[i]) * band.egain, 0);
    const double counts = electrons / band.egain + band.skysig_adu * rng.normal(i, 1);
    image.pixels()[i] = static_cast<float>(std::min(counts, band.saturate_adu));
  }
  const Rng holes = rng.stream("nan");
  for (int k = 0; k < options.n_nan_pixels; ++k) {
    const auto draw = static_cast<std::uint64_t>(k);
    const int x = static_cast<int>(holes.uniform(draw, 0) * options.side_pix);
    const int y = static_cast<int>(holes.uniform(draw, 1) * options.side_pix);
    image(y, x) = std::numeric_limits<float>::quiet_NaN();
  }
  return image;
}

std::vector<io::FitsCard> cards_of(const SimulationOptions& options, const SimulatedBand& band) {
  const TangentPlane plane(options.ra_deg, options.dec_deg, options.pixel_scale_arcsec,
                           options.side_pix);
  return {{"CTYPE1", std::string("RA---TAN")},
          {"CTYPE2", std::string("DEC--TAN")},
          {"CUNIT1", std::string("deg")},
          {"CUNIT2", std::string("deg")},
          {"CRPIX1", plane.center_pix() + 1.0},
          {"CRPIX2", plane.center_pix() + 1.0},
          {"CRVAL1", options.ra_deg},
          {"CRVAL2", options.dec_deg},
          {"CD1_1", -plane.scale_deg()},
          {"CD1_2", 0.0},
          {"CD2_1", 0.0},
          {"CD2_2", plane.scale_deg()},
          {"RADESYS", std::string("ICRS")},
          {"BUNIT", std::string("adu")},
          {"FILTER", band.name},
          {"ZP_AUTO", band.zp_mag + band.zp_error_mag},
          {"SKYSIG", band.skysig_adu},
          {"EGAIN", band.egain},
          {"GAIN", band.egain},
          {"SATURATE", band.saturate_adu},
          {"PEEING", band.fwhm_pix},
          {"SEEING", band.fwhm_pix * options.pixel_scale_arcsec},
          {"EXPTIME", 300.0},
          {"MJD-OBS", 60500.25},
          {"OBJECT", std::string("simulated field")}};
}

void write_band(const SimulationOptions& options, const std::vector<TrueSource>& sources,
                std::size_t band_index) {
  const SimulatedBand& band = options.bands[band_index];
  const Image<float> image = observed(options, band, noise_free(options, sources, band_index));
  io::write_fits_image(options.folder / ("sci_" + band.name + ".fits"), image.view(),
                       cards_of(options, band));
  const Image<float> stamp =
      psf_stamp(Moffat(band.fwhm_pix, band.beta), kPsfSidePix, kPsfOversampling);
  io::write_fits_image(options.folder / ("psf_" + band.name + ".fits"), stamp.view(),
                       {{"OVERSAMP", static_cast<std::int64_t>(kPsfOversampling)},
                        {"FILTER", band.name},
                        {"FWHM", band.fwhm_pix},
                        {"BETA", band.beta}});
}

std::string toml_text(const SimulationOptions& options, const Preset& preset, bool true_psf) {
  std::string text = "# Forced photometry of a simulated field of known truth.\n";
  text += true_psf ? "# The PSF of every band is the true one (psf_<band>.fits).\n"
                   : "# The PSF of every band is measured on the images.\n";
  text += "\n[inputs]\ntile_name = \"simulated_" + options.size + "\"\n";
  text += "input_catalog = \"catalog.csv\"\n";
  if (!true_psf) {
    text += "image_list_file = \"images.list\"\n";
  }
  text += "gaiaxp_synphot_csv = \"gaia.csv\"\n";
  text += "truth = \"truth.csv\"              # what was put in; the report compares with it\n";
  if (true_psf) {
    for (const SimulatedBand& band : options.bands) {
      text += "\n[[inputs.images]]\nfile = \"sci_" + band.name + ".fits\"\npsf = \"psf_" +
              band.name + ".fits\"\n";
    }
  }
  text += "\n[image_scaling]\nzp_ref = 25.0                    # of all fluxes, mag AB\n";
  text += "\n[crop]\nenabled = true\nmargin = " + std::to_string(preset.crop_margin) +
          "                      # pixels cut on every side\n";
  text +=
      "\n[epsf]\nepsf_ngrid = " + std::to_string(preset.cells) +
      "                   # cells per axis\nngrid = " + std::to_string(preset.patches_per_cell) +
      "                        # patches per cell and axis\n";
  return text;
}

}  // namespace

void simulate(const SimulationOptions& request) {
  const Preset preset = preset_of(request.size);
  const SimulationOptions options = completed(request, preset);
  std::error_code failure;
  std::filesystem::create_directories(options.folder, failure);
  if (failure) {
    throw ConfigError(options.folder.string(), "cannot be created", failure.message());
  }
  const std::vector<TrueSource> sources = make_sources(options);
  std::string list = "# One image per line, relative to the configuration file.\n";
  for (std::size_t b = 0; b < options.bands.size(); ++b) {
    write_band(options, sources, b);
    list += "sci_" + options.bands[b].name + ".fits\n";
  }
  const auto write = [&](const char* name, const std::string& text) {
    io::write_atomically(options.folder / name, text);
  };
  write("images.list", list);
  write("truth.csv", io::csv_text(truth_table(options, sources)));
  write("catalog.csv", io::csv_text(catalogue_table(options, sources)));
  write("gaia.csv", io::csv_text(gaia_table(options, sources)));
  write("photometry.toml", toml_text(options, preset, false));
  write("photometry_true_psf.toml", toml_text(options, preset, true));
}

}  // namespace skyloom::photometry
