#pragma once
// The command export-cell: one convolved cell of a finished run as a FITS file.

#include <string_view>
#include <vector>

#include "pipelines/skycells/config.hpp"
#include "skyloom/engine/pipeline.hpp"

namespace skyloom::skycells {

/// Declares the table [export].
void declare_export(ConfigSpec& spec, Config& config);

std::vector<engine::Tool> export_tools();

/// Does "export-cell": the image of export.cell in the primary HDU, its mask in the extension MASK,
/// both with the cell's WCS, into options.out (NAME.fits in the working folder when none was named;
/// .fits.gz is compressed). From a coarse product it has the bytes of the full one.
/// @return exit status @throws ConfigError without export.cell, for a cell or a run that is not
/// there
int use_export_tool(const Config& config, std::string_view name,
                    const engine::ToolOptions& options);

}  // namespace skyloom::skycells
