#pragma once
// Writes weight files of the flare network as Keras 2 and Keras 3 lay them out.

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <hdf5.h>

namespace test {

/// What a weight file holds; tests change single things.
struct KerasFile {
  bool keras3 = false;
  int taps = 7;
  int second_channels = 64;
  float first_weight = 0.25F;
  std::string first_activation = "relu";
  std::string padding = "same";
  bool with_config = true;
  bool with_last_layer = true;
  bool with_bias_of_dense = true;

  void write(const std::filesystem::path& path) const {
    const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    if (with_config) {
      attribute(file, "model_config", {config()}, true);
    }
    const std::vector<std::pair<std::string, std::vector<std::vector<hsize_t>>>> layers = {
        {"conv1d_4", {{hsize_t(taps), 1, 16}, {16}}},
        {"max_pooling1d", {}},
        {"conv1d_5", {{3, 16, hsize_t(second_channels)}, {hsize_t(second_channels)}}},
        {"flatten", {}},
        {"dense_8", {{3200, 32}, {32}}},
        {"dense_9", {{32, 1}, {1}}}};
    const hid_t root = group(file, "model_weights");
    std::vector<std::string> names;
    for (const auto& [name, shapes] : layers) {
      if (name == "dense_9" && !with_last_layer) {
        continue;
      }
      names.push_back(name);
      const hid_t layer = group(root, name);
      std::vector<std::string> weights;
      const std::string prefix = (keras3 ? "sequential/" : "") + name;
      for (std::size_t i = 0; i < shapes.size(); ++i) {
        weights.push_back(prefix + (i == 0 ? "/kernel" : "/bias") + (keras3 ? "" : ":0"));
        if (with_bias_of_dense || name != "dense_8" || i == 0) {
          dataset(layer, weights.back(), shapes[i]);
        }
      }
      attribute(layer, "weight_names", weights, false);
      H5Gclose(layer);
    }
    attribute(root, "layer_names", names, false);
    H5Gclose(root);
    H5Gclose(group(file, "optimizer_weights"));
    H5Fclose(file);
  }

 private:
  static hid_t group(hid_t parent, const std::string& name) {
    return H5Gcreate2(parent, name.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  }

  /// Values first_weight, first_weight + 1, ... so that order and place can be told.
  void dataset(hid_t parent, const std::string& name, const std::vector<hsize_t>& shape) const {
    std::vector<float> values;
    hsize_t count = 1;
    for (const hsize_t side : shape) {
      count *= side;
    }
    for (hsize_t i = 0; i < count; ++i) {
      values.push_back(first_weight + static_cast<float>(i));
    }
    const hid_t links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    const hid_t space = H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr);
    const hid_t set =
        H5Dcreate2(parent, name.c_str(), H5T_IEEE_F32LE, space, links, H5P_DEFAULT, H5P_DEFAULT);
    H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
    H5Dclose(set);
    H5Sclose(space);
    H5Pclose(links);
  }

  /// Texts of variable length for Keras 3, of fixed length for Keras 2; no texts are an empty list
  /// of numbers, as h5py writes it.
  void attribute(hid_t parent, const char* name, const std::vector<std::string>& texts,
                 bool scalar) const {
    const hsize_t count = texts.size();
    const hid_t space = scalar ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &count, nullptr);
    std::size_t width = 1;
    for (const std::string& text : texts) {
      width = std::max(width, text.size());
    }
    const hid_t type = H5Tcopy(texts.empty() ? H5T_NATIVE_DOUBLE : H5T_C_S1);
    if (!texts.empty()) {
      H5Tset_size(type, keras3 ? H5T_VARIABLE : width);
    }
    const hid_t made = H5Acreate2(parent, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    std::string fixed;
    std::vector<const char*> pointers;
    for (const std::string& text : texts) {
      fixed += text + std::string(width - text.size(), '\0');
      pointers.push_back(text.c_str());
    }
    if (!texts.empty()) {
      H5Awrite(made, type,
               keras3 ? static_cast<const void*>(pointers.data())
                      : static_cast<const void*>(fixed.data()));
    }
    H5Aclose(made);
    H5Tclose(type);
    H5Sclose(space);
  }

  [[nodiscard]] std::string config() const {
    const auto layer = [](const std::string& kind, const std::string& rest) {
      return R"({"class_name": ")" + kind + R"(", "config": {)" + rest + "}}";
    };
    const auto convolution = [&](const std::string& activation) {
      return layer("Conv1D", R"("padding": ")" + padding +
                                 R"(", "strides": [1], "dilation_rate": [1], "activation": ")" +
                                 activation + R"(", "data_format": "channels_last")");
    };
    const std::string pool =
        layer("MaxPooling1D", R"("padding": "valid", "strides": [2], "pool_size": [2])");
    const std::string input =
        keras3 ? layer("InputLayer", R"("batch_shape": [null, 200, 1])") + ", " : std::string();
    return R"({"class_name": "Sequential", "config": {"name": "sequential", "layers": [)" + input +
           convolution(first_activation) + ", " + pool + ", " + layer("Dropout", R"("rate": 0.1)") +
           ", " + convolution("relu") + ", " + pool + ", " + layer("Flatten", "") + ", " +
           layer("Dense", R"("activation": "relu")") + ", " +
           layer("Dense", R"("activation": "sigmoid")") + "]}}";
  }
};

}  // namespace test
