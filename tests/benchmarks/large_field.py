"""Runs photometry of a field stage by stage and prints time and memory of every stage.

large_field.py FOLDER RANKS: FOLDER is what large_field wrote. SKYLOOM and MPIRUN name the programs.
Memory is the peak of the largest rank; processor time is that of all ranks.
"""

import os
import resource
import subprocess
import sys
import time

STAGES = ("frames", "background", "objects", "epsf", "patches", "fit", "catalogue", "zeropoint")


def run(stage, folder, ranks):
    """Wall and processor seconds, and the peak memory [MB] of the largest process."""
    reader, writer = os.pipe()
    begin = time.monotonic()
    child = os.fork()
    if child == 0:
        # A process of its own: the peak of children never goes down again.
        subprocess.run(
            [os.environ["MPIRUN"], "-n", str(ranks), os.environ["SKYLOOM"], "photometry", stage,
             f"{folder}/photometry.toml", "--out", f"{folder}.run"],
            check=True, stdout=subprocess.DEVNULL)
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        os.write(writer, f"{usage.ru_utime + usage.ru_stime} {usage.ru_maxrss / 1024}".encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        words = pipe.read().split()
    os.waitpid(child, 0)
    if not words:
        sys.exit(f"stage {stage} failed")
    return time.monotonic() - begin, float(words[0]), float(words[1])


def main():
    folder, ranks = sys.argv[1].rstrip("/"), int(sys.argv[2])
    print(f"{'stage':<10} {'wall [s]':>9} {'CPU [s]':>9} {'peak [MB]':>10}", flush=True)
    for stage in STAGES:
        wall, processor, peak = run(stage, folder, ranks)
        print(f"{stage:<10} {wall:>9.1f} {processor:>9.1f} {peak:>10.0f}", flush=True)


if __name__ == "__main__":
    main()
