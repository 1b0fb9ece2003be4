"""Templates of the tiny simulated detector against sums in numpy: shifts through astropy's WCS, maps read
by astropy, all pixels or the coarse grid; regions, oversampling, ranks, interruptions, bad input. And cells
exported as FITS files."""

import json
import os
import shutil
import sys
import warnings

import h5py
import numpy as np
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning
from products import run_differences
from runs import call_all, require
from skycells import FOLDER, PRODUCT, Product, run, survey

warnings.simplefilter("ignore", FITSFixedWarning)
MAPS = "data/skycell_pixel_mapping/sector_0020/camera_3/ccd_3"
FINE = "data/skycell_pixel_mapping/oversampling_2/sector_0020/camera_3/ccd_3"
OFFSETS = [(0.0, 0.0), (0.25, -0.5), (-1.0, 0.125)]
STARCORE, BLANK = 0x1000, 0x0008


def templates(folder, ending=".fits"):
    return sorted(p for p in (folder / "templates").iterdir() if p.name.endswith(ending))


def template(folder, offset, tag=""):
    name = f"syndiff_template_s0020_3_3{tag}_dx{offset[0]:.3f}_dy{offset[1]:.3f}.fits"
    with fits.open(folder / "templates" / name) as file:
        require([hdu.name for hdu in file] == ["PRIMARY", "FLUX_SUM", "COUNT", "MASK"], "extensions")
        require([file[i].data.dtype.kind + str(file[i].data.dtype.itemsize) for i in (1, 2, 3)]
                == ["f4", "i4", "i4"], "types")
        return [file[i].data.copy() for i in (1, 2, 3)], file[1].header


def read_map(path):
    with fits.open(path) as file:
        return file[1].data.copy(), file[1].header


def cell_wcs(row):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [row["CRVAL1"], row["CRVAL2"]]
    wcs.wcs.crpix = [row["CRPIX1"], row["CRPIX2"]]
    wcs.wcs.cd = [[row["CD1_1"], row["CD1_2"]], [row["CD2_1"], row["CD2_2"]]]
    wcs.wcs.radesys = "FK5"
    return wcs


def shift_of(row, detector, offset):
    """Pixels that the cell moves by, at its centre."""
    wcs = cell_wcs(row)
    centre = wcs.all_pix2world([[(row["NAXIS1"] - 1) / 2, (row["NAXIS2"] - 1) / 2]], 0)
    at = detector.all_world2pix(centre, 0, tolerance=1e-9)
    begin = wcs.all_world2pix(detector.all_pix2world(at, 0), 0)
    end = wcs.all_world2pix(detector.all_pix2world(at + np.array([offset]), 0), 0)
    return (end - begin)[0]


def displaced(image, x, y, missing):
    out = np.full_like(image, missing)
    height, width = image.shape
    out[max(0, y):height + min(0, y), max(0, x):width + min(0, x)] = \
        image[max(0, -y):height - max(0, y), max(0, -x):width - max(0, x)]
    return out


def sums(product, folder, ending, shape, moved):
    """Flux, count and masked pixels per detector pixel. @param moved gives values and masks of a cell"""
    flux, count, masked = np.zeros(shape), np.zeros(shape, int), np.zeros(shape, int)
    for name in sorted(product.cells, key=lambda n: (product.cells[n]["projection"], n)):
        index, _ = read_map(folder / f"tess_s0020_3_3_{name}{ending}")
        values, mask = moved(name)
        used = index >= 0
        good = used & np.isfinite(values) & ((mask & STARCORE) == 0)
        flux += np.bincount(index[good], values[good].astype(float), minlength=flux.size).reshape(shape)
        count += np.bincount(index[used], minlength=flux.size).reshape(shape)
        masked += np.bincount(index[used & (mask != 0)], minlength=flux.size).reshape(shape)
    return flux, count, masked


def require_sums(found, expected, text):
    flux, count, masked = found
    require(np.array_equal(count, expected[1]), text + ": count")
    require(np.array_equal(masked, expected[2]), text + ": masked")
    worst = np.max(np.abs(flux - expected[0])) / np.max(np.abs(expected[0]))
    require(worst < 2e-7, f"{text}: flux off by {worst:.2g}")
    require(np.max(count) > 0 and np.max(masked) > 0 and np.max(flux) > 0, text + ": something is there")


def by_whole_pixels(product, detector, offset):
    def moved(name):
        x, y = (int(round(v)) for v in shift_of(product.cells[name], detector, offset))
        return displaced(product.data[name], x, y, np.nan), displaced(product.mask[name], x, y, BLANK)
    return moved


