"""Saved patch inputs: what patches.h5 keeps, a fit without images, compression, pruning."""

import os
import shutil
import sys

import h5py
import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from products import differences
from runs import call_all, kill_one_rank, require, wait_for
from survey import csv, numbers, table, write_csv

SAVE = ("--set", "patch_inputs.save_patch_inputs=true")
PLAIN = ("--set", "patch_inputs.gzip_compresslevel=0")


def simulated(program, folder):
    program.run("simulate", "photometry", "--out", folder / "s", "--size", "tiny")
    return folder / "s" / "photometry.toml"


def survey_of_two_fields(program, folder):
    """Two fields; g has a second image that begins at another pixel, on a grid of its own."""
    simulated(program, folder)
    where = folder / "s"
    with fits.open(where / "sci_g.fits") as f:
        data, header = f[0].data[7:-9, 4:].copy(), f[0].header.copy()
    header["CRPIX1"] -= 4
    header["CRPIX2"] -= 7
    fits.PrimaryHDU(data, header).writeto(where / "late_g.fits")
    images = "".join(f'[[fields.images]]\nfile = "{name}.fits"\n'
                     for name in ("sci_g", "late_g", "sci_r"))
    # Its own catalogue has the bands of these images only.
    given = csv(where / "catalog.csv")
    given.pop("FLUX_i")
    write_csv(where / "two.csv", given)
    fields = "".join(f'[[fields]]\ntile_name = "{name}"\ninput_catalog = "two.csv"\n{images}'
                     for name in ("north", "south"))
    (where / "two.toml").write_text(
        fields + "[crop]\nmargin = 16\n[checks]\nrequire_wcs_alignment = false\n"
        "require_same_shape = false\n[epsf]\nepsf_ngrid = 1\nngrid = 2\n[zp]\nenabled = false\n")
    return where / "two.toml"


def same_but_for_the_hash(one, two, name):
    found = [line for line in differences(one / name, two / name) if "@stage_hash" not in line]
    require(not found, f"{name} differs: " + "; ".join(found[:5]))


def fit_needs_no_images(program, folder):
    """Equal bits from images and from payloads, plain or compressed, the images gone."""
    config = survey_of_two_fields(program, folder)
    program.run("photometry", "run", config, "--out", folder / "images", ranks=2)
    for name, options in (("packed", SAVE), ("plain", SAVE + PLAIN)):
        run = folder / name
        for stage in ("frames", "epsf", "patches"):
            program.run("photometry", stage, config, "--out", run, *options, ranks=2)
    images = list((folder / "s").glob("*_?.fits"))
    images = [p for p in images if not p.name.startswith("psf")]
    require(len(images) == 4, f"images: {images}")
    for image in images:
        shutil.move(image, folder / image.name)
    for name, options in (("packed", SAVE), ("plain", SAVE + PLAIN)):
        run = folder / name
        for ranks, stage in ((2, "fit"), (1, "catalogue"), (2, "zeropoint")):
            program.run("photometry", stage, config, "--out", run, *options, ranks=ranks)
        for product in ("fit.h5", "catalogue.h5", "zeropoint.h5"):
            same_but_for_the_hash(folder / "images", run, product)
        for field in ("north", "south"):
            require((run / "fields" / field / "output_catalog.csv").read_bytes() ==
                    (folder / "images" / "fields" / field / "output_catalog.csv").read_bytes(),
                    "the same catalogue")
    for product in ("patches.h5",):
        same_but_for_the_hash(folder / "packed", folder / "plain", product)
    size = {name: (folder / name / "patches.slabs.h5").stat().st_size for name in ("packed", "plain")}
    require(size["packed"] < 0.75 * size["plain"], f"compressed: {size}")
    # Without payloads the images are missed before anything is fitted.
    said = program.run("photometry", "fit", config, "--out", folder / "images", "--fresh", expect=2)
    require("sci_g.fits" in said and said.count("skyloom: ") == 1, said)
    said = program.run("photometry", "epsf", config, "--out", folder / "plain", "--fresh", *SAVE,
                       *PLAIN, expect=2)
    require("sci_g.fits" in said, said)


