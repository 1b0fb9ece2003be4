"""What the specification says about a survey of skycells, from its files alone: every master row is put together pixel
by pixel in double precision, by the rules of rows, overlaps, gaps and paddings, and convolved with dense sums. Nothing
is shared with the program but its input files."""
import functools
import math
import pathlib
import re
import tomllib
import zlib

import h5py
import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from survey import csv, write_csv

POGSON = 2.5 / math.log(10.0)
SIDES = ("top", "bottom", "left", "right", "top_left", "top_right", "bottom_left", "bottom_right")
DEFAULTS = {
    "bands.use": ["r", "i", "z", "y"], "bands.weights": [0.238, 0.344, 0.283, 0.135], "bands.missing_band": "error",
    "bands.missing_pixel": "nan", "geometry.overlap": 480, "geometry.edge_exclusion": 10, "geometry.pad": 480,
    "geometry.edge_policy": "keep", "geometry.strict_slots": False, "geometry.cross_projection": True,
    "psf.sigma": 60.0, "psf.radius": 470, "psf.missing": "zero", "psf.min_weight": 0.1, "io.extract": "full",
}


def settings(toml, changes):
    """Flat keys: defaults, the file's, the changes of this run."""
    with open(toml, "rb") as f:
        given = {f"{section}.{key}": value for section, table in tomllib.load(f).items()
                 if isinstance(table, dict) for key, value in table.items()}
    return DEFAULTS | given | changes


def place_of(name):
    """(projection, y, x) of a skycell's name."""
    projection, y, x = re.fullmatch(r"(?:rings\.v3\.)?skycell\.(\d+)\.0(\d)(\d)", name.strip().lower()).groups()
    return int(projection), int(y), int(x)


class Cell:
    """A line of the metadata CSV."""

    def __init__(self, line):
        self.place = place_of(line["NAME"])
        self.w, self.h = int(line["NAXIS1"]), int(line["NAXIS2"])
        header = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "RADESYS": "FK5", "NAXIS1": self.w,
                              "NAXIS2": self.h})
        for card in ("CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2"):
            header[card] = float(line[card])
        for i in (1, 2):
            for j in (1, 2):
                cd, pc = f"CD{i}_{j}", f"PC{i}_{j}"
                header[cd] = float(line[cd]) if line.get(cd) else float(line[f"CDELT{i}"]) * float(line[pc])
        self.wcs = WCS(header)
        self.pads = {}
        for side in SIDES:
            names = re.split("[/,]", line.get("pad_skycell_" + side, ""))
            places = [place_of(n) for n in names if n.strip() and n.strip() not in ("nan", "None")]
            self.pads[side] = [p for p in places if p[0] != self.place[0]]


@functools.cache
def linear(file):
    """Counts per second of an image, in double; NaN where blank. The asinh scaling is undone."""
    with fits.open(file, do_not_scale_image_data=True) as hdus:
        hdu = next(h for h in hdus if h.header.get("NAXIS", 0) == 2 and h.data is not None)
        head, stored = hdu.header, np.array(hdu.data)
    v = head.get("BZERO", 0.0) + head.get("BSCALE", 1.0) * stored.astype(float)
    if "BLANK" in head and stored.dtype.kind in "iu":
        v[stored == head["BLANK"]] = np.nan
    if "BSOFTEN" in head:
        v = head["BOFFSET"] + 2.0 * head["BSOFTEN"] * np.sinh(v / POGSON)
    return v / head["EXPTIME"]


@functools.cache
def mask_of(file):
    with fits.open(file) as hdus:
        hdu = next(h for h in hdus if h.header.get("NAXIS", 0) == 2 and h.data is not None)
        return np.array(hdu.data).astype(np.int64).astype(np.uint16)


def bilinear(image, u, v):
    """Values at columns u and rows v; NaN where a neighbour of weight above 0 is."""
    near = lambda t: np.where(np.abs(t - np.round(t)) < 1e-6, np.round(t), t)
    u, v = near(u), near(v)
    with np.errstate(invalid="ignore"):
        inside = (u >= 0) & (v >= 0) & (u <= image.shape[1] - 1) & (v <= image.shape[0] - 1)
    u, v = np.where(inside, u, 0.0), np.where(inside, v, 0.0)
    i, j = np.floor(v).astype(int), np.floor(u).astype(int)
    a, b = v - i, u - j
    out = np.zeros(u.shape)
    for di, wi in ((0, 1.0 - a), (1, a)):
        for dj, wj in ((0, 1.0 - b), (1, b)):
            weight = wi * wj
            value = image[np.minimum(i + di, image.shape[0] - 1), np.minimum(j + dj, image.shape[1] - 1)]
            out += np.where(weight > 0, weight * np.where(weight > 0, value, 0.0), 0.0)
    return np.where(inside, out, np.nan)


