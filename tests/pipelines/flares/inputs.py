"""Where light curves come from: folders, files, patterns, lists, CSV, NumPy arrays, target lists and shares of them."""

import json
import os
import sys

import h5py
import numpy as np
from light_curves import CADENCE, spoc_name, write_light_curve, write_network
from runs import call_all, require
from survey import table

STARS = [(101, 1), (101, 2), (102, 1), (103, 5)]


def sky(folder):
    """Four sectors of three stars in two folders, and a network."""
    for i, (tic, sector) in enumerate(STARS):
        where = folder / "tree" / f"s{sector:04d}" / "deep"
        where.mkdir(parents=True, exist_ok=True)
        flux = 1000.0 * (1 + 1e-3 * np.random.default_rng(i).normal(size=600)).astype("f4")
        write_light_curve(where / spoc_name(tic, sector), tic, sector, flux)
    (folder / "tree" / "s0001" / "notes_lc.txt").write_text("no light curve\n")
    write_network(folder / "w.h5")


def searched(program, folder, inputs, *options, name="run"):
    """(TIC, sector) of the sectors that were searched."""
    config = folder / f"{name}.toml"
    config.write_text("[inputs]\n" + inputs + '\n[network]\nmodels = ["w.h5"]\n')
    program.run("flares", "detect", config, "--out", folder / name, *options)
    found = table(folder / name / "detect.h5", "sectors")
    return list(zip(found["tic"].tolist(), found["sector"].tolist()))


def folders_and_patterns(program, folder):
    sky(folder)
    require(searched(program, folder, 'light_curves = ["tree"]') == STARS, "a tree of folders")
    require(searched(program, folder, 'light_curves = ["tree/s0001/*/*.fits", "tree/s000[25]"]', name="b") == STARS,
            "patterns and folders")
    paths = sorted(str(p.relative_to(folder)) for p in (folder / "tree").rglob("*_lc.fits"))
    taken = searched(program, folder, f"light_curves = {json.dumps(paths[:1] * 2)}", name="d")
    require(taken == [(101, 1)], f"one file, named twice: {taken}")


def lists_are_taken_in_order_of_stars(program, folder):
    sky(folder)
    paths = [str(p) for p in (folder / "tree").rglob("*_lc.fits") if "s0005" not in str(p)]
    (folder / "list.txt").write_text("# a comment\n\n" + "\n".join(reversed(paths)) + "\n")
    require(searched(program, folder, 'light_curves = ["list.txt"]') == STARS[:3], "sorted by star and sector")
    require(searched(program, folder, 'targets = "list.txt"', name="t") == STARS[:3], "the list as targets")


def targets_select(program, folder):
    sky(folder)
    (folder / "t.csv").write_text("TICID,Tmag,RA,Dec,Nsector\n103,10,1,2,1\n101,10,1,2,2\n999,10,1,2,1\n")
    inputs = 'light_curves = ["tree"]\ntargets = "t.csv"'
    chosen = [STARS[0], STARS[1], STARS[3]]
    require(searched(program, folder, inputs) == chosen, "stars of the target list")
    parts = [searched(program, folder, inputs, "--set", f"run.shard={i}/2", name=f"p{i}") for i in (1, 2)]
    require(sorted(parts[0] + parts[1]) == chosen, f"shares: {parts}")


def shares_do_not_move(program, folder):
    """A member of a job array keeps its sectors while files come and go, and goes on without them."""
    lc = folder / "lc"
    lc.mkdir()
    write_network(folder / "w.h5")
    sectors = [(tic, sector) for tic in range(401, 405) for sector in (1, 2, 3)]
    for i, (tic, sector) in enumerate(sectors):
        flux = 1000.0 * (1 + 1e-3 * np.random.default_rng(i).normal(size=600)).astype("f4")
        write_light_curve(folder / spoc_name(tic, sector), tic, sector, flux)

    def there(present):
        for one in sectors:
            (lc / spoc_name(*one)).unlink(missing_ok=True)
            if one in present:
                (lc / spoc_name(*one)).write_bytes((folder / spoc_name(*one)).read_bytes())

    def share(i, name):
        return searched(program, folder, 'light_curves = ["lc"]', "--set", f"run.shard={i}/2", name=name)

    there(sectors)
    all_of = [share(i, f"all{i}") for i in (1, 2)]
    require(all(all_of) and sorted(all_of[0] + all_of[1]) == sectors, f"every sector in one share: {all_of}")
    few = sectors[::2]
    there(few)
    require([share(i, f"few{i}") for i in (1, 2)] == [[s for s in part if s in few] for part in all_of],
            "other files move no sector")
    for name, left in (("all1", few), ("all2", [])):  # a part is wiped, everything is wiped
        there(left)
        program.run("flares", "run", folder / f"{name}.toml", "--out", folder / name, "--set",
                    f"run.shard={name[-1]}/2", "--set", "injection.n_inject=2", ranks=2, timeout=200)
        rates = table(folder / name / "rates.h5", "sector_rates")
        require(list(zip(rates["tic"], rates["sector"])) == all_of[int(name[-1]) - 1], f"{name} went on")
        require(f'shard = "{name[-1]}/2"' in (folder / name / "config.toml").read_text(), "the share is told")


