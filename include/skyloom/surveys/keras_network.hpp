#pragma once
// Weight files of the flare network as Keras writes them (HDF5, Keras 2 and Keras 3), and lists of
// them.

#include <string>
#include <vector>

#include "skyloom/numerics/window_network.hpp"

namespace skyloom::surveys {

/// A network, where it came from and which bytes it was.
struct NetworkFile {
  std::string path;
  std::string sha256;  ///< of the whole file, 64 hexadecimal digits
  numerics::WindowNetwork weights;
};

/// Reads one file: layers by their order and rank, whatever their names; optimizer state is left
/// alone. @throws ConfigError (file, what is wrong) for a file that is no Keras model, for other
/// layers, paddings, activations or shapes, and for weights that are not finite
NetworkFile read_keras_network(const std::string& path);

/// The files of an ensemble: `paths` as they are, or, where it is one folder, all its files that
/// end in .h5, sorted by name. @throws ConfigError for an empty list or folder
std::vector<std::string> network_files(const std::vector<std::string>& paths);

}  // namespace skyloom::surveys
