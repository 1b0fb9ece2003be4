#pragma once
// The sky of a frame from the skies of all its patches (docs/pipelines/photometry.md, "Sky"). A
// patch measures its own level with an error that moves all its fluxes together; what neighbouring
// patches measured says how much of the difference is noise. Pure.

#include <span>
#include <vector>

namespace skyloom::photometry::catalogue {

/// Sky of one patch as the pixels measured it that no other patch claims: measurements are
/// independent.
struct PatchSky {
  double x = 0.0;  ///< centre of the patch, white pixels
  double y = 0.0;
  double sky = 0.0;
  double err = 0.0;  ///< marginal error; not finite or not positive = held or without data
};

/// Sky of one patch given all patches.
struct CombinedSky {
  double sky = 0.0;
  double err = 0.0;
  bool own = true;  ///< the patch keeps its own
};

/// What the patches have in common.
struct SkyModel {
  int order = -1;                    ///< of the polynomial in position; -1 = too few patches
  double scatter = 0.0;              ///< of patches about it beyond their errors
  int n_outliers = 0;                ///< patches that keep their own sky
  std::vector<CombinedSky> patches;  ///< in the order given
};

/// Empirical Bayes: sky = polynomial(x, y) + N(0, scatter^2) + N(0, err^2). Order (0 to 2, by the
/// Bayesian information criterion) and scatter maximise the marginal likelihood; each patch then
/// takes its posterior mean (Efron & Morris 1975). A patch more than 4 standard deviations off (a
/// star that no catalogue row stands for, a halo) keeps its own. Fewer than four patches keep
/// theirs.
SkyModel combine_skies(std::span<const PatchSky> patches);

}  // namespace skyloom::photometry::catalogue
