// Real five-band blends (HSC-COSMOS) against a joint fit with another program: same types, same
// PSFs, sky held at 0, starts at the detected peaks.

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "pipelines/photometry/fit/kernel.hpp"
#include "skyloom/io/files.hpp"
#include "skyloom/io/fits.hpp"

#include "support/fit_patch.hpp"

namespace fit = skyloom::photometry::fit;
namespace fs = std::filesystem;

namespace {

using Row = std::map<std::string, std::string>;

std::vector<Row> read_reference(const fs::path& path) {
  std::ifstream in(path);
  std::string line;
  std::vector<std::string> names;
  std::vector<Row> rows;
  while (std::getline(in, line)) {
    std::vector<std::string> cells;
    std::stringstream stream(line);
    for (std::string cell; std::getline(stream, cell, ',');) {
      cells.push_back(cell);
    }
    if (names.empty()) {
      names = cells;
      continue;
    }
    Row row;
    for (std::size_t i = 0; i < names.size() && i < cells.size(); ++i) {
      row[names[i]] = cells[i];
    }
    rows.push_back(row);
  }
  return rows;
}

double number(const Row& row, const std::string& name) {
  return std::stod(row.at(name));
}

}  // namespace

TEST_CASE("the HSC blends are fitted as well as by the reference or better") {
  const fs::path folder = fs::path(SKYLOOM_TEST_DATA) / "hsc_scenes";
  if (!fs::exists(folder)) {
    WARN("skipped: " << folder << " is absent");
    return;
  }
  const std::string bands = "grizy";
  const auto reference = read_reference(folder / "tractor_reference_fit.csv");
  std::vector<std::string> files;
  for (const Row& row : reference) {
    if (files.empty() || files.back() != row.at("file")) {
      files.push_back(row.at("file"));
    }
  }
  REQUIRE(files.size() == 6);
  for (const std::string& file : files) {
    const skyloom::io::FitsFile image(folder / file, 1);
    const skyloom::io::FitsFile invvar(folder / file, 2);
    const skyloom::io::FitsFile psf(folder / file, 3);
    fit::Input input;
    input.width = image.width();
    input.height = image.height();
    input.n_bands = 5;
    for (int b = 0; b < 5; ++b) {
      fit::FrameData frame;
      frame.band = b;
      frame.data = image.read_plane(b);
      frame.invvar = invvar.read_plane(b);
      frame.fit_sky = false;
      skyloom::sky::PsfStamp stamp{psf.read_plane(b), 1};
      const double fwhm = 2.0 * std::sqrt(0.35 / static_cast<double>(stamp.values(20, 20)));
      frame.psf = std::make_shared<skyloom::test::StampPsf>(std::move(stamp), fwhm);
      input.frames.push_back(std::move(frame));
    }
    std::vector<Row> rows;
    std::copy_if(reference.begin(), reference.end(), std::back_inserter(rows),
                 [&](const Row& row) { return row.at("file") == file; });
    for (const Row& row : rows) {
      fit::SourceStart start;
      start.type = row.at("type") == "EXP" ? fit::SourceType::exp : fit::SourceType::star;
      start.x = number(row, "x_peak");
      start.y = number(row, "y_peak");
      start.re_pix = 2.0;
      start.axis_ratio = 0.8;
      input.sources.push_back(start);
    }
    input.options.shape_prior = fit::ShapePrior::none;
    input.options.truncation_sigma = 0.03;
    for (const auto solver : {fit::Solver::tao_bnls, fit::Solver::levenberg_marquardt}) {
      input.options.solver = solver;
      const auto result = fit::compute(input);
      double chi2 = 0.0;
      for (const auto& frame : result.frames) {
        chi2 += frame.chi2;
      }
      const double expected = number(rows[0], "scene_chi2");
      INFO(file << (solver == fit::Solver::tao_bnls ? " tao" : " lm") << " iterations "
                << result.iterations << " chi2 " << chi2 << " reference " << expected);
      CHECK(chi2 <= expected + 2.0);
      CHECK(result.converged_all);
      // The same minimum: then the parameters agree too, a lower one is right as well.
      for (std::size_t s = 0; s < rows.size() && std::abs(chi2 - expected) < 0.5; ++s) {
        const auto& source = result.sources[s];
        if (number(rows[s], "axis_ratio") < 0.25 && rows[s].at("type") == "EXP") {
          continue;
        }
        const double i_error = number(rows[s], "fluxerr_cond_i");
        if (number(rows[s], "flux_i") > 30.0 * i_error) {
          CHECK(source.x == Approx(number(rows[s], "x")).margin(0.03));
          CHECK(source.y == Approx(number(rows[s], "y")).margin(0.03));
        }
        for (std::size_t b = 0; b < 5; ++b) {
          const std::string band(1, bands[b]);
          const double error = number(rows[s], "fluxerr_cond_" + band);
          INFO("source " << s << " band " << band);
          CHECK(source.bands[b].flux ==
                Approx(number(rows[s], "flux_" + band))
                    .margin(0.3 * error * std::sqrt(static_cast<double>(rows.size()))));
        }
      }
    }
  }
}
