#pragma once
// The report page as data: sections of text, tables and figures. `render` turns it into one
// self-contained HTML file. Knows no astronomy and reads no products.

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
  std::string shape = "circle";   ///< circle | square | cross | plus | line
  double radius_pix = 6.0;
  std::vector<double> x;
  std::vector<double> y;
  std::vector<double> x2;  ///< ends of lines, for shape "line"
  std::vector<double> y2;
  std::vector<std::string> names;  ///< shown when the mouse is near; may be empty
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
};

/// Lines (through their points by increasing x), points and error bars, or a histogram. NaN is left
/// out; on a logarithmic axis so are values that are not positive. For "steps" x holds the edges of
/// the bins, one more than y, or their increasing centres: then all bins are as wide as the closest
/// two centres are apart (1 if there is one), and missing bins are drawn as 0.
struct Series {
  std::string label;
  std::string color;            ///< CSS colour; empty = the next of the palette
  std::string kind = "points";  ///< points | line | steps
  std::vector<double> x;
  std::vector<double> y;
  std::vector<double> error;  ///< of y; may be empty
};
struct Chart {
  std::string title;
  std::string x_label;
  std::string y_label;
  bool log_x = false;
  bool log_y = false;
  std::vector<Series> series;
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
};

struct Text {
  std::string text;  ///< plain text; blank lines separate paragraphs
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
};

/// One HTML page without references to anything outside itself. Pictures keep about three digits of
/// a pixel value, charts nine. Texts are shown as they are: nothing in them is markup.
/// @throws FatalError when lengths within a series, marker group or table row do not agree
std::string render(const Report& report);

}  // namespace skyloom::web
