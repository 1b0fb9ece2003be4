// Gram matrices of unit images and their derivatives, G = U^T W U with U = [u, du/dtheta]: one
// block per source and one per pair of sources whose boxes overlap. Blocks whose images stayed are
// reused.

#include <algorithm>
#include <cmath>
#include <utility>

#include "pipelines/photometry/fit/kernel_index.hpp"
#include "pipelines/photometry/fit/kernel_scene.hpp"
#include "skyloom/numerics/float_lanes.hpp"

namespace skyloom::photometry::fit {

void Scene::find_pairs() {
  // Products of pairs that stay are kept; the numbers of their images tell whether they hold.
  std::vector<Pair>& before = old_pairs_;
  std::swap(before, pairs_);
  Gram& old = work_.old_gram;
  std::swap(old, gram_);
  ++layout_id_;
  for (std::size_t f = 0; f < frames_.size(); ++f) {
    find_lit_pixels(f);
  }
  pairs_.clear();
  neighbour_.assign(sources_.size(), {});
  const int n = static_cast<int>(sources_.size());
  for (int s = 0; s < n; ++s) {
    pairs_.push_back({s, s});
  }
  for (int s = 0; s < n; ++s) {
    for (int t = s + 1; t < n; ++t) {
      for (std::size_t f = 0; f < frames_.size(); ++f) {
        const auto& a = sources_[static_cast<std::size_t>(s)].place[f].clip;
        const auto& b = sources_[static_cast<std::size_t>(t)].place[f].clip;
        if (!a.intersect(b).empty()) {
          neighbour_[static_cast<std::size_t>(s)].push_back(static_cast<int>(pairs_.size()));
          neighbour_[static_cast<std::size_t>(t)].push_back(static_cast<int>(pairs_.size()));
          pairs_.push_back({s, t});
          break;
        }
      }
    }
  }
  resize(gram_);
  // Both lists begin with every source's own pair; the others follow in order.
  const auto order = [n](const Pair& pair) {
    return pair.low == pair.high ? pair.low - n * n : pair.low * n + pair.high;
  };
  std::size_t was = 0;
  for (std::size_t p = 0; p < pairs_.size(); ++p) {
    while (was < before.size() && order(before[was]) < order(pairs_[p])) {
      ++was;
    }
    if (was == before.size() || order(before[was]) != order(pairs_[p])) {
      continue;
    }
    for (std::size_t f = 0; f < frames_.size(); ++f) {
      gram_.frame[f][p] = old.frame[f][was];
    }
  }
}

void Scene::resize(Gram& gram) const {
  gram.frame.resize(frames_.size());
  for (auto& blocks : gram.frame) {
    blocks.resize(pairs_.size());
    for (GramBlock& block : blocks) {
      block.weight_id = 0;
    }
  }
}

Scene::Seen Scene::seen(int s) const {
  Seen seen;
  const auto own = static_cast<std::size_t>(s);
  double squares = 0.0;
  for (std::size_t f = 0; f < frames_.size(); ++f) {
    if (frames_[f].n_good > 0) {
      const GramBlock& block = gram_.frame[f][own];
      const double flux = sources_[own].box_flux[static_cast<std::size_t>(frames_[f].input->band)];
      seen.share = std::max(seen.share, block.sum[0] / frames_[f].mean_weight);
      squares += flux * flux * block.g[0];
    }
  }
  seen.significance = std::sqrt(squares);
  return seen;
}

double Scene::influence(int s) const {
  double largest = 0.0;
  std::vector<double> light(static_cast<std::size_t>(input_.n_bands));
  std::vector<double> own(light.size());
  const Source& source = sources_[static_cast<std::size_t>(s)];
  for (const int p : neighbour_[static_cast<std::size_t>(s)]) {
    const Pair& pair = pairs_[static_cast<std::size_t>(p)];
    const auto other = static_cast<std::size_t>(pair.low == s ? pair.high : pair.low);
    if (sources_[other].role != Role::base) {
      continue;
    }
    std::fill(light.begin(), light.end(), 0.0);
    std::fill(own.begin(), own.end(), 0.0);
    for (std::size_t f = 0; f < frames_.size(); ++f) {
      if (frames_[f].n_good == 0) {
        continue;
      }
      const auto b = static_cast<std::size_t>(frames_[f].input->band);
      light[b] += gram_.frame[f][static_cast<std::size_t>(p)].g[0];
      own[b] += gram_.frame[f][other].g[0];
    }
    for (std::size_t b = 0; b < light.size(); ++b) {
      if (own[b] > 0.0 && std::isfinite(source.flux[b])) {
        largest = std::max(largest, std::abs(source.flux[b] * light[b]) / std::sqrt(own[b]));
      }
    }
  }
  return largest;
}

int Scene::images_needed(const Source& source, bool full) const {
  return full && source.active ? source.n_images : 1;
}

bool Scene::block_valid(const GramBlock& block, const Pair& pair, bool full,
                        std::uint64_t weight_id) const {
  const Source& low = sources_[static_cast<std::size_t>(pair.low)];
  const Source& high = sources_[static_cast<std::size_t>(pair.high)];
  return block.weight_id == weight_id && block.id_low == low.image_id &&
         block.id_high == high.image_id && block.n_low >= images_needed(low, full) &&
         block.n_high >= images_needed(high, full);
}

void Scene::fill_own(GramBlock& block, const Source& source, std::size_t f, int images) {
  const Placement& place = source.place[f];
  const Frame& frame = frames_[f];
  const float* pixels = source.pixels.data() + place.offset;
  const int rows = place.clip.height();
  const int width = place.clip.width();
  numerics::products({work_.weighted.data(), place.stride}, place.plane, images,
                     {pixels, place.stride}, place.plane, images, true, rows, width, block.g.data(),
                     kMaxImages);
  for (int a = 0; a < images; ++a) {
    for (int b = 0; b < a; ++b) {
      block.g[cell(a, b, kMaxImages)] = block.g[cell(b, a, kMaxImages)];
    }
  }
  numerics::products(
      {work_.weighted.data(), place.stride}, 0, 1,
      {pixel(frame.data.data(), frame.stride, place.clip.x0, place.clip.y0), frame.stride}, 0, 1,
      false, rows, width, &block.data, 1);
}

void Scene::fill_pair(GramBlock& block, const Source& weighted, const Source& other, std::size_t f,
                      bool weighted_is_low, int n_weighted, int n_other) {
  const Placement& a = weighted.place[f];
  const Placement& b = other.place[f];
  const Box box = a.clip.intersect(b.clip);
  std::array<double, kMaxImages * kMaxImages> g{};
  if (!box.empty()) {
    numerics::products(
        {pixel(work_.weighted.data(), a.stride, box.x0 - a.clip.x0, box.y0 - a.clip.y0), a.stride},
        a.plane, n_weighted,
        {pixel(other.pixels.data() + b.offset, b.stride, box.x0 - b.clip.x0, box.y0 - b.clip.y0),
         b.stride},
        b.plane, n_other, false, box.height(), box.width(), g.data(), kMaxImages);
  }
  if (weighted_is_low) {
    block.g = g;
    return;
  }
  for (int i = 0; i < n_weighted; ++i) {
    for (int j = 0; j < n_other; ++j) {
      block.g[cell(j, i, kMaxImages)] = g[cell(i, j, kMaxImages)];
    }
  }
}

void Scene::fill_gram_frame(Gram& gram, std::size_t f, std::span<const float> weight, bool full,
                            std::uint64_t weight_id) {
  auto& blocks = gram.frame[f];
  for (std::size_t s = 0; s < sources_.size(); ++s) {
    const Source& source = sources_[s];
    const bool own = !block_valid(blocks[s], pairs_[s], full, weight_id);
    bool any = own;
    for (const int p : neighbour_[s]) {
      any = any || !block_valid(blocks[static_cast<std::size_t>(p)],
                                pairs_[static_cast<std::size_t>(p)], full, weight_id);
    }
    if (!any) {
      continue;
    }
    const Placement& place = source.place[f];
    const int images = images_needed(source, full);
    work_.weighted.resize(
        std::max(work_.weighted.size(), static_cast<std::size_t>(place.plane * images)));
    const numerics::Rows w{pixel(weight.data(), frames_[f].stride, place.clip.x0, place.clip.y0),
                           frames_[f].stride};
    std::array<double, kMaxImages> sum{};
    for (int m = 0; m < images; ++m) {
      sum[static_cast<std::size_t>(m)] =
          numerics::multiply({source.pixels.data() + place.offset + m * place.plane, place.stride},
                             w, place.clip.height(), place.clip.width(),
                             work_.weighted.data() + m * place.plane, place.stride);
    }
    if (own) {
      fill_own(blocks[s], source, f, images);
      blocks[s].sum = sum;
      blocks[s].id_low = source.image_id;
      blocks[s].id_high = source.image_id;
      blocks[s].n_low = images;
      blocks[s].n_high = images;
      blocks[s].weight_id = weight_id;
    }
    for (const int p : neighbour_[s]) {
      const Pair& pair = pairs_[static_cast<std::size_t>(p)];
      GramBlock& block = blocks[static_cast<std::size_t>(p)];
      if (block_valid(block, pair, full, weight_id)) {
        continue;
      }
      const bool is_low = pair.low == static_cast<int>(s);
      const Source& other = sources_[static_cast<std::size_t>(is_low ? pair.high : pair.low)];
      const int n_other = images_needed(other, full);
      fill_pair(block, source, other, f, is_low, images, n_other);
      block.id_low = is_low ? source.image_id : other.image_id;
      block.id_high = is_low ? other.image_id : source.image_id;
      block.n_low = is_low ? images : n_other;
      block.n_high = is_low ? n_other : images;
      block.weight_id = weight_id;
    }
  }
}

void Scene::fill_gram(Gram& gram, std::span<const std::span<const float>> weight, bool full,
                      std::uint64_t weight_id) {
  for (std::size_t f = 0; f < frames_.size(); ++f) {
    if (frames_[f].n_good > 0) {
      fill_gram_frame(gram, f, weight[f], full, weight_id);
    }
  }
}

}  // namespace skyloom::photometry::fit
