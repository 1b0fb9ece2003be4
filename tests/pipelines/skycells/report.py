"""The report of a skycells run: maps of projections with their cells, seams, method, and what failed and why."""

import os
import sys

import numpy as np
from report_page import blocks, page, pixels, problems
from runs import call_all, require
from skycells import Product, files_of, run, survey

STEP = 6  # pixels between points of a preview: 330 x 300 pixels in at most 64 points


def rows_of(data, title):
    return next(b for b in blocks(data, "table") if b["title"].startswith(title))["rows"]


def maps_and_failures(program, folder):
    config = survey(program, folder)
    for path in files_of(config, "*2405.044*.i.unconv.fits"):
        os.truncate(path, 5000)
    out = run(program, config, folder / "run", ranks=1)
    data = page(out / "report.html")
    require(problems(data) == [], problems(data))
    require([s["title"] for s in data["sections"]] == ["Sky", "Projections", "Seams", "Method", "Cells"],
            [s["title"] for s in data["sections"]])
    facts = dict(data["facts"])
    require(facts["cells"] == "15" and facts["failed"] == "1" and facts["projections"] == "2", facts)
    failed = rows_of(data, "Failed cells: 1")
    require(failed[0][:2] == ["skycell.2405.044", "combine"] and "2405.044.stk.i" in failed[0][2], failed)
    require(dict(rows_of(data, "Convolution"))["method"] == "multirate", "method")
    require([r[0] for r in rows_of(data, "Time")] == ["combine", "convolve"], "stages")
    in_row = next(r for r in rows_of(data, "Largest difference") if r[0] == "in a row")
    require(float(in_row[4]) == 0.0, "cells of a row agree where they overlap")

    pictures = {p["file"]: p for b in blocks(data, "pictures") for p in b["pictures"]}
    mosaic = pictures["projection_2405"]
    counts = {m["label"]: m["count"] for m in mosaic["markers"]}
    require(counts == {"convolved": 7, "failed in combine": 1}, counts)
    # Pixels of the picture are those of the product on the lattice of the projection.
    shown = pixels(data, mosaic)
    image = Product(out).data["skycell.2405.053"]
    x0, y0 = 3 * 270, 5 * 240  # first pixel of the cell in the projection
    found = 0
    for y in range(y0 + 60, y0 + 240):
        for x in range(x0 + 60, x0 + 270):  # where no other cell of the projection is
            if x % STEP == 0 and y % STEP == 0:
                i, j = (y - mosaic["y0"]) // STEP, (x - mosaic["x0"]) // STEP
                one, other = shown[int(i), int(j)], image[y - y0, x - x0]
                require(np.isnan(one) == np.isnan(other), (x, y, one, other))
                require(np.isnan(one) or abs(one - other) < 0.01 * np.nanmax(image), (x, y, one, other))
                found += 1
    require(found == 30 * 35, found)


CASES = [maps_and_failures]

if __name__ == "__main__":
    sys.exit(call_all(os.environ["SKYLOOM"], CASES))
