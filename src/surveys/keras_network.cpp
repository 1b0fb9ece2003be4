#include "skyloom/surveys/keras_network.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "skyloom/core/errors.hpp"
#include "skyloom/io/files.hpp"
#include "skyloom/io/hdf5.hpp"

namespace skyloom::surveys {
namespace {

using Net = numerics::WindowNetwork;
using Shape = std::vector<std::size_t>;

std::string text_of(const Shape& shape) {
  std::string out = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    out += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  }
  return out + ")";
}

/// The member `key` of a JSON object; nullptr when there is none.
const ConfigValue* member(const ConfigValue* node, const std::string& key) {
  const auto* table = node == nullptr ? nullptr : std::get_if<ConfigValue::TableMap>(&node->value);
  if (table == nullptr) {
    return nullptr;
  }
  const auto at = table->find(key);
  return at == table->end() ? nullptr : &at->second;
}

std::string text_member(const ConfigValue* node, const std::string& key) {
  const ConfigValue* found = member(node, key);
  const auto* text = found == nullptr ? nullptr : std::get_if<std::string>(&found->value);
  return text == nullptr ? std::string() : *text;
}

/// True when member `key` is `wanted`, or a list of nothing else.
bool is_number(const ConfigValue* node, const std::string& key, std::int64_t wanted) {
  const ConfigValue* found = member(node, key);
  if (found != nullptr) {
    if (const auto* list = std::get_if<ConfigValue::Array>(&found->value)) {
      found = list->size() == 1 ? &list->front() : nullptr;
    }
  }
  const auto* number = found == nullptr ? nullptr : std::get_if<std::int64_t>(&found->value);
  return number != nullptr && *number == wanted;
}

/// A layer must be what this network has at its place.
void check_layer(const std::string& path, const ConfigValue& layer, std::size_t place,
                 const std::string& kind) {
  const ConfigValue* config = member(&layer, "config");
  const std::string found = text_member(&layer, "class_name");
  std::string wrong;
  if (found != kind) {
    wrong = "is " + (found.empty() ? "of no class" : found);
  } else if (kind == "Conv1D" &&
             (text_member(config, "padding") != "same" || !is_number(config, "strides", 1) ||
              !is_number(config, "dilation_rate", 1))) {
    wrong = "is not padded with zeros to the same length, or has strides or dilations";
  } else if (kind == "MaxPooling1D" &&
             (text_member(config, "padding") != "valid" || !is_number(config, "strides", 2) ||
              !is_number(config, "pool_size", 2))) {
    wrong = "does not take the larger of two neighbours";
  }
  const std::string order = text_member(config, "data_format");
  if (wrong.empty() && !order.empty() && order != "channels_last") {
    wrong = "has the data format " + order;
  }
  const std::string activation = place == 6 ? "sigmoid" : "relu";
  const std::string stated = text_member(config, "activation");
  if (wrong.empty() && (kind == "Conv1D" || kind == "Dense") && stated != activation) {
    wrong = "has the activation " + (stated.empty() ? "none" : stated);
  }
  if (!wrong.empty()) {
    throw ConfigError(path, "layer " + std::to_string(place + 1) + " " + wrong,
                      kind + (kind == "Conv1D"         ? ", padding same, strides 1, relu"
                              : kind == "MaxPooling1D" ? ", size and strides 2, padding valid"
                              : kind == "Dense"        ? ", " + activation
                                                       : std::string()));
  }
}

/// Checks the list of layers, without dropout and input layers, against the network of
/// WindowNetwork.
void check_architecture(const std::string& path, const std::string& text) {
  const ConfigValue model = io::parse_json(text, path + ": attribute model_config");
  const ConfigValue* config = member(&model, "config");
  const ConfigValue* layers = member(config, "layers");
  const auto* list = std::get_if<ConfigValue::Array>(layers != nullptr   ? &layers->value
                                                     : config != nullptr ? &config->value
                                                                         : &model.value);
  if (list == nullptr) {
    throw ConfigError(path, "attribute model_config lists no layers", "a sequential Keras model");
  }
  const std::vector<std::string> kinds = {"Conv1D",  "MaxPooling1D", "Conv1D", "MaxPooling1D",
                                          "Flatten", "Dense",        "Dense"};
  std::size_t place = 0;
  for (const ConfigValue& layer : *list) {
    const std::string kind = text_member(&layer, "class_name");
    if (kind == "Dropout" || kind == "InputLayer") {
      continue;
    }
    if (place < kinds.size()) {
      check_layer(path, layer, place, kinds[place]);
    }
    ++place;
  }
  if (place != kinds.size()) {
    throw ConfigError(path, "has " + std::to_string(place) + " layers besides dropout",
                      std::to_string(kinds.size()) +
                          " (two convolutions, each with a max-pool, "
                          "flatten, two dense layers)");
  }
}

/// Paths of the layers' weights, two each: kernel and bias.
std::vector<std::string> weight_paths(const std::string& path, const io::Hdf5File& file) {
  const std::string root = "model_weights";
  const auto layers = file.has(root) ? file.attribute_list(root, "layer_names") : std::nullopt;
  if (!layers) {
    throw ConfigError(path, "has no group model_weights with the attribute layer_names",
                      "a model saved by Keras as HDF5");
  }
  std::vector<std::string> out;
  std::size_t with_weights = 0;
  for (const std::string& layer : *layers) {
    const std::string group = root + "/" + layer;
    const auto names = file.has(group) ? file.attribute_list(group, "weight_names") : std::nullopt;
    if (!names || (!names->empty() && names->size() != 2)) {
      throw ConfigError(path, "layer " + layer + " has no list of a kernel and a bias",
                        "attribute weight_names with two names or none");
    }
    with_weights += names->empty() ? 0U : 1U;
    for (const std::string& name : *names) {
      out.push_back(group + "/" + name);
      if (!file.has(out.back())) {
        throw ConfigError(path, "has no dataset " + out.back(), "the weights of layer " + layer);
      }
    }
  }
  if (with_weights != 4) {
    throw ConfigError(path, "has " + std::to_string(with_weights) + " layers with weights",
                      "four: two convolutions, two dense layers");
  }
  return out;
}

std::vector<float> read_weights(const io::Hdf5File& file, const std::string& name,
                                const Shape& shape) {
  const Shape found = file.shape(name);
  if (found != shape) {
    throw ConfigError(file.path(), name + " has the shape " + text_of(found), text_of(shape));
  }
  std::size_t count = 1;
  for (const std::size_t side : shape) {
    count *= side;
  }
  std::vector<float> values(count);
  file.read_rows(name, Type::float32, 0, shape[0], std::as_writable_bytes(std::span(values)));
  if (!std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); })) {
    throw ConfigError(file.path(), name + " holds values that are not finite", "finite weights");
  }
  return values;
}

