"""The flares of a tiny simulated survey: any number of ranks, any interruption, the same bits, in the
products and in the files of the sectors."""

import os
import shutil
import sys

import h5py
from products import run_differences
from runs import call_all, kill_one_rank, require, wait_for


def survey(program, folder):
    program.run("simulate", "flares", "--out", folder / "s", "--size", "tiny")
    return folder / "s" / "flares.toml"


def require_equal(one, two):
    require(len(list((one / "sectors").glob("*.h5"))) == 4, "a file of every sector")
    found = run_differences(one, two)
    require(not found, "products differ: " + "; ".join(found[:5]))


def rank_counts_agree(program, folder):
    config = survey(program, folder)
    for ranks in (1, 2, 4):
        program.run("flares", "run", config, "--out", folder / f"n{ranks}", ranks=ranks, timeout=200)
    require_equal(folder / "n1", folder / "n2")
    require_equal(folder / "n1", folder / "n4")
    for name in ("flares.csv", "sectors.csv"):
        require((folder / "n1" / name).read_bytes() == (folder / "n4" / name).read_bytes(), name)


def killed_in_the_injections(program, folder):
    config = survey(program, folder)
    many = ("--set", "injection.n_inject=1000", "--set", "injection.block_flares=50")
    program.run("flares", "run", config, "--out", folder / "ref", *many, ranks=2, timeout=200)
    run = folder / "killed"
    process = program.start("flares", "run", config, "--out", run, *many, ranks=2)
    wait_for(lambda: (run / "inject").is_dir() and
             sum(p.stat().st_blocks for p in (run / "inject").glob("journal.g*")) > 0, "journalled blocks")
    kill_one_rank(process)
    program.wait(process, None)
    require(process.returncode not in (0, 75), f"killed, but exit {process.returncode}")
    program.run("flares", "run", config, "--out", run, *many, ranks=3, timeout=200)
    require_equal(folder / "ref", run)


def killed_between_files_of_sectors(program, folder):
    config = survey(program, folder)
    program.run("flares", "run", config, "--out", folder / "ref", timeout=200)
    run = folder / "killed"
    os.environ["SKYLOOM_TEST_ACCIDENT"] = "file=kill@3"
    try:
        program.run("flares", "run", config, "--out", run, expect=-9, timeout=200)
    finally:
        del os.environ["SKYLOOM_TEST_ACCIDENT"]
    require(not (run / "flares.h5").exists(), "it died before the end")
    before = {p.name: p.stat().st_mtime_ns for p in (run / "sectors").glob("*.h5")}
    require(len(before) == 2, f"two files were there: {before}")
    program.run("flares", "run", config, "--out", run, ranks=2, timeout=200)
    require_equal(folder / "ref", run)
    for name, time in before.items():
        require((run / "sectors" / name).stat().st_mtime_ns == time, name + " was not written again")


def light_curves_may_go(program, folder):
    """What later stages need is in the product of the first one."""
    config = survey(program, folder)
    program.run("flares", "run", config, "--out", folder / "ref", timeout=200)
    program.run("flares", "detect", config, "--out", folder / "run")
    shutil.rmtree(folder / "s" / "light_curves")
    program.run("flares", "run", config, "--out", folder / "run", ranks=2, timeout=200)
    require_equal(folder / "ref", folder / "run")
    said = program.run("flares", "run", config, "--out", folder / "other", expect=2)
    require("inputs.light_curves" in said and not (folder / "other").exists(), said)


def mended_light_curve_is_taken(program, folder):
    config = survey(program, folder)
    few = ("--set", "injection.n_inject=0")
    program.run("flares", "run", config, "--out", folder / "ref", *few, timeout=200)
    curve = sorted((folder / "s" / "light_curves").rglob("*_lc.fits"))[1]
    whole = curve.read_bytes()
    curve.write_bytes(whole[:len(whole) // 2])
    run = folder / "run"
    program.run("flares", "run", config, "--out", run, *few, ranks=2, expect=3, timeout=200)
    curve.write_bytes(whole)
    said = program.run("flares", "run", config, "--out", run, *few, expect=2)
    require(f"{curve.name} changed" in said and "--retry-failed" in said, said)
    program.run("flares", "run", config, "--out", run, *few, "--retry-failed", ranks=2, timeout=200)
    require("stage detect: 5 units (4 recovered)" in program.said, program.said)
    require_equal(folder / "ref", run)


def changed_settings_are_refused(program, folder):
    config = survey(program, folder)
    few = ("--set", "injection.n_inject=0")
    program.run("flares", "run", config, "--out", folder / "run", *few, timeout=200)
    said = program.run("flares", "run", config, "--out", folder / "run", *few, "--set",
                       "detection.min_cadences=4", expect=2)
    require("detection.min_cadences 3 -> 4" in said and "detect" in said, said)
    files = folder / "run" / "sectors"
    shutil.copy(next(files.glob("*.h5")), files / "old.h5")
    mine = [files / name for name in ("notes.h5", "notes.h5.tmp", "notes.fits.tmp")]
    for path in mine:
        path.write_bytes(b"")
    (files / ".skyloom-unfinished").mkdir()
    (files / ".skyloom-unfinished" / "0.h5").write_bytes(b"half a file")
    program.run("flares", "run", config, "--out", folder / "run", *few, "--set", "detection.min_cadences=4",
                "--fresh", timeout=200)
    require(not (files / "old.h5").exists(), "--fresh removes the files of earlier runs")
    require(not (files / ".skyloom-unfinished").exists(), "and what they left unfinished")
    require(all(path.exists() for path in mine), "and nothing else")
    with h5py.File(folder / "run" / "flares.h5") as f:
        require(len(f["injections/amp"]) == 0, "no injections")


if __name__ == "__main__":
    sys.exit(call_all(os.environ["SKYLOOM"],
                      [rank_counts_agree, killed_in_the_injections, killed_between_files_of_sectors,
                       light_curves_may_go, mended_light_curve_is_taken,
                       changed_settings_are_refused]))
