#pragma once
// The slab file of a stage: big arrays of known shape, created once and collectively, then filled
// in place part by part with plain writes at computed positions. HDF5 never opens it for writing
// again. A part counts only with a journal record that holds its checksum. Arrays that are to be
// compressed are so in the finished file, which is then another one, written in one collective
// pass.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "skyloom/core/table.hpp"
#include "skyloom/engine/file_content.hpp"
#include "skyloom/engine/rows.hpp"
#include "skyloom/parallel/comm.hpp"

namespace skyloom::engine {

/// A part without its bytes, as the journal keeps it.
struct SlabClaim {
  std::size_t slab = 0;
  std::vector<std::size_t> start;
  std::vector<std::size_t> count;
  std::uint32_t crc = 0;
};

/// Calls visit(offset, bytes, position) for every contiguous run of a part, in order: byte offset
/// inside the array, length of the run, position inside the part's bytes.
void for_each_run(std::span<const std::size_t> shape, std::size_t element_bytes,
                  std::span<const std::size_t> start, std::span<const std::size_t> count,
                  const std::function<void(std::uint64_t, std::size_t, std::size_t)>& visit);

/// A box of an array that no claim covers.
struct SlabBox {
  std::vector<std::size_t> start;
  std::vector<std::size_t> count;
};
/// Disjoint boxes that together are everything of `shape` outside the given boxes.
std::vector<SlabBox> uncovered(std::span<const std::size_t> shape, std::vector<SlabBox> covered);

/// Where the slab file of a stage is.
struct SlabPlace {
  std::filesystem::path run_directory;
  std::string stage;
  std::string file = {};  ///< relative to the run directory; "" = <stage>.slabs.h5

  [[nodiscard]] std::string name() const { return file.empty() ? stage + ".slabs.h5" : file; }
};

/// What the file carries beside its arrays, and its /provenance: written only with a content.
struct SlabExtras {
  FileContent content;
  std::vector<std::pair<std::string, std::string>> provenance;
};

/// Everything that a slab file of this place leaves, finished or not.
void remove_slab_files(const SlabPlace& place);

class SlabFile {
 public:
  /// Collective: takes <file>.tmp up again when it carries the same key, otherwise creates it. The
  /// finished file of the same key (a retry of failed units, or a crash during assembly) is taken
  /// up too, and unpacked when it is compressed. @param schema must have at least one slab array
  SlabFile(const parallel::Comm& comm, const SlabPlace& place, std::string_view key,
           const Schema& schema, const SlabExtras& extras = {});
  ~SlabFile();
  SlabFile(const SlabFile&) = delete;
  SlabFile& operator=(const SlabFile&) = delete;

  /// Writes a part in place and returns its claim.
  [[nodiscard]] SlabClaim write(const SlabPart& part);
  /// True when the file holds the bytes of the claim.
  [[nodiscard]] bool verify(const SlabClaim& claim) const;
  void sync();
  /// Fills a box with NaN (floating point) or 0.
  void fill_missing(std::size_t slab, const SlabBox& box);
  /// Collective: forces the file to disk and, when an array is to be compressed, makes the
  /// compressed copy. It can still be taken up again.
  void finish();
  /// Collective: gives it, or the compressed copy instead, its final name.
  void publish();
  /// Its path as links of the product name it: relative to the run directory.
  [[nodiscard]] std::string final_name() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace skyloom::engine
