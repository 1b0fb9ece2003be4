#include "skyloom/sky/wcs.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <numbers>
#include <string_view>

#include <wcslib/wcs.h>
#include <wcslib/wcsfix.h>
#include <wcslib/wcshdr.h>

#include "skyloom/core/errors.hpp"
#include "skyloom/core/table.hpp"

namespace skyloom::sky {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t kBlock = 1024;
constexpr int kSipOrders = 10;
constexpr int kTpvTerms = 40;
constexpr double kDegree = std::numbers::pi / 180.0;

/// Scratch of one call of WCSLIB.
struct Block {
  std::array<double, 2 * kBlock> pixels;
  std::array<double, 2 * kBlock> intermediate;
  std::array<double, 2 * kBlock> world;
  std::array<double, kBlock> phi;
  std::array<double, kBlock> theta;
  std::array<int, kBlock> bad;
};

std::string error_text(int status) {
  const bool known = status > 0 && status < 15;
  return known ? wcs_errmsg[status] : "WCSLIB status " + std::to_string(status);
}

/// Owner of a wcsprm; copies are deep.
class WcsParameters {
 public:
  WcsParameters() {
    prm_.flag = -1;
    wcsini(1, 2, &prm_);
  }
  ~WcsParameters() { wcsfree(&prm_); }
  WcsParameters(const WcsParameters& other) : WcsParameters(other, nullptr, nullptr) {}
  WcsParameters& operator=(const WcsParameters&) = delete;

  /// The sub-image of the given axes, or everything when there are none.
  WcsParameters(const WcsParameters& other, int* axis_count, int* axes) {
    prm_.flag = -1;
    // WCSLIB only reads the source, but its signature does not say so.
    const int status = wcssub(1, const_cast<wcsprm*>(&other.prm_), axis_count, axes, &prm_);
    if (status != 0) {
      wcsfree(&prm_);
      throw FatalError("cannot copy a WCS: " + error_text(status));
    }
    wcsset(&prm_);
  }

  wcsprm* get() { return &prm_; }

