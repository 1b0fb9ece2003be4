"""Bad usage, bad input, hostile directories, odd sizes: right exit status, one message, no hang."""

import json
import os
import shutil
import sys

import h5py
from products import run_differences
from runs import call_all, require, wait_for


def survey(program, folder, size="tiny"):
    program.run("simulate", "example", "--out", folder / "s", "--size", size)
    return folder / "s" / "example.toml"


def usage_errors_are_one_line(program, folder):
    for arguments, hint in (
            (("exampel", "run", "x.toml"), "did you mean example?"),
            (("example", "jion", "x.toml"), "did you mean join?"),
            (("stauts", "."), "did you mean status?"),
            (("example", "run"), "CONFIG"),
            (("example", "run", "none.toml"), "none.toml"),
            (("example", "run", "a.toml", "b.toml"), "b.toml"),
            (("simulate", "example"), "--out"),
            (("status", "."), "no run directory"),
            ((), "subcommand")):
        said = program.run(*arguments, expect=2)
        lines = said.splitlines()
        require(len(lines) == 1 and lines[0].startswith("skyloom: ") and hint in lines[0], said)
    said = program.run("example", "run", "none.toml", expect=2, ranks=2)
    require(said.count("skyloom: ") == 1, "rank 0 alone speaks: " + said)
    require(program.run("--version").startswith("skyloom "), program.said)
    require("Examples" in program.run("--help"), program.said)


def bad_configuration_writes_nothing(program, folder):
    config = survey(program, folder)
    for text, hint in (("[cut]\nunist = 3\n", "did you mean cut.units?"),
                       ("[cut]\nunits = -1\n", "out of range"),
                       ("[cut]\nunits = \n", "wrong.toml"),
                       ("[input]\nmarks = \"gone.txt\"\n", "gone.txt"),
                       ("[accident]\nbroken_unit = 99\n", "broken_unit")):
        (folder / "wrong.toml").write_text(text)
        said = program.run("example", "run", "wrong.toml", expect=2, ranks=2)
        require(hint in said and said.count("skyloom: ") == 1, said)
        require(not (folder / "wrong.run").exists(), "nothing is written")
    program.run("example", "run", config, "--set", "cut.units=abc", expect=2)
    require(not (folder / "s" / "example.run").exists(), "nothing is written")


def dry_run_writes_nothing(program, folder):
    config = survey(program, folder)
    before = sorted(p.name for p in (folder / "s").iterdir())
    said = program.run("example", "run", config, "--dry-run", ranks=2)
    require("stage cut: 6 units" in said, said)
    require(sorted(p.name for p in (folder / "s").iterdir()) == before, "nothing is written")


def more_ranks_than_units(program, folder):
    config = survey(program, folder)
    for ranks in (1, 4):
        program.run("example", "run", config, "--out", folder / f"n{ranks}", "--set", "cut.units=2",
                    ranks=ranks)
    require(not run_differences(folder / "n1", folder / "n4"), "equal")


def zero_units(program, folder):
    config = survey(program, folder)
    for ranks in (1, 2):
        program.run("example", "run", config, "--out", folder / f"n{ranks}", "--set", "cut.units=0",
                    ranks=ranks)
        with h5py.File(folder / f"n{ranks}" / "example.h5") as product:
            require(product["sums/total"].shape == (0,) and product["units/key"].shape == (0,),
                    "tables without rows")
    require(not run_differences(folder / "n1", folder / "n2"), "equal")


def impossible_directory_is_fatal(program, folder):
    config = survey(program, folder)
    (folder / "file").write_text("in the way")
    for ranks in (1, 2):
        said = program.run("example", "run", config, "--out", folder / "file" / "run", ranks=ranks,
                           expect=70)
        require("cannot be created" in said and said.count("skyloom: ") == 1, said)


def unwritable_directory_is_fatal(program, folder):
    if os.geteuid() == 0:
        return  # root may write everywhere
    config = survey(program, folder)
    (folder / "locked").mkdir(mode=0o500)
    program.run("example", "run", config, "--out", folder / "locked" / "run", ranks=2, expect=70)


def two_runs_cannot_share_a_directory(program, folder):
    config = survey(program, folder)
    first = program.start("example", "run", config, "--out", folder / "run", "--set",
                          "accident.sleep_ms=400")
    wait_for(lambda: (folder / "run" / "cut").exists(), "the first run")
    said = program.run("example", "run", config, "--out", folder / "run", expect=2)
    require("another run is using" in said, said)
    program.wait(first, 0)


def foreign_pipeline_is_refused(program, folder):
    config = survey(program, folder)
    program.run("example", "run", config, "--out", folder / "run")
    manifest = json.loads((folder / "run" / "manifest.json").read_text())
    manifest["pipeline"] = "other"
    (folder / "run" / "manifest.json").write_text(json.dumps(manifest))
    said = program.run("example", "run", config, "--out", folder / "run", expect=2)
    require("pipeline other" in said, said)


def foreign_files_are_not_overwritten(program, folder):
    config = survey(program, folder)
    (folder / "mine").mkdir()
    (folder / "mine" / "cut.h5").write_text("precious")
    for option in ((), ("--fresh",)):
        said = program.run("example", "run", config, "--out", folder / "mine", *option, expect=2)
        require("cut.h5" in said, said)
    require((folder / "mine" / "cut.h5").read_text() == "precious", "untouched")


