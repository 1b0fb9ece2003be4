"""Two simulated projections that meet: the rim of one is filled from the other, whatever the method
of the convolution, and without what cannot be read."""

import os
import sys

import h5py
import numpy
from runs import call_all, require

PRODUCT = "convolved_results/sector_0020/camera_3/ccd_3/convolved_images.h5"
WEST, EAST = "2404", "2405"


def survey(program, folder):
    program.run("simulate", "skycells", "--out", folder / "s", "--size", "tiny")
    return folder / "s" / "skycells.toml"


def run(program, config, out, *settings, expect=0):
    program.run("skycells", "run", config, "--out", out,
                *[word for setting in settings for word in ("--set", setting)], ranks=2,
                expect=expect, timeout=100)
    return out


def cells(run_folder):
    """Convolved pixels by name of the cell, and the rows of the list."""
    images, rows = {}, {}
    with h5py.File(run_folder / PRODUCT) as file:
        for projection in file["projections"].values():
            table = {name: column[()] for name, column in projection["cells"].items()}
            for i, name in enumerate(table["name"]):
                images[name.decode()] = projection["data"][i]
                rows[name.decode()] = {key: column[i] for key, column in table.items()}
    return images, rows


def paddings(run_folder):
    with h5py.File(run_folder / "combine.h5") as file:
        table = file["cells"]
        return {name: (pads, failed) for name, pads, failed in
                zip(table["name"].asstr()[()], table["pads"].asstr()[()],
                    table["failed_pads"].asstr()[()])}


def to_sky(row, x, y):
    """Gnomonic: 0-based pixels to degrees."""
    xi = numpy.radians(row["CD1_1"] * (x + 1 - row["CRPIX1"]) + row["CD1_2"] * (y + 1 - row["CRPIX2"]))
    eta = numpy.radians(row["CD2_1"] * (x + 1 - row["CRPIX1"]) + row["CD2_2"] * (y + 1 - row["CRPIX2"]))
    dec0 = numpy.radians(row["CRVAL2"])
    down = numpy.cos(dec0) - eta * numpy.sin(dec0)
    ra = numpy.degrees(numpy.arctan2(xi, down)) + row["CRVAL1"]
    dec = numpy.degrees(numpy.arctan2(numpy.sin(dec0) + eta * numpy.cos(dec0), numpy.hypot(xi, down)))
    return ra, dec


def to_pixel(row, ra, dec):
    a, d, d0 = numpy.radians(ra - row["CRVAL1"]), numpy.radians(dec), numpy.radians(row["CRVAL2"])
    along = numpy.sin(d) * numpy.sin(d0) + numpy.cos(d) * numpy.cos(d0) * numpy.cos(a)
    xi = numpy.degrees(numpy.cos(d) * numpy.sin(a) / along)
    eta = numpy.degrees((numpy.sin(d) * numpy.cos(d0) -
                         numpy.cos(d) * numpy.sin(d0) * numpy.cos(a)) / along)
    cd = numpy.array([[row["CD1_1"], row["CD1_2"]], [row["CD2_1"], row["CD2_2"]]])
    x, y = numpy.linalg.solve(cd, numpy.array([xi, eta]))
    return x + row["CRPIX1"] - 1, y + row["CRPIX2"] - 1


def steps_at_the_seam(run_folder, faint):
    """|west - east| at the same places of the sky, where light is faint in both."""
    images, rows = cells(run_folder)
    steps = []
    for west in (name for name in images if f".{WEST}." in name):
        # Within a sigma of the side beyond which the eastern projection goes on.
        y, x = numpy.mgrid[60:240:2, 4:12:2].astype(float)
        x, y = x.ravel(), y.ravel()
        ra, dec = to_sky(rows[west], x, y)
        for east in (name for name in images if f".{EAST}." in name):
            u, v = (numpy.rint(c).astype(int) for c in to_pixel(rows[east], ra, dec))
            height, width = images[east].shape
            # The eastern projection needs no help there.
            inside = (u > 30) & (u < width - 30) & (v > 30) & (v < height - 30)
            ours = images[west][y.astype(int)[inside], x.astype(int)[inside]]
            theirs = images[east][v[inside], u[inside]]
            good = numpy.isfinite(ours) & numpy.isfinite(theirs) & (ours < faint) & (theirs < faint)
            steps.extend(abs(ours[good] - theirs[good]))
    return numpy.array(steps)


