"""Job scripts of many kinds are sound: bash reads them, shellcheck has nothing to say, and the
program refuses what cannot be."""

import itertools
import os
import shutil
import subprocess
import sys

from fields import survey_of_fields
from pbs_server import check_script
from runs import call_all, require

KINDS = {
    "plain": [],
    "full": ["job.account=p1", "job.partition=cpu", "job.memory_per_rank_gb=2", "job.shares=3",
             "job.shares_at_once=2", "job.after=afterok:12", 'job.modules=["gcc/12", "openmpi"]',
             'job.setup=["ulimit -c 0"]', "run.seed=4"],
    "container": ["job.container=/images/a b.sif", 'job.container_options=["--bind=/scratch"]',
                  "job.max_restarts=0"],
}


def survey(program, folder):
    config = survey_of_fields(program, folder, 3)
    config.write_text(config.read_text() + "[job]\nranks_per_node = 2\n")
    return config


def scripts_are_sound(program, folder):
    config = survey(program, folder)
    for batch, (kind, keys) in itertools.product(("slurm", "pbs"), KINDS.items()):
        script = folder / f"{batch}.{kind}"
        options = [word for key in keys for word in ("--set", key)]
        said = program.run("job", batch, config, "--out", script, *options)
        require(said.startswith("sbatch " if batch == "slurm" else "qsub ") and
                said.strip().endswith(str(script)), said)
        text = script.read_text()
        require("{{" not in text and "photometry run" in text, text)
        subprocess.run(["bash", "-n", script], check=True)
        if batch == "pbs":
            check_script(text)
        else:
            last = max(i for i, line in enumerate(text.splitlines()) if line.startswith("#SBATCH"))
            first = min(i for i, line in enumerate(text.splitlines())
                        if line and not line.startswith("#"))
            require(last < first, "a directive after the first command is ignored")
        if shutil.which("shellcheck"):
            done = subprocess.run(["shellcheck", script], capture_output=True, text=True)
            require(done.returncode == 0, done.stdout)


def wrong_jobs_are_refused(program, folder):
    config = survey(program, folder)
    for arguments, text in (
            (["slurm", config, "--set", "job.ranks_per_node=0"], "job.ranks_per_node: is not set"),
            (["slurm", config, "--set", "job.walltime_s=3"], "did you mean job.walltime_h"),
            (["slurm", config, "--set", "job.shares=9"], "run.shard"),
            (["slurm", config, "--set", "job.shares=2", "--set", "run.shard=1/2"], "run.shard"),
            (["slurm", folder / "none.toml"], "none.toml"),
            (["pbs", config], "--out")):
        said = program.run("job", *arguments, expect=2)
        require(text in said and said.count("\n") == 1, said)
    require(program.run("job", "slurm", config).startswith("#!/bin/bash\n"), "standard output")


if __name__ == "__main__":
    sys.exit(call_all(os.environ["SKYLOOM"], [scripts_are_sound, wrong_jobs_are_refused]))
