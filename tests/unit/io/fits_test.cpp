#include "skyloom/io/fits.hpp"

#include <cmath>
#include <cstdlib>
#include <limits>

#include "skyloom/io/files.hpp"

#include "unit/io/scratch.hpp"

using namespace skyloom;
using Catch::Contains;

namespace {

const std::string kData = SKYLOOM_TEST_DATA;

bool have_data() {
  if (!std::filesystem::exists(kData)) {
    WARN("skipped: no folder " << kData);
    return false;
  }
  return true;
}

Image<float> ramp(int width, int height) {
  Image<float> image(width, height);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      image(y, x) = static_cast<float>(1000 * y + x);
    }
  }
  return image;
}

}  // namespace

TEST_CASE("An image reads back with its cards, whole and in boxes") {
  const Scratch scratch;
  Image<float> image = ramp(37, 23);
  image(4, 5) = std::numeric_limits<float>::quiet_NaN();
  const auto path = scratch / "a(1)[0].fits";
  const std::string long_text(150, 'z');
  io::write_fits_image(path, image.view(),
                       {{"FILTER", "g band"},
                        {"ZP_AUTO", 0.1},
                        {"TINY", 1e-300},
                        {"NCOMB", std::int64_t{7}},
                        {"LONGTXT", long_text},
                        {"SKYVALUE", std::numeric_limits<double>::quiet_NaN()},
                        {"COMMENT", "made for a test"}});
  const io::FitsFile file(path);
  CHECK(file.width() == 37);
  CHECK(file.height() == 23);
  CHECK(file.hdu() == 0);
  CHECK(file.hdu_count() == 1);
  CHECK(file.planes() == 1);
  CHECK(file.is_complete());
  CHECK(file.text("FILTER") == "g band");
  CHECK(file.text("LONGTXT") == long_text);
  CHECK(file.number("ZP_AUTO") == 0.1);
  CHECK(file.number("TINY") == 1e-300);
  CHECK(file.number("NCOMB") == 7.0);
  CHECK(file.number("SIMPLE") == 1.0);
  CHECK(std::isnan(file.number("FILTER").value()));
  CHECK(file.text("SKYVALUE") == "");
  CHECK_FALSE(file.number("SATURATE").has_value());
  CHECK_THAT(file.cards(), Contains("made for a test"));
  CHECK(file.cards().size() % 80 == 0);
  const Image<float> whole = file.read();
  CHECK(std::isnan(whole(4, 5)));
  CHECK(whole(22, 36) == 22036.0F);
  const Image<float> part = file.read({30, 37, 20, 22});
  CHECK(part.width() == 7);
  CHECK(part.height() == 2);
  CHECK(part(1, 6) == 21036.0F);
  CHECK_THROWS_AS(file.read(Box{30, 38, 0, 2}), FatalError);
}

TEST_CASE("A view with a stride is written as what it shows") {
  const Scratch scratch;
  const Image<float> image = ramp(20, 10);
  io::write_fits_image(scratch / "v.fits", image.view().sub({3, 9, 2, 5}), {});
  const Image<float> back = io::FitsFile(scratch / "v.fits").read();
  CHECK(back.width() == 6);
  CHECK(back(2, 5) == 4008.0F);
}

