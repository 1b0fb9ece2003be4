#pragma once
// The report page as data: sections of text, tables and figures. `render` turns it into one
// self-contained HTML file. Knows no astronomy and reads no products.

#include <cstddef>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "skyloom/core/image.hpp"

namespace skyloom::web {

/// Marks drawn over an image, in pixel coordinates of the image (pixel centres at integers).
struct Markers {
  std::string label;              ///< legend entry; the count is appended
  std::string color = "#00bcd4";  ///< CSS colour
  std::string shape = "circle";   ///< circle | square | diamond | cross | plus | line | box
  double radius_pix = 6.0;
  std::vector<double> x;
  std::vector<double> y;
  std::vector<double> x2;  ///< ends of lines and opposite corners of boxes
  std::vector<double> y2;
  std::vector<std::string> names;  ///< shown when the mouse is near; may be empty
  bool dashed = false;
  bool counted = true;        ///< the legend shows how many there are
  std::size_t not_drawn = 0;  ///< members of the group without a place; counted too
};

/// Sky coordinates on an even mesh of picture pixels, (row, column) row-major: between its points
/// they are interpolated linearly. Right ascensions have no jump at 360.
struct SkyMesh {
  int columns = 0;  ///< 0 = no sky coordinates
  int rows = 0;
  double x_first = 0.0;
  double x_step = 1.0;
  double y_first = 0.0;
  double y_step = 1.0;
  std::vector<double> ra_deg;
  std::vector<double> dec_deg;
};

/// A quantity along one side of a picture that is no image of the sky: first + step * pixel.
struct PictureAxis {
  std::string label;
  double first = 0.0;
  double step = 1.0;
};

/// A grey-scale or diverging picture. Values outside [low, high] are clamped; NaN is drawn in blue.
struct Picture {
  std::string title;
  Image<float> pixels;  ///< row 0 is drawn at the bottom, as astronomers do
  double low = 0.0;
  double high = 0.0;               ///< low == high: the 1 and 99.5 percentiles are used
  std::string stretch = "linear";  ///< linear | asinh | log
  std::string colors = "gray";     ///< gray | diverging
  std::string unit;
  double scale = 1.0;       ///< display pixels per image pixel on the page
  double pixel_size = 1.0;  ///< image pixels of the survey per pixel of this picture
  double x0 = 0.0;          ///< survey coordinates of pixel (0, 0)
  double y0 = 0.0;
  std::vector<Markers> markers;
  std::string file = {};  ///< name of the saved PNG without ".png"; empty = from the title
  bool axes = false;      ///< survey pixels left and below; the sky right and above
  std::vector<PictureAxis> graph = {};  ///< x and y, in the place of survey pixels
  SkyMesh sky = {};                     ///< also shown under the mouse
  bool color_bar = true;
};

/// Lines (through their points by increasing x), points and error bars, a histogram, or a band of
/// y - error to y + error. NaN is left out; on a logarithmic axis so are values that are not
/// positive. For "steps" x holds the edges of the bins, one more than y, or their increasing
/// centres: then all bins are as wide as the closest two centres are apart (1 if there is one), and
/// missing bins are drawn as 0.
struct Series {
  std::string label;
  std::string color;            ///< CSS colour; empty = the next of the palette
  std::string kind = "points";  ///< points | line | steps | band
  std::vector<double> x;
  std::vector<double> y;
  std::vector<double> error;      ///< of y; may be empty
  std::string symbol = "circle";  ///< of points: circle | diamond | cross
  bool dashed = false;            ///< of lines
};
struct Chart {
  std::string title;
  std::string x_label;
  std::string y_label;
  bool log_x = false;
  bool log_y = false;
  std::vector<Series> series;
  std::string file = {};  ///< name of the saved PNG without ".png"; empty = from the title
};

struct DataTable {
  std::string title;
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
};

/// Pictures shown side by side, such as data, model and residual.
struct PictureRow {
  std::string title;
  std::vector<Picture> pictures;
  int columns = 0;        ///< more than 0: a grid that is saved as one PNG
  std::string file = {};  ///< its name without ".png"; empty = from the title
};

struct Text {
  std::string text;  ///< plain text; blank lines separate paragraphs
  bool problem = false;
};

using Block = std::variant<Text, DataTable, PictureRow, Chart>;

struct Section {
  std::string title;
  std::vector<Block> blocks;
};

struct Report {
  std::string title;
  std::string subtitle;
  std::vector<std::pair<std::string, std::string>> facts;  ///< shown as tiles at the top
  std::vector<Section> sections;
  int dpi = 300;  ///< of saved PNGs: the size on the page is taken as 96 dots per inch
  std::vector<std::string> problems = {};  ///< figures that could not be drawn, for the log
};

/// Throws what render() would throw for this block. @throws FatalError
void check(const Block& block);

/// One HTML page without references to anything outside itself. Pictures keep about three digits of
/// a pixel value, charts nine. Texts are shown as they are: nothing in them is markup.
/// @throws FatalError when lengths within a series, marker group or table row do not agree
std::string render(const Report& report);

}  // namespace skyloom::web
