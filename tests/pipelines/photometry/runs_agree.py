"""The photometry of a tiny simulated field: any number of ranks, any interruption, the same bits."""

import json
import os
import sys

import h5py
from products import run_differences
from runs import call_all, kill_one_rank, require, wait_for
from survey import csv, table


def survey(program, folder):
    program.run("simulate", "photometry", "--out", folder / "s", "--size", "tiny")
    return folder / "s" / "photometry.toml"


def require_equal(one, two):
    found = run_differences(one, two)
    require(not found, "products differ: " + "; ".join(found[:5]))


def rank_counts_agree(program, folder):
    config = survey(program, folder)
    for ranks in (1, 2, 4):
        program.run("photometry", "run", config, "--out", folder / f"n{ranks}", ranks=ranks)
    require_equal(folder / "n1", folder / "n2")
    require_equal(folder / "n1", folder / "n4")
    require((folder / "n1" / "output_catalog.csv").read_bytes() ==
            (folder / "n4" / "output_catalog.csv").read_bytes(), "the CSV files are equal")


def killed_in_the_fit(program, folder):
    config = survey(program, folder)
    many = ("--set", "epsf.ngrid=8", "--set", "patch_run.truncation_sigma=0.005")
    program.run("photometry", "run", config, "--out", folder / "ref", *many, ranks=2)
    run = folder / "killed"
    process = program.start("photometry", "run", config, "--out", run, *many, ranks=2)
    wait_for(lambda: (run / "fit").is_dir() and
             sum(p.stat().st_blocks for p in (run / "fit").glob("journal.g*")) > 0, "journalled fits")
    kill_one_rank(process)
    program.wait(process, None)
    require(process.returncode not in (0, 75), f"killed, but exit {process.returncode}")
    program.run("photometry", "run", config, "--out", run, *many, ranks=3)
    require_equal(folder / "ref", run)


def changed_configuration_is_refused(program, folder):
    config = survey(program, folder)
    program.run("photometry", "run", config, "--out", folder / "run")
    said = program.run("photometry", "run", config, "--out", folder / "run", "--set",
                       "patch_run.sersic_n_init=2", expect=2)
    require("patch_run.sersic_n_init 3.0 -> 2.0" in said and "fit" in said, said)
    program.run("photometry", "fit", config, "--out", folder / "run", "--set", "patch_run.sersic_n_init=2")


def products_are_complete(program, folder):
    config = survey(program, folder)
    program.run("photometry", "run", config, "--out", folder / "run", ranks=2)
    catalogue = table(folder / "run" / "photometry.h5", "catalogue")
    given = csv(folder / "s" / "catalog.csv")
    require(list(catalogue["ID"])[:len(given["ID"])] == list(given["ID"]), "every source once, in order")
    require(all(i.startswith("gaia_") for i in catalogue["ID"][len(given["ID"]):]), "then Gaia's stars")
    written = csv(folder / "run" / "output_catalog.csv")
    require(list(written) == list(_columns(folder / "run" / "photometry.h5")), "CSV columns in order")
    for name in ("excluded_any", "excluded_reason", "x_pix_white", "patch_tag", "opt_converged",
                 "RA_fit", "stype_fit", "THETA_fit", "flags"):
        require(name in catalogue, name)
    with h5py.File(folder / "run" / "photometry.h5") as f:
        for name, data in f["catalogue"].items():
            require("unit" in data.attrs and data.attrs["description"], f"{name} is described")
        require(f["catalogue/excluded_any"].dtype == bool, "booleans as h5py has them")
    with h5py.File(folder / "run" / "frames.h5") as f:
        require(f["white/image"].ndim == 2, "the white image is reached through its link")
    for form in ("fits", "ecsv"):
        program.run("export", folder / "run", "--format", form, "--table", "catalogue", "--out",
                    folder / f"c.{form}")
    from astropy.table import Table
    for form in ("fits", "ecsv"):
        read = Table.read(folder / f"c.{form}")
        require(len(read) == len(catalogue["ID"]), f"{form} has every row")
        require(str(read["RA_fit"].unit) == "deg", f"{form} has units")
    page = (folder / "run" / "report.html").read_text()
    for heading in ("Sources by TYPE", "residual / sigma", "Flux pulls", "Growth curves",
                    "Zero point in g", "matched with Gaia"):
        require(heading in page, f"the report shows: {heading}")
    # Every mark of a patch picture lies on it.
    pictures = [p for p in _pictures(page) if p["title"] == "data"]
    require(pictures, "patch pictures")
    for picture in pictures:
        marks = [m for m in picture["markers"] if m["label"] == "input position"]
        require(marks and marks[0]["x"], "input positions are marked")
        require(all(-1 < x < picture["width"] for x in marks[0]["x"]), "marks inside the picture")
    summary = json.loads((folder / "run" / "EPSFs" / "epsf_summary.json").read_text())
    require(summary and {"band", "epsf_tag", "nstars_used", "ee_r50_pix"} <= set(summary[0]), "ePSF summary")


