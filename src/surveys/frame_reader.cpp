#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>

#include "skyloom/surveys/frame.hpp"
#include "skyloom/surveys/sky_model.hpp"

#include "frame_files.hpp"

namespace skyloom::surveys {
namespace {

constexpr int kStripRows = 64;
constexpr int kMedianRows = 256;
constexpr double kLeastPartOfMedian = 0.1;
constexpr double kLeastVariance = 1e-12;

/// An image that is read box by box, as float or, without loss of bits, as std::int64_t.
/// Tile-compressed ones store whole rows, so the rows that were decompressed last are kept, on
/// borders that neighbouring boxes share.
template <class T>
class BoxSource {
 public:
  explicit BoxSource(io::FitsFile file)
      : file_(std::move(file)), is_compressed_(file_.text("ZIMAGE").has_value()) {}

  /// A part of the image. @param box inside the image
  ImageView<const T> read(const Box& box) {
    if (!is_compressed_) {
      part_ = part(box);
      return std::as_const(part_).view();
    }
    if (box.y0 < strip_.y0 || box.y1 > strip_.y1) {
      strip_ = {0, file_.width(), box.y0 / kStripRows * kStripRows,
                std::min(file_.height(), (box.y1 + kStripRows - 1) / kStripRows * kStripRows)};
      part_ = part(strip_);
    }
    return std::as_const(part_).view().sub(
        {box.x0, box.x1, box.y0 - strip_.y0, box.y1 - strip_.y0});
  }

  [[nodiscard]] const io::FitsFile& file() const { return file_; }

 private:
  [[nodiscard]] Image<T> part(const Box& box) const {
    if constexpr (std::is_same_v<T, float>) {
      return file_.read(box);
    } else {
      return file_.read_integers(box);
    }
  }

  io::FitsFile file_;
  bool is_compressed_;
  Box strip_;
  Image<T> part_;
};

/// Median of the positive values in evenly spaced rows; 0 when there are none.
double median_weight(const io::FitsFile& file) {
  const int rows = std::min(file.height(), kMedianRows);
  std::vector<float> values;
  for (int i = 0; i < rows; ++i) {
    const int y = static_cast<int>((2LL * i + 1) * file.height() / (2LL * rows));
    const Image<float> row = file.read({0, file.width(), y, y + 1});
    std::copy_if(row.pixels().begin(), row.pixels().end(), std::back_inserter(values),
                 [](float value) { return std::isfinite(value) && value > 0.0F; });
  }
  if (values.empty()) {
    return 0.0;
  }
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return static_cast<double>(*middle);
}

}  // namespace

float invvar_of_sigma(float sigma) {
  const auto s = static_cast<double>(sigma);
  return static_cast<float>(1.0 / (s * s));
}

float sigma_of_invvar(float invvar) {
  return static_cast<float>(1.0 / std::sqrt(static_cast<double>(invvar)));
}

struct FrameReader::Impl {
  FrameSpec spec;
  FrameInfo info;
  BoxSource<float> image;
  std::optional<BoxSource<float>> weights;
  std::optional<BoxSource<std::int64_t>> mask;
  std::optional<SplineSky> sky_model;
  std::optional<double> least_weight;

  Impl(FrameSpec spec_, FrameInfo info_)
      : spec(std::move(spec_)), info(std::move(info_)), image(open_frame(spec.file, info.hdu)) {
    if (!spec.invvar.empty()) {
      weights.emplace(companion(spec.invvar, spec.invvar_hdu));
    }
    if (!spec.mask.empty()) {
      mask.emplace(companion(spec.mask, spec.mask_hdu));
    }
    if (!spec.sky_model.empty()) {
      sky_model.emplace(spec.sky_model);
    }
  }

  [[nodiscard]] io::FitsFile companion(const std::string& path, int hdu) const {
    return open_companion(path, hdu, spec.file, info.width, info.height);
  }

  /// The least float that is saturated; NaN, which no value reaches, without a limit.
  [[nodiscard]] float saturated_from() const {
    const double limit = info.saturate_adu / 2.0;
    const auto least = static_cast<float>(limit);
    return static_cast<double>(least) < limit
               ? std::nextafter(least, std::numeric_limits<float>::infinity())
               : least;
  }

  /// Why every pixel of a row is bad; 0 when it is not.
  void judge(std::span<const float> values, std::uint8_t* bad) const {
    constexpr float kLargest = std::numeric_limits<float>::max();
    const auto blank = static_cast<float>(spec.blank_adu);
    const float saturated = saturated_from();
    for (std::size_t i = 0; i < values.size(); ++i) {
      const float value = values[i];
      std::uint8_t verdict = value >= saturated ? std::uint8_t{kBadSaturated} : std::uint8_t{0};
      verdict = value == blank ? std::uint8_t{kBadMasked} : verdict;
      bad[i] = std::abs(value) <= kLargest ? verdict : std::uint8_t{kBadNotFinite};
    }
  }

  /// Fills a box; of pixels without data the verdicts alone.
  void fill(const Box& box, FramePixels& out);

