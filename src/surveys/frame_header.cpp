#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <sstream>

#include "skyloom/core/errors.hpp"
#include "skyloom/core/table.hpp"
#include "skyloom/io/files.hpp"
#include "skyloom/surveys/frame.hpp"
#include "skyloom/surveys/sky_model.hpp"

#include "frame_files.hpp"

namespace skyloom::surveys {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::string size_text(int width, int height) {
  return std::to_string(width) + " x " + std::to_string(height);
}

/// The user's value, else the card, else NaN.
double given_or_card(double given, const io::FitsFile& file, const std::string& keyword) {
  return std::isfinite(given) ? given : file.number(keyword).value_or(kNan);
}

std::string band_of(const FrameSpec& spec, const io::FitsFile& file) {
  std::string given = trimmed(spec.filter);
  if (!given.empty()) {
    return given;
  }
  const auto card = file.text("FILTER");
  if (!card) {
    throw ConfigError(spec.file, "missing FILTER", "a card FILTER with the name of the band");
  }
  std::string band = trimmed(*card);
  if (band.empty()) {
    throw ConfigError(spec.file, "empty FILTER", "a card FILTER with the name of the band");
  }
  return band;
}

void require_positive(double value, const std::string& file, const char* what) {
  if (!std::isfinite(value) || value <= 0.0) {
    throw ConfigError(file, std::string("bad or missing ") + what, "a number above 0");
  }
}

double fwhm_of(const FrameSpec& spec, const io::FitsFile& file) {
  if (std::isfinite(spec.fwhm_pix)) {
    return spec.fwhm_pix;
  }
  const double pixels = file.number("PEEING").value_or(kNan);
  if (std::isfinite(pixels) && pixels > 0.0) {
    return pixels;
  }
  const double arcsec = file.number("SEEING").value_or(kNan);
  if (std::isfinite(arcsec) && arcsec > 0.0) {
    return arcsec / sky::Wcs(file.cards(), spec.file).pixel_scale_arcsec();
  }
  return kNan;
}

std::optional<int> digits(std::string_view text, std::size_t at, std::size_t count) {
  if (text.size() < at + count) {
    return std::nullopt;
  }
  int value = 0;
  const auto result = std::from_chars(text.data() + at, text.data() + at + count, value);
  const bool whole = result.ec == std::errc{} && result.ptr == text.data() + at + count;
  return whole ? std::optional(value) : std::nullopt;
}

/// Fraction of a day of "hh:mm:ss.s"; NaN when it is none.
double day_fraction(std::string_view time) {
  const auto hour = digits(time, 0, 2);
  const auto minute = digits(time, 3, 2);
  if (!hour || !minute || time.size() < 8) {
    return kNan;
  }
  std::string second(time.substr(6));
  if (second.ends_with('Z')) {
    second.pop_back();
  }
  return (*hour * 3600.0 + *minute * 60.0 + to_number(second)) / 86400.0;
}

/// MJD of "yyyy-mm-dd" or "yyyy-mm-ddThh:mm:ss.s"; NaN when it is neither.
double mjd_of(const std::string& text, const std::string& time) {
  using namespace std::chrono;
  const auto y = digits(text, 0, 4);
  const auto m = digits(text, 5, 2);
  const auto d = digits(text, 8, 2);
  if (!y || !m || !d) {
    return kNan;
  }
  const year_month_day date{year(*y), month(static_cast<unsigned>(*m)),
                            day(static_cast<unsigned>(*d))};
  if (!date.ok()) {
    return kNan;
  }
  constexpr sys_days kMjdZero = sys_days(year(1858) / November / day(17));
  const double whole = static_cast<double>((sys_days(date) - kMjdZero).count());
  const std::string clock = text.size() > 11 ? text.substr(11) : time;
  return whole + (clock.empty() ? 0.0 : day_fraction(clock));
}

double middle_of_exposure(const FrameSpec& spec, const io::FitsFile& file) {
  if (std::isfinite(spec.mjd)) {
    return spec.mjd;
  }
  double start = file.number("MJD-OBS").value_or(kNan);
  if (!std::isfinite(start)) {
    start = mjd_of(file.text("DATE-OBS").value_or(""), file.text("TIME-OBS").value_or(""));
  }
  for (const char* card : {"MJDUTC", "MJD"}) {
    start = std::isfinite(start) ? start : file.number(card).value_or(kNan);
  }
  const double exposure_s = file.number("EXPTIME").value_or(0.0);
  return start + (std::isfinite(exposure_s) ? exposure_s / 2.0 / 86400.0 : 0.0);
}

std::string expanded(const std::string& path, const std::string& base_folder) {
  std::filesystem::path out = path;
  if (path == "~" || path.starts_with("~/")) {
    const char* home = std::getenv("HOME");
    if (home != nullptr) {
      out = home + path.substr(1);
    }
  }
  if (out.is_relative()) {
    out = std::filesystem::path(base_folder) / out;
  }
  return out.lexically_normal().string();
}

/// What differs, "" when nothing does. @param names of the two or four values
template <std::size_t N>
std::string difference(const double (&a)[N], const double (&b)[N], double tolerance,
                       const char* name) {
  for (std::size_t i = 0; i < N; ++i) {
    // Negated, so that a NaN is a difference too.
    if (!(std::abs(a[i] - b[i]) <= tolerance)) {
      return std::string(name) + " " + shortest(b[i]) + " instead of " + shortest(a[i]);
    }
  }
  return {};
}

std::string wcs_difference(const sky::Wcs::Elements& a, const sky::Wcs::Elements& b,
                           const WcsTolerance& tolerance) {
  constexpr double kSameTerm = 1e-6;
  for (int axis = 0; axis < 2; ++axis) {
    if (a.ctype[axis] != b.ctype[axis]) {
      return "CTYPE " + b.ctype[axis] + " instead of " + a.ctype[axis];
    }
  }
  if (a.has_cd != b.has_cd) {
    return "only one of the two has a CD matrix";
  }
  std::string text = difference(a.crval, b.crval, tolerance.crval, "CRVAL");
  text = text.empty() ? difference(a.crpix, b.crpix, tolerance.crpix, "CRPIX") : text;
  text = text.empty() ? difference(a.cd, b.cd, tolerance.cd, a.has_cd ? "CD" : "PC") : text;
  if (text.empty() && !a.has_cd) {
    text = difference(a.cdelt, b.cdelt, tolerance.cdelt, "CDELT");
  }
  for (std::size_t i = 0; text.empty() && i < a.distortion.size(); ++i) {
    const double size = std::max(std::abs(a.distortion[i]), std::abs(b.distortion[i]));
    if (!(std::abs(a.distortion[i] - b.distortion[i]) <= kSameTerm * size)) {
      text = "distortion term " + shortest(b.distortion[i]) + " instead of " +
             shortest(a.distortion[i]);
    }
  }
  return text;
}

constexpr std::size_t kCard = 80;
constexpr std::size_t kKeyword = 8;

/// Whether WCSLIB or the reader of distortions looks at a keyword.
bool is_wcs_keyword(const std::string& keyword) {
  constexpr const char* kBeginnings[] = {
      "CTYPE", "CRVAL", "CRPIX", "CDELT",   "CUNIT",   "CROTA", "CD1_", "CD2_",
      "PC1_",  "PC2_",  "PC00",  "PV",      "PS",      "A_",    "B_",   "AP_",
      "BP_",   "CPDIS", "CQDIS", "CPERR",   "CQERR",   "DP1",   "DP2",  "DQ1",
      "DQ2",   "DVERR", "WAT",   "LONPOLE", "LATPOLE", "CD3_",  "PC3_"};
  constexpr const char* kWhole[] = {"NAXIS",   "NAXIS1",   "NAXIS2",  "WCSAXES",
                                    "RADESYS", "RADECSYS", "EQUINOX", "EPOCH"};
  return std::any_of(std::begin(kBeginnings), std::end(kBeginnings),
                     [&](const char* text) { return keyword.starts_with(text); }) ||
         std::find(std::begin(kWhole), std::end(kWhole), keyword) != std::end(kWhole);
}

std::string fits_card(const std::string& keyword, const std::string& value) {
  std::string card = keyword;
  card.resize(kKeyword, ' ');
  card += "= " + std::string(value.size() < 20 ? 20 - value.size() : 0, ' ') + value;
  card.resize(kCard, ' ');
  return card;
}

}  // namespace

