"""Skycells that cannot be done: settings and lists that are wrong end the run in one line before anything is
written; too many failed cells end it with status 3; cells whose files are replaced are done again."""

import os
import sys

from products import run_differences
from runs import call_all, require
from skycells import files_of, list_of, run, survey
from survey import table


def refused(program, folder, config, hints, *settings):
    words = [word for setting in settings for word in ("--set", setting)]
    said = program.run("skycells", "run", config, "--out", folder / "run", *words, expect=2, ranks=1 if settings else 2)
    lines = [line for line in said.splitlines() if line.startswith("skyloom: ")]
    require(len(lines) == 1, "one line: " + said)
    for hint in hints:
        require(hint in lines[0], f"'{hint}' expected in: {lines[0]}")
    require(not (folder / "run").exists(), "nothing is written")


def bad_settings(program, folder):
    config = survey(program, folder)
    for setting, *hints in (("psf.radius=57", "psf.radius", "at most 56"),
                            ("psf.sigma=0", "psf.sigma"),
                            ("psf.method=boxes", "psf.method", "multirate"),
                            ("bands.weights=[0.5,0.5]", "bands.weights", "4"),
                            ("bands.weights=[0.5,0.5,0.5,-0.5]", "bands.weights", "above 0"),
                            ("bands.use=['r','r','z','y']", "bands.use"),
                            ("bands.use=['r','i','z','u']", "bands.use", "\"u\""),
                            ("geometry.edge_exclusion=61", "geometry.edge_exclusion"),
                            ("geometry.overlap=150", "330 x 300", "150"),
                            ("geometry.pad=250", "geometry", "330 x 300"),
                            ("inputs.sector=21", "tess_s0021_3_3_master_skycells_list.csv"),
                            ("inputs.sector=0", "inputs.csv"),
                            ("inputs.input_root=nowhere", "nowhere"),
                            ("inputs.format=zarr", "ps1_skycells.zarr"),
                            ("inputs.cells=['skycell.12']", "inputs.cells", "skycell.12"),
                            ("inputs.projections=[3]", "inputs.projections", "3"),
                            ("io.sampling=none", "io.sampling"),
                            ("saturation.mode=remove", "gaia_catalog_s0020_3_3.csv"),
                            ("inputs.nothing=1", "inputs.nothing")):
        refused(program, folder, config, hints, setting)
    refused(program, folder, config, ["io.sampling", "multirate"], "io.sampling=coarse", "psf.method=direct")
    refused(program, folder, config, ["psf.method"], "psf.method=multirate", "psf.sigma=2.0", "psf.radius=16")


def bad_lists(program, folder):
    config = survey(program, folder)
    listed = list_of(config)
    whole = listed.read_text()
    lines = whole.splitlines()
    listed.write_text(lines[0] + "\n")
    refused(program, folder, config, [listed.name, "no skycell"])
    listed.write_text("\n".join(lines + [lines[1]]) + "\n")
    refused(program, folder, config, [listed.name, "NAME"])
    listed.write_text(whole.replace("NAXIS1", "WIDTH"))
    refused(program, folder, config, [listed.name, "NAXIS1"])
    listed.write_text(whole)
    empty = folder / "empty"
    empty.mkdir()
    refused(program, folder, config, ["empty", "skycell.2404.042"], f"inputs.input_root='{empty}'")


def too_many_failed(program, folder):
    config = survey(program, folder)
    for cell in ("2404.042", "2404.043", "2405.054"):
        for path in files_of(config, f"*{cell}*.r.unconv.fits"):
            path.unlink()
    run(program, config, folder / "run", expect=3)
    require("3 of" in program.said or "3 failed" in program.said, program.said)
    run(program, config, folder / "run", "run.max_failed_fraction=0.3")
    cells = table(folder / "run" / "skycells.h5", "cells")
    require(list(cells["status"]).count("failed") == 3, "the others are there")
    require("no image of band r" in cells["message"][0], cells["message"][0])


def mended_cell_is_taken(program, folder):
    """Neighbours in another projection, whose sides it fills, were made without it."""
    config = survey(program, folder)
    run(program, config, folder / "ref")
    image = files_of(config, "*2404.042*.i.unconv.fits")[0]
    whole = image.read_bytes()
    image.write_bytes(whole[:5760])
    run(program, config, folder / "run")
    require("1 unit failed" in program.said, program.said)
    image.write_bytes(whole)
    run(program, config, folder / "run", expect=2)
    require(image.name + " changed" in program.said and "--retry-failed" in program.said, program.said)
    program.run("skycells", "run", config, "--out", folder / "run", "--retry-failed", ranks=2)
    require("stage combine: 16 units (13 recovered)" in program.said, program.said)
    found = run_differences(folder / "ref", folder / "run")
    require(not found, "as if it had been whole from the beginning: " + "; ".join(found[:5]))


if __name__ == "__main__":
    sys.exit(call_all(os.environ["SKYLOOM"], [bad_settings, bad_lists, too_many_failed, mended_cell_is_taken]))