  void fill_data(const Box& inside, const Box& box, FramePixels& out) {
    const auto values = image.read(inside);
    const double sky = spec.sky_is_fitted ? 0.0 : spec.sky_adu;
    const Image<float> model =
        sky_model && !out.data.empty() ? sky_model->at(inside) : Image<float>();
    for (int y = inside.y0; y < inside.y1; ++y) {
      const std::span<const float> row = values.row(y - inside.y0);
      std::uint8_t* bad = &out.bad(y - box.y0, inside.x0 - box.x0);
      judge(row, bad);
      if (out.data.empty()) {
        continue;
      }
      float* data = &out.data(y - box.y0, inside.x0 - box.x0);
      const auto subtract = [&](const auto& under) {
        for (std::size_t i = 0; i < row.size(); ++i) {
          data[i] = static_cast<float>((static_cast<double>(row[i]) - under(i)) * info.scale);
        }
      };
      if (sky_model) {
        const float* light = &model(y - inside.y0, 0);
        subtract([&](std::size_t i) { return sky + static_cast<double>(light[i]); });
      } else {
        subtract([&](std::size_t /*i*/) { return sky; });
      }
      for (std::size_t i = 0; i < row.size(); ++i) {
        data[i] = bad[i] == 0 ? data[i] : 0.0F;
      }
    }
  }

  void fill_mask(const Box& inside, const Box& box, FramePixels& out) {
    const auto flags = mask->read(inside);
    const std::int64_t bits = spec.mask_bits == 0 ? ~std::int64_t{0} : spec.mask_bits;
    for (int y = inside.y0; y < inside.y1; ++y) {
      for (int x = inside.x0; x < inside.x1; ++x) {
        if ((flags(y - inside.y0, x - inside.x0) & bits) != 0) {
          std::uint8_t& bad = out.bad(y - box.y0, x - box.x0);
          bad = static_cast<std::uint8_t>(bad | kBadMasked);
          if (!out.data.empty()) {
            out.data(y - box.y0, x - box.x0) = 0.0F;
          }
        }
      }
    }
  }

  void fill_constant_weight(FramePixels& out) const {
    const double sigma = std::max(info.skysig_adu * info.scale, std::sqrt(kLeastVariance));
    const float weight = invvar_of_sigma(static_cast<float>(sigma));
    std::transform(out.bad.pixels().begin(), out.bad.pixels().end(), out.invvar.pixels().begin(),
                   [weight](std::uint8_t bad) { return bad == 0 ? weight : 0.0F; });
  }

  void fill_weights(const Box& inside, const Box& box, FramePixels& out) {
    if (!least_weight) {
      least_weight = kLeastPartOfMedian * median_weight(weights->file());
    }
    const auto values = weights->read(inside);
    for (int y = inside.y0; y < inside.y1; ++y) {
      const auto row = values.row(y - inside.y0);
      for (int x = inside.x0; x < inside.x1; ++x) {
        const double weight = static_cast<double>(row[static_cast<std::size_t>(x - inside.x0)]);
        const bool good = std::isfinite(weight) && weight > 0.0 && weight >= *least_weight;
        std::uint8_t& bad = out.bad(y - box.y0, x - box.x0);
        bad = static_cast<std::uint8_t>(bad | (good ? 0 : kBadMasked));
        if (out.data.empty()) {
          continue;
        }
        if (bad == 0) {
          const double scaled = std::min(weight / (info.scale * info.scale), 1.0 / kLeastVariance);
          out.invvar(y - box.y0, x - box.x0) =
              invvar_of_sigma(static_cast<float>(1.0 / std::sqrt(scaled)));
        } else {
          out.data(y - box.y0, x - box.x0) = 0.0F;
        }
      }
    }
  }
};

void FrameReader::Impl::fill(const Box& box, FramePixels& out) {
  const Box inside = box.intersect({0, info.width, 0, info.height});
  if (inside.empty()) {
    return;
  }
  fill_data(inside, box, out);
  if (mask) {
    fill_mask(inside, box, out);
  }
  if (weights) {
    fill_weights(inside, box, out);
  } else if (!out.data.empty()) {
    fill_constant_weight(out);
  }
}

FrameReader::FrameReader(FrameSpec spec, FrameInfo info)
    : impl_(std::make_unique<Impl>(std::move(spec), std::move(info))) {}
FrameReader::~FrameReader() = default;
FrameReader::FrameReader(FrameReader&&) noexcept = default;
FrameReader& FrameReader::operator=(FrameReader&&) noexcept = default;

FramePixels FrameReader::read(const Box& box) {
  FramePixels out{Image<float>(box.width(), box.height(), 0.0F),
                  Image<float>(box.width(), box.height(), 0.0F),
                  Image<std::uint8_t>(box.width(), box.height(), kBadNotFinite)};
  impl_->fill(box, out);
  return out;
}

Image<std::uint8_t> FrameReader::read_bad(const Box& box) {
  FramePixels out{{}, {}, Image<std::uint8_t>(box.width(), box.height(), kBadNotFinite)};
  impl_->fill(box, out);
  return std::move(out.bad);
}

}  // namespace skyloom::surveys
