"""Interrupts runs at seeded random moments and in every way that a cluster knows, resumes them on 1 to
4 ranks, and compares the products with those of a run that nobody disturbed.

crash_harness.py EXAMPLE_PROGRAM KILLS [SEED]

Moments: a random time, or a named point of the program (skyloom/io/accident.hpp) at which one rank
stops. Ways: SIGKILL to a rank, to all, to mpirun; SIGTERM and SIGUSR1; a rank stuck in input or output
(SIGSTOP) that is killed at last; a rank that dies with half of a record written. Photometry of the tiny
field, flares and skycells of the tiny surveys are disturbed with the program $SKYLOOM.
"""

import contextlib
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

from products import run_differences
from runs import MPIRUN, children_of, require, scratch

# Points with the number of passages among which one is drawn.
POINTS = [("start", 1), ("mpi", 1), ("opened", 1), ("planned", 2), ("recovered", 2), ("unit", 12),
          ("slabs", 8), ("write", 30), ("read", 30), ("sync", 8), ("rename", 8),
          ("assembly.read", 2), ("assembly.slabs", 2), ("assembly.written", 2), ("assembled", 2),
          ("staged", 2), ("between", 2), ("file", 3), ("publish", 1), ("published", 1)]
WAYS = ["kill one", "kill all", "kill mpirun", "term", "usr1", "stuck"]
LIMIT_S = 120.0


class Survey:
    """A configuration, what to run it with, and the products of an undisturbed run."""

    def __init__(self, folder, program, pipeline, size, options):
        self.program, self.pipeline, self.options = program, pipeline, options
        self.folder = folder / pipeline
        self.call("simulate", pipeline, "--out", self.folder, "--size", size)
        self.reference = folder / f"{pipeline}-reference"
        began = time.monotonic()
        self.call(*self.command(self.reference))
        self.duration_s = time.monotonic() - began

    def command(self, run):
        options = [word for option in self.options for word in ("--set", option)]
        return (self.pipeline, "run", self.folder / f"{self.pipeline}.toml", "--out", run, *options)

    def call(self, *arguments, ranks=1):
        process = start(self.program, arguments, ranks, None, self.folder.parent)
        return end_of(process, expect=0)


def start(program, arguments, ranks, accident, folder):
    environment = dict(os.environ)
    if accident:
        environment["SKYLOOM_TEST_ACCIDENT"] = accident
    # What a killed job leaves behind goes with the scratch folder.
    environment["OMPI_MCA_orte_tmpdir_base"] = str(folder)
    environment["OMPI_MCA_btl_vader_backing_directory"] = str(folder)
    launcher = [MPIRUN, "-n", str(ranks)] if ranks > 1 else []
    with open(folder / "said.txt", "wb") as said:
        process = subprocess.Popen(launcher + [program] + [str(a) for a in arguments], stdout=said,
                                   stderr=subprocess.STDOUT, env=environment)
    process.said = folder / "said.txt"
    return process


def end_of(process, expect=None):
    try:
        process.wait(LIMIT_S)
    except subprocess.TimeoutExpired:
        kill_leftovers(process, ranks_of(process))
        raise AssertionError(f"hangs: {process.args}\n{process.said.read_text()}") from None
    said = process.said.read_text(errors="replace")
    require(expect is None or process.returncode == expect,
            f"{process.args}: exit {process.returncode}, expected {expect}\n{said}")
    return said


def ranks_of(process):
    return children_of(process.pid) if process.args[0] == MPIRUN else [process.pid]


def state_of(pid):
    with contextlib.suppress(OSError, IndexError):
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    return "gone"


def send(pid, number):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def kill_leftovers(process, ranks):
    """Nothing of a job may live on when the next one begins."""
    end = time.monotonic() + 5
    while process.poll() is None or any(state_of(pid) not in ("gone", "Z") for pid in ranks):
        if time.monotonic() > end:
            for pid in ranks:
                send(pid, signal.SIGKILL)
            if process.poll() is None:
                process.kill()
            end += 5
        time.sleep(0.01)
    process.wait()


def wait_for_moment(process, moment_s, stops):
    """Ranks at the drawn time, or when one of them has stopped; none when the run ended before."""
    end = time.monotonic() + (LIMIT_S if stops else moment_s)
    known = []
    while time.monotonic() < end and process.poll() is None:
        found = ranks_of(process)
        known = found or known
        if stops and any(state_of(pid) == "T" for pid in known):
            break
        time.sleep(0.005)
    return known if process.poll() is None else []


