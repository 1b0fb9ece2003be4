#pragma once
// Tables that the stages `rates` and `sample` both have: of stars, and of all of them (`tic` 0).

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "pipelines/flares/rates/kernel_survey.hpp"
#include "skyloom/core/table.hpp"
#include "skyloom/engine/stage.hpp"

namespace skyloom::flares {

inline const Column kStar{"tic", Type::int64, "",
                          "TESS Input Catalog number; 0 = the whole sample"};

/// Columns and, after them, some more.
std::vector<Column> with(std::vector<Column> columns, const std::vector<Column>& more);

/// Injections, recovered ones, their fraction and its error.
std::vector<Column> completeness_columns();
/// Rates of a star, or of the sample: `first` and the columns that set_combined() fills.
TableSchema combined_schema(const std::string& name, const Column& first);
TableSchema ffd_schema();
TableSchema completeness_schema();
TableSchema completeness_map_schema();

/// Fills the columns of completeness_columns().
void set_fraction(Table& table, std::size_t row, std::int64_t recovered, std::int64_t trials);
void set_combined(Table& table, std::size_t row, const CombinedRates& rates, std::size_t sectors);
void append_points(Table& table, std::int64_t tic, std::span<const FrequencyPoint> points);
/// Rows of /completeness and /completeness_map for the bins with injections.
void append_completeness(engine::Rows& rows, std::int64_t tic, const Completeness& completeness);

}  // namespace skyloom::flares
