// Planes of skycells: FITS files as PS1 writes them, Zarr stores with the same pixels.

#include "skyloom/surveys/skycell_image.hpp"

#include <cmath>
#include <iostream>
#include <limits>
#include <memory>
#include <random>

#include <fitsio.h>

#include "skyloom/core/errors.hpp"
#include "skyloom/core/table.hpp"
#include "skyloom/io/files.hpp"
#include "skyloom/io/fits.hpp"
#include "skyloom/sky/wcs.hpp"

#include "unit/io/scratch.hpp"
#include "unit/io/zarr_store.hpp"

using namespace skyloom;
using Catch::Contains;
using surveys::SkycellFormat;
using surveys::SkycellPlane;
using surveys::SkycellReader;

namespace {

const std::string kData = SKYLOOM_TEST_DATA;
constexpr int kWidth = 53;
constexpr int kHeight = 41;
constexpr std::int16_t kBlank = 32767;
constexpr double kBzero = 3.632529139519;
constexpr double kBscale = 2.115535619667e-4;
constexpr double kBsoften = 221.8863810555;
constexpr double kBoffset = 7.172080516815;
constexpr double kExptime = 720.0;

/// The cards of a real stack, with its old spelling of the PC matrix and without RADESYS.
std::vector<std::string> stack_cards() {
  return {"TESS_ID = 'RINGS.V3'",
          "SKYCELL = 'skycell.1405.053'",
          "CTYPE1  = 'RA---TAN'",
          "CTYPE2  = 'DEC--TAN'",
          "CRVAL1  =                 332.",
          "CRVAL2  =                   2.",
          "CRPIX1  =               11760.",
          "CRPIX2  =                 242.",
          "CDELT1  = 6.94444461259988E-05",
          "CDELT2  = 6.94444461259988E-05",
          "PC001001=                  -1.",
          "PC001002=                   0.",
          "PC002001=                   0.",
          "PC002002=                   1.",
          "HIERARCH FPA.FILTER = 'i.00000 ' / Filter used (instrument name)"};
}

std::vector<std::string> scaling_cards() {
  return {"EXPTIME =                 720. / Exposure time (sec)", "BSOFTEN =       221.8863810555",
          "BOFFSET =       7.172080516815"};
}

std::vector<std::string> operator+(std::vector<std::string> a, const std::vector<std::string>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// A stored pixel: sky noise, bright ones, and a blank border of three.
std::int16_t stored(int y, int x) {
  const bool is_border = std::min(x, y) < 3 || x >= kWidth - 3 || y >= kHeight - 3;
  const int noise = (x * 7919 + y * 104729) % 9001 - 17000;
  return is_border ? kBlank : static_cast<std::int16_t>(x == 20 && y == 21 ? 32000 : noise);
}

double scaled(int y, int x) {
  return kBzero + kBscale * stored(y, x);
}

/// Counts per second after the formula, written out once more.
double expected_flux(int y, int x) {
  const double a = 1.0857362047581294;
  return (kBoffset + kBsoften * (std::exp(scaled(y, x) / a) - std::exp(-scaled(y, x) / a))) /
         kExptime;
}

std::uint16_t mask_bits(int y, int x) {
  return static_cast<std::uint16_t>(x == 5 ? 0x8000 | 0x0020 : (x * y) % 7 == 0 ? 0x1000 : 0);
}

/// Writes 16-bit integers with these cards, tile-compressed where asked for.
template <class T>
void write_shorts(const std::filesystem::path& path, bool compressed,
                  const std::vector<std::string>& cards, T (*value)(int, int),
                  int rows_per_tile = 1) {
  constexpr bool kMask = std::is_same_v<T, std::uint16_t>;
  int status = 0;
  fitsfile* file = nullptr;
  fits_create_file(&file, ("!" + path.string()).c_str(), &status);
  if (compressed) {
    fits_set_compression_type(file, RICE_1, &status);
    long tile[] = {kWidth, rows_per_tile};
    fits_set_tile_dim(file, 2, tile, &status);
  }
  long sides[] = {kWidth, kHeight};
  fits_create_img(file, kMask ? USHORT_IMG : SHORT_IMG, 2, sides, &status);
  if (!kMask) {
    double bzero = kBzero;
    double bscale = kBscale;
    int blank = kBlank;
    fits_write_key(file, TDOUBLE, "BZERO", &bzero, nullptr, &status);
    fits_write_key(file, TDOUBLE, "BSCALE", &bscale, nullptr, &status);
    fits_write_key(file, TINT, "BLANK", &blank, nullptr, &status);
    fits_set_bscale(file, 1.0, 0.0, &status);
  }
  for (std::string card : cards) {
    card.resize(80, ' ');
    fits_write_record(file, card.c_str(), &status);
  }
  std::vector<T> pixels;
  for (int y = 0; y < kHeight; ++y) {
    for (int x = 0; x < kWidth; ++x) {
      pixels.push_back(value(y, x));
    }
  }
  fits_write_img(file, kMask ? TUSHORT : TSHORT, 1, static_cast<LONGLONG>(pixels.size()),
                 pixels.data(), &status);
  fits_close_file(file, &status);
  REQUIRE(status == 0);
}

void check_flux(const SkycellReader& reader) {
  for (const Box& box : {Box{0, kWidth, 0, kHeight}, Box{4, 30, 17, 29}}) {
    const Image<float> flux = reader.read_flux(box);
    REQUIRE(flux.width() == box.width());
    for (int y = box.y0; y < box.y1; ++y) {
      for (int x = box.x0; x < box.x1; ++x) {
        const float got = flux(y - box.y0, x - box.x0);
        if (stored(y, x) == kBlank) {
          REQUIRE(std::isnan(got));
        } else {
          // v has single precision, which the sinh of up to 9.6 multiplies.
          const double allowed = 1e-6 * (std::abs(expected_flux(y, x)) + kBsoften / kExptime);
          REQUIRE(std::abs(got - expected_flux(y, x)) < allowed);
        }
      }
    }
  }
}

std::string joined(const std::vector<std::string>& cards) {
  std::string out;
  for (std::string card : cards) {
    card.resize(80, ' ');
    out += card;
  }
  return out;
}

std::string complaint(const std::filesystem::path& path, SkycellFormat format,
                      SkycellPlane plane = SkycellPlane::image) {
  const std::string text =
      error_of<ConfigError>([&] { SkycellReader(std::filesystem::path(path), format, plane); });
  CHECK(text.find('\n') == std::string::npos);
  return text;
}

}  // namespace

TEST_CASE("Skycell image: 16-bit asinh FITS, compressed or not", "[skycell]") {
  const Scratch scratch;
  const bool compressed = GENERATE(false, true);
  CAPTURE(compressed);
  const std::filesystem::path path = scratch / "i.fits";
  write_shorts(path, compressed, stack_cards() + scaling_cards(), stored);
  const SkycellReader reader(path, SkycellFormat::fits, SkycellPlane::image);
  const surveys::SkycellHeader& header = reader.header();
  CHECK(header.width == kWidth);
  CHECK(header.height == kHeight);
  CHECK(header.exptime_s == kExptime);
  CHECK_FALSE(header.scaling.linear);
  CHECK(header.scaling.bsoften == kBsoften);
  CHECK(header.scaling.boffset == kBoffset);
  REQUIRE(header.integers.has_value());
  CHECK(header.integers->bzero == kBzero);
  CHECK(header.integers->bscale == kBscale);
  CHECK(header.integers->blank == kBlank);
  CHECK(reader.text("SKYCELL") == "skycell.1405.053");
  CHECK(reader.text("FPA.FILTER") == "i.00000");
  CHECK_FALSE(reader.text("RADESYS").has_value());
  check_flux(reader);
  // The old PC matrix counts, or x would be mirrored; the frame is FK5.
  const surveys::Skycell cell = surveys::tessellation_cell({1405, 5, 3});
  const double x = 100.0;
  const double y = 4000.0;
  double ra[2];
  double dec[2];
  sky::Wcs(reader.wcs_cards(), "i").to_sky({&x, 1}, {&y, 1}, {&ra[0], 1}, {&dec[0], 1});
  sky::Wcs(cell.wcs_cards(), "cell").to_sky({&x, 1}, {&y, 1}, {&ra[1], 1}, {&dec[1], 1});
  CHECK(sky::separation_arcsec(ra[0], dec[0], ra[1], dec[1]) < 1e-7);
  CHECK_THAT(reader.wcs_cards(), Contains("RADESYS = 'FK5"));
}

TEST_CASE("Skycell image: stored integers row by row, between reads of fluxes", "[skycell]") {
  const Scratch scratch;
  const std::filesystem::path path = scratch / "i.fits";
  // Decoded by ourselves, by CFITSIO from a plain file, and by CFITSIO from tiles of several rows.
  const int rows_per_tile = GENERATE(1, 0, 7);
  CAPTURE(rows_per_tile);
  write_shorts(path, rows_per_tile > 0, stack_cards() + scaling_cards(), stored,
               std::max(rows_per_tile, 1));
  const SkycellReader reader(path, SkycellFormat::fits, SkycellPlane::image);
  check_flux(reader);
  Image<std::int16_t> rows(kWidth + 2, kHeight, -7);
  for (const auto& [first, count] : {std::pair(0, kHeight), std::pair(5, 1), std::pair(38, 3)}) {
    reader.read_stored(first, rows.view().sub({1, kWidth + 1, 0, count}));
    for (int y = 0; y < count; ++y) {
      for (int x = 0; x < kWidth; ++x) {
        REQUIRE(rows(y, x + 1) == stored(y + first, x));
      }
      REQUIRE((rows(y, 0) == -7 && rows(y, kWidth + 1) == -7));
    }
  }
  check_flux(reader);
  CHECK_THROWS_AS(reader.read_stored(39, rows.view().sub({0, kWidth, 0, 3})), FatalError);
  CHECK_THROWS_AS(reader.read_stored(0, rows.view().sub({0, kWidth + 1, 0, 3})), FatalError);
  write_shorts(path, true, stack_cards(), mask_bits);
  CHECK_THROWS_AS(SkycellReader(path, SkycellFormat::fits, SkycellPlane::mask)
                      .read_stored(0, rows.view().sub({0, kWidth, 0, 3})),
                  FatalError);
}

TEST_CASE("Skycell image: compressed bytes that do not make the pixels", "[skycell]") {
  const Scratch scratch;
  const std::filesystem::path path = scratch / "i.fits";
  write_shorts(path, true, stack_cards() + scaling_cards(), stored);
  const std::string whole = io::read_text(path);
  const Image<std::int16_t> empty(kWidth, kHeight);
  std::mt19937 random(1);
  int refused = 0;
  for (int round = 0; round < 300; ++round) {
    std::string text = whole;
    // In the table of places and the tiles behind it; headers are CFITSIO's business.
    const std::size_t place = whole.size() - 2 * 2880 + random() % (2 * 2880);
    text[place] = static_cast<char>(random());
    write_file(path, text);
    Image<std::int16_t> rows = empty;
    try {
      const SkycellReader reader(path, SkycellFormat::fits, SkycellPlane::image);
      reader.read_stored(0, rows.view());
    } catch (const ConfigError& error) {
      CHECK_THAT(error.what(), Contains("i.fits: "));
      ++refused;
    }
  }
  CHECK(refused > 3);
  // A file that is cut short while it is open.
  write_file(path, whole);
  const SkycellReader reader(path, SkycellFormat::fits, SkycellPlane::image);
  std::filesystem::resize_file(path, whole.size() - 2 * 2880);
  Image<std::int16_t> rows = empty;
  CHECK_THAT(error_of<ConfigError>([&] { reader.read_stored(0, rows.view()); }),
             Contains("i.fits: is truncated"));
}

TEST_CASE("Skycell image: checksums tell damaged files", "[skycell]") {
  const Scratch scratch;
  const std::filesystem::path path = scratch / "i.fits";
  write_shorts(path, true, stack_cards() + scaling_cards(), stored);
  const auto sums = [&](const std::filesystem::path& file) {
    return error_of<ConfigError>(
        [&] { SkycellReader(file, SkycellFormat::fits, SkycellPlane::image).check_sums(); });
  };
  CHECK(sums(path).empty());  // without such cards
  int status = 0;
  fitsfile* file = nullptr;
  fits_open_file(&file, path.c_str(), READWRITE, &status);
  fits_movabs_hdu(file, 2, nullptr, &status);
  fits_write_chksum(file, &status);
  fits_close_file(file, &status);
  REQUIRE(status == 0);
  CHECK(sums(path).empty());
  // A bit that decodes to other pixels without anybody noticing.
  std::string text = io::read_text(path);
  text[text.size() - 2880 - 300] = static_cast<char>(text[text.size() - 2880 - 300] ^ 1);
  write_file(path, text);
  CHECK_THAT(sums(path), Contains("i.fits: does not have the checksum of its HDU 1"));
  std::filesystem::rename(path, scratch / "i.fits.gz");
  CHECK(sums(scratch / "i.fits.gz").empty());
}

TEST_CASE("Skycell image: variances are squares of counts per second", "[skycell]") {
  const Scratch scratch;
  write_shorts(scratch / "wt.fits", true, stack_cards() + scaling_cards(), stored);
  const auto flux = [&](SkycellPlane plane) {
    return SkycellReader(scratch / "wt.fits", SkycellFormat::fits, plane)
        .read_flux({0, kWidth, 0, kHeight})(21, 20);
  };
  CHECK(flux(SkycellPlane::variance) == Approx(flux(SkycellPlane::image) / kExptime).epsilon(1e-6));
}

TEST_CASE("Skycell image: a Zarr store has the same pixels", "[skycell]") {
  const Scratch scratch;
  ZarrSpec spec;
  spec.format = GENERATE(2, 3);
  spec.codec = "zstd";
  spec.width = kWidth;
  spec.height = kHeight;
  spec.chunk_height = 16;
  spec.chunk_width = 16;
  spec.header = joined(stack_cards() + scaling_cards());
  const std::filesystem::path folder = scratch / "1405/skycell.1405.053/i";
  const auto value = [](int y, int x) {
    return stored(y, x) == kBlank ? std::numeric_limits<double>::quiet_NaN() : scaled(y, x);
  };
  write_zarr(folder, spec, value);
  const SkycellReader reader(folder, SkycellFormat::zarr, SkycellPlane::image);
  CHECK(reader.header().exptime_s == kExptime);
  CHECK(reader.header().rows_per_read == 16);
  CHECK_FALSE(reader.header().integers.has_value());
  CHECK(reader.text("FPA.FILTER") == "i.00000");
  check_flux(reader);
  spec.dtype = "<u2";
  spec.fill = "0";
  spec.header = "";
  const std::filesystem::path mask = scratch / "1405/skycell.1405.053/i_mask";
  write_zarr(mask, spec, [](int y, int x) { return static_cast<double>(mask_bits(y, x)); });
  const Image<std::uint16_t> bits =
      SkycellReader(mask, SkycellFormat::zarr, SkycellPlane::mask).read_mask({3, 40, 2, 41});
  for (int y = 2; y < 41; ++y) {
    for (int x = 3; x < 40; ++x) {
      REQUIRE(bits(y - 2, x - 3) == mask_bits(y, x));
    }
  }
  CHECK_THAT(complaint(mask, SkycellFormat::zarr), Contains("i_mask: has no attribute header"));
  spec.header = "EXPTIME = 3";
  write_zarr(mask, spec, value);
  CHECK_THAT(complaint(mask, SkycellFormat::zarr),
             Contains("attribute header has 11 characters: FITS cards of 80"));
}

TEST_CASE("Skycell image: masks of all kinds of numbers", "[skycell]") {
  const Scratch scratch;
  const Box all{0, kWidth, 0, kHeight};
  const auto path = scratch / "mask.fits";
  const auto mask = [&] { return SkycellReader(path, SkycellFormat::fits, SkycellPlane::mask); };
  for (const bool compressed : {false, true}) {
    write_shorts(path, compressed, stack_cards(), mask_bits);
    const Image<std::uint16_t> bits = mask().read_mask(all);
    for (int y = 0; y < kHeight; ++y) {
      for (int x = 0; x < kWidth; ++x) {
        REQUIRE(bits(y, x) == mask_bits(y, x));
      }
    }
    Image<std::uint16_t> rows(kWidth, 9);
    mask().read_mask(13, rows.view());
    for (int y = 0; y < 9; ++y) {
      for (int x = 0; x < kWidth; ++x) {
        REQUIRE(rows(y, x) == mask_bits(y + 13, x));
      }
    }
  }
  // Cut-outs of the archive's server: floats, NaN where nothing is set.
  Image<float> floats(2, 1, std::numeric_limits<float>::quiet_NaN());
  floats(0, 1) = 4128.0F;
  io::write_fits_image(path, floats.view(), {});
  CHECK(mask().read_mask({0, 2, 0, 1})(0, 0) == 0);
  CHECK(mask().read_mask({0, 2, 0, 1})(0, 1) == 4128);
  Image<std::uint16_t> row(2, 1);
  mask().read_mask(0, row.view());
  CHECK((row(0, 0) == 0 && row(0, 1) == 4128));
  for (const float wrong : {0.5F, 70000.0F, 1e20F, -40000.0F}) {
    floats(0, 0) = wrong;
    io::write_fits_image(path, floats.view(), {});
    CHECK_THAT(error_of<ConfigError>([&] {
                 (void)mask().read_mask({0, 2, 0, 1});
               }),
               Contains("mask.fits: holds "));
  }
}

TEST_CASE("Skycell image: cards that are missing or senseless", "[skycell]") {
  const Scratch scratch;
  const auto path = scratch / "i.fits";
  const auto with = [&](const std::vector<std::string>& cards) {
    write_shorts(path, true, stack_cards() + cards, stored);
    return complaint(path, SkycellFormat::fits);
  };
  const std::string exptime = scaling_cards()[0];
  const std::string bsoften = scaling_cards()[1];
  const std::string boffset = scaling_cards()[2];
  CHECK(with({exptime, bsoften, boffset}).empty());
  CHECK(with({exptime}).empty());
  CHECK_THAT(with({bsoften, boffset}), Contains("i.fits: bad or missing EXPTIME"));
  CHECK_THAT(with({"EXPTIME = 0.0"}), Contains("bad or missing EXPTIME"));
  CHECK_THAT(with({exptime, bsoften}), Contains("BSOFTEN without BOFFSET"));
  CHECK_THAT(with({exptime, boffset}), Contains("BOFFSET without BSOFTEN"));
  CHECK_THAT(with({exptime, boffset, "BSOFTEN = -3.0"}), Contains("bad BOFFSET or BSOFTEN"));
  CHECK_THAT(complaint(scratch / "absent.fits", SkycellFormat::fits), Contains("absent.fits"));
  // Values for which sinh overflows single precision.
  write_shorts(path, false, stack_cards() + scaling_cards(), stored);
  CHECK(with({exptime, boffset, "BSOFTEN = 1E38"}).empty());
  CHECK_THAT(error_of<ConfigError>([&] {
               (void)SkycellReader(path, SkycellFormat::fits, SkycellPlane::image)
                   .read_flux({0, kWidth, 0, kHeight});
             }),
             Contains("a pixel becomes infinite"));
}

TEST_CASE("Skycell image: truncated files", "[skycell]") {
  const Scratch scratch;
  const auto path = scratch / "i.fits";
  write_shorts(path, GENERATE(false, true), stack_cards() + scaling_cards(), stored);
  const std::string whole = io::read_text(path);
  for (const std::size_t kept : {std::size_t{0}, std::size_t{1000}, whole.size() - 2880}) {
    CAPTURE(kept);
    write_file(path, whole.substr(0, kept));
    CHECK_THAT(complaint(path, SkycellFormat::fits), Contains("i.fits"));
  }
}

TEST_CASE("Skycell image: asinh against its inverse", "[skycell]") {
  const surveys::AsinhScaling scaling{false, kBoffset, kBsoften};
  const double a = 2.5 / std::log(10.0);
  for (const double counts : {-1e5, -300.0, 0.0, kBoffset, kBoffset + 1e-6, 12.0, 4e3, 2e7}) {
    const double v = a * std::asinh((counts - kBoffset) / (2.0 * kBsoften));
    CHECK(scaling.counts(v) == Approx(counts).epsilon(1e-13).margin(1e-10));
  }
  std::vector<float> values{std::numeric_limits<float>::quiet_NaN(), 0.0F};
  CHECK(surveys::undo_asinh(scaling, 0.5, values));
  CHECK(std::isnan(values[0]));
  CHECK(values[1] == static_cast<float>(0.5 * kBoffset));
  CHECK(surveys::AsinhScaling{}.counts(-17.5) == -17.5);
}

TEST_CASE("Skycell image: names of mask bits in a real header", "[skycell]") {
  const std::string path = kData + "/ps1/H1413+117_10x10arcsec_55664.39704_r_sci.fits";
  if (!std::filesystem::exists(path)) {
    std::cout << "skipped: " << path << " is not there\n";
    return;
  }
  const SkycellReader warp(path, SkycellFormat::fits, SkycellPlane::mask);
  const auto bits = surveys::skycell_mask_bits(warp);
  REQUIRE(bits.size() == 18);
  // What a header without such cards stands for is the same.
  const Scratch scratch;
  write_shorts(scratch / "mask.fits", true, stack_cards(), mask_bits);
  CHECK(surveys::skycell_mask_bits(
            SkycellReader(scratch / "mask.fits", SkycellFormat::fits, SkycellPlane::mask)) == bits);
  // Warps are linear, and blank where masked.
  const SkycellReader image(path, SkycellFormat::fits, SkycellPlane::image);
  CHECK(image.header().scaling.linear);
  CHECK(image.header().exptime_s == 40.0);
}

TEST_CASE("Skycell image: names of mask bits that are none", "[skycell]") {
  const Scratch scratch;
  write_shorts(scratch / "mask.fits", true,
               {"MSKNUM  = 2", "MSKNAM00= 'A'", "MSKVAL00= 4", "MSKNAM01= 'B'"}, mask_bits);
  const SkycellReader mask(scratch / "mask.fits", SkycellFormat::fits, SkycellPlane::mask);
  CHECK_THAT(error_of<ConfigError>([&] { (void)surveys::skycell_mask_bits(mask); }),
             Contains("mask.fits: MSKVAL01 is \"\""));
}
