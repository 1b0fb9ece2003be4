#pragma once
// The sections of the flares report. Those without content have no blocks.

#include <cstddef>
#include <string>
#include <vector>

#include "pipelines/flares/config.hpp"
#include "pipelines/flares/stored.hpp"
#include "skyloom/engine/products.hpp"
#include "skyloom/web/report.hpp"

namespace skyloom::flares {

/// Details are drawn for so many sectors and flares, and tables hold so many rows.
inline constexpr std::size_t kSectorsShown = 3;
inline constexpr std::size_t kFlaresShown = 9;
inline constexpr std::size_t kRowsShown = 100;

/// Of a flare frequency distribution at least so many flares are drawn.
inline constexpr std::size_t kLargestDrawn = 300;

/// Which points of a cumulative distribution, largest first, are drawn: the kLargestDrawn first
/// ones, and about 2,000 of the others evenly in the logarithm of their rank, the last one too. All
/// of up to kLargestDrawn.
std::vector<std::size_t> drawn_points(std::size_t count);

struct ReportInput {
  const Config& config;
  const engine::Products& products;
  std::vector<StoredSector> sectors;
};

/// Light curves of the sectors with most flares, with mask and Gaussian process.
web::Section light_curves_section(const ReportInput& input, std::vector<std::string>& problems);
/// The largest flares one by one.
web::Section gallery_section(const ReportInput& input, std::vector<std::string>& problems);
/// Which injected flares were recovered.
web::Section completeness_section(const ReportInput& input, std::vector<std::string>& problems);
/// Flare frequency of the sample and of the stars.
web::Section rates_section(const ReportInput& input, std::vector<std::string>& problems);
/// What was searched, sector by sector.
web::Section sectors_section(const ReportInput& input, std::vector<std::string>& problems);

}  // namespace skyloom::flares
