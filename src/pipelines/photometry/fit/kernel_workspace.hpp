#pragma once
// What the fits of one rank share: PSFs prepared for rendering, tables of grids, and memory. No
// number of a fit depends on it.

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "skyloom/sky/psf.hpp"
#include "skyloom/sky/render.hpp"

namespace skyloom::photometry::fit {

struct Frame;

/// Pixels [x0, x1) of row y.
struct RowPiece {
  int y;
  int x0;
  int x1;
  friend bool operator==(const RowPiece&, const RowPiece&) = default;
};

/// What the choice of boxes needs to know of a PSF.
struct PsfExtent {
  std::vector<double> norm_outside;  ///< L2 norm of the stamp outside |x|, |y| <= h, by h
  std::vector<double> ring_power;    ///< ring mean of |P|^2, step kRingStep cycles per pixel
  double fwhm_pix = 0.0;
  int oversampling = 1;

  PsfExtent() = default;
  PsfExtent(const sky::PsfStamp& stamp, double fwhm);
};

/// Transforms of a PSF, or of one of its planes, by grid.
class PsfTransforms {
 public:
  /// Empty when it was never made, or was let go.
  AlignedVector<float>& at(const sky::GridShape& shape) {
    Entry& entry = entries_[shape];
    entry.used = ++clock_;
    return entry.values;
  }
  /// Lets those not used for longest go until at most so many bytes are kept.
  void trim(std::size_t bytes);

 private:
  struct Entry {
    AlignedVector<float> values;
    std::uint64_t used = 0;
  };
  std::map<sky::GridShape, Entry> entries_;
  std::uint64_t clock_ = 0;
};

/// A PSF that varies as a weighted sum of stamps.
struct PsfPlanes {
  std::span<const sky::PsfStamp> stamps;
  PsfExtent extent;  ///< in the middle of the frame
  std::vector<sky::PointSource> points;
  std::vector<PsfTransforms> transforms;
};

/// One PSF as rendering needs it.
class PsfModel {
 public:
  PsfModel(sky::PsfStamp stamp, double fwhm);
  PsfModel(std::shared_ptr<PsfPlanes> planes, std::vector<double> weight);

  [[nodiscard]] const PsfExtent& extent() const { return planes_ ? planes_->extent : extent_; }
  /// For pixels within `half` of the source, made when first needed.
  const sky::PointSource& point(int half);
  /// Transform on a grid as terms of a galaxy of width sigma_pix and more see it (a mixture may
  /// stand for the stamp there), made when first needed.
  const AlignedVector<float>& transform(const sky::DftGrid& grid, double sigma_pix);
  /// PsfTransforms::trim() of a PSF without planes.
  void trim(std::size_t bytes);
  /// Empty when the PSF is a sum of planes.
  [[nodiscard]] const sky::PsfStamp& stamp() const { return stamp_; }

 private:
  sky::PsfStamp stamp_;
  PsfExtent extent_;
  std::shared_ptr<PsfPlanes> planes_;
  std::vector<double> weight_;
  std::optional<sky::PointSource> point_;
  int point_half_ = 0;
  PsfTransforms transform_;
  PsfTransforms mixture_transform_;
};
inline constexpr double kRingStep = 1.0 / 64.0;
inline constexpr std::size_t kRings = 62;  ///< at most, of an oversampled stamp

inline constexpr int kMaxImages = sky::kSersicImages;

/// Products of one pair of sources (or of one with itself) in one frame.
struct GramBlock {
  std::uint64_t id_low = 0;
  std::uint64_t id_high = 0;
  std::uint64_t weight_id = 0;
  int n_low = 0;  ///< images of the first source that are valid
  int n_high = 0;
  std::array<double, kMaxImages * kMaxImages> g{};  ///< (low, high)
  std::array<double, kMaxImages> sum{};             ///< own blocks: U^T W 1
  double data = 0.0;                                ///< own blocks: u^T W d
};

/// All products for one set of weights.
struct Gram {
  std::vector<std::vector<GramBlock>> frame;  ///< (frame, pair)
};

/// Memory of the images of a source, not initialised.
struct Pixels {
  struct Free {
    void operator()(float* p) const { CacheLineAllocator<float>().deallocate(p, 0); }
  };
  using Memory = std::unique_ptr<float[], Free>;
  Memory memory;
  std::size_t size = 0;
  [[nodiscard]] float* data() const { return memory.get(); }
};

class Workspace {
 public:
  Workspace();
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  /// A PSF at (x, y) of its image. What all places share is kept as long as the PSF lives.
  std::shared_ptr<PsfModel> psf_at(const std::shared_ptr<const sky::Psf>& psf, double x, double y);
  const sky::DftGrid& grid(const sky::GridShape& shape);
  /// To be called between fits: every size of galaxy leaves transforms of every PSF behind, which
  /// would add up over the fits of a large field.
  void trim();

  /// Makes room for `count` floats; what was there is lost.
  void need_pixels(Pixels& pixels, std::size_t count);
  void give_pixels(Pixels pixels);

  sky::RenderScratch scratch;
  sky::GalaxyFactors factors;
  AlignedVector<float> weighted;  ///< W U of the source in work
  std::vector<double> schur;
  std::vector<double> diagonal;  ///< of the last normal matrix
  std::vector<RowPiece> lit;
  std::vector<int> first_parameter;  ///< of each active source, -1 for others
  std::vector<int> unknown;          ///< of each source among those of a band, -1 for others
  sky::SersicTables sersic;
  std::vector<AlignedVector<float>> score_weight;  ///< per frame, of the sandwich
  std::vector<Frame> frames;                       ///< memory of the frames of the last scene
  Gram gram;                                       ///< and of its products
  Gram old_gram;
  Gram score_gram;

 private:
  struct Prepared {
    std::weak_ptr<const sky::Psf> psf;
    double fwhm_pix = 0.0;
    std::shared_ptr<PsfModel> constant;
    std::shared_ptr<PsfPlanes> planes;
  };
  Prepared& prepared(const std::shared_ptr<const sky::Psf>& psf, double x, double y);

  std::map<const sky::Psf*, Prepared> prepared_;
  std::map<sky::GridShape, std::unique_ptr<sky::DftGrid>> grids_;
  std::multimap<std::size_t, Pixels> pixels_;  ///< unused memory by size
};

}  // namespace skyloom::photometry::fit
