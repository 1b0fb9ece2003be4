"""Two fields in one run: as one list of units, as shares of a job array, and with what each exports."""

import os
import sys

import h5py
import numpy as np
from runs import call_all, require
from survey import csv, table, write_csv


def survey(program, folder):
    """Two tiny fields; the second has no Gaia table, one column more, and no ELL and Re."""
    for number in (1, 2):
        program.run("simulate", "photometry", "--out", folder / f"s{number}", "--size", "tiny",
                    "--seed", number)
    text = (folder / "s2" / "catalog.csv").read_text().splitlines()
    (folder / "s2" / "catalog.csv").write_text(
        "\n".join([text[0] + ",NOTE"] + [line + ",seen" for line in text[1:]]) + "\n")
    columns = csv(folder / "s2" / "catalog.csv")
    write_csv(folder / "s2" / "catalog.csv",
              {name: values for name, values in columns.items() if name not in ("ELL", "Re")})
    (folder / "fields.csv").write_text(
        "tile_name,input_catalog,image_list_file,gaiaxp_synphot_csv\n"
        "north,s1/catalog.csv,s1/images.list,s1/gaia.csv\n"
        "south,s2/catalog.csv,s2/images.list,\n")
    for number in (1, 2):
        lines = (folder / f"s{number}" / "images.list").read_text().splitlines()
        names = [line for line in lines if line and not line.startswith("#")]
        (folder / f"s{number}" / "images.list").write_text(
            "".join(f"{folder / f's{number}' / name}\n" for name in names))
    shared = (folder / "s1" / "photometry.toml").read_text().split("[image_scaling]")[1]
    (folder / "run.toml").write_text('[inputs]\nfields_file = "fields.csv"\n[image_scaling]' + shared)
    return folder / "run.toml"


def fields_are_independent(program, folder):
    config = survey(program, folder)
    run = folder / "both"
    said = program.run("photometry", "run", config, "--out", run, ranks=2)
    require("zero point north" in said and "zero point south" not in said, said)
    require("report:" not in said, f"every picture is drawn: {said}")
    both = table(run / "photometry.h5", "catalogue")
    require(list(dict.fromkeys(both["field"])) == ["north", "south"], "fields in their order")
    require(set(both["NOTE"][both["field"] == "south"]) == {"seen"}, "columns of one field")
    require(set(both["NOTE"][both["field"] == "north"]) == {""}, "missing in the other")
    for number, tile in ((1, "north"), (2, "south")):
        alone = folder / tile
        program.run("photometry", "run", config, "--out", alone, "--set", f'run.shard="{number}/2"')
        one = table(alone / "photometry.h5", "catalogue")
        rows = both["field"] == tile
        for name, values in one.items():
            require(np.array_equal(values, both[name][rows], equal_nan=values.dtype.kind == "f"),
                    f"{tile}: column {name} is the same in a share of its own")
        require(csv(run / "fields" / tile / "output_catalog.csv")["FLUX_g_fit"].tolist() ==
                csv(alone / "fields" / tile / "output_catalog.csv")["FLUX_g_fit"].tolist(), "exports")
    require((run / "fields" / "north" / "ZP" / "zp_summary.csv").exists(), "zero points of north")
    require(not (run / "fields" / "south" / "ZP").exists(), "south measures none")
    with h5py.File(run / "frames.h5") as f:
        require({"north", "south"} <= set(f), "white images by field")
        require(f["north/white/image"].shape == f["south/white/image"].shape, "their sizes")


def resumed_on_other_ranks(program, folder):
    config = survey(program, folder)
    # The stages that prepare for the PSF are done on the way of its command, and again with other settings.
    program.run("photometry", "epsf", config, "--out", folder / "steps", "--set", "epsf.background_boxsize=64",
                ranks=2)
    program.run("photometry", "epsf", config, "--out", folder / "steps", ranks=3)
    program.run("photometry", "run", config, "--out", folder / "steps", ranks=2)
    program.run("photometry", "run", config, "--out", folder / "whole")
    one = table(folder / "steps" / "photometry.h5", "catalogue")
    two = table(folder / "whole" / "photometry.h5", "catalogue")
    for name, values in one.items():
        require(np.array_equal(values, two[name], equal_nan=values.dtype.kind == "f"), name)


if __name__ == "__main__":
    sys.exit(call_all(os.environ["SKYLOOM"], [fields_are_independent, resumed_on_other_ranks]))
