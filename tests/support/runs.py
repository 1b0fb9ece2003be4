"""Runs a skyloom program in tests: on so many ranks, in a temporary folder, with checks of the exit
status that print what the program said."""

import contextlib
import os
import pathlib
import signal
import subprocess
import tempfile
import time

MPIRUN = os.environ.get("MPIRUN", "mpirun")


class Program:
    def __init__(self, path, folder):
        self.path = str(pathlib.Path(path).resolve())
        self.folder = pathlib.Path(folder)
        self.said = ""

    def start(self, *arguments, ranks=1):
        """The running process (mpirun when there are several ranks)."""
        launcher = [MPIRUN, "-n", str(ranks)] if ranks > 1 else []
        command = launcher + [self.path] + [str(a) for a in arguments]
        return subprocess.Popen(command, cwd=self.folder, text=True, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT)

    def wait(self, process, expect, timeout=60):
        try:
            self.said, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            self.said, _ = process.communicate()
            raise AssertionError(f"hangs: {process.args}\n{self.said}") from None
        if expect is not None and process.returncode != expect:
            raise AssertionError(
                f"{process.args}: exit {process.returncode}, expected {expect}\n{self.said}")
        return self.said

    def run(self, *arguments, ranks=1, expect=0, timeout=60):
        return self.wait(self.start(*arguments, ranks=ranks), expect, timeout)


def children_of(pid):
    """Process ids of the direct children."""
    out = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                if int(fields[1]) == pid:
                    out.append(int(entry.name))
    return sorted(out)


def wait_for(condition, what, timeout=30.0):
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain for {what}")
        time.sleep(0.02)


def kill_one_rank(process):
    os.kill(children_of(process.pid)[-1], signal.SIGKILL)


def require(condition, text):
    if not condition:
        raise AssertionError(text)


@contextlib.contextmanager
def scratch():
    with tempfile.TemporaryDirectory(prefix="skyloom-") as folder:
        yield pathlib.Path(folder)


def call_all(program, cases):
    """Every case in a folder of its own; names what fails and goes on. Exit status."""
    failed = 0
    for case in cases:
        began = time.monotonic()
        try:
            with scratch() as folder:
                case(Program(program, folder), folder)
            verdict = "passed"
        except AssertionError as error:
            failed += 1
            verdict = f"FAILED: {error}"
        print(f"{case.__name__} ({time.monotonic() - began:.1f} s): {verdict}", flush=True)
    return 1 if failed else 0
