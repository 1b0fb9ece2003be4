"""What a dry run says before is what a run needs, within the factor that it promises; and it says
what is left of a run."""

import os
import re
import sys

from runs import call_all, require


def figures(text):
    """Core seconds, MB per rank, MB written of the whole run."""
    found = re.search(r"all: estimated ([\d.]+) (core-seconds|core-hours), ([\d.]+) (.)B per rank, "
                      r"([\d.]+) (.)B written", text)
    require(found, text)
    giga = {"M": 1.0, "G": 1000.0}
    seconds = float(found[1]) * (3600.0 if found[2] == "core-hours" else 1.0)
    return seconds, float(found[3]) * giga[found[4]], float(found[5]) * giga[found[6]]


def measured(program, *arguments):
    """CPU seconds and largest resident size (MB) of a command."""
    child = os.posix_spawn(program.path, [program.path, *map(str, arguments)], os.environ,
                           file_actions=[(os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0)])
    _, status, usage = os.wait4(child, 0)
    require(status == 0, f"status {status}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024.0


def estimates_hold(program, folder):
    program.run("simulate", "photometry", "--out", folder / "s", "--size", "small")
    config, run = folder / "s" / "photometry.toml", folder / "s" / "photometry.run"
    said = program.run("photometry", "run", config, "--dry-run", "--set", "job.ranks_per_node=32")
    require("estimates" in said and "suggested: job.nodes = 1, job.ranks_per_node = " in said, said)
    require(not run.exists(), "nothing is written")
    estimate = figures(said)
    cpu_s, memory_mb = measured(program, "photometry", "run", config)
    pairs = zip(("core seconds", "MB per rank", "MB written"), estimate,
                (cpu_s, memory_mb, written_mb(run)), (3, 2, 1.5))
    for what, expected, found, factor in pairs:
        print(f"{what}: estimated {expected:.1f}, measured {found:.1f}")
        require(1 / factor < found / expected < factor, f"{what}: {expected} {found}: measure the "
                "costs again (docs/pipelines/photometry.md)")
    said = program.run("photometry", "run", config, "--dry-run")
    require(said.count("finished earlier") == 8, said)


def written_mb(run):
    return sum(p.stat().st_size for p in run.rglob("*") if p.is_file()) / 1e6


def other_kinds_of_runs_are_foreseen(program, folder):
    """Saved pixels and forced fits against a plain run: more or less work, and how many bytes more."""
    program.run("simulate", "photometry", "--out", folder / "s", "--size", "small")
    config = folder / "s" / "photometry.toml"
    plain = figures(program.run("photometry", "run", config, "--dry-run"))
    saved = ("--set", "patch_inputs.save_patch_inputs=true")
    estimate = figures(program.run("photometry", "run", config, "--dry-run", *saved))
    for stage in ("frames", "patches"):
        program.run("photometry", stage, config, "--out", folder / "plain")
        program.run("photometry", stage, config, "--out", folder / "saved", *saved)
    expected, found = estimate[2] - plain[2], written_mb(folder / "saved") - written_mb(folder / "plain")
    print(f"saved pixels: estimated {expected:.2f} MB, written {found:.2f} MB")
    require(estimate[0] > plain[0] and 1 / 1.5 < found / expected < 1.5, f"{plain} {estimate} {found}")
    forced = figures(program.run("photometry", "run", config, "--dry-run", "--set",
                                 "patch_run.forced=true"))
    require(forced[0] < plain[0] and forced[2] > plain[2], f"{plain} {forced}")


def what_is_left_is_planned(program, folder):
    program.run("simulate", "photometry", "--out", folder / "s", "--size", "tiny")
    config = folder / "s" / "photometry.toml"
    foreseen = program.run("photometry", "run", config, "--dry-run")
    require("stage fit: about 4 units, planned after its predecessors" in foreseen, foreseen)
    for stage in ("frames", "background", "objects", "epsf", "patches"):
        program.run("photometry", stage, config)
    said = program.run("photometry", "run", config, "--dry-run")
    require(said.count("finished earlier") == 5 and "stage fit: 4 units, the largest" in said, said)
    said = program.run("photometry", "fit", config, "--dry-run")
    require("stage fit: 4 units" in said and "stage catalogue" not in said, said)
    said = program.run("photometry", "run", config, "--dry-run", "--fresh")
    require("finished earlier" not in said, said)
    require(figures(said)[0] > 0, said)


if __name__ == "__main__":
    sys.exit(call_all(os.environ["SKYLOOM"], [
        estimates_hold, other_kinds_of_runs_are_foreseen, what_is_left_is_planned]))
