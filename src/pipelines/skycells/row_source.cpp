#include "pipelines/skycells/row_source.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <limits>
#include <numeric>
#include <optional>
#include <thread>

#include <fmt/format.h>

#include "pipelines/skycells/retries.hpp"
#include "skyloom/core/errors.hpp"

namespace skyloom::skycells {
namespace {

namespace fs = std::filesystem;
using surveys::SkycellPlane;
using surveys::SkycellReader;

/// Rows of FITS files that are read at once.
constexpr int kRows = 32;

Retries make_retries(const Config& config) {
  return {
      {config.io.retries, config.io.gather_timeout_s},
      [](double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); },
      [] {
        return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
            .count();
      }};
}

/// Of a Zarr array those of its chunks.
std::int64_t bytes_of(const fs::path& path) {
  if (fs::is_regular_file(path)) {
    return static_cast<std::int64_t>(fs::file_size(path));
  }
  std::int64_t bytes = 0;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(path)) {
    bytes += entry.is_regular_file() ? static_cast<std::int64_t>(entry.file_size()) : 0;
  }
  return bytes;
}

/// A file that is opened anew after a read that failed.
class Plane {
 public:
  Plane(fs::path path, surveys::SkycellFormat format, SkycellPlane kind)
      : path_(std::move(path)), format_(format), kind_(kind) {}

  [[nodiscard]] const fs::path& path() const { return path_; }
  SkycellReader& reader() {
    if (!reader_) {
      reader_.emplace(path_, format_, kind_);
    }
    return *reader_;
  }
  template <class Read>
  auto read(Retries& retries, const Read& read) {
    return retries([&] {
      try {
        return read(reader());
      } catch (const ReadFailure&) {
        reader_.reset();
        throw;
      }
    });
  }

 private:
  fs::path path_;
  surveys::SkycellFormat format_;
  SkycellPlane kind_;
  std::optional<SkycellReader> reader_;
};

struct Band {
  std::string name;
  double weight = 0.0;
  Plane image;
  std::optional<Plane> mask;
  std::optional<Plane> variance;
};

class FileRows final : public RowSource {
 public:
  FileRows(const surveys::Skycell& cell, std::vector<Band> bands, Retries retries)
      : width_(cell.width), bands_(std::move(bands)), retries_(std::move(retries)) {
    for (Band& band : bands_) {
      const surveys::SkycellHeader header = header_of(band.image);
      take_rows(header.rows_per_read);
      if (band.mask) {
        take_rows(header_of(*band.mask).rows_per_read);
      }
      tables_.push_back(header.integers ? band_table(scaling_of(header), band.weight)
                                        : std::vector<float>());
    }
    block_.mask = Image<std::uint16_t>(width_, rows_);
    mask_ = block_.mask;
    if (bands_.front().variance) {
      block_.sigma = Image<float>(width_, rows_);
    }
    for (const std::vector<float>& table : tables_) {
      BandRows& rows = block_.bands.emplace_back();
      rows.table = table;
      if (!table.empty()) {
        rows.stored = Image<std::int16_t>(width_, rows_);
      }
    }
  }

  [[nodiscard]] int rows_per_read() const override { return rows_; }

  const RowBlock& read(int first, int count) override {
    const Box part{0, width_, 0, count};
    std::fill(block_.mask.pixels().begin(), block_.mask.pixels().end(), std::uint16_t{0});
    for (std::size_t b = 0; b < bands_.size(); ++b) {
      Band& band = bands_[b];
      BandRows& rows = block_.bands[b];
      band.image.read(retries_, [&](SkycellReader& reader) {
        if (!rows.table.empty()) {
          reader.read_stored(first, rows.stored.view().sub(part));
        } else {
          rows.flux = reader.read_flux({0, width_, first, first + count});
        }
      });
      for (float& value : rows.flux.pixels()) {
        value = static_cast<float>(band.weight * static_cast<double>(value));
      }
      if (band.mask) {
        band.mask->read(retries_, [&](SkycellReader& reader) {
          reader.read_mask(first, mask_.view().sub(part));
        });
        add_mask();
      }
    }
    if (!block_.sigma.empty()) {
      read_noise({0, width_, first, first + count});
    }
    return block_;
  }

