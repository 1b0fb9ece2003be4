#include "skyloom/surveys/convolved_image.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>
#include <optional>
#include <utility>

#include "skyloom/core/errors.hpp"
#include "skyloom/core/runs.hpp"
#include "skyloom/io/hdf5.hpp"
#include "skyloom/numerics/multirate.hpp"
#include "skyloom/surveys/run_stream.hpp"

namespace skyloom::surveys {
namespace {

namespace fs = std::filesystem;

/// Folders between the file and its run directory: convolved_results/sector/camera/ccd.
constexpr int kDepth = 4;

std::string group_of(int projection) {
  return "projections/" + SkycellId{projection, 0, 0}.projection_text();
}

std::string text(const io::Hdf5File& file, const char* name) {
  const auto found = file.attribute("/", name);
  if (!found) {
    throw ConfigError(file.path(), std::string("has no attribute ") + name,
                      "convolved_images.h5 of a skycells run");
  }
  return *found;
}

double number(const io::Hdf5File& file, const char* name) {
  return to_number(text(file, name));
}

/// What the records of a cell are in the product of `convolve`.
struct Records {
  std::size_t first_missing = 0;
  std::size_t missing_bytes = 0;
  std::size_t first_mask = 0;
  std::size_t mask_bytes = 0;
};

}  // namespace

struct ConvolvedImages::Impl {
  explicit Impl(const fs::path& path) : file(path), sampling(text(file, "sampling")) {
    const int overlap = static_cast<int>(number(file, "overlap"));
    for (const std::string& array : file.arrays()) {
      const std::string prefix = "projections/";
      const std::size_t end = array.find('/', prefix.size());
      const auto id =
          array.starts_with(prefix)
              ? parse_skycell_name("skycell." + array.substr(prefix.size(), end - prefix.size()) +
                                   ".000")
              : std::nullopt;
      if (id && (projections.empty() || projections.back() != id->projection)) {
        projections.push_back(id->projection);
        tables.emplace(id->projection, file.read_table(group_of(id->projection) + "/cells"));
        const Table& cells = tables.at(id->projection);
        const auto& widths = cells.get<std::int32_t>("NAXIS1");
        const auto& heights = cells.get<std::int32_t>("NAXIS2");
        grids[id->projection] = {*std::max_element(widths.begin(), widths.end()) - overlap,
                                 *std::max_element(heights.begin(), heights.end()) - overlap};
      }
    }
    if (sampling == "coarse") {
      open_coarse(path);
    }
  }

  void open_coarse(const fs::path& path) {
    fs::path run = fs::absolute(path).parent_path();
    for (int i = 0; i < kDepth; ++i) {
      run = run.parent_path();
    }
    product.emplace(run / "convolve.h5");
    numerics::GaussianPlan plan;
    plan.method = numerics::GaussianMethod::multirate;
    plan.sigma = number(file, "sigma");
    plan.step = static_cast<int>(number(file, "step"));
    plan.narrow = number(file, "narrow_sigma") / plan.step;
    plan.reach = static_cast<int>(number(file, "reach"));
    gaussian.emplace(plan);
    const Table cells = product->read_table("cells");
    std::size_t missing = 0;
    std::size_t mask = 0;
    for (std::size_t i = 0; i < cells.rows(); ++i) {
      const auto bytes = [&](const char* column) {
        return static_cast<std::size_t>(cells.get<std::int64_t>(column)[i]);
      };
      const Records here{missing, bytes("missing_bytes"), mask, bytes("mask_bytes")};
      records.emplace(cells.get<std::string>("name")[i], here);
      missing += here.missing_bytes;
      mask += here.mask_bytes;
    }
  }

  [[nodiscard]] std::vector<std::uint8_t> stream(const char* name, std::size_t first,
                                                 std::size_t count) const {
    std::vector<std::uint8_t> bytes(count);
    product->read_rows(name, Type::uint8, first, first + count,
                       std::as_writable_bytes(std::span(bytes)));
    return runs_of_stream(bytes);
  }

