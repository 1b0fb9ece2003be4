"""Bad input of the photometry: exit 2, one line that names the culprit, nothing written. Bad pixels are no
bad input: they fail units, with their reason, and not the run."""

import os
import shutil
import sys

import h5py
import numpy as np
from astropy.io import fits
from runs import call_all, require
from survey import csv, write_csv


def survey(program, folder):
    program.run("simulate", "photometry", "--out", folder / "s", "--size", "tiny")
    return folder / "s"


def images_of(where):
    return sorted(p for p in where.glob("*.fits") if not p.name.startswith("psf"))


def refused(program, where, *hints, arguments=()):
    said = program.run("photometry", "run", where / "photometry.toml", *arguments, expect=2, ranks=2)
    lines = [line for line in said.splitlines() if line.startswith("skyloom: ")]
    require(len(lines) == 1, "one line: " + said)
    for hint in hints:
        require(hint in lines[0], f"'{hint}' expected in: {lines[0]}")
    require(not (where / "photometry.run").exists(), "nothing is written")


def every_bad_image(program, folder):
    where = survey(program, folder)
    image = images_of(where)[1]
    good = folder / "good.fits"
    shutil.copy(image, good)

    def header(change):
        shutil.copy(good, image)
        with fits.open(image, mode="update") as f:
            change(f[0].header)

    image.unlink()
    refused(program, where, image.name)
    image.write_text("this is no FITS file\n")
    refused(program, where, image.name)
    content = good.read_bytes()
    image.write_bytes(content[:len(content) // 2])
    refused(program, where, image.name)
    for card in ("FILTER", "ZP_AUTO", "SKYSIG", "EGAIN"):
        header(lambda h, card=card: h.remove(card))
        refused(program, where, image.name, card)
    header(lambda h: h.set("FILTER", "  "))
    refused(program, where, image.name, "FILTER")
    header(lambda h: h.set("SKYSIG", -1.0))
    refused(program, where, image.name, "SKYSIG")
    header(lambda h: h.set("FILTER", fits.getheader(images_of(where)[0])["FILTER"]))
    refused(program, where, "Band mismatch")  # a second frame of one band, none of the other
    header(lambda h: h.set("CRVAL1", h["CRVAL1"] + 0.01))
    refused(program, where, image.name, "WCS mismatch")
    header(lambda h: (h.remove("CTYPE1"), h.remove("CTYPE2")))
    refused(program, where, image.name)
    with fits.open(good) as f:
        fits.PrimaryHDU(f[0].data[:-5], f[0].header).writeto(image, overwrite=True)
    refused(program, where, image.name, "shape")


def every_bad_catalogue(program, folder):
    where = survey(program, folder)
    name = next(line.split('"')[1] for line in (where / "photometry.toml").read_text().splitlines()
                if line.startswith("input_catalog"))
    good = csv(where / name)

    def columns(change):
        table = {key: values.copy() for key, values in good.items()}
        change(table)
        write_csv(where / name, table)

    columns(lambda t: t.pop("RA"))
    refused(program, where, name, "RA")
    columns(lambda t: t["ID"].__setitem__(1, t["ID"][0]))
    refused(program, where, name, good["ID"][0])
    band = next(key for key in good if key.startswith("FLUX_"))
    columns(lambda t: t.update({"FLUX_other": t.pop(band)}))
    refused(program, where, "other")
    (where / name).write_text("")
    refused(program, where, name)
    (where / name).unlink()
    refused(program, where, name)


def every_bad_gaia_table(program, folder):
    where = survey(program, folder)
    good = csv(where / "gaia.csv")
    for column in ("ra", "dec", "source_id", "phot_g_mean_mag"):
        write_csv(where / "gaia.csv", {key: values for key, values in good.items() if key != column})
        refused(program, where, "gaia.csv", "GaiaXP CSV missing required column: " + column)
    (where / "gaia.csv").unlink()
    refused(program, where, "gaia.csv")


def bad_configuration(program, folder):
    where = survey(program, folder)
    refused(program, where, "patch_run.gal_modle", "patch_run.gal_model",
            arguments=("--set", "patch_run.gal_modle=\"exp\""))
    refused(program, where, "crop.margin", arguments=("--set", "crop.margin=5000"))
    refused(program, where, "epsf.max_stars", "wrong type", arguments=("--set", "epsf.max_stars=2.5"))
    refused(program, where, "zp.gaia_mag_min", arguments=("--set", "zp.gaia_mag_min=20.0"))
    (where / "photometry.toml").write_text("[inputs\n")
    refused(program, where, "photometry.toml")


def bad_fields(program, folder):
    where = survey(program, folder)
    text = (where / "photometry.toml").read_text()
    shared = "\n".join(line for line in text.splitlines() if not line.startswith(
        ("tile_name", "input_catalog", "image_list_file", "gaiaxp_synphot_csv", "truth")))
    field = 'input_catalog = "catalog.csv"\nimage_list_file = "images.list"\n'

    def fields(*tables):
        (where / "photometry.toml").write_text(
            shared + "\n" + "".join("[[fields]]\n" + table for table in tables))

    fields('tile_name = "a"\n' + field, 'tile_name = "a"\n' + field)
    refused(program, where, "fields[1].tile_name", "occurs twice")
    fields('tile_name = "a/b"\n' + field)
    refused(program, where, "fields[0].tile_name", "a/b")
    fields('tile_name = "a"\nimage_list_file = "images.list"\n')
    refused(program, where, "fields[0].input_catalog", "missing")
    fields('tile_name = "a"\n' + field)
    refused(program, where, "inputs.input_catalog", "several fields",
            arguments=("--set", 'inputs.input_catalog="catalog.csv"'))
    refused(program, where, "run.shard", "i/N", arguments=("--set", 'run.shard="0/2"'))
    refused(program, where, "run.shard", "empty", arguments=("--set", 'run.shard="2/2"'))
    (where / "fields.csv").write_text("tile_name,input_catalog\na,catalog.csv\n")
    refused(program, where, "fields.csv", "image_list_file",
            arguments=("--set", f'inputs.fields_file="{where / "fields.csv"}"'))


def bad_pixels_fail_units_and_not_the_run(program, folder):
    where = survey(program, folder)
    for path in images_of(where):
        with fits.open(path, mode="update") as image:
            side = image[0].data.shape[0] // 2
            image[0].data[:side, :side] = np.nan
            if path.name == "sci_r.fits":
                image[0].data[:] = np.nan
    config, run = where / "photometry.toml", where / "photometry.run"
    said = program.run("photometry", "run", config, ranks=2, expect=3)
    require("epsf/r/00000: no_good_data: all pixels masked" in said, said)
    require("1 failed" in program.run("status", run), program.said)
    with h5py.File(run / "photometry.h5") as product:
        good = np.isfinite(product["catalogue/FLUX_g_fit"][()])
        require(10 < good.sum() < good.size, f"{good.sum()} of {good.size} sources are measured")
        require(not np.isfinite(product["catalogue/FLUX_r_fit"][()]).any(), "the band without data")
    program.run("photometry", "run", config, "--set", "run.max_failed_fraction=0.4")


if __name__ == "__main__":
    sys.exit(call_all(os.environ["SKYLOOM"], [
        every_bad_image, every_bad_catalogue, every_bad_gaia_table, bad_configuration, bad_fields,
        bad_pixels_fail_units_and_not_the_run]))
