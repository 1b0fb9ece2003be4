#include "registry.hpp"

#include <array>

#include "pipelines/flares/pipeline.hpp"
#include "pipelines/photometry/pipeline.hpp"
#include "pipelines/skycells/pipeline.hpp"

namespace skyloom::app {
namespace {

constexpr std::array kPipelines{
    PipelineEntry{"photometry", "forced multi-band photometry by fitting scenes of sources",
                  &photometry::make_photometry},
    PipelineEntry{"flares", "flares of sector light curves, their completeness and rates",
                  &flares::make_flares},
    PipelineEntry{"skycells", "Pan-STARRS1 skycells combined, padded and convolved",
                  &skycells::make_skycells},
};

}  // namespace

std::span<const PipelineEntry> registry() {
  return kPipelines;
}

}  // namespace skyloom::app