def whole_pixels(program, folder):
    """Full sampling: ranks agree, sums are those of numpy, the header is right."""
    config = survey(program, folder)
    one = run(program, config, folder / "n1", "downsample.enabled=true", ranks=1)
    three = run(program, config, folder / "n3", "downsample.enabled=true", ranks=3)
    found = run_differences(one, three)
    require(not found, "products differ: " + "; ".join(found[:5]))
    names = [p.name for p in templates(one)]
    require(len(names) == 3 and names == [p.name for p in templates(three)], f"templates: {names}")
    for name in names:
        require((one / "templates" / name).read_bytes() == (three / "templates" / name).read_bytes(), name)
    product = Product(one)
    master, header = read_map(config.parent / MAPS / "tess_s0020_3_3_master_pixels2skycells.fits.gz")
    detector = WCS(header)
    for offset in OFFSETS:
        data, card = template(one, offset)
        require_sums(data, sums(product, config.parent / MAPS, ".fits.gz", master.shape,
                                by_whole_pixels(product, detector, offset)), f"offset {offset}")
        for key, value in (("SECTOR", 20), ("CAMERA", 3), ("CCD", 3), ("MJD-OBS", "55197.00000"),
                           ("DATE-OBS", "2010-01-01"), ("DATE-END", "2015-01-01"), ("SYNDIFF", True),
                           ("DX_SHIFT", offset[0]), ("DY_SHIFT", offset[1]), ("XMIN", 0), ("YMIN", 0),
                           ("XMAX", master.shape[1]), ("YMAX", master.shape[0]), ("OVERSAMP", 1),
                           ("ROIW", master.shape[1]), ("ROIH", master.shape[0]), ("TELESCOP", "TESS"),
                           ("INSTRUME", "TESS Photometer"), ("A_ORDER", 2), ("BP_0_2", header["BP_0_2"])):
            require(card[key] == value, f"{key} is {card[key]}, not {value}")
        require_same_sky(WCS(card), detector, lambda x, y: (x, y), master.shape)


def require_same_sky(wcs, detector, place, shape):
    """`place` gives the detector pixel of a pixel of the template."""
    x, y = np.meshgrid(np.linspace(0, shape[1] - 1, 5), np.linspace(0, shape[0] - 1, 5))
    one = np.array(wcs.all_pix2world(x, y, 0))
    two = np.array(detector.all_pix2world(*place(x, y), 0))
    require(np.max(np.abs(one - two)) < 1e-9, f"WCS off by {np.max(np.abs(one - two)):.2g} deg")


def write_offsets(config, **changes):
    path = config.parent / "offsets.json"
    job = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in job.items() if value is not None}))


def region_and_oversampling(program, folder):
    config = survey(program, folder)
    whole = run(program, config, folder / "whole", "downsample.enabled=true")
    write_offsets(config, x_min=40, x_max=110, y_min=20, y_max=90)
    part = run(program, config, folder / "part", "downsample.enabled=true")
    for offset in OFFSETS:
        data, header = template(part, offset, "_x40-110_y20-90")
        for one, two in zip(data, template(whole, offset)[0]):
            require(np.array_equal(one, two[20:90, 40:110]), "the region is a part of the whole")
        require((header["XMIN"], header["ROIW"], header["YMAX"]) == (40, 70, 90), "region")
        require_same_sky(WCS(header), WCS(template(whole, offset)[1]), lambda x, y: (x + 40, y + 20), (70, 70))
    fine = run(program, config, folder / "fine", "downsample.enabled=true", "downsample.oversample=2",
               "downsample.ignore_mask_bits=[12, 5]", "downsample.gzip=true")
    product = Product(fine)
    master, header = read_map(config.parent / FINE / "tess_s0020_3_3_master_pixels2skycells_os2.fits.gz")
    name = "syndiff_template_s0020_3_3_x40-110_y20-90_os2_dx0.250_dy-0.500.fits.gz"
    with fits.open(fine / "templates" / name) as file:
        data = [file[i].data.copy() for i in (1, 2, 3)]
        card = file[1].header
    expected = sums(product, config.parent / FINE, "_os2.fits.gz", master.shape,
                    by_whole_pixels(product, WCS(header), OFFSETS[1]))
    require_sums(data, [part[40:180, 80:220] for part in expected], "oversampled")
    require(card["OVERSAMP"] == 2, "OVERSAMP")
    require_same_sky(WCS(card), WCS(header), lambda x, y: ((x + 0.5) / 2 - 0.5 + 40, (y + 0.5) / 2 - 0.5 + 20),
                     (140, 140))


def rows_of_runs(stream, width, height):
    """An image of the runs that a coarse product keeps."""
    import zlib
    runs = np.frombuffer(zlib.decompress(stream.tobytes()), "<u2").reshape(-1, 2)
    return np.repeat(runs[:, 1], runs[:, 0]).reshape(height, width)


