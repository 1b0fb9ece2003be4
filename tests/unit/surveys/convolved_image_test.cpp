// Convolved cells read back, whether all pixels or the coarse grid were stored.

#include "skyloom/surveys/convolved_image.hpp"

#include <cmath>
#include <cstring>
#include <filesystem>

#include <catch2/catch.hpp>

#include "skyloom/core/errors.hpp"
#include "skyloom/core/random.hpp"
#include "skyloom/core/runs.hpp"
#include "skyloom/io/hdf5.hpp"
#include "skyloom/numerics/multirate.hpp"
#include "skyloom/surveys/run_stream.hpp"

#include "unit/io/scratch.hpp"

using namespace skyloom;
using Catch::Contains;
using surveys::ConvolvedImages;
using surveys::SkycellId;

namespace {

constexpr int kWidth = 330;
constexpr int kHeight = 300;
constexpr int kOverlap = 60;
const SkycellId kFirst{2404, 4, 2};
const SkycellId kSecond{2404, 4, 3};  // was not convolved

numerics::GaussianPlan plan() {
  return numerics::plan_gaussian({7.5, 1e-6, 0, numerics::GaussianMethod::multirate});
}

struct Truth {
  numerics::NodeRange rows;
  numerics::NodeRange columns;
  Image<float> nodes;
  Image<float> pixels;
  Image<std::uint16_t> mask;
  RunBytes missing_runs;
  RunBytes mask_runs;
};

Truth make_truth() {
  const numerics::MultirateGaussian gaussian(plan());
  const int x0 = kFirst.x * (kWidth - kOverlap);
  const int y0 = kFirst.y * (kHeight - kOverlap);
  Truth truth;
  truth.rows = gaussian.nodes_needed(y0, y0 + kHeight);
  truth.columns = gaussian.nodes_needed(x0, x0 + kWidth);
  truth.nodes = Image<float>(truth.columns.count, truth.rows.count);
  const Rng rng(1, "nodes", "test");
  for (std::size_t i = 0; i < truth.nodes.pixels().size(); ++i) {
    truth.nodes.pixels()[i] = static_cast<float>(rng.uniform(i));
  }
  const numerics::NodeInterpolation interpolation(
      gaussian, truth.nodes.view(), {truth.columns.first, truth.rows.first}, x0, kWidth);
  truth.pixels = Image<float>(kWidth, kHeight);
  interpolation.rows(y0, truth.pixels.view());
  truth.mask = Image<std::uint16_t>(kWidth, kHeight);
  for (int y = 0; y < kHeight; ++y) {
    std::vector<std::uint16_t> missing(kWidth);
    for (int x = 0; x < kWidth; ++x) {
      truth.mask(y, x) = static_cast<std::uint16_t>(x / 50 + (y / 40 << 8));
      missing[static_cast<std::size_t>(x)] = (x - 100) * (x - 100) + (y - 90) * (y - 90) < 400;
      if (missing[static_cast<std::size_t>(x)] != 0) {
        truth.pixels(y, x) = std::nanf("");
      }
    }
    add_runs(missing, truth.missing_runs);
    add_runs(truth.mask.view().row(y), truth.mask_runs);
  }
  return truth;
}

/// The cells of the projection as a run lists them.
Table cells_table(const Truth& truth) {
  Table cells({"projections/2404/cells",
               {{"name", Type::text, "", ""},
                {"x", Type::int32, "", ""},
                {"y", Type::int32, "", ""},
                {"NAXIS1", Type::int32, "", ""},
                {"NAXIS2", Type::int32, "", ""},
                {"first_node_y", Type::int32, "", ""},
                {"nodes_y", Type::int32, "", ""},
                {"first_node_x", Type::int32, "", ""},
                {"nodes_x", Type::int32, "", ""}}});
  for (const SkycellId& id : {kFirst, kSecond}) {
    const std::size_t row = cells.add_row();
    cells.set(row, "name", id.name());
    cells.set(row, "x", id.x);
    cells.set(row, "y", id.y);
    cells.set(row, "NAXIS1", kWidth);
    cells.set(row, "NAXIS2", kHeight);
    cells.set(row, "first_node_y", truth.rows.first);
    cells.set(row, "nodes_y", truth.rows.count);
    cells.set(row, "first_node_x", truth.columns.first);
    cells.set(row, "nodes_x", truth.columns.count);
  }
  return cells;
}

/// A plane of values, then one of what a cell has that was not convolved.
template <class T>
void write_planes(io::Hdf5Writer& writer, const std::string& name, Type type, const Image<T>& first,
                  T other) {
  const std::size_t size = first.pixels().size();
  std::vector<T> values(2 * size, other);
  std::copy(first.pixels().begin(), first.pixels().end(), values.begin());
  writer.write_array(
      {name,
       type,
       {2, static_cast<std::size_t>(first.height()), static_cast<std::size_t>(first.width())},
       "",
       ""},
      [&](std::uint64_t begin, std::span<std::byte> bytes) {
        std::memcpy(bytes.data(), values.data() + begin, bytes.size());
      });
}

std::filesystem::path write_run(const std::filesystem::path& run, const Truth& truth, bool coarse) {
  const std::filesystem::path folder = run / "convolved_results/sector_0020/camera_3/ccd_3";
  std::filesystem::create_directories(folder);
  const std::filesystem::path path = folder / "convolved_images.h5";
  io::Hdf5Writer writer(path);
  const numerics::GaussianPlan used = plan();
  writer.attribute("/", "sampling", std::string_view(coarse ? "coarse" : "full"));
  writer.attribute("/", "overlap", std::int32_t{kOverlap});
  writer.attribute("/", "sigma", used.sigma);
  writer.attribute("/", "step", std::int32_t{used.step});
  writer.attribute("/", "narrow_sigma", used.narrow * used.step);
  writer.attribute("/", "reach", std::int32_t{used.reach});
  if (coarse) {
    write_planes(writer, "projections/2404/coarse", Type::float32, truth.nodes, std::nanf(""));
    Table cells({"cells",
                 {{"name", Type::text, "", ""},
                  {"missing_bytes", Type::int64, "", ""},
                  {"mask_bytes", Type::int64, "", ""}}});
    io::Hdf5Writer product(run / "convolve.h5");
    const std::size_t row = cells.add_row();
    cells.set(row, "name", kFirst.name());
    for (const auto& [name, runs] :
         {std::pair{"missing", &truth.missing_runs}, std::pair{"mask", &truth.mask_runs}}) {
      Table bytes({name, {{"byte", Type::uint8, "", ""}}});
      const std::vector<std::uint8_t> stream = surveys::run_stream(*runs);
      bytes.add_rows(stream.size());
      bytes.get<std::uint8_t>("byte") = stream;
      product.write_table(bytes);
      cells.set(row, std::string(name) + "_bytes", static_cast<std::int64_t>(stream.size()));
    }
    product.write_table(cells);
    product.close();
  } else {
    write_planes(writer, "projections/2404/data", Type::float32, truth.pixels, std::nanf(""));
    write_planes(writer, "projections/2404/mask", Type::uint16, truth.mask, std::uint16_t{0});
  }
  writer.write_table(cells_table(truth));
  writer.close();
  return path;
}

template <class T>
bool same_part(const Image<T>& part, const Image<T>& whole, const Box& box) {
  for (int y = 0; y < box.height(); ++y) {
    if (std::memcmp(part.view().row(y).data(), &whole(box.y0 + y, box.x0),
                    sizeof(T) * static_cast<std::size_t>(box.width())) != 0) {
      return false;
    }
  }
  return true;
}

}  // namespace

