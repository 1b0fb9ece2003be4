#include "registry.hpp"

#include <array>

#include "pipelines/photometry/pipeline.hpp"

namespace skyloom::app {
namespace {

constexpr std::array kPipelines{
    PipelineEntry{"photometry", "forced multi-band photometry by fitting scenes of sources",
                  &photometry::make_photometry},
};

}  // namespace

std::span<const PipelineEntry> registry() {
  return kPipelines;
}

}  // namespace skyloom::app