  /// Rows of runs as wide as the cell, of which `use` gets those of the box.
  template <class Use>
  void for_rows(const std::vector<std::uint8_t>& runs, int width, const Box& box,
                const Use& use) const {
    RunReader reader(runs);
    std::vector<std::uint16_t> row(static_cast<std::size_t>(width));
    for (int y = 0; y < box.y1; ++y) {
      reader.next(row);
      if (y >= box.y0) {
        use(y - box.y0, std::span(row).subspan(static_cast<std::size_t>(box.x0),
                                               static_cast<std::size_t>(box.width())));
      }
    }
  }

  /// nullptr for a cell that was not convolved.
  [[nodiscard]] const Records* records_of(const SkycellId& id) const {
    const auto found = records.find(id.name());
    return found == records.end() ? nullptr : &found->second;
  }

  [[nodiscard]] int grid_width(int projection) const {
    return grids.at(projection).first + static_cast<int>(number(file, "overlap"));
  }

  /// Of columns x0 .. x0 + width - 1 of the cell.
  [[nodiscard]] numerics::NodeInterpolation interpolation(const SkycellId& id, int x0, int width,
                                                          PixelFraction fraction = {}) const {
    const std::size_t plane = plane_of(id);
    const Table& cells = tables.at(id.projection);
    const auto get = [&](const char* column) { return cells.get<std::int32_t>(column)[plane]; };
    Image<float> nodes(get("nodes_x"), get("nodes_y"));
    const std::size_t start[] = {plane, 0, 0};
    const std::size_t count[] = {1, static_cast<std::size_t>(nodes.height()),
                                 static_cast<std::size_t>(nodes.width())};
    file.read_box(group_of(id.projection) + "/coarse", Type::float32, start, count,
                  std::as_writable_bytes(nodes.pixels()));
    return {*gaussian,
            nodes.view(),
            {get("first_node_x"), get("first_node_y")},
            id.x * grids.at(id.projection).first + x0,
            width,
            fraction.x,
            fraction.y};
  }

  /// Row of the projection where the cell begins.
  [[nodiscard]] int first_row(const SkycellId& id) const {
    return id.y * grids.at(id.projection).second;
  }

  [[nodiscard]] std::size_t plane_of(const SkycellId& id) const {
    const auto table = tables.find(id.projection);
    if (table != tables.end()) {
      const auto& names = table->second.get<std::string>("name");
      const auto found = std::find(names.begin(), names.end(), id.name());
      if (found != names.end()) {
        return static_cast<std::size_t>(found - names.begin());
      }
    }
    throw ConfigError(file.path(), "has no " + id.name(), "a cell that was listed");
  }

  [[nodiscard]] Image<std::uint16_t> stored_mask(const SkycellId& id, std::size_t plane,
                                                 const Box& box) const {
    Image<std::uint16_t> out(box.width(), box.height());
    const std::size_t start[] = {plane, static_cast<std::size_t>(box.y0),
                                 static_cast<std::size_t>(box.x0)};
    const std::size_t count[] = {1, static_cast<std::size_t>(box.height()),
                                 static_cast<std::size_t>(box.width())};
    file.read_box(group_of(id.projection) + "/mask", Type::uint16, start, count,
                  std::as_writable_bytes(out.pixels()));
    return out;
  }