TEST_CASE("any part of a convolved cell, from all pixels or from the coarse grid") {
  const Scratch scratch;
  const Truth truth = make_truth();
  const bool coarse = GENERATE(false, true);
  const ConvolvedImages images(write_run(scratch / "run", truth, coarse));
  CHECK(images.sampling() == (coarse ? "coarse" : "full"));
  REQUIRE(images.projections().size() == 1);
  CHECK(images.projections().front() == 2404);
  CHECK(images.cells(2404).rows() == 2);
  CHECK(images.plane(kSecond) == 1);
  for (const Box& box :
       {Box{0, kWidth, 0, kHeight}, Box{3, 101, 37, 99}, Box{329, 330, 299, 300}}) {
    CHECK(same_part(images.read(kFirst, box), truth.pixels, box));
    CHECK(same_part(images.read_mask(kFirst, box), truth.mask, box));
    const Image<float> nothing = images.read(kSecond, box);
    CHECK(std::all_of(nothing.pixels().begin(), nothing.pixels().end(),
                      [](float value) { return std::isnan(value); }));
    const Image<std::uint16_t> none = images.read_mask(kSecond, box);
    CHECK(std::all_of(none.pixels().begin(), none.pixels().end(),
                      [](std::uint16_t bits) { return bits == 0; }));
  }
  CHECK_THROWS_WITH(images.read({2404, 5, 5}, {0, 1, 0, 1}), Contains("skycell.2404.055"));
}