TEST_CASE("A tile-compressed image is found, complete and close to the original") {
  const Scratch scratch;
  Image<float> image(64, 48);
  for (int y = 0; y < 48; ++y) {
    for (int x = 0; x < 64; ++x) {
      // A fixed pattern of unit scale stands for noise.
      image(y, x) = static_cast<float>(
          std::fmod(std::abs(std::sin(12.9898 * x + 78.233 * y)) * 43758.5, 4.0));
    }
  }
  image(7, 9) = std::numeric_limits<float>::quiet_NaN();
  io::write_fits_image(scratch / "c.fits", image.view(), {{"FILTER", "r"}}, "rice");
  io::write_fits_image(scratch / "d.fits", image.view(), {{"FILTER", "r"}}, "rice");
  CHECK(io::read_text(scratch / "c.fits") == io::read_text(scratch / "d.fits"));
  const io::FitsFile file(scratch / "c.fits");
  CHECK(file.hdu() == 1);
  CHECK(file.width() == 64);
  CHECK(file.text("FILTER") == "r");
  CHECK(file.is_complete());
  CHECK_THAT(file.cards(), Contains("NAXIS1  =                   64"));
  const Image<float> back = file.read({0, 64, 5, 12});
  CHECK(std::isnan(back(2, 9)));
  double worst = 0.0;
  for (int y = 0; y < 7; ++y) {
    for (int x = 0; x < 64; ++x) {
      if (x != 9 || y != 2) {
        worst = std::max(worst, std::abs(static_cast<double>(back(y, x) - image(y + 5, x))));
      }
    }
  }
  // One quantisation step is a sixteenth of the noise of the image, itself of order 1.
  CHECK(worst < 0.2);
  CHECK(worst > 0.0);
  // The padding is shorter than a block, so this cuts into the compressed rows.
  std::filesystem::resize_file(scratch / "c.fits",
                               std::filesystem::file_size(scratch / "d.fits") - 2880);
  CHECK_FALSE(io::FitsFile(scratch / "c.fits").is_complete());
  CHECK_THROWS_AS(io::write_fits_image(scratch / "e.fits", image.view(), {}, "zip"), ConfigError);
}

TEST_CASE("Truncation is noticed to the byte") {
  const Scratch scratch;
  const auto path = scratch / "t.fits";
  io::write_fits_image(path, ramp(100, 50).view(), {});
  // One header block, then 20 000 bytes of pixels before the padding.
  std::filesystem::resize_file(path, 2880 + 20000);
  CHECK(io::FitsFile(path).is_complete());
  std::filesystem::resize_file(path, 2880 + 19999);
  const io::FitsFile file(path);
  CHECK_FALSE(file.is_complete());
  std::filesystem::resize_file(path, 9000);
  const io::FitsFile shorter(path);
  CHECK_THAT(error_of<ConfigError>([&] { (void)shorter.read(); }),
             Contains("t.fits") && Contains("cannot be read"));
}

TEST_CASE("Files in gz and bz2 open in memory") {
  const Scratch scratch;
  const auto path = scratch / "z.fits";
  io::write_fits_image(path, ramp(30, 20).view(), {{"FILTER", "i"}});
  for (const std::string program : {"gzip", "bzip2"}) {
    const std::string packed = path.string() + (program == "gzip" ? ".gz" : ".bz2");
    if (std::system((program + " -k '" + path.string() + "' 2>/dev/null").c_str()) != 0) {
      WARN("skipped: no " << program);
      continue;
    }
    const io::FitsFile file(packed);
    CHECK(file.text("FILTER") == "i");
    CHECK(file.is_complete());
    CHECK(file.read()(19, 29) == 19029.0F);
    const auto size = std::filesystem::file_size(packed);
    std::filesystem::resize_file(packed, size / 2);
    bool noticed = false;
    try {
      noticed = !io::FitsFile(packed).is_complete();
    } catch (const ConfigError& error) {
      noticed = std::string(error.what()).find("z.fits") != std::string::npos;
    }
    CHECK(noticed);
  }
}

