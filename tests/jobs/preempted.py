"""The Slurm script on a real Slurm, started here: a run that is preempted and queued again twice
ends in the product of an undisturbed one; where queueing again is not allowed a new job goes on; a
member of an array is queued again without the others."""

import json
import os
import sys
import time

from fields import survey_of_fields
from products import run_differences
from runs import Program, call_all, require, wait_for
from slurm_server import Slurm, missing

EXAMPLE = sys.argv[1]


def attempts(run):
    return [a["exit_code"] for a in json.loads((run / "manifest.json").read_text())["attempts"]]


def units_done(program, run):
    if not (run / "manifest.json").exists():
        return 0
    return sum(s["done"] for s in json.loads(program.run("status", run, "--json"))["stages"])


def state(slurm, job):
    return slurm.job(job)["JobState"]


def wait_for_state(slurm, job, wanted, folder):
    """States on the way are waited through; another end is an error."""
    def reached():
        now = state(slurm, job)
        if now not in (wanted, "PENDING", "RUNNING", "COMPLETING", "CONFIGURING"):
            raise AssertionError(f"job {job} is {now}, not {wanted}\n" + "".join(
                path.read_text() for path in folder.glob("*.log")) + slurm.logs())
        return now == wanted
    wait_for(reached, f"job {job} {wanted}", timeout=300)


def start_again(slurm, job):
    """Starts a job that was queued again, which Slurm would let wait for two minutes. Started within
    the second of its end it would fail: the nodes hold its credential for revoked."""
    wait_for(lambda: state(slurm, job) == "PENDING", "a pending job", timeout=60)
    time.sleep(3)
    slurm.run("scontrol", "update", f"JobId={job}", "StartTime=now")


def preempt(slurm, job, folder):
    """A job that may displace `job` takes its node, ends, and `job` starts again."""
    before = int(slurm.job(job)["Restarts"])
    node = slurm.job(job)["BatchHost"]
    other = slurm.submit("--partition=high", f"--nodelist={node}", "--ntasks=2", "--output=/dev/null",
                         "--wrap=sleep 1")
    wait_for(lambda: int(slurm.job(job)["Restarts"]) == before + 1, "the job to be queued again",
             timeout=120)
    wait_for_state(slurm, other, "COMPLETED", folder)
    start_again(slurm, job)
    wait_for_state(slurm, job, "RUNNING", folder)


def preempted_twice(_, folder):
    program = Program(os.environ["SKYLOOM"], folder)
    config = survey_of_fields(program, folder, 6, "small")
    run = folder / "night.run"
    # Both ranks on one processor: there must be time to be interrupted in.
    config.write_text(config.read_text() + '[job]\nranks_per_node = 2\npartition = "low"\n'
                      'walltime_h = 1.0\nsetup = ["taskset -cp 0 $$ >/dev/null"]\n')
    program.run("job", "slurm", config, "--out", folder / "night.job")
    with Slurm(folder / "slurm") as slurm:
        job = slurm.submit(folder / "night.job")
        for _ in range(2):
            before = units_done(program, run)
            wait_for(lambda: state(slurm, job) == "RUNNING" and units_done(program, run) > before,
                     "new units", timeout=300)
            preempt(slurm, job, folder)
        wait_for_state(slurm, job, "COMPLETED", folder)
        require(slurm.job(job)["Restarts"] == "2", str(slurm.job(job)))
    require(attempts(run) == [75, 75, 0], str(attempts(run)))
    log = (folder / f"night.{job}.log").read_text()
    require("The job ends in" in log and log.count("Stopped early") == 2, log)
    program.run("photometry", "run", config, "--out", folder / "ref", ranks=2, timeout=300)
    found = run_differences(folder / "ref", run)
    require(not found, "products differ: " + "; ".join(found[:5]))


def new_job_where_requeue_is_not_allowed(program, folder):
    program.run("simulate", "example", "--out", folder / "s", "--size", "small")
    config, run = folder / "s" / "example.toml", folder / "s" / "example.run"
    program.run("job", "slurm", config, "--out", folder / "x.job", "--set", "job.ranks_per_node=2",
                "--set", "accident.sleep_ms=400", "--set", "job.launcher=srun --mpi=pmix")
    with Slurm(folder / "slurm") as slurm:
        job = slurm.submit("--no-requeue", folder / "x.job")
        wait_for(lambda: units_done(program, run) > 0, "units", timeout=60)
        slurm.run("scancel", "--batch", "--signal=USR1", job)
        wait_for(lambda: slurm.run("squeue", "-h", "-o%i").split() not in ([], [str(job)]),
                 "the next job", timeout=60)
        wait_for_state(slurm, job + 1, "COMPLETED", folder)
    require(attempts(run) == [75, 0], str(attempts(run)))


def cancelled_job_stays_away(program, folder):
    program.run("simulate", "example", "--out", folder / "s", "--size", "small")
    config, run = folder / "s" / "example.toml", folder / "s" / "example.run"
    program.run("job", "slurm", config, "--out", folder / "x.job", "--set", "job.ranks_per_node=2",
                "--set", "accident.sleep_ms=400")
    with Slurm(folder / "slurm") as slurm:
        job = slurm.submit(folder / "x.job")
        wait_for(lambda: units_done(program, run) > 0, "units", timeout=60)
        slurm.run("scancel", job)
        wait_for(lambda: state(slurm, job) == "CANCELLED", "its end", timeout=90)
        time.sleep(2)
        require(slurm.run("squeue", "-h", "-o%i").split() == [], "nothing is queued")


def array_members_are_queued_again_alone(_, folder):
    program = Program(os.environ["SKYLOOM"], folder)
    config = survey_of_fields(program, folder, 2, "small")
    config.write_text(config.read_text() + "[job]\nranks_per_node = 1\nshares = 2\n"
                      'setup = ["taskset -cp 0 $$ >/dev/null"]\n')
    program.run("job", "slurm", config, "--out", folder / "night.job")
    runs = {n: folder / f"night.{n}of2.run" for n in (1, 2)}
    with Slurm(folder / "slurm") as slurm:
        array = slurm.submit(folder / "night.job")
        wait_for(lambda: all(units_done(program, run) > 0 for run in runs.values()), "units",
                 timeout=120)
        # The member whose own job id is that of the array: requeueing by it would take all.
        members = dict(line.split() for line in slurm.run("squeue", "-h", "-o%K %A").splitlines())
        first = next(int(n) for n, own in members.items() if int(own) == array)
        slurm.run("scancel", "--batch", "--signal=USR1", f"{array}_{first}")
        wait_for(lambda: slurm.job(f"{array}_{first}")["Restarts"] == "1", "its requeue", timeout=60)
        start_again(slurm, f"{array}_{first}")
        wait_for(lambda: slurm.run("squeue", "-h", "-o%i").split() == [], "the end", timeout=240)
        log = "".join((folder / f"night.{array}_{n}.log").read_text() for n in (1, 2))
    for number, run in runs.items():
        require((run / "photometry.h5").exists(), log)
        require(attempts(run) == ([75, 0] if number == first else [0]), f"{number}: {log}")
        require([p.name for p in (run / "fields").iterdir()] == [f"f{number}"], "its field alone")


if __name__ == "__main__":
    if missing():
        print("skipped: " + missing())
        sys.exit(77)
    sys.exit(call_all(EXAMPLE, [
        preempted_twice,
        new_job_where_requeue_is_not_allowed,
        cancelled_job_stays_away,
        array_members_are_queued_again_alone,
    ]))