TEST_CASE("a convolved cell row by row is the cell, also with rows left out") {
  const Scratch scratch;
  const Truth truth = make_truth();
  const bool coarse = GENERATE(false, true);
  const ConvolvedImages images(write_run(scratch / "run", truth, coarse));
  surveys::ConvolvedRows rows(images, kFirst);
  surveys::ConvolvedRows nothing(images, kSecond);
  Image<float> values(kWidth, 1);
  Image<std::uint16_t> mask(kWidth, 1);
  int wrong = 0;
  for (int y = 2; y < kHeight; y += y % 100 == 50 ? 40 : 1) {
    rows.row(y, values.view().row(0), mask.view().row(0));
    wrong += same_part(values, truth.pixels, {0, kWidth, y, y + 1}) ? 0 : 1;
    wrong += same_part(mask, truth.mask, {0, kWidth, y, y + 1}) ? 0 : 1;
    nothing.row(y, values.view().row(0), mask.view().row(0));
    wrong += std::all_of(values.pixels().begin(), values.pixels().end(),
                         [](float value) { return std::isnan(value); })
                 ? 0
                 : 1;
  }
  CHECK(wrong == 0);
  CHECK_THROWS_AS(surveys::ConvolvedRows(images, {2404, 5, 5}), ConfigError);
  if (!coarse) {
    CHECK_THROWS_AS(surveys::ConvolvedRows(images, kFirst, {0.5, 0.0}), FatalError);
    return;
  }
  // Between pixels: values of the grid there, masks and missing pixels of the nearest.
  surveys::ConvolvedRows between(images, kFirst, {0.25, 0.75});
  const numerics::MultirateGaussian gaussian(plan());
  const int x0 = kFirst.x * (kWidth - kOverlap);
  const int y0 = kFirst.y * (kHeight - kOverlap);
  const numerics::NodeInterpolation expected(gaussian, truth.nodes.view(),
                                             {truth.columns.first, truth.rows.first}, x0, kWidth,
                                             0.25, 0.75);
  Image<float> line(kWidth, 1);
  for (int y = 0; y < kHeight; ++y) {
    between.row(y, values.view().row(0), mask.view().row(0));
    expected.rows(y0 + y, line.view());
    for (int x = 0; x < kWidth; ++x) {
      const bool is_missing = y + 1 == kHeight || std::isnan(truth.pixels(y + 1, x));
      wrong += is_missing ? !std::isnan(values(0, x)) : values(0, x) != line(0, x);
      wrong += mask(0, x) != (y + 1 == kHeight ? 0x0008 : truth.mask(y + 1, x));
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("a file of another kind is no product of convolved cells") {
  const Scratch scratch;
  io::Hdf5Writer(scratch / "other.h5").close();
  CHECK_THROWS_WITH(ConvolvedImages(scratch / "other.h5"),
                    Contains("other.h5") && Contains("sampling"));
}