  io::Hdf5File file;
  std::string sampling;
  std::vector<int> projections;
  std::map<int, Table> tables;
  std::map<int, std::pair<int, int>> grids;  ///< steps from cell to cell
  std::optional<io::Hdf5File> product;       ///< convolve.h5 of a coarse run
  std::optional<numerics::MultirateGaussian> gaussian;
  std::map<std::string, Records> records;
};

ConvolvedImages::ConvolvedImages(const fs::path& path) : impl_(std::make_unique<Impl>(path)) {}
ConvolvedImages::~ConvolvedImages() = default;
ConvolvedImages::ConvolvedImages(ConvolvedImages&&) noexcept = default;
ConvolvedImages& ConvolvedImages::operator=(ConvolvedImages&&) noexcept = default;

const std::string& ConvolvedImages::sampling() const {
  return impl_->sampling;
}

std::span<const int> ConvolvedImages::projections() const {
  return impl_->projections;
}

const Table& ConvolvedImages::cells(int projection) const {
  const auto found = impl_->tables.find(projection);
  if (found == impl_->tables.end()) {
    throw FatalError(impl_->file.path() + ": no projection " + std::to_string(projection));
  }
  return found->second;
}

std::size_t ConvolvedImages::plane(const SkycellId& id) const {
  return impl_->plane_of(id);
}

Image<float> ConvolvedImages::read(const SkycellId& id, const Box& box) const {
  const std::size_t place = plane(id);
  if (impl_->sampling != "coarse") {
    return impl_->file.read_plane(group_of(id.projection) + "/data", place, box);
  }
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  const Records* records = impl_->records_of(id);
  if (records == nullptr) {
    return {box.width(), box.height(), kNan};
  }
  Image<float> out(box.width(), box.height());
  impl_->interpolation(id, box.x0, box.width()).rows(impl_->first_row(id) + box.y0, out.view());
  const std::vector<std::uint8_t> runs =
      impl_->stream("missing/byte", records->first_missing, records->missing_bytes);
  impl_->for_rows(runs, impl_->grid_width(id.projection), box,
                  [&](int y, std::span<const std::uint16_t> missing) {
                    for (std::size_t x = 0; x < missing.size(); ++x) {
                      float& value = out(y, static_cast<int>(x));
                      value = missing[x] != 0 ? kNan : value;
                    }
                  });
  return out;
}

Image<std::uint16_t> ConvolvedImages::read_mask(const SkycellId& id, const Box& box) const {
  const std::size_t place = plane(id);
  if (impl_->sampling != "coarse") {
    return impl_->stored_mask(id, place, box);
  }
  Image<std::uint16_t> out(box.width(), box.height());
  if (const Records* records = impl_->records_of(id); records != nullptr) {
    const std::vector<std::uint8_t> runs =
        impl_->stream("mask/byte", records->first_mask, records->mask_bytes);
    impl_->for_rows(runs, impl_->grid_width(id.projection), box,
                    [&](int y, std::span<const std::uint16_t> bits) {
                      std::copy(bits.begin(), bits.end(), out.view().row(y).begin());
                    });
  }
  return out;
}

namespace {

/// Rows that are read or interpolated at once.
constexpr int kBlock = 32;
constexpr std::uint16_t kNoData = 0x0008;  // BLANK

/// Rows that are stored as runs.
class RunRows {
 public:
  RunRows(RunBytes runs, int width, int height)
      : runs_(std::move(runs)),
        reader_(runs_),
        height_(height),
        values_(static_cast<std::size_t>(width)) {}
  RunRows(const RunRows&) = delete;
  RunRows& operator=(const RunRows&) = delete;

  /// Row y, not smaller than before; `beyond` everywhere when there is no such row.
  std::span<const std::uint16_t> row(int y, std::uint16_t beyond) {
    if (y >= height_) {
      std::fill(values_.begin(), values_.end(), beyond);
    }
    for (; next_ <= std::min(y, height_ - 1); ++next_) {
      reader_.next(values_);
    }
    return values_;
  }

 private:
  RunBytes runs_;
  RunReader reader_;
  int height_;
  int next_ = 0;
  std::vector<std::uint16_t> values_;
};

}  // namespace

struct ConvolvedRows::Impl {
  const ConvolvedImages::Impl* images = nullptr;
  SkycellId id;
  std::size_t plane = 0;
  int width = 0;
  int height = 0;
  int block_first = 0;
  Image<float> values;
  Image<std::uint16_t> masks;
  // Of a coarse grid; without any, nothing has a value.
  bool is_coarse = false;
  std::optional<numerics::NodeInterpolation> interpolation;
  std::optional<RunRows> missing;
  std::optional<RunRows> mask;
  int nearest_x = 0;  ///< steps to the pixel that masks are taken from
  int nearest_y = 0;

