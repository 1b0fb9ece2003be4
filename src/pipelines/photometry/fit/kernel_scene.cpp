#include "pipelines/photometry/fit/kernel_scene.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "skyloom/core/errors.hpp"
#include "skyloom/numerics/float_lanes.hpp"

namespace skyloom::photometry::fit {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kMinRe = 0.1;
constexpr double kMaxRe = 1000.0;
/// A half-light radius grows by at most this factor: beyond it a faint source would take over the
/// light of something bright that no catalogue row stands for.
constexpr double kMaxGrowth = 10.0;
constexpr double kMaxEe = 2.5;  ///< b/a 0.043; wider bounds let faint galaxies run into needles

std::ptrdiff_t padded(int n) {
  return (static_cast<std::ptrdiff_t>(n) + 15) / 16 * 16;
}

int parameters_of(SourceType type) {
  switch (type) {
    case SourceType::star:
      return 2;
    case SourceType::sersic:
      return 6;
    default:
      return 5;
  }
}

}  // namespace

Scene::Scene(const Input& input, Workspace& work)
    : input_(input), work_(work), truncation_sigma_(input.options.truncation_sigma) {
  if (input.width <= 0 || input.height <= 0 || input.n_bands <= 0 || input.frames.empty()) {
    throw UnitError(Reason::bad_input, "patch without pixels or frames");
  }
  frames_.swap(work_.frames);
  std::swap(gram_, work_.gram);
  frames_.resize(input.frames.size());
  for (std::size_t f = 0; f < frames_.size(); ++f) {
    clean_frame(input.frames[f], f);
  }
  if (std::none_of(frames_.begin(), frames_.end(), [](const Frame& f) { return f.n_good > 0; })) {
    throw UnitError(Reason::no_good_data, "all pixels of all frames are masked");
  }
  for (const Frame& frame : frames_) {
    weights_.emplace_back(frame.weight);
  }
  for (const SourceStart& start : input.sources) {
    start_source(start);
  }
  bands_.resize(static_cast<std::size_t>(input.n_bands));
}

Scene::~Scene() {
  for (Source& source : sources_) {
    work_.give_pixels(std::move(source.pixels));
  }
  for (Frame& frame : frames_) {
    frame.psf.reset();
  }
  work_.frames.swap(frames_);
  std::swap(gram_, work_.gram);
}

namespace {

/// Copies a row without its bad pixels and adds to the sums of w and w d.
void clean_row(const float* d, const float* w, Frame& frame, int y, double& sum_w, double& sum_wd) {
  // Comparisons with NaN are false.
  constexpr float kLargest = std::numeric_limits<float>::max();
  float* weight = frame.sky_weight.data() + y * frame.stride;
  float* data = frame.data.data() + y * frame.stride;
  int good = 0;
  for (int x = 0; x < frame.width; ++x) {
    const bool use = (w[x] > 0.0F) & (w[x] <= kLargest) & (std::abs(d[x]) <= kLargest);
    weight[x] = use ? w[x] : 0.0F;
    data[x] = use ? d[x] : 0.0F;
    good += use ? 1 : 0;
  }
  std::fill(weight + frame.width, weight + frame.stride, 0.0F);
  std::fill(data + frame.width, data + frame.stride, 0.0F);
  // Floats within a row, in sums of a fixed order: the row is as long as a multiple of 16.
  constexpr int kSums = 16;
  float part_w[kSums] = {};
  float part_wd[kSums] = {};
  for (std::ptrdiff_t x = 0; x < frame.stride; x += kSums) {
    for (int k = 0; k < kSums; ++k) {
      part_w[k] += weight[x + k];
      part_wd[k] += weight[x + k] * data[x + k];
    }
  }
  for (int k = 0; k < kSums; ++k) {
    sum_w += static_cast<double>(part_w[k]);
    sum_wd += static_cast<double>(part_wd[k]);
  }
  frame.n_good += good;
}

}  // namespace

