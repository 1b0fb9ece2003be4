"""What the tests of skycells share: the tiny simulated survey, runs of it, cells of a product by name."""

import atexit
import pathlib
import shutil
import tempfile

import h5py
import numpy as np

FOLDER = "convolved_results/sector_0020/camera_3/ccd_3"
PRODUCT = FOLDER + "/convolved_images.h5"
OVERLAP, EDGE = 60, 4  # of the tiny survey


_made = {}


def survey(program, folder):
    """Configuration of a tiny survey of its own: drawn once, then copied."""
    if not _made:
        _made["folder"] = tempfile.mkdtemp(prefix="skyloom-")
        atexit.register(shutil.rmtree, _made["folder"], ignore_errors=True)
        program.run("simulate", "skycells", "--out", pathlib.Path(_made["folder"]) / "s", "--size", "tiny")
    shutil.copytree(pathlib.Path(_made["folder"]) / "s", folder / "s")
    return folder / "s" / "skycells.toml"


def run(program, config, out, *settings, ranks=2, expect=0, stage="run"):
    words = [word for setting in settings for word in ("--set", setting)]
    program.run("skycells", stage, config, "--out", out, *words, ranks=ranks, expect=expect, timeout=100)
    return out


def files_of(config, pattern):
    """Input images that a pattern fits, such as '*2405.054*.i.unconv.fits'."""
    return sorted((config.parent / "data" / "ps1_skycells").rglob(pattern))


def list_of(config):
    return next((config.parent / "data").rglob("*master_skycells_list.csv"))


class Product:
    """The convolved cells of a run: data, mask (arrays by name), cells (rows by name)."""

    def __init__(self, folder):
        self.data, self.mask, self.cells = {}, {}, {}
        with h5py.File(folder / PRODUCT) as file:
            self.attributes = dict(file.attrs)
            for number, group in file["projections"].items():
                table = {name: column[()] for name, column in group["cells"].items()}
                for i, name in enumerate(name.decode() for name in table["name"]):
                    self.cells[name] = {key: column[i] for key, column in table.items()} | {
                        "projection": int(number), "index": i}
                    if "data" in group:
                        self.data[name], self.mask[name] = group["data"][i], group["mask"][i]
                    else:
                        self.data[name] = group["coarse"][i]


def same(one, two):
    """Equal bytes, NaN where NaN."""
    return one.dtype == two.dtype and one.shape == two.shape and one.tobytes() == two.tobytes()


def error(image, reference):
    """Largest difference over largest value; infinite where the missing pixels differ."""
    if not np.array_equal(np.isnan(image), np.isnan(reference)):
        return np.inf
    return float(np.nanmax(abs(image - reference)) / np.nanmax(abs(reference)))