def the_seam_is_gone(program, folder):
    config = survey(program, folder)
    filled = run(program, config, folder / "filled")
    bare = run(program, config, folder / "bare", "geometry.cross_projection=false")
    require(paddings(filled)["skycell.2404.042"][0] == "skycell.2405.045,skycell.2405.055",
            "sources of a cell on the rim")
    require(paddings(filled)["skycell.2404.044"][0] == "", "none elsewhere")
    require(not any(pads or failed for pads, failed in paddings(bare).values()),
            "none without cross_projection")
    with_pads, without = steps_at_the_seam(filled, 3.0), steps_at_the_seam(bare, 3.0)
    require(len(with_pads) > 300 and len(without) > 300, "places that both projections have")
    print(f"median step at the seam {numpy.median(with_pads):.4f}, without paddings "
          f"{numpy.median(without):.4f}")
    require(numpy.median(with_pads) < 0.2 * numpy.median(without), "the seam is gone")
    one, _ = cells(filled)
    two, _ = cells(bare)
    require(numpy.array_equal(one["skycell.2404.044"], two["skycell.2404.044"], equal_nan=True),
            "cells away from the rim do not change")


def every_method_sees_the_same(program, folder):
    config = survey(program, folder)
    plain, _ = cells(run(program, config, folder / "direct", "psf.method=direct"))
    largest = max(numpy.nanmax(abs(image)) for image in plain.values())
    for method in ("multirate", "expsum"):
        other, _ = cells(run(program, config, folder / method, f"psf.method={method}"))
        for name, image in plain.items():
            require(numpy.array_equal(numpy.isnan(image), numpy.isnan(other[name])),
                    f"{method}: NaN of {name}")
            worst = numpy.nanmax(abs(image - other[name])) / largest
            require(worst < 2e-6, f"{method}: {name}: {worst}")


def sources_that_cannot_be_read(program, folder):
    config = survey(program, folder)
    images = folder / "s" / "data" / "ps1_skycells"
    found = [path for path in images.rglob("*2405.045*.i.unconv.fits*")]
    require(len(found) == 1, f"one image: {found}")
    whole = found[0].read_bytes()
    # Headers stay; the tiles in the middle of the file lose their meaning.
    half = len(whole) // 2
    found[0].write_bytes(whole[:half] + bytes(3000) + whole[half + 3000:])
    damaged = paddings(run(program, config, folder / "damaged"))
    require("skycell.2405.045" not in damaged, "the cell itself has no result")
    require(damaged["skycell.2404.042"] == ("skycell.2405.045,skycell.2405.055", "skycell.2405.045"),
            f"a source that failed is named: {damaged['skycell.2404.042']}")
    require(damaged["skycell.2404.062"][1] == "", "others are as good as before")
    found[0].unlink()
    absent = run(program, config, folder / "absent")
    require(paddings(absent)["skycell.2404.042"][1] == "skycell.2405.045", "an absent source is named")
    # A cell that cannot be read and one that nobody has are the same to the others.
    listed = next((folder / "s" / "data").rglob("*master_skycells_list.csv"))
    lines = listed.read_text().splitlines()
    lines = [line.replace("skycell.2405.045/", "").replace("/skycell.2405.045", "")
             .replace("skycell.2405.045", "") for line in lines
             if not line.startswith(("skycell.2405.045", "rings.v3.skycell.2405.045"))]
    listed.write_text("\n".join(lines) + "\n")
    one, _ = cells(absent)
    two, _ = cells(run(program, config, folder / "unlisted"))
    for name, image in two.items():
        require(numpy.array_equal(image, one[name], equal_nan=True), f"{name} is the same")


if __name__ == "__main__":
    sys.exit(call_all(os.environ["SKYLOOM"], [the_seam_is_gone, every_method_sees_the_same,
                                 sources_that_cannot_be_read]))
