"""The report in every way of fitting: complete, without a figure that could not be drawn, and with
the figures that each way has."""

import os
import sys

import h5py
import numpy as np
from report_page import blocks, page, pixels, problems
from runs import call_all, require
from survey import table

BANDS = ["g", "r", "i"]


def simulated(program, folder):
    program.run("simulate", "photometry", "--out", folder / "s", "--size", "tiny", "--seed", 1)
    return folder / "s" / "photometry.toml"


def rows(data, file):
    return [b for b in blocks(data, "pictures") if b["file"] == file]


def pictures(data):
    return {p["file"]: p for b in blocks(data, "pictures") for p in b["pictures"]}


def all_bands_at_once(program, folder):
    run = folder / "run"
    program.run("photometry", "run", simulated(program, folder), "--out", run, ranks=2)
    data = page(run / "report.html")
    require(problems(data) == [], problems(data))
    require(data["dpi"] == 300, "resolution of saved pictures")
    shown = pictures(data)
    for name in ("white_before_crop", "white_after_crop", "white_overlay",
                 "gaia_augmentation_overlay", "psfstars", "extracted_stars", "used_stars", "epsf"):
        require(name in shown, f"picture {name} in {sorted(shown)}")
    charts = {b["file"]: b for b in blocks(data, "chart")}
    require({"zp_vs_mag__g", "epsf_growth_curve", "iterations"} <= set(charts), sorted(charts))
    # Markers stand on the sources: bright stars are brighter under their mark than 8 pixels beside.
    overlay = shown["white_overlay"]
    white = pixels(data, overlay)
    stars = next(m for m in overlay["markers"] if m["label"] == "STAR")
    x, y = np.round(stars["x"]).astype(int), np.round(stars["y"]).astype(int)
    inside = (x > 8) & (x < white.shape[1] - 9)
    on = white[y[inside], x[inside]]
    beside = white[y[inside], x[inside] + 8]
    require(np.nanmedian(on - beside) > 5.0, "markers lie on stars")
    sources = table(run / "frames.h5", "sources")
    counts = {m["label"]: m.get("count") for m in overlay["markers"]}
    require(counts["excluded: crop (not in the picture)"] == sources["excluded_crop"].sum(), counts)
    require(counts["STAR"] == stars["count"] == len(stars["x"]), counts)
    # The picture before cropping holds the cropped one, and east is left.
    before, after = (pixels(data, shown[f"white_{name}"]) for name in ("before_crop", "after_crop"))
    margin = (before.shape[0] - after.shape[0]) // 2
    inner = before[margin:-margin, margin:-margin]
    require(np.nanmax(np.abs(inner - after)) < 1e-2 * np.nanmax(after), "crop box")
    sky = overlay["sky"]
    require(sky["ra"][0] > sky["ra"][sky["columns"] - 1] and sky["dec"][0] < sky["dec"][-1],
            "north is up and east is left")
    star = table(run / "photometry.h5", "catalogue")
    box = next(m for m in shown["gaia_augmentation_overlay"]["markers"]
               if m["label"] == "selection box")
    require(box["dashed"] and "count" not in box, "selection box")
    cutouts_are_fits(program, run, star)