class Oracle:
    """What the specification says about a survey."""

    def __init__(self, toml, changes, unreadable=(), treatment=None):
        """treatment(place, image, mask): what becomes of a combined image as a whole."""
        self.get = settings(toml, changes)
        self.o, self.e, self.pad = (self.get["geometry." + k] for k in ("overlap", "edge_exclusion", "pad"))
        root = pathlib.Path(toml).parent / self.get.get("inputs.data_root", "data")
        lists = list(root.rglob("tess_*_master_skycells_list.csv"))
        assert len(lists) == 1, lists
        columns = csv(lists[0])
        lines = [dict(zip(columns, values)) for values in zip(*columns.values())]
        self.files = {}
        for path in root.rglob("*.stk.*.unconv*.fits*"):
            found = re.search(r"(skycell\.\d+\.0\d\d)\.stk\.(.)\.unconv\.(mask\.|wt\.)?fits", path.name)
            self.files[(place_of(found[1]), found[2], (found[3] or "")[:-1])] = path
        self.listed = {c.place: c for c in map(Cell, lines)}
        self.cells = {p: c for p, c in self.listed.items() if p not in unreadable}
        self.images, self.masks, self.extensions = {}, {}, {}
        self.treatment = treatment or (lambda place, image, mask: image)
        self.first_x = {q: min(p[2] for p in self.listed if p[0] == q) for q in {p[0] for p in self.listed}}

    def combined(self, place):
        """The image of a cell, all bands; NaN where there is no value."""
        if place in self.images:
            return self.images[place]
        bands, weights = self.get["bands.use"], self.get["bands.weights"]
        there = [(w, b) for b, w in zip(bands, weights) if (place, b, "") in self.files]
        planes = [(w, linear(self.files[place, b, ""])) for w, b in there]
        assert self.get["bands.missing_band"] != "error" or len(planes) == len(bands)
        if self.get["bands.missing_pixel"] == "renormalise":
            with np.errstate(invalid="ignore", divide="ignore"):
                image = sum(w * np.nan_to_num(f) for w, f in planes) / sum(w * np.isfinite(f) for w, f in planes)
        else:
            image = sum(w * f for w, f in planes)
            if self.get["bands.missing_band"] == "renormalise":
                image /= sum(w for w, _ in planes)
        self.masks[place] = np.zeros(image.shape, np.uint16)
        for _, b in there:
            self.masks[place] |= mask_of(self.files[place, b, "mask"])
        self.images[place] = self.treatment(place, image, self.masks[place])
        return self.images[place]

    def present(self, projection, y, x):
        return (projection, y, x) in self.cells

    def occupied(self, projection, y):
        return any(p[:2] == (projection, y) for p in self.cells)

    def on_rim(self, place, side):
        """Whether a padding makes sense there: the listed cells decide, readable or not."""
        projection, y, x = place
        rows = [p[1] for p in self.listed if p[0] == projection]
        row = [p[2] for p in self.listed if p[:2] == place[:2]]
        at = {"top": y == max(rows), "bottom": y == min(rows), "left": x == min(row), "right": x == max(row)}
        return all(at[part] for part in side.split("_"))

    def extended(self, place):
        """The cell with `pad` pixels more on every side, which pads by other projections fill."""
        if place in self.extensions:
            return self.extensions[place]
        cell, e, pad = self.cells[place], self.e, self.pad
        out = np.full((cell.h + 2 * pad, cell.w + 2 * pad), np.nan)
        out[pad:-pad, pad:-pad] = self.combined(place)
        rows = {"top": (cell.h - e, cell.h + pad), "bottom": (-pad, e), "": (0, cell.h)}
        columns = {"left": (-pad, e), "right": (cell.w - e, cell.w + pad), "": (0, cell.w)}
        for side in SIDES if self.get["geometry.cross_projection"] else ():
            parts = side.split("_")
            y0, y1 = rows[next((p for p in parts if p in rows), "")]
            x0, x1 = columns[next((p for p in parts if p in columns), "")]
            for source in cell.pads[side] if self.on_rim(place, side) else ():
                if source not in self.cells:
                    continue
                image = self.combined(source).copy()
                inner = np.full(image.shape, np.nan)
                inner[e:-e, e:-e] = image[e:-e, e:-e]
                y, x = np.mgrid[y0:y1, x0:x1].astype(float)
                ra, dec = cell.wcs.all_pix2world(x, y, 0)
                u, v = self.cells[source].wcs.wcs_world2pix(ra, dec, 0)
                value = bilinear(inner, u, v)
                window = out[y0 + pad:y1 + pad, x0 + pad:x1 + pad]
                window[...] = np.where(np.isfinite(value), value, window)
        self.extensions[place] = out
        return out

    def line(self, projection, y, row, x, width, pads):
        """One line of the assembled row y, `row` of its cells, columns -pad .. width + pad of the place x."""
        pad, step = self.pad, width - self.o
        out = np.full(width + 2 * pad, np.nan)
        for p in sorted(self.cells):
            if p[:2] != (projection, y):
                continue
            left, right = self.present(projection, y, p[2] - 1), self.present(projection, y, p[2] + 1)
            strict = self.get["geometry.strict_slots"] and p[2] != self.first_x[projection]
            spans = [(self.o - self.e if left or strict else 0, width - (self.e if right else 0))]
            if pads:
                spans += ([] if left else [(-pad, 0)]) + ([] if right else [(width, width + pad)])
            own = self.extended(p)[row + pad]
            shift = (p[2] - x) * step
            for a, b in spans:
                a, b = max(a, -pad - shift), min(b, width + pad - shift)
                if a < b:
                    out[a + shift + pad:b + shift + pad] = own[a + pad:b + pad]
        return out

    def master(self, place, pads):
        """Master row of a cell, as much of it as can reach the cell. Without pads: what decides over NaN."""
        projection, y, x = place
        cell, e, pad = self.cells[place], self.e, self.pad
        step = cell.h - self.o
        out = np.full((cell.h + 2 * pad, cell.w + 2 * pad), np.nan)
        for row in range(-pad, cell.h + pad):
            if row < e and self.occupied(projection, y - 1):
                source = (y - 1, row + step)
            elif row >= cell.h - e and self.occupied(projection, y + 1):
                source = (y + 1, row - step)
            elif cell.h - e <= row < cell.h and self.get["geometry.edge_policy"] == "void":
                continue
            elif pads or 0 <= row < cell.h:
                source = (y, row)
            else:
                continue
            out[row + pad] = self.line(projection, *source, x, cell.w, pads)
        return out

    def convolved(self, place):
        """The product's image of a cell."""
        cell, pad = self.cells[place], self.pad
        sigma, radius = self.get["psf.sigma"], self.get["psf.radius"]
        k = np.arange(-radius, radius + 1)
        taps = np.exp(-0.5 * (k / sigma) ** 2)
        taps /= taps.sum()

        def sums(n):
            matrix = np.zeros((n, n + 2 * pad))
            for i in range(n):
                matrix[i, i + pad - radius:i + pad + radius + 1] = taps
            return matrix

        rows, columns = sums(cell.h), sums(cell.w)
        master = self.master(place, pads=True)
        out = rows @ np.nan_to_num(master) @ columns.T
        if self.get["psf.missing"] == "normalise":
            weight = rows @ np.isfinite(master).astype(float) @ columns.T
            with np.errstate(invalid="ignore", divide="ignore"):
                out = np.where(weight >= self.get["psf.min_weight"], out / weight, np.nan)
        inner = slice(pad, -pad)
        out[np.isnan(self.master(place, pads=False)[inner, inner])] = np.nan
        return out


    def product(self, place):
        """The same after io.extract: with "unique" no value where another cell stores the same place of the sky. That
        is the right one of two in a row and the upper one of two rows, but for its outermost pixels."""
        out = self.convolved(place)
        if self.get["io.extract"] == "unique":
            projection, y, x = place
            h, w = out.shape
            out[:, :self.o - self.e if self.present(projection, y, x - 1) else 0] = np.nan
            out[:, w - (self.e if self.present(projection, y, x + 1) else 0):] = np.nan
            for dy, rows in ((-1, slice(0, self.o - self.e)), (1, slice(h - self.e, h))):
                for dx in (-1, 0, 1):
                    if self.present(projection, y + dy, x + dx):
                        first = dx * (w - self.o)
                        out[rows, max(0, first):max(0, first + w)] = np.nan
        return out


