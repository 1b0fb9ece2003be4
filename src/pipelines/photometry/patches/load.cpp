#include <algorithm>
#include <cmath>

#include "pipelines/photometry/patches/stage.hpp"

namespace skyloom::photometry {

std::unique_ptr<PatchesStage::Context> PatchesStage::open(const Config& config,
                                                          const engine::Products& before,
                                                          Log& /*log*/) {
  auto context = std::make_unique<Context>();
  context->survey = survey_from_product(config, before);
  context->sources = &before.table("frames", "sources");
  context->fields = patches_of_survey(config, context->survey, *context->sources);
  context->tasks = patch_tasks(config, context->fields);
  return context;
}

namespace {

PatchesStage::Cell load_cell(const Config& config, const Field& field, const FieldPatches& patches,
                             std::size_t index) {
  PatchesStage::Cell out;
  out.cell = patches.cells[index];
  out.column = out.cell.box.x0 / (field.width / config.epsf.epsf_ngrid);
  out.row = out.cell.box.y0 / (field.height / config.epsf.epsf_ngrid);
  const auto first =
      std::lower_bound(patches.patches.begin(), patches.patches.end(), index,
                       [](const FieldPatch& patch, std::size_t cell) { return patch.cell < cell; });
  for (auto patch = first; patch != patches.patches.end() && patch->cell == index; ++patch) {
    out.patches.push_back(*patch);
    if (config.patch_inputs.save_patch_inputs && config.patch_inputs.include_wcs_in_payload) {
      out.wcs.push_back(white_wcs_cards(field, patch->patch.roi));
    }
  }
  return out;
}

std::unique_ptr<PatchesStage::OpenField> open_field(const Field& field,
                                                    const FieldPatches& patches) {
  auto open = std::make_unique<PatchesStage::OpenField>();
  for (std::size_t i = 0; i < field.size(); ++i) {
    open->readers.push_back(std::make_unique<surveys::FrameReader>(field.specs[i], field.infos[i]));
  }
  open->layout = pixel_layout(field, patches);
  return open;
}

PatchesStage::Payload load_payload(PatchesStage::Context& context, const Field& field,
                                   std::size_t index) {
  const FieldPatches& patches = context.fields[field.index];
  PatchesStage::OpenField& open =
      context.open.get(field.index, [&] { return open_field(field, patches); });
  PatchesStage::Payload out;
  out.row = static_cast<std::int64_t>(patches.first + index);
  out.patch = patches.patches[index];
  out.sources = context.sources;
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
  const Task& task = context.tasks.at(unit.index);
  const Field& field = context.survey.fields[task.field];
  Input input;
  input.field = context.survey.label(field);
  if (task.is_cell) {
    input.cell = load_cell(config, field, context.fields[task.field], task.index);
  } else {
    input.payload = load_payload(context, field, task.index);
  }
  return input;
}

}  // namespace skyloom::photometry
