// Stores written by the Zarr package of Python, where that is installed.

#include <cmath>
#include <cstdlib>
#include <iostream>

#include "skyloom/io/zarr.hpp"

#include "unit/io/scratch.hpp"

using namespace skyloom;

namespace {

/// Arrays of element (y, x) = 1000 y + x + 0.25 (integers without the quarter); of the last chunk
/// of "gap" nothing is written.
constexpr const char* kWriter = R"(
import sys
import numpy as np
import zarr
from numcodecs import Blosc, GZip, Zlib, Zstd

y, x = np.mgrid[0:70, 0:90]
values = 1000 * y + x
formats = [2, 3] if int(zarr.__version__.split('.')[0]) >= 3 else [2]
for form in formats:
    more = {'zarr_format': form} if len(formats) > 1 else {}
    root = zarr.open_group(f'{sys.argv[1]}/v{form}', mode='w', **more)

    def write(name, data, compressor, fill, **layout):
        key = {} if form == 3 else {'compressor': compressor}
        options = dict(shape=data.shape, chunks=(32, 40), dtype=data.dtype, fill_value=fill, **key)
        array = getattr(root, 'create_array', root.create_dataset)(name, **options, **layout)
        array.attrs['header'] = 'EXPTIME = ' + name
        return array

    for name, compressor in [('plain', None), ('zstd', Zstd(3)), ('zlib', Zlib(1)), ('gzip', GZip(1)),
                             ('lz4', Blosc('lz4')), ('bits', Blosc('zstd', 3, Blosc.BITSHUFFLE))]:
        write(name, values.astype('<f4'), compressor, np.nan)[:] = values + 0.25
    write('big', values.astype('>f8'), Zstd(3), np.nan)[:] = values + 0.25
    write('mask', values.astype('<u2'), Zstd(3), 0)[:] = values % 65536
    gap = write('gap', values.astype('<f4'), Zstd(3), np.nan)
    gap[:64] = values[:64] + 0.25
)";

}  // namespace

TEST_CASE("Zarr: stores of the Python package", "[zarr]") {
  if (std::system("/usr/bin/env python3 -c 'import zarr' >/dev/null 2>&1 || "
                  "/usr/bin/python3 -c 'import zarr' >/dev/null 2>&1") != 0) {
    std::cout << "skipped: no Python package zarr\n";
    return;
  }
  const Scratch scratch;
  const std::string script = scratch.file("write.py", kWriter).string();
  const std::string folder = (scratch / "store").string();
  const std::string log = (scratch / "log").string();
  const std::string arguments = " '" + script + "' '" + folder + "' >'" + log + "' 2>&1";
  REQUIRE(std::system(
              ("/usr/bin/env python3" + arguments + " || /usr/bin/python3" + arguments).c_str()) ==
          0);
  int arrays = 0;
  for (const char* format : {"v2", "v3"}) {
    const std::filesystem::path root = std::filesystem::path(folder) / format;
    for (const char* name :
         {"plain", "zstd", "zlib", "gzip", "lz4", "bits", "big", "mask", "gap"}) {
      if (!io::is_zarr_array(root / name)) {
        continue;
      }
      CAPTURE(format, name);
      ++arrays;
      const io::ZarrArray array(root / name);
      const std::string text = name;
      CHECK(array.attribute("header") == "EXPTIME = " + text);
      const Image<double> pixels = array.read<double>({0, 90, 0, 70});
      std::size_t wrong = 0;
      for (int y = 0; y < 70; ++y) {
        for (int x = 0; x < 90; ++x) {
          const int value = 1000 * y + x;
          const bool is_gap = text == "gap" && y >= 64;
          const double expected = text == "mask" ? value % 65536 : static_cast<float>(value) + 0.25;
          wrong += is_gap ? !std::isnan(pixels(y, x)) : pixels(y, x) != expected;
        }
      }
      CHECK(wrong == 0);
    }
  }
  CHECK(arrays % 9 == 0);
  CHECK(arrays > 0);
}
