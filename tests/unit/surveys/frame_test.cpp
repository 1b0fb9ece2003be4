#include "skyloom/surveys/frame.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "skyloom/core/errors.hpp"
#include "skyloom/io/fits.hpp"

#include "unit/io/scratch.hpp"

using namespace skyloom;
using Catch::Contains;
using Cards = std::vector<io::FitsCard>;

namespace {

const std::string kData = SKYLOOM_TEST_DATA;

Cards good_cards() {
  return {{"FILTER", " g "},      {"ZP_AUTO", 25.0},
          {"SKYSIG", 2.0},        {"EGAIN", 1.5},
          {"SATURATE", 1000.0},   {"SEEING", 1.8},
          {"EXPTIME", 172.8},     {"DATE-OBS", "2024-01-02T12:00:00.0"},
          {"CTYPE1", "RA---TAN"}, {"CTYPE2", "DEC--TAN"},
          {"CRVAL1", 150.0},      {"CRVAL2", 20.0},
          {"CRPIX1", 30.0},       {"CRPIX2", 20.0},
          {"CD1_1", -0.5 / 3600}, {"CD1_2", 0.0},
          {"CD2_1", 0.0},         {"CD2_2", 0.5 / 3600}};
}

Cards without(Cards cards, const std::string& keyword) {
  std::erase_if(cards, [&](const auto& card) { return card.first == keyword; });
  return cards;
}

Cards with(Cards cards, const io::FitsCard& card) {
  cards = without(std::move(cards), card.first);
  cards.push_back(card);
  return cards;
}

Image<float> pixels(int width = 60, int height = 130) {
  Image<float> image(width, height);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      image(y, x) = static_cast<float>(x + y);
    }
  }
  return image;
}

surveys::FrameSpec spec_of(const std::filesystem::path& path) {
  surveys::FrameSpec spec;
  spec.file = path.string();
  return spec;
}

}  // namespace

TEST_CASE("A header becomes a frame's numbers") {
  const Scratch scratch;
  io::write_fits_image(scratch / "g.fits", pixels().view(), good_cards());
  surveys::FrameSpec spec = spec_of(scratch / "g.fits");
  const surveys::FrameInfo info = surveys::read_frame_info(spec, 27.5);
  CHECK(info.band == "g");
  CHECK(info.hdu == 0);
  CHECK(info.width == 60);
  CHECK(info.height == 130);
  CHECK(info.zp_mag == 25.0);
  CHECK(info.skysig_adu == 2.0);
  CHECK(info.egain == 1.5);
  CHECK(info.saturate_adu == 1000.0);
  CHECK(info.fwhm_pix == Approx(3.6).epsilon(1e-6));
  // 2024-01-02 is MJD 60311; half of the exposure is a thousandth of a day.
  CHECK(info.mjd == Approx(60311.501).epsilon(1e-12));
  CHECK(info.scale == Approx(10.0));
  CHECK(surveys::read_frame_size(spec) == std::pair(60, 130));

  spec.filter = "r";
  spec.zp = 27.5;
  spec.skysig_adu = 3.0;
  spec.egain = 4.0;
  spec.saturate_adu = 500.0;
  const surveys::FrameInfo given = surveys::read_frame_info(spec, 27.5);
  CHECK(given.band == "r");
  CHECK(given.scale == 1.0);
  CHECK(given.skysig_adu == 3.0);
  CHECK(given.egain == 4.0);
  CHECK(given.saturate_adu == 500.0);

  io::write_fits_image(scratch / "p.fits", pixels().view(),
                       with(with(good_cards(), {"PEEING", 4.5}), {"MJD-OBS", 60000.0}));
  const auto preferred = surveys::read_frame_info(spec_of(scratch / "p.fits"), 27.5);
  CHECK(preferred.fwhm_pix == 4.5);
  CHECK(preferred.mjd == Approx(60000.001).epsilon(1e-12));
}