NetworkFile read_network(const std::string& path) {
  const io::Hdf5File file(path);
  const auto model = file.attribute("/", "model_config");
  if (!model || model->empty()) {
    throw ConfigError(path, "has no attribute model_config", "a model saved by Keras as HDF5");
  }
  check_architecture(path, *model);
  const std::vector<std::string> names = weight_paths(path, file);
  const Shape first = file.shape(names[0]);
  if (first.size() != 3 || first[0] % 2 == 0 || first[0] > Net::kMaxTaps) {
    throw ConfigError(path, names[0] + " has the shape " + text_of(first),
                      "(K, 1, 16) with K odd, 1 to 15");
  }
  NetworkFile out{path, io::sha256(path), {}};
  Net& net = out.weights;
  net.taps = static_cast<int>(first[0]);
  net.first = read_weights(file, names[0], {first[0], 1, Net::kFirst});
  net.first_bias = read_weights(file, names[1], {Net::kFirst});
  net.second = read_weights(file, names[2], {Net::kTaps, Net::kFirst, Net::kSecond});
  net.second_bias = read_weights(file, names[3], {Net::kSecond});
  net.dense = read_weights(file, names[4], {Net::kPositions * Net::kSecond, Net::kHidden});
  net.dense_bias = read_weights(file, names[5], {Net::kHidden});
  net.output = read_weights(file, names[6], {Net::kHidden, 1});
  net.output_bias = read_weights(file, names[7], {1}).front();
  return out;
}

}  // namespace

NetworkFile read_keras_network(const std::string& path) {
  try {
    return read_network(path);
  } catch (const FatalError& error) {
    throw ConfigError(path, std::string("cannot be read (") + error.what() + ")",
                      "a model saved by Keras as HDF5");
  }
}

std::vector<std::string> network_files(const std::vector<std::string>& paths) {
  namespace fs = std::filesystem;
  std::vector<std::string> out = paths;
  if (paths.size() == 1 && fs::is_directory(paths.front())) {
    out.clear();
    for (const fs::directory_entry& entry : fs::directory_iterator(paths.front())) {
      if (entry.path().extension() == ".h5") {
        out.push_back(entry.path().string());
      }
    }
    std::sort(out.begin(), out.end());
    if (out.empty()) {
      throw ConfigError(paths.front(), "holds no network", "files that end in .h5");
    }
  }
  if (out.empty()) {
    throw ConfigError("network.models", "is an empty list", "one or more files, or one folder");
  }
  return out;
}

}  // namespace skyloom::surveys
