// Masks, blank values, sky models and times of frames, and the survey files that hold them.

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

#include "skyloom/core/errors.hpp"
#include "skyloom/core/table.hpp"
#include "skyloom/io/fits.hpp"
#include "skyloom/surveys/frame.hpp"

#include "unit/io/scratch.hpp"

using namespace skyloom;
using Catch::Contains;
using Cards = std::vector<io::FitsCard>;

namespace {

const std::string kData = SKYLOOM_TEST_DATA;

Cards cards(const Cards& more = {}) {
  Cards out{{"FILTER", "g"}, {"ZP_AUTO", 25.0}, {"SKYSIG", 2.0}, {"EGAIN", 1.5}};
  out.insert(out.end(), more.begin(), more.end());
  return out;
}

surveys::FrameSpec frame(const Scratch& scratch, const Image<float>& image,
                         const Cards& more = {}) {
  io::write_fits_image(scratch / "g.fits", image.view(), cards(more));
  surveys::FrameSpec spec;
  spec.file = (scratch / "g.fits").string();
  return spec;
}

surveys::FramePixels pixels(const surveys::FrameSpec& spec, const Box& box) {
  return surveys::FrameReader(spec, surveys::read_frame_info(spec, 25.0)).read(box);
}

/// An image of 32-bit integers, as masks are, written byte by byte.
void write_integers(const std::filesystem::path& path, int width,
                    const std::vector<std::int32_t>& values) {
  std::string text;
  const auto card = [&](std::string line) {
    line.resize(80, ' ');
    text += line;
  };
  const auto pad = [&](char with) { text.resize((text.size() + 2879) / 2880 * 2880, with); };
  card("SIMPLE  =                    T");
  card("BITPIX  =                   32");
  card("NAXIS   =                    2");
  card("NAXIS1  = " + std::to_string(width));
  card("NAXIS2  = " + std::to_string(values.size() / static_cast<std::size_t>(width)));
  card("END");
  pad(' ');
  for (const std::int32_t value : values) {
    const auto bits = static_cast<std::uint32_t>(value);
    for (const int shift : {24, 16, 8, 0}) {
      text += static_cast<char>(bits >> shift & 255U);
    }
  }
  pad('\0');
  std::ofstream(path, std::ios::binary) << text;
}

double middle(const Scratch& scratch, const Cards& more) {
  return surveys::read_frame_info(frame(scratch, Image<float>(4, 4, 1.0F), more), 25.0).mjd;
}

std::int64_t count(const surveys::FramePixels& part, std::uint8_t bit) {
  return std::count_if(part.bad.pixels().begin(), part.bad.pixels().end(),
                       [bit](std::uint8_t bad) { return (bad & bit) != 0; });
}

}  // namespace

TEST_CASE("A mask marks pixels by any value or by chosen flags, up to the highest bits") {
  const Scratch scratch;
  surveys::FrameSpec spec = frame(scratch, Image<float>(3, 2, 7.0F));
  // As float the flag 1 of the last but one would be lost beside 2^30.
  write_integers(scratch / "m.fits", 3, {0, 1, 2, 4, (1 << 30) + 1, 1 << 30});
  spec.mask = (scratch / "m.fits").string();
  const auto bad = [&](std::int64_t bits) {
    spec.mask_bits = bits;
    const auto part = pixels(spec, {0, 3, 0, 2});
    std::vector<int> out;
    for (std::size_t i = 0; i < 6; ++i) {
      const std::uint8_t why = part.bad.pixels()[i];
      CHECK((why == 0 || why == surveys::kBadMasked));
      CHECK(part.data.pixels()[i] == (why == 0 ? 7.0F : 0.0F));
      CHECK((part.invvar.pixels()[i] > 0.0F) == (why == 0));
      out.push_back(why == 0 ? 0 : 1);
    }
    return out;
  };
  CHECK(bad(0) == std::vector<int>{0, 1, 1, 1, 1, 1});
  CHECK(bad(1) == std::vector<int>{0, 1, 0, 0, 1, 0});
  CHECK(bad(6) == std::vector<int>{0, 0, 1, 1, 0, 0});
  CHECK(bad(1 << 30) == std::vector<int>{0, 0, 0, 0, 1, 1});
  const auto beside = pixels(spec, {-1, 2, 1, 2});
  CHECK(beside.bad(0, 0) == surveys::kBadNotFinite);
  CHECK(beside.bad(0, 1) == 0);
  CHECK(beside.bad(0, 2) == surveys::kBadMasked);
}