 private:
  surveys::SkycellHeader header_of(Plane& plane) {
    return plane.read(retries_, [](SkycellReader& reader) { return reader.header(); });
  }
  void take_rows(int per_read) {
    rows_ = std::max(rows_, (std::max(kRows, per_read) + per_read - 1) / per_read * per_read);
  }
  static BandScaling scaling_of(const surveys::SkycellHeader& header) {
    return {header.integers->bzero, header.integers->bscale, header.integers->blank,
            header.scaling.linear,  header.scaling.boffset,  header.scaling.bsoften,
            header.exptime_s};
  }
  /// Noise of the sum: the root of the sum of squared weights times variances.
  void read_noise(const Box& box) {
    std::vector<double> sum(static_cast<std::size_t>(box.width()) *
                            static_cast<std::size_t>(box.height()));
    for (Band& band : bands_) {
      const Image<float> variance = band.variance->read(
          retries_, [&](SkycellReader& reader) { return reader.read_flux(box); });
      for (std::size_t i = 0; i < sum.size(); ++i) {
        sum[i] += band.weight * band.weight * static_cast<double>(variance.pixels()[i]);
      }
    }
    std::transform(sum.begin(), sum.end(), block_.sigma.pixels().begin(),
                   [](double variance) { return static_cast<float>(std::sqrt(variance)); });
  }
  void add_mask() {
    const std::span<std::uint16_t> to = block_.mask.pixels();
    const std::span<const std::uint16_t> from = std::as_const(mask_).pixels();
    for (std::size_t i = 0; i < to.size(); ++i) {
      to[i] = static_cast<std::uint16_t>(to[i] | from[i]);
    }
  }

  int width_;
  std::vector<Band> bands_;
  Retries retries_;
  int rows_ = 1;
  std::vector<std::vector<float>> tables_;  ///< empty where a file has no 16-bit integers
  RowBlock block_;
  Image<std::uint16_t> mask_;
};

void check_size(const surveys::Skycell& cell, const surveys::SkycellHeader& header) {
  if (header.width != cell.width || header.height != cell.height) {
    throw UnitError(Reason::bad_input,
                    fmt::format("{}: has {} x {} pixels: expected {} x {} as the list says",
                                header.file, header.width, header.height, cell.width, cell.height));
  }
}

UnitError missing_plane(const Config& config, const surveys::Skycell& cell, const std::string& band,
                        SkycellPlane plane) {
  return {Reason::bad_input,
          fmt::format("no {} of band {}: expected {}",
                      plane == SkycellPlane::variance ? "variance" : "image", band,
                      surveys::expected_skycell_plane(config.input_root(), config.input_format(),
                                                      cell.id, band, plane)
                          .string())};
}

}  // namespace

OpenedCell open_cell(const Config& config, const surveys::Skycell& cell, OtherPlanes others) {
  OpenedCell out;
  Retries retries = make_retries(config);
  const fs::path root = config.input_root();
  const surveys::SkycellFormat format = config.input_format();
  std::vector<Band> bands;
  const auto open = [&](const std::string& band, SkycellPlane kind) {
    auto path = surveys::find_skycell_plane(root, format, cell.id, band, kind);
    std::optional<Plane> plane;
    if (path) {
      out.files.bytes += bytes_of(*path);
      plane.emplace(std::move(*path), format, kind);
      check_size(cell, plane->read(retries, [](SkycellReader& r) { return r.header(); }));
      if (config.io.verify_checksums) {
        plane->read(retries, [](SkycellReader& r) { r.check_sums(); });
      }
    }
    return plane;
  };
  double present = 0.0;
  for (std::size_t b = 0; b < config.bands.use.size(); ++b) {
    const std::string& name = config.bands.use[b];
    const double weight = config.bands.weights[b];
    auto image = open(name, SkycellPlane::image);
    out.files.exptime_s.push_back(image ? image->reader().header().exptime_s
                                        : std::numeric_limits<double>::quiet_NaN());
    if (!image && config.bands.missing_band == "error") {
      throw missing_plane(config, cell, name, SkycellPlane::image);
    }
    if (!image) {
      continue;
    }
    present += weight;
    out.files.bands.push_back(name);
    bands.push_back({name, weight, std::move(*image),
                     others.masks ? open(name, SkycellPlane::mask) : std::nullopt,
                     others.variances ? open(name, SkycellPlane::variance) : std::nullopt});
    if (others.variances && !bands.back().variance) {
      throw missing_plane(config, cell, name, SkycellPlane::variance);
    }
    if (bands.back().mask) {
      out.files.masks.push_back(name);
    }
  }
  if (bands.empty()) {
    throw UnitError(Reason::bad_input, "no image of any band below " + root.string());
  }
  const std::vector<double>& all = config.bands.weights;
  const double scale = config.bands.missing_band == "renormalise" && bands.size() < all.size()
                           ? std::accumulate(all.begin(), all.end(), 0.0) / present
                           : 1.0;
  for (Band& band : bands) {
    band.weight *= scale;
    out.weights.push_back(band.weight);
  }
  out.source = std::make_unique<FileRows>(cell, std::move(bands), std::move(retries));
  return out;
}

}  // namespace skyloom::skycells
