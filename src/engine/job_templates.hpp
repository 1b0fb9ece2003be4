#pragma once
// The files jobs/*/job.sh, turned into constants at build time.

#include <string_view>

namespace skyloom::engine {

extern const std::string_view kSlurmTemplate;
extern const std::string_view kPbsTemplate;

}  // namespace skyloom::engine
