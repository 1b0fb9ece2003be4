#include "registry.hpp"

#include <array>

#ifdef SKYLOOM_HAS_PHOTOMETRY
#include "pipelines/photometry/pipeline.hpp"
#endif

namespace skyloom::app {
namespace {

#ifdef SKYLOOM_HAS_PHOTOMETRY
constexpr std::array kPipelines{
    PipelineEntry{"photometry", "forced multi-band photometry by fitting scenes of sources",
                  &photometry::make_photometry},
};
#else
constexpr std::array<PipelineEntry, 0> kPipelines{};
#endif

}  // namespace

std::span<const PipelineEntry> registry() {
  return kPipelines;
}

}  // namespace skyloom::app
