"""Disks that fill up, writes, syncs and renames that fail, files that change behind the program's back,
units that crash: the run ends as documented, names what is bad, and the same command finishes it."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

from products import run_differences
from runs import call_all, require, wait_for


def survey(program, folder, size="small"):
    program.run("simulate", "example", "--out", folder / "s", "--size", size)
    program.run("example", "run", folder / "s" / "example.toml", "--out", folder / "ref")
    return folder / "s" / "example.toml"


def run_with(program, accident, *arguments, ranks=1, expect=70):
    os.environ["SKYLOOM_TEST_ACCIDENT"] = accident
    try:
        return program.run(*arguments, ranks=ranks, expect=expect)
    finally:
        del os.environ["SKYLOOM_TEST_ACCIDENT"]


def require_equal(folder, run):
    found = run_differences(folder / "ref", run)
    require(not found, "products differ: " + "; ".join(found[:5]))


def recovered(said):
    return int(re.search(r"units \((\d+) recovered\)", said).group(1))


def failing_calls_are_fatal_and_resumable(program, folder):
    config = survey(program, folder)
    for number, (accident, hint) in enumerate((
            ("write=full@25+", "bytes are needed: No space left on device"),
            ("write=fail@3+", "bytes are needed: Input/output error"),
            ("space=full@2", "bytes are needed: 0 bytes are free"),
            ("sync=fail@12", "forced to disk: Input/output error"),
            ("rename=fail@7", "renamed"))):
        run = folder / f"run{number}"
        ranks = 1 + number % 2
        command = ("example", "run", config, "--out", run)
        said = run_with(program, accident + "#0", *command, ranks=ranks)
        require(hint in said and said.count("skyloom: ") == 1 and str(run) in said,
                f"{accident}: {said}")
        program.run(*command, ranks=3 - ranks)
        require_equal(folder, run)


def one_cut_or_failed_write_is_mended(program, folder):
    config = survey(program, folder)
    for accident in ("write=cut@20", "write=fail@30"):
        run = folder / accident.replace("=", "-")
        run_with(program, accident, "example", "run", config, "--out", run, expect=0)
        require_equal(folder, run)


def unreadable_journal_is_named_and_recomputed(program, folder):
    config = survey(program, folder)
    command = ("example", "run", config, "--out", folder / "run")
    run_with(program, "unit=kill@15", *command, expect=None)
    said = run_with(program, "read=fail@1", *command, expect=0)
    require(recovered(said) == 0 and "cut/journal.g0001.000: bytes 0 to" in said, said)
    require_equal(folder, folder / "run")


def full_file_system_is_fatal_and_resumable(program, folder):
    """A real one, where this user may mount."""
    small = folder / "small"
    small.mkdir()
    mounted = os.geteuid() == 0 and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(small)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0
    if not mounted:
        print("full_file_system: skipped, no right to mount", flush=True)
        return
    try:
        program.run("simulate", "example", "--out", folder / "s", "--size", "full")
        command = ("example", "run", folder / "s" / "example.toml", "--set", "cut.units=3000",
                   "--out")
        program.run(*command, folder / "ref")
        for ranks in (1, 2):
            said = program.run(*command, small / "run", ranks=ranks, expect=70)
            require("bytes are needed" in said and "skyloom: " in said, said)
            status = json.loads(program.run("status", small / "run", "--json"))
            require(status["state"] == "stopped" and not status["suspects"], status)
        done = status["stages"][0]["done"]
        require(done > 100, status)
        subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True)
        program.run(*command, small / "run", ranks=2)
        require(recovered(program.said) == done, f"{done} were saved: {program.said}")
        require_equal(folder, small / "run")
    finally:
        subprocess.run(["umount", str(small)], check=False)


def stopped_run(program, folder, config, name):
    """A run directory with a journal of about half of the units, and how many they are."""
    run = folder / name
    run_with(program, "unit=kill@60", "example", "run", config, "--out", run, expect=None)
    return run, json.loads(program.run("status", run, "--json"))["stages"][0]["done"]


def damaged_files_are_named_and_recomputed(program, folder):
    config = survey(program, folder, "full")

    def flip(path, offset):
        data = bytearray(path.read_bytes())
        data[offset] ^= 0x10
        path.write_bytes(data)

    def place_of_strip(path, number):
        import h5py
        with h5py.File(path) as file:
            return file["strips"].id.get_offset() + number * file["strips"].shape[1] * 4

    for name, damage, lost, hint in (
            ("flipped record", lambda run: flip(run / "cut" / "journal.g0001.000", 130), 1,
             "cut/journal.g0001.000: bytes"),
            ("cut journal", lambda run: os.truncate(run / "cut" / "journal.g0001.000", 2000), None,
             ""),
            ("empty journal", lambda run: os.truncate(run / "cut" / "journal.g0001.000", 0), None,
             ""),
            ("flipped slab", lambda run: flip(run / "cut.slabs.h5.tmp", place_of_strip(
                run / "cut.slabs.h5.tmp", 4) + 5), 1,  # the most costly units come first
             "cut.slabs.h5: the part of unit unit-0004"),
            ("cut slab", lambda run: os.truncate(run / "cut.slabs.h5.tmp", place_of_strip(
                run / "cut.slabs.h5.tmp", 50)), None, "")):
        run, done = stopped_run(program, folder, config, name.replace(" ", "-"))
        damage(run)
        said = program.run("example", "run", config, "--out", run, ranks=2)
        kept = recovered(said)
        require(hint in said and (kept == done - lost if lost else kept < done),
                f"{name}: {kept} of {done}: {said}")
        require_equal(folder, run)


def damaged_product_is_made_again(program, folder):
    config = survey(program, folder)
    run = folder / "run"
    command = ("example", "run", config, "--out", run)
    for name in ("cut.h5", "join.h5", "manifest.json.tmp", "progress.json", "example.h5",
                 "config_used_20260101_000000.toml.tmp"):
        program.run(*command)
        if (run / name).exists():
            os.truncate(run / name, (run / name).stat().st_size // 2)
        else:
            (run / name).write_text("half of")
        program.run(*command, ranks=2)
        require_equal(folder, run)
        require(not list(run.glob("*.tmp")), "nothing cut off stays")


def crashing_unit_is_quarantined(program, folder):
    config = survey(program, folder)
    run = folder / "run"
    command = ("example", "run", config, "--out", run, "--set", "accident.crashing_unit=7")
    for attempt in range(3):
        program.run(*command, ranks=1 + attempt % 2, expect=None)
        said = program.run("status", run)
        require(f"cut/unit-0007 ({attempt + 1})" in said, said)
    said = program.run(*command, ranks=2, expect=3)
    require("unit-0007: crashed: its process died in it 3 times" in said, said)
    said = program.run("status", run)
    require("cut/unit-0007: crashed" in said and "--retry-failed" in said, said)
    program.run(*command, "--set", "run.max_failed_fraction=0.1")
    # It crashes again when it is retried, and is mended when its cause is.
    program.run(*command, "--retry-failed", expect=None)
    program.run("example", "run", config, "--out", run, "--retry-failed", ranks=2)
    require_equal(folder, run)


def status_follows_a_run(program, folder):
    config = survey(program, folder)
    run = folder / "run"
    process = program.start("example", "run", config, "--out", run, "--set",
                            "accident.sleep_ms=500", "--set", "accident.broken_unit=4")
    wait_for(lambda: (run / "cut").exists() and (run / "progress.json").exists(), "the run")
    time.sleep(2.5)
    said = program.run("status", run)
    require("running" in said and "%" in said and "rate" in said and "remaining 00:" in said and
            "cut/unit-0004: bad_input: told to fail" in said and "idle" in said, said)
    watch = program.start("status", run, "--watch")
    time.sleep(3)
    watch.send_signal(signal.SIGINT)
    said = program.wait(watch, 0)
    require(said.count("next: nothing to do: it is running") >= 2, said)
    process.kill()
    program.wait(process, None)
    said = program.run("status", run)
    require("stopped" in said and "when it ran" in said and "told to fail" in said and
            f"next: {'skyloom'} example run" in said, said)
    # Elsewhere: a copy, and a heartbeat of another machine in a shared directory.
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["attempts"][-1]["host"] = "elsewhere"
    (run / "manifest.json").write_text(json.dumps(manifest))
    progress = json.loads((run / "progress.json").read_text())
    progress["time_s"] = time.time() - 5
    (run / "progress.json").write_text(json.dumps(progress))
    require(json.loads(program.run("status", run, "--json"))["state"] == "running", program.said)
    progress["time_s"] = time.time() - 100
    (run / "progress.json").write_text(json.dumps(progress))
    require(json.loads(program.run("status", run, "--json"))["state"] == "stopped", program.said)
    program.run("example", "run", config, "--out", run, "--retry-failed")
    said = program.run("status", run, "--watch")
    require("complete" in said, said)
    require_equal(folder, run)


def long_units_show_life(program, folder):
    """One unit, longer than the test looks at it."""
    config = survey(program, folder)
    run = folder / "run"
    process = program.start("example", "run", config, "--out", run, "--set", "cut.units=1",
                            "--set", "accident.sleep_ms=8000")
    told = run / "progress.json"
    wait_for(told.exists, "the first unit")
    first = json.loads(told.read_text())
    wait_for(lambda: json.loads(told.read_text())["time_s"] > first["time_s"] + 1, "a heartbeat",
             timeout=6)
    require(json.loads(told.read_text())["done"] == 0, "it is still the first unit")
    program.wait(process, 0)


if __name__ == "__main__":
    sys.exit(call_all(pathlib.Path(sys.argv[1]), [
        failing_calls_are_fatal_and_resumable,
        one_cut_or_failed_write_is_mended,
        unreadable_journal_is_named_and_recomputed,
        full_file_system_is_fatal_and_resumable,
        damaged_files_are_named_and_recomputed,
        damaged_product_is_made_again,
        crashing_unit_is_quarantined,
        status_follows_a_run,
        long_units_show_life,
    ]))
