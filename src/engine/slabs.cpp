#include "skyloom/engine/slabs.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

#include "skyloom/core/errors.hpp"
#include "skyloom/engine/journal.hpp"
#include "skyloom/io/files.hpp"
#include "skyloom/io/hdf5.hpp"
#include "skyloom/io/posix_file.hpp"

#include "payload.hpp"

namespace skyloom::engine {
namespace {

namespace fs = std::filesystem;

constexpr const char* kKeyName = "skyloom_key";
// Places of the arrays in files that are written in place; compressed ones have none.
constexpr const char* kOffsetsGroup = "provenance";
constexpr const char* kOffsetsName = "slab_offsets";
constexpr const char* kUnfinished = ".tmp";
constexpr const char* kNew = ".tmp.new";  // until it is whole
constexpr const char* kPacked = ".packed.tmp";
constexpr const char* kCopied = ".tmp.tmp";  // while a finished file is copied
constexpr std::size_t kVerifyBytes = std::size_t{1} << 20;
constexpr std::size_t kCopyBytes = std::size_t{32} << 20;

std::size_t product(std::span<const std::size_t> sides) {
  std::size_t out = 1;
  for (const std::size_t side : sides) {
    out *= side;
  }
  return out;
}

std::string offsets_path() {
  return std::string(kOffsetsGroup) + "/" + kOffsetsName;
}

/// None when the file has none.
std::vector<std::uint64_t> read_offsets(const fs::path& path) {
  const io::Hdf5File file(path);
  if (!file.has(offsets_path())) {
    return {};
  }
  std::vector<std::int64_t> offsets(file.shape(offsets_path())[0]);
  file.read_rows(offsets_path(), Type::int64, 0, offsets.size(),
                 std::as_writable_bytes(std::span(offsets)));
  return {offsets.begin(), offsets.end()};
}

/// Key of a slab file, or "" when it is missing, damaged or has none.
std::string key_of(const fs::path& path) {
  try {
    return io::is_hdf5(path) ? io::Hdf5File(path).attribute("/", kKeyName).value_or("") : "";
  } catch (const std::runtime_error&) {
    return {};
  }
}

/// Rest of `box` along `axis` and the following ones that `covered` leaves open.
void open_boxes(std::size_t axis, SlabBox box, const std::vector<const SlabBox*>& covered,
                std::vector<SlabBox>& out) {
  const std::size_t first = box.start[axis];
  const std::size_t last = first + box.count[axis];
  std::vector<std::size_t> borders{first, last};
  for (const SlabBox* part : covered) {
    borders.push_back(std::clamp(part->start[axis], first, last));
    borders.push_back(std::clamp(part->start[axis] + part->count[axis], first, last));
  }
  std::sort(borders.begin(), borders.end());
  borders.erase(std::unique(borders.begin(), borders.end()), borders.end());
  std::vector<const SlabBox*> by_start = covered;
  std::sort(by_start.begin(), by_start.end(),
            [axis](const SlabBox* a, const SlabBox* b) { return a->start[axis] < b->start[axis]; });
  std::size_t entering = 0;
  std::vector<const SlabBox*> active;
  for (std::size_t i = 0; i + 1 < borders.size(); ++i) {
    while (entering < by_start.size() && by_start[entering]->start[axis] <= borders[i]) {
      active.push_back(by_start[entering++]);
    }
    std::erase_if(active, [&](const SlabBox* part) {
      return part->start[axis] + part->count[axis] <= borders[i];
    });
    box.start[axis] = borders[i];
    box.count[axis] = borders[i + 1] - borders[i];
    if (active.empty()) {
      out.push_back(box);
    } else if (axis + 1 < box.start.size()) {
      open_boxes(axis + 1, box, active, out);
    }
  }
}

}  // namespace

void for_each_run(std::span<const std::size_t> shape, std::size_t element_bytes,
                  std::span<const std::size_t> start, std::span<const std::size_t> count,
                  const std::function<void(std::uint64_t, std::size_t, std::size_t)>& visit) {
  if (shape.empty() || product(count) == 0) {
    return;
  }
  // Axes behind `split` are covered in full, so a run spans them and the part's range of `split`.
  std::size_t split = shape.size() - 1;
  while (split > 0 && count[split] == shape[split]) {
    --split;
  }
  const std::size_t run_bytes = product(count.subspan(split)) * element_bytes;
  std::vector<std::size_t> index(start.begin(), start.end());
  std::size_t position = 0;
  for (;;) {
    std::uint64_t element = 0;
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
      element = element * shape[axis] + index[axis];
    }
    visit(element * element_bytes, run_bytes, position);
    position += run_bytes;
    std::size_t axis = split;
    while (axis > 0 && ++index[axis - 1] == start[axis - 1] + count[axis - 1]) {
      index[axis - 1] = start[axis - 1];
      --axis;
    }
    if (axis == 0) {
      return;
    }
  }
}