def payloads_hold_the_pixels(program, folder):
    config = survey_of_two_fields(program, folder)
    run = folder / "run"
    program.run("photometry", "patches", config, "--out", run, *SAVE, "--set",
                "patch_inputs.include_wcs_in_payload=true", ranks=2)
    patches = table(run / "patches.h5", "patches")
    places = table(run / "patches.h5", "patch_pixels")
    frames = table(run / "frames.h5", "frames")
    sources = table(run / "frames.h5", "sources")
    require(len(places["patch"]) == 3 * len(patches["patch_tag"]) == 24, "a row per patch and image")
    groups = ["pixels/g/00000", "pixels/g/00001", "pixels/r"]
    with h5py.File(run / "patches.h5") as f:
        for i in range(24):
            patch, frame = places["patch"][i], places["frame"][i]
            with fits.open(folder / "s" / frames["file"][frame]) as image:
                header, data = image[0].header, image[0].data.astype(np.float64)
            box = np.s_[places["y0"][i]:places["y0"][i] + places["height"][i],
                        places["x0"][i]:places["x0"][i] + places["width"][i]]
            group = f[patches["field"][patch]][groups[frame % 3]]
            part = np.s_[places["offset"][i]:places["offset"][i] + data[box].size]
            scale = 10 ** (-0.4 * (header["ZP_AUTO"] - 25.0))
            bad = ~np.isfinite(data[box]) | (data[box] >= header["SATURATE"] / 2)
            good = ~bad.ravel()
            img, sky, total = (group[n][part] for n in ("img", "sigma_sky", "sigma_total"))
            require(group["img"].dtype == np.float32 and group["bad"].dtype == np.uint8, "types")
            require(np.array_equal(group["bad"][part] == 0, good), "bad pixels")
            expected = np.nan_to_num(data[box].ravel()) * scale
            require(np.allclose(img[good], expected[good], rtol=1e-6, atol=0), "scaled flux")
            require(np.allclose(sky[good], header["SKYSIG"] * scale, rtol=1e-6), "sky noise")
            noise = np.hypot(header["SKYSIG"], np.sqrt(np.maximum(data[box].ravel(), 0) /
                                                       header["EGAIN"])) * scale
            require(np.allclose(total[good], noise[good], rtol=1e-5), "noise with light")
            require(np.all(img[~good] == 0) and np.all(np.isinf(sky[~good])) and
                    np.all(np.isinf(total[~good])), "bad pixels count nothing")
            if frames["on_grid"][frame]:
                require(places["offset"][i] == patches["pixel_offset"][patch] and
                        places["width"][i] == patches["x1_roi"][patch] - patches["x0_roi"][patch] and
                        places["x0"][i] == patches["x0_roi"][patch] + 16, "as /patches says")
    require(set(places["width"][places["frame"] % 3 == 1]) != set(places["width"][places["frame"] % 3 == 0]),
            "the late image has boxes of its own")
    check_sub_catalogues(table(run / "patches.h5", "patch_sources"), sources, patches)


