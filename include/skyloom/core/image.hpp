#pragma once
// Two-dimensional pixel arrays: an owner and a view. Row-major, (y, x), pixel (0, 0) is the centre
// of the first pixel. No arithmetic, no files.

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <span>
#include <type_traits>
#include <vector>

namespace skyloom {

/// Half-open pixel box [x0, x1) x [y0, y1).
struct Box {
  int x0 = 0;
  int x1 = 0;
  int y0 = 0;
  int y1 = 0;

  [[nodiscard]] int width() const { return std::max(0, x1 - x0); }
  [[nodiscard]] int height() const { return std::max(0, y1 - y0); }
  [[nodiscard]] bool empty() const { return x1 <= x0 || y1 <= y0; }
  [[nodiscard]] bool contains(double x, double y) const {
    return x >= x0 && x < x1 && y >= y0 && y < y1;
  }
  [[nodiscard]] Box intersect(const Box& other) const {
    return {std::max(x0, other.x0), std::min(x1, other.x1), std::max(y0, other.y0),
            std::min(y1, other.y1)};
  }
  [[nodiscard]] Box grown(int pixels) const {
    return {x0 - pixels, x1 + pixels, y0 - pixels, y1 + pixels};
  }
  friend bool operator==(const Box&, const Box&) = default;
};

/// View of `height` rows of `width` values; row y begins at data + y * stride. Does not own.
template <class T>
class ImageView {
 public:
  ImageView() = default;
  ImageView(T* data, int width, int height, std::ptrdiff_t stride)
      : data_(data), width_(width), height_(height), stride_(stride) {}
  ImageView(T* data, int width, int height) : ImageView(data, width, height, width) {}

  /// A view of mutable pixels is also a view of constant ones.
  template <class U>
  requires(std::is_same_v<T, const U>)
      ImageView(const ImageView<U>& other)  // NOLINT(google-explicit-constructor)
      : ImageView(other.data(), other.width(), other.height(), other.stride()) {}

  [[nodiscard]] T& operator()(int y, int x) const {
    assert(x >= 0 && x < width_ && y >= 0 && y < height_);
    return data_[y * stride_ + x];
  }
  [[nodiscard]] std::span<T> row(int y) const {
    return {data_ + y * stride_, static_cast<std::size_t>(width_)};
  }
  /// The part inside `box`, which must lie inside this view.
  [[nodiscard]] ImageView sub(const Box& box) const {
    assert(box.x0 >= 0 && box.y0 >= 0 && box.x1 <= width_ && box.y1 <= height_);
    return {data_ + box.y0 * stride_ + box.x0, box.width(), box.height(), stride_};
  }
  [[nodiscard]] T* data() const { return data_; }
  [[nodiscard]] int width() const { return width_; }
  [[nodiscard]] int height() const { return height_; }
  [[nodiscard]] std::ptrdiff_t stride() const { return stride_; }
  [[nodiscard]] Box box() const { return {0, width_, 0, height_}; }
  [[nodiscard]] bool empty() const { return width_ == 0 || height_ == 0; }

 private:
  T* data_ = nullptr;
  int width_ = 0;
  int height_ = 0;
  std::ptrdiff_t stride_ = 0;
};

/// Owner of a contiguous image.
template <class T>
class Image {
 public:
  Image() = default;
  Image(int width, int height, T value = T{})
      : width_(width),
        height_(height),
        pixels_(static_cast<std::size_t>(width) * static_cast<std::size_t>(height), value) {}

  [[nodiscard]] T& operator()(int y, int x) { return view()(y, x); }
  [[nodiscard]] const T& operator()(int y, int x) const { return view()(y, x); }
  [[nodiscard]] ImageView<T> view() { return {pixels_.data(), width_, height_}; }
  [[nodiscard]] ImageView<const T> view() const { return {pixels_.data(), width_, height_}; }
  [[nodiscard]] std::span<T> pixels() { return pixels_; }
  [[nodiscard]] std::span<const T> pixels() const { return pixels_; }
  [[nodiscard]] int width() const { return width_; }
  [[nodiscard]] int height() const { return height_; }
  [[nodiscard]] Box box() const { return {0, width_, 0, height_}; }
  [[nodiscard]] bool empty() const { return pixels_.empty(); }

 private:
  int width_ = 0;
  int height_ = 0;
  std::vector<T> pixels_;
};

}  // namespace skyloom
