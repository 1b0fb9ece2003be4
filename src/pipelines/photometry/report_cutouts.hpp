#pragma once
// The model of a patch outside of a run: images are read again, and the model is made from the
// fitted parameters.

#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "pipelines/photometry/fit/stage.hpp"
#include "pipelines/photometry/report_parts.hpp"

namespace skyloom::photometry {

/// Numbers of a set of fit columns, by catalogue row.
struct FitColumns {
  const Table& catalogue;
  FitNames names;
  std::string set;
  [[nodiscard]] double operator()(const char* stem, std::size_t row) const {
    return catalogue.get<double>(names.fitted(stem, set))[row];
  }
};

/// A patch whose model was made at the fitted parameters.
struct DrawnPatch {
  FitStage::Input input;
  std::vector<FitStage::RunResult> results;
};

/// What is drawn of one band: pixels of the region of interest, or of an image with a grid of its
/// own.
struct BandView {
  Image<float> data;
  Image<float> model;  ///< with the sky
  std::array<double, 4> matrix{1.0, 0.0, 0.0, 1.0};
  double dx = 0.0;
  double dy = 0.0;
};

/// Reads a patch and makes its model. @param patch row of /patches
DrawnPatch drawn_patch(const ReportInput& report, FitStage::Context& context, std::size_t patch);

/// One band of a patch: the mean of its images on the white grid with the weights of the fit, or
/// its first image with a grid of its own. Empty without data.
BandView band_view(const DrawnPatch& patch, int band);

}  // namespace skyloom::photometry