io::FitsFile open_frame(const std::string& path, int hdu) {
  io::FitsFile file(path, hdu);
  if (file.width() < 1 || file.planes() != 1) {
    throw ConfigError(path, "HDU " + std::to_string(file.hdu()) + " is no 2-D image",
                      "an HDU with one plane of pixels");
  }
  if (!file.is_complete()) {
    throw ConfigError(path, "is truncated", "a whole FITS file");
  }
  return file;
}

io::FitsFile open_companion(const std::string& path, int hdu, const std::string& frame, int width,
                            int height) {
  io::FitsFile file = open_frame(path, hdu);
  if (file.width() != width || file.height() != height) {
    throw ConfigError(path, "has " + size_text(file.width(), file.height()) + " pixels",
                      size_text(width, height) + " as " + frame);
  }
  return file;
}

std::vector<std::string> pixel_files(const FrameSpec& spec) {
  std::vector<std::string> files{spec.file};
  for (const std::string* path : {&spec.invvar, &spec.mask, &spec.sky_model}) {
    if (!path->empty()) {
      files.push_back(*path);
    }
  }
  return files;
}

FrameInfo read_frame_info(const FrameSpec& spec, double zp_ref) {
  const io::FitsFile file = open_frame(spec.file, spec.hdu);
  FrameInfo info;
  info.file = spec.file;
  info.hdu = file.hdu();
  info.width = file.width();
  info.height = file.height();
  info.band = band_of(spec, file);
  info.zp_mag = given_or_card(spec.zp, file, "ZP_AUTO");
  if (!std::isfinite(info.zp_mag)) {
    throw ConfigError(spec.file, "missing ZP_AUTO", "a card with the zero point in AB magnitudes");
  }
  info.skysig_adu = given_or_card(spec.skysig_adu, file, "SKYSIG");
  if (spec.invvar.empty()) {
    require_positive(info.skysig_adu, spec.file, "SKYSIG");
  } else {
    (void)open_companion(spec.invvar, spec.invvar_hdu, spec.file, info.width, info.height);
  }
  if (!spec.mask.empty()) {
    (void)open_companion(spec.mask, spec.mask_hdu, spec.file, info.width, info.height);
  }
  if (!spec.sky_model.empty()) {
    (void)SplineSky(spec.sky_model);
  }
  info.egain = given_or_card(spec.egain, file, "EGAIN");
  require_positive(info.egain, spec.file, "EGAIN (e-/ADU)");
  const double saturate = given_or_card(spec.saturate_adu, file, "SATURATE");
  info.saturate_adu = std::isfinite(saturate) ? saturate : kNan;
  info.fwhm_pix = fwhm_of(spec, file);
  info.mjd = middle_of_exposure(spec, file);
  info.scale = std::pow(10.0, -0.4 * (info.zp_mag - zp_ref));
  return info;
}

