#include "skyloom/surveys/keras_network.hpp"

#include <algorithm>
#include <limits>

#include "skyloom/core/errors.hpp"

#include "keras_file.hpp"
#include "unit/io/scratch.hpp"

using namespace skyloom;
using Catch::Contains;

namespace {

/// Message of the error that reading such a file ends with.
std::string refusal(const test::KerasFile& content) {
  const Scratch scratch;
  content.write(scratch / "n.h5");
  return error_of<ConfigError>(
      [&] { (void)surveys::read_keras_network((scratch / "n.h5").string()); });
}

}  // namespace

TEST_CASE("Weight files of Keras 2 and Keras 3 are read whatever their layers are called") {
  for (const bool keras3 : {false, true}) {
    for (const int taps : {1, 3, 7, 15}) {
      const Scratch scratch;
      test::KerasFile content;
      content.keras3 = keras3;
      content.taps = taps;
      content.write(scratch / "n.h5");
      const surveys::NetworkFile file = surveys::read_keras_network((scratch / "n.h5").string());
      CHECK(file.sha256.size() == 64);
      CHECK(file.weights.taps == taps);
      REQUIRE(file.weights.first.size() == static_cast<std::size_t>(taps * 16));
      CHECK(file.weights.first.back() == 0.25F + static_cast<float>(taps * 16 - 1));
      CHECK(file.weights.first_bias.size() == 16);
      CHECK(file.weights.second.size() == 3 * 16 * 64);
      CHECK(file.weights.second_bias.size() == 64);
      CHECK(file.weights.dense.size() == 3200 * 32);
      CHECK(file.weights.dense[100 * 32 + 3] == 0.25F + 3203.0F);
      CHECK(file.weights.dense_bias.size() == 32);
      CHECK(file.weights.output.size() == 32);
      CHECK(file.weights.output_bias == 0.25F);
    }
  }
}

TEST_CASE("Files that are no such network are refused in one line") {
  test::KerasFile content;
  content.taps = 4;
  CHECK_THAT(refusal(content), Contains("conv1d_4/kernel:0 has the shape (4, 1, 16)"));
  content = {};
  content.taps = 17;
  CHECK_THAT(refusal(content), Contains("K odd, 1 to 15"));
  content = {};
  content.second_channels = 32;
  CHECK_THAT(refusal(content), Contains("has the shape (3, 16, 32): (3, 16, 64)"));
  content = {};
  content.first_activation = "tanh";
  CHECK_THAT(refusal(content), Contains("layer 1 has the activation tanh: Conv1D"));
  content = {};
  content.padding = "valid";
  CHECK_THAT(refusal(content), Contains("layer 1 is not padded with zeros"));
  content = {};
  content.with_config = false;
  CHECK_THAT(refusal(content), Contains("has no attribute model_config"));
  content = {};
  content.with_last_layer = false;
  CHECK_THAT(refusal(content), Contains("has 3 layers with weights: four"));
  content = {};
  content.with_bias_of_dense = false;
  CHECK_THAT(refusal(content), Contains("has no dataset model_weights/dense_8/dense_8/bias:0"));
  content = {};
  content.first_weight = std::numeric_limits<float>::quiet_NaN();
  CHECK_THAT(refusal(content), Contains("values that are not finite"));
}

TEST_CASE("Missing and damaged weight files are named") {
  const Scratch scratch;
  const auto message = [](const std::string& path) {
    return error_of<ConfigError>([&] { (void)surveys::read_keras_network(path); });
  };
  CHECK_THAT(message((scratch / "none.h5").string()), Contains("none.h5: no such file"));
  CHECK_THAT(message(scratch.file("text.h5", "no network").string()), Contains("text.h5"));
  test::KerasFile().write(scratch / "cut.h5");
  std::filesystem::resize_file(scratch / "cut.h5", 100000);
  CHECK_THAT(message((scratch / "cut.h5").string()), Contains("cut.h5"));
}

TEST_CASE("An ensemble is a list of files, or all files of a folder by name") {
  const Scratch scratch;
  const std::string b = scratch.file("b.h5", "").string();
  const std::string a = scratch.file("a.h5", "").string();
  (void)scratch.file("notes.txt", "");
  const std::string folder = (scratch / "").string();
  const std::vector<std::string> found = surveys::network_files({folder});
  REQUIRE(found.size() == 2);
  CHECK_THAT(found[0], Catch::EndsWith("a.h5"));
  CHECK_THAT(found[1], Catch::EndsWith("b.h5"));
  CHECK(surveys::network_files({b, a}) == std::vector<std::string>{b, a});
  CHECK_THAT(error_of<ConfigError>([] { (void)surveys::network_files({}); }),
             Contains("network.models"));
  std::filesystem::create_directory(scratch / "empty");
  CHECK_THAT(
      error_of<ConfigError>([&] { (void)surveys::network_files({(scratch / "empty").string()}); }),
      Contains("holds no network"));
}
