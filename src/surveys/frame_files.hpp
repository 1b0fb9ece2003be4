#pragma once
// Opening the files of a frame with the checks that all readers share. Private to the room surveys.

#include <string>

#include "skyloom/io/fits.hpp"
#include "skyloom/surveys/frame.hpp"

namespace skyloom::surveys {

/// @throws ConfigError when the HDU holds no 2-D image or the file is too short
io::FitsFile open_frame(const std::string& path, int hdu);

/// An image that belongs to a frame of this size: its weights or its mask.
/// @throws ConfigError when it has another size
io::FitsFile open_companion(const std::string& path, int hdu, const std::string& frame, int width,
                            int height);

}  // namespace skyloom::surveys
