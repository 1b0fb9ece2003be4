#pragma once
// Weights of the small convolutional network that classifies windows of a light curve: two
// convolutions with `same` zero padding and ReLU, each followed by a max-pool of 2, then two dense
// layers, the last one with a sigmoid (Feinstein et al. 2020, AJ 160, 219).

#include <vector>

namespace skyloom::numerics {

/// Everything but the first kernel has a fixed size. Arrays are row-major in the order Keras stores
/// them; the rows of the first dense layer are position-major (64 * position + channel).
struct WindowNetwork {
  static constexpr int kWindow = 200;    ///< samples of a window
  static constexpr int kFirst = 16;      ///< channels of the first convolution
  static constexpr int kSecond = 64;     ///< channels of the second convolution
  static constexpr int kTaps = 3;        ///< taps of the second convolution
  static constexpr int kPositions = 50;  ///< positions that the dense layer sees
  static constexpr int kHidden = 32;     ///< outputs of the first dense layer
  static constexpr int kMaxTaps = 15;    ///< most taps of the first convolution

  int taps = 0;                    ///< taps of the first convolution, odd, 1 to 15
  std::vector<float> first;        ///< (taps, 1, 16)
  std::vector<float> first_bias;   ///< (16)
  std::vector<float> second;       ///< (3, 16, 64)
  std::vector<float> second_bias;  ///< (64)
  std::vector<float> dense;        ///< (3200, 32)
  std::vector<float> dense_bias;   ///< (32)
  std::vector<float> output;       ///< (32, 1)
  float output_bias = 0.0F;
};

}  // namespace skyloom::numerics
