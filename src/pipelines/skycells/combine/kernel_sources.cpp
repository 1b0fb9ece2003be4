#include "pipelines/skycells/combine/kernel_sources.hpp"

namespace skyloom::skycells {
namespace {

/// Side of the square with which bright pixels are closed before stars are removed.
constexpr int kClosing = 20;

}  // namespace

TreatedSources treat_sources(const SourceOptions& options, std::span<const CatalogueStar> stars,
                             ImageView<const float> sigma, ImageView<float> image,
                             ImageView<std::uint16_t> mask) {
  TreatedSources out;
  const bool removes = options.saturation == SaturationMode::remove;
  if (options.needs_noise()) {
    const SourceMap sources = find_sources(
        image, sigma, {options.detect_sigma, options.bright_sigma, removes ? kClosing : 0});
    out.segments = sources.count;
    keep_sources(sources, image);
    if (removes) {
      out.removed = remove_stars(segment_domains(sources), sources.count, mask, stars,
                                 options.limit_mag, image);
    }
  }
  if (options.saturation == SaturationMode::replace) {
    out.cores = replace_cores(stars, options.cores, image, mask);
  }
  return out;
}

}  // namespace skyloom::skycells