TEST_CASE("What cannot be opened is named with the cause") {
  const Scratch scratch;
  const auto message = [](const std::filesystem::path& path, int hdu = -1) {
    return error_of<ConfigError>([&] { (void)io::FitsFile(path, hdu); });
  };
  CHECK_THAT(message(scratch / "none.fits"), Contains("none.fits") && Contains("does not exist"));
  CHECK_THAT(message(scratch.file("text.fits", "no fits at all")),
             Contains("text.fits") && Contains("not a readable FITS file"));
  CHECK_THAT(message(scratch.file("empty.fits", "")), Contains("empty.fits"));
  io::write_fits_image(scratch / "i.fits", ramp(3, 3).view(), {});
  CHECK_THAT(message(scratch / "i.fits", 3), Contains("i.fits") && Contains("no HDU 3"));
  Table table(TableSchema{"t", {{"a", Type::int32, "", ""}}});
  io::write_fits_table(scratch / "t.fits", table, {});
  CHECK_THAT(message(scratch / "t.fits"), Contains("t.fits") && Contains("has no image"));
  CHECK_THAT(message(scratch / ""), Contains("is a folder"));
  CHECK_THAT(error_of<FatalError>(
                 [&] { io::write_fits_image(scratch / "no/such/i.fits", ramp(3, 3).view(), {}); }),
             Contains("no/such/i.fits"));
}

TEST_CASE("Real files: image behind an empty primary, planes, bz2") {
  if (!have_data()) {
    return;
  }
  const io::FitsFile decam(kData + "/decam/decam-520206-S16-image-sub.fits");
  CHECK(decam.hdu() == 1);
  CHECK(decam.width() == 70);
  CHECK(decam.number("SATURATE") == 46370.0);
  CHECK(decam.text("FILTER").value().substr(0, 1) == "z");
  CHECK(decam.is_complete());

  const std::string scene = kData + "/hsc_scenes/hsc_43158172147384603.fits";
  const io::FitsFile cube(scene, io::fits_hdu_named(scene, "psf"));
  CHECK(cube.hdu() == 3);
  CHECK(cube.planes() == 5);
  CHECK(cube.width() == 41);
  double sum = 0.0;
  const Image<float> plane = cube.read_plane(4);
  for (const float value : plane.pixels()) {
    sum += static_cast<double>(value);
  }
  CHECK(sum == Approx(1.0).epsilon(1e-4));
  const io::FitsFile peaks(scene, 4);
  CHECK(peaks.width() == 0);
  CHECK(peaks.number("NAXIS2") == 3.0);
  CHECK_THROWS_AS(io::fits_hdu_named(scene, "NONE"), ConfigError);

  const io::FitsFile sdss(kData + "/sdss_frame/frame-u-003900-6-0269.fits.bz2");
  CHECK(sdss.width() == 2048);
  CHECK(sdss.height() == 1489);
  CHECK(sdss.hdu_count() == 4);
  CHECK(sdss.is_complete());
}

TEST_CASE("Images of several types stand in the HDUs of one file, also compressed as a whole") {
  const Scratch scratch;
  Image<std::int32_t> words(5, 4);
  Image<std::uint16_t> bits(5, 4);
  Image<std::int16_t> shorts(5, 4);
  for (int y = 0; y < 4; ++y) {
    for (int x = 0; x < 5; ++x) {
      words(y, x) = 100000 * y - x;
      bits(y, x) = static_cast<std::uint16_t>(65535 - 7 * y - x);
      shorts(y, x) = static_cast<std::int16_t>(y == 3 ? 32767 : -32768 + 10 * y + x);
    }
  }
  const Image<float> floats = ramp(5, 4);
  const std::vector<io::FitsCard> scaling{
      {"BZERO", 3.5}, {"BSCALE", 0.25}, {"BLANK", std::int64_t{32767}}, {"EXTNAME", "SCALED"}};
  for (const bool rice : {false, true}) {
    const std::vector<io::FitsImage> images{{{}, {{"TELESCOP", "none"}}},
                                            {words.view(), {{"EXTNAME", "WORDS"}}},
                                            {bits.view(), {}, rice},
                                            {shorts.view(), scaling, rice},
                                            {floats.view(), {}}};
    for (const char* name : {"m.fits", "m.fits.gz"}) {
      io::write_fits_images(scratch / name, images);
      CHECK(io::FitsFile(scratch / name, 0).text("TELESCOP") == "none");
      const Box whole{0, 5, 0, 4};
      const auto read_words = io::FitsFile(scratch / name, 1).read_integers(whole);
      const auto read_bits = io::FitsFile(scratch / name, 2).read_integers(whole);
      const io::FitsFile scaled(scratch / name, 3);
      CHECK(scaled.text("EXTNAME") == "SCALED");
      const Image<float> values = scaled.read();
      const Image<float> read_floats = io::FitsFile(scratch / name, 4).read();
      for (int y = 0; y < 4; ++y) {
        for (int x = 0; x < 5; ++x) {
          CHECK(read_words(y, x) == words(y, x));
          CHECK(read_bits(y, x) == bits(y, x));
          CHECK((y == 3 ? std::isnan(values(y, x))
                        : values(y, x) == 3.5F + 0.25F * static_cast<float>(shorts(y, x))));
          CHECK(read_floats(y, x) == floats(y, x));
        }
      }
    }
    const std::string once = io::sha256(scratch / "m.fits.gz");
    io::write_fits_images(scratch / "m.fits.gz", images);
    CHECK(io::sha256(scratch / "m.fits.gz") == once);
  }
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& entry :
       std::filesystem::directory_iterator((scratch / "m.fits").parent_path())) {
    ++files;
  }
  CHECK(files == 2);
}

