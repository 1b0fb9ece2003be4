"""The PBS script under a stand-in for PBS: it stops before its walltime, submits its successor and
finishes; it does not come back when it is deleted, nor more often than it may."""

import json
import os
import sys
import time

from fields import survey_of_fields
from pbs_server import Pbs
from products import run_differences
from runs import Program, call_all, require, wait_for

EXAMPLE = sys.argv[1]


def survey(program, folder, *keys):
    program.run("simulate", "example", "--out", folder / "s", "--size", "small")
    config = folder / "s" / "night.toml"
    (folder / "s" / "example.toml").rename(config)
    options = [word for key in ("job.ranks_per_node=2", "job.signal_lead_s=90",
                                "accident.sleep_ms=300", *keys) for word in ("--set", key)]
    command = program.run("job", "pbs", config, "--out", folder / "night.job", *options)
    return config, folder / "s" / "night.run", command.strip()


def finish(process, expect):
    said, _ = process.communicate(timeout=120)
    require(process.returncode == expect, f"exit {process.returncode}, not {expect}\n{said}")
    return said


def attempts(run):
    return [a["exit_code"] for a in json.loads((run / "manifest.json").read_text())["attempts"]]


def successor_finishes(program, folder):
    config, run, command = survey(program, folder)
    pbs = Pbs(folder)
    first = pbs.submit(command)
    pbs.alter(first, "00:01:33")  # 3 s of work before the lead of 90 s
    finish(pbs.start(first), 75)
    require(len(pbs.jobs()) == 2, "a successor is queued")
    require(pbs.jobs()[1]["variables"] == {"SKYLOOM_RESTARTS": "1"}, str(pbs.jobs()[1]))
    finish(pbs.start(pbs.jobs()[1]["id"]), 0)
    require(len(pbs.jobs()) == 2, "and no other")
    require(attempts(run) == [75, 0], str(attempts(run)))
    program.run("example", "run", config, "--out", folder / "ref")
    require(not run_differences(folder / "ref", run), "equal products")


def signal_queues_a_successor(program, folder):
    _, run, command = survey(program, folder)
    pbs = Pbs(folder)
    process = pbs.start(pbs.submit(command))
    wait_for((run / "cut").exists, "the first stage")
    os.kill(process.pid, 10)  # USR1 to the script alone: qsig
    finish(process, 75)
    require(len(pbs.jobs()) == 2, "a successor is queued")


def deleted_job_stays_away(program, folder):
    # Long units: both attempts are still at work when they are ended.
    _, run, command = survey(program, folder, "accident.sleep_ms=1500")
    pbs = Pbs(folder)
    for number, (delete, expect) in enumerate((
            (lambda process: process.terminate(), 75),  # TERM to the script alone: it saves
            (pbs.delete, None))):                        # to mpirun as well, which kills the ranks
        process = pbs.start(pbs.submit(command))
        wait_for((run / "run.lock").exists, "the run")
        time.sleep(2.0)
        delete(process)
        said, _ = process.communicate(timeout=60)
        require(process.returncode in ((expect,) if expect else range(1, 256)), said)
        require(len(pbs.jobs()) == number + 1, "no successor")


def restarts_are_bounded(program, folder):
    _, _, command = survey(program, folder, "job.max_restarts=1")
    pbs = Pbs(folder)
    pbs.submit(command)
    for number in (0, 1):
        job = pbs.jobs()[number]["id"]
        pbs.alter(job, "00:01:31")
        finish(pbs.start(job), 75)
    require(len(pbs.jobs()) == 2, "the second successor is one too many")


def other_ends_are_final(program, folder):
    config, _, command = survey(program, folder)
    pbs = Pbs(folder)
    job = pbs.submit(command)
    config.write_text("[cut]\nunitz = 3\n")
    require("did you mean cut.units" in finish(pbs.start(job), 2), "the run says what is wrong")
    require(len(pbs.jobs()) == 1, "no successor")


def array_members_keep_their_share(_, folder):
    program = Program(os.environ["SKYLOOM"], folder)
    config = survey_of_fields(program, folder, 2)
    command = program.run("job", "pbs", config, "--out", folder / "night.job",
                          "--set", "job.ranks_per_node=2", "--set", "job.shares=2").strip()
    require(command.startswith("qsub -J 1-2 "), command)
    pbs = Pbs(folder)
    job = pbs.submit(command)
    finish(pbs.start(job, 1), 0)
    pbs.alter(job, "00:03:00")  # equal to the lead: no time at all
    finish(pbs.start(job, 2), 75)
    later = pbs.jobs()[1]
    require(not later["array"] and later["variables"]["SKYLOOM_MEMBER"] == "2", str(later))
    finish(pbs.start(later["id"]), 0)
    for number in (1, 2):
        run = folder / f"night.{number}of2.run"
        require((run / "photometry.h5").exists(), f"share {number}")
        require([p.name for p in (run / "fields").iterdir()] == [f"f{number}"], "its field alone")


if __name__ == "__main__":
    sys.exit(call_all(EXAMPLE, [
        successor_finishes,
        signal_queues_a_successor,
        deleted_job_stays_away,
        restarts_are_bounded,
        other_ends_are_final,
        array_members_keep_their_share,
    ]))