def empty_shares_have_nothing_to_do(program, folder):
    sky(folder)
    found = [searched(program, folder, 'light_curves = ["tree/s0005"]', "--set", f"run.shard={i}/2", name=f"p{i}")
             for i in (1, 2)]
    require(sorted(found) == [[], [STARS[3]]], str(found))
    empty = f"p{1 + found.index([])}"
    program.run("flares", "run", folder / f"{empty}.toml", "--out", folder / empty, "--set",
                f"run.shard={empty[1]}/2", ranks=2)
    require("no light curve is in this share" in (folder / empty / "logs" / "detect.log").read_text(), "a warning")
    require(len(table(folder / empty / "flares.h5", "sectors")["tic"]) == 0, "no sectors")
    require((folder / empty / "report.html").exists(), "a report")
    with h5py.File(folder / empty / "flares.h5") as f:
        require("gp_mu" not in list(f["lc"]), "no link to an array that is not there")


def text_files(program, folder):
    sky(folder)
    draw = np.random.default_rng(5)
    rows = "".join(f"{1500 + i * CADENCE:.8f},{1 + 1e-3 * draw.normal():.6f},0.001,{128 if i < 50 else 0}\n"
                   for i in range(600))
    header = "time_btjd,flux,flux_err,quality\n"
    (folder / "201_7.csv").write_text("# TEFF = 3500\n" + header + rows)
    (folder / "any.csv").write_text("# TICID = 202\n# SECTOR: 8\n# quiet\n" + header + rows)
    found = searched(program, folder, 'light_curves = ["201_7.csv", "any.csv"]')
    require(found == [(201, 7), (202, 8)], str(found))
    sectors = table(folder / "run" / "detect.h5", "sectors")
    require(sectors["teff"][0] == 3500 and np.isnan(sectors["teff"][1]), "cards of the comment lines")
    require(sectors["n_cadences"].tolist() == [550, 550] and sectors["n_rows"].tolist() == [600, 600],
            "quality flags drop rows")


def numpy_files(program, folder):
    sky(folder)
    draw = np.random.default_rng(6)
    rows = np.array([1500 + CADENCE * np.arange(600), 1 + 1e-3 * draw.normal(size=600), np.full(600, 1e-3)])
    (folder / "arrays").mkdir()
    np.save(folder / "arrays" / "301_7.npy", rows)
    np.save(folder / "arrays" / "302_8.npy", np.asfortranarray(rows))
    np.save(folder / "arrays" / "303_9.npy", rows[:2])
    np.save(folder / "arrays" / "notes.npy", rows[0])
    found = searched(program, folder, 'light_curves = ["arrays"]', "--set", "run.max_failed_fraction=1")
    require(found == [(301, 7), (302, 8)], str(found))
    curves = table(folder / "run" / "detect.h5", "lc")
    for name in ("time", "flux", "flux_err", "flare_prob"):
        first, second = np.split(curves[name], 2)
        require(first.tobytes() == second.tobytes(), f"{name} does not depend on the order in the file")
    require(np.array_equal(first, second, equal_nan=True) and np.array_equal(curves["time"][:600], rows[0]), "times")
    said = program.run("status", folder / "run")
    require("303_9.npy" in said and "has the shape (2, 600)" in said, said)


if __name__ == "__main__":
    sys.exit(call_all(os.environ["SKYLOOM"], [folders_and_patterns, lists_are_taken_in_order_of_stars,
                                              targets_select, shares_do_not_move, empty_shares_have_nothing_to_do,
                                              text_files, numpy_files]))
