#include "skyloom/engine/products.hpp"

#include <array>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "skyloom/core/errors.hpp"
#include "skyloom/io/hdf5.hpp"

namespace skyloom::engine {

struct Products::Cache {
  // The viewer's server asks from several threads.
  std::recursive_mutex mutex;
  std::map<std::string, std::unique_ptr<io::Hdf5File>, std::less<>> files;
  std::map<std::pair<std::string, std::string>, std::unique_ptr<Table>> tables;
  std::map<std::pair<std::string, std::string>, std::string> remembered;

  io::Hdf5File& file(std::string_view stage, const std::filesystem::path& path) {
    const auto found = files.find(stage);
    if (found != files.end()) {
      return *found->second;
    }
    return *files.emplace(std::string(stage), std::make_unique<io::Hdf5File>(path)).first->second;
  }
};

Products::Products(std::filesystem::path run_directory)
    : directory_(std::move(run_directory)), cache_(std::make_unique<Cache>()) {}

Products::~Products() = default;

std::filesystem::path Products::path(std::string_view stage) const {
  return directory_ / (std::string(stage) + ".h5");
}

bool Products::has(std::string_view stage) const {
  return std::filesystem::exists(path(stage));
}

const Table& Products::table(std::string_view stage, std::string_view table) const {
  const std::lock_guard lock(cache_->mutex);
  const std::pair<std::string, std::string> key{stage, table};
  const auto found = cache_->tables.find(key);
  if (found != cache_->tables.end()) {
    return *found->second;
  }
  Table read = cache_->file(stage, path(stage)).read_table(table);
  return *cache_->tables.emplace(key, std::make_unique<Table>(std::move(read))).first->second;
}

Image<float> Products::image(std::string_view stage, std::string_view name, const Box& box) const {
  const std::lock_guard lock(cache_->mutex);
  return cache_->file(stage, path(stage)).read_image(name, box);
}

Image<float> Products::image(std::string_view stage, std::string_view name) const {
  return image(stage, name, image_box(stage, name));
}

Box Products::image_box(std::string_view stage, std::string_view name) const {
  const std::lock_guard lock(cache_->mutex);
  const std::vector<std::size_t> shape = cache_->file(stage, path(stage)).shape(name);
  if (shape.size() != 2) {
    throw FatalError(path(stage).string() + ": dataset " + std::string(name) +
                     " is no two-dimensional array");
  }
  return {0, static_cast<int>(shape[1]), 0, static_cast<int>(shape[0])};
}

bool Products::has_image(std::string_view stage, std::string_view name) const {
  const std::lock_guard lock(cache_->mutex);
  return has(stage) && cache_->file(stage, path(stage)).has(name);
}

bool Products::has_table(std::string_view stage, std::string_view table) const {
  const std::lock_guard lock(cache_->mutex);
  return has(stage) && cache_->file(stage, path(stage)).has_table(table);
}

std::vector<std::string> Products::columns(std::string_view stage, std::string_view table) const {
  std::vector<std::string> names;
  const Table none = rows(stage, table, 0, 0);
  for (const Column& column : none.columns()) {
    names.push_back(column.name);
  }
  return names;
}

Table Products::rows(std::string_view stage, std::string_view table, std::size_t first,
                     std::size_t last) const {
  const std::lock_guard lock(cache_->mutex);
  return cache_->file(stage, path(stage)).read_table(table, first, last);
}

Table Products::rows(std::string_view stage, std::string_view table, std::size_t first,
                     std::size_t last, std::span<const std::string> columns) const {
  const std::lock_guard lock(cache_->mutex);
  return cache_->file(stage, path(stage)).read_table(table, first, last, columns);
}

std::size_t Products::n_rows(std::string_view stage, std::string_view table) const {
  const std::lock_guard lock(cache_->mutex);
  return cache_->file(stage, path(stage)).rows(table);
}

void Products::read_range(std::string_view stage, std::string_view name, Type type,
                          std::size_t first, std::size_t last, std::span<std::byte> out) const {
  const std::lock_guard lock(cache_->mutex);
  cache_->file(stage, path(stage)).read_rows(name, type, first, last, out);
}

void Products::read_plane(std::string_view stage, std::string_view name, Type type,
                          std::size_t plane, const Box& box, std::span<std::byte> out) const {
  const std::lock_guard lock(cache_->mutex);
  if (box.x0 < 0 || box.y0 < 0) {
    throw FatalError(path(stage).string() + ": dataset " + std::string(name) + " has no such part");
  }
  const std::array<std::size_t, 3> start{plane, static_cast<std::size_t>(box.y0),
                                         static_cast<std::size_t>(box.x0)};
  const std::array<std::size_t, 3> count{1, static_cast<std::size_t>(box.height()),
                                         static_cast<std::size_t>(box.width())};
  cache_->file(stage, path(stage)).read_box(name, type, start, count, out);
}

std::string Products::remembered(std::string_view stage, std::string_view what,
                                 const std::function<std::string()>& make) const {
  const std::lock_guard lock(cache_->mutex);
  const std::pair<std::string, std::string> key{stage, what};
  const auto found = cache_->remembered.find(key);
  return found != cache_->remembered.end() ? found->second
                                           : cache_->remembered.emplace(key, make()).first->second;
}

void Products::forget(std::string_view stage) {
  const std::lock_guard lock(cache_->mutex);
  cache_->files.erase(std::string(stage));
  const auto is_of_stage = [stage](const auto& entry) { return entry.first.first == stage; };
  std::erase_if(cache_->tables, is_of_stage);
  std::erase_if(cache_->remembered, is_of_stage);
}

}  // namespace skyloom::engine
