#pragma once
// What all stages of photometry look at: the fields of the survey, their frames and bands, and the
// cropped pixel grid ("white frame") of every field that its positions refer to.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pipelines/photometry/config.hpp"
#include "skyloom/core/image.hpp"
#include "skyloom/engine/products.hpp"
#include "skyloom/engine/rows.hpp"
#include "skyloom/engine/unit.hpp"
#include "skyloom/sky/psf.hpp"
#include "skyloom/sky/wcs.hpp"
#include "skyloom/surveys/frame.hpp"

namespace skyloom::photometry {

struct Field {
  FieldEntry entry;
  std::size_t index = 0;                  ///< in the survey
  std::size_t first_frame = 0;            ///< its rows of /frames begin here
  std::vector<surveys::FrameSpec> specs;  ///< in the order of the list
  std::vector<surveys::FrameInfo> infos;  ///< same order
  std::vector<std::string> wcs_cards;     ///< of every image
  std::vector<std::string> bands;         ///< of this field, in order of first appearance
  std::vector<int> band_of_frame;         ///< index into `bands`
  /// The frame lies on the grid of the first one: white pixel = image pixel - margin. Others are
  /// reached through their own WCS.
  std::vector<std::uint8_t> on_grid;
  int width = 0;  ///< of the white frame (cropped)
  int height = 0;
  int margin = 0;

  [[nodiscard]] Box box() const { return {0, width, 0, height}; }
  [[nodiscard]] std::size_t size() const { return specs.size(); }
  [[nodiscard]] const std::string& name() const { return entry.tile_name; }
  /// Pixels of a frame that are used, and where the pixels of its ePSF begin in the image: the
  /// white frame for frames on its grid, the whole image for others.
  [[nodiscard]] int origin(std::size_t frame) const { return on_grid[frame] != 0 ? margin : 0; }
  [[nodiscard]] Box used_box(std::size_t frame) const;
  /// Zero points of this field are measured.
  [[nodiscard]] bool calibrates(const Config& config) const { return config.calibrates(entry); }
};

struct Survey {
  std::vector<Field> fields;
  std::vector<std::string> bands;  ///< of all fields, in order of first appearance
  /// Fields are listed, be it one: tables carry a column `field`, slabs stand in a group of their
  /// own.
  bool is_listed = false;
  std::map<std::string, std::size_t> index_of;  ///< of a field by its name

  [[nodiscard]] std::string slab(const Field& field, const std::string& name) const;
  /// Prefix of the keys of a field's units.
  [[nodiscard]] std::string key(const Field& field, const std::string& rest) const;
  /// Name of a field for the column `field`; "" when there is only one.
  [[nodiscard]] std::string label(const Field& field) const {
    return is_listed ? field.name() : std::string();
  }
  /// Field and number within it of a row of /frames.
  [[nodiscard]] std::pair<std::size_t, std::size_t> frame_at(std::size_t row) const;
  /// The field of a unit, and the rest of its key after key().
  [[nodiscard]] std::pair<const Field&, std::string> field_of(const engine::Unit& unit) const;
  /// Rows [first, second) of a table that belong to a field; tables are ordered by field.
  [[nodiscard]] std::pair<std::size_t, std::size_t> rows(const Table& table,
                                                         const Field& field) const;
  /// The same of a table that is not read: found by bisection of its column `field`.
  [[nodiscard]] std::pair<std::size_t, std::size_t> rows(const engine::Products& before,
                                                         std::string_view stage,
                                                         std::string_view table,
                                                         const Field& field) const;
};

/// Rows of a stage's table that belong to one field.
struct FieldRows {
  std::size_t first = 0;  ///< row of the table where they begin
  Table table;
};

/// Reads them: all columns, or those of `columns` that the table has.
FieldRows field_rows(const Survey& survey, const engine::Products& before, std::string_view stage,
                     std::string_view table, const Field& field,
                     const std::vector<std::string>& columns = {});

/// What a rank keeps of the fields that it works on: units come by cost and not by field, so that a
/// field may be wanted again after another, and all at once would be too many.
template <class T, std::size_t kMost = 4>
class RecentFields {
 public:
  /// Of a field; `make()` gives a std::unique_ptr<T>, in place of the one not used for longest.
  template <class Make>
  T& get(std::size_t field, Make make) {
    const auto found = std::find_if(kept_.begin(), kept_.end(),
                                    [&](const auto& entry) { return entry.first == field; });
    if (found != kept_.end()) {
      kept_.splice(kept_.begin(), kept_, found);
    } else {
      if (kept_.size() == kMost) {
        kept_.pop_back();
      }
      kept_.emplace_front(field, make());
    }
    return *kept_.front().second;
  }

 private:
  std::list<std::pair<std::size_t, std::unique_ptr<T>>> kept_;  ///< the last used first
};

/// Key of a frame within its field: its band and its number among the frames of that band.
std::string frame_key(const Field& field, std::size_t frame);

/// Rows [first, second) of a table of the stage epsf that belong to a row of /frames: its units,
/// one per frame, stand in that order.
std::pair<std::size_t, std::size_t> rows_of_frame(const Table& table, int frame);

/// Puts a column `field` in front of every table of a survey of many fields.
void add_field_column(Schema& schema, const Survey& survey);

/// Fills it in the rows of a unit, which all belong to one field. @param name "" = only one field
void set_field(engine::Rows& rows, const std::string& name);

/// Reads and checks the headers of one field's images. @throws ConfigError naming file and card
Field field_from_inputs(const Config& config, std::size_t index);

/// The survey from the finished stage `frames`, without touching the images.
Survey survey_from_product(const Config& config, const engine::Products& before);

/// What a stage that reads pixels checks before its units begin.
/// @throws ConfigError naming an image that is not there
void require_images(const Survey& survey);

/// Image files of a field with what is said about them. @throws ConfigError
std::vector<surveys::FrameSpec> frame_specs(const Config& config, const FieldEntry& entry);

/// WCS of the pixels of a frame that are used: Field::used_box(). @throws ConfigError
sky::Wcs frame_wcs(const Field& field, std::size_t frame);

/// Cards of the WCS of a box of the white frame, as of a cut-out that begins with its first pixel.
std::string white_wcs_cards(const Field& field, const Box& box);

/// WCS of the white frame: of the first image, or merge.wcs_fits. @throws ConfigError
sky::Wcs white_wcs(const Config& config, const Field& field);

/// rRR_cCC: two digits at least.
std::string cell_tag(int row, int column);

/// Cells of a frame (photometry.md 6.1): `step = floor(N / ngrid)`, the last takes the rest.
std::vector<Box> grid_boxes(const Box& box, int ngrid);

/// Columns of /sources that active_sources() looks at.
const std::vector<std::string>& position_columns();

/// Sources that are fitted: not excluded, finite, inside the white frame.
/// @param sources rows of /sources that belong to the field
std::vector<std::uint8_t> active_sources(const Table& sources, const Box& box);

}  // namespace skyloom::photometry
