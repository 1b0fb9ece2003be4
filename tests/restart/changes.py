"""What a run directory refuses to mix, and how to go on."""

import json
import sys

from products import run_differences
from runs import call_all, require


def survey(program, folder):
    program.run("simulate", "example", "--out", folder / "s", "--size", "tiny")
    return folder / "s" / "example.toml"


def changed_key_is_named(program, folder):
    config = survey(program, folder)
    run = folder / "run"
    program.run("example", "run", config, "--out", run)
    before = (run / "config.toml").read_bytes()
    said = program.run("example", "run", config, "--out", run, "--set", "cut.scale=2.5", expect=2)
    require("cut.scale 1.0 -> 2.5" in said and "stage cut" in said and "--fresh" in said, said)
    require("join.groups" not in said, "only what changed is named: " + said)
    require(said.count("skyloom: ") == 1, "one message: " + said)
    require((run / "config.toml").read_bytes() == before, "a refused run writes nothing")
    said = program.run("example", "run", config, "--out", run, "--set", "run.seed=9", expect=2,
                       ranks=2)
    require("run.seed 1 -> 9" in said and "stages cut, join" in said, said)


def key_of_no_stage_is_free(program, folder):
    config = survey(program, folder)
    program.run("example", "run", config, "--out", folder / "run")
    program.run("example", "run", config, "--out", folder / "run", "--set", "accident.sleep_ms=1")
    require(program.said.count("finished earlier") == 2, program.said)


def changed_input_is_named(program, folder):
    config = survey(program, folder)
    program.run("example", "run", config, "--out", folder / "run")
    (folder / "s" / "marks.txt").write_text("another content\n")
    said = program.run("example", "run", config, "--out", folder / "run", expect=2)
    require("marks.txt changed" in said, said)


def input_of_a_finished_stage_may_be_gone(program, folder):
    config = survey(program, folder)
    run = folder / "run"
    program.run("example", "run", config, "--out", run)
    (folder / "s" / "marks.txt").rename(folder / "marks.txt")
    program.run("example", "join", config, "--out", run, "--set", "join.offset=3.5", ranks=2)
    said = program.run("example", "cut", config, "--out", run, "--set", "cut.scale=2", expect=2)
    require("marks.txt" in said, "a stage that needs it says so: " + said)
    (folder / "marks.txt").rename(folder / "s" / "marks.txt")
    program.run("example", "run", config, "--out", folder / "new", "--set", "join.offset=3.5")
    require(not run_differences(run, folder / "new"), "as if it had been there")
    (folder / "s" / "marks.txt").write_text("another content\n")
    said = program.run("example", "join", config, "--out", run, "--set", "join.offset=4", expect=2)
    require("marks.txt changed" in said, said)


def fresh_starts_again(program, folder):
    config = survey(program, folder)
    run = folder / "run"
    program.run("example", "run", config, "--out", run)
    (run / "mine.txt").write_text("not skyloom's")
    program.run("example", "run", config, "--out", run, "--fresh", "--set", "cut.scale=2.5")
    require((run / "mine.txt").exists(), "foreign files stay")
    program.run("example", "run", config, "--out", folder / "new", "--set", "cut.scale=2.5")
    require(not run_differences(run, folder / "new"), "as a new run directory")


def refused_fresh_removes_nothing(program, folder):
    config = survey(program, folder)
    run = folder / "run"
    program.run("example", "run", config, "--out", run)
    before = sorted(p.name for p in run.iterdir())
    said = program.run("example", "join", config, "--out", run, "--fresh", "--set", "cut.scale=2",
                       expect=2)
    require("cut.scale" in said, said)
    require(sorted(p.name for p in run.iterdir()) == before, "it is refused before it removes anything")
    program.run("example", "run", config, "--out", run)
    require(program.said.count("finished earlier") == 2, program.said)


def results_of_others_are_refused(program, folder):
    config = survey(program, folder)
    for name in ("config.toml", "report.html", "join.h5"):
        out = folder / ("with_" + name)
        out.mkdir()
        (out / name).write_text("mine")
        said = program.run("example", "run", config, "--out", out, expect=2, ranks=2)
        require(name in said and "is not from a run here" in said, said)
        require((out / name).read_text() == "mine", "it stays")


def stage_command_redoes_its_stage(program, folder):
    config = survey(program, folder)
    run = folder / "run"
    said = program.run("example", "join", config, "--out", run)
    require("Finished stage cut" in said, "the first stage is done on the way: " + said)
    program.run("example", "join", config, "--out", run, "--set", "join.offset=3.5")
    require("Stage cut" not in program.said and "Finished stage join" in program.said, program.said)
    program.run("example", "run", config, "--out", folder / "new", "--set", "join.offset=3.5")
    require(not run_differences(run, folder / "new"), "as if it had been so from the beginning")
    said = program.run("example", "join", config, "--out", run, "--set", "join.offset=3.5",
                       "--set", "cut.scale=2", expect=2)
    require("cut.scale" in said, said)


