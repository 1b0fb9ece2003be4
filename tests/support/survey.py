"""What the photometry tests share: the data folder, reading tables, robust numbers, figures checked."""

import csv as reader
import math
import os
import sys

import h5py
import numpy as np

DATA = os.environ.get("SKYLOOM_TEST_DATA", "")


def need_data(folder):
    """Path of a folder of survey data; ends the test as skipped where it is not there."""
    path = os.path.join(DATA, folder)
    if not os.path.isdir(path):
        print("skipped: no data in " + path)
        sys.exit(77)
    return path


def table(file, name):
    """Columns of a product's table as arrays; text decoded."""
    with h5py.File(file, "r") as f:
        out = {}
        for column, data in f[name].items():
            values = data[...]
            out[column] = np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values
        return out


def csv(file):
    """A CSV file as a dictionary of text arrays."""
    with open(file, newline="") as f:
        rows = list(reader.reader(f))
    return {name: np.array([row[i] for row in rows[1:]]) for i, name in enumerate(rows[0])}


def write_csv(file, columns):
    with open(file, "w", newline="") as f:
        out = reader.writer(f)
        out.writerow(columns)
        for row in zip(*columns.values()):
            out.writerow(["" if isinstance(c, float) and math.isnan(c) else c for c in row])


def numbers(texts):
    return np.array([float(t) if t else math.nan for t in texts])


def scatter(values):
    values = np.asarray(values)[np.isfinite(values)]
    return 1.4826 * np.median(np.abs(values - np.median(values)))


class Checks:
    """Collects checks with their figures, prints all of them, fails at the end if any failed."""

    def __init__(self):
        self.failed = 0

    def __call__(self, ok, text):
        print(("ok    " if ok else "FAIL  ") + text, flush=True)
        self.failed += 0 if ok else 1

    def finish(self):
        if self.failed:
            sys.exit(f"{self.failed} check(s) failed")
