#pragma once
// The files of a skycell: where they are, what their headers say, and their pixels in counts per
// second. Stacks of PS1 hold asinh-scaled 16-bit integers, tile-compressed, in FITS files or, as
// floats, in a Zarr store. 0-based pixels.
//
// With v = BZERO + BSCALE * stored and a = 2.5 / ln 10, counts are BOFFSET + 2 BSOFTEN sinh(v / a)
// (Waters et al. 2020, ApJS 251, 4, section 3.4). Their zero point is 25 + 2.5 log10(EXPTIME) AB,
// so counts per second have 25 in every band.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "skyloom/core/image.hpp"
#include "skyloom/surveys/skycell.hpp"

namespace skyloom::surveys {

/// AB magnitude of one count per second.
inline constexpr double kSkycellZeroPoint = 25.0;

enum class SkycellPlane : std::uint8_t { image, mask, variance };
enum class SkycellFormat : std::uint8_t { fits, zarr };

/// Undoes the asinh scaling. The default is that of a file that is linear already.
struct AsinhScaling {
  bool linear = true;
  double boffset = 0.0;  ///< counts
  double bsoften = 1.0;  ///< counts, above 0

  /// @param v after BZERO and BSCALE
  [[nodiscard]] double counts(double v) const;
};

/// Values to `factor` times counts, in place, in double precision; NaN stays NaN.
/// @return false when a finite value became infinite: these cards do not belong to these pixels
[[nodiscard]] bool undo_asinh(const AsinhScaling& scaling, double factor, std::span<float> values);

/// How the integers of a FITS file become values: v = bzero + bscale * stored.
struct StoredIntegers {
  double bzero = 0.0;
  double bscale = 1.0;
  std::optional<std::int64_t> blank;  ///< the stored integer that means no value
};

struct SkycellHeader {
  std::string file;  ///< or folder of the array
  int width = 0;
  int height = 0;
  double exptime_s = 0.0;  ///< NaN for a mask
  AsinhScaling scaling;
  std::optional<StoredIntegers> integers;  ///< for 16-bit FITS images only
  int rows_per_read = 1;  ///< blocks of so many rows, from a multiple of it on, are read best
};

/// One plane of one band of a cell. Stays open; one object per thread.
class SkycellReader {
 public:
  /// @param path FITS file (its first image HDU), or folder of a Zarr array
  /// @throws ConfigError naming the file when it is truncated or lacks EXPTIME above 0 (not needed
  /// in
  ///   a mask), when only one of BSOFTEN and BOFFSET is there, or BSOFTEN is not above 0
  SkycellReader(const std::filesystem::path& path, SkycellFormat format, SkycellPlane plane);
  ~SkycellReader();
  SkycellReader(SkycellReader&&) noexcept;
  SkycellReader& operator=(SkycellReader&&) noexcept;

  [[nodiscard]] const SkycellHeader& header() const;
  /// A card of its header, nullopt when absent; FITS files fall back on the primary HDU.
  [[nodiscard]] std::optional<std::string> text(const std::string& keyword) const;
  /// All cards, 80 characters each; RADESYS = 'FK5' and LONPOLE = 180 (kSkycellLonpoleDeg)
  /// are added where there are none.
  [[nodiscard]] std::string wcs_cards() const;
  /// Compares a FITS file with the cards CHECKSUM and DATASUM of its HDUs, where it has them: a
  /// look at all of its bytes. Zarr arrays and gzipped files are left alone (these have sums of
  /// their own). @throws ConfigError naming the file when they differ
  void check_sums() const;
  /// Counts per second, of a variance their squares; NaN where blank. The box must lie inside.
  /// @throws ConfigError naming the file
  [[nodiscard]] Image<float> read_flux(const Box& box) const;
  /// Whole rows as they are stored, for header().integers; much the fastest way.
  /// @param out as wide as the cell, inside it from first_row on
  /// @throws ConfigError naming the file   @throws FatalError there are no such integers
  void read_stored(int first_row, ImageView<std::int16_t> out) const;
  /// Mask bits; NaN (cut-outs of the archive's server) is 0, and negative 16-bit integers have bit
  /// 15 set. @throws ConfigError naming the file, also for values that have no 16 bits
  [[nodiscard]] Image<std::uint16_t> read_mask(const Box& box) const;
  /// The same of whole rows: fast where the bits are 16-bit integers of a FITS file.
  void read_mask(int first_row, ImageView<std::uint16_t> out) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Path of a plane below a folder of FITS files, or of a Zarr store; nullopt when there is none.
/// FITS: [rings.v3.]skycell.PPPP.0YX.stk.<band>.unconv[.mask|.wt].fits, also .fits.fz and .fits.gz,
/// in <root>/PPPP/0YX, <root>/rings.v3.skycell/PPPP/0YX, <root>/PPPP or <root>. Zarr:
/// <root>/PPPP/[rings.v3.]skycell.PPPP.0YX/<band>[_mask|_wt], PPPP also without zeros.
std::optional<std::filesystem::path> find_skycell_plane(const std::filesystem::path& root,
                                                        SkycellFormat format, const SkycellId& id,
                                                        const std::string& band,
                                                        SkycellPlane plane);
/// The path that is tried first, for messages about a missing file.
std::filesystem::path expected_skycell_plane(const std::filesystem::path& root,
                                             SkycellFormat format, const SkycellId& id,
                                             const std::string& band, SkycellPlane plane);

/// Names of mask bits with their values, as MSKNUM, MSKNAMnn and MSKVALnn of a mask's header say;
/// where it says nothing, those of PS1. @throws ConfigError naming file and card when a value is
/// none
std::vector<std::pair<std::string, std::uint16_t>> skycell_mask_bits(const SkycellReader& mask);

}  // namespace skyloom::surveys