def runs(file, kind, shape):
    """Masks or missing pixels of all cells: deflated pairs of length and value, pixel by pixel."""
    sizes = file[f"cells/{kind}_bytes"][...]
    ends = np.cumsum(sizes)
    stream = file[kind + "/byte"][...].tobytes()
    for first, last in zip(ends - sizes, ends):
        pairs = np.frombuffer(zlib.decompress(stream[first:last]), "<u2").reshape(-1, 2)
        yield np.repeat(pairs[:, 1], pairs[:, 0]).reshape(shape)


def rebuilt(file, group, index):
    """A cell of full resolution from its coarse grid: the sum over nodes of a Gaussian, normalised."""
    column = lambda name: int(group["cells/" + name][index])
    step, sigma, reach = (file.attrs[name] for name in ("step", "narrow_sigma", "reach"))

    def weights(axis, size, place):
        nodes = column(f"first_node_{axis}") + np.arange(column(f"nodes_{axis}"))
        apart = place * (size - file.attrs["overlap"]) + np.arange(size)[:, None] - nodes * step
        values = np.where(np.abs(apart) <= reach, np.exp(-0.5 * (apart / sigma) ** 2), 0.0)
        return values / values.sum(axis=1, keepdims=True)

    nodes = group["coarse"][index, :column("nodes_y"), :column("nodes_x")].astype(float)
    return weights("y", column("NAXIS2"), column("y")) @ nodes @ weights("x", column("NAXIS1"), column("x")).T