TEST_CASE("What a header lacks is named, and what it may lack is NaN") {
  const Scratch scratch;
  const auto message = [&](const Cards& cards) {
    io::write_fits_image(scratch / "x.fits", pixels().view(), cards);
    return error_of<ConfigError>(
        [&] { (void)surveys::read_frame_info(spec_of(scratch / "x.fits"), 25.0); });
  };
  CHECK_THAT(message(without(good_cards(), "FILTER")), Contains("x.fits: missing FILTER"));
  CHECK_THAT(message(with(good_cards(), {"FILTER", "  "})), Contains("x.fits: empty FILTER"));
  CHECK_THAT(message(without(good_cards(), "ZP_AUTO")), Contains("x.fits: missing ZP_AUTO"));
  CHECK_THAT(message(without(good_cards(), "SKYSIG")), Contains("bad or missing SKYSIG"));
  CHECK_THAT(message(with(good_cards(), {"SKYSIG", 0.0})), Contains("bad or missing SKYSIG"));
  CHECK_THAT(message(with(good_cards(), {"EGAIN", "nan"})),
             Contains("bad or missing EGAIN (e-/ADU)"));
  CHECK(message(without(good_cards(), "SATURATE")).empty());
  Cards few = without(without(without(good_cards(), "SATURATE"), "SEEING"), "DATE-OBS");
  CHECK(message(few).empty());
  const auto info = surveys::read_frame_info(spec_of(scratch / "x.fits"), 25.0);
  CHECK(std::isnan(info.saturate_adu));
  CHECK(std::isnan(info.fwhm_pix));
  CHECK(std::isnan(info.mjd));
  std::filesystem::resize_file(scratch / "x.fits", 9000);
  CHECK_THAT(error_of<ConfigError>(
                 [&] { (void)surveys::read_frame_info(spec_of(scratch / "x.fits"), 25.0); }),
             Contains("x.fits") && Contains("truncated"));
}

TEST_CASE("Image lists skip comments and resolve paths") {
  const Scratch scratch;
  const auto list = scratch.file("list.txt", "# images\n\n a.fits \r\n/abs/b.fits\n../c.fits");
  const auto specs = surveys::read_image_list(list.string(), "/base/run");
  REQUIRE(specs.size() == 3);
  CHECK(specs[0].file == "/base/run/a.fits");
  CHECK(specs[1].file == "/abs/b.fits");
  CHECK(specs[2].file == "/base/c.fits");
  const auto empty = scratch.file("empty.txt", "#nothing\n");
  CHECK_THAT(error_of<ConfigError>([&] { (void)surveys::read_image_list(empty.string(), "/"); }),
             Contains("empty.txt") && Contains("no image"));
  CHECK_THAT(error_of<ConfigError>([&] { (void)surveys::read_image_list("/no/list", "/"); }),
             Contains("/no/list"));
}

TEST_CASE("A WCS that differs in anything is a mismatch") {
  const Scratch scratch;
  const auto message = [&](const Cards& cards) {
    io::write_fits_image(scratch / "a.fits", pixels().view(), good_cards());
    io::write_fits_image(scratch / "b.fits", pixels().view(), cards);
    const auto a = surveys::read_frame_wcs(spec_of(scratch / "a.fits"));
    const auto b = surveys::read_frame_wcs(spec_of(scratch / "b.fits"));
    return error_of<ConfigError>([&] { surveys::check_alignment(a, b, {}, "b.fits", "a.fits"); });
  };
  CHECK(message(good_cards()).empty());
  CHECK(message(with(good_cards(), {"CRPIX1", 30.0000005})).empty());
  CHECK_THAT(message(with(good_cards(), {"CRPIX1", 30.001})),
             Contains("b.fits: WCS mismatch with reference") && Contains("CRPIX"));
  CHECK_THAT(message(with(good_cards(), {"CRVAL2", 20.0001})), Contains("CRVAL"));
  CHECK_THAT(message(with(good_cards(), {"CD1_2", 1e-8})), Contains("CD"));
  CHECK_THAT(message(with(with(good_cards(), {"CTYPE1", "RA---TPV"}), {"CTYPE2", "DEC--TPV"})),
             Contains("CTYPE"));
}

namespace {

/// Largest distance in pixels between what two WCS say of sky positions that one of them gives.
double largest_difference(const sky::Wcs& a, const sky::Wcs& b, const Box& box, int x0, int y0) {
  std::vector<double> x;
  std::vector<double> y;
  for (int i = 0; i <= 10; ++i) {
    for (int j = 0; j <= 10; ++j) {
      x.push_back(box.x0 + i * box.width() / 10.0);
      y.push_back(box.y0 + j * box.height() / 10.0);
    }
  }
  std::vector<double> ra(x.size());
  std::vector<double> dec(x.size());
  std::vector<double> u(x.size());
  std::vector<double> v(x.size());
  a.to_sky(x, y, ra, dec);
  b.to_pixel(ra, dec, u, v);
  double largest = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    largest = std::max(largest, std::hypot(u[i] + x0 - x[i], v[i] + y0 - y[i]));
  }
  return largest;
}

}  // namespace

