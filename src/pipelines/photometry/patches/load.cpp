#include <algorithm>
#include <cmath>

#include "pipelines/photometry/patches/stage.hpp"

namespace skyloom::photometry {

std::unique_ptr<PatchesStage::Context> PatchesStage::open(const Config& config,
                                                          const engine::Products& before,
                                                          Log& /*log*/) {
  auto context = std::make_unique<Context>();
  context->survey = survey_from_product(config, before);
  context->before = &before;
  return context;
}

namespace {

PatchesStage::Cell load_cell(const Config& config, const Field& field, const FieldPatches& patches,
                             const std::string& tag) {
  const auto cell = std::find_if(patches.cells.begin(), patches.cells.end(),
                                 [&](const epsf::Cell& candidate) { return candidate.tag == tag; });
  const auto index = static_cast<std::size_t>(cell - patches.cells.begin());
  PatchesStage::Cell out;
  out.cell = patches.cells.at(index);
  out.column = out.cell.box.x0 / (field.width / config.epsf.epsf_ngrid);
  out.row = out.cell.box.y0 / (field.height / config.epsf.epsf_ngrid);
  const auto first = std::lower_bound(
      patches.patches.begin(), patches.patches.end(), index,
      [](const FieldPatch& patch, std::size_t number) { return patch.cell < number; });
  for (auto patch = first; patch != patches.patches.end() && patch->cell == index; ++patch) {
    out.patches.push_back(*patch);
    if (config.patch_inputs.save_patch_inputs && config.patch_inputs.include_wcs_in_payload) {
      out.wcs.push_back(white_wcs_cards(field, patch->patch.roi));
    }
  }
  return out;
}

std::unique_ptr<PatchesStage::OpenField> open_field(const Config& config,
                                                    const PatchesStage::Context& context,
                                                    const Field& field) {
  auto open = std::make_unique<PatchesStage::OpenField>();
  const bool saves = config.patch_inputs.save_patch_inputs;
  FieldRows sources = field_rows(context.survey, *context.before, "frames", "sources", field,
                                 saves ? std::vector<std::string>{} : position_columns());
  open->first_row = sources.first;
  open->sources = std::move(sources.table);
  open->patches = patches_of_field(config, field, open->sources);
  for (std::size_t i = 0; saves && i < open->patches.patches.size(); ++i) {
    open->index_of.emplace(open->patches.patches[i].patch.tag, i);
  }
  return open;
}

PatchesStage::Payload load_payload(const PatchesStage::Context& context, const Field& field,
                                   const engine::Unit& unit, const std::string& tag,
                                   PatchesStage::OpenField& open) {
  if (open.readers.empty()) {
    for (std::size_t i = 0; i < field.size(); ++i) {
      open.readers.push_back(
          std::make_unique<surveys::FrameReader>(field.specs[i], field.infos[i]));
    }
    open.layout = pixel_layout(field, open.patches);
  }
  const std::size_t index = open.index_of.at(tag);
  PatchesStage::Payload out;
  out.row = std::stoll(unit.source);
  out.patch = open.patches.patches[index];
  out.sources = &open.sources;
  out.first_row = open.first_row;
  for (std::size_t i = 0; i < field.size(); ++i) {
    const surveys::FrameInfo& info = field.infos[i];
    PatchesStage::Payload::Frame frame;
    frame.row = static_cast<int>(field.first_frame + i);
    frame.group = pixel_group(context.survey, field, i);
    frame.place = open.layout.places[index][i];
    frame.flux_per_electron = std::isfinite(info.egain) ? info.scale / info.egain : 0.0;
    if (!frame.place.at.box.empty()) {
      frame.pixels = open.readers[i]->read(frame.place.at.box);
    }
    out.frames.push_back(std::move(frame));
  }
  return out;
}

}  // namespace

PatchesStage::Input PatchesStage::load(const Config& config, Context& context,
                                       const engine::Unit& unit) {
  const auto [field, key] = context.survey.field_of(unit);
  const std::string tag = key.substr(key.find('/') + 1);
  OpenField& open =
      context.open.get(field.index, [&, &of = field] { return open_field(config, context, of); });
  Input input;
  input.field = context.survey.label(field);
  if (key.starts_with("cell/")) {
    input.cell = load_cell(config, field, open.patches, tag);
  } else {
    input.payload = load_payload(context, field, unit, tag, open);
  }
  return input;
}

}  // namespace skyloom::photometry
