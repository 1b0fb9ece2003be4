#pragma once
// Which networks work together: a list of weight files, a folder of them, or a folder that
// describes itself in ensemble.toml.

#include <limits>
#include <string>
#include <vector>

#include "skyloom/surveys/keras_network.hpp"

namespace skyloom::surveys {

struct NetworkEnsemble {
  std::vector<std::string> files;
  /// Of every file, when a description promises them; otherwise empty.
  std::vector<std::string> sha256;
  std::string description;  ///< path of ensemble.toml, "" = none
  std::string recipe;       ///< how it was trained, "" = not told
  /// The only probability with a meaning, NaN = any has one (see docs/pipelines/flares.md).
  double threshold = std::numeric_limits<double>::quiet_NaN();
};

/// The files of an ensemble, none of them opened; without paths the one that ships with the
/// program. One folder with ensemble.toml holds what that
/// lists ([[networks]] with `file` and `sha256`, beside `recipe` and `threshold`); another folder
/// its .h5 files in order of their names. @throws ConfigError for an empty folder, a
/// description that lacks something, and missing files
NetworkEnsemble find_ensemble(const std::vector<std::string>& paths);

/// Reads all of them. @throws ConfigError as read_keras_network(), and for a file whose SHA-256 is
/// not the promised one
std::vector<NetworkFile> read_ensemble(const NetworkEnsemble& ensemble);

}  // namespace skyloom::surveys