def cells_of(run):
    """Images and masks of a product by place; coarse ones as a reader rebuilds them."""
    out = {}
    with h5py.File(next(run.rglob("convolved_images.h5")), "r") as f, h5py.File(run / "convolve.h5", "r") as records:
        for group in f["projections"].values():
            for i, name in enumerate(group["cells/name"][...]):
                place = place_of(name.decode())
                if "data" in group:
                    out[place] = (group["data"][i], group["mask"][i])
                else:
                    out[place] = (rebuilt(f, group, i), None)
                    shape = out[place][0].shape
        if any(mask is None for _, mask in out.values()):
            names = [place_of(n.decode()) for n in records["cells/name"][...]]
            for place, missing, mask in zip(names, runs(records, "missing", shape), runs(records, "mask", shape)):
                out[place] = (np.where(missing == 0, out[place][0], np.nan), mask)
    return out


def worst_of(oracle, cells):
    """Largest error over the largest value of each cell, the largest local criterion, and whether missing pixels
    and masks agree."""
    error = local = 0.0
    for place in oracle.cells:
        ref, (got, mask) = oracle.product(place), cells[place]
        if not np.array_equal(np.isnan(ref), np.isnan(got)):
            return f"{place}: {np.sum(np.isnan(ref) != np.isnan(got))} pixels with a value in one of the two only", 0, 0
        if not np.array_equal(mask, oracle.masks[place]):
            return f"{place}: masks differ", 0, 0
        peak, apart = np.nanmax(np.abs(ref)), np.abs(ref - got)
        error = max(error, np.nanmax(apart) / peak)
        local = max(local, np.nanmax(apart / (1e-6 * peak + 1e-5 * np.abs(ref))))
    return "", error, local


def drop(folder, names):
    """Takes cells out of the list and out of its paddings."""
    path = next(folder.rglob("*_master_skycells_list.csv"))
    gone = ["skycell." + n for n in names]
    columns = csv(path)
    keep = ~np.isin(columns["NAME"], gone)
    assert np.sum(~keep) == len(names)
    for name in columns:
        if name.startswith("pad_skycell_"):
            columns[name] = np.array(["/".join(c for c in text.split("/") if c not in gone) for text in columns[name]])
    write_csv(path, {name: values[keep] for name, values in columns.items()})


def file_of(folder, cell, band):
    return next(folder.rglob(f"*skycell.{cell}.stk.{band}.unconv.fits"))


def toml_value(value):
    return str(value).lower() if isinstance(value, bool) else str(value).replace("'", '"')