  void open_coarse(PixelFraction fraction) {
    is_coarse = true;
    nearest_x = fraction.x >= 0.5 ? 1 : 0;
    nearest_y = fraction.y >= 0.5 ? 1 : 0;
    if (const Records* records = images->records_of(id); records != nullptr) {
      interpolation.emplace(images->interpolation(id, 0, width, fraction));
      const int run_width = images->grid_width(id.projection);
      missing.emplace(
          images->stream("missing/byte", records->first_missing, records->missing_bytes), run_width,
          height);
      mask.emplace(images->stream("mask/byte", records->first_mask, records->mask_bytes), run_width,
                   height);
    }
  }

  void take_block(int y) {
    block_first = y / kBlock * kBlock;
    const Box box{0, width, block_first, std::min(block_first + kBlock, height)};
    if (!is_coarse) {
      values = images->file.read_plane(group_of(id.projection) + "/data", plane, box);
      masks = images->stored_mask(id, plane, box);
    } else if (interpolation) {
      values = Image<float>(width, box.height());
      interpolation->rows(images->first_row(id) + block_first, values.view());
    } else {
      values = Image<float>(width, box.height(), std::numeric_limits<float>::quiet_NaN());
    }
  }

  /// The nearest pixel of a row of runs for every pixel.
  template <class Use>
  void for_nearest(RunRows& rows, int y, std::uint16_t beyond, const Use& use) const {
    const std::span<const std::uint16_t> row = rows.row(y + nearest_y, beyond);
    for (int x = 0; x < width; ++x) {
      const int nearest = x + nearest_x;
      use(static_cast<std::size_t>(x),
          nearest < width ? row[static_cast<std::size_t>(nearest)] : beyond);
    }
  }
};

ConvolvedRows::ConvolvedRows(const ConvolvedImages& images, const SkycellId& id,
                             PixelFraction fraction)
    : impl_(std::make_unique<Impl>()) {
  Impl& in = *impl_;
  in.images = images.impl_.get();
  in.id = id;
  in.plane = in.images->plane_of(id);
  const Table& cells = in.images->tables.at(id.projection);
  in.width = cells.get<std::int32_t>("NAXIS1")[in.plane];
  in.height = cells.get<std::int32_t>("NAXIS2")[in.plane];
  if (in.images->sampling == "coarse") {
    in.open_coarse(fraction);
  } else if (fraction != PixelFraction{}) {
    throw FatalError(in.images->file.path() + ": no values between pixels without a coarse grid");
  }
}

ConvolvedRows::~ConvolvedRows() = default;
ConvolvedRows::ConvolvedRows(ConvolvedRows&&) noexcept = default;
ConvolvedRows& ConvolvedRows::operator=(ConvolvedRows&&) noexcept = default;

void ConvolvedRows::row(int y, std::span<float> values, std::span<std::uint16_t> mask) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  Impl& in = *impl_;
  if (y >= in.block_first + in.values.height()) {
    in.take_block(y);
  }
  const auto pixels = in.values.view().row(y - in.block_first);
  std::copy(pixels.begin(), pixels.end(), values.begin());
  if (!in.is_coarse) {
    const auto bits = in.masks.view().row(y - in.block_first);
    std::copy(bits.begin(), bits.end(), mask.begin());
  } else if (in.mask) {
    in.for_nearest(*in.mask, y, kNoData,
                   [&](std::size_t x, std::uint16_t bits) { mask[x] = bits; });
    in.for_nearest(*in.missing, y, 1, [&](std::size_t x, std::uint16_t is_missing) {
      values[x] = is_missing != 0 ? kNan : values[x];
    });
  } else {
    std::fill(mask.begin(), mask.end(), std::uint16_t{0});
  }
}

}  // namespace skyloom::surveys
