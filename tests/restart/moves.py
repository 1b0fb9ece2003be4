"""A run directory goes on wherever it and its inputs lie, and inputs that failed can be mended."""

import os
import re
import shutil
import signal
import sys

from products import run_differences
from runs import call_all, require, wait_for


def survey(program, folder):
    program.run("simulate", "example", "--out", folder / "here", "--size", "small")
    return folder / "here" / "example.toml"


def stopped_run(program, config, run):
    """Some units of the first stage are done."""
    program.run("example", "run", config, "--out", run, "--set", "accident.sleep_ms=100", "--set",
                "run.time_limit_s=0.8", ranks=2, expect=75)


def goes_on(program, config, run, reference):
    program.run("example", "run", config, "--out", run)
    found = re.search(r"units \((\d+) recovered\)", program.said)
    require(found and int(found.group(1)) > 0, "units were recovered: " + program.said)
    require(not run_differences(run, reference), "as if it had never moved")


def does_nothing(program, config, run):
    program.run("example", "run", config, "--out", run)
    require(program.said.count("finished earlier") == 2, program.said)


def everything_moved(program, folder):
    config = survey(program, folder)
    program.run("example", "run", config, "--out", folder / "reference")
    stopped_run(program, config, folder / "here" / "run")
    (folder / "here").rename(folder / "there")
    config = folder / "there" / "example.toml"
    said = program.run("status", folder / "there" / "run")
    require(f"run {config} --out {folder / 'there' / 'run'}" in said, said)
    goes_on(program, config, folder / "there" / "run", folder / "reference")
    shutil.copytree(folder / "there", folder / "copy")  # times of change are those of the copy
    does_nothing(program, folder / "copy" / "example.toml", folder / "copy" / "run")


def run_directory_moved(program, folder):
    config = survey(program, folder)
    program.run("example", "run", config, "--out", folder / "reference")
    stopped_run(program, config, folder / "run")
    (folder / "scratch").mkdir()
    (folder / "run").rename(folder / "scratch" / "other_name")
    goes_on(program, config, folder / "scratch" / "other_name", folder / "reference")
    said = program.run("status", folder / "scratch" / "other_name")
    require("complete" in said, said)


def inputs_moved(program, folder):
    config = survey(program, folder)
    program.run("example", "run", config, "--out", folder / "reference")
    stopped_run(program, config, folder / "run")
    (folder / "there").mkdir()
    (folder / "here" / "marks.txt").rename(folder / "there" / "marks.txt")
    text = config.read_text()
    config.write_text(text.replace('"marks.txt"', '"../there/marks.txt"'))
    goes_on(program, config, folder / "run", folder / "reference")
    (folder / "there").rename(folder / "else")
    config.write_text(text.replace('"marks.txt"', f'"{folder}/else/marks.txt"'))
    does_nothing(program, config, folder / "run")
    marks = folder / "else" / "marks.txt"
    marks.rename(folder / "else" / "notes.txt")
    config.write_text(text.replace('"marks.txt"', f'"{folder}/else/notes.txt"'))
    said = program.run("example", "run", config, "--out", folder / "run", expect=2)
    require('input.marks "marks.txt" -> "notes.txt"' in said, said)
    marks.write_text("another content\n")
    config.write_text(text.replace('"marks.txt"', f'"{marks}"'))
    said = program.run("example", "run", config, "--out", folder / "run", expect=2)
    require(f"{marks} changed" in said, said)


def parts_of(program, folder):
    """A survey whose units have files of their own; those of 2 and 5 are cut short."""
    config = survey(program, folder)
    parts = folder / "here" / "parts"
    parts.mkdir()
    for i in range(24):
        (parts / f"unit-{i:04d}.txt").write_text("" if i in (2, 5) else f"{1 + i / 4}\n")
    config.write_text('[input]\nmarks = "marks.txt"\nparts = "parts"\n[cut]\nunits = 24\n')
    return config, parts