def check_sub_catalogues(kept, sources, patches):
    active = sources["excluded_any"] == 0
    require(len(kept["ID"]) == active.sum() == patches["n_sources"].sum(), "every active source once")
    require(sorted(kept["source_row"]) == list(np.flatnonzero(active)), "rows of /sources")
    rows = kept["source_row"]
    for name in sources:
        require(np.array_equal(kept[name], sources[name][rows],
                               equal_nan=sources[name].dtype.kind == "f"), f"column {name} is kept")
    of = {(f, t): i for i, (f, t) in enumerate(zip(patches["field"], patches["patch_tag"]))}
    for k in range(len(rows)):
        patch = of[kept["field"][k], kept["patch_tag"][k]]
        x, y = sources["x_pix_white"][rows[k]], sources["y_pix_white"][rows[k]]
        require(patches["x0_base"][patch] <= x < patches["x1_base"][patch] and
                patches["y0_base"][patch] <= y < patches["y1_base"][patch], "in its base box")
        text = patches["wcs"][patch]
        header = fits.Header.fromstring(text.ljust((len(text) + 79) // 80 * 80))
        u, v = WCS(header).all_world2pix(kept["RA"][k], kept["DEC"][k], 0)
        require(np.hypot(u - kept["x_pix_patch"][k], v - kept["y_pix_patch"][k]) < 1e-6,
                "the WCS of the patch")
        require(header["NAXIS1"] == patches["x1_roi"][patch] - patches["x0_roi"][patch], "its size")


def killed_while_compressing(program, folder):
    """Killed in the collective pass and resumed on other ranks: the arrays of an undisturbed run."""
    config = simulated(program, folder)
    # Wide halos make much of little: 17 MB.
    options = SAVE + ("--set", "patch_inputs.gzip_compresslevel=9", "--set", "epsf.ngrid=3", "--set",
                      "patches.halo_pix_min=300")
    program.run("photometry", "patches", config, "--out", folder / "whole", *options, timeout=120)
    units = 1 + len(table(folder / "whole" / "patches.h5", "patches")["patch_tag"])
    run = folder / "killed"
    process = program.start("photometry", "patches", config, "--out", run, *options, ranks=2)
    wait_for((run / "patches.slabs.h5.packed.tmp").exists, "compression")
    kill_one_rank(process)
    program.wait(process, None)
    require(process.returncode not in (0, 75), f"killed, but exit {process.returncode}")
    require(not (run / "patches.h5").exists() and not (run / "patches.slabs.h5").exists() and
            (run / "patches.slabs.h5.tmp").exists(), "killed in the pass")
    said = program.run("photometry", "patches", config, "--out", run, *options, ranks=3, timeout=120)
    require(f"{units} units ({units} recovered)" in said, said)
    same_but_for_the_hash(folder / "whole", run, "patches.h5")
    require(not list(run.glob("*.tmp*")), "nothing is left over")


def empty_cells_and_patches(program, folder):
    """The table of photometry.md 8. Sources in two of nine cells."""
    config = simulated(program, folder)
    where = folder / "s"
    given = csv(where / "catalog.csv")
    program.run("photometry", "frames", config, "--out", folder / "all", "--set", "zp.enabled=false")
    sources = table(folder / "all" / "frames.h5", "sources")
    x, y = sources["x_pix_white"], sources["y_pix_white"]
    with h5py.File(folder / "all" / "frames.h5") as f:
        height, width = f["white/image"].shape
    keep = ((x < width // 3) & (y < height // 3)) | ((x >= 2 * (width // 3)) & (y >= 2 * (height // 3)))
    keep &= sources["excluded_any"] == 0
    write_csv(where / "catalog.csv", {name: values[keep] for name, values in given.items()})
    sx, sy = width // 3, height // 3

    def place(value, step, end):
        cell = np.minimum((value // step).astype(int), 2)
        size = np.where(cell == 2, end - 2 * step, step)
        return cell, np.minimum((value - cell * step) // (size // 3), 2).astype(int)

    column, inner_column = place(x[keep], sx, width)
    row, inner_row = place(y[keep], sy, height)
    cells = len(set(zip(row, column)))
    occupied = len(set(zip(row, column, inner_row, inner_column)))
    require(cells == 2 and 2 < occupied < 18, f"a catalogue for the test: {cells}, {occupied}")
    expected = {(True, True): (2, occupied), (True, False): (2, 18),
                (False, True): (9, occupied), (False, False): (9, 81)}
    for (skip_cells, skip_patches), (n_cells, n_patches) in expected.items():
        run = folder / f"{skip_cells}{skip_patches}"
        program.run("photometry", "run", config, "--out", run, *SAVE, "--set", "epsf.epsf_ngrid=3",
                    "--set", "epsf.ngrid=3", "--set", "zp.enabled=false", "--set",
                    f"epsf.skip_empty_epsf_patches={str(skip_cells).lower()}", "--set",
                    f"patch_inputs.skip_empty_patch={str(skip_patches).lower()}", ranks=2)
        built = table(run / "epsf.h5", "cells")
        counts = (len(set(built["epsf_tag"])), len(table(run / "patches.h5", "patches")["patch_tag"]),
                  len(set(table(run / "patches.h5", "patch_pixels")["patch"])),
                  len(table(run / "fit.h5", "fit_patches")["patch_tag"]))
        require(counts == (n_cells, n_patches, n_patches, n_patches),
                f"skip cells {skip_cells}, patches {skip_patches}: {counts}")
        fit = table(run / "fit.h5", "fit")
        require(len(fit["source"]) == keep.sum(), "every source is fitted")
        units = table(run / "fit.h5", "units")
        require(all(units["outcome"] == "ok"), "fits without sources succeed")
        summary = csv(run / "outputs" / "run_summary.csv")
        require(list(summary) == ["patch", "status", "reason", "sec"] and
                len(summary["patch"]) == n_patches and set(summary["status"]) == {"ok"} and
                list(summary["patch"]) == [key.split("/")[1] for key in units["key"]],
                "a row per fit")
        seconds = numbers(summary["sec"])
        require(np.all((seconds > 0) & (seconds < 60)), f"wall times: {seconds}")


def summary_names_failures(program, folder):
    """A patch whose pixels cannot be read fails alone, in patches and then in fit."""
    config = survey_of_two_fields(program, folder)
    run = folder / "run"
    program.run("photometry", "run", config, "--out", run, *SAVE, ranks=2)
    # The last rows of /patch_pixels, as if the last patch of the last field had not been saved.
    with h5py.File(run / "patches.h5", "a") as f:
        for name in list(f["patch_pixels"]):
            values = f["patch_pixels"][name][:-3]
            del f["patch_pixels"][name]
            f["patch_pixels"][name] = values
    program.run("photometry", "fit", config, "--out", run, *SAVE, "--fresh", expect=3)
    for stage in ("catalogue", "zeropoint"):
        program.run("photometry", stage, config, "--out", run, *SAVE, expect=3)
    good = csv(run / "fields" / "north" / "outputs" / "run_summary.csv")
    bad = csv(run / "fields" / "south" / "outputs" / "run_summary.csv")
    require(list(good["status"]) == ["ok"] * 4, str(good))
    require(list(bad["status"]) == ["ok"] * 3 + ["fail"] and bad["reason"][3] == "bad_input", str(bad))
    require(list(bad["patch"]) == list(good["patch"]), "tags of patches")


def too_fine_a_grid(program, folder):
    config = simulated(program, folder)
    for settings in (("epsf.ngrid=300",), ("epsf.epsf_ngrid=100", "epsf.ngrid=3")):
        options = [word for setting in settings for word in ("--set", setting)]
        said = program.run("photometry", "run", config, "--out", folder / "run", *options, expect=2)
        lines = [line for line in said.splitlines() if line.startswith("skyloom: ")]
        require(len(lines) == 1 and "epsf.ngrid" in lines[0] and "too fine" in lines[0], said)
        require(not (folder / "run").exists(), "nothing is written")
    program.run("photometry", "frames", config, "--out", folder / "run")
    said = program.run("photometry", "patches", config, "--out", folder / "run", "--set",
                       "epsf.ngrid=300", expect=2)
    require("epsf.ngrid" in said, said)


def folders_without_exports(program, folder):
    config = simulated(program, folder)
    said = program.run("photometry", "frames", config, "--out", folder / "run", "--set",
                       'outputs.patch_inputs_dir="a"', "--set", 'outputs.cropped_images_dir="b"')
    require("outputs.patch_inputs_dir (nothing is exported there" in said and
            "outputs.cropped_images_dir (nothing is exported there" in said, said)


if __name__ == "__main__":
    sys.exit(call_all(os.environ["SKYLOOM"], [
        fit_needs_no_images,
        payloads_hold_the_pixels,
        killed_while_compressing,
        empty_cells_and_patches,
        summary_names_failures,
        too_fine_a_grid,
        folders_without_exports,
    ]))
