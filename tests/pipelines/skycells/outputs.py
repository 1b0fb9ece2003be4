"""What a run of the tiny simulated skycells leaves: arrays, tables, attributes, the coarse grid that gives
all pixels back, pixels stored once, and methods that agree."""

import json
import os
import sys
import zlib

import h5py
import numpy as np
from runs import call_all, require
from skycells import EDGE, FOLDER, OVERLAP, PRODUCT, Product, error, run, same, survey
from survey import csv, table


def tables_and_attributes(program, folder):
    config = survey(program, folder)
    out = run(program, config, folder / "run")
    product = Product(out)
    expected = {"sector": 20, "camera": 3, "ccd": 3, "sigma": 7.5, "radius": 56, "overlap": OVERLAP, "edge": EDGE,
                "pad": 60, "zero_point": 25.0}
    for name, value in expected.items():
        require(product.attributes[name] == value, f"attribute {name} = {product.attributes[name]}")
    require(product.attributes["method"] == b"multirate", str(product.attributes["method"]))
    require(list(product.attributes["weights"]) == [0.238, 0.344, 0.283, 0.135], "weights")
    cells = table(out / "skycells.h5", "cells")
    require(list(cells["name"]) == list(product.cells), "cells in the order of the arrays")
    require(set(cells["status"]) == {"ok"} and set(cells["bands"]) == {"r,i,z,y"}, "all are well")
    require(list(csv(out / "cells.csv")["name"]) == list(cells["name"]), "cells.csv")
    with h5py.File(out / "skycells.h5") as file:
        for number in file["projections"]:
            for array in ("data", "mask"):
                require(len(file["projections"][number][array]) == np.sum(cells["projection"] == int(number)),
                        f"planes of {number}/{array}")
    for i, name in enumerate(cells["name"]):
        image = product.data[name]
        require(cells["index"][i] == product.cells[name]["index"], f"index of {name}")
        require(cells["n_nan"][i] == np.isnan(image).sum(), f"n_nan of {name}")
        require(cells["minimum"][i] == np.nanmin(image) and cells["maximum"][i] == np.nanmax(image), name)
        require(abs(cells["mean"][i] - np.nanmean(image.astype(float))) < 1e-9 * np.nanmax(image), f"mean of {name}")
        require(cells["n_masked"][i] == np.count_nonzero(product.mask[name]), f"n_masked of {name}")
    told = json.loads((out / FOLDER / "cell_metadata.json").read_text())
    middle = next(cell for cell in told if cell["name"] == "skycell.2405.054")
    require(middle["row_x1"] - middle["row_x0"] == 330 and middle["row_y0"] == 60, str(middle))
    require(middle["neighbour_left"] == "skycell.2405.053" and middle["neighbour_bottom"] == "skycell.2405.044" and
            middle["status"] == "ok" and middle["exptime_z"] > 0, str(middle))


def taps(first, nodes, origin, pixels, step, narrow, reach):
    """Weights of nodes for pixels, as docs/pipelines/skycells.md has them."""
    d = origin + np.arange(pixels)[:, None] - step * (first + np.arange(nodes))
    g = np.exp(-0.5 * (d / narrow) ** 2) * (abs(d) <= reach)
    return g / g.sum(axis=1, keepdims=True)


def unrolled(stream, shape):
    runs = np.frombuffer(zlib.decompress(stream.tobytes()), "<u2").reshape(-1, 2)
    return np.repeat(runs[:, 1], runs[:, 0]).reshape(shape)