def recovered(said):
    return int(re.search(r"stage cut: 24 units \((\d+) recovered\)", said).group(1))


def mended_inputs_of_failed_units_are_taken(program, folder):
    config, parts = parts_of(program, folder)
    run = folder / "run"
    command = ("example", "run", config, "--out", run)
    said = program.run(*command, ranks=2, expect=3)
    require("unit-0002: bad_input" in said and "unit-0005: bad_input" in said, said)
    (parts / "unit-0002.txt").write_text("1.5\n")
    said = program.run(*command, expect=2)
    require("unit-0002.txt changed" in said and "use --retry-failed" in said, said)
    require("cut: 24 units, 22 of them done, 2 failed" in
            program.run(*command, "--retry-failed", "--dry-run"), program.said)
    program.run(*command, "--retry-failed", ranks=2, expect=3)
    require(recovered(program.said) == 22, "only two are computed: " + program.said)
    (parts / "unit-0005.txt").write_text("2.25\n")
    (parts / "unit-0006.txt").write_text("9\n")  # it was done
    said = program.run(*command, "--retry-failed", expect=2)
    require("unit-0006.txt changed" in said and "use --retry-failed" not in said, said)
    (parts / "unit-0006.txt").write_text("2.5\n")
    (folder / "here" / "marks.txt").write_text("all units read this\n")
    said = program.run(*command, "--retry-failed", expect=2)
    require("marks.txt changed" in said, said)
    (folder / "here" / "marks.txt").write_text("seed 1\n")
    program.run(*command, "--retry-failed")
    require(recovered(program.said) == 23, "only one is computed: " + program.said)
    does_nothing(program, config, run)
    program.run("example", "run", config, "--out", folder / "new")
    require(not run_differences(run, folder / "new"), "as if they had been whole from the beginning")


def states(program, run, state):
    if not (run / "cut" / "journal.units").exists():
        return []
    return re.findall(rf"(unit-\d+): cut {state}", program.run("status", run, "--units"))


def unfinished_run_takes_mended_inputs(program, folder):
    """States of long units that came from the old content do not count."""
    config, parts = parts_of(program, folder)
    run = folder / "run"
    command = ("example", "run", config, "--out", run, "--set", "cut.steps=4")
    process = program.start(*command, "--set", "accident.sleep_ms=50", ranks=2)
    wait_for(lambda: len(states(program, run, "done")) > 4, "done units")
    process.send_signal(signal.SIGUSR1)  # units in work hand over their states
    program.wait(process, 75)
    done = states(program, run, "done")
    is_open = states(program, run, "open")
    require(3 < len(is_open) < 20, program.said)
    for key in ["unit-0002", "unit-0005"] + is_open:
        (parts / f"{key}.txt").write_text("3.5\n")
    require("use --retry-failed" in program.run(*command, expect=2), program.said)
    for point in ("rewritten=kill#0", "taken=kill#1", "planned=kill#1"):
        # Whoever dies on the way leaves a journal of one set-up or of the other.
        os.environ["SKYLOOM_TEST_ACCIDENT"] = point
        process = program.start(*command, "--retry-failed", ranks=2)
        program.wait(process, None)
        del os.environ["SKYLOOM_TEST_ACCIDENT"]
        require(process.returncode not in (0, 2), point + ": " + program.said)
    program.run(*command, ranks=3)
    require(recovered(program.said) == len(done), program.said)
    program.run("example", "run", config, "--out", folder / "new", "--set", "cut.steps=4")
    require(not run_differences(run, folder / "new"), "as if they had been whole from the beginning")


if __name__ == "__main__":
    sys.exit(call_all(sys.argv[1], [
        everything_moved,
        run_directory_moved,
        inputs_moved,
        mended_inputs_of_failed_units_are_taken,
        unfinished_run_takes_mended_inputs,
    ]))
