#include <algorithm>
#include <cmath>
#include <optional>

#include "skyloom/surveys/frame.hpp"

#include "frame_files.hpp"

namespace skyloom::surveys {
namespace {

constexpr int kStripRows = 64;
constexpr int kMedianRows = 256;
constexpr double kLeastPartOfMedian = 0.1;
constexpr double kLeastVariance = 1e-12;

/// An image that is read box by box. Tile-compressed ones store whole rows, so the rows that were
/// decompressed last are kept, on borders that neighbouring boxes share.
class BoxSource {
 public:
  explicit BoxSource(io::FitsFile file)
      : file_(std::move(file)), is_compressed_(file_.text("ZIMAGE").has_value()) {}

  /// A part of the image. @param box inside the image
  ImageView<const float> read(const Box& box) {
    if (!is_compressed_) {
      part_ = file_.read(box);
      return part_.view();
    }
    if (box.y0 < strip_.y0 || box.y1 > strip_.y1) {
      strip_ = {0, file_.width(), box.y0 / kStripRows * kStripRows,
                std::min(file_.height(), (box.y1 + kStripRows - 1) / kStripRows * kStripRows)};
      part_ = file_.read(strip_);
    }
    return part_.view().sub({box.x0, box.x1, box.y0 - strip_.y0, box.y1 - strip_.y0});
  }

  [[nodiscard]] const io::FitsFile& file() const { return file_; }

 private:
  io::FitsFile file_;
  bool is_compressed_;
  Box strip_;
  Image<float> part_;
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

struct FrameReader::Impl {
  FrameSpec spec;
  FrameInfo info;
  BoxSource image;
  std::optional<BoxSource> weights;
  std::optional<double> least_weight;

  Impl(FrameSpec spec_, FrameInfo info_)
      : spec(std::move(spec_)), info(std::move(info_)), image(open_frame(spec.file, info.hdu)) {
    if (!spec.invvar.empty()) {
      weights.emplace(open_weights(spec, info.width, info.height));
    }
  }

  void fill_data(const Box& inside, const Box& box, FramePixels& out) {
    const auto values = image.read(inside);
    const double limit = info.saturate_adu / 2.0;
    const double sky = spec.sky_is_fitted ? 0.0 : spec.sky_adu;
    for (int y = inside.y0; y < inside.y1; ++y) {
      const auto row = values.row(y - inside.y0);
      for (int x = inside.x0; x < inside.x1; ++x) {
        const double value = static_cast<double>(row[static_cast<std::size_t>(x - inside.x0)]);
        std::uint8_t bad = std::isfinite(value) ? 0 : kBadNotFinite;
        // Without a limit it is NaN and no value reaches it.
        bad = static_cast<std::uint8_t>(bad | (bad == 0 && value >= limit ? kBadSaturated : 0));
        out.bad(y - box.y0, x - box.x0) = bad;
        if (bad == 0) {
          out.data(y - box.y0, x - box.x0) = static_cast<float>((value - sky) * info.scale);
        }
      }
    }
  }

  void fill_constant_weight(FramePixels& out) const {
    const double sigma = info.skysig_adu * info.scale;
    const auto weight = static_cast<float>(1.0 / std::max(sigma * sigma, kLeastVariance));
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
        if (bad == 0) {
          const double scaled = weight / (info.scale * info.scale);
          out.invvar(y - box.y0, x - box.x0) =
              static_cast<float>(std::min(scaled, 1.0 / kLeastVariance));
        } else {
          out.data(y - box.y0, x - box.x0) = 0.0F;
        }
      }
    }
  }
};

FrameReader::FrameReader(FrameSpec spec, FrameInfo info)
    : impl_(std::make_unique<Impl>(std::move(spec), std::move(info))) {}
FrameReader::~FrameReader() = default;
FrameReader::FrameReader(FrameReader&&) noexcept = default;
FrameReader& FrameReader::operator=(FrameReader&&) noexcept = default;

FramePixels FrameReader::read(const Box& box) {
  FramePixels out{Image<float>(box.width(), box.height(), 0.0F),
                  Image<float>(box.width(), box.height(), 0.0F),
                  Image<std::uint8_t>(box.width(), box.height(), kBadNotFinite)};
  const Box inside = box.intersect({0, impl_->info.width, 0, impl_->info.height});
  if (inside.empty()) {
    return out;
  }
  impl_->fill_data(inside, box, out);
  if (impl_->weights) {
    impl_->fill_weights(inside, box, out);
  } else {
    impl_->fill_constant_weight(out);
  }
  return out;
}

}  // namespace skyloom::surveys
