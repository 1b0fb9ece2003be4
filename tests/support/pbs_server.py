"""What a job sees of PBS Pro, without PBS (Debian has no server): a qsub that checks scripts and
options as PBS would and queues them, a qstat, and the environment, signals and job ids of jobs.
Nothing runs before start() is called."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

DIRECTIVES = [r"-N [A-Za-z][\w.+-]{0,229}", r"-A \S+", r"-q \S+", r"-r [yn]", r"-j (oe|eo|n)",
              r"-o \S+", r"-l walltime=(\d+:)?\d?\d:\d\d", r"-l place=\S+",
              r"-l select=\d+(:(ncpus|mpiprocs)=\d+|:mem=\d+[kmgt]b)+"]
OPTIONS = {"-J": r"\d+-\d+(%\d+)?", "-v": r"\w+=[^,]*(,\w+=[^,]*)*",
           "-W": r"depend=(after|afterok|afternotok|afterany):[\w.\[\]:]+"}


def check_script(text):
    """Directives, by option. A directive after the first command would be ignored by PBS."""
    lines = text.splitlines()
    if not lines[0].startswith("#!"):
        raise ValueError("no interpreter")
    found, commands = {}, False
    for line in lines[1:]:
        if line.startswith("#PBS"):
            option = line[4:].strip()
            if commands:
                raise ValueError("directive after a command: " + line)
            if not any(re.fullmatch(pattern, option) for pattern in DIRECTIVES):
                raise ValueError("illegal directive: " + line)
            flag, value = option.split(maxsplit=1)
            key, _, rest = value.partition("=") if flag == "-l" else (flag, "", value)
            found[key] = rest
        elif line.strip() and not line.startswith("#"):
            commands = True
    return found


def qsub(queue, arguments):
    *options, script = arguments
    job = {"variables": {}, "array": "", "script": os.path.abspath(script)}
    if len(options) % 2:
        raise ValueError(f"options {options}")
    for flag, value in zip(options[::2], options[1::2]):
        if not re.fullmatch(OPTIONS.get(flag, "(?!)"), value):
            raise ValueError(f"illegal option {flag} {value}")
        if flag == "-J":
            job["array"] = value
        if flag == "-v":
            job["variables"] = dict(pair.split("=", 1) for pair in value.split(","))
    job["resources"] = check_script(pathlib.Path(script).read_text())
    number = 100 + len(list(queue.glob("*.job")))
    job["id"] = f"{number}{'[]' if job['array'] else ''}.server"
    (queue / f"{number}.job").write_text(json.dumps(job))
    # PBS runs a copy, and the user may change the file meanwhile.
    shutil.copy(script, queue / f"{number}.SC")
    print(job["id"])


def qstat(queue, job_id):
    number = re.match(r"\d+", job_id).group()
    job = json.loads((queue / f"{number}.job").read_text())
    print(f"Job Id: {job_id}\n    job_state = R\n    Resource_List.walltime = "
          + job["resources"]["walltime"])


class Pbs:
    def __init__(self, folder):
        self.queue = pathlib.Path(folder) / "queue"
        self.bin = pathlib.Path(folder) / "bin"
        self.queue.mkdir()
        self.bin.mkdir()
        for name in ("qsub", "qstat"):
            (self.bin / name).write_text(
                f"#!/bin/sh\nexec {sys.executable} {__file__} {self.queue} {name} \"$@\"\n")
            (self.bin / name).chmod(0o755)
        self.environment = dict(os.environ, PATH=f"{self.bin}:{os.environ['PATH']}")

    def submit(self, command):
        """Submits by a command as it is printed for the user. Id of the job."""
        done = subprocess.run(command, shell=True, env=self.environment, text=True,
                              capture_output=True)
        if done.returncode != 0:
            raise AssertionError(f"{command}: {done.stderr}")
        return done.stdout.strip()

    def jobs(self):
        return [json.loads(path.read_text()) for path in sorted(self.queue.glob("*.job"))]

    def alter(self, job_id, walltime):
        """As qalter -l walltime does."""
        path = self.queue / (re.match(r"\d+", job_id).group() + ".job")
        job = json.loads(path.read_text())
        job["resources"]["walltime"] = walltime
        path.write_text(json.dumps(job))

    def start(self, job_id, index=None):
        """The running script of a job, or of one member of an array; standard output is a pipe."""
        number = re.match(r"\d+", job_id).group()
        job = json.loads((self.queue / f"{number}.job").read_text())
        nodes = self.queue / "nodes"
        ranks = int(re.search(r"mpiprocs=(\d+)", job["resources"]["select"]).group(1))
        nodes.write_text("localhost\n" * ranks)
        environment = dict(self.environment, PBS_JOBID=job_id.replace("[]", f"[{index}]"),
                           PBS_O_WORKDIR="/", PBS_NODEFILE=str(nodes),
                           PBS_ENVIRONMENT="PBS_BATCH", **job["variables"])
        if index is not None:
            environment["PBS_ARRAY_INDEX"] = str(index)
        return subprocess.Popen(["/bin/bash", str(self.queue / f"{number}.SC")], cwd="/",
                                env=environment, text=True, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, start_new_session=True)

    @staticmethod
    def delete(process):
        """As qdel does: TERM for all processes of the job."""
        os.killpg(process.pid, signal.SIGTERM)


if __name__ == "__main__":
    try:
        {"qsub": lambda q, a: qsub(q, a), "qstat": lambda q, a: qstat(q, a[-1])}[sys.argv[2]](
            pathlib.Path(sys.argv[1]), sys.argv[3:])
    except ValueError as error:
        sys.exit(f"{sys.argv[2]}: {error}")
