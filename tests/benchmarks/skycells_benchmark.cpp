// CPU time of the work on skycells on one core at the size of real cells: reading files as PS1
// writes them, bands to an image, decimation to zones, convolution, full resolution, writing.
// Usage:
//   skycells_benchmark [-r REPEATS] [-d FOLDER]
// Files of 360 MB are made in FOLDER (default: the folder for temporary files) and removed.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <numbers>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include <fitsio.h>
#include <unistd.h>

#include "pipelines/skycells/combine/kernel_cell.hpp"
#include "pipelines/skycells/combine/kernel_pads.hpp"
#include "pipelines/skycells/combine/kernel_zones.hpp"
#include "pipelines/skycells/convolve/kernel.hpp"
#include "skyloom/io/posix_file.hpp"
#include "skyloom/surveys/skycell_image.hpp"

#include "cpu_time.hpp"

using namespace skyloom;
using namespace skyloom::benchmarks;
using namespace skyloom::skycells;
using surveys::SkycellFormat;
using surveys::SkycellPlane;
using surveys::SkycellReader;

namespace {

constexpr int kBands = 4;
constexpr int kRowsPerRead = 32;
constexpr int kRowsPerWrite = 128;
const CellGeometry kCell{6240, 6243, 480, 10, 480};

/// The only known scaling of a real stack.
constexpr double kBzero = 3.632529139519;
constexpr double kBscale = 2.115535619667e-4;
constexpr double kBsoften = 221.8863810555;
constexpr double kBoffset = 7.172080516815;
constexpr double kExptime = 720.0;
/// Noise that makes files as large as real ones.
constexpr double kNoise = 1.5 * kBsoften;
constexpr std::int16_t kBlank = -32768;

void check(int status, const std::string& what) {
  if (status != 0) {
    throw std::runtime_error(what + ": CFITSIO's status " + std::to_string(status));
  }
}

class Folder {
 public:
  explicit Folder(const std::filesystem::path& where)
      : path_(where / ("skycells_benchmark." + std::to_string(getpid()))) {
    std::filesystem::create_directories(path_);
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// One plane as fpack leaves it: 16-bit integers, RICE, one row per tile.
template <class T>
void write_plane(const std::filesystem::path& path, const std::function<void(int, T*)>& row) {
  constexpr bool kMask = std::is_same_v<T, std::uint16_t>;
  int status = 0;
  fitsfile* file = nullptr;
  fits_create_diskfile(&file, path.c_str(), &status);
  fits_set_compression_type(file, RICE_1, &status);
  long sides[] = {kCell.width, kCell.height};
  fits_create_img(file, kMask ? USHORT_IMG : SHORT_IMG, 2, sides, &status);
  double exptime = kExptime;
  fits_write_key(file, TDOUBLE, "EXPTIME", &exptime, nullptr, &status);
  if (!kMask) {
    const auto number = [&](const char* keyword, double value) {
      fits_write_key(file, TDOUBLE, keyword, &value, nullptr, &status);
    };
    number("BSOFTEN", kBsoften);
    number("BOFFSET", kBoffset);
    number("BZERO", kBzero);
    number("BSCALE", kBscale);
    int blank = kBlank;
    fits_write_key(file, TINT, "BLANK", &blank, nullptr, &status);
    fits_set_bscale(file, 1.0, 0.0, &status);
  }
  std::vector<T> pixels(static_cast<std::size_t>(kCell.width));
  for (int y = 0; y < kCell.height && status == 0; ++y) {
    row(y, pixels.data());
    long first[] = {1, y + 1};
    fits_write_pix(file, kMask ? TUSHORT : TSHORT, first, kCell.width, pixels.data(), &status);
  }
  fits_close_file(file, &status);
  check(status, path.string());
}

std::int16_t stored(double counts) {
  const double v = 2.5 / std::log(10.0) * std::asinh((counts - kBoffset) / (2.0 * kBsoften));
  return static_cast<std::int16_t>(
      std::clamp(std::lround((v - kBzero) / kBscale), -32767L, 32767L));
}

/// Noise, bright pixels, a blank border of three and holes. Rows take turns among some that were
/// drawn, each begun somewhere else: a compressor sees no difference.
void write_image(const std::filesystem::path& path, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<> noise(0.0, kNoise);
  constexpr std::size_t kDrawn = std::size_t{1} << 20U;
  std::vector<std::int16_t> drawn(kDrawn);
  for (std::int16_t& value : drawn) {
    value = stored(noise(random) + (random() % 1000 == 0 ? 1e5 : 0.0));
  }
  write_plane<std::int16_t>(path, [&](int y, std::int16_t* row) {
    const std::size_t start = random() % kDrawn;
    for (int x = 0; x < kCell.width; ++x) {
      const bool blank = std::min(x, y) < 3 || x >= kCell.width - 3 || y >= kCell.height - 3 ||
                         (x / 20 % 40 == 7 && y / 20 % 40 == 9);
      row[x] = blank ? kBlank : drawn[(start + static_cast<std::size_t>(x)) % kDrawn];
    }
  });
}

/// Random discs.
void write_mask(const std::filesystem::path& path, unsigned seed) {
  std::mt19937 random(seed);
  Image<std::uint16_t> mask(kCell.width, kCell.height);
  constexpr int kDiscs = 30000;
  for (int i = 0; i < kDiscs; ++i) {
    const int radius = 2 + static_cast<int>(random() % 12);
    const int x0 = static_cast<int>(random() % static_cast<unsigned>(kCell.width));
    const int y0 = static_cast<int>(random() % static_cast<unsigned>(kCell.height));
    const auto bit = static_cast<std::uint16_t>(1U << (random() % 16));
    const Box box =
        mask.box().intersect({x0 - radius, x0 + radius + 1, y0 - radius, y0 + radius + 1});
    for (int y = box.y0; y < box.y1; ++y) {
      for (int x = box.x0; x < box.x1; ++x) {
        if ((x - x0) * (x - x0) + (y - y0) * (y - y0) <= radius * radius) {
          mask(y, x) = static_cast<std::uint16_t>(mask(y, x) | bit);
        }
      }
    }
  }
  write_plane<std::uint16_t>(path, [&](int y, std::uint16_t* row) {
    const auto from = mask.view().row(y);
    std::copy(from.begin(), from.end(), row);
  });
}

struct CellFiles {
  std::vector<std::filesystem::path> images;
  std::vector<std::filesystem::path> masks;
};

CellFiles write_cell(const std::filesystem::path& folder) {
  CellFiles files;
  for (unsigned band = 0; band < kBands; ++band) {
    files.images.push_back(folder / ("image" + std::to_string(band) + ".fits"));
    files.masks.push_back(folder / ("mask" + std::to_string(band) + ".fits"));
    write_image(files.images.back(), band + 1);
    write_mask(files.masks.back(), band + 1);
  }
  return files;
}

/// All integers as they are stored, by CFITSIO, in blocks of rows.
void read_by_cfitsio(const std::filesystem::path& path) {
  int status = 0;
  fitsfile* file = nullptr;
  fits_open_image(&file, path.c_str(), READONLY, &status);
  fits_set_bscale(file, 1.0, 0.0, &status);
  constexpr int kRows = 256;
  Image<std::int16_t> block(kCell.width, kRows);
  for (int y = 0; y < kCell.height; y += kRows) {
    long first[] = {1, y + 1};
    const int rows = std::min(kRows, kCell.height - y);
    int any_blank = 0;
    fits_read_pix(file, TSHORT, first, static_cast<LONGLONG>(rows) * kCell.width, nullptr,
                  block.pixels().data(), &any_blank, &status);
  }
  fits_close_file(file, &status);
  check(status, path.string());
}

/// Calls `work` with every block of rows.
template <class Work>
void for_blocks(int rows_at_once, const Work& work) {
  for (int y = 0; y < kCell.height; y += rows_at_once) {
    work(y, std::min(rows_at_once, kCell.height - y));
  }
}

void read_images(const CellFiles& files) {
  Image<std::int16_t> block(kCell.width, kRowsPerRead);
  for (const auto& path : files.images) {
    const SkycellReader reader(path, SkycellFormat::fits, SkycellPlane::image);
    for_blocks(kRowsPerRead, [&](int y, int rows) {
      reader.read_stored(y, block.view().sub({0, kCell.width, 0, rows}));
    });
  }
}

void read_masks(const CellFiles& files) {
  Image<std::uint16_t> block(kCell.width, kRowsPerRead);
  for (const auto& path : files.masks) {
    const SkycellReader reader(path, SkycellFormat::fits, SkycellPlane::mask);
    for_blocks(kRowsPerRead, [&](int y, int rows) {
      reader.read_mask(y, block.view().sub({0, kCell.width, 0, rows}));
    });
  }
}

/// Rows of a cell from its files, as the stage reads them.
class FileRows final : public RowSource {
 public:
  FileRows(const CellFiles& files, bool with_masks) {
    for (std::size_t b = 0; b < kBands; ++b) {
      images_.emplace_back(files.images[b], SkycellFormat::fits, SkycellPlane::image);
      if (with_masks) {
        masks_.emplace_back(files.masks[b], SkycellFormat::fits, SkycellPlane::mask);
      }
      const surveys::SkycellHeader& h = images_.back().header();
      tables_.push_back(
          band_table({h.integers->bzero, h.integers->bscale, h.integers->blank, h.scaling.linear,
                      h.scaling.boffset, h.scaling.bsoften, h.exptime_s},
                     1.0 / kBands));
    }
    for (const std::vector<float>& table : tables_) {
      BandRows& rows = block_.bands.emplace_back();
      rows.table = table;
      rows.stored = Image<std::int16_t>(kCell.width, kRowsPerRead);
    }
    block_.mask = Image<std::uint16_t>(kCell.width, kRowsPerRead);
    band_mask_ = block_.mask;
  }
  [[nodiscard]] int rows_per_read() const override { return kRowsPerRead; }
  const RowBlock& read(int first, int count) override {
    const Box part{0, kCell.width, 0, count};
    for (std::size_t b = 0; b < kBands; ++b) {
      images_[b].read_stored(first, block_.bands[b].stored.view().sub(part));
      if (masks_.empty()) {
        continue;
      }
      masks_[b].read_mask(first, (b == 0 ? block_.mask : band_mask_).view().sub(part));
      for (std::size_t i = 0; b > 0 && i < band_mask_.pixels().size(); ++i) {
        std::uint16_t& mask = block_.mask.pixels()[i];
        mask = static_cast<std::uint16_t>(mask | band_mask_.pixels()[i]);
      }
    }
    return block_;
  }

 private:
  std::vector<SkycellReader> images_;
  std::vector<SkycellReader> masks_;
  std::vector<std::vector<float>> tables_;
  RowBlock block_;
  Image<std::uint16_t> band_mask_;
};

const std::vector<double> kWeights(kBands, 1.0 / kBands);

/// The same cell as one of another projection.
class PadSource final : public PadPixels {
 public:
  explicit PadSource(const CellFiles& files) : rows_(files, false) {}
  Image<float> read(const Box& box) override {
    Image<float> out(box.width(), box.height());
    for (int first = box.y0; first < box.y1;) {
      const int last = std::min(box.y1, (first / kRowsPerRead + 1) * kRowsPerRead);
      const RowBlock& block = rows_.read(first, last - first);
      for (int i = 0; i < last - first; ++i) {
        sum_row(block, i, box.x0, kWeights, MissingPixel::nan, out.view().row(first + i - box.y0));
      }
      first = last;
    }
    return out;
  }

 private:
  FileRows rows_;
};

/// One cell from its files to its zones: all that the stage `combine` does but for its records.
/// @param pads null: none
CellResult combine(const numerics::MultirateGaussian& gaussian, const CellFiles& files, int x,
                   int y, PadRows* pads = nullptr) {
  FileRows rows(files, true);
  CellTask task;
  task.geometry = kCell;
  task.x = x;
  task.y = y;
  task.width = kCell.width;
  task.height = kCell.height;
  task.weights = kWeights;
  task.gaussian = &gaussian;
  task.padded.left = pads != nullptr;
  task.pads = pads;
  return combine_cell(task, rows);
}

/// The left side filled by one cell that is turned by `angle_deg`, as at declination 2 (0.3
/// degrees) and 58 (6).
CellResult combine_padded(const numerics::MultirateGaussian& gaussian, const CellFiles& files,
                          double angle_deg) {
  constexpr double kScale = 6.94444461259988e-05;
  const double c = kScale * std::cos(angle_deg * std::numbers::pi / 180.0);
  const double s = kScale * std::sin(angle_deg * std::numbers::pi / 180.0);
  const GnomonicGrid here{{10.0, 0.0}, {1.0, 3122.0}, {-kScale, 0.0, 0.0, kScale}};
  const GnomonicGrid there{{10.0, 0.0}, {5900.0, 3122.0}, {-c, s, s, c}};
  PadSource source(files);
  PadRows pads({{{-kCell.pad, kCell.edge, 0, kCell.height},
                 {here, there},
                 Box{0, kCell.width, 0, kCell.height}.grown(-kCell.edge),
                 &source}},
               -kCell.pad, kCell.width);
  return combine(gaussian, files, 5, 5, &pads);
}

/// Fastest of the repeats.
template <class Work>
double best_of(int repeats, const Work& work) {
  double best = 1e30;
  for (int i = 0; i < repeats; ++i) {
    best = std::min(best, seconds_of(work));
  }
  return best;
}

double megabytes(const std::vector<std::filesystem::path>& paths) {
  double bytes = 0.0;
  for (const auto& path : paths) {
    bytes += static_cast<double>(std::filesystem::file_size(path));
  }
  return 1e-6 * bytes;
}

void measure_reading(const CellFiles& files, int repeats) {
  const auto by_cfitsio = [&](const std::vector<std::filesystem::path>& paths) {
    return best_of(repeats, [&] {
      for (const auto& path : paths) {
        read_by_cfitsio(path);
      }
    });
  };
  const double images = best_of(repeats, [&] { read_images(files); });
  const double masks = best_of(repeats, [&] { read_masks(files); });
  std::printf("  %d images, %.0f MB           %.3f  (CFITSIO, 16-bit integers: %.3f)\n", kBands,
              megabytes(files.images), images, by_cfitsio(files.images));
  std::printf("  %d masks, %.0f MB            %.3f  (CFITSIO: %.3f)\n", kBands,
              megabytes(files.masks), masks, by_cfitsio(files.masks));
}

void measure(const std::filesystem::path& folder, int repeats) {
  const CellFiles files = write_cell(folder);
  std::printf("CPU s per cell of %d x %d, %d bands, fastest of %d:\n", kCell.width, kCell.height,
              kBands, repeats);
  measure_reading(files, repeats);
  const numerics::MultirateGaussian gaussian(numerics::plan_gaussian({60.0, 1e-6, 470}));
  std::vector<CellResult> cells;
  const auto measured = [&](const auto& make) {
    return best_of(repeats, [&] {
      cells.clear();
      cells.push_back(make());
    });
  };
  const double nearly_parallel = measured([&] { return combine_padded(gaussian, files, 0.3); });
  const double turned = measured([&] { return combine_padded(gaussian, files, 6.0); });
  const double combined = measured([&] { return combine(gaussian, files, 5, 5); });
  std::size_t bytes = 0;
  for (const Patch& patch : cells.front().cell.light) {
    bytes += patch.nodes.pixels().size_bytes();
  }
  std::printf(
      "  combine, reading included  %.3f  (step %d, %.2f MB of light kept)\n"
      "  with one padded side       %.3f, turned by 6 degrees %.3f\n",
      combined, gaussian.plan().step, 1e-6 * static_cast<double>(bytes), nearly_parallel, turned);

  // Its neighbours have light elsewhere, but as much of it.
  std::vector<CombinedCell> others;
  others.reserve(9);
  Surroundings around{5, 5, {}, true, true};
  for (int i = 0; i < 9; ++i) {
    others.push_back(combine(gaussian, files, 4 + i % 3, 4 + i / 3).cell);
  }
  for (const CombinedCell& cell : others) {
    around.cells.push_back(&cell);
  }
  std::vector<ConvolvedCell> convolved;
  const double coarse = best_of(repeats, [&] {
    convolved.clear();
    convolved.emplace_back(gaussian, kCell, RimRules{}, around);
  });
  Image<float> block(kCell.width, kRowsPerWrite);
  const auto fine_rows = [&](const auto& take) {
    return best_of(repeats, [&] {
      for_blocks(kRowsPerWrite, [&](int y, int rows) {
        convolved.front().rows(y, block.view().sub({0, kCell.width, 0, rows}));
        take(y, rows);
      });
    });
  };
  const double fine = fine_rows([](int, int) {});
  io::PosixFile out(folder / "convolved", io::PosixFile::Mode::replace);
  const double written = fine_rows([&](int y, int rows) {
    const auto width = static_cast<std::size_t>(kCell.width);
    out.write({reinterpret_cast<const char*>(block.pixels().data()),
               sizeof(float) * width * static_cast<std::size_t>(rows)},
              sizeof(float) * width * static_cast<std::uint64_t>(y));
  });
  std::printf(
      "  convolve: coarse, along x  %.3f\n"
      "  full resolution            %.3f\n  the same, written          %.3f  (%.0f MB)\n",
      coarse, fine, written, 4e-6 * kCell.width * kCell.height);
}

}  // namespace

int main(int argc, char** argv) {
  int repeats = 3;
  std::filesystem::path folder = std::filesystem::temp_directory_path();
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string word = argv[i];
    if (word == "-r") {
      repeats = std::max(1, std::atoi(argv[i + 1]));
    } else if (word == "-d") {
      folder = argv[i + 1];
    } else {
      std::fprintf(stderr, "usage: skycells_benchmark [-r REPEATS] [-d FOLDER]\n");
      return 2;
    }
  }
  const Folder place(folder);
  measure(place.path(), repeats);
  return 0;
}