 private:
  wcsprm prm_{};
};

constexpr std::size_t kCard = 80;
constexpr std::size_t kValue = 10;

/// Writes the D exponents of Fortran as E: WCSLIB 7 drops the exponent of a SIP card otherwise.
std::string with_plain_exponents(std::string cards) {
  for (std::size_t at = 0; at + kCard <= cards.size(); at += kCard) {
    const std::size_t first = cards.find_first_not_of(' ', at + kValue);
    if (cards[at + 8] != '=' || first >= at + kCard ||
        std::string_view("+-.0123456789").find(cards[first]) == std::string_view::npos) {
      continue;
    }
    for (std::size_t i = first; i < at + kCard && cards[i] != '/'; ++i) {
      cards[i] = cards[i] == 'D' || cards[i] == 'd' ? 'E' : cards[i];
    }
  }
  return cards;
}

/// Calls visit(keyword, value) for every numeric card.
template <class Visit>
void for_each_number(const std::string& cards, Visit visit) {
  for (std::size_t at = 0; at + kCard <= cards.size(); at += kCard) {
    if (cards[at + 8] != '=') {
      continue;
    }
    std::string value = cards.substr(at + kValue, kCard - kValue);
    value.resize(std::min(value.find('/'), value.size()));
    const double number = to_number(value);
    if (std::isfinite(number)) {
      visit(trimmed(cards.substr(at, 8)), number);
    }
  }
}

/// Numbers behind a prefix: "A_1_2" gives 1 and 2; false when the keyword has another form.
bool two_indices(std::string_view keyword, std::string_view prefix, int& first, int& second) {
  if (!keyword.starts_with(prefix)) {
    return false;
  }
  const std::string rest(keyword.substr(prefix.size()));
  char* end = nullptr;
  first = static_cast<int>(std::strtol(rest.c_str(), &end, 10));
  if (end == rest.c_str() || *end != '_') {
    return false;
  }
  const char* begin = end + 1;
  second = static_cast<int>(std::strtol(begin, &end, 10));
  return end != begin && *end == '\0' && first >= 0 && second >= 0;
}

/// SIP A and B by orders, then TPV PV1 and PV2 by term, with the defaults of absent cards.
std::vector<double> distortion_terms(const std::string& cards, bool sip, bool tpv) {
  constexpr auto kSipSize = static_cast<std::size_t>(kSipOrders * kSipOrders);
  constexpr auto kTpvSize = static_cast<std::size_t>(kTpvTerms);
  std::vector<double> terms(2 * kSipSize + 2 * kTpvSize, 0.0);
  if (tpv) {
    terms[2 * kSipSize + 1] = 1.0;
    terms[2 * kSipSize + kTpvSize + 1] = 1.0;
  }
  for_each_number(cards, [&](const std::string& keyword, double value) {
    int i = 0;
    int j = 0;
    const bool is_a = two_indices(keyword, "A_", i, j);
    if (sip && (is_a || two_indices(keyword, "B_", i, j)) && i < kSipOrders && j < kSipOrders) {
      const auto at = static_cast<std::size_t>(i * kSipOrders + j);
      terms[(is_a ? 0 : kSipSize) + at] = value;
    } else if (tpv && two_indices(keyword, "PV", i, j) && (i == 1 || i == 2) && j < kTpvTerms) {
      terms[2 * kSipSize + static_cast<std::size_t>(i - 1) * kTpvSize +
            static_cast<std::size_t>(j)] = value;
    }
  });
  return terms;
}

bool ends_with(const char* ctype, std::string_view end) {
  return std::string_view(trimmed(ctype)).ends_with(end);
}

/// SCAMP of old wrote its polynomial (TPV) under the name TAN, and some files carry it beside SIP.
void untangle_polynomials(wcsprm* prm) {
  const bool sip = ends_with(prm->ctype[0], "-SIP") || ends_with(prm->ctype[1], "-SIP");
  if (sip) {
    prm->npv = 0;
    return;
  }
  const bool tan = ends_with(prm->ctype[0], "-TAN") && ends_with(prm->ctype[1], "-TAN");
  const bool polynomial = std::any_of(prm->pv, prm->pv + prm->npv, [prm](const pvcard& card) {
    const bool longitude = std::string_view(prm->ctype[card.i - 1]).starts_with("RA");
    return card.m >= (longitude ? 5 : 1);
  });
  if (tan && polynomial) {
    for (int axis = 0; axis < 2; ++axis) {
      char* code = std::strstr(prm->ctype[axis], "-TAN");
      std::copy_n("-TPV", 4, code);
    }
  }
}

std::array<double, 3> unit_vector(double ra_deg, double dec_deg) {
  const double ra = ra_deg * kDegree;
  const double dec = dec_deg * kDegree;
  return {std::cos(dec) * std::cos(ra), std::cos(dec) * std::sin(ra), std::sin(dec)};
}

double length(const std::array<double, 3>& v) {
  return std::hypot(v[0], v[1], v[2]);
}

std::array<double, 3> cross(const std::array<double, 3>& a, const std::array<double, 3>& b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}

/// A WCS that is ready for use, and what WCSLIB no longer tells then.
struct Parsed {
  WcsParameters parameters;
  std::string ctype[2];
  std::vector<double> distortion;
};

}  // namespace

struct Wcs::Impl {
  // WCSLIB's distortions keep the reference pixel in several places, so a cut-out is the parent's
  // WCS and an offset rather than a changed header.
  WcsParameters parameters;
  double x_offset = 0.0;
  double y_offset = 0.0;
  Elements elements{};

  explicit Impl(const Parsed& source);

  void sky_block(const double* x, const double* y, std::size_t count, double* ra, double* dec);
  void pixel_block(const double* ra, const double* dec, std::size_t count, double* x, double* y);
};