TEST_CASE("The cards that are kept of a WCS say all of it, of a cut-out too") {
  const Scratch scratch;
  const auto tpv = [](Cards cards) {
    cards = with(with(std::move(cards), {"CTYPE1", "RA---TPV"}), {"CTYPE2", "DEC--TPV"});
    return with(with(std::move(cards), {"PV1_5", 0.7}), {"PV2_7", -0.4});
  };
  const auto sip = [](Cards cards) {
    cards = with(with(std::move(cards), {"CTYPE1", "RA---TAN-SIP"}), {"CTYPE2", "DEC--TAN-SIP"});
    cards = with(with(std::move(cards), {"A_ORDER", 2}), {"A_2_0", 1e-5});
    return with(with(std::move(cards), {"B_ORDER", 2}), {"B_1_1", -2e-5});
  };
  std::vector<surveys::FrameSpec> specs;
  int number = 0;
  for (const Cards& cards : {good_cards(), tpv(good_cards()), sip(good_cards())}) {
    const auto path = scratch / ("wcs" + std::to_string(number++) + ".fits");
    io::write_fits_image(path, pixels().view(), cards);
    specs.push_back(spec_of(path));
  }
  for (const char* name : {"/decam_multi/c4d_181214_050844_ooi_g_ls9.S9.fits",
                           "/decam/decam-520206-S16-image-sub.fits"}) {
    if (std::filesystem::exists(kData + name)) {
      specs.push_back(spec_of(kData + name));
    }
  }
  for (const surveys::FrameSpec& spec : specs) {
    CAPTURE(spec.file);
    const std::string cards = surveys::read_wcs_cards(spec);
    const sky::Wcs whole = surveys::read_frame_wcs(spec);
    const auto [width, height] = surveys::read_frame_size(spec);
    CHECK(cards.size() % 80 == 0);
    CHECK(cards.size() < 80 * 80);
    const Box all{0, width, 0, height};
    const double same = largest_difference(whole, sky::Wcs(cards, "kept"), all, 0, 0);
    CHECK(same == largest_difference(whole, whole, all, 0, 0));
    const Box box{7, 31, 12, 40};
    const sky::Wcs cut(surveys::cut_wcs_cards(cards, box), "cut");
    CHECK(largest_difference(whole, cut, box, box.x0, box.y0) < 1e-6);
  }
}

TEST_CASE("Noise in single precision and weights stand for each other without loss") {
  CHECK(surveys::invvar_of_sigma(std::numeric_limits<float>::infinity()) == 0.0F);
  CHECK(surveys::sigma_of_invvar(0.0F) == std::numeric_limits<float>::infinity());
  float sigma = 1e-6F;
  std::size_t wrong = 0;
  for (int i = 0; i < 2000000; ++i) {
    sigma = std::nextafter(sigma * 1.00001F, 1e30F);
    wrong += surveys::sigma_of_invvar(surveys::invvar_of_sigma(sigma)) == sigma ? 0 : 1;
  }
  CHECK(sigma > 100.0F);
  CHECK(wrong == 0);
}

TEST_CASE("Pixels are scaled, weighted and masked") {
  const Scratch scratch;
  Image<float> image = pixels();
  image(10, 20) = std::numeric_limits<float>::quiet_NaN();
  image(10, 21) = 500.0F;
  image(10, 22) = 499.9F;
  io::write_fits_image(scratch / "g.fits", image.view(), good_cards());
  surveys::FrameSpec spec = spec_of(scratch / "g.fits");
  const auto info = surveys::read_frame_info(spec, 27.5);
  surveys::FrameReader reader(spec, info);
  const auto part = reader.read({-2, 30, 8, 12});
  REQUIRE(part.data.width() == 32);
  REQUIRE(part.data.height() == 4);
  CHECK(part.data(0, 2 + 5) == Approx(10.0 * 13.0));
  CHECK(part.invvar(0, 2 + 5) == Approx(1.0 / 400.0));
  CHECK(part.bad(0, 7) == 0);
  CHECK(part.bad(2, 22) == surveys::kBadNotFinite);
  CHECK(part.bad(2, 23) == surveys::kBadSaturated);
  CHECK(part.bad(2, 24) == 0);
  CHECK(part.data(2, 23) == 0.0F);
  CHECK(part.invvar(2, 23) == 0.0F);
  CHECK(part.bad(0, 1) == surveys::kBadNotFinite);
  CHECK(part.invvar(0, 1) == 0.0F);
  const auto outside = reader.read({100, 103, 0, 2});
  CHECK(std::all_of(outside.bad.pixels().begin(), outside.bad.pixels().end(),
                    [](std::uint8_t bad) { return bad != 0; }));
  spec.sky_is_fitted = false;
  spec.sky_adu = 13.0;
  CHECK(surveys::FrameReader(spec, info).read({5, 6, 8, 9}).data(0, 0) == 0.0F);
}

