"""A run directory goes on wherever it and its inputs lie, and inputs that failed can be mended."""

import re
import shutil
import sys

from products import run_differences
from runs import call_all, require


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


if __name__ == "__main__":
    sys.exit(call_all(sys.argv[1], [
        everything_moved,
        run_directory_moved,
        inputs_moved,
    ]))
