#include <algorithm>
#include <string>

#include "skyloom/core/errors.hpp"
#include "skyloom/core/table.hpp"
#include "skyloom/io/fits.hpp"

#include "fits_support.hpp"

namespace skyloom::io {
namespace {

/// Names of the columns of the current table.
std::vector<std::string> column_names(fitsfile* file, int& status) {
  int count = 0;
  fits_get_num_cols(file, &count, &status);
  std::vector<std::string> names;
  for (int i = 1; i <= count && status == 0; ++i) {
    const std::string keyword = "TTYPE" + std::to_string(i);
    std::string name(FLEN_VALUE, '\0');
    fits_read_key(file, TSTRING, keyword.c_str(), name.data(), nullptr, &status);
    names.push_back(trimmed(name.c_str()));
  }
  return names;
}

int keep_columns(fitsfile* in, fitsfile* out, int table, const std::vector<std::string>& columns) {
  int status = 0;
  fits_movabs_hdu(in, 1, nullptr, &status);
  fits_copy_hdu(in, out, 0, &status);
  fits_movabs_hdu(in, table + 1, nullptr, &status);
  fits_copy_hdu(in, out, 0, &status);
  const std::vector<std::string> names = column_names(out, status);
  for (std::size_t i = names.size(); i-- > 0 && status == 0;) {
    const auto same = [&](const std::string& wanted) { return upper(wanted) == upper(names[i]); };
    if (std::none_of(columns.begin(), columns.end(), same)) {
      fits_delete_col(out, static_cast<int>(i) + 1, &status);
    }
  }
  // New checksums would carry the time of writing.
  for (const int hdu : {1, 2}) {
    for (const char* keyword : {"CHECKSUM", "DATASUM"}) {
      fits_movabs_hdu(out, hdu, nullptr, &status);
      int absent = 0;
      fits_delete_key(out, keyword, &absent);
    }
  }
  fits_clear_errmsg();
  return status;
}

}  // namespace

void check_fits_sums(const std::filesystem::path& path) {
  const FitsHandle file = open_fits(path);
  int status = 0;
  int count = 0;
  LONGLONG end = 0;
  fits_get_num_hdus(file.get(), &count, &status);
  for (int hdu = 1; hdu <= count; ++hdu) {
    int data = 0;
    int whole = 0;
    fits_movabs_hdu(file.get(), hdu, nullptr, &status);
    fits_verify_chksum(file.get(), &data, &whole, &status);
    fits_get_hduaddrll(file.get(), nullptr, nullptr, &end, &status);
    check_read(status, path.string(), "cannot be read to its end");
    if (data < 0 || whole < 0) {
      throw ConfigError(path.string(),
                        "does not have the checksum of its HDU " + std::to_string(hdu - 1),
                        "an undamaged file");
    }
  }
  // A header that is cut off is no HDU for CFITSIO.
  if (std::filesystem::file_size(path) != static_cast<std::uintmax_t>(end)) {
    throw ConfigError(path.string(), "does not end with its last HDU", "an undamaged file");
  }
}

void copy_fits_columns(const std::filesystem::path& from, const std::filesystem::path& to,
                       const std::string& extname, const std::vector<std::string>& columns) {
  const int table = fits_hdu_named(from, extname);
  const FitsHandle in = open_fits(from);
  create_fits(to, [&](fitsfile* out) { return keep_columns(in.get(), out, table, columns); });
}

}  // namespace skyloom::io
