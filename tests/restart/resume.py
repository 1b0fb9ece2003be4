"""Equal products whatever happens: rank counts, a killed rank, signals, the time limit, damage."""

import json
import os
import re
import signal
import sys
import time

import h5py
from products import run_differences
from runs import call_all, kill_one_rank, require, wait_for


def survey(program, folder, size="small"):
    program.run("simulate", "example", "--out", folder / "s", "--size", size)
    return folder / "s" / "example.toml"


def reference(program, folder, config, *options):
    program.run("example", "run", config, "--out", folder / "ref", *options)
    return folder / "ref"


def require_equal(one, two):
    found = run_differences(one, two)
    require(not found, "products differ: " + "; ".join(found[:5]))


def has_journal(run, stage="cut"):
    """Some units are journalled (segments leave holes, so blocks tell what was written)."""
    folder = run / stage
    return folder.exists() and any(p.stat().st_blocks for p in folder.glob("journal.g*"))


def recovered(said):
    """Units of the first stage that this run did not compute itself."""
    return int(re.search(r"units \((\d+) recovered\)", said).group(1))


def rank_counts_agree(program, folder):
    config = survey(program, folder)
    ref = reference(program, folder, config)
    for ranks in (2, 4):
        program.run("example", "run", config, "--out", folder / f"n{ranks}", ranks=ranks)
        require_equal(ref, folder / f"n{ranks}")
    with h5py.File(ref / "example.h5") as product:
        require(len(product["units/key"]) == 24 + 5, "example.h5 lists the units of both stages")
        require(set(product["units/stage"][()].astype(str)) == {"cut", "join"}, "stage column")


def killed_rank_then_other_rank_count(program, folder):
    config = survey(program, folder, "full")
    ref = reference(program, folder, config)
    run = folder / "killed"
    for ranks, resumed in ((4, 1), (2, 4)):
        process = program.start("example", "run", config, "--out", run, "--fresh", "--set",
                                "accident.sleep_ms=40", ranks=ranks)
        wait_for(lambda: has_journal(run), "journalled units")
        time.sleep(0.3)
        kill_one_rank(process)
        program.wait(process, None)
        require(process.returncode not in (0, 75), f"killed, but exit {process.returncode}")
        require(not (run / "example.h5").exists(), "nothing is published before the end")
        program.run("example", "run", config, "--out", run, ranks=resumed)
        require(0 < recovered(program.said) < 96, program.said)
        require_equal(ref, run)


def signal_stops_and_resumes(program, folder):
    config = survey(program, folder, "full")
    ref = reference(program, folder, config)
    for number, ranks in ((signal.SIGUSR1, 2), (signal.SIGTERM, 1), (signal.SIGINT, 1)):
        run = folder / f"stopped{number}"
        process = program.start("example", "run", config, "--out", run, "--set",
                                "accident.sleep_ms=40", ranks=ranks)
        wait_for(lambda: has_journal(run), "journalled units")
        time.sleep(0.3)
        os.kill(process.pid, number)
        program.wait(process, 75)
        program.run("example", "run", config, "--out", run, ranks=3 - ranks)
        require(0 < recovered(program.said) < 96, program.said)
        require_equal(ref, run)


def time_limit_stops_and_resumes(program, folder):
    config = survey(program, folder, "full")
    ref = reference(program, folder, config)
    run = folder / "limited"
    program.run("example", "run", config, "--out", run, "--set", "accident.sleep_ms=30", "--set",
                "run.time_limit_s=1", ranks=2, expect=75)
    program.run("example", "run", config, "--out", run)
    require(0 < recovered(program.said) < 96, program.said)
    require_equal(ref, run)


def damaged_journal_is_recomputed(program, folder):
    config = survey(program, folder, "full")
    ref = reference(program, folder, config)
    run = folder / "damaged"
    program.run("example", "run", config, "--out", run, "--set", "accident.sleep_ms=30", "--set",
                "run.time_limit_s=1.5", expect=75)
    done = json.loads(program.run("status", run, "--json"))["stages"][0]["done"]
    journal = min((run / "cut").glob("journal.g*"))
    data = bytearray(journal.read_bytes())
    data[200] ^= 0x5A  # inside the first or second record
    journal.write_bytes(data)
    program.run("example", "run", config, "--out", run)
    require(recovered(program.said) == done - 1, f"one of {done} is lost: {program.said}")
    require_equal(ref, run)


def finished_run_does_nothing_again(program, folder):
    config = survey(program, folder)
    ref = reference(program, folder, config)
    before = {p.name: p.stat().st_ino for p in ref.glob("*.h5")}
    program.run("example", "run", config, "--out", ref, ranks=2)
    require(program.said.count("finished earlier") == 2, program.said)
    after = {p.name: p.stat().st_ino for p in ref.glob("*.h5")}
    require(before["cut.h5"] == after["cut.h5"] and before["join.h5"] == after["join.h5"],
            "stage products are left alone")


def lost_product_is_made_again(program, folder):
    config = survey(program, folder)
    ref = reference(program, folder, config)
    program.run("example", "run", config, "--out", folder / "again")
    (folder / "again" / "cut.h5").unlink()
    program.run("example", "run", config, "--out", folder / "again", ranks=2)
    require_equal(ref, folder / "again")


if __name__ == "__main__":
    sys.exit(call_all(sys.argv[1], [
        rank_counts_agree,
        killed_rank_then_other_rank_count,
        signal_stops_and_resumes,
        time_limit_stops_and_resumes,
        damaged_journal_is_recomputed,
        finished_run_does_nothing_again,
        lost_product_is_made_again,
    ]))
