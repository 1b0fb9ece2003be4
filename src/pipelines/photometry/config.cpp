#include "pipelines/photometry/config.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>
#include <set>

#include "pipelines/photometry/config_epsf.hpp"
#include "pipelines/photometry/config_fit.hpp"
#include "pipelines/photometry/config_pictures.hpp"
#include "skyloom/core/errors.hpp"
#include "skyloom/core/table.hpp"
#include "skyloom/surveys/field_list.hpp"

namespace skyloom::photometry {
namespace {

// Which stages depend on a key. A key of an early stage reaches the later ones through its product.
const std::vector<std::string> kFrames{"frames"};
const std::vector<std::string> kPixels{"frames", "background", "objects", "epsf", "fit"};
const std::vector<std::string> kEpsf{"epsf"};
const std::vector<std::string> kPatches{"patches"};
const std::vector<std::string> kZeropoint{"zeropoint"};

void declare_image(ConfigSpec& spec, ImageEntry& image) {
  spec.add("file", &image.file, Key{.help = "FITS image", .stages = kPixels, .input_path = true});
  spec.add(
      "hdu", &image.hdu,
      Key{.help = "HDU of the image, 0-based; -1 = the first that holds a 2-D image", .min = -1});
  spec.add("invvar", &image.invvar,
           Key{.help = "inverse-variance image; SKYSIG is not needed then; values below 0.1 of the "
                       "median are masked",
               .unit = "adu**-2",
               .input_path = true});
  spec.add("invvar_hdu", &image.invvar_hdu, Key{.help = "HDU of the inverse variance", .min = -1});
  spec.add(
      "mask", &image.mask,
      Key{.help = "integer image of data-quality flags or codes, 0 = good", .input_path = true});
  spec.add("mask_hdu", &image.mask_hdu, Key{.help = "HDU of the mask", .min = -1});
  spec.add(
      "mask_bits", &image.mask_bits,
      Key{.help = "sum of the flags that make a pixel bad; 0 = any value but 0 does", .min = 0});
  spec.add("psf", &image.psf,
           Key{.help = "PSFEx file or FITS stamp (card OVERSAMP) in place of the ePSF",
               .input_path = true});
  spec.add(
      "psf_origin_pix", &image.psf_origin_pix,
      Key{.help = "position of this image's first pixel in the frame the PSF model was made on",
          .unit = "pix"});
  spec.add("filter", &image.filter, Key{.help = "band; empty = card FILTER"});
  spec.add("zp", &image.zp, Key{.help = "zero point; nan = card ZP_AUTO", .unit = "mag"});
  spec.add("skysig_adu", &image.skysig_adu,
           Key{.help = "sky noise per pixel; nan = card SKYSIG", .unit = "adu"});
  spec.add("egain", &image.egain, Key{.help = "gain; nan = card EGAIN", .unit = "electron/adu"});
  spec.add("saturate_adu", &image.saturate_adu,
           Key{.help = "saturation level; nan = card SATURATE", .unit = "adu"});
  spec.add("blank_adu", &image.blank_adu,
           Key{.help = "pixels of exactly this value hold no data; nan = none", .unit = "adu"});
  spec.add("fwhm_pix", &image.fwhm_pix,
           Key{.help = "seeing; nan = card PEEING (pixels), else SEEING (arcsec)", .unit = "pix"});
  spec.add("mjd", &image.mjd,
           Key{.help = "middle of the exposure; nan = the first of the cards MJD-OBS, DATE-OBS, "
                       "MJDUTC, MJD as its start, plus EXPTIME / 2",
               .unit = "d"});
  spec.add("sky_model", &image.sky_model,
           Key{.help = "spline sky of the Legacy Surveys (splinesky table), subtracted; `sky` is "
                       "what remains",
               .unit = "adu",
               .input_path = true});
  spec.add("sky", &image.sky,
           Key{.help = "\"fit\" = a free constant per patch; a number is subtracted and held",
               .unit = "adu",
               .number_as_text = true});
}

/// The keys of a field. @param prefix "inputs." or ""
void declare_field(ConfigSpec& spec, FieldEntry& field, const std::string& prefix) {
  spec.add(prefix + "tile_name", &field.tile_name,
           Key{.help = "label of the field", .stages = kFrames});
  spec.add(prefix + "input_catalog", &field.input_catalog,
           Key{.help = "source catalogue (CSV: RA, DEC, ID, TYPE, FLUX_<band>, ELL, THETA, Re)",
               .stages = kFrames,
               .input_path = true});
  spec.add(prefix + "image_list_file", &field.image_list_file,
           Key{.help = "text file with one image per line, or use [[" + prefix + "images]]",
               .stages = kPixels,
               .input_path = true});
  spec.add(prefix + "gaiaxp_synphot_csv", &field.gaiaxp_synphot_csv,
           Key{.help = "Gaia XP synthetic photometry (CSV: source_id, ra, dec, phot_g_mean_mag, "
                       "mag_<band>) for PSF stars and zero points; empty = none",
               .stages = {"frames", "epsf", "zeropoint"},
               .input_path = true});
  spec.add_tables<ImageEntry>(
      prefix + "images", field.images,
      Key{.help = "images with their own settings, in place of the list", .stages = kPixels},
      declare_image);
}

void declare_inputs(ConfigSpec& spec, Config& c) {
  spec.table("inputs", "What is measured. Relative paths are relative to this file.");
  declare_field(spec, c.inputs, "inputs.");
  spec.add("inputs.fields_file", &c.inputs.fields_file,
           Key{.help = "many fields in one run: CSV with the columns tile_name, input_catalog, "
                       "image_list_file and gaiaxp_synphot_csv",
               .input_path = true});
  spec.add_tables<FieldEntry>(
      "fields", c.fields,
      Key{.help = "many fields in one run, in place of those keys of [inputs]; the rest is shared",
          .stages = kPixels},
      [](ConfigSpec& inner, FieldEntry& field) { declare_field(inner, field, ""); });
  spec.add("inputs.truth", &c.inputs.truth,
           Key{.help = "true values of a simulated field (CSV), compared in the report",
               .input_path = true});
  spec.table("outputs", "Where results go, relative to the run directory.");
  spec.add("outputs.work_dir", &c.outputs.work_dir,
           Key{.help = "run directory; --out wins; empty = NAME.run beside NAME.toml",
               .input_path = true});
  spec.add("outputs.final_catalog", &c.outputs.final_catalog, Key{.help = "final catalogue (CSV)"});
  spec.add("outputs.epsf_dir", &c.outputs.epsf_dir, Key{.help = "folder of epsf_summary.json"});
  spec.add("outputs.patches_dir", &c.outputs.patches_dir,
           Key{.help = "folder of patches.csv and patches.json"});
  spec.add("outputs.tractor_out_dir", &c.outputs.tractor_out_dir,
           Key{.help = "folder of run_summary.csv and forced.csv"});
  spec.add("outputs.fit_out_dir", &c.outputs.fit_out_dir,
           Key{.help = "another name of outputs.tractor_out_dir; wins when set"});
}

void declare_frames(ConfigSpec& spec, Config& c) {
  spec.table("image_scaling", "");
  spec.add(
      "image_scaling.zp_ref", &c.zp_ref,
      Key{.help = "zero point that all images are scaled to", .unit = "mag", .stages = kPixels});
  spec.table("crop", "The part of the images that is used.");
  spec.add("crop.enabled", &c.crop.enabled, Key{.help = "cut the borders", .stages = kPixels});
  spec.add("crop.margin", &c.crop.margin,
           Key{.help = "cut on every side", .unit = "pix", .min = 0, .stages = kPixels});
  declare_pictures(spec, c);
  spec.table("checks", "What is demanded of the images.");
  spec.add(
      "checks.require_wcs_alignment", &c.checks.require_wcs_alignment,
      Key{.help = "all images on the grid of the first; false = others are fitted on their own "
                  "pixels through their own WCS",
          .stages = kFrames});
  spec.add("checks.require_same_shape", &c.checks.require_same_shape,
           Key{.help = "all images of one size; false = others are fitted on their own pixels",
               .stages = kFrames});
  spec.table("checks.wcs_tolerance", "Largest absolute differences of the WCS.");
  const auto tolerance = [&](const char* name, double* field, const char* unit) {
    spec.add(std::string("checks.wcs_tolerance.") + name, field,
             Key{.help = "of " + upper(name), .unit = unit, .min = 0, .stages = kFrames});
  };
  tolerance("crval", &c.checks.crval, "deg");
  tolerance("crpix", &c.checks.crpix, "pix");
  tolerance("cd", &c.checks.cd, "deg/pix");
  tolerance("cdelt", &c.checks.cdelt, "deg/pix");
  spec.table("source_saturation_cut",
             "Sources next to saturated pixels are flagged and not fitted.");
  spec.add("source_saturation_cut.enabled", &c.saturation_cut.enabled,
           Key{.help = "apply the cut", .stages = kFrames});
  spec.add("source_saturation_cut.radius_pix", &c.saturation_cut.radius_pix,
           Key{.help = "radius searched", .unit = "pix", .min = 0, .max = 500, .stages = kFrames});
  spec.add("source_saturation_cut.require_all_bands", &c.saturation_cut.require_all_bands,
           Key{.help = "flag only when every band is saturated there", .stages = kFrames});
}

void declare_patches(ConfigSpec& spec, Config& c) {
  declare_epsf(spec, c);
  spec.table("patches", "The fitting patches.");
  spec.add("patches.halo_pix_min", &c.halo_pix_min,
           Key{.help = "least width of the halo around a patch",
               .unit = "pix",
               .min = 0,
               .stages = kPatches});
  Config::PatchInputs& inputs = c.patch_inputs;
  spec.table("patch_inputs", "What the fit is given.");
  spec.add(
      "patch_inputs.save_patch_inputs", &inputs.save_patch_inputs,
      Key{.help = "keep pixels and sources of every patch in patches.h5: the fit then needs no "
                  "images",
          .stages = kPatches});
  spec.add("patch_inputs.skip_empty_patch", &inputs.skip_empty_patch,
           Key{.help = "leave out patches without sources", .stages = kPatches});
  spec.add("patch_inputs.include_wcs_in_payload", &inputs.include_wcs_in_payload,
           Key{.help = "with save_patch_inputs: column `wcs` of /patches, the WCS cards of every "
                       "patch",
               .stages = kPatches});
  spec.add(
      "patch_inputs.gzip_compresslevel", &inputs.gzip_compresslevel,
      Key{.help = "with save_patch_inputs: level at which the pixels are compressed at the end "
                  "of the stage; 0 = not",
          .min = 0,
          .max = 9,
          .stages = kPatches});
}

void declare_zero_point(ConfigSpec& spec, Config& c) {
  Config::ZeroPoint& zp = c.zp;
  spec.table("zp",
             "Zero points from Gaia stars, which also complete the catalogue before the fit. Needs "
             "inputs.gaiaxp_synphot_csv.");
  spec.add("zp.enabled", &zp.enabled,
           Key{.help = "complete the catalogue with Gaia stars and measure zero points",
               .stages = {"frames", "zeropoint"}});
  spec.add("zp.inject_gaia_sources", &zp.inject_gaia_sources,
           Key{.help = "Gaia stars that the catalogue lacks become sources", .stages = kFrames});
  spec.add("zp.gaia_mag_min", &zp.gaia_mag_min,
           Key{.help = "brightest Gaia star, G magnitude", .unit = "mag", .stages = kFrames});
  spec.add("zp.gaia_mag_max", &zp.gaia_mag_max,
           Key{.help = "faintest Gaia star, G magnitude", .unit = "mag", .stages = kFrames});
  spec.add("zp.match_radius_arcsec", &zp.match_radius_arcsec,
           Key{.help = "largest separation of a source from its Gaia star",
               .unit = "arcsec",
               .min = 0,
               .max = 3600,
               .stages = kFrames});
  spec.add("zp.min_box_size_pix", &zp.min_box_size_pix,
           Key{.help = "least side of the square around the sources where Gaia stars are taken",
               .unit = "pix",
               .min = 1,
               .stages = kFrames});
  spec.add("zp.clip_sigma", &zp.clip_sigma,
           Key{.help = "stars further from the median are clipped",
               .unit = "sigma",
               .min = 0.1,
               .stages = kZeropoint});
  spec.add("zp.clip_max_iters", &zp.clip_max_iters,
           Key{.help = "most rounds of clipping; 0 = none", .min = 0, .stages = kZeropoint});
}

void declare_ignored(ConfigSpec& spec) {
  for (const char* key : {"performance.frame_prep_workers", "performance.white_stack_workers",
                          "epsf.parallel_bands", "epsf.max_workers", "patch_inputs.max_workers",
                          "patch_run.max_workers", "patch_run.threads_per_process"}) {
    spec.ignore(key, "ranks come from mpirun");
  }
  spec.ignore("patch_run.resume", "every run resumes");
  spec.ignore("patch_run.python_exe", "no Python");
  for (const char* key : {"patch_run.r_ap", "patch_run.eps_flux"}) {
    spec.ignore(key, "fluxes are solved for exactly and need no starting value");
  }
  spec.ignore("patch_inputs.keep_payloads_in_memory", "pixels are read as needed");
  spec.ignore("outputs.patch_inputs_dir",
              "nothing is exported there: saved payloads are arrays of patches.h5 "
              "(patch_inputs.save_patch_inputs)");
  spec.ignore("outputs.cropped_images_dir",
              "nothing is exported there: pictures of the images are in report.html");
  spec.ignore("moffat_psf.fwhm_default_pix", "legacy");
  spec.ignore("moffat_psf.module_path", "legacy");
  spec.ignore("merge.pattern", "rows come from fit.h5");
  for (const char* key :
       {"crop.overlay_downsample_crop", "crop.overlay_crop_box", "crop.overlay_crop_enabled"}) {
    spec.ignore(key, "without effect");
  }
}

void check_image(const ImageEntry& image, const std::string& where) {
  if (image.file.empty()) {
    throw ConfigError(where + ".file", "missing", "expected a FITS image");
  }
  if (image.psf_origin_pix.size() != 2) {
    throw ConfigError(where + ".psf_origin_pix", "wrong length", "expected [x, y]");
  }
  if (image.sky != "fit" && !std::isfinite(to_number(image.sky))) {
    throw ConfigError(where + ".sky", "value \"" + image.sky + "\" is not allowed",
                      "expected \"fit\" or a number");
  }
}

void check_field(const FieldEntry& field, const std::string& prefix) {
  if (field.input_catalog.empty()) {
    throw ConfigError(prefix + "input_catalog", "missing", "expected a CSV file");
  }
  if (field.images.empty() == field.image_list_file.empty()) {
    throw ConfigError(
        prefix + "image_list_file",
        field.images.empty() ? "missing" : "given together with [[" + prefix + "images]]",
        "expected either a list file or [[" + prefix + "images]] tables");
  }
  for (std::size_t i = 0; i < field.images.size(); ++i) {
    check_image(field.images[i], prefix + "images[" + std::to_string(i) + "]");
  }
}

bool is_plain_name(const std::string& name) {
  return !name.empty() && name.front() != '.' && std::all_of(name.begin(), name.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == '.' ||
           c == '+';
  });
}

void check_fields(const Config& c) {
  if (c.fields.empty()) {
    check_field(c.inputs, "inputs.");
    return;
  }
  for (const auto& [key, given] :
       {std::pair{"inputs.input_catalog", !c.inputs.input_catalog.empty()},
        std::pair{"inputs.image_list_file", !c.inputs.image_list_file.empty()},
        std::pair{"inputs.gaiaxp_synphot_csv", !c.inputs.gaiaxp_synphot_csv.empty()},
        std::pair{"inputs.images", !c.inputs.images.empty()},
        std::pair{"merge.wcs_fits", !c.merge_wcs_fits.empty()}}) {
    if (given) {
      throw ConfigError(key, "given together with several fields",
                        "expected it in every one of the fields, or no fields");
    }
  }
  std::set<std::string> names;
  for (std::size_t i = 0; i < c.fields.size(); ++i) {
    const std::string prefix = "fields[" + std::to_string(i) + "].";
    const std::string& name = c.fields[i].tile_name;
    if (!is_plain_name(name)) {
      throw ConfigError(prefix + "tile_name", "value \"" + name + "\" is not allowed",
                        "expected letters, digits and any of _ - + . (it names a folder)");
    }
    if (!names.insert(name).second) {
      throw ConfigError(prefix + "tile_name", "value \"" + name + "\" occurs twice",
                        "expected one field of that name");
    }
    check_field(c.fields[i], prefix);
  }
}

std::string resolved(const Config& c, const std::string& path) {
  return path.empty() || std::filesystem::path(path).is_absolute()
             ? path
             : (std::filesystem::path(c.base_folder) / path).lexically_normal().string();
}

}  // namespace