def status_tells_how_far(program, folder):
    config = survey(program, folder, "full")
    run = folder / "run"
    slow = ("example", "run", config, "--out", run, "--set", "accident.sleep_ms=60")
    process = program.start(*slow)
    wait_for(lambda: (run / "progress.json").exists(), "progress.json")
    status = json.loads(program.run("status", run, "--json"))
    require(status["state"] == "running" and status["stages"][0]["state"] == "partial", status)
    require(status["stages"][1]["state"] == "not started", status)
    process.kill()
    program.wait(process, None)
    status = json.loads(program.run("status", run, "--json"))
    require(status["state"] == "stopped" and "example run" in status["next"], status)
    program.run(*status["next"].split()[1:])  # what it says goes on
    status = json.loads(program.run("status", run, "--json"))
    require(status["state"] == "complete" and status["last_exit"] == 0, status)
    require([s["done"] for s in status["stages"]] == [96, 5], status)
    require("complete" in program.run("status", run), program.said)


def states(program, run, *pattern):
    """Key -> what is said of it, and the line of counts."""
    lines = program.run("status", run, "--units", *pattern).splitlines()
    counts = next(line for line in lines if " shown: " in line)
    return dict(line.split(": ", 1) for line in lines[1:lines.index(counts)]), counts


def status_tells_of_every_unit(program, folder):
    config = survey(program, folder, "full")
    run = folder / "run"
    settings = ("example", "run", config, "--out", run, "--set", "accident.broken_unit=4", "--set",
                "run.max_failed_fraction=0.5")
    program.run(*settings, "--set", "run.time_limit_s=1", "--set", "accident.sleep_ms=30", ranks=2, expect=75)
    done = json.loads(program.run("status", run, "--json"))["stages"][0]["done"]
    shutil.copytree(run, folder / "elsewhere")  # without the process, its locks, and its machine
    for where in (run, folder / "elsewhere"):
        found, counts = states(program, where)
        require(len(found) == 96 and "96 of 96 shown" in counts, counts)
        require(sum("open" in text for text in found.values()) == 96 - done, f"{done} are done: {found}")
        require(sum(text == "cut done" for text in found.values()) == done - 1, f"{done} are done: {found}")
        require(found["unit-0004"].startswith("cut failed (") and "told to fail" in found["unit-0004"], str(found))
        require("not started, all of it remains: join" in program.said, program.said)
    require("--units" in program.run("status", run), "a hint: " + program.said)
    (folder / "elsewhere" / "cut" / "journal.units").write_bytes(b"torn")
    found, _ = states(program, folder / "elsewhere")
    require(sum(text == "cut done" for text in found.values()) == done - 1 and "unit 0" in found, str(found))
    program.run(*settings)
    found, counts = states(program, run)
    require(len(found) == 96 + 5 and ": 0 with open units, 1 with failed ones" in counts, counts)
    require(found["unit-0001"] == "cut done" and found["0"] == "join done", str(found))
    require(found["unit-0004"].startswith("cut failed ("), "also of a finished stage: " + found["unit-0004"])
    found, counts = states(program, run, "unit-001?")
    require(len(found) == 10 and "10 of 101 shown" in counts, counts)
    said = program.run("status", run, "--units", "nothing*", expect=2)
    require("nothing*" in said and len(said.splitlines()) == 1, said)
    program.run("status", folder, "--units", expect=2)


def commands_without_mpi(program, folder):
    config = survey(program, folder)
    require("[cut]" in program.run("config", "example"), program.said)
    program.run("config", "example", "--out", folder / "all.toml")
    said = program.run("config", "example", "--out", folder / "all.toml", expect=2)
    require("exists already" in said, said)
    require("| `cut.units` |" in program.run("config", "example", "--markdown"), program.said)
    program.run("simulate", "example", "--out", folder / "s", expect=2)
    require(program.run("example", "describe", config) == "6 units\n", program.said)
    program.run("example", "describe", config, "--out", folder / "text", "--set", "cut.units=0", expect=3)
    require((folder / "text").read_text() == "0 units\n", "a tool and its exit status")
    run = folder / "run"
    program.run("example", "run", config, "--out", run)
    (run / "report.html").unlink()
    program.run("report", run)
    require("<html" in (run / "report.html").read_text(), "report.html")
    for table_format in ("csv", "ecsv", "json", "fits"):
        program.run("export", run, "--format", table_format, "--out", folder / f"t.{table_format}")
    require((folder / "t.csv").read_text() == (run / "sums.csv").read_text(), "same table")
    said = program.run("export", run / "example.h5", "--format", "csv", "--table", "nothing",
                       "--out", folder / "x.csv", expect=2)
    require("pieces" in said and "sums" in said, said)
    program.run("export", run / "cut.h5", "--format", "csv", "--out", folder / "pieces.csv")


if __name__ == "__main__":
    sys.exit(call_all(sys.argv[1], [
        usage_errors_are_one_line,
        bad_configuration_writes_nothing,
        dry_run_writes_nothing,
        more_ranks_than_units,
        zero_units,
        impossible_directory_is_fatal,
        unwritable_directory_is_fatal,
        two_runs_cannot_share_a_directory,
        foreign_pipeline_is_refused,
        foreign_files_are_not_overwritten,
        status_tells_how_far,
        status_tells_of_every_unit,
        commands_without_mpi,
    ]))