std::vector<SlabBox> uncovered(std::span<const std::size_t> shape, std::vector<SlabBox> covered) {
  std::vector<SlabBox> out;
  SlabBox all{std::vector<std::size_t>(shape.size(), 0), {shape.begin(), shape.end()}};
  std::erase_if(covered, [](const SlabBox& box) { return product(box.count) == 0; });
  std::vector<const SlabBox*> parts;
  parts.reserve(covered.size());
  for (const SlabBox& box : covered) {
    parts.push_back(&box);
  }
  if (!shape.empty() && product(shape) > 0) {
    open_boxes(0, all, parts, out);
  }
  return out;
}

struct SlabFile::Impl {
  /// What rank 0 found of an earlier attempt.
  enum class Found { nothing, in_place, packed };

  const parallel::Comm& comm;
  const Schema& schema;
  SlabPlace place;
  std::string key;
  SlabExtras extras;
  fs::path final_path;
  fs::path path;  // the temporary name
  std::vector<std::uint64_t> offsets;
  mutable io::PosixFile file;  // opened by the first rank-local use
  bool dirty = false;

  [[nodiscard]] io::PosixFile& opened() const;
  [[nodiscard]] Found reuse() const;
  void create(bool unpack) const;
  void write_extras(io::Hdf5Writer& writer) const;
  void copy_values(const fs::path& to, const std::vector<std::uint64_t>& places) const;
  void pack() const;
  [[nodiscard]] bool is_to_be_packed() const {
    return std::any_of(schema.slabs.begin(), schema.slabs.end(),
                       [](const SlabArray& slab) { return slab.deflate > 0; });
  }
};

io::PosixFile& SlabFile::Impl::opened() const {
  if (!file.is_open()) {
    file = io::PosixFile(path, io::PosixFile::Mode::read_write);
  }
  return file;
}

/// Rank 0 only: makes the temporary name an existing file of this key, if there is one that can be
/// written in place.
SlabFile::Impl::Found SlabFile::Impl::reuse() const {
  if (key_of(path) == key) {
    return Found::in_place;
  }
  if (key_of(final_path) != key) {
    return Found::nothing;
  }
  if (!io::Hdf5File(final_path).has(offsets_path())) {
    return Found::packed;
  }
  if (fs::exists(place.run_directory / (place.stage + ".h5"))) {
    // A finished product still links to it: work goes on in a copy, which must be on disk before
    // records claim its bytes.
    io::copy_durably(final_path, path);
  } else {
    io::rename_durably(final_path, path);
  }
  return Found::in_place;
}

// Created under a third name: a file that carries the temporary name is whole.
void SlabFile::Impl::create(bool unpack) const {
  const fs::path unfinished = final_path.string() + kNew;
  parallel::on_root(comm, [&] {
    // What an attempt left that a full disk ended would count against this one.
    std::error_code ignored;
    fs::remove(unfinished, ignored);
    fs::remove(final_path.string() + kPacked, ignored);
    std::uint64_t bytes = 0;
    for (const SlabArray& slab : schema.slabs) {
      bytes += product(slab.shape) * size_of(slab.type);
    }
    io::require_space(path, bytes);
  });
  std::vector<std::uint64_t> places;
  {
    io::Hdf5Writer writer(comm, unfinished);
    for (const SlabArray& slab : schema.slabs) {
      writer.create_array(slab);
      places.push_back(product(slab.shape) == 0 ? 0 : writer.array_offset(slab.name));
    }
    // A dataset: attributes have a limit, which thousands of arrays reach.
    writer.write_column(kOffsetsGroup,
                        {kOffsetsName, Type::int64, "byte", "first byte of every array"},
                        comm.rank() == 0 ? std::vector<std::int64_t>(places.begin(), places.end())
                                         : std::vector<std::int64_t>());
    writer.attribute("/", kKeyName, key);
    write_extras(writer);
    writer.close();
  }
  if (unpack) {
    std::string trouble;
    try {
      copy_values(unfinished, places);
    } catch (const std::exception& error) {
      trouble = error.what();
    }
    parallel::agree(comm, trouble.empty(), trouble);
  }
  parallel::on_root(comm, [&] { io::rename_durably(unfinished, path); });
}