void declare(ConfigSpec& spec, Config& c) {
  spec.bind_base_folder(&c.base_folder);
  declare_inputs(spec, c);
  declare_frames(spec, c);
  declare_patches(spec, c);
  declare_fit(spec, c);
  declare_zero_point(spec, c);
  declare_ignored(spec);
}

std::span<const FieldEntry> Config::field_entries() const {
  const FieldEntry& only = inputs;
  return fields.empty() ? std::span(&only, 1) : std::span(fields);
}

bool Config::calibrates() const {
  const auto all = field_entries();
  return std::any_of(all.begin(), all.end(),
                     [this](const FieldEntry& field) { return calibrates(field); });
}

std::vector<FieldEntry> share_of_fields(const std::vector<FieldEntry>& fields, std::size_t index,
                                        std::size_t count) {
  std::vector<FieldEntry> share;
  for (std::size_t i = index; i < fields.size(); i += count) {
    share.push_back(fields[i]);
  }
  if (share.empty()) {
    throw ConfigError("run.shard",
                      "this share of " + std::to_string(fields.size()) + " listed fields is empty",
                      "expected several [[fields]], and at most as many shares");
  }
  return share;
}

void check(Config& c) {
  if (!c.inputs.fields_file.empty()) {
    for (surveys::FieldRow& row : surveys::read_field_list(c.inputs.fields_file)) {
      FieldEntry field;
      field.tile_name = std::move(row.tile_name);
      field.input_catalog = resolved(c, row.input_catalog);
      field.image_list_file = resolved(c, row.image_list_file);
      field.gaiaxp_synphot_csv = resolved(c, row.gaiaxp_synphot_csv);
      c.fields.push_back(std::move(field));
    }
    c.inputs.fields_file.clear();  // the configuration now says it all
  }
  check_fields(c);
  if (!(c.zp.gaia_mag_min <= c.zp.gaia_mag_max)) {
    throw ConfigError("zp.gaia_mag_min",
                      "value " + shortest(c.zp.gaia_mag_min) + " is above zp.gaia_mag_max",
                      "expected at most " + shortest(c.zp.gaia_mag_max));
  }
  check_pictures(c);
  for (const auto& [name, size] :
       {std::pair{"epsf.final_psf_size", c.epsf.kernel.final_psf_size},
        std::pair{"epsf.cutout_size", c.epsf.kernel.cutout_size},
        std::pair{"epsf.recenter_boxsize", c.epsf.kernel.recenter_boxsize}}) {
    if (size % 2 == 0) {
      throw ConfigError(name, "value " + std::to_string(size) + " is even",
                        "expected an odd number");
    }
  }
  const std::vector<double>& q = c.epsf.kernel.q_range;
  if (q.size() != 2 || !(q[0] <= q[1])) {
    throw ConfigError("epsf.q_range", q.size() != 2 ? "wrong length" : "the least is the largest",
                      "expected [least, largest]");
  }
}

}  // namespace skyloom::photometry
