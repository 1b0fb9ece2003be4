#pragma once
// The files of the page, embedded at build time (embed.cmake).

#include <string_view>

namespace skyloom::web::page {

extern const std::string_view kHtml;
extern const std::string_view kStyle;
extern const std::string_view kChartLibrary;
extern const std::string_view kChartLicense;
extern const std::string_view kScript;

}  // namespace skyloom::web::page