void SlabFile::Impl::write_extras(io::Hdf5Writer& writer) const {
  if (extras.content.empty()) {
    return;
  }
  write_content(writer, extras.content, comm.rank() == 0);
  writer.make_group("provenance");
  for (const auto& [name, text] : of_root(comm, extras.provenance)) {
    writer.attribute("provenance", name, text);
  }
}

/// This rank's share of the values of the compressed file.
void SlabFile::Impl::copy_values(const fs::path& to,
                                 const std::vector<std::uint64_t>& places) const {
  const io::Hdf5File packed(final_path);
  io::PosixFile target(to, io::PosixFile::Mode::read_write);
  const auto ranks = static_cast<std::size_t>(comm.size());
  std::vector<std::byte> buffer;
  for (std::size_t i = 0; i < schema.slabs.size(); ++i) {
    const SlabArray& slab = schema.slabs[i];
    if (product(slab.shape) == 0) {
      continue;
    }
    // Lines of one plane at a time: planes may be large.
    std::vector<std::size_t> start(slab.shape.size(), 0);
    std::vector<std::size_t> count(slab.shape.size(), 1);
    const std::size_t split = slab.shape.size() < 2 ? 0 : slab.shape.size() - 2;
    const std::size_t lines = slab.shape[split];
    std::copy(slab.shape.begin() + static_cast<std::ptrdiff_t>(split) + 1, slab.shape.end(),
              count.begin() + static_cast<std::ptrdiff_t>(split) + 1);
    const std::size_t line_bytes = product(count) * size_of(slab.type);
    const std::size_t step = std::max<std::size_t>(1, kCopyBytes / line_bytes);
    const std::size_t per_plane = (lines + step - 1) / step;
    const std::size_t parts = product(slab.shape) / (lines * product(count)) * per_plane;
    for (auto part = static_cast<std::size_t>(comm.rank()); part < parts; part += ranks) {
      std::size_t plane = part / per_plane;
      const std::uint64_t at = (plane * lines + part % per_plane * step) * line_bytes;
      for (std::size_t axis = split; axis-- > 0;) {
        start[axis] = plane % slab.shape[axis];
        plane /= slab.shape[axis];
      }
      start[split] = part % per_plane * step;
      count[split] = std::min(step, lines - start[split]);
      buffer.resize(count[split] * line_bytes);
      packed.read_box(slab.name, slab.type, start, count, buffer);
      target.write({reinterpret_cast<const char*>(buffer.data()), buffer.size()}, places[i] + at);
      count[split] = 1;
    }
  }
  target.sync();
}

// The file in place stays until the compressed one is whole and has its name, so that a run killed
// in between goes on from it.
void SlabFile::Impl::pack() const {
  const fs::path unfinished = final_path.string() + kPacked;
  {
    io::Hdf5Writer writer(comm, unfinished);
    for (std::size_t i = 0; i < schema.slabs.size(); ++i) {
      const SlabArray& slab = schema.slabs[i];
      writer.write_array(slab, [&](std::uint64_t first, std::span<std::byte> bytes) {
        if (opened().read(bytes, offsets[i] + first * size_of(slab.type)) != bytes.size()) {
          throw FatalError(path.string() + ": is shorter than its arrays");
        }
      });
    }
    writer.attribute("/", kKeyName, key);
    write_extras(writer);
    writer.close();
  }
}

void remove_slab_files(const SlabPlace& place) {
  const std::string path = (place.run_directory / place.name()).string();
  std::error_code ignored;
  for (const char* suffix : {"", kUnfinished, kNew, kPacked, kCopied}) {
    fs::remove(path + suffix, ignored);
  }
}

