#include "skyloom/engine/file_content.hpp"

#include "skyloom/io/hdf5.hpp"

namespace skyloom::engine {

void write_content(io::Hdf5Writer& writer, const FileContent& content, bool with_rows) {
  for (const Table& table : content.tables) {
    writer.write_table(with_rows ? table : Table(table.schema()));
  }
  for (const FileAttribute& attribute : content.attributes) {
    if (attribute.object != "/") {
      writer.make_group(attribute.object);
    }
    std::visit(
        [&](const auto& value) { writer.attribute(attribute.object, attribute.name, value); },
        attribute.value);
  }
}

void write_fits_file(const std::filesystem::path& path, const FitsContent& content) {
  io::write_fits_images(path, content.images);
}

}  // namespace skyloom::engine
