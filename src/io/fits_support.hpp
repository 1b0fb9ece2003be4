#pragma once
// What the FITS sources share: an owner of CFITSIO's handle and its messages. Private to the room
// io.

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <fitsio.h>

#include "skyloom/io/fits.hpp"

namespace skyloom::io {

struct FitsCloser {
  void operator()(fitsfile* file) const;
};
using FitsHandle = std::unique_ptr<fitsfile, FitsCloser>;

/// CFITSIO's first message (or the text of `status`), one line; clears its message stack.
std::string fits_message(int status);

/// @throws ConfigError (file, what and CFITSIO's message) when status is not 0
void check_read(int status, const std::string& file, const std::string& what);

/// Opens the file under exactly this name (no extended syntax), gz and bz2 included.
/// @throws ConfigError when it is missing or not FITS
FitsHandle open_fits(const std::filesystem::path& path);

/// Creates a FITS file under a temporary name, lets `write` fill it, and renames it when it is
/// whole. `write` returns CFITSIO's status. @throws FatalError naming file and cause
void create_fits(const std::filesystem::path& path, const std::function<int(fitsfile*)>& write);

/// Writes cards to the current HDU.
void write_cards(fitsfile* file, const std::vector<FitsCard>& cards, int& status);

/// Moves to a 0-based HDU and tells its type. @throws ConfigError when there is none
int move_to(fitsfile* file, int hdu, const std::string& name);

struct HduKind {
  std::string what;             ///< of a message
  std::string expected;         ///< what the file should have had
  std::function<bool(int)> is;  ///< tells it of the current HDU, by CFITSIO's type
};

/// Moves to the first HDU of this kind. @return its 0-based position
/// @throws ConfigError when there is none
int first_hdu(fitsfile* file, const std::string& name, const HduKind& kind);

/// Position of the first binary or ASCII table that is no compressed image.
/// @throws ConfigError when there is none
int first_table(fitsfile* file, const std::string& name);

}  // namespace skyloom::io
