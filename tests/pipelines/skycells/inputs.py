"""What skycells may come from: FITS files under both names, with or without compression, Zarr stores of both
formats, fewer bands; and cells that cannot be read, which are as good as absent."""

import json
import os
import sys
import zlib

import numpy as np
from astropy.io import fits
from runs import call_all, require
from skycells import Product, error, files_of, list_of, run, same, survey
from survey import table

WEIGHTS = {"r": 0.238, "i": 0.344, "z": 0.283, "y": 0.135}
# Padding sources of a cell depend on the list; these tests compare lists.
ALONE = "geometry.cross_projection=false"


def all_same(one, two):
    return sorted(one.data) == sorted(two.data) and all(
        same(one.data[name], two.data[name]) and same(one.mask[name], two.mask[name]) for name in one.data)


def write_zarr(folder, values, fill, header, version):
    """An array in chunks of 120 x 200, of format 2 or 3, compressed with zlib or not at all."""
    folder.mkdir(parents=True)
    chunks, shape = (120, 200), values.shape
    if version == 2:
        (folder / ".zarray").write_text(json.dumps({
            "zarr_format": 2, "shape": shape, "chunks": chunks, "dtype": values.dtype.str, "order": "C",
            "compressor": {"id": "zlib", "level": 1}, "filters": None,
            "fill_value": "NaN" if fill != fill else fill}))
        (folder / ".zattrs").write_text(json.dumps({"header": header}))
    else:
        (folder / "zarr.json").write_text(json.dumps({
            "zarr_format": 3, "node_type": "array", "shape": shape, "data_type": values.dtype.name,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunks}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
            "fill_value": "NaN" if fill != fill else fill, "attributes": {"header": header}}))
    for i in range(-(-shape[0] // chunks[0])):
        for j in range(-(-shape[1] // chunks[1])):
            part = np.full(chunks, fill, values.dtype)
            have = values[i * chunks[0]:(i + 1) * chunks[0], j * chunks[1]:(j + 1) * chunks[1]]
            part[:have.shape[0], :have.shape[1]] = have
            file = folder / f"{i}.{j}" if version == 2 else folder / "c" / str(i) / str(j)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(zlib.compress(part.tobytes()) if version == 2 else part.tobytes())


def zarr_store(config, projection):
    """A projection as the Zarr store of another program: values after BZERO and BSCALE, NaN where blank. Half of
    the bands in format 2, half in format 3."""
    root = config.parent / "data" / "ps1_skycells.zarr"
    for path in files_of(config, f"*.{projection}.*.unconv*.fits"):
        _, _, _, _, cell, _, band, *kind = path.name.split(".")
        array = root / projection / f"skycell.{projection}.{cell}" / (band + ("_mask" if "mask" in kind else ""))
        with fits.open(path, do_not_scale_image_data=True) as file:
            header, stored = file[1].header, np.asarray(file[1].data)
        cards = "".join(str(card) for card in header.cards)
        version = 2 if band in "ri" else 3
        if "mask" in kind:
            bits = (stored.astype("i4") + int(header.get("BZERO", 0))).astype("<u2")
            write_zarr(array, bits, 0, cards, version)
        else:
            values = (header["BZERO"] + header["BSCALE"] * stored.astype("f8")).astype("<f4")
            write_zarr(array, np.where(stored == header["BLANK"], np.float32(np.nan), values), float("nan"), cards,
                       version)


def zarr_gives_the_same(program, folder):
    config = survey(program, folder)
    alone = (ALONE, "inputs.projections=[2405]", f"inputs.csv='{list_of(config)}'")
    reference = Product(run(program, config, folder / "fits", *alone))
    zarr_store(config, "2405")
    product = Product(run(program, config, folder / "zarr", "inputs.format=zarr", *alone))
    for name, image in reference.data.items():
        require(error(product.data[name], image) < 1e-6, f"{name}: {error(product.data[name], image)}")
        require(same(product.mask[name], reference.mask[name]), f"mask of {name}")


def other_files(program, folder):
    """Short names in flat folders, plain images of floats, a list without the standard name."""
    config = survey(program, folder)
    reference = Product(run(program, config, folder / "one"))
    flat = folder / "flat"
    flat.mkdir()
    for path in files_of(config, "*.unconv*.fits"):
        path.rename(flat / path.name.removeprefix("rings.v3."))
    listed = list_of(config).rename(folder / "cells.csv")
    settings = (f"inputs.input_root={json.dumps(str(flat))}", f"inputs.csv={json.dumps(str(listed))}")
    require(all_same(Product(run(program, config, folder / "two", *settings)), reference), "another place")
    (path,) = flat.glob("skycell.2405.054*.z.unconv.fits")
    with fits.open(path) as file:
        header, values = file[1].header, np.asarray(file[1].data, "f4")
    cards = {key: header[key] for key in ("EXPTIME", "BSOFTEN", "BOFFSET")}
    fits.PrimaryHDU(values, fits.Header(cards)).writeto(path, overwrite=True)
    product = Product(run(program, config, folder / "three", *settings))
    for name, image in reference.data.items():
        require(error(product.data[name], image) < 1e-6, f"{name} with a band of floats")


def selections(program, folder):
    """Some of the projections have the bytes that they have among all."""
    config = survey(program, folder)
    whole = Product(run(program, config, folder / "whole"))
    for number, settings in ((2404, ("inputs.projections_limit=1",)),
                             (2405, ("inputs.projections=[2405]", f"inputs.csv='{list_of(config)}'"))):
        part = Product(run(program, config, folder / str(number), *settings))
        require(sorted(part.data) == [name for name in sorted(whole.data) if f".{number}." in name], str(number))
        for name, image in part.data.items():
            require(same(image, whole.data[name]) and same(part.mask[name], whole.mask[name]), name)


def fewer_bands(program, folder):
    config = survey(program, folder)
    whole = Product(run(program, config, folder / "whole"))
    three = Product(run(program, config, folder / "three", "bands.use=['r','i','z']",
                        "bands.weights=[0.238,0.344,0.283]"))
    for path in files_of(config, "*.y.unconv*.fits"):
        path.unlink()
    run(program, config, folder / "error", expect=3)
    skipped = Product(run(program, config, folder / "skip", "bands.missing_band=skip"))
    require(all_same(skipped, three), "skip leaves the band out")
    cells = table(folder / "skip" / "skycells.h5", "cells")
    require(set(cells["bands"]) == {"r,i,z"} and np.isnan(cells["exptime_y"]).all(), "and says so")
    scaled = Product(run(program, config, folder / "scaled", "bands.missing_band=renormalise"))
    for name, image in three.data.items():
        require(error(scaled.data[name] * np.float32(1.0 - WEIGHTS["y"]), image) < 1e-6, f"{name} is brought to scale")
    require(not all_same(whole, scaled), "it is another image")


def no_masks(program, folder):
    config = survey(program, folder)
    reference = Product(run(program, config, folder / "one"))
    for path in files_of(config, "*2405.054*.mask.fits"):
        path.unlink()
    product = Product(run(program, config, folder / "two"))
    require("1 cells lack a mask" in program.said, program.said)
    cells = table(folder / "two" / "skycells.h5", "cells")
    require(dict(zip(cells["name"], cells["masks"]))["skycell.2405.054"] == "", "masks are named")
    for name, image in reference.data.items():
        expected = np.zeros_like(reference.mask[name]) if name == "skycell.2405.054" else reference.mask[name]
        require(same(product.data[name], image) and same(product.mask[name], expected), name)


def without_line(config, name):
    listed = list_of(config)
    lines = listed.read_text().splitlines()
    listed.write_text("\n".join(line for line in lines if name + "," not in line) + "\n")


def failed_cells_are_absent(program, folder):
    """Missing, truncated, damaged, of another size, and without any pixel: the others do not see a difference."""
    config = survey(program, folder)
    (image,) = files_of(config, "*2405.054*.z.unconv.fits")
    whole = image.read_bytes()
    with fits.open(image, do_not_scale_image_data=True) as file:
        header, stored = file[1].header.copy(), np.asarray(file[1].data)

    def rewritten(values):
        fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(values, header, compression_type="RICE_1")]).writeto(
            image, overwrite=True)

    cases = {"missing": image.unlink,
             "truncated": lambda: image.write_bytes(whole[:len(whole) // 3]),
             "damaged": lambda: image.write_bytes(whole[:len(whole) // 2] + b"\xff" * 6000 + whole[len(whole) // 2 + 6000:]),
             "no file of FITS": lambda: image.write_text("nothing\n"),
             "of another size": lambda: rewritten(stored[:-1]),
             "blank": lambda: rewritten(np.full_like(stored, header["BLANK"]))}
    runs = {}
    for case, spoil in cases.items():
        spoil()
        runs[case] = run(program, config, folder / case.replace(" ", "-"), ALONE)
        image.write_bytes(whole)
    without_line(config, "skycell.2405.054")
    reference = Product(run(program, config, folder / "unlisted", ALONE))
    require("skycell.2405.054" not in reference.data and len(reference.data) == 14, "one less")
    for case, out in runs.items():
        product = Product(out)
        for name, image in reference.data.items():
            require(same(product.data[name], image) and same(product.mask[name], reference.mask[name]),
                    f"{case}: {name}")
        require(np.isnan(product.data["skycell.2405.054"]).all() and not product.mask["skycell.2405.054"].any(),
                f"{case}: the cell has no value")
        cells = table(out / "skycells.h5", "cells")
        at = list(cells["name"]).index("skycell.2405.054")
        require(cells["status"][at] == "failed" and cells["message"][at].startswith("combine: "),
                f"{case}: {cells['message'][at]}")
        require(list(cells["status"]).count("failed") == 1, case)


if __name__ == "__main__":
    sys.exit(call_all(os.environ["SKYLOOM"],
                      [zarr_gives_the_same, other_files, selections, fewer_bands, no_masks, failed_cells_are_absent]))
