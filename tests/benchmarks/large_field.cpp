// Writes the field that large_field.py measures: one survey tile of 10,000 x 10,000 pixels, ten
// bands, 50,000 sources.
//   large_field FOLDER [side in pixels] [sources]

#include <cstdio>
#include <cstdlib>

#include "pipelines/photometry/simulate.hpp"

using skyloom::photometry::SimulatedBand;

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fputs("large_field FOLDER [side in pixels] [sources]\n", stderr);
    return 2;
  }
  skyloom::photometry::SimulationOptions options;
  options.folder = argv[1];
  options.size = "full";
  options.side_pix = argc > 2 ? std::atoi(argv[2]) : 10000;
  options.n_sources = argc > 3 ? std::atoi(argv[3]) : 50000;
  double fwhm_pix = 4.6;
  for (const char* name : {"u", "g", "r", "i", "z", "y", "v", "j", "h", "k"}) {
    options.bands.push_back({.name = name, .fwhm_pix = fwhm_pix, .beta = 3.5, .zp_mag = 24.8});
    fwhm_pix -= 0.15;
  }
  skyloom::photometry::simulate(options);
  return 0;
}
