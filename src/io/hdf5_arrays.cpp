#include <algorithm>

#include "hdf5_writer.hpp"

namespace skyloom::io {
namespace {

// Of an array that is written in rounds.
constexpr std::size_t kArrayBytes = std::size_t{8} << 20;

/// Chunks of a compressed array: tiles of the last two axes. Some 10^5 bytes are decompressed in a
/// millisecond, which is what reading a small part costs.
std::vector<hsize_t> chunk_of(const std::vector<hsize_t>& shape, int wanted) {
  constexpr hsize_t kTile = 256;
  const hsize_t tile = wanted > 0 ? static_cast<hsize_t>(wanted) : kTile;
  std::vector<hsize_t> chunk(shape.size(), 1);
  const std::size_t axes = shape.size();
  for (std::size_t i = axes > 2 ? axes - 2 : 0; i < axes; ++i) {
    chunk[i] = std::min(shape[i], axes == 1 ? tile * tile : tile);
  }
  return chunk;
}

/// An array cut into pieces of bounded size that are contiguous and made of whole chunks: lines of
/// one plane of the last two axes, or a part of a one-dimensional array.
struct Pieces {
  struct Piece {
    std::vector<hsize_t> start;
    std::vector<hsize_t> count;
    std::uint64_t first = 0;  ///< element
    std::size_t bytes = 0;
  };

  Pieces(const std::vector<hsize_t>& sides, std::size_t element_bytes, int tile)
      : shape(sides), element(element_bytes) {
    const std::size_t axes = shape.size();
    const std::size_t split = axes >= 2 ? axes - 2 : 0;
    lines = shape[split];
    line_elements = axes >= 2 ? shape[axes - 1] : 1;
    std::uint64_t planes = 1;
    for (std::size_t i = 0; i < split; ++i) {
      planes *= shape[i];
    }
    const std::uint64_t step = chunk_of(shape, tile)[split];
    const std::uint64_t step_bytes = step * line_elements * element;
    lines_each = step_bytes == 0 ? 0 : step * std::max<std::uint64_t>(1, kArrayBytes / step_bytes);
    per_plane = lines_each == 0 ? 0 : (lines + lines_each - 1) / lines_each;
    count = planes * per_plane;
  }

  [[nodiscard]] Piece piece(std::uint64_t index) const {
    const std::size_t axes = shape.size();
    const std::size_t split = axes >= 2 ? axes - 2 : 0;
    Piece out{std::vector<hsize_t>(axes, 0), std::vector<hsize_t>(axes, 1)};
    std::uint64_t plane = index / per_plane;
    const std::uint64_t line = index % per_plane * lines_each;
    out.first = (plane * lines + line) * line_elements;
    for (std::size_t i = split; i-- > 0;) {
      out.start[i] = plane % shape[i];
      plane /= shape[i];
    }
    out.start[split] = line;
    out.count[split] = std::min(lines_each, lines - line);
    if (axes >= 2) {
      out.count[axes - 1] = line_elements;
    }
    out.bytes = out.count[split] * line_elements * element;
    return out;
  }

  std::vector<hsize_t> shape;
  std::size_t element;
  std::uint64_t lines = 0;
  std::uint64_t line_elements = 0;
  std::uint64_t lines_each = 0;
  std::uint64_t per_plane = 0;
  std::uint64_t count = 0;
};

}  // namespace

h5::Dataset Hdf5Writer::Impl::array(const SlabArray& array, bool compressed) const {
  const std::size_t slash = array.name.rfind('/');
  if (slash != std::string::npos) {
    group(array.name.substr(0, slash));
  }
  const std::vector<hsize_t> shape = h5::to_hsize(array.shape);
  const h5::Space space(H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr),
                        in("shape of " + array.name));
  const h5::Datatype type = h5::array_type(array.type);
  const h5::Properties create = creation_of_dataset(!compressed);
  if (compressed) {
    const std::vector<hsize_t> chunk = chunk_of(shape, array.tile);
    h5::check(H5Pset_chunk(create.get(), static_cast<int>(chunk.size()), chunk.data()),
              in("chunks of " + array.name));
    h5::check(H5Pset_shuffle(create.get()), in("filter of " + array.name));
    h5::check(H5Pset_deflate(create.get(), static_cast<unsigned>(array.deflate)),
              in("filter of " + array.name));
  }
  h5::Dataset dataset(H5Dcreate2(file.get(), array.name.c_str(), type.get(), space.get(),
                                 H5P_DEFAULT, create.get(), H5P_DEFAULT),
                      in("create array " + array.name));
  text_attribute(dataset.get(), "unit", array.unit);
  text_attribute(dataset.get(), "description", array.description);
  return dataset;
}

void Hdf5Writer::create_array(const SlabArray& array) {
  const std::lock_guard lock(h5::library_mutex());
  const h5::Dataset dataset = impl_->array(array, false);
  const haddr_t offset = H5Dget_offset(dataset.get());
  if (offset != HADDR_UNDEF) {
    impl_->offsets[array.name] = offset;
  }
}

void Hdf5Writer::write_array(const SlabArray& array,
                             const std::function<void(std::uint64_t, std::span<std::byte>)>& read) {
  const std::lock_guard lock(h5::library_mutex());
  const std::vector<hsize_t> shape = h5::to_hsize(array.shape);
  const Pieces pieces(shape, size_of(array.type), array.tile);
  const h5::Dataset dataset = impl_->array(array, array.deflate > 0 && pieces.count > 0);
  const h5::Datatype type = h5::array_type(array.type);
  const h5::Space space(H5Dget_space(dataset.get()), "dataspace");
  const auto ranks = static_cast<std::uint64_t>(impl_->comm == nullptr ? 1 : impl_->comm->size());
  const auto rank = static_cast<std::uint64_t>(impl_->comm == nullptr ? 0 : impl_->comm->rank());
  std::vector<std::byte> buffer;
  // Every rank takes part in every round.
  for (std::uint64_t round = 0; round < pieces.count; round += ranks) {
    const bool mine = round + rank < pieces.count;
    const Pieces::Piece piece = pieces.piece(mine ? round + rank : 0);
    const h5::Space memory(
        H5Screate_simple(static_cast<int>(shape.size()), piece.count.data(), nullptr),
        "memory space");
    buffer.resize(piece.bytes);
    if (mine) {
      read(piece.first, buffer);
      h5::check(H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, piece.start.data(), nullptr,
                                    piece.count.data(), nullptr),
                "selection");
    } else {
      h5::check(H5Sselect_none(memory.get()), "empty selection");
      h5::check(H5Sselect_none(space.get()), "empty selection");
    }
    h5::check(H5Dwrite(dataset.get(), type.get(), memory.get(), space.get(), impl_->transfer.get(),
                       buffer.data()),
              impl_->in("array " + array.name + " cannot be written"));
  }
}

std::uint64_t Hdf5Writer::array_offset(std::string_view name) const {
  const auto found = impl_->offsets.find(name);
  if (found == impl_->offsets.end()) {
    throw FatalError(impl_->in("array " + std::string(name) + " has no place in the file"));
  }
  return found->second;
}

}  // namespace skyloom::io