class CoarseCells:
    """Values anywhere in a cell from the grid: two matrices (docs/pipelines/skycells.md)."""

    def __init__(self, folder):
        self.product = Product(folder)
        self.step, self.sigma, self.reach = (self.product.attributes[n] for n in ("step", "narrow_sigma", "reach"))
        with h5py.File(folder / "convolve.h5") as file:
            cells = {name: column[()] for name, column in file["cells"].items()}
            missing, mask = file["missing/byte"][()], file["mask/byte"][()]
        ends = np.cumsum(cells["missing_bytes"]), np.cumsum(cells["mask_bytes"])
        self.missing, self.mask = {}, {}
        for i, name in enumerate(n.decode() for n in cells["name"]):
            row = self.product.cells[name]
            shape = row["NAXIS1"], row["NAXIS2"]
            self.missing[name] = rows_of_runs(missing[ends[0][i] - cells["missing_bytes"][i]:ends[0][i]], *shape)
            self.mask[name] = rows_of_runs(mask[ends[1][i] - cells["mask_bytes"][i]:ends[1][i]], *shape)

    def weights(self, first_pixel, count, fraction, first_node, nodes):
        at = first_pixel + fraction + np.arange(count)[:, None] - (first_node + np.arange(nodes)) * self.step
        weights = np.where(np.abs(at) <= self.reach, np.exp(-0.5 * (at / self.sigma) ** 2), 0.0)
        return weights / weights.sum(axis=1, keepdims=True)

    def moved(self, name, shift):
        row = self.product.cells[name]
        whole = np.ceil(shift).astype(int)
        fraction = whole - shift
        width, height = row["NAXIS1"], row["NAXIS2"]
        x0, y0 = int(name[-1]) * (width - 60), int(name[-2]) * (height - 60)
        grid = self.product.data[name][:row["nodes_y"], :row["nodes_x"]].astype(float)
        values = self.weights(y0, height, fraction[1], row["first_node_y"], row["nodes_y"]) @ grid @ \
            self.weights(x0, width, fraction[0], row["first_node_x"], row["nodes_x"]).T
        nearest = -(fraction >= 0.5).astype(int)
        missing = displaced(self.missing[name], *nearest, 1)
        mask = displaced(self.mask[name], *nearest, BLANK)
        values[missing != 0] = np.nan
        return displaced(values, *whole, np.nan), displaced(mask, *whole, BLANK)


def between_pixels(program, folder):
    """Coarse sampling: values at fractional shifts; without a shift the sums of full sampling."""
    config = survey(program, folder)
    full = run(program, config, folder / "full", "downsample.enabled=true")
    coarse = run(program, config, folder / "coarse", "downsample.enabled=true", "io.sampling=coarse", ranks=3)
    again = run(program, config, folder / "again", "downsample.enabled=true", "io.sampling=coarse", ranks=1)
    one, two = template(full, OFFSETS[0])[0], template(coarse, OFFSETS[0])[0]
    require(np.array_equal(one[1], two[1]) and np.array_equal(one[2], two[2]), "count and masked")
    require(np.array_equal(one[0], two[0]), f"flux off by {np.max(np.abs(one[0] - two[0])):.2g}")
    cells = CoarseCells(coarse)
    master, header = read_map(config.parent / MAPS / "tess_s0020_3_3_master_pixels2skycells.fits.gz")
    for offset in OFFSETS:
        data, _ = template(coarse, offset)
        expected = sums(cells.product, config.parent / MAPS, ".fits.gz", master.shape,
                        lambda name: cells.moved(name, shift_of(cells.product.cells[name], WCS(header), offset)))
        require_sums(data, expected, f"coarse, offset {offset}")
        name = f"syndiff_template_s0020_3_3_dx{offset[0]:.3f}_dy{offset[1]:.3f}.fits"
        require((coarse / "templates" / name).read_bytes() == (again / "templates" / name).read_bytes(), name)


def killed_between_templates(program, folder):
    config = survey(program, folder)
    reference = run(program, config, folder / "ref", "downsample.enabled=true")
    resumed = folder / "killed"
    os.environ["SKYLOOM_TEST_ACCIDENT"] = "file=kill@2"
    try:
        run(program, config, resumed, "downsample.enabled=true", ranks=1, expect=-9)
    finally:
        del os.environ["SKYLOOM_TEST_ACCIDENT"]
    before = {p: p.stat().st_mtime_ns for p in templates(resumed)}
    require(len(before) == 1, f"one template was there: {before}")
    run(program, config, resumed, "downsample.enabled=true")
    for path, written in before.items():
        require(path.stat().st_mtime_ns == written, "a template that was there was written again")
    for path in templates(reference):
        require(path.read_bytes() == (resumed / "templates" / path.name).read_bytes(), path.name)


