"""The simulated field with everything on (Gaia, ePSF from the field, crop, saturation) and zero points
of the headers wrong by up to 0.03 mag: the errors are found, the magnitudes right."""

import os

import numpy as np
from astropy.io import fits

from runs import Program, scratch as scratch_folder
from survey import Checks, csv, numbers, scatter, table

SEEDS = (1, 2)
ZP_REF = 25.0
check = Checks()


def spoil(survey, seed):
    """Adds a known error to ZP_AUTO of every image; band to error."""
    rng = np.random.default_rng(seed)
    errors = {}
    for name in sorted(os.listdir(survey)):
        if name.startswith("sci_") and name.endswith(".fits"):
            with fits.open(os.path.join(survey, name), mode="update") as f:
                header = f[0].header
                errors[header["FILTER"]] = round(rng.uniform(-0.03, 0.03), 4)
                header["ZP_AUTO"] += errors[header["FILTER"]]
    return errors


def zero_points(run, errors):
    found = table(run / "photometry.h5", "zeropoints")
    check(list(found["band"]) == sorted(errors), f"bands {', '.join(found['band'])}")
    for i, band in enumerate(found["band"]):
        expected = ZP_REF - errors[band]
        off = found["zp_median"][i] - expected
        check(abs(off) < 0.01 and found["n_kept"][i] >= 60,
              f"{band}: zero point {found['zp_median'][i]:.4f}, true {expected:.4f}, off {off:+.4f} mag (0.01 allowed); "
              f"{found['n_kept'][i]} of {found['n_raw'][i]} stars (60 asked), {found['n_nonconverged'][i]} not converged, "
              f"scatter {found['zp_err_mad'][i]:.4f} mag")


def magnitudes(run, truth, bands):
    catalogue = table(run / "photometry.h5", "catalogue")
    index = {key: i for i, key in enumerate(truth["ID"])}
    row = np.array([index.get(key, -1) for key in catalogue["ID"]])
    off = []
    for band in bands:
        bright = (row >= 0) & (catalogue["stype_fit"] == "star")
        bright &= catalogue[f"FLUX_{band}_fit"] > 100 * catalogue[f"FLUXERR_{band}_fit"]
        off.append((catalogue[f"MAG_{band}_fit"] - numbers(truth[f"MAG_{band}"])[row])[bright])
    off = np.concatenate(off)
    check(abs(np.median(off)) < 0.01, f"magnitudes of {len(off)} bright stars: median off {np.median(off):+.4f} mag "
                                      f"(0.01 allowed), scatter {scatter(off):.4f}")


def augmentation(run, survey):
    given = csv(survey / "catalog.csv")
    completed = csv(run / "ZP" / "catalog_with_Gaia.csv")
    catalogue = csv(run / "output_catalog.csv")
    n = len(given["ID"])
    added = completed["ID"][n:]
    truth = csv(survey / "truth.csv")
    lacking = set(truth["ID"][truth["in_catalogue"] == "False"])
    check(list(completed["ID"][:n]) == list(given["ID"]) and list(catalogue["ID"]) == list(completed["ID"]),
          f"{n} given rows first and in order, {len(added)} added")
    check(len(added) > 0 and set(added) <= lacking, "added are stars that only the Gaia table has")
    check(np.all(completed["TYPE"][n:] == "STAR"), "added as stars")
    names = list(catalogue)
    check(names[names.index("FLUXERR_g_fit") + 1:][:2] == ["MAG_g_fit", "MAGERR_g_fit"], "magnitudes after the fluxes")


def other_clipping(program, config, run):
    """The stage alone with another key: only it is done again, and the product is written again."""
    before = {p.name: p.stat().st_mtime_ns for p in run.glob("*.h5")}
    program.run("photometry", "zeropoint", config, "--out", run, "--set", "zp.clip_sigma=2.5", timeout=120)
    again = sorted(name for name, time in before.items() if (run / name).stat().st_mtime_ns != time)
    check(again == ["photometry.h5", "zeropoint.h5"], f"written again: {', '.join(again)}")
    check(np.all(table(run / "photometry.h5", "zeropoints")["clip_sigma"] == 2.5), "with the new key")


with scratch_folder() as folder:
    program = Program(os.environ["SKYLOOM"], folder)
    for seed in SEEDS:
        survey = folder / f"survey{seed}"
        program.run("simulate", "photometry", "--out", survey, "--size", "small", "--seed", seed)
        errors = spoil(survey, seed)
        config = survey / "photometry.toml"
        program.run("photometry", "run", config, ranks=2, timeout=600)
        run = survey / "photometry.run"
        print(f"      seed {seed}", flush=True)
        zero_points(run, errors)
        magnitudes(run, csv(survey / "truth.csv"), sorted(errors))
        if seed == SEEDS[0]:
            augmentation(run, survey)
            other_clipping(program, config, run)
check.finish()
