#pragma once
// Which cells of other projections fill the sides of a cell, and their pixels.

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "pipelines/skycells/combine/kernel_pads.hpp"
#include "pipelines/skycells/combine/kernel_zones.hpp"
#include "pipelines/skycells/config.hpp"
#include "pipelines/skycells/survey.hpp"
#include "skyloom/surveys/gaia.hpp"

namespace skyloom::skycells {

/// The paddings of one cell. Sources are opened when a row first needs them.
class CellPaddings {
 public:
  /// None with geometry.cross_projection = false, and on sides that are not on the rim of the
  /// projection, whatever the list says.
  /// @param stars of the catalogue, for the treatment of sources; outlives this object
  CellPaddings(const Config& config, const Survey& survey, const surveys::Skycell& cell,
               std::span<const surveys::GaiaStar> stars);
  ~CellPaddings();
  CellPaddings(CellPaddings&&) noexcept;
  CellPaddings& operator=(CellPaddings&&) noexcept;

  [[nodiscard]] PaddedSides sides() const;
  /// Null without paddings.
  [[nodiscard]] PadRows* rows() const;
  /// Names of the sources, in the order in which they are applied, each once.
  [[nodiscard]] std::vector<std::string> sources() const;
  /// Of these, those that could not be read, so far: what they would have filled has no value, from
  /// the row on at which they failed.
  [[nodiscard]] std::vector<std::string> failed() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace skyloom::skycells