void Scene::clean_frame(const FrameData& data, std::size_t index) {
  const std::string name = "frame " + std::to_string(index);
  if (data.band < 0 || data.band >= input_.n_bands) {
    throw UnitError(Reason::bad_input, name + ": band number out of range");
  }
  if (data.data.box() != data.invvar.box() || data.data.empty()) {
    throw UnitError(Reason::bad_input, name + ": data and weights differ in size");
  }
  if (data.psf == nullptr) {
    throw UnitError(Reason::bad_input, name + ": no PSF");
  }
  Frame& frame = frames_[index];
  frame.input = &data;
  frame.n_good = 0;
  frame.width = data.data.width();
  frame.height = data.data.height();
  frame.stride = padded(frame.width);
  const auto size = static_cast<std::size_t>(frame.stride * frame.height);
  frame.data.resize(size);
  frame.sky_weight.resize(size);
  frame.model.assign(size, 0.0F);
  frame.weighted_residual.resize(size);
  double sum_w = 0.0;
  double sum_wd = 0.0;
  for (int y = 0; y < frame.height; ++y) {
    clean_row(&data.data(y, 0), &data.invvar(y, 0), frame, y, sum_w, sum_wd);
  }
  frame.fit_sky = data.fit_sky && frame.n_good > 0;
  // Close to the level of the data, so that floats keep the digits that matter.
  const auto offset = static_cast<float>(frame.fit_sky ? sum_wd / sum_w : data.sky_start);
  frame.offset = static_cast<double>(offset);
  frame.mean_weight = frame.n_good > 0 ? sum_w / frame.n_good : 0.0;
  for (std::size_t i = 0; i < size; ++i) {
    frame.data[i] = frame.sky_weight[i] > 0.0F ? frame.data[i] - offset : 0.0F;
  }
  frame.weight = frame.sky_weight;
  frame.sum_weight = sum_w;
  frame.sum_weighted_data = sum_wd - frame.offset * sum_w;
  frame.summed_weight = 0;
  frame.psf = data.psf->is_constant() ? psf_at(index, 0.0, 0.0) : nullptr;
  frame.sky = 0.0;
  frame.chi2 = 0.0;
}

void Scene::start_source(const SourceStart& start) {
  if (!std::isfinite(start.x) || !std::isfinite(start.y)) {
    throw UnitError(Reason::bad_input,
                    "source " + std::to_string(sources_.size()) + ": position is not finite");
  }
  Source source;
  source.type = start.type;
  source.role = start.role;
  source.n_parameters = parameters_of(start.type);
  source.free = start.role != Role::halo_linear && !input_.options.forced;
  source.flags = source.free ? 0U : static_cast<std::uint32_t>(kFlagNotFitted);
  const double re = std::clamp(start.re_pix, kMinRe, kMaxRe);
  const double q = std::clamp(start.axis_ratio, 0.05, 1.0);
  const auto shape = sky::to_parameters({re, q, start.phi_deg});
  source.start = {start.x,      start.y,
                  shape.log_re, shape.ee1,
                  shape.ee2,    std::clamp(start.sersic_n, sky::kSersicMin, sky::kSersicMax)};
  const double shift = input_.options.max_shift_pix;
  source.lower = {start.x - shift, start.y - shift, std::log(kMinRe),
                  -kMaxEe,         -kMaxEe,         sky::kSersicMin};
  source.upper = {start.x + shift, start.y + shift, std::log(std::min(kMaxRe, kMaxGrowth * re)),
                  kMaxEe,          kMaxEe,          sky::kSersicMax};
  for (std::size_t k = 0; k < source.start.size(); ++k) {
    source.start[k] = std::clamp(source.start[k], source.lower[k], source.upper[k]);
  }
  source.value = source.start;
  source.flux.assign(static_cast<std::size_t>(input_.n_bands), kNan);
  source.box_flux.assign(static_cast<std::size_t>(input_.n_bands), kNan);
  for (std::size_t b = 0; b < source.flux.size() && b < start.flux.size(); ++b) {
    source.box_flux[b] = std::abs(start.flux[b]);
  }
  sources_.push_back(std::move(source));
}

void Scene::hold(int s) {
  Source& source = sources_[static_cast<std::size_t>(s)];
  source.free = false;
  source.active = false;
  source.flags |= kFlagNotFitted;
  if (!source.place.empty()) {
    allocate(source);
  }
}

void Scene::leave_out(int s) {
  sources_[static_cast<std::size_t>(s)].unseen = true;
  hold(s);
}

sky::ImageBlock Scene::block(const Source& source, std::size_t frame) const {
  const Placement& place = source.place[frame];
  return {source.pixels.data() + place.offset, place.stride, place.plane, place.clip};
}

int Scene::active_parameters() const {
  int n = 0;
  for (const Source& source : sources_) {
    n += source.active ? source.n_parameters : 0;
  }
  return n;
}