std::pair<int, int> read_frame_size(const FrameSpec& spec) {
  const io::FitsFile file = open_frame(spec.file, spec.hdu);
  return {file.width(), file.height()};
}

sky::Wcs read_frame_wcs(const FrameSpec& spec) {
  return sky::Wcs(open_frame(spec.file, spec.hdu).cards(), spec.file);
}

std::string read_wcs_cards(const FrameSpec& spec) {
  const std::string cards = open_frame(spec.file, spec.hdu).cards();
  std::string out;
  for (std::size_t at = 0; at + kCard <= cards.size(); at += kCard) {
    if (is_wcs_keyword(trimmed(cards.substr(at, kKeyword)))) {
      out += cards.substr(at, kCard);
    }
  }
  return out;
}

std::string cut_wcs_cards(const std::string& cards, const Box& box) {
  const std::pair<std::string, double> changed[] = {
      {"NAXIS1", box.width()}, {"NAXIS2", box.height()}, {"CRPIX1", -box.x0}, {"CRPIX2", -box.y0}};
  std::string out;
  double crpix[2] = {0.0, 0.0};
  for (std::size_t at = 0; at + kCard <= cards.size(); at += kCard) {
    const std::string keyword = trimmed(cards.substr(at, kKeyword));
    if (keyword == "CRPIX1" || keyword == "CRPIX2") {
      std::string value = cards.substr(at + kKeyword + 2, kCard - kKeyword - 2);
      std::replace(value.begin(), value.end(), 'D', 'E');
      crpix[keyword == "CRPIX1" ? 0 : 1] = to_number(value.substr(0, value.find('/')));
    } else if (keyword != "NAXIS1" && keyword != "NAXIS2") {
      out += cards.substr(at, kCard);
    }
  }
  for (const auto& [keyword, value] : changed) {
    const bool is_crpix = keyword.starts_with("CRPIX");
    const double origin = is_crpix ? crpix[keyword == "CRPIX1" ? 0 : 1] : 0.0;
    out += fits_card(keyword,
                     is_crpix ? shortest(origin + value) : std::to_string(static_cast<int>(value)));
  }
  return out;
}

std::vector<FrameSpec> read_image_list(const std::string& list, const std::string& base_folder) {
  std::istringstream lines(io::read_text(list));
  std::vector<FrameSpec> specs;
  for (std::string line; std::getline(lines, line);) {
    const std::string path = trimmed(line);
    if (!path.empty() && path[0] != '#') {
      FrameSpec spec;
      spec.file = expanded(path, base_folder);
      specs.push_back(std::move(spec));
    }
  }
  if (specs.empty()) {
    throw ConfigError(list, "names no image", "one path per line");
  }
  return specs;
}

void check_alignment(const sky::Wcs& reference, const sky::Wcs& other,
                     const WcsTolerance& tolerance, const std::string& file,
                     const std::string& reference_file) {
  const std::string text = wcs_difference(reference.elements(), other.elements(), tolerance);
  if (!text.empty()) {
    throw ConfigError(file, "WCS mismatch with reference", text + " in " + reference_file);
  }
}

}  // namespace skyloom::surveys
