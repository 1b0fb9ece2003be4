#pragma once
// The pixels that the stage `patches` saved, as the fit reads them.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "pipelines/photometry/field.hpp"
#include "pipelines/photometry/patches/geometry.hpp"
#include "skyloom/engine/products.hpp"

namespace skyloom::photometry {

class SavedPixels {
 public:
  /// Those of a field. @param before, survey must outlive this object
  SavedPixels(const engine::Products& before, const Survey& survey, const Field& field);

  /// Box of a frame of the field that a patch is fitted to. @param patch row of /patches
  /// @throws UnitError when its pixels were not saved
  [[nodiscard]] Footprint footprint(const Field& field, std::size_t frame, std::size_t patch) const;
  /// Data and weights of it; `bad` stays empty. @throws UnitError
  [[nodiscard]] surveys::FramePixels read(const Field& field, std::size_t frame,
                                          std::size_t patch) const;

 private:
  /// Row of `places_`.
  [[nodiscard]] std::size_t row(const Field& field, std::size_t frame, std::size_t patch) const;

  const engine::Products& before_;
  const Survey& survey_;
  Table places_;  ///< the field's rows of /patch_pixels
};

}  // namespace skyloom::photometry