def interrupt(process, way, ranks, choice):
    """Sends what belongs to the way; stopped ranks are the ones to die, or wake up to obey."""
    stopped = [pid for pid in ranks if state_of(pid) == "T"]
    victim = stopped[0] if stopped else choice.choice(ranks)
    if way == "kill one":
        send(victim, signal.SIGKILL)
    elif way == "kill all":
        for pid in ranks:
            send(pid, signal.SIGKILL)
    elif way == "kill mpirun":
        send(process.pid, signal.SIGKILL)
    elif way == "stuck":
        send(victim, signal.SIGSTOP)
        time.sleep(0.2)
        send(victim, signal.SIGKILL)
    else:
        send(process.pid, signal.SIGTERM if way == "term" else signal.SIGUSR1)
        for pid in stopped:
            send(pid, signal.SIGCONT)


def disturb(survey, run, choice, folder):
    """One attempt that is interrupted. Says how, and whether it came to that."""
    ranks = choice.randint(1, 4)
    way = choice.choice(WAYS)
    accident, moment_s = None, choice.uniform(0, 1.1 * survey.duration_s)
    if choice.random() < 0.15:
        accident = f"write=torn@{choice.randint(1, 40)}#{choice.randrange(ranks)}"
        way = "torn write"
    elif choice.random() < 0.65:
        point, passages = choice.choice(POINTS)
        accident = f"{point}=stop@{choice.randint(1, passages)}#{choice.randrange(ranks)}"
    process = start(survey.program, survey.command(run), ranks, accident, folder)
    told = f"{ranks} ranks, {way} at {accident or f'{moment_s:.2f} s'}"
    if way == "torn write":
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(LIMIT_S)
        return told, process.returncode not in (0, None)
    alive = wait_for_moment(process, moment_s, accident is not None)
    if alive:
        interrupt(process, way, alive, choice)
    kill_leftovers(process, alive)
    return told, bool(alive)


def check_status(survey, run):
    if (run / "manifest.json").exists():
        said = subprocess.run([survey.program, "status", run], text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        require(said.returncode == 0 and "next: " in said.stdout, said.stdout)


def leftovers(run):
    """Files that no finished run has."""
    return [str(path.relative_to(run)) for path in run.rglob("*")
            if path.suffix in (".tmp", ".new") or path.name.startswith("journal.")]


def finish(survey, run, ranks, hits):
    """The same command again. A unit that three interruptions have met counts as one that kills its
    process, rightly: nobody can tell from where a process was killed. Then --retry-failed mends it."""
    process = start(survey.program, survey.command(run), ranks, None, survey.folder.parent)
    said = end_of(process)
    if process.returncode == 3 and hits >= 3:
        require("crashed: its process died in it 3 times" in said, said)
        survey.call(*survey.command(run), "--retry-failed", ranks=ranks)
    else:
        require(process.returncode == 0, f"exit {process.returncode}\n{said}")


def campaign(survey, kills, choice, folder):
    done, number = 0, 0
    while done < kills:
        number += 1
        run = folder / f"{survey.pipeline}-{number}"
        history, hits = [], 0
        for _ in range(min(choice.randint(1, 5), kills - done)):
            told, hit = disturb(survey, run, choice, folder)
            history.append(told + ("" if hit else " (too late)"))
            done += hit
            hits += hit
            check_status(survey, run)
            if not hit:
                break
        try:
            finish(survey, run, choice.randint(1, 4), hits)
            found = run_differences(survey.reference, run) + leftovers(run)
            require(not found, "; ".join(found[:5]))
        except AssertionError as error:
            raise AssertionError(f"{survey.pipeline} run {number}: after\n  " +
                                 "\n  ".join(history) + f"\n{error}") from None
        print(f"{survey.pipeline} run {number}: equal after " + "; ".join(history), flush=True)
    return done


def main():
    example, kills = sys.argv[1], int(sys.argv[2])
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    choice = random.Random(seed)
    with scratch() as folder:
        surveys = [
            (Survey(folder, example, "example", "full",
                    ["accident.sleep_ms=4", "cut.steps=3"]), kills - 3 * (kills // 5)),
            (Survey(folder, os.environ["SKYLOOM"], "flares", "tiny", ["injection.block_flares=4"]), kills // 5),
            (Survey(folder, os.environ["SKYLOOM"], "photometry", "tiny",
                    ["patch_inputs.save_patch_inputs=true"]), kills // 5),
            (Survey(folder, os.environ["SKYLOOM"], "skycells", "tiny", []), kills // 5)]
        done = sum(campaign(survey, share, choice, folder) for survey, share in surveys)
    print(f"{done} interruptions (seed {seed}), every product equal")


if __name__ == "__main__":
    try:
        main()
    except AssertionError as problem:
        sys.exit(f"FAILED: {problem}")
