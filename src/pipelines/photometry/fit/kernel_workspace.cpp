#include "pipelines/photometry/fit/kernel_workspace.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "pipelines/photometry/fit/kernel_scene.hpp"
#include "skyloom/sky/psf_mixture.hpp"

namespace skyloom::photometry::fit {

namespace {

/// Ring means of |P|^2 on a small grid.
std::vector<double> ring_means(const sky::PsfStamp& stamp) {
  const int period = 64;
  const int k_max = stamp.oversampling > 1 ? static_cast<int>(kRings) - 1 : 32;
  const sky::DftGrid grid({15, period, k_max});
  const auto transform = sky::psf_transform(stamp, grid);
  const auto kp = static_cast<std::size_t>(grid.padded_frequencies());
  std::vector<double> sum(static_cast<std::size_t>(k_max) + 1, 0.0);
  std::vector<int> count(sum.size(), 0);
  const double scale = static_cast<double>(period) * period;
  for (std::size_t q = 0; q < sum.size(); ++q) {
    for (std::size_t p = 0; p < sum.size(); ++p) {
      const double k = std::hypot(static_cast<double>(p), static_cast<double>(q));
      const auto ring = static_cast<std::size_t>(std::lround(k));
      if (ring >= sum.size() || static_cast<int>(q) > grid.q_limit()[p]) {
        continue;
      }
      for (std::size_t part = 0; part < (q == 0 ? 2U : 4U); part += 2) {
        const double weight = p == 0 ? 1.0 : 2.0;
        const double re = static_cast<double>(transform[(4 * q + part) * kp + p]) * scale / weight;
        const double im =
            static_cast<double>(transform[(4 * q + part + 1) * kp + p]) * scale / weight;
        sum[ring] += re * re + im * im;
        ++count[ring];
      }
    }
  }
  for (std::size_t r = 0; r < sum.size(); ++r) {
    sum[r] /= std::max(1, count[r]);
  }
  return sum;
}

std::vector<double> norms_outside(const sky::PsfStamp& stamp) {
  const int half = stamp.half_size_pix();
  const int centre = (stamp.values.width() - 1) / 2;
  const int s = stamp.oversampling;
  std::vector<double> power(static_cast<std::size_t>(half) + 2, 0.0);
  for (int y = -half; y <= half; ++y) {
    for (int x = -half; x <= half; ++x) {
      const double v = static_cast<double>(stamp.values(centre + y * s, centre + x * s));
      power[static_cast<std::size_t>(std::max(std::abs(x), std::abs(y)))] += v * v;
    }
  }
  for (std::size_t h = power.size() - 1; h-- > 0;) {
    power[h] += power[h + 1];
  }
  std::vector<double> norm(power.size() - 1);
  for (std::size_t h = 0; h < norm.size(); ++h) {
    norm[h] = std::sqrt(power[h + 1]);
  }
  return norm;
}

}  // namespace

PsfExtent::PsfExtent(const sky::PsfStamp& stamp, double fwhm)
    : norm_outside(norms_outside(stamp)),
      ring_power(ring_means(stamp)),
      fwhm_pix(fwhm),
      oversampling(stamp.oversampling) {}

PsfModel::PsfModel(sky::PsfStamp stamp, double fwhm)
    : stamp_(std::move(stamp)), extent_(stamp_, fwhm) {}

PsfModel::PsfModel(std::shared_ptr<PsfPlanes> planes, std::vector<double> weight)
    : planes_(std::move(planes)), weight_(std::move(weight)) {}

const sky::PointSource& PsfModel::point(int half) {
  if (!planes_ && !point_) {
    point_.emplace(stamp_);
  }
  if (planes_ && (!point_ || point_half_ < half)) {
    if (planes_->points.empty()) {
      for (const sky::PsfStamp& stamp : planes_->stamps) {
        planes_->points.emplace_back(stamp);
      }
    }
    point_ = sky::PointSource::combined(planes_->points, weight_, half);
    point_half_ = half;
  }
  return *point_;
}

const AlignedVector<float>& PsfModel::transform(const sky::DftGrid& grid, double sigma_pix) {
  if (stamp_.mixture != nullptr && sigma_pix >= stamp_.mixture_from_pix) {
    auto& wide = mixture_transform_.at(grid.shape());
    if (wide.empty()) {
      wide = sky::mixture_transform(*stamp_.mixture, grid);
    }
    return wide;
  }
  auto& transform = transform_.at(grid.shape());
  if (!transform.empty()) {
    return transform;
  }
  if (!planes_) {
    transform = sky::psf_transform(stamp_, grid);
    return transform;
  }
  planes_->transforms.resize(planes_->stamps.size());
  for (std::size_t k = 0; k < weight_.size(); ++k) {
    auto& plane = planes_->transforms[k].at(grid.shape());
    if (plane.empty()) {
      plane = sky::psf_transform(planes_->stamps[k], grid);
    }
    transform.resize(plane.size(), 0.0F);
    const auto w = static_cast<float>(weight_[k]);
    for (std::size_t i = 0; i < plane.size(); ++i) {
      transform[i] += w * plane[i];
    }
  }
  return transform;
}

void PsfModel::trim(std::size_t bytes) {
  transform_.trim(bytes);
  mixture_transform_.trim(bytes);
}

void PsfTransforms::trim(std::size_t bytes) {
  std::vector<std::pair<std::uint64_t, sky::GridShape>> by_use;
  for (const auto& [shape, entry] : entries_) {
    by_use.emplace_back(entry.used, shape);
  }
  std::sort(by_use.rbegin(), by_use.rend());
  std::size_t kept = 0;
  for (const auto& [used, shape] : by_use) {
    const auto at = entries_.find(shape);
    kept += at->second.values.size() * sizeof(float);
    if (kept > bytes) {
      entries_.erase(at);
    }
  }
}

Workspace::Workspace() = default;
Workspace::~Workspace() = default;

Workspace::Prepared& Workspace::prepared(const std::shared_ptr<const sky::Psf>& psf, double x,
                                         double y) {
  const auto found = prepared_.find(psf.get());
  if (found != prepared_.end() && !found->second.psf.expired()) {
    return found->second;
  }
  // An address may be used again after its PSF is gone.
  std::erase_if(prepared_, [](const auto& entry) { return entry.second.psf.expired(); });
  Prepared& entry = prepared_[psf.get()];
  entry.psf = psf;
  entry.fwhm_pix = psf->fwhm_pix();
  if (psf->is_constant()) {
    entry.constant = std::make_shared<PsfModel>(psf->at(x, y), entry.fwhm_pix);
  } else if (const auto stamps = psf->planes(); !stamps.empty()) {
    entry.planes = std::make_shared<PsfPlanes>();
    entry.planes->stamps = stamps;
    // The first plane is the mean over the shapes of the frame.
    entry.planes->extent = PsfExtent(stamps.front(), entry.fwhm_pix);
  }
  return entry;
}

std::shared_ptr<PsfModel> Workspace::psf_at(const std::shared_ptr<const sky::Psf>& psf, double x,
                                            double y) {
  Prepared& entry = prepared(psf, x, y);
  if (entry.constant) {
    return entry.constant;
  }
  if (!entry.planes) {
    return std::make_shared<PsfModel>(psf->at(x, y), entry.fwhm_pix);
  }
  std::vector<double> weight(entry.planes->stamps.size());
  psf->plane_weights(x, y, weight);
  return std::make_shared<PsfModel>(entry.planes, std::move(weight));
}

void Workspace::trim() {
  constexpr std::size_t kBytes = std::size_t{192} << 20U;  // of all PSFs together
  const std::size_t share = kBytes / std::max<std::size_t>(prepared_.size(), 1);
  for (auto& [address, entry] : prepared_) {
    if (entry.constant) {
      entry.constant->trim(share);
    }
    if (entry.planes) {
      for (PsfTransforms& transforms : entry.planes->transforms) {
        transforms.trim(share / entry.planes->transforms.size());
      }
    }
  }
}

const sky::DftGrid& Workspace::grid(const sky::GridShape& shape) {
  auto& entry = grids_[shape];
  if (!entry) {
    entry = std::make_unique<sky::DftGrid>(shape);
  }
  return *entry;
}

void Workspace::need_pixels(Pixels& pixels, std::size_t count) {
  if (pixels.size >= count) {
    return;
  }
  give_pixels(std::move(pixels));
  pixels = {};
  const auto found = pixels_.lower_bound(count);
  if (found != pixels_.end()) {
    pixels = std::move(found->second);
    pixels_.erase(found);
    return;
  }
  // Few sizes, so that memory fits the next source as well.
  std::size_t size = 4096;
  while (size < count) {
    size += size / 4 / 16 * 16;
  }
  pixels.memory = Pixels::Memory(CacheLineAllocator<float>().allocate(size));
  pixels.size = size;
}

void Workspace::give_pixels(Pixels pixels) {
  // A rare giant galaxy does not keep its memory to the end of the run.
  constexpr std::size_t kLargestKept = 1U << 20U;
  if (pixels.size > 0 && pixels.size <= kLargestKept) {
    const std::size_t size = pixels.size;
    pixels_.emplace(size, std::move(pixels));
  }
}

std::shared_ptr<Workspace> make_workspace() {
  return std::make_shared<Workspace>();
}

}  // namespace skyloom::photometry::fit
