#include "pipelines/skycells/row_source.hpp"

#include <algorithm>
#include <chrono>
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
constexpr int kRows = 128;

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
};

class FileRows final : public RowSource {
 public:
  FileRows(const surveys::Skycell& cell, std::vector<Band> bands, Retries retries)
      : width_(cell.width), bands_(std::move(bands)), retries_(std::move(retries)) {
    block_.bands.resize(bands_.size());
    for (Band& band : bands_) {
      rows_ = std::max(rows_, rows_of(band.image));
      if (band.mask) {
        rows_ = std::max(rows_, rows_of(*band.mask));
      }
    }
  }

  [[nodiscard]] int rows_per_read() const override { return rows_; }

  const RowBlock& read(int first, int count) override {
    const Box box{0, width_, first, first + count};
    block_.mask = Image<std::uint16_t>(width_, count);
    for (std::size_t b = 0; b < bands_.size(); ++b) {
      Band& band = bands_[b];
      block_.bands[b].flux =
          band.image.read(retries_, [&](SkycellReader& reader) { return reader.read_flux(box); });
      for (float& value : block_.bands[b].flux.pixels()) {
        value = static_cast<float>(band.weight * static_cast<double>(value));
      }
      if (band.mask) {
        add_mask(band.mask->read(retries_, [&](SkycellReader& r) { return r.read_mask(box); }));
      }
    }
    return block_;
  }

 private:
  int rows_of(Plane& plane) {
    const int rows =
        plane.read(retries_, [](SkycellReader& r) { return r.header().rows_per_read; });
    return (std::max(kRows, rows) + rows - 1) / rows * rows;
  }
  void add_mask(const Image<std::uint16_t>& mask) {
    std::transform(mask.pixels().begin(), mask.pixels().end(), block_.mask.pixels().begin(),
                   block_.mask.pixels().begin(), [](std::uint16_t a, std::uint16_t b) {
                     return static_cast<std::uint16_t>(a | b);
                   });
  }

  int width_;
  std::vector<Band> bands_;
  Retries retries_;
  int rows_ = 1;
  RowBlock block_;
};

void check_size(const surveys::Skycell& cell, const surveys::SkycellHeader& header) {
  if (header.width != cell.width || header.height != cell.height) {
    throw UnitError(Reason::bad_input,
                    fmt::format("{}: has {} x {} pixels: expected {} x {} as the list says",
                                header.file, header.width, header.height, cell.width, cell.height));
  }
}

}  // namespace

OpenedCell open_cell(const Config& config, const surveys::Skycell& cell, bool with_masks) {
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
      throw UnitError(Reason::bad_input,
                      fmt::format("no image of band {}: expected {}", name,
                                  surveys::expected_skycell_plane(root, format, cell.id, name,
                                                                  SkycellPlane::image)
                                      .string()));
    }
    if (!image) {
      continue;
    }
    present += weight;
    out.files.bands.push_back(name);
    bands.push_back({name, weight, std::move(*image),
                     with_masks ? open(name, SkycellPlane::mask) : std::nullopt});
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
