"""A Slurm of one's own on this machine: munged, slurmctld and slurmd in the foreground of the test,
two nodes of two processors, partitions `low` (may be preempted) and `high`. Needs root, as slurmd
does, and Debian's packages slurm-wlm and munge."""

import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import time

PROGRAMS = ["munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol"]

CONFIGURATION = """\
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
SlurmctldPort={ports[0]}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=1
MpiDefault=none
ReturnToService=2
MinJobAge=600
JobRequeue={requeue}
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
SlurmdParameters=config_overrides
NodeName=n1 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 RealMemory=1000
NodeName=n2 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 RealMemory=1000
PartitionName=low  Nodes=n[1-2] Default=YES State=UP PriorityTier=1  PreemptMode=REQUEUE GraceTime=30
PartitionName=high Nodes=n[1-2] State=UP PriorityTier=10 PreemptMode=OFF
"""


def missing():
    """Why Slurm cannot be started here; "" when it can."""
    if os.geteuid() != 0:
        return "slurmd needs root"
    absent = [name for name in PROGRAMS if not shutil.which(name)]
    return "not installed: " + " ".join(absent) if absent else ""


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Slurm:
    """A context manager; its commands run with SLURM_CONF set."""

    def __init__(self, folder, may_requeue=True):
        self.folder = pathlib.Path(folder)
        self.environment = dict(os.environ, SLURM_CONF=str(self.folder / "slurm.conf"))
        self.requeue = int(may_requeue)
        self.daemons = []

    def __enter__(self):
        for name in ("state", "spool.n1", "spool.n2"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "slurm.conf").write_text(CONFIGURATION.format(
            folder=self.folder, ports=free_ports(3), requeue=self.requeue))
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        f = self.folder
        try:
            self._start("munged", "--foreground", "--force", f"--socket={f}/munge.socket",
                        f"--key-file={key}", f"--pid-file={f}/munged.pid",
                        f"--seed-file={f}/munge.seed", f"--log-file={f}/munged.log")
            self._wait(lambda: (f / "munge.socket").exists(), "munged")
            self._start("slurmctld", "-D")
            self._wait(lambda: self._answers("scontrol", "ping"), "slurmctld")
            for node in ("n1", "n2"):
                self._start("slurmd", "-D", "-N", node)
            self._wait(lambda: self.run("sinfo", "-hN", "-plow", "-o%T").split() == ["idle"] * 2,
                       "two idle nodes")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for daemon in reversed(self.daemons):
            daemon.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                daemon.wait(10)
            if daemon.poll() is None:
                daemon.kill()
                daemon.wait()

    def _start(self, *command):
        log = open(self.folder / f"{command[0]}.out", "a")
        self.daemons.append(subprocess.Popen(command, env=self.environment, stdout=log,
                                             stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL))

    def _answers(self, *command):
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        return done.returncode == 0 and "UP" in done.stdout

    def _wait(self, condition, what, timeout=40.0):
        end = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"{what}: not there after {timeout:.0f} s\n" + self.logs())
            time.sleep(0.2)

    def logs(self):
        out = ""
        for path in sorted(self.folder.glob("*.log")) + sorted(self.folder.glob("*.out")):
            out += f"--- {path.name}\n" + "".join(open(path, errors="replace").readlines()[-25:])
        return out

    def run(self, *command):
        done = subprocess.run([str(c) for c in command], env=self.environment, text=True,
                              capture_output=True, timeout=60)
        if done.returncode != 0:
            raise AssertionError(f"{command}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def submit(self, *arguments):
        """Number of the new job."""
        return int(self.run("sbatch", "--parsable", *arguments))

    def job(self, number):
        """What scontrol says about a job, as a dictionary."""
        words = self.run("scontrol", "--oneliner", "show", "job", number).split()
        return dict(word.split("=", 1) for word in words if "=" in word)