SlabFile::SlabFile(const parallel::Comm& comm, const SlabPlace& place, std::string_view key,
                   const Schema& schema, const SlabExtras& extras)
    : impl_(std::make_unique<Impl>(
          Impl{comm, schema, place, std::string(key), extras, {}, {}, {}, {}, false})) {
  impl_->final_path = place.run_directory / place.name();
  impl_->path = impl_->final_path.string() + kUnfinished;
  auto found = Impl::Found::nothing;
  parallel::on_root(comm, [&] {
    io::create_folders(impl_->final_path.parent_path());
    found = impl_->reuse();
  });
  const bool packed = comm.any(found == Impl::Found::packed);
  if (!comm.any(found == Impl::Found::in_place)) {
    impl_->create(packed);
  }
  std::string bytes;
  parallel::on_root(comm, [&] {
    const std::vector<std::uint64_t> offsets = read_offsets(impl_->path);
    bytes.assign(reinterpret_cast<const char*>(offsets.data()),
                 offsets.size() * sizeof(std::uint64_t));
  });
  comm.broadcast(bytes);
  impl_->offsets.resize(bytes.size() / sizeof(std::uint64_t));
  if (!bytes.empty()) {
    std::memcpy(impl_->offsets.data(), bytes.data(), bytes.size());
  }
  if (impl_->offsets.size() != schema.slabs.size()) {
    throw FatalError(impl_->path.string() + ": the places of its arrays are not known");
  }
}

SlabFile::~SlabFile() = default;

SlabClaim SlabFile::write(const SlabPart& part) {
  const SlabArray& slab = impl_->schema.slabs[part.slab];
  io::PosixFile& file = impl_->opened();
  const char* bytes = reinterpret_cast<const char*>(part.bytes.data());
  for_each_run(slab.shape, size_of(slab.type), part.start, part.count,
               [&](std::uint64_t offset, std::size_t length, std::size_t position) {
                 file.write({bytes + position, length}, impl_->offsets[part.slab] + offset);
               });
  impl_->dirty = true;
  return {part.slab, part.start, part.count, checksum(0, part.bytes)};
}

bool SlabFile::verify(const SlabClaim& claim) const {
  if (claim.slab >= impl_->schema.slabs.size()) {
    return false;
  }
  const SlabArray& slab = impl_->schema.slabs[claim.slab];
  const io::PosixFile& file = impl_->opened();
  std::uint32_t crc = checksum(0, {});
  bool whole = true;
  std::vector<std::byte> buffer;
  for_each_run(slab.shape, size_of(slab.type), claim.start, claim.count,
               [&](std::uint64_t offset, std::size_t length, std::size_t) {
                 for (std::size_t done = 0; done < length && whole; done += buffer.size()) {
                   buffer.resize(std::min(kVerifyBytes, length - done));
                   whole = file.read(buffer, impl_->offsets[claim.slab] + offset + done) ==
                           buffer.size();
                   crc = checksum(crc, buffer);
                 }
               });
  return whole && crc == claim.crc;
}

void SlabFile::sync() {
  if (impl_->dirty) {
    impl_->file.sync();
    impl_->dirty = false;
  }
}

void SlabFile::fill_missing(std::size_t slab, const SlabBox& box) {
  const SlabArray& array = impl_->schema.slabs[slab];
  const std::size_t size = size_of(array.type);
  std::string element(size, '\0');
  if (array.type == Type::float32) {
    const float missing = std::numeric_limits<float>::quiet_NaN();
    std::memcpy(element.data(), &missing, size);
  } else if (array.type == Type::float64) {
    const double missing = std::numeric_limits<double>::quiet_NaN();
    std::memcpy(element.data(), &missing, size);
  }
  constexpr std::size_t kBlockElements = std::size_t{1} << 17;
  std::string block;
  for (std::size_t i = 0; i < kBlockElements; ++i) {
    block += element;
  }
  io::PosixFile& file = impl_->opened();
  for_each_run(array.shape, size, box.start, box.count,
               [&](std::uint64_t offset, std::size_t length, std::size_t) {
                 for (std::size_t done = 0; done < length; done += block.size()) {
                   const std::size_t count = std::min(block.size(), length - done);
                   file.write({block.data(), count}, impl_->offsets[slab] + offset + done);
                 }
               });
  impl_->dirty = true;
}

void SlabFile::finish() {
  std::string trouble;
  try {
    sync();
    impl_->file = io::PosixFile();
  } catch (const std::exception& error) {
    trouble = error.what();
  }
  parallel::agree(impl_->comm, trouble.empty(), trouble);
  if (impl_->is_to_be_packed()) {
    impl_->pack();
    impl_->file = io::PosixFile();
  }
}

void SlabFile::publish() {
  parallel::on_root(impl_->comm, [this] {
    if (impl_->is_to_be_packed()) {
      io::rename_durably(impl_->final_path.string() + kPacked, impl_->final_path);
      fs::remove(impl_->path);
    } else {
      io::rename_durably(impl_->path, impl_->final_path);
    }
  });
}

std::string SlabFile::final_name() const {
  return impl_->place.name();
}

}  // namespace skyloom::engine
