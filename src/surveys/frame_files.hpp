#pragma once
// Opening the files of a frame with the checks that all readers share. Private to the room surveys.

#include <string>

#include "skyloom/io/fits.hpp"
#include "skyloom/surveys/frame.hpp"

namespace skyloom::surveys {

/// @throws ConfigError when the HDU holds no 2-D image or the file is too short
io::FitsFile open_frame(const std::string& path, int hdu);

/// The inverse-variance image of a frame of this size. @throws ConfigError when it has another one
io::FitsFile open_weights(const FrameSpec& spec, int width, int height);

}  // namespace skyloom::surveys
