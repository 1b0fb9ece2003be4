#include "pipelines/photometry/epsf/found.hpp"

#include "pipelines/photometry/epsf/frame.hpp"

namespace skyloom::photometry::epsf {

Found survey(const Input& input, const Options& options) {
  Found found;
  const std::vector<Box> tiles = background::tiles(input.width, input.height, options);
  for (const Box& tile : tiles) {
    const Box reach = background::reach(tile, input.width, input.height, options);
    const std::vector<background::Node> nodes =
        background::measure(input.read(reach), tile, reach, options);
    found.nodes.insert(found.nodes.end(), nodes.begin(), nodes.end());
  }
  const Band band = make_band(input, options, found.nodes);
  std::vector<objects::Found> parts;
  for (const Box& tile : tiles) {
    const Box reach = objects::reach(tile, input.width, input.height);
    parts.push_back(objects::find(band.read(reach), tile, input.fwhm_guess_pix, options));
  }
  found.objects = objects::join(parts, input.height);
  return found;
}

}  // namespace skyloom::photometry::epsf