TEST_CASE("A compressed frame gives the same pixels whatever the order of the boxes") {
  const Scratch scratch;
  Image<float> image = pixels(60, 200);
  for (int i = 0; i < 60 * 200; ++i) {
    image.pixels()[static_cast<std::size_t>(i)] += static_cast<float>(3.0 * std::sin(7.3 * i));
  }
  io::write_fits_image(scratch / "c.fits", image.view(), good_cards(), "rice");
  const surveys::FrameSpec spec = spec_of(scratch / "c.fits");
  const auto info = surveys::read_frame_info(spec, 25.0);
  CHECK(info.hdu == 1);
  surveys::FrameReader reader(spec, info);
  const auto whole = reader.read({0, 60, 0, 200});
  for (const Box& box : {Box{3, 20, 150, 199}, Box{40, 60, 10, 70}, Box{0, 5, 60, 65},
                         Box{50, 60, 60, 65}, Box{1, 2, 199, 200}}) {
    const auto part = surveys::FrameReader(spec, info).read(box);
    const auto cached = reader.read(box);
    const auto expected = whole.data.view().sub(box);
    const Image<std::uint8_t> bad = reader.read_bad(box);
    CHECK(std::equal(bad.pixels().begin(), bad.pixels().end(), part.bad.pixels().begin()));
    for (int y = 0; y < box.height(); ++y) {
      CHECK(std::equal(expected.row(y).begin(), expected.row(y).end(),
                       part.data.view().row(y).begin()));
      CHECK(std::equal(expected.row(y).begin(), expected.row(y).end(),
                       cached.data.view().row(y).begin()));
    }
  }
}

TEST_CASE("An inverse-variance image replaces the noise and masks") {
  const Scratch scratch;
  Image<float> weight(60, 130, 4.0F);
  weight(0, 0) = 0.0F;
  weight(0, 1) = -1.0F;
  weight(0, 2) = 0.39F;
  weight(0, 3) = 0.41F;
  weight(0, 4) = std::numeric_limits<float>::quiet_NaN();
  io::write_fits_image(scratch / "g.fits", pixels().view(), without(good_cards(), "SKYSIG"));
  io::write_fits_image(scratch / "w.fits", weight.view(), {});
  surveys::FrameSpec spec = spec_of(scratch / "g.fits");
  spec.invvar = (scratch / "w.fits").string();
  const auto info = surveys::read_frame_info(spec, 27.5);
  CHECK(std::isnan(info.skysig_adu));
  surveys::FrameReader reader(spec, info);
  const auto part = reader.read({0, 8, 0, 2});
  for (const int x : {0, 1, 2, 4}) {
    CHECK(part.bad(0, x) == surveys::kBadMasked);
    CHECK(part.invvar(0, x) == 0.0F);
    CHECK(part.data(0, x) == 0.0F);
  }
  const Image<std::uint8_t> bad = reader.read_bad({0, 8, 0, 2});
  CHECK(std::equal(bad.pixels().begin(), bad.pixels().end(), part.bad.pixels().begin()));
  CHECK(part.bad(0, 3) == 0);
  CHECK(part.invvar(0, 3) == Approx(0.41 / 100.0));
  CHECK(part.invvar(1, 7) == Approx(0.04));
  CHECK(part.data(1, 7) == Approx(80.0));
  io::write_fits_image(scratch / "small.fits", pixels(5, 5).view(), {});
  spec.invvar = (scratch / "small.fits").string();
  CHECK_THAT(error_of<ConfigError>([&] { (void)surveys::read_frame_info(spec, 25.0); }),
             Contains("small.fits") && Contains("5 x 5") && Contains("60 x 130"));
  spec.invvar = (scratch / "none.fits").string();
  CHECK_THAT(error_of<ConfigError>([&] { (void)surveys::read_frame_info(spec, 25.0); }),
             Contains("none.fits"));
}

TEST_CASE("The DECam image and its weights are read as their page says") {
  if (!std::filesystem::exists(kData + "/decam")) {
    WARN("skipped: no folder " << kData);
    return;
  }
  surveys::FrameSpec spec = spec_of(kData + "/decam/decam-520206-S16-image-sub.fits");
  spec.invvar = kData + "/decam/decam-520206-S16-invvar-sub.fits";
  spec.zp = 30.3355;
  spec.egain = 3.9;
  spec.filter = "z";
  spec.sky_is_fitted = false;
  spec.sky_adu = 8238.246;
  const auto info = surveys::read_frame_info(spec, 22.5);
  CHECK(info.saturate_adu == 46370.0);
  CHECK(1.0 / info.scale == Approx(1362.06).epsilon(1e-4));
  const auto all = surveys::FrameReader(spec, info).read({0, 70, 0, 70});
  const auto bad = std::count_if(all.bad.pixels().begin(), all.bad.pixels().end(),
                                 [](std::uint8_t b) { return b != 0; });
  CHECK(bad == 630);
  std::vector<float> weights;
  std::copy_if(all.invvar.pixels().begin(), all.invvar.pixels().end(), std::back_inserter(weights),
               [](float w) { return w > 0.0F; });
  std::sort(weights.begin(), weights.end());
  CHECK(weights[weights.size() / 2] * info.scale * info.scale == Approx(4.766e-4).epsilon(0.03));
}
