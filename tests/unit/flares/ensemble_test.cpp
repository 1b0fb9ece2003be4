// The networks that ship with the program (share/skyloom/flares/ensemble-1): that the files are
// what their list says, have the scale-free form they were trained in, and find simulated flares.

#include <algorithm>
#include <cmath>

#include <catch2/catch.hpp>

#include "pipelines/flares/detect/kernel_mask.hpp"
#include "pipelines/flares/detect/kernel_windows.hpp"
#include "pipelines/flares/simulate_sector.hpp"
#include "skyloom/surveys/network_ensemble.hpp"

using namespace skyloom;

namespace {

using Net = numerics::WindowNetwork;

const surveys::NetworkEnsemble& ensemble() {
  static const surveys::NetworkEnsemble found =
      surveys::find_ensemble({SKYLOOM_SOURCE_DIR "/share/skyloom/flares/ensemble-1"});
  return found;
}

const std::vector<surveys::NetworkFile>& networks() {
  static const std::vector<surveys::NetworkFile> read = surveys::read_ensemble(ensemble());
  return read;
}

/// The cadences of a simulated sector that a reader keeps, as flux.
struct Curve {
  std::vector<double> time;
  std::vector<double> flux;
};

Curve kept(const flares::SimulatedSector& sector) {
  Curve out;
  for (std::size_t i = 0; i < sector.flux.size(); ++i) {
    if (std::isfinite(sector.time[i]) && std::isfinite(sector.flux[i]) &&
        (sector.quality[i] & 175) == 0) {
      out.time.push_back(sector.time[i]);
      out.flux.push_back(sector.flux[i]);
    }
  }
  return out;
}

struct Detected {
  flares::Windows windows;
  std::vector<flares::FlareBlock> blocks;
};

template <class Real>
Detected detect(const Curve& curve) {
  Detected out;
  out.windows = flares::find_windows(curve.time, curve.flux, flares::GapRule::native);
  const std::vector<Real> y = flares::normalised<Real>(curve.flux, out.windows.median_flux);
  std::vector<std::vector<double>> each;
  flares::NetworkWorkspace<Real> work;
  for (const surveys::NetworkFile& file : networks()) {
    const flares::Network<Real> network(file.weights);
    each.push_back(
        flares::flare_probability<Real>(network, y, out.windows, flares::Edge::invalid, work));
  }
  out.blocks = flares::find_flares(flares::combined(each, flares::Combine::median),
                                   out.windows.gaps, flares::DetectionRule{});
  return out;
}

}  // namespace

TEST_CASE("ten networks have the checksums of their list") {
  REQUIRE(networks().size() == 10);
  REQUIRE(ensemble().sha256.size() == 10);
  for (std::size_t i = 0; i < 10; ++i) {
    CHECK(networks()[i].sha256 == ensemble().sha256[i]);
  }
  CHECK(ensemble().recipe == "scale-free-1");
  CHECK(ensemble().threshold == flares::DetectionRule{}.threshold);
}

TEST_CASE("the networks are scale-free") {
  for (const surveys::NetworkFile& file : networks()) {
    const Net& net = file.weights;
    CHECK(net.taps == 7);
    CHECK(net.output_bias == Approx(std::log(3.0)).margin(1e-6));
    for (const auto* zero : {&net.second_bias, &net.dense_bias}) {
      CHECK(std::all_of(zero->begin(), zero->end(), [](float v) { return v == 0.0F; }));
    }
    // What the padding of a window reaches has no weight; everything else has some.
    for (std::size_t s = 0; s < Net::kPositions; ++s) {
      const auto rows = net.dense.begin() + static_cast<long>(s * Net::kSecond * Net::kHidden);
      const bool none =
          std::all_of(rows, rows + Net::kSecond * Net::kHidden, [](float v) { return v == 0.0F; });
      CHECK(none == (s < 2 || s >= Net::kPositions - 2));
    }
    // A flat light curve at the median gives nothing.
    for (std::size_t filter = 0; filter < Net::kFirst; ++filter) {
      double sum = 0.0;
      for (std::size_t tap = 0; tap < 7; ++tap) {
        sum += net.first[tap * Net::kFirst + filter];
      }
      CHECK(net.first_bias[filter] == static_cast<float>(-sum));
    }
  }
}

TEST_CASE("flares do not depend on the scale of the light curve") {
  const flares::SimulatedStar star = flares::simulated_star(21, 0, 1.8);
  const Curve curve = kept(flares::simulated_sector(21, star, 1, 6000));
  const double median =
      flares::find_windows(curve.time, curve.flux, flares::GapRule::native).median_flux;
  const auto blocks = detect<double>(curve).blocks;
  REQUIRE_FALSE(blocks.empty());
  for (const double factor : {0.1, 10.0}) {
    Curve scaled = curve;
    for (double& flux : scaled.flux) {
      flux = median * (1.0 + factor * (flux / median - 1.0));
    }
    CHECK(detect<double>(scaled).blocks == blocks);
  }
}

TEST_CASE("the networks find strong simulated flares and little else") {
  int strong = 0;
  int found = 0;
  int blocks = 0;
  int unexplained = 0;
  for (int index = 0; index < 16; ++index) {
    const flares::SimulatedStar star = flares::simulated_star(22, index, 1.8);
    const auto sector = flares::simulated_sector(22, star, 1, 20076);
    const Curve curve = kept(sector);
    const Detected detected = detect<float>(curve);
    const auto touches = [&](const flares::FlareBlock& block, const flares::SimulatedFlare& flare) {
      const double margin = 3.0 * flares::kSimulatedCadence_d;
      return curve.time[static_cast<std::size_t>(block.start)] - margin <=
                 flare.t_peak + 2.0 * flare.fwhm_d &&
             curve.time[static_cast<std::size_t>(block.stop)] + margin >= flare.t_peak;
    };
    for (const flares::SimulatedFlare& flare : sector.flares) {
      const auto at = std::lower_bound(curve.time.begin(), curve.time.end(), flare.t_peak);
      const auto i = static_cast<std::size_t>(at - curve.time.begin());
      if (flare.peak < 15.0 * star.noise || !flare.observed || i >= curve.time.size() ||
          detected.windows.predicted[i] == 0) {
        continue;
      }
      ++strong;
      found += std::any_of(detected.blocks.begin(), detected.blocks.end(),
                           [&](const auto& block) { return touches(block, flare); })
                   ? 1
                   : 0;
    }
    for (const flares::FlareBlock& block : detected.blocks) {
      ++blocks;
      unexplained += std::any_of(sector.flares.begin(), sector.flares.end(),
                                 [&](const auto& flare) { return touches(block, flare); })
                         ? 0
                         : 1;
    }
  }
  INFO(found << " of " << strong << " strong flares, " << unexplained << " of " << blocks
             << " blocks without one");
  REQUIRE(strong >= 10);
  CHECK(found >= 0.9 * strong);
  CHECK(unexplained <= 0.15 * blocks);
}