TEST_CASE("Rows of integers come one by one, also from a compressed file") {
  const Scratch scratch;
  Image<std::int32_t> words(7, 150);
  Image<std::int16_t> shorts(7, 150);
  Image<std::uint16_t> bits(7, 150);
  for (int y = 0; y < 150; ++y) {
    for (int x = 0; x < 7; ++x) {
      words(y, x) = x == 3 ? -1 : 300000 * y - x;
      shorts(y, x) = static_cast<std::int16_t>(-200 * y + x);
      bits(y, x) = static_cast<std::uint16_t>(65535 - y * x);
    }
  }
  const std::vector<io::FitsImage> images{{{}, {}},
                                          {words.view(), {}},
                                          {shorts.view(), {}},
                                          {bits.view(), {}},
                                          {ramp(3, 3).view(), {}}};
  for (const char* name : {"r.fits", "r.fits.gz"}) {
    const auto path = scratch / name;
    io::write_fits_images(path, images);
    for (int hdu = 1; hdu <= 3; ++hdu) {
      io::FitsRows rows(path, hdu);
      CHECK(rows.width() == 7);
      CHECK(rows.height() == 150);
      std::vector<std::int32_t> row(7);
      int wrong = 0;
      for (int y = 0; y < 150; ++y) {
        rows.next(row);
        for (int x = 0; x < 7; ++x) {
          const std::int32_t expected = hdu == 1   ? words(y, x)
                                        : hdu == 2 ? shorts(y, x)
                                                   : bits(y, x);
          wrong += row[static_cast<std::size_t>(x)] != expected;
        }
      }
      CHECK(wrong == 0);
      CHECK_THROWS_AS(rows.next(row), FatalError);
    }
    CHECK_THROWS_AS(io::FitsRows(path, 0), ConfigError);
    CHECK_THROWS_AS(io::FitsRows(path, 9), ConfigError);
  }
  CHECK_THROWS_AS(io::FitsRows(scratch / "r.fits.gz", 4), ConfigError);
  CHECK_THROWS_AS(io::FitsRows(scratch / "absent.fits.gz", 1), ConfigError);
  const std::string whole = io::read_text(scratch / "r.fits.gz");
  const auto cut = scratch.file("cut.fits.gz", whole.substr(0, whole.size() / 2));
  const auto read_all = [&] {
    io::FitsRows rows(cut, 3);
    std::vector<std::int32_t> row(7);
    for (int y = 0; y < 150; ++y) {
      rows.next(row);
    }
  };
  CHECK_THROWS_AS(read_all(), ConfigError);
}
