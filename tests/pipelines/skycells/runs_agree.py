"""The tiny simulated skycells: any number of ranks, any interruption, any share of the projections, the
same bits."""

import os
import sys

from products import run_differences
from runs import call_all, kill_one_rank, require, wait_for
from skycells import FOLDER, Product, run, same, survey
from survey import table


def require_equal(one, two):
    found = run_differences(one, two)
    require(not found, "products differ: " + "; ".join(found[:5]))
    for name in ("cells.csv", FOLDER + "/cell_metadata.json"):
        require((one / name).read_bytes() == (two / name).read_bytes(), name)


def rank_counts_agree(program, folder):
    config = survey(program, folder)
    for options in ((), ("io.sampling=coarse", "io.extract=unique"), ("psf.method=direct", "io.compression=deflate")):
        runs = [run(program, config, folder / f"n{ranks}-{len(options)}-{'-'.join(options)}", *options, ranks=ranks)
                for ranks in (1, 2, 4)]
        require_equal(runs[0], runs[1])
        require_equal(runs[0], runs[2])


def killed_at_a_unit(program, folder):
    """In `combine`, and in `convolve` with half of the slabs of a cell written."""
    config = survey(program, folder)
    reference = run(program, config, folder / "ref")
    resumed = folder / "killed"
    for stage, accident in (("combine", "unit=kill@8"), ("convolve", "slabs=kill@6"), ("convolve", "unit=kill@9")):
        os.environ["SKYLOOM_TEST_ACCIDENT"] = accident
        try:
            run(program, config, resumed, ranks=1, stage=stage, expect=-9)
        finally:
            del os.environ["SKYLOOM_TEST_ACCIDENT"]
        require(not (resumed / f"{stage}.h5").exists(), f"{stage} died before its end")
        if accident == "unit=kill@8":
            run(program, config, resumed, stage="combine")
    run(program, config, resumed, ranks=3)
    require_equal(reference, resumed)


def killed_among_ranks(program, folder):
    config = survey(program, folder)
    reference = run(program, config, folder / "ref")
    resumed = folder / "killed"
    process = program.start("skycells", "run", config, "--out", resumed, ranks=4)
    wait_for(lambda: (resumed / "combine").is_dir(), "a journal")
    kill_one_rank(process)
    program.wait(process, None)
    run(program, config, resumed, ranks=2)
    require_equal(reference, resumed)


def shares_of_projections(program, folder):
    config = survey(program, folder)
    whole = Product(run(program, config, folder / "whole"))
    names = []
    for share in (1, 2):
        part = Product(run(program, config, folder / f"share{share}", f"run.shard={share}/2"))
        require(len({cell["projection"] for cell in part.cells.values()}) == 1, "one projection each")
        names += part.data
        for name, image in part.data.items():
            require(same(image, whole.data[name]) and same(part.mask[name], whole.mask[name]), name)
    require(sorted(names) == sorted(whole.data), "every cell is in one share")
    program.run("skycells", "run", config, "--out", folder / "none", "--set", "run.shard=3/3", expect=2)
    require("run.shard" in program.said and not (folder / "none").exists(), program.said)


def reads_that_fail(program, folder):
    """One that the system refuses is tried again; without tries the cell fails, and --retry-failed brings it
    back with what its neighbours lend it."""
    config = survey(program, folder)
    reference = run(program, config, folder / "ref")

    def disturbed(out, *settings):
        os.environ["SKYLOOM_TEST_ACCIDENT"] = "read=fail@60"
        try:
            return run(program, config, out, *settings, ranks=1)
        finally:
            del os.environ["SKYLOOM_TEST_ACCIDENT"]

    require_equal(reference, disturbed(folder / "again"))
    failed = disturbed(folder / "failed", "io.retries=0")
    cells = table(failed / "skycells.h5", "cells")
    lost = [i for i, status in enumerate(cells["status"]) if status == "failed"]
    require(len(lost) == 1 and "cannot be read" in cells["message"][lost[0]], str(cells["message"][lost]))
    program.run("skycells", "run", config, "--out", failed, "--retry-failed", ranks=2, timeout=100)
    require_equal(reference, failed)


if __name__ == "__main__":
    sys.exit(call_all(os.environ["SKYLOOM"],
                      [rank_counts_agree, killed_at_a_unit, killed_among_ranks, shares_of_projections,
                       reads_that_fail]))