def compressed_images_agree(program, folder):
    """Tile-compressed images (without loss) in another HDU give the same catalogue."""
    from astropy.io import fits
    config = survey(program, folder)
    program.run("photometry", "run", config, "--out", folder / "plain")
    for image in (folder / "s").glob("sci_*.fits"):
        with fits.open(image) as f:
            data, header = f[0].data.copy(), f[0].header.copy()
        packed = fits.CompImageHDU(data, header, compression_type="GZIP_2", quantize_level=0)
        first = fits.ImageHDU([1.0, 2.0, 3.0])  # a one-dimensional HDU is passed over
        fits.HDUList([fits.PrimaryHDU(), first, packed]).writeto(image, overwrite=True)
    program.run("photometry", "run", config, "--out", folder / "packed", ranks=2)
    a = table(folder / "plain" / "photometry.h5", "catalogue")
    b = table(folder / "packed" / "photometry.h5", "catalogue")
    for name in a:
        require(a[name].tobytes() == b[name].tobytes(), f"column {name} differs")


def without_zero_points(program, folder):
    """No Gaia table, or not wanted: one warning, no units, the given rows, no magnitudes."""
    config = survey(program, folder)
    given = csv(folder / "s" / "catalog.csv")
    for name, change in (("none", 'inputs.gaiaxp_synphot_csv=""'), ("off", "zp.enabled=false")):
        run = folder / name
        said = program.run("photometry", "run", config, "--out", run, "--set", change)
        require(said.count("no zero points are measured") == (1 if name == "none" else 0), said)
        with h5py.File(run / "zeropoint.h5") as f:
            require(len(f["units/unit"]) == 0, "no units")
        catalogue = table(run / "photometry.h5", "catalogue")
        require(list(catalogue["ID"]) == list(given["ID"]), "no rows are added")
        require("MAG_g_fit" not in catalogue and not (run / "ZP").exists(), "no magnitudes")
        require(not any(catalogue["gaia_source_id"]), "no Gaia star is named")


def own_output_as_input(program, folder):
    """The completed catalogue as the input of another run: nothing to add, columns made anew."""
    config = survey(program, folder)
    program.run("photometry", "run", config, "--out", folder / "one")
    program.run("photometry", "run", config, "--out", folder / "two", "--set",
                f'inputs.input_catalog="{folder}/one/ZP/catalog_with_Gaia.csv"')
    one = csv(folder / "one" / "ZP" / "catalog_with_Gaia.csv")
    two = csv(folder / "two" / "ZP" / "catalog_with_Gaia_with_Gaia.csv")
    require(list(one) == list(two), "the same columns")
    for name in one:
        require(list(one[name]) == list(two[name]), f"the same {name}")


def _pictures(page):
    """All pictures of a report, from the data in the page."""
    text = page.split('type="application/json"', 1)[1].split(">", 1)[1].split("</script>", 1)[0]
    found = []

    def walk(value):
        if isinstance(value, dict):
            if "markers" in value and "title" in value:
                found.append(value)
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(json.loads(text))
    return found


def _columns(product):
    """Column names in the order of the schema, which the product keeps as an attribute order."""
    with h5py.File(product) as f:
        group = f["catalogue"]
        return [name.decode() if isinstance(name, bytes) else name
                for name in sorted(group, key=lambda n: h5py.h5o.get_info(group[n].id).addr)]


if __name__ == "__main__":
    sys.exit(call_all(os.environ["SKYLOOM"], [
        rank_counts_agree,
        killed_in_the_fit,
        changed_configuration_is_refused,
        products_are_complete,
        compressed_images_agree,
        without_zero_points,
        own_output_as_input,
    ]))