namespace {

Parsed parse(const std::string& cards, const std::string& name) {
  std::string header = with_plain_exponents(cards);
  int rejected = 0;
  int found = 0;
  wcsprm* list = nullptr;
  const int status = wcspih(header.data(), static_cast<int>(header.size() / 80), WCSHDR_all, 0,
                            &rejected, &found, &list);
  const auto fail = [&](const std::string& what) -> ConfigError {
    wcsvfree(&found, &list);
    return ConfigError(name, what, "a header with a celestial WCS");
  };
  if (status != 0 || found == 0) {
    throw fail("has no WCS that WCSLIB reads");
  }
  if (list[0].naxis >= 2) {
    untangle_polynomials(&list[0]);
  }
  const auto any_axis = [&](std::string_view end) {
    const char(*ctype)[72] = list[0].ctype;
    return std::any_of(ctype, ctype + list[0].naxis,
                       [&](const char* text) { return ends_with(text, end); });
  };
  const bool sip = any_axis("-SIP");
  const bool tpv = any_axis("-TPV");
  std::array<int, NWCSFIX> fixes{};
  wcsfix(1, nullptr, &list[0], fixes.data());
  const int set = wcsset(&list[0]);
  if (set != 0) {
    throw fail("has a WCS that WCSLIB refuses (" + error_text(set) + ")");
  }
  if (list[0].lng < 0 || list[0].lat < 0) {
    throw fail("has no celestial WCS");
  }
  Parsed out;
  wcsprm* const prm = out.parameters.get();
  int axis_count = 2;
  std::array<int, 2> axes{WCSSUB_LONGITUDE | WCSSUB_LATITUDE, WCSSUB_LONGITUDE | WCSSUB_LATITUDE};
  int* const chosen = list[0].naxis > 2 ? axes.data() : nullptr;
  const int copied = wcssub(1, &list[0], chosen != nullptr ? &axis_count : nullptr, chosen, prm);
  if (copied != 0 || wcsset(prm) != 0 || prm->naxis != 2) {
    throw fail("has a WCS whose celestial axes cannot be separated");
  }
  wcsvfree(&found, &list);
  for (int axis = 0; axis < 2; ++axis) {
    out.ctype[axis] = trimmed(prm->ctype[axis]);
    // WCSLIB turns TPV into TAN and a distortion.
    if (tpv && out.ctype[axis].ends_with("-TAN")) {
      out.ctype[axis].replace(out.ctype[axis].size() - 3, 3, "TPV");
    }
  }
  out.distortion = distortion_terms(header, sip, tpv);
  return out;
}

}  // namespace

Wcs::Impl::Impl(const Parsed& source) : parameters(source.parameters) {
  const wcsprm* prm = parameters.get();
  std::copy_n(prm->crval, 2, elements.crval);
  std::copy_n(prm->crpix, 2, elements.crpix);
  std::copy_n(prm->cdelt, 2, elements.cdelt);
  elements.has_cd = (prm->altlin & 2) != 0;
  std::copy_n(elements.has_cd ? prm->cd : prm->pc, 4, elements.cd);
  std::copy_n(source.ctype, 2, elements.ctype);
  elements.distortion = source.distortion;
}

void Wcs::Impl::sky_block(const double* x, const double* y, std::size_t count, double* ra,
                          double* dec) {
  wcsprm* prm = parameters.get();
  Block block;
  for (std::size_t i = 0; i < count; ++i) {
    const bool finite = std::isfinite(x[i]) && std::isfinite(y[i]);
    block.pixels[2 * i] = finite ? x[i] + x_offset + 1.0 : prm->crpix[0];
    block.pixels[2 * i + 1] = finite ? y[i] + y_offset + 1.0 : prm->crpix[1];
    block.bad[i] = 0;
  }
  const int status =
      wcsp2s(prm, static_cast<int>(count), 2, block.pixels.data(), block.intermediate.data(),
             block.phi.data(), block.theta.data(), block.world.data(), block.bad.data());
  const bool nothing = status != 0 && status != WCSERR_BAD_PIX;
  for (std::size_t i = 0; i < count; ++i) {
    const bool good = !nothing && block.bad[i] == 0 && std::isfinite(x[i]) && std::isfinite(y[i]);
    ra[i] = good ? block.world[2 * i + static_cast<std::size_t>(prm->lng)] : kNan;
    dec[i] = good ? block.world[2 * i + static_cast<std::size_t>(prm->lat)] : kNan;
  }
}

