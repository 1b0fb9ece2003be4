#include "fits_support.hpp"

#include <array>

#include "skyloom/core/errors.hpp"
#include "skyloom/core/table.hpp"
#include "skyloom/io/posix_file.hpp"

namespace skyloom::io {

void FitsCloser::operator()(fitsfile* file) const {
  int status = 0;
  fits_close_file(file, &status);
  fits_clear_errmsg();
}

std::string fits_message(int status) {
  std::array<char, FLEN_ERRMSG> message{};
  std::string text;
  if (fits_read_errmsg(message.data()) != 0) {
    text = trimmed(message.data());
  }
  fits_clear_errmsg();
  std::array<char, FLEN_STATUS> summary{};
  fits_get_errstatus(status, summary.data());
  return text.empty() ? std::string(summary.data())
                      : std::string(summary.data()) + " (" + text + ")";
}

void check_read(int status, const std::string& file, const std::string& what) {
  // What the system refused, not what the file holds; a file that is too short is END_OF_FILE.
  if (status == FILE_NOT_OPENED || status == READ_ERROR || status == SEEK_ERROR) {
    throw ReadFailure(file, what, fits_message(status));
  }
  if (status != 0) {
    throw ConfigError(file, what, fits_message(status));
  }
}

FitsHandle open_fits(const std::filesystem::path& path) {
  const std::string name = path.string();
  if (!std::filesystem::exists(path)) {
    throw ConfigError(name, "does not exist", "a FITS file");
  }
  if (std::filesystem::is_directory(path)) {
    throw ConfigError(name, "is a folder", "a FITS file");
  }
  fits_clear_errmsg();
  fitsfile* file = nullptr;
  int status = 0;
  fits_open_diskfile(&file, name.c_str(), READONLY, &status);
  FitsHandle handle(file);
  check_read(status, name, "is not a readable FITS file");
  return handle;
}

void create_fits(const std::filesystem::path& path, const std::function<int(fitsfile*)>& write) {
  const std::filesystem::path temporary = temporary_name(path);
  std::error_code ignored;
  std::filesystem::remove(temporary, ignored);
  fits_clear_errmsg();
  fitsfile* file = nullptr;
  int status = 0;
  fits_create_diskfile(&file, temporary.c_str(), &status);
  if (status == 0) {
    status = write(file);
    // Closing can fail too (a full disk); an earlier failure keeps its status.
    int closed = 0;
    fits_close_file(file, &closed);
    status = status != 0 ? status : closed;
  }
  if (status != 0) {
    const std::string message = fits_message(status);
    std::filesystem::remove(temporary, ignored);
    throw FatalError(path.string() + ": cannot be written: " + message);
  }
  try {
    rename_durably(temporary, path);
  } catch (...) {
    std::filesystem::remove(temporary, ignored);
    throw;
  }
}

int move_to(fitsfile* file, int hdu, const std::string& name) {
  int type = 0;
  int status = 0;
  fits_movabs_hdu(file, hdu + 1, &type, &status);
  if (status == END_OF_FILE || status == BAD_HDU_NUM) {
    fits_clear_errmsg();
    throw ConfigError(name, "has no HDU " + std::to_string(hdu), "an existing 0-based HDU");
  }
  check_read(status, name, "HDU " + std::to_string(hdu) + " cannot be read");
  return type;
}

int first_hdu(fitsfile* file, const std::string& name, const HduKind& kind) {
  int status = 0;
  for (int hdu = 0;; ++hdu) {
    int type = 0;
    fits_movabs_hdu(file, hdu + 1, &type, &status);
    if (status != 0) {
      fits_clear_errmsg();
      throw ConfigError(name, "has no " + kind.what, kind.expected);
    }
    if (kind.is(type)) {
      return hdu;
    }
  }
}

int first_table(fitsfile* file, const std::string& name) {
  return first_hdu(file, name, {"table", "a FITS file with a table HDU", [](int type) {
                                  return type != IMAGE_HDU;
                                }});
}

}  // namespace skyloom::io
