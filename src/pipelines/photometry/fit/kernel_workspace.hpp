#pragma once
// What the fits of one rank share: PSFs prepared for rendering, tables of grids, and memory. No
// number of a fit depends on it.

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
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

/// One PSF as rendering and box choice need it.
struct PsfModel {
  sky::PsfStamp stamp;
  std::optional<sky::PointSource> point;                   ///< made when first used
  std::map<sky::GridShape, std::vector<float>> transform;  ///< likewise
  std::vector<double> norm_outside;  ///< L2 norm of the stamp outside |x|, |y| <= h, by h
  std::vector<double> ring_power;    ///< ring mean of |P|^2, step kRingStep cycles per pixel
  double fwhm_pix = 0.0;

  PsfModel(sky::PsfStamp psf, double fwhm);
};
inline constexpr double kRingStep = 1.0 / 64.0;
inline constexpr std::size_t kRings = 62;  ///< at most, of an oversampled stamp

class Workspace {
 public:
  Workspace();
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  /// A PSF that is the same everywhere, kept as long as the PSF lives.
  std::shared_ptr<PsfModel> constant_psf(const std::shared_ptr<const sky::Psf>& psf);
  const sky::DftGrid& grid(const sky::GridShape& shape);
  /// Transform of a PSF on a grid, made once.
  static const std::vector<float>& transform(PsfModel& psf, const sky::DftGrid& grid);

  /// Memory of the images of a source, empty or with the capacity of an earlier one.
  std::vector<float> take_pixels();
  void give_pixels(std::vector<float> pixels);

  sky::RenderScratch scratch;
  sky::GalaxyFactors factors;
  std::vector<float> weighted;  ///< W U of the source in work
  std::vector<double> schur;
  std::vector<double> diagonal;      ///< of the last normal matrix
  std::vector<RowPiece> lit;
  std::vector<int> first_parameter;  ///< of each active source, -1 for others
  std::vector<int> unknown;          ///< of each source among those of a band, -1 for others
  sky::SersicTables sersic;
  std::vector<std::vector<float>> score_weight;  ///< per frame, of the sandwich
  std::vector<Frame> frames;  ///< memory of the frames of the last scene

 private:
  struct Prepared {
    std::weak_ptr<const sky::Psf> psf;
    std::shared_ptr<PsfModel> model;
  };
  std::map<const sky::Psf*, Prepared> constant_;
  std::map<sky::GridShape, std::unique_ptr<sky::DftGrid>> grids_;
  std::vector<std::vector<float>> pixels_;
};

}  // namespace skyloom::photometry::fit