TEST_CASE("A mask and weights work together, and a mask of another size is an error") {
  const Scratch scratch;
  surveys::FrameSpec spec = frame(scratch, Image<float>(3, 2, 7.0F));
  write_integers(scratch / "m.fits", 3, {0, 1, 0, 0, 0, 0});
  Image<float> weight(3, 2, 4.0F);
  weight(0, 2) = 0.0F;
  io::write_fits_image(scratch / "w.fits", weight.view(), {});
  spec.mask = (scratch / "m.fits").string();
  spec.invvar = (scratch / "w.fits").string();
  const auto part = pixels(spec, {0, 3, 0, 1});
  CHECK(part.bad(0, 0) == 0);
  CHECK(part.invvar(0, 0) == 4.0F);
  CHECK(part.bad(0, 1) == surveys::kBadMasked);
  CHECK(part.bad(0, 2) == surveys::kBadMasked);
  CHECK(part.invvar(0, 1) == 0.0F);
  CHECK(surveys::pixel_files(spec) == std::vector<std::string>{spec.file, spec.invvar, spec.mask});
  write_integers(scratch / "m.fits", 2, {0, 0});
  CHECK_THAT(error_of<ConfigError>([&] { (void)surveys::read_frame_info(spec, 25.0); }),
             Contains("m.fits") && Contains("2 x 1") && Contains("3 x 2"));
}

TEST_CASE("A value can stand for no data") {
  const Scratch scratch;
  Image<float> image(3, 1, 5.0F);
  image(0, 1) = 0.0F;
  image(0, 2) = 1e-30F;
  surveys::FrameSpec spec = frame(scratch, image);
  CHECK(pixels(spec, {0, 3, 0, 1}).bad(0, 1) == 0);
  spec.blank_adu = 0.0;
  const auto part = pixels(spec, {0, 3, 0, 1});
  CHECK(part.bad(0, 0) == 0);
  CHECK(part.bad(0, 1) == surveys::kBadMasked);
  CHECK(part.invvar(0, 1) == 0.0F);
  CHECK(part.bad(0, 2) == 0);
}

TEST_CASE("A sky model is subtracted before the constant, in ADU") {
  const Scratch scratch;
  surveys::FrameSpec spec = frame(scratch, Image<float>(8, 8, 100.0F));
  Table model(TableSchema{"sky", {}});
  model.add_rows(1);
  model.add_column({"gridvals", Type::float64, "", "", {2, 2}},
                   std::vector<double>{10.0, 20.0, 30.0, 40.0});
  model.add_column({"xgrid", Type::float64, "", "", {2}}, std::vector<double>{0.0, 10.0});
  model.add_column({"ygrid", Type::float64, "", "", {2}}, std::vector<double>{0.0, 10.0});
  for (const char* name : {"order", "x0", "y0"}) {
    model.add_column({name, Type::int32, "", ""}, std::vector<std::int32_t>{1});
  }
  io::write_fits_table(scratch / "sky.fits", model, {});
  spec.sky_model = (scratch / "sky.fits").string();
  spec.zp = 27.5;
  // CCD pixel (5, 3) is pixel (4, 2) of the image.
  CHECK(pixels(spec, {4, 5, 2, 3}).data(0, 0) == Approx((100.0 - 10.0 - 5.0 - 6.0) * 0.1));
  spec.sky_is_fitted = false;
  spec.sky_adu = 9.0;
  CHECK(pixels(spec, {4, 5, 2, 3}).data(0, 0) == Approx(70.0 * 0.1));
  spec.sky_model = (scratch / "none.fits").string();
  CHECK_THAT(error_of<ConfigError>([&] { (void)surveys::read_frame_info(spec, 25.0); }),
             Contains("none.fits"));
}

TEST_CASE("The middle of the exposure comes from the first card that tells it, or from the user") {
  const Scratch scratch;
  const io::FitsCard exposure{"EXPTIME", 172.8};
  CHECK(middle(scratch, {exposure, {"MJDUTC", 60000.5}, {"MJD", 7.0}}) ==
        Approx(60000.501).epsilon(1e-12));
  CHECK(middle(scratch, {exposure, {"MJD", 60000.25}}) == Approx(60000.251).epsilon(1e-12));
  CHECK(middle(scratch, {exposure, {"MJD", 7.0}, {"MJD-OBS", 60000.0}}) ==
        Approx(60000.001).epsilon(1e-12));
  CHECK(middle(scratch, {exposure, {"MJD", 7.0}, {"DATE-OBS", "2024-01-02"}}) ==
        Approx(60311.001).epsilon(1e-12));
  surveys::FrameSpec spec = frame(scratch, Image<float>(4, 4), {exposure, {"PEEING", 3.0}});
  spec.mjd = 61234.5;
  spec.fwhm_pix = 4.25;
  const auto info = surveys::read_frame_info(spec, 25.0);
  CHECK(info.mjd == 61234.5);
  CHECK(info.fwhm_pix == 4.25);
}

