"""Convolved skycells against an independent oracle (support/skycell_rows.py): layouts with absent cells, gaps between
rows, late rows and two projections, files missing or damaged, all methods and rules."""
import os

import numpy as np

from runs import Program, scratch as scratch_folder
from skycell_rows import Oracle, cells_of, drop, file_of, place_of, toml_value, worst_of
from survey import Checks

check = Checks()
ALLOWED = 1e-6  # of the largest value
# Surveys: seed, cells not listed, files removed, cells with a damaged file.
SURVEYS = {
    "whole": (1, (), (), ()),
    "gaps": (2, ("2405.053", "2405.054", "2405.055", "2404.042", "2404.044"), (), ()),
    "torn": (3, ("2404.043",), (("2404.044", "z"), ("2405.055", "r")), ("2405.045",)),
}
# Survey, what is tried, keys.
CASES = (
    ("whole", "as simulated", {}),
    ("whole", "weights, pixels that a band lacks", {"psf.missing": "normalise", "bands.missing_pixel": "renormalise"}),
    ("whole", "every place of the sky once", {"io.extract": "unique"}),
    ("whole", "no padding", {"geometry.cross_projection": False}),
    ("whole", "coarse grid", {"io.sampling": "coarse"}),
    ("whole", "direct sums", {"psf.method": "direct"}),
    ("whole", "transforms", {"psf.method": "fft"}),
    ("whole", "sums of exponentials", {"psf.method": "expsum"}),
    ("gaps", "gap between rows, late rows, single cells", {}),
    ("gaps", "old rules of rims", {"geometry.strict_slots": True, "geometry.edge_policy": "void"}),
    ("gaps", "weights, other bands and Gaussian", {"psf.missing": "normalise", "psf.min_weight": 0.4, "psf.sigma": 8.0,
                                                   "bands.use": ["i", "z"], "bands.weights": [0.7, 0.3]}),
    ("torn", "bands missing", {"bands.missing_band": "renormalise"}),
    ("torn", "bands skipped", {"bands.missing_band": "skip", "geometry.strict_slots": True}),
)


def make_survey(program, folder, seed, unlisted, removed, damaged):
    program.run("simulate", "skycells", "--out", folder, "--size", "tiny", "--seed", seed)
    if unlisted:
        drop(folder, unlisted)
    for cell, band in removed:
        file_of(folder, cell, band).unlink()
    for cell in damaged:
        path = file_of(folder, cell, "i")
        os.truncate(path, path.stat().st_size // 2)


def compare(program, survey, run, name, keys, damaged):
    sets = [word for key, value in keys.items() for word in ("--set", f"{key}={toml_value(value)}")]
    program.run("skycells", "run", survey / "skycells.toml", "--out", run, *sets)
    lost = {place_of("skycell." + c) for c in damaged}
    cells = cells_of(run)
    differs, error, local = worst_of(Oracle(survey / "skycells.toml", keys, lost), cells)
    check(not differs and error <= ALLOWED and local <= 1.0,
          differs and f"{name}: {differs}" or f"{name}: largest error {error:.1e} of the largest value ({ALLOWED:.0e} "
          f"allowed), local criterion {local:.2f} (1 allowed); same missing pixels and masks")
    for place in lost:
        data, mask = cells[place]
        check(np.all(np.isnan(data)) and not np.any(mask), f"{name}: nothing where the file is damaged")


def main():
    with scratch_folder() as folder:
        program = Program(os.environ["SKYLOOM"], folder)
        for name, survey in SURVEYS.items():
            make_survey(program, folder / name, *survey)
        for i, (survey, name, keys) in enumerate(CASES):
            compare(program, folder / survey, folder / f"run{i}", f"{survey}, {name}", keys, SURVEYS[survey][-1])
    check.finish()


main()