def cutouts_are_fits(program, run, catalogue):
    """Residuals of cut-outs are noise; only the sources asked for are drawn."""
    snr = np.where(catalogue["stype_fit"] == "", 0.0,
                   catalogue["FLUX_r_fit"] / catalogue["FLUXERR_r_fit"])
    ids = [catalogue["ID"][i] for i in np.argsort(np.nan_to_num(snr))[-3:]]
    program.run("report", run, "--cutouts", ",".join(ids))
    data = page(run / "report.html")
    drawn = [b["file"] for b in blocks(data, "pictures") if b["file"].startswith("src_")]
    require(sorted(drawn) == sorted(f"src_{i}" for i in ids), drawn)
    for name in drawn:
        row = rows(data, name)[0]
        require(row["columns"] == len(BANDS), "a column per band")
        image, model, residual = (pixels(data, row["pictures"][k * len(BANDS)]) for k in range(3))
        require(np.nanmax(np.abs(image - model - residual)) < 0.02 * np.nanmax(image), "rows")
        noise = 1.4826 * np.nanmedian(np.abs(residual))
        middle = residual[residual.shape[0] // 2 - 2:, residual.shape[1] // 2 - 2:][:5, :5]
        peak = np.nanmax(model)
        require(np.nanmax(np.abs(middle)) < 6.0 * noise + 0.03 * peak, f"{name}: residual")
    said = program.run("report", run, "--cutouts", "nobody", expect=2)
    require("no source nobody" in said, said)


def bands_apart(program, folder):
    run = folder / "run"
    program.run("photometry", "run", simulated(program, folder), "--out", run, "--set",
                "patch_run.enable_multi_band_simultaneous_fitting=false", "--set",
                "patch_run.cutout_max_sources=2", "--set", "patch_run.cutout_start=1")
    data = page(run / "report.html")
    require(problems(data) == [], problems(data))
    catalogue = table(run / "photometry.h5", "catalogue")
    fitted = [i for i, t in zip(catalogue["ID"], catalogue["stype_fit"]) if t]
    drawn = [b["file"] for b in blocks(data, "pictures") if b["file"].startswith("src_")]
    require(drawn == [f"src_{i}" for i in fitted[1:3]], "the second and third fitted source")
    patch = next(b for b in blocks(data, "pictures") if b["file"].startswith("patch_overview"))
    labels = [m["label"] for m in patch["pictures"][0]["markers"]]
    require({f"fit in {band}" for band in BANDS} <= set(labels), labels)


def forced_twice(program, folder):
    """Every image listed twice: light curves, and no band twice in a chart."""
    config = simulated(program, folder)
    listed = config.parent / "images.list"
    listed.write_text(2 * listed.read_text())
    run = folder / "run"
    program.run("photometry", "run", config, "--out", run, "--set", "patch_run.forced=true", "--set",
                "patch_run.no_cutouts=true", "--set", "crop.overlay_catalog=false", "--set",
                "crop.plot_pre_crop=false", "--set", "plotting.dpi=96")
    data = page(run / "report.html")
    require(problems(data) == [], problems(data))
    require(data["dpi"] == 96, "resolution of saved pictures")
    for chart in blocks(data, "chart"):
        labels = [s["label"] for s in chart["series"]]
        require(len(labels) == len(set(labels)), f"{chart['title']}: {labels}")
    curves = [b for b in blocks(data, "chart") if b["file"].startswith("light_curve")]
    require(len(curves) == 8, f"{len(curves)} light curves")
    forced = table(run / "photometry.h5", "forced")
    for chart in curves:
        rows_of = forced["ID"] == chart["file"].removeprefix("light_curve_")
        points = sum(len(s["y"]) for s in chart["series"])
        require(points == rows_of.sum(), "one point per flux")
    shown = pictures(data)
    require("white_overlay" not in shown and "white_before_crop" not in shown, sorted(shown))
    require(not any(b["file"].startswith("src_") for b in blocks(data, "pictures")), "no cut-outs")
    with h5py.File(run / "frames.h5") as f:
        require("preview" not in f, "no picture before cropping is kept")


def lost_image(program, folder):
    """What needs an image that is gone is a line of the report; the rest is drawn."""
    run = folder / "run"
    config = simulated(program, folder)
    program.run("photometry", "run", config, "--out", run)
    (config.parent / "sci_g.fits").unlink()
    said = program.run("report", run)
    require("warning: report: " in said and "sci_g.fits" in said, said)
    data = page(run / "report.html")
    lines = problems(data)
    require(any("cut-outs" in line for line in lines), lines)
    require("white_overlay" in pictures(data), "the white image is drawn")
    require("sky" in pictures(data)["white_overlay"], "with sky coordinates, which frames.h5 keeps")


CASES = [all_bands_at_once, bands_apart, forced_twice, lost_image]

if __name__ == "__main__":
    sys.exit(call_all(os.environ["SKYLOOM"], CASES))