def coarse_grid_gives_all_pixels(program, folder):
    config = survey(program, folder)
    for extract in ("full", "unique"):
        full_run = run(program, config, folder / f"all-{extract}", f"io.extract={extract}")
        full, coarse_run = Product(full_run), run(program, config, folder / f"coarse-{extract}", "io.sampling=coarse",
                                                  f"io.extract={extract}")
        coarse = Product(coarse_run)
        kernel = [coarse.attributes[name] for name in ("step", "narrow_sigma", "reach")]
        with h5py.File(coarse_run / "convolve.h5") as file:
            names = [name.decode() for name in file["cells/name"]]
            starts = {key: np.concatenate([[0], np.cumsum(file[f"cells/{key}_bytes"])]) for key in ("missing", "mask")}
            streams = {key: file[f"{key}/byte"][()] for key in starts}
        for i, name in enumerate(names):
            cell, shape = coarse.cells[name], full.data[name].shape
            rows = taps(cell["first_node_y"], cell["nodes_y"], cell["y"] * (shape[0] - OVERLAP), shape[0], *kernel)
            columns = taps(cell["first_node_x"], cell["nodes_x"], cell["x"] * (shape[1] - OVERLAP), shape[1], *kernel)
            image = rows @ coarse.data[name][:cell["nodes_y"], :cell["nodes_x"]].astype(float) @ columns.T
            missing, mask = (unrolled(streams[key][starts[key][i]:starts[key][i + 1]], shape)
                             for key in ("missing", "mask"))
            image[missing != 0] = np.nan
            require(error(image, full.data[name]) < 5e-7, f"{name}: {error(image, full.data[name])}")
            require(same(mask, full.mask[name]), f"mask of {name}")
        one, two = table(full_run / "skycells.h5", "cells"), table(coarse_run / "skycells.h5", "cells")
        require(all(same(np.asarray(one[key]), np.asarray(two[key])) for key in one), "the same statistics")


def pixels_stored_once(program, folder):
    config = survey(program, folder)
    full = Product(run(program, config, folder / "all"))
    unique = Product(run(program, config, folder / "unique", "io.extract=unique"))
    for number in {cell["projection"] for cell in unique.cells.values()}:
        names = [name for name, cell in unique.cells.items() if cell["projection"] == number]
        height, width = unique.data[names[0]].shape
        count = np.zeros((10 * height, 10 * width), int)
        covered, finite = count > 0, count == 0
        for name in names:
            cell, kept = unique.cells[name], np.isfinite(unique.data[name])
            require(np.array_equal(unique.data[name][kept], full.data[name][kept]), f"{name} is what it was")
            y, x = cell["y"] * (height - OVERLAP), cell["x"] * (width - OVERLAP)
            place = np.s_[y:y + height, x:x + width]
            count[place] += kept
            covered[place] = True
            finite[place] &= np.isfinite(full.data[name])
        require(count.max() == 1, f"{number}: a pixel is stored {count.max()} times")
        require((count[covered & finite] == 1).all(), f"{number}: a pixel with a value is lost")


def methods_agree(program, folder):
    config = survey(program, folder)
    for rules in ((), ("psf.missing=normalise",), ("geometry.strict_slots=true", "geometry.edge_policy=void")):
        label = "-".join(rules)
        streamed = Product(run(program, config, folder / f"multirate-{label}", *rules))
        for method in ("direct", "fft"):
            plain = Product(run(program, config, folder / f"{method}-{label}", f"psf.method={method}", *rules))
            for name, image in streamed.data.items():
                require(error(image, plain.data[name]) < 2e-6, f"{method} {label} {name}: "
                                                               f"{error(image, plain.data[name])}")
                require(same(streamed.mask[name], plain.mask[name]), f"mask of {name}")


def compressed(program, folder):
    config = survey(program, folder)
    plain = Product(run(program, config, folder / "plain"))
    out = run(program, config, folder / "packed", "io.compression=deflate", "io.level=2", "io.chunk=64")
    packed = Product(out)
    for name, image in plain.data.items():
        require(same(image, packed.data[name]) and same(plain.mask[name], packed.mask[name]), name)
    with h5py.File(out / PRODUCT) as file:
        data = file["projections/2405/data"]
        require(data.compression == "gzip" and data.compression_opts == 2, f"{data.compression}")
        require(data.chunks == (1, 64, 64), f"chunks {data.chunks}")


def dry_run(program, folder):
    config = survey(program, folder)
    said = program.run("skycells", "run", config, "--out", folder / "run", "--dry-run")
    require("stage combine: 16 units" in said and "stage convolve: about 15 units" in said, said)
    require(not (folder / "run").exists(), "nothing was written")


if __name__ == "__main__":
    sys.exit(call_all(os.environ["SKYLOOM"],
                      [tables_and_attributes, coarse_grid_gives_all_pixels, pixels_stored_once, methods_agree,
                       compressed, dry_run]))
