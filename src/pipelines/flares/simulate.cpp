#include "pipelines/flares/simulate.hpp"

#include <chrono>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "pipelines/flares/simulate_sector.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/core/table.hpp"
#include "skyloom/io/files.hpp"
#include "skyloom/io/fits.hpp"

namespace skyloom::flares {
namespace {

namespace fs = std::filesystem;

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

SimulationOptions completed(SimulationOptions options) {
  struct Preset {
    const char* size;
    int stars;
    int sectors;
    int cadences;
  };
  for (const Preset& preset :
       {Preset{"tiny", 2, 2, 6000}, Preset{"small", 5, 4, 20076}, Preset{"full", 40, 5, 20076}}) {
    if (options.size == preset.size) {
      options.stars = options.stars > 0 ? options.stars : preset.stars;
      options.sectors_per_star =
          options.sectors_per_star > 0 ? options.sectors_per_star : preset.sectors;
      options.cadences = options.cadences > 0 ? options.cadences : preset.cadences;
      if (options.cadences < 1000 || !(options.slope > 1.0)) {
        throw ConfigError("simulate", "no light curves of this kind",
                          "at least 1000 cadences and a slope above 1");
      }
      return options;
    }
  }
  throw ConfigError("--size", "\"" + options.size + "\" is unknown", "tiny, small or full");
}

/// Year, day of the year and time as file names have them.
std::string stamp_of(double btjd) {
  constexpr double kUnixEpoch = 2440587.5 - 2457000.0;
  const auto seconds = std::chrono::seconds(std::llround((btjd - kUnixEpoch) * 86400.0));
  const auto day = std::chrono::floor<std::chrono::days>(std::chrono::sys_seconds(seconds));
  const std::chrono::year year = std::chrono::year_month_day(day).year();
  const auto number = (day - std::chrono::sys_days(year / std::chrono::January / 1)).count() + 1;
  const std::chrono::hh_mm_ss clock(std::chrono::sys_seconds(seconds) - day);
  return fmt::format("{:04}{:03}{:02}{:02}{:02}", static_cast<int>(year), number,
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

std::string file_name(const SimulatedStar& star, int sector) {
  constexpr int kConfiguration = 120;
  return fmt::format("tess{}-s{:04}-{:016}-{:04}-s_lc.fits", stamp_of(sector_begin(sector)), sector,
                     star.tic, kConfiguration + sector - 1);
}

std::vector<io::FitsCard> primary_cards(const SimulatedStar& star, const SimulatedSector& sector) {
  return {{"EXTNAME", std::string("PRIMARY")},
          {"ORIGIN", std::string("skyloom")},
          {"CREATOR", std::string("skyloom simulate flares")},
          {"TELESCOP", std::string("TESS")},
          {"INSTRUME", std::string("TESS Photometer")},
          {"OBJECT", fmt::format("TIC {}", star.tic)},
          {"TICID", star.tic},
          {"RADESYS", std::string("ICRS")},
          {"RA_OBJ", star.ra_deg},
          {"DEC_OBJ", star.dec_deg},
          {"EQUINOX", 2000.0},
          {"SECTOR", std::int64_t{sector.sector}},
          {"CAMERA", std::int64_t{sector.camera}},
          {"CCD", std::int64_t{sector.ccd}},
          {"PMRA", kNone},
          {"PMDEC", kNone},
          {"TESSMAG", star.tess_mag},
          {"TEFF", star.teff_k},
          {"LOGG", star.logg},
          {"MH", kNone},
          {"RADIUS", star.radius_sun},
          {"COMMENT", std::string("Simulated; no star of this number was observed.")}};
}

std::vector<io::FitsCard> table_cards(const SimulatedStar& star, const SimulatedSector& sector,
                                      std::size_t rows) {
  const double begin = sector_begin(sector.sector);
  const double end = begin + static_cast<double>(rows - 1) * kSimulatedCadence_d;
  return {{"OBJECT", fmt::format("TIC {}", star.tic)},
          {"TICID", star.tic},
          {"RA_OBJ", star.ra_deg},
          {"DEC_OBJ", star.dec_deg},
          {"EXPOSURE", (end - begin) * 0.8},
          {"TIMEREF", std::string("SOLARSYSTEM")},
          {"TASSIGN", std::string("SPACECRAFT")},
          {"TIMESYS", std::string("TDB")},
          {"BJDREFI", std::int64_t{2457000}},
          {"BJDREFF", 0.0},
          {"TIMEUNIT", std::string("d")},
          {"TELAPSE", end - begin},
          {"TSTART", begin},
          {"TSTOP", end},
          {"TIMEDEL", kSimulatedCadence_d},
          {"INT_TIME", 1.98},
          {"NUM_FRM", std::int64_t{60}},
          {"CROWDSAP", 1.0},
          {"FLFRCSAP", 0.95}};
}

/// The columns of a SPOC light curve; positions are not simulated.
Table table_of(const SimulatedStar& star, const SimulatedSector& sector) {
  const auto number = [](const char* name, const char* unit, Type type = Type::float32) {
    return Column{name, type, unit, ""};
  };
  Table table({"LIGHTCURVE",
               {number("TIME", "BJD - 2457000, days", Type::float64),
                number("TIMECORR", "d"),
                number("CADENCENO", "", Type::int32),
                number("SAP_FLUX", "e-/s"),
                number("SAP_FLUX_ERR", "e-/s"),
                number("SAP_BKG", "e-/s"),
                number("SAP_BKG_ERR", "e-/s"),
                number("PDCSAP_FLUX", "e-/s"),
                number("PDCSAP_FLUX_ERR", "e-/s"),
                number("QUALITY", "", Type::int32),
                number("PSF_CENTR1", "pixel", Type::float64),
                number("PSF_CENTR1_ERR", "pixel"),
                number("PSF_CENTR2", "pixel", Type::float64),
                number("PSF_CENTR2_ERR", "pixel"),
                number("MOM_CENTR1", "pixel", Type::float64),
                number("MOM_CENTR1_ERR", "pixel"),
                number("MOM_CENTR2", "pixel", Type::float64),
                number("MOM_CENTR2_ERR", "pixel"),
                number("POS_CORR1", "pixel"),
                number("POS_CORR2", "pixel")}});
  const std::size_t rows = sector.time.size();
  table.add_rows(rows);
  constexpr double kSky = 200.0;  // of the aperture [e-/s]
  constexpr double kPart = 0.95;  // of the star's light in the aperture
  const double error = star.flux * star.noise;
  for (std::size_t i = 0; i < rows; ++i) {
    const double flux = star.flux * sector.flux[i];
    const double flux_error = std::isfinite(flux) ? error : kNone;
    for (const Column& column : table.columns()) {
      table.set(i, column.name, kNone);
    }
    table.set(i, "TIME", sector.time[i]);
    table.set(i, "TIMECORR", 0.0);
    table.set(i, "CADENCENO", sector.cadence[i]);
    table.set(i, "QUALITY", sector.quality[i]);
    table.set(i, "SAP_FLUX", kPart * flux);
    table.set(i, "SAP_FLUX_ERR", kPart * flux_error);
    table.set(i, "SAP_BKG", kSky);
    table.set(i, "SAP_BKG_ERR", 0.01 * kSky);
    table.set(i, "PDCSAP_FLUX", flux);
    table.set(i, "PDCSAP_FLUX_ERR", flux_error);
  }
  return table;
}

Table truth_table() {
  return Table({"truth",
                {{"tic", Type::int64, "", "star"},
                 {"sector", Type::int32, "", "sector"},
                 {"t_peak", Type::float64, "d", "BTJD of the peak"},
                 {"amplitude", Type::float64, "", "of the template, relative to the quiet flux"},
                 {"peak", Type::float64, "", "largest relative excess of a cadence"},
                 {"fwhm_d", Type::float64, "d", "duration parameter of the template"},
                 {"ed_s", Type::float64, "s", "equivalent duration"},
                 {"energy_erg", Type::float64, "erg", "ed_s times the luminosity of the star"},
                 {"slope", Type::float64, "", "alpha of dN / dE ~ E^-alpha of the star"},
                 {"observed", Type::boolean, "", "the cadence of the peak can be used"}}});
}

void add_truth(Table& truth, const SimulatedStar& star, const SimulatedSector& sector) {
  for (const SimulatedFlare& flare : sector.flares) {
    const std::size_t row = truth.add_row();
    truth.set(row, "tic", star.tic);
    truth.set(row, "sector", sector.sector);
    truth.set(row, "t_peak", flare.t_peak);
    truth.set(row, "amplitude", flare.amplitude);
    truth.set(row, "peak", flare.peak);
    truth.set(row, "fwhm_d", flare.fwhm_d);
    truth.set(row, "ed_s", flare.ed_s);
    truth.set(row, "energy_erg", flare.ed_s * star.luminosity_erg_s);
    truth.set(row, "slope", star.slope);
    truth.set(row, "observed", flare.observed);
  }
}

Table star_table() {
  return Table({"stars",
                {{"tic", Type::int64, "", "star"},
                 {"tess_mag", Type::float64, "mag", "TESS magnitude"},
                 {"teff", Type::float64, "K", "effective temperature"},
                 {"noise", Type::float64, "", "white noise of a cadence, relative"},
                 {"period_d", Type::float64, "d", "of rotation"},
                 {"rotation", Type::float64, "", "its peak-to-peak amplitude, relative"},
                 {"luminosity_erg_s", Type::float64, "erg/s", "bolometric"},
                 {"slope", Type::float64, "", "alpha of dN / dE ~ E^-alpha"},
                 {"least_ed_s", Type::float64, "s", "equivalent duration of the smallest flares"},
                 {"flares_per_day", Type::float64, "1/d", "rate above it"}}});
}

void add_star(Table& stars, const SimulatedStar& star) {
  const std::size_t row = stars.add_row();
  stars.set(row, "tic", star.tic);
  stars.set(row, "tess_mag", star.tess_mag);
  stars.set(row, "teff", star.teff_k);
  stars.set(row, "noise", star.noise);
  stars.set(row, "period_d", star.period_d);
  stars.set(row, "rotation", star.rotation);
  stars.set(row, "luminosity_erg_s", star.luminosity_erg_s);
  stars.set(row, "slope", star.slope);
  stars.set(row, "least_ed_s", star.least_ed_s);
  stars.set(row, "flares_per_day", star.flares_per_day);
}

/// @param tiny a survey for tests has few injections
std::string toml_text(const SimulationOptions& options, bool tiny) {
  return fmt::format(
      "# Flares of {} simulated stars with {} sectors each; truth.csv has what was put in.\n"
      "\n[inputs]\n"
      "light_curves = [\"light_curves\"]\n"
      "targets = \"targets.csv\"\n"
      "\n[injection]\n"
      "n_inject = {}\n"
      "n_repeat = {}\n"
      "exposure_oversample = 11          # the simulated flares are averaged over exposures\n"
      "\n[run]\n"
      "seed = {}\n",
      options.stars, options.sectors_per_star, tiny ? 40 : 2000, tiny ? 5 : 10, options.seed);
}

void make_folder(const fs::path& folder) {
  std::error_code failure;
  fs::create_directories(folder, failure);
  if (failure) {
    throw ConfigError(folder.string(), "cannot be created", failure.message());
  }
}

}  // namespace

void simulate(const SimulationOptions& request) {
  const SimulationOptions options = completed(request);
  Table truth = truth_table();
  Table stars = star_table();
  std::string targets = "TICID,Tmag,RA,Dec,Nsector\n";
  for (int index = 0; index < options.stars; ++index) {
    const SimulatedStar star = simulated_star(options.seed, index, options.slope);
    add_star(stars, star);
    targets += fmt::format("{},{:.4f},{:.6f},{:.6f},{}\n", star.tic, star.tess_mag, star.ra_deg,
                           star.dec_deg, options.sectors_per_star);
    for (int number = 1; number <= options.sectors_per_star; ++number) {
      const SimulatedSector sector = simulated_sector(options.seed, star, number, options.cadences);
      const fs::path folder = options.folder / "light_curves" / fmt::format("s{:04}", number);
      make_folder(folder);
      io::write_fits_table(folder / file_name(star, number), table_of(star, sector),
                           table_cards(star, sector, sector.time.size()),
                           primary_cards(star, sector));
      add_truth(truth, star, sector);
    }
  }
  io::write_atomically(options.folder / "targets.csv", targets);
  io::write_atomically(options.folder / "stars.csv", io::csv_text(stars));
  io::write_atomically(options.folder / "truth.csv", io::csv_text(truth));
  io::write_atomically(options.folder / "flares.toml", toml_text(options, options.size == "tiny"));
}

}  // namespace skyloom::flares
