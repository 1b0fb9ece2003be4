"""A run ends before its job does: no unit is begun that is not expected to end in time, and what is
left is done by the next run."""

import os
import re
import sys
import time

from products import run_differences
from runs import call_all, require

# Slept through by each unit; the example's costs are 1 to 5, largest first.
SLEEP_S = 1.0


def survey(program, folder):
    program.run("simulate", "example", "--out", folder / "s", "--size", "tiny")
    return folder / "s" / "example.toml"


def timed(program, *arguments, **options):
    began = time.monotonic()
    program.run("example", "run", *arguments, "--set", f"accident.sleep_ms={1000 * SLEEP_S:.0f}",
                **options)
    return time.monotonic() - began


def no_unit_is_begun_that_would_not_end(program, folder):
    config = survey(program, folder)
    run = folder / "run"
    # Two units (costs 5 and 4) take 2 s. Then the next (cost 3) is expected to take 1.0 s and the one
    # after it (cost 2) 0.67 s, which both do not fit. One of the last (cost 1, 0.33 s) may be begun.
    timed(program, config, "--out", run, "--set", "run.time_limit_s=2.6", expect=75)
    require(re.search(r"[234] units left for the next run: not expected to end", program.said),
            program.said)
    done = int(program.run("status", run).split(" of 6 units")[0].split()[-1])
    require(done in (2, 3), f"{done} units done")
    timed(program, config, "--out", run)
    require(f"({done} recovered)" in program.said, program.said)
    program.run("example", "run", config, "--out", folder / "ref")
    require(not run_differences(folder / "ref", run), "equal to a run without limit")


def first_unit_is_always_begun(program, folder):
    config = survey(program, folder)
    run = folder / "run"
    for done in (1, 2):
        timed(program, config, "--out", run, "--set", "run.time_limit_s=0.5", expect=75)
        require(f" {done} of 6 units" in program.run("status", run), program.said)


def job_end_counts_less_the_lead(program, folder):
    config = survey(program, folder)
    os.environ["SLURM_JOB_END_TIME"] = str(int(time.time()) + 92)  # 90 s is the least lead
    try:
        timed(program, config, "--out", folder / "run", "--set", "job.signal_lead_s=90", expect=75,
              ranks=2)
        require("the run stops 90 s earlier" in program.said, program.said)
        timed(program, config, "--out", folder / "own", "--set", "run.time_limit_s=50")
        require("stops" not in program.said, "an own limit wins: " + program.said)
        os.environ["SLURM_JOB_END_TIME"] = str(int(time.time()) - 5)
        timed(program, config, "--out", folder / "run")  # of another job
    finally:
        del os.environ["SLURM_JOB_END_TIME"]
    require(not run_differences(folder / "own", folder / "run"), "equal products")


if __name__ == "__main__":
    sys.exit(call_all(sys.argv[1], [
        no_unit_is_begun_that_would_not_end,
        first_unit_is_always_begun,
        job_end_counts_less_the_lead,
    ]))