def redone_stage_outdates_later_ones(program, folder):
    config = survey(program, folder)
    run = folder / "run"
    program.run("example", "run", config, "--out", run)
    program.run("example", "cut", config, "--out", run, "--set", "cut.scale=2")
    said = program.run("example", "run", config, "--out", run, "--set", "cut.scale=2", expect=2)
    require("join" in said and "example join" in said, said)
    program.run("example", "join", config, "--out", run, "--set", "cut.scale=2")
    program.run("example", "run", config, "--out", folder / "new", "--set", "cut.scale=2")
    require(not run_differences(run, folder / "new"), "as a new run directory")


def other_code_version_is_refused(program, folder):
    config = survey(program, folder)
    run = folder / "run"
    program.run("example", "run", config, "--out", run)
    manifest = json.loads((run / "manifest.json").read_text())
    for stage in manifest["stages"]:
        stage["code_version"] = "0.0.1"
    (run / "manifest.json").write_text(json.dumps(manifest))
    said = program.run("example", "run", config, "--out", run, expect=2)
    require("0.0.1" in said and "--accept-new-code" in said, said)
    program.run("example", "run", config, "--out", run, "--accept-new-code")
    manifest = json.loads((run / "manifest.json").read_text())
    require(manifest["attempts"][-1]["accepted_new_code"], "recorded")


def failed_units_are_recorded_and_mended(program, folder):
    config = survey(program, folder)
    run = folder / "run"
    said = program.run("example", "run", config, "--out", run, "--set", "accident.broken_unit=3",
                       ranks=2, expect=3)
    require("unit-0003: bad_input: told to fail" in said, said)
    said = program.run("status", run)
    require("told to fail" in said and "--retry-failed" in said, said)
    program.run("example", "run", config, "--out", run, expect=3)
    require(program.said.count("finished earlier") == 2, "failed units stay failed: " + program.said)
    program.run("example", "run", config, "--out", run, "--retry-failed", ranks=2)
    program.run("example", "run", config, "--out", folder / "new")
    require(not run_differences(run, folder / "new"), "mended: equal to a run without accident")


def dry_run_says_what_a_run_would(program, folder):
    config = survey(program, folder)
    run = folder / "run"
    command = ("example", "run", config, "--out", run)
    program.run(*command, "--set", "accident.broken_unit=3", expect=3)
    before = {p: p.stat().st_mtime_ns for p in run.rglob("*")}
    said = program.run(*command, "--dry-run", "--set", "cut.scale=2.5", expect=2)
    require("cut.scale 1.0 -> 2.5" in said and "--fresh" in said, said)
    said = program.run(*command, "--dry-run", "--fresh", "--set", "cut.scale=2.5")
    require("stage cut: 6 units, the largest" in said, said)
    said = program.run(*command, "--dry-run")
    require(said.count("finished earlier") == 2, said)
    said = program.run(*command, "--dry-run", "--retry-failed", ranks=2)
    require("stage cut: 6 units, 5 of them done, 1 failed ones again" in said and
            "finished earlier" not in said, said)
    require(before == {p: p.stat().st_mtime_ns for p in run.rglob("*")}, "nothing is written")
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["stages"][0]["code_version"] = "0.0.1"
    (run / "manifest.json").write_text(json.dumps(manifest))
    said = program.run(*command, "--dry-run", expect=2)
    require("0.0.1" in said and "--accept-new-code" in said, said)
    program.run(*command, "--dry-run", "--accept-new-code")
    (run / "manifest.json").unlink()
    require("is not from a run here" in program.run(*command, "--dry-run", expect=2), program.said)


def allowed_failures_are_no_error(program, folder):
    config = survey(program, folder)
    program.run("example", "run", config, "--out", folder / "run", "--set",
                "accident.broken_unit=3", "--set", "run.max_failed_fraction=0.2")


if __name__ == "__main__":
    sys.exit(call_all(sys.argv[1], [
        changed_key_is_named,
        key_of_no_stage_is_free,
        changed_input_is_named,
        input_of_a_finished_stage_may_be_gone,
        fresh_starts_again,
        refused_fresh_removes_nothing,
        results_of_others_are_refused,
        stage_command_redoes_its_stage,
        redone_stage_outdates_later_ones,
        other_code_version_is_refused,
        failed_units_are_recorded_and_mended,
        dry_run_says_what_a_run_would,
        allowed_failures_are_no_error,
    ]))
