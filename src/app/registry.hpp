#pragma once
// The pipelines that this program has: a table that can be read.

#include <memory>
#include <span>
#include <string_view>

#include "skyloom/engine/pipeline.hpp"

namespace skyloom::app {

struct PipelineEntry {
  std::string_view name;
  std::string_view summary;
  std::unique_ptr<engine::Pipeline> (*make)();
};

std::span<const PipelineEntry> registry();

/// @throws ConfigError that names the nearest pipeline
const PipelineEntry& find_pipeline(std::span<const PipelineEntry> pipelines, std::string_view name);

}  // namespace skyloom::app
