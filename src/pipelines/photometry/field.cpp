#include "pipelines/photometry/field.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include <fmt/format.h>

#include "skyloom/core/errors.hpp"

namespace skyloom::photometry {
namespace {

void number_bands(Field& field) {
  for (const surveys::FrameInfo& info : field.infos) {
    auto at = std::find(field.bands.begin(), field.bands.end(), info.band);
    if (at == field.bands.end()) {
      field.bands.push_back(info.band);
      at = field.bands.end() - 1;
    }
    field.band_of_frame.push_back(static_cast<int>(at - field.bands.begin()));
  }
}

void apply_crop(const Config& config, Field& field) {
  const surveys::FrameInfo& first = field.infos.front();
  field.margin = config.crop.enabled ? config.crop.margin : 0;
  field.width = first.width - 2 * field.margin;
  field.height = first.height - 2 * field.margin;
  if (field.width <= 0 || field.height <= 0) {
    throw ConfigError("crop.margin",
                      fmt::format("a margin of {} pixels leaves nothing of {} x {}", field.margin,
                                  first.width, first.height),
                      "expected a smaller margin, or crop.enabled = false");
  }
}

/// Whether a frame lies on the grid of the first. @throws ConfigError when it must and does not
bool lies_on_grid(const Config& config, const Field& field, const sky::Wcs& reference,
                  std::size_t frame) {
  const surveys::FrameInfo& info = field.infos[frame];
  const surveys::FrameInfo& first = field.infos.front();
  const bool same_size = info.width == first.width && info.height == first.height;
  if (!same_size && config.checks.require_same_shape) {
    throw ConfigError(info.file,
                      fmt::format("image shape mismatch: {} x {}", info.width, info.height),
                      fmt::format("expected {} x {} as {}, or checks.require_same_shape = false",
                                  first.width, first.height, first.file));
  }
  const surveys::WcsTolerance tolerance{config.checks.crval, config.checks.crpix, config.checks.cd,
                                        config.checks.cdelt};
  try {
    surveys::check_alignment(reference, sky::Wcs(field.wcs_cards[frame], info.file), tolerance,
                             info.file, first.file);
  } catch (const ConfigError&) {
    if (config.checks.require_wcs_alignment) {
      throw;
    }
    return false;
  }
  return same_size;
}

surveys::FrameInfo info_of(const Table& table, std::size_t row) {
  const auto number = [&](const char* column) { return table.get<double>(column)[row]; };
  const auto whole = [&](const char* column) { return table.get<std::int32_t>(column)[row]; };
  surveys::FrameInfo info;
  info.band = table.get<std::string>("band")[row];
  info.hdu = whole("hdu");
  info.width = whole("width");
  info.height = whole("height");
  info.zp_mag = number("zp_mag");
  info.skysig_adu = number("skysig_adu");
  info.egain = number("egain");
  info.saturate_adu = number("saturate_adu");
  info.fwhm_pix = number("fwhm_pix");
  info.mjd = number("mjd");
  info.scale = number("scale");
  return info;
}

/// A text column loses the blanks at its end.
std::string whole_cards(std::string cards) {
  constexpr std::size_t kCard = 80;
  cards.resize((cards.size() + kCard - 1) / kCard * kCard, ' ');
  return cards;
}

}  // namespace

Box Field::used_box(std::size_t frame) const {
  return on_grid[frame] != 0 ? Box{margin, margin + width, margin, margin + height}
                             : Box{0, infos[frame].width, 0, infos[frame].height};
}

std::string Survey::slab(const Field& field, const std::string& name) const {
  return is_listed ? field.name() + "/" + name : name;
}

std::string Survey::key(const Field& field, const std::string& rest) const {
  return is_listed ? field.name() + "/" + rest : rest;
}

std::pair<std::size_t, std::size_t> Survey::frame_at(std::size_t row) const {
  std::size_t field = 0;
  while (field + 1 < fields.size() && fields[field + 1].first_frame <= row) {
    ++field;
  }
  return {field, row - fields[field].first_frame};
}

std::pair<std::size_t, std::size_t> Survey::rows(const Table& table, const Field& field) const {
  if (!is_listed) {
    return {0, table.rows()};
  }
  const auto& names = table.get<std::string>("field");
  const auto first = std::partition_point(names.begin(), names.end(), [&](const std::string& name) {
    return index_of.at(name) < field.index;
  });
  const auto last = std::partition_point(first, names.end(), [&](const std::string& name) {
    return index_of.at(name) <= field.index;
  });
  return {static_cast<std::size_t>(first - names.begin()),
          static_cast<std::size_t>(last - names.begin())};
}

std::pair<const Field&, std::string> Survey::field_of(const engine::Unit& unit) const {
  if (!is_listed) {
    return {fields.front(), unit.key};
  }
  const std::size_t slash = unit.key.find('/');
  return {fields[index_of.at(unit.key.substr(0, slash))], unit.key.substr(slash + 1)};
}

std::pair<std::size_t, std::size_t> Survey::rows(const engine::Products& before,
                                                 std::string_view stage, std::string_view table,
                                                 const Field& field) const {
  const std::size_t n = before.n_rows(stage, table);
  if (!is_listed) {
    return {0, n};
  }
  const std::vector<std::string> column{"field"};
  /// The first row from `first` on of a field of this index or a later one.
  const auto begin_of = [&](std::size_t index, std::size_t first) {
    std::size_t last = n;
    while (first < last) {
      const std::size_t middle = first + (last - first) / 2;
      const Table row = before.rows(stage, table, middle, middle + 1, column);
      if (index_of.at(row.get<std::string>("field").front()) < index) {
        first = middle + 1;
      } else {
        last = middle;
      }
    }
    return first;
  };
  const std::size_t first = begin_of(field.index, 0);
  return {first, begin_of(field.index + 1, first)};
}

FieldRows field_rows(const Survey& survey, const engine::Products& before, std::string_view stage,
                     std::string_view table, const Field& field,
                     const std::vector<std::string>& columns) {
  const auto [first, last] = survey.rows(before, stage, table, field);
  return {first, columns.empty() ? before.rows(stage, table, first, last)
                                 : before.rows(stage, table, first, last, columns)};
}

std::pair<std::size_t, std::size_t> rows_of_frame(const Table& table, int frame) {
  const auto& frames = table.get<std::int32_t>("frame");
  const auto [first, last] = std::equal_range(frames.begin(), frames.end(), frame);
  return {static_cast<std::size_t>(first - frames.begin()),
          static_cast<std::size_t>(last - frames.begin())};
}

std::string frame_key(const Field& field, std::size_t frame) {
  const std::string& band = field.infos[frame].band;
  const auto number =
      std::count_if(field.infos.begin(), field.infos.begin() + static_cast<std::ptrdiff_t>(frame),
                    [&](const surveys::FrameInfo& info) { return info.band == band; });
  return fmt::format("{}/{:05d}", band, number);
}

void add_field_column(Schema& schema, const Survey& survey) {
  if (survey.is_listed) {
    for (TableSchema& table : schema.tables) {
      table.columns.insert(table.columns.begin(),
                           {"field", Type::text, "", "tile_name of the field"});
    }
  }
}

void set_field(engine::Rows& rows, const std::string& name) {
  if (name.empty()) {
    return;
  }
  for (Table& table : rows.tables()) {
    auto& names = table.get<std::string>("field");
    std::fill(names.begin(), names.end(), name);
  }
}

std::vector<surveys::FrameSpec> frame_specs(const Config& config, const FieldEntry& entry) {
  if (entry.images.empty()) {
    return surveys::read_image_list(entry.image_list_file, config.base_folder);
  }
  std::vector<surveys::FrameSpec> specs;
  for (const ImageEntry& image : entry.images) {
    surveys::FrameSpec spec;
    spec.file = image.file;
    spec.hdu = image.hdu;
    spec.invvar = image.invvar;
    spec.invvar_hdu = image.invvar_hdu;
    spec.mask = image.mask;
    spec.mask_hdu = image.mask_hdu;
    spec.mask_bits = image.mask_bits;
    spec.psf = image.psf;
    spec.psf_origin_x_pix = image.psf_origin_pix[0];
    spec.psf_origin_y_pix = image.psf_origin_pix[1];
    spec.filter = image.filter;
    spec.zp = image.zp;
    spec.skysig_adu = image.skysig_adu;
    spec.egain = image.egain;
    spec.saturate_adu = image.saturate_adu;
    spec.blank_adu = image.blank_adu;
    spec.fwhm_pix = image.fwhm_pix;
    spec.mjd = image.mjd;
    spec.sky_model = image.sky_model;
    spec.sky_is_fitted = image.sky == "fit";
    spec.sky_adu = spec.sky_is_fitted ? 0.0 : to_number(image.sky);
    specs.push_back(spec);
  }
  return specs;
}

Field field_from_inputs(const Config& config, std::size_t index) {
  Field field;
  field.index = index;
  field.entry = config.field_entries()[index];
  field.specs = frame_specs(config, field.entry);
  for (const surveys::FrameSpec& spec : field.specs) {
    field.infos.push_back(surveys::read_frame_info(spec, config.zp_ref));
    field.wcs_cards.push_back(surveys::read_wcs_cards(spec));
  }
  const sky::Wcs reference(field.wcs_cards.front(), field.specs.front().file);
  field.on_grid.assign(field.size(), 1);
  for (std::size_t i = 1; i < field.size(); ++i) {
    field.on_grid[i] = lies_on_grid(config, field, reference, i) ? 1 : 0;
  }
  number_bands(field);
  apply_crop(config, field);
  return field;
}

Survey survey_from_product(const Config& config, const engine::Products& before) {
  Survey survey;
  survey.is_listed = config.lists_fields();
  const Table& table = before.table("frames", "frames");
  const auto& on_grid = table.get<std::uint8_t>("on_grid");
  const auto& wcs = table.get<std::string>("wcs");
  std::size_t row = 0;
  for (const FieldEntry& entry : config.field_entries()) {
    Field field;
    field.entry = entry;
    field.index = survey.fields.size();
    field.first_frame = row;
    field.specs = frame_specs(config, entry);
    for (const surveys::FrameSpec& spec : field.specs) {
      field.infos.push_back(info_of(table, row));
      field.infos.back().file = spec.file;
      field.on_grid.push_back(on_grid[row]);
      field.wcs_cards.push_back(whole_cards(wcs[row]));
      ++row;
    }
    number_bands(field);
    apply_crop(config, field);
    for (const std::string& band : field.bands) {
      if (std::find(survey.bands.begin(), survey.bands.end(), band) == survey.bands.end()) {
        survey.bands.push_back(band);
      }
    }
    survey.index_of.emplace(field.name(), field.index);
    survey.fields.push_back(std::move(field));
  }
  return survey;
}

sky::Wcs frame_wcs(const Field& field, std::size_t frame) {
  const int origin = field.origin(frame);
  return sky::Wcs(field.wcs_cards[frame], field.specs[frame].file).cropped(origin, origin);
}

void require_images(const Survey& survey) {
  for (const Field& field : survey.fields) {
    for (std::size_t i = 0; i < field.size(); ++i) {
      for (const std::string& file : surveys::pixel_files(field.specs[i])) {
        if (!std::filesystem::exists(file)) {
          throw ConfigError(file, "no such file", "an image; its pixels are needed");
        }
      }
    }
  }
}

std::string white_wcs_cards(const Field& field, const Box& box) {
  const int margin = field.margin;
  return surveys::cut_wcs_cards(field.wcs_cards.front(), {box.x0 + margin, box.x1 + margin,
                                                          box.y0 + margin, box.y1 + margin});
}

sky::Wcs white_wcs(const Config& config, const Field& field) {
  if (config.merge_wcs_fits.empty()) {
    return frame_wcs(field, 0);
  }
  surveys::FrameSpec spec;
  spec.file = config.merge_wcs_fits;
  const auto [width, height] = surveys::read_frame_size(spec);
  sky::Wcs wcs = surveys::read_frame_wcs(spec);
  if (width == field.width && height == field.height) {
    return wcs;
  }
  if (width == field.width + 2 * field.margin && height == field.height + 2 * field.margin) {
    return wcs.cropped(field.margin, field.margin);
  }
  throw ConfigError(config.merge_wcs_fits, fmt::format("size {} x {}", width, height),
                    fmt::format("expected the uncropped size, {} x {}, or the cropped one, {} x {}",
                                field.width + 2 * field.margin, field.height + 2 * field.margin,
                                field.width, field.height));
}

std::string cell_tag(int row, int column) {
  return fmt::format("r{:02d}_c{:02d}", row, column);
}

std::vector<Box> grid_boxes(const Box& box, int ngrid) {
  std::vector<Box> boxes;
  const int step_x = box.width() / ngrid;
  const int step_y = box.height() / ngrid;
  for (int row = 0; row < ngrid; ++row) {
    for (int column = 0; column < ngrid; ++column) {
      boxes.push_back(
          {box.x0 + column * step_x, column + 1 == ngrid ? box.x1 : box.x0 + (column + 1) * step_x,
           box.y0 + row * step_y, row + 1 == ngrid ? box.y1 : box.y0 + (row + 1) * step_y});
    }
  }
  return boxes;
}

const std::vector<std::string>& position_columns() {
  static const std::vector<std::string> names{"x_pix_white", "y_pix_white", "excluded_any"};
  return names;
}

std::vector<std::uint8_t> active_sources(const Table& sources, const Box& box) {
  const auto& x = sources.get<double>("x_pix_white");
  const auto& y = sources.get<double>("y_pix_white");
  const auto& excluded = sources.get<std::uint8_t>("excluded_any");
  std::vector<std::uint8_t> active;
  for (std::size_t i = 0; i < x.size(); ++i) {
    active.push_back(excluded[i] == 0 && std::isfinite(x[i]) && std::isfinite(y[i]) &&
                     box.contains(x[i], y[i]));
  }
  return active;
}

}  // namespace skyloom::photometry