void Wcs::Impl::pixel_block(const double* ra, const double* dec, std::size_t count, double* x,
                            double* y) {
  wcsprm* prm = parameters.get();
  const auto lng = static_cast<std::size_t>(prm->lng);
  const auto lat = static_cast<std::size_t>(prm->lat);
  Block block;
  for (std::size_t i = 0; i < count; ++i) {
    const bool finite = std::isfinite(ra[i]) && std::isfinite(dec[i]);
    block.world[2 * i + lng] = finite ? ra[i] : prm->crval[lng];
    block.world[2 * i + lat] = finite ? dec[i] : prm->crval[lat];
    block.bad[i] = 0;
  }
  const int status =
      wcss2p(prm, static_cast<int>(count), 2, block.world.data(), block.phi.data(),
             block.theta.data(), block.intermediate.data(), block.pixels.data(), block.bad.data());
  const bool nothing = status != 0 && status != WCSERR_BAD_WORLD;
  for (std::size_t i = 0; i < count; ++i) {
    const bool good =
        !nothing && block.bad[i] == 0 && std::isfinite(ra[i]) && std::isfinite(dec[i]);
    x[i] = good ? block.pixels[2 * i] - 1.0 - x_offset : kNan;
    y[i] = good ? block.pixels[2 * i + 1] - 1.0 - y_offset : kNan;
  }
}

Wcs::Wcs(const std::string& cards, const std::string& name)
    : impl_(std::make_unique<Impl>(parse(cards, name))) {}

Wcs::Wcs(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Wcs::~Wcs() = default;
Wcs::Wcs(const Wcs& other) : impl_(std::make_unique<Impl>(*other.impl_)) {}
Wcs::Wcs(Wcs&&) noexcept = default;

void Wcs::to_pixel(std::span<const double> ra_deg, std::span<const double> dec_deg,
                   std::span<double> x_pix, std::span<double> y_pix) const {
  for (std::size_t first = 0; first < ra_deg.size(); first += kBlock) {
    const std::size_t count = std::min(kBlock, ra_deg.size() - first);
    impl_->pixel_block(&ra_deg[first], &dec_deg[first], count, &x_pix[first], &y_pix[first]);
  }
}

void Wcs::to_sky(std::span<const double> x_pix, std::span<const double> y_pix,
                 std::span<double> ra_deg, std::span<double> dec_deg) const {
  for (std::size_t first = 0; first < x_pix.size(); first += kBlock) {
    const std::size_t count = std::min(kBlock, x_pix.size() - first);
    impl_->sky_block(&x_pix[first], &y_pix[first], count, &ra_deg[first], &dec_deg[first]);
  }
}

double Wcs::pixel_scale_arcsec() const {
  const Elements& e = impl_->elements;
  const double x = e.crpix[0] - 1.0;
  const double y = e.crpix[1] - 1.0;
  const std::array<double, 4> xs{x - 0.5, x + 0.5, x, x};
  const std::array<double, 4> ys{y, y, y - 0.5, y + 0.5};
  std::array<double, 4> ra{};
  std::array<double, 4> dec{};
  to_sky(xs, ys, ra, dec);
  std::array<std::array<double, 3>, 2> sides{};
  for (std::size_t side = 0; side < 2; ++side) {
    const auto a = unit_vector(ra[2 * side], dec[2 * side]);
    const auto b = unit_vector(ra[2 * side + 1], dec[2 * side + 1]);
    sides[side] = {b[0] - a[0], b[1] - a[1], b[2] - a[2]};
  }
  return std::sqrt(length(cross(sides[0], sides[1]))) / kDegree * 3600.0;
}

Wcs Wcs::cropped(int x0, int y0) const {
  auto impl = std::make_unique<Impl>(*impl_);
  impl->x_offset += x0;
  impl->y_offset += y0;
  impl->elements.crpix[0] -= x0;
  impl->elements.crpix[1] -= y0;
  return Wcs(std::move(impl));
}

const Wcs::Elements& Wcs::elements() const {
  return impl_->elements;
}

double separation_arcsec(double ra1_deg, double dec1_deg, double ra2_deg, double dec2_deg) {
  // Half-angle form: exact for close pairs, where the cosine loses all digits.
  const double ra = std::sin((ra2_deg - ra1_deg) * kDegree / 2.0);
  const double dec = std::sin((dec2_deg - dec1_deg) * kDegree / 2.0);
  const double h =
      dec * dec + std::cos(dec1_deg * kDegree) * std::cos(dec2_deg * kDegree) * ra * ra;
  return 2.0 * std::asin(std::min(1.0, std::sqrt(h))) / kDegree * 3600.0;
}

}  // namespace skyloom::sky