void Scene::render(Source& source, bool derivatives) {
  if (source.type == SourceType::star) {
    render_star(source, derivatives);
  } else {
    render_galaxy(source, derivatives);
  }
  source.image_id = next_image_id_++;
  source.value_valid = true;
  source.value_at = source.value;
  if (derivatives) {
    source.derivatives_valid = true;
    source.derivatives_at = source.value;
  }
}

void Scene::render_star(Source& source, bool derivatives) {
  for (std::size_t f = 0; f < frames_.size(); ++f) {
    Placement& place = source.place[f];
    if (place.clip.empty()) {
      continue;
    }
    const FrameData& data = *frames_[f].input;
    const auto [a, b, c, d] = data.matrix;
    const double x = a * source.value[0] + b * source.value[1] + data.dx;
    const double y = c * source.value[0] + d * source.value[1] + data.dy;
    const auto target = block(source, f);
    place.psf->point(source.half).render(x, y, derivatives, target, work_.scratch);
    if (!derivatives || data.matrix == std::array<double, 4>{1.0, 0.0, 0.0, 1.0}) {
      continue;
    }
    // Derivatives per frame pixel to derivatives per ROI pixel.
    float* ux = target.data + target.plane;
    float* uy = ux + target.plane;
    for (std::ptrdiff_t i = 0; i < target.plane; ++i) {
      const float gx = ux[i];
      const float gy = uy[i];
      ux[i] = static_cast<float>(a) * gx + static_cast<float>(c) * gy;
      uy[i] = static_cast<float>(b) * gx + static_cast<float>(d) * gy;
    }
  }
}

namespace {

sky::Mixture whole_mixture(SourceType type) {
  return type == SourceType::exp ? sky::exponential_mixture() : sky::de_vaucouleurs_mixture();
}

const sky::RadialTable& whole_profile(SourceType type) {
  static const sky::RadialTable kExp(sky::exponential_mixture());
  static const sky::RadialTable kDev(sky::de_vaucouleurs_mixture());
  return type == SourceType::exp ? kExp : kDev;
}

/// The same of the terms with sigma in [low, high), made when they are first needed.
const sky::RadialTable& part_of_profile(SourceType type, double low, double high) {
  constexpr std::size_t kParts = 64;
  static std::map<std::tuple<SourceType, double, double>, sky::RadialTable> parts;
  if (parts.size() > kParts) {
    parts.clear();
  }
  sky::RadialTable& part = parts[{type, low, high}];
  if (part.empty()) {
    part = sky::RadialTable(sky::part_of(whole_mixture(type), low, high));
  }
  return part;
}

}  // namespace

void Scene::render_galaxy(Source& source, bool derivatives) {
  const auto shape = sky::shape_matrix({source.value[2], source.value[3], source.value[4]});
  const bool sersic = source.type == SourceType::sersic;
  for (std::size_t l = 0; l < source.levels.size(); ++l) {
    const Level& level = source.levels[l];
    const sky::RadialTable* table = nullptr;
    const sky::RadialTable* n_table = nullptr;
    if (sersic) {
      sky::SersicTables& tables = work_.sersic;
      sky::sersic_tables(source.value[5], derivatives, tables, level.low, level.high);
      table = &tables.profile;
      n_table = derivatives ? &tables.n_derivative : nullptr;
    } else if (source.levels.size() == 1) {
      table = &whole_profile(source.type);
    } else {
      table = &part_of_profile(source.type, level.low, level.high);
    }
    const sky::DftGrid& dft = work_.grid(level.grid);
    const std::array<double, 4>* last_matrix = nullptr;
    for (std::size_t f = 0; f < frames_.size(); ++f) {
      Placement& place = source.place[f];
      if (place.clip.empty()) {
        continue;
      }
      const FrameData& data = *frames_[f].input;
      if (last_matrix == nullptr || *last_matrix != data.matrix) {
        work_.factors.compute(dft, *table, n_table, sky::transformed(shape, data.matrix),
                              data.matrix, derivatives);
        last_matrix = &data.matrix;
      }
      const auto& transform = place.psf->transform(dft, level.sigma_pix);
      const double x =
          data.matrix[0] * source.value[0] + data.matrix[1] * source.value[1] + data.dx;
      const double y =
          data.matrix[2] * source.value[0] + data.matrix[3] * source.value[1] + data.dy;
      const auto target = block(source, f);
      // A smaller grid leaves the rim of the block alone: the first level must be the largest.
      sky::render_galaxy(dft, transform, work_.factors, x, y, place.centre_x, place.centre_y, l > 0,
                         target, work_.scratch);
    }
  }
}

}  // namespace skyloom::photometry::fit