TEST_CASE("An SDSS frame is read out of its bz2 file") {
  const std::string path = kData + "/sdss_frame/frame-u-003900-6-0269.fits.bz2";
  if (!std::filesystem::exists(path)) {
    WARN("skipped: no " << path);
    return;
  }
  surveys::FrameSpec spec;
  spec.file = path;
  spec.zp = 22.5;
  spec.skysig_adu = 0.051;
  spec.egain = 175.0;
  const auto info = surveys::read_frame_info(spec, 22.5);
  CHECK(info.band == "u");
  CHECK(info.hdu == 0);
  CHECK(info.width == 2048);
  CHECK(info.height == 1489);
  CHECK(surveys::read_frame_wcs(spec).pixel_scale_arcsec() == Approx(0.396).epsilon(1e-3));
  // The brightest star of the field: x 461, y 56 as the survey's catalogue has it.
  const auto part = surveys::FrameReader(spec, info).read({451, 471, 46, 66});
  const auto top = std::max_element(part.data.pixels().begin(), part.data.pixels().end());
  const auto at = static_cast<int>(top - part.data.pixels().begin());
  CHECK(std::abs(451 + at % 20 - 461) <= 1);
  CHECK(std::abs(46 + at / 20 - 56) <= 1);
}

TEST_CASE("ULTRASPEC frames: gz, zero for no data, MJDUTC at the start") {
  const std::string path = kData + "/ultraspec/aus1219_014_137.subc.fits.gz";
  if (!std::filesystem::exists(path)) {
    WARN("skipped: no " << path);
    return;
  }
  surveys::FrameSpec spec;
  spec.file = path;
  spec.filter = "r";
  spec.zp = 25.0;
  spec.skysig_adu = 44.0;
  spec.egain = 1.0;
  spec.blank_adu = 0.0;
  const auto info = surveys::read_frame_info(spec, 25.0);
  CHECK(info.mjd == Approx(59932.6511074 + 29.8527512371 / 172800.0).epsilon(1e-13));
  const auto part = surveys::FrameReader(spec, info).read({0, 513, 0, 513});
  CHECK(static_cast<double>(count(part, surveys::kBadMasked)) / (513.0 * 513.0) ==
        Approx(0.28).margin(0.005));
}

TEST_CASE("A DECam exposure of the Legacy Surveys: sky model, weights and codes agree") {
  const std::string folder = kData + "/decam_multi/c4d_150110_053718_oo";
  if (!std::filesystem::exists(folder + "i_z_ls9.S4.fits")) {
    WARN("skipped: no folder " << kData);
    return;
  }
  surveys::FrameSpec spec;
  spec.file = folder + "i_z_ls9.S4.fits";
  spec.invvar = folder + "w_z_ls9.S4.fits";
  spec.sky_model = folder + "i_z_ls9-S4-splinesky.fits";
  spec.filter = "z";
  spec.zp = 22.5;
  spec.egain = 3.9;
  const auto info = surveys::read_frame_info(spec, 22.5);
  CHECK(info.mjd == Approx(57032.23194295 + 75.0 / 86400.0).epsilon(1e-12));
  const Box all{0, info.width, 0, info.height};
  const auto weighted = surveys::FrameReader(spec, info).read(all);
  // 1692 pixels have no weight: those with a code, each code marked, of 3 (895) and 4 (797).
  CHECK(count(weighted, surveys::kBadMasked) == 1692);
  spec.mask = folder + "d_z_ls9.S4.fits";
  CHECK(count(surveys::FrameReader(spec, info).read(all), surveys::kBadMasked) == 1692);
  spec.invvar.clear();
  spec.skysig_adu = 20.0;
  spec.mask_bits = 4;
  const auto coded = surveys::FrameReader(spec, surveys::read_frame_info(spec, 22.5)).read(all);
  CHECK(count(coded, surveys::kBadMasked) == 797);
  // The sky is gone in the corner that the star reaches least.
  std::vector<float> corner;
  for (int y = 85; y < 100; ++y) {
    for (int x = 0; x < 15; ++x) {
      corner.push_back(weighted.data(y, x));
    }
  }
  std::nth_element(corner.begin(), corner.begin() + 112, corner.end());
  CHECK(std::abs(corner[112]) < 50.0F);
}