def bad_input(program, folder):
    config = survey(program, folder)
    job = config.parent / "offsets.json"
    good = job.read_text()

    def refused(text, *settings):
        program.run("skycells", "run", config, "--out", folder / "bad", "--set", "downsample.enabled=true",
                    *[word for setting in settings for word in ("--set", setting)], expect=2)
        require(text in program.said and program.said.count("\n") <= 2, f"{text!r} in {program.said}")

    refused("downsample.jobs", "downsample.jobs=")
    refused("absent.json", "downsample.jobs=absent.json")
    refused("io.extract", "io.extract=unique")
    refused("master_pixels2skycells", "downsample.registration_root=" + str(folder))
    for change, text in (({"sector": 21}, "sector"), ({"x_max": 100000}, "region"), ({"groups": []}, "groups"),
                         ({"groups": [{"group_dx": 0.0}]}, "group_dy"), ({"x_min": "a"}, "x_min"),
                         ({"groups": [{"group_dx": 0.0, "group_dy": 0.0}] * 2}, "twice")):
        write_offsets(config, **change)
        refused(text)
        job.write_text(good)
    job.write_text("{")
    refused("offsets.json")
    job.write_text(good)
    # A map that is missing or too short costs its cell, not the run.
    maps = config.parent / MAPS
    (maps / "tess_s0020_3_3_skycell.2405.054.fits.gz").unlink()
    out = run(program, config, folder / "one", "downsample.enabled=true")
    with h5py.File(out / "downsample.h5") as file:
        outcomes = dict(zip(file["units/key"][()], file["units/outcome"][()]))
    require(outcomes[b"skycell.2405.054"] == b"failed" and list(outcomes.values()).count(b"failed") == 1,
            f"outcomes {outcomes}")
    shutil.copy(maps / "tess_s0020_3_3_master_pixels2skycells.fits.gz",
                maps / "tess_s0020_3_3_skycell.2405.054.fits.gz")
    out = run(program, config, folder / "size", "downsample.enabled=true")
    with h5py.File(out / "downsample.h5") as file:
        require(any(b"pixels, the cell 330 x 300" in m for m in file["units/message"][()]), "another size")
    for path in maps.glob("tess_s0020_3_3_skycell*"):
        path.unlink()
    write_offsets(config, x_min=0, x_max=2, y_min=0, y_max=2)  # no cell is there
    program.run("skycells", "run", config, "--out", folder / "none", "--set", "downsample.enabled=true", expect=2)
    require("no other cell has a map" in program.said, program.said)


def exported_cells(program, folder):
    config = survey(program, folder)
    images = {}
    for sampling in ("full", "coarse"):
        out = run(program, config, folder / sampling, "io.sampling=" + sampling)
        path = folder / (sampling + ".fits.gz")
        program.run("skycells", "export-cell", config, "--out", path, "--set", "export.cell=skycell.2405.054",
                    "--set", f"export.run={out}", "--set", "io.sampling=" + sampling)
        with fits.open(path) as file:
            images[sampling] = file[0].data.copy(), file["MASK"].data.copy(), file[0].header.copy(), \
                file["MASK"].header.copy()
    product = Product(folder / "full")
    image, mask, header, mask_header = images["full"]
    require(np.array_equal(image, product.data["skycell.2405.054"], equal_nan=True), "pixels")
    require(mask.dtype == np.uint16 and np.array_equal(mask, product.mask["skycell.2405.054"]), "mask")
    require(np.array_equal(image, images["coarse"][0], equal_nan=True), "coarse gives the same pixels")
    require(np.array_equal(mask, images["coarse"][1]), "coarse gives the same mask")
    require(header["BUNIT"] == "count/s" and header["MAGZERO"] == 25.0 and header["RADESYS"] == "FK5", "cards")
    for cards in (header, mask_header):
        require_same_sky(WCS(cards), cell_wcs(product.cells["skycell.2405.054"]), lambda x, y: (x, y), image.shape)
    program.run("skycells", "run", config)  # beside the TOML, where export-cell looks
    program.run("skycells", "export-cell", config, "--set", "export.cell=rings.v3.skycell.2404.042")
    require((folder / "skycell.2404.042.fits").is_file(), "named after the cell")
    for cell, text in (("", "export.cell"), ("nonsense", "export.cell"), ("skycell.2404.099", "has no skycell.2404.099"),
                       ("skycell.1000.042", "has no skycell.1000.042")):
        program.run("skycells", "export-cell", config, "--set", f"export.cell={cell}", expect=2)
        require(text in program.said, program.said)
    shutil.rmtree(folder / "full" / FOLDER)
    program.run("skycells", "export-cell", config, "--set", "export.cell=skycell.2404.042", "--set",
                f"export.run={folder / 'full'}", expect=2)
    require(os.path.basename(PRODUCT) in program.said, program.said)


if __name__ == "__main__":
    sys.exit(call_all(os.environ["SKYLOOM"],
                      [whole_pixels, region_and_oversampling, between_pixels, killed_between_templates, bad_input,
                       exported_cells]))
