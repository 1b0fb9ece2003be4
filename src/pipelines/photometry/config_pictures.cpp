#include "pipelines/photometry/config_pictures.hpp"

#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "skyloom/core/errors.hpp"
#include "skyloom/core/table.hpp"

namespace skyloom::photometry {

void declare_pictures(ConfigSpec& spec, Config& c) {
  const auto downsample = [&](const char* name, int* field, const char* picture,
                              std::vector<std::string> stages) {
    spec.add(std::string("crop.") + name, field,
             Key{.help = std::string("pixels per side averaged for the picture ") + picture +
                         "; fewer for images below 1000 pixels, more above 2400 in the picture",
                 .unit = "pix",
                 .min = 1,
                 .max = 1000,
                 .stages = std::move(stages)});
  };
  spec.add("crop.plot_pre_crop", &c.crop.plot_pre_crop,
           Key{.help = "keep a small white image from before cropping for the report",
               .stages = {"frames"}});
  downsample("display_downsample", &c.crop.display_downsample, "before cropping", {"frames"});
  downsample("post_crop_display_downsample", &c.crop.post_crop_display_downsample, "after cropping",
             {});
  spec.add("crop.overlay_catalog", &c.crop.overlay_catalog,
           Key{.help = "draw the sources over the white image in the report"});
  downsample("overlay_downsample_full", &c.crop.overlay_downsample_full,
             "with sources, and with Gaia stars", {});
  spec.table("plotting", "Pictures of the report that are saved as PNG.");
  spec.add("plotting.dpi", &c.plotting_dpi,
           Key{.help = "their resolution; on the page a picture has 96",
               .unit = "pix/inch",
               .min = 30,
               .max = 1200});
}

void declare_cutouts(ConfigSpec& spec, Config& c) {
  Config::PatchRun& p = c.patch_run;
  spec.add("patch_run.cutout_size", &p.cutout_size,
           Key{.help = "side of the cut-outs of sources in the report",
               .unit = "pix",
               .min = 5,
               .max = 2000});
  spec.add(
      "patch_run.cutout_max_sources", &p.cutout_max_sources,
      Key{.help = "sources drawn by the report and by `report --cutouts all`; 0 = six bright to "
                  "faint or badly fitted ones, and all",
          .min = 0});
  spec.add(
      "patch_run.cutout_start", &p.cutout_start,
      Key{.help = "fitted sources of the catalogue left out before the first one drawn", .min = 0});
  const auto percentile = [&](const char* name, double* field, const char* help) {
    spec.add(std::string("patch_run.") + name, field,
             Key{.help = help, .unit = "%", .min = 0, .max = 100});
  };
  percentile("cutout_data_p_lo", &p.cutout_data_p_lo, "percentile of the data drawn black");
  percentile("cutout_data_p_hi", &p.cutout_data_p_hi, "percentile of the data drawn white");
  percentile("cutout_model_p_lo", &p.cutout_model_p_lo, "percentile of the model drawn black");
  percentile("cutout_model_p_hi", &p.cutout_model_p_hi, "percentile of the model drawn white");
  percentile("cutout_resid_p_abs", &p.cutout_resid_p_abs,
             "percentile of |residual| that limits its colours on both sides");
  spec.add("patch_run.no_cutouts", &p.no_cutouts,
           Key{.help = "no cut-outs but those asked for with report --cutouts"});
}

void check_pictures(const Config& c) {
  for (const auto& [name, low, high] :
       {std::tuple{"patch_run.cutout_data_p_lo", c.patch_run.cutout_data_p_lo,
                   c.patch_run.cutout_data_p_hi},
        std::tuple{"patch_run.cutout_model_p_lo", c.patch_run.cutout_model_p_lo,
                   c.patch_run.cutout_model_p_hi}}) {
    if (!(low < high)) {
      throw ConfigError(name, "value " + shortest(low) + " is not below the upper percentile",
                        "expected less than " + shortest(high));
    }
  }
}

}  // namespace skyloom::photometry
