#include "skyloom/surveys/psf_file.hpp"

#include <cmath>
#include <optional>

#include "skyloom/core/errors.hpp"
#include "skyloom/core/table.hpp"
#include "skyloom/io/fits.hpp"

namespace skyloom::surveys {
namespace {

/// A PSFEx file: a value is a column of the one row in newer files, a card in older ones.
class PsfexFile {
 public:
  explicit PsfexFile(const std::string& path) : path_(path), table_(io::read_fits_table(path)) {
    if (table_.rows() != 1 || table_.find_ignoring_case("PSF_MASK") == Table::npos) {
      throw ConfigError(path, "is neither a PSF image nor a PSFEx model",
                        "a 2-D image, or a table of one row with the column PSF_MASK");
    }
  }

  [[nodiscard]] std::optional<double> find(const std::string& name) const {
    const std::size_t at = table_.find_ignoring_case(name);
    if (at != Table::npos && table_.columns()[at].shape.empty()) {
      return table_.numbers(table_.columns()[at].name).front();
    }
    return io::fits_number(path_, -1, name);
  }

  [[nodiscard]] double need(const std::string& name) const {
    const auto value = find(name);
    if (!value || !std::isfinite(*value)) {
      throw ConfigError(path_, "has no " + name, "a card or column of a PSFEx model");
    }
    return *value;
  }

  [[nodiscard]] std::vector<Image<float>> planes() const {
    const std::size_t at = table_.find_ignoring_case("PSF_MASK");
    const Column& column = table_.columns()[at];
    const std::size_t axes = column.shape.size();
    if (axes < 2 || axes > 3) {
      throw ConfigError(path_, "PSF_MASK has " + std::to_string(axes) + " axes", "two or three");
    }
    const std::size_t count = axes == 3 ? column.shape[0] : 1;
    const std::size_t rows = column.shape[axes - 2];
    const std::size_t columns = column.shape[axes - 1];
    const std::vector<double> values = table_.numbers(column.name);
    std::vector<Image<float>> out;
    for (std::size_t plane = 0; plane < count; ++plane) {
      Image<float> image(static_cast<int>(columns), static_cast<int>(rows));
      for (std::size_t i = 0; i < rows * columns; ++i) {
        const double value = values[plane * rows * columns + i];
        image.pixels()[i] = std::isfinite(value) ? static_cast<float>(value) : 0.0F;
      }
      out.push_back(std::move(image));
    }
    return out;
  }

 private:
  std::string path_;
  Table table_;
};

sky::PsfexModel psfex_model(const std::string& path) {
  const PsfexFile file(path);
  sky::PsfexModel model;
  model.planes = file.planes();
  const double variables = file.find("POLNAXIS").value_or(2.0);
  if (variables != 0.0) {
    if (variables != 2.0 || file.find("POLNGRP").value_or(1.0) != 1.0) {
      throw ConfigError(path, "is a PSFEx model of other variables than the position",
                        "POLNAXIS 2 in one group");
    }
    model.degree = static_cast<int>(file.need("POLDEG1"));
    model.x_zero = file.need("POLZERO1");
    model.y_zero = file.need("POLZERO2");
    model.x_scale = file.need("POLSCAL1");
    model.y_scale = file.need("POLSCAL2");
  }
  model.step_pix = file.find("PSF_SAMP").value_or(1.0);
  model.fwhm_pix = file.find("PSF_FWHM").value_or(0.0);
  return model;
}

/// The image in the file, if it holds one.
std::optional<io::FitsFile> find_image(const std::string& path) {
  try {
    return io::FitsFile(path);
  } catch (const ConfigError&) {
    return std::nullopt;  // a missing or broken file is named by whoever looks for a table next
  }
}

}  // namespace

std::shared_ptr<const sky::Psf> load_psf(const std::string& path, double x_origin_pix,
                                         double y_origin_pix) {
  const auto image = find_image(path);
  try {
    if (!image) {
      return sky::make_psfex_psf(psfex_model(path), x_origin_pix, y_origin_pix);
    }
    const double samples = image->number("OVERSAMP").value_or(1.0);
    if (!(samples >= 1.0 && samples <= 100.0) || samples != std::floor(samples)) {
      throw ConfigError(path, "OVERSAMP is " + shortest(samples), "a whole number from 1 to 100");
    }
    return sky::make_stamp_psf(image->read(), static_cast<int>(samples), true);
  } catch (const ConfigError& error) {
    const std::string text = error.what();
    throw text.starts_with(path) ? error : ConfigError(path, text);
  }
}

}  // namespace skyloom::surveys
