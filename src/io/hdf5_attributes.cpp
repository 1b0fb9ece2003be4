#include "hdf5_writer.hpp"

namespace skyloom::io {
namespace {

// Object headers hold at most 64 KiB of one attribute.
constexpr std::size_t kMaxAttributeBytes = 60000;

}  // namespace

void Hdf5Writer::Impl::text_attribute(hid_t object, const char* name, std::string_view text) const {
  const h5::Datatype type = h5::text_type(text.size());
  const h5::Space scalar(H5Screate(H5S_SCALAR), "scalar");
  const h5::Attribute attribute(
      H5Acreate2(object, name, type.get(), scalar.get(), H5P_DEFAULT, H5P_DEFAULT),
      in(std::string("create attribute ") + name));
  std::string bytes(text);
  bytes.resize(std::max<std::size_t>(1, bytes.size()), '\0');
  h5::check(H5Awrite(attribute.get(), type.get(), bytes.data()),
            in(std::string("write attribute ") + name));
}

template <class T>
void Hdf5Writer::Impl::number_attribute(std::string_view object, std::string_view name, hid_t type,
                                        T value) const {
  const h5::Object target(H5Oopen(file.get(), std::string(object).c_str(), H5P_DEFAULT),
                          in("open " + std::string(object)));
  const h5::Space scalar(H5Screate(H5S_SCALAR), "scalar");
  const h5::Attribute attribute(H5Acreate2(target.get(), std::string(name).c_str(), type,
                                           scalar.get(), H5P_DEFAULT, H5P_DEFAULT),
                                in("create attribute " + std::string(name)));
  h5::check(H5Awrite(attribute.get(), type, &value), in("write attribute " + std::string(name)));
}

void Hdf5Writer::Impl::list_attribute(std::string_view object, std::string_view name, hid_t type,
                                      std::size_t count, const void* values) const {
  const h5::Object target(H5Oopen(file.get(), std::string(object).c_str(), H5P_DEFAULT),
                          in("open " + std::string(object)));
  const hsize_t length = count;
  const h5::Space space(H5Screate_simple(1, &length, nullptr), "list");
  const h5::Attribute attribute(H5Acreate2(target.get(), std::string(name).c_str(), type,
                                           space.get(), H5P_DEFAULT, H5P_DEFAULT),
                                in("create attribute " + std::string(name)));
  if (count > 0) {
    h5::check(H5Awrite(attribute.get(), type, values), in("write attribute " + std::string(name)));
  }
}

void Hdf5Writer::attribute(std::string_view object, std::string_view name, std::string_view text) {
  const std::lock_guard lock(h5::library_mutex());
  const std::string where(object);
  if (text.size() <= kMaxAttributeBytes) {
    const h5::Object target(H5Oopen(impl_->file.get(), where.c_str(), H5P_DEFAULT),
                            impl_->in("open " + where));
    impl_->text_attribute(target.get(), std::string(name).c_str(), text);
    return;
  }
  const std::string path = (where == "/" ? "" : where + "/") + std::string(name);
  const h5::Datatype type = h5::text_type(text.size());
  const h5::Space scalar(H5Screate(H5S_SCALAR), "scalar");
  const h5::Properties create = creation_of_dataset(false);
  const h5::Dataset dataset(H5Dcreate2(impl_->file.get(), path.c_str(), type.get(), scalar.get(),
                                       H5P_DEFAULT, create.get(), H5P_DEFAULT),
                            impl_->in("create " + path));
  h5::check(H5Dwrite(dataset.get(), type.get(), H5S_ALL, H5S_ALL, impl_->transfer.get(),
                     std::string(text).c_str()),
            impl_->in("write " + path));
}

void Hdf5Writer::attribute(std::string_view object, std::string_view name, std::int64_t number) {
  const std::lock_guard lock(h5::library_mutex());
  impl_->number_attribute(object, name, H5T_NATIVE_INT64, number);
}

void Hdf5Writer::attribute(std::string_view object, std::string_view name, double number) {
  const std::lock_guard lock(h5::library_mutex());
  impl_->number_attribute(object, name, H5T_NATIVE_DOUBLE, number);
}

void Hdf5Writer::attribute(std::string_view object, std::string_view name, std::int32_t number) {
  const std::lock_guard lock(h5::library_mutex());
  impl_->number_attribute(object, name, H5T_NATIVE_INT32, number);
}

void Hdf5Writer::attribute(std::string_view object, std::string_view name, std::uint64_t number) {
  const std::lock_guard lock(h5::library_mutex());
  impl_->number_attribute(object, name, H5T_NATIVE_UINT64, number);
}

void Hdf5Writer::attribute(std::string_view object, std::string_view name,
                           std::span<const double> numbers) {
  const std::lock_guard lock(h5::library_mutex());
  impl_->list_attribute(object, name, H5T_NATIVE_DOUBLE, numbers.size(), numbers.data());
}

void Hdf5Writer::attribute(std::string_view object, std::string_view name,
                           std::span<const std::string> texts) {
  const std::lock_guard lock(h5::library_mutex());
  const std::vector<std::string> all(texts.begin(), texts.end());
  const std::size_t width = text_width(all);
  const h5::Datatype type = h5::text_type(width);
  impl_->list_attribute(object, name, type.get(), all.size(), packed(all, width).data());
}

}  // namespace skyloom::io
