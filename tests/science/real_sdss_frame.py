"""A whole SDSS frame (u): PSF from its own stars, forced photometry of the survey's objects, zero
point, against the survey's own PSF fluxes."""

import os

import numpy as np

from configuration import write_config
from runs import Program, scratch
from survey import Checks, csv, need_data, numbers, scatter, table, write_csv

# Of camera column 6 in u, from the survey's table of gains (data model of the frame files): electrons
# per count and the variance of dark current and read-out in counts squared. The sky of this frame is
# 22.7 counts, a count 0.01234 nanomaggies: sqrt(22.7 / 2.17 + 7.02) counts are 0.0516 nanomaggies.
GAIN = 2.17
NMGY_PER_COUNT = 0.01234
SKY_NMGY = 0.0516
PIXEL_ARCSEC = 0.396
# The survey's PSF fluxes are those of an aperture of this radius (its description of psfMag); ours are
# the light of the whole PSF.
SURVEY_RADIUS_ARCSEC = 7.4

data = need_data("sdss_frame")
image = os.path.join(data, "frame-u-003900-6-0269.fits.bz2")
survey = csv(os.path.join(data, "photoobj_and_sep_aperture.csv"))
value = {name: numbers(column) for name, column in survey.items() if name != "objid"}
check = Checks()


def chosen():
    """Each light once: objects that are not split further, without the copies that overlap the primary ones."""
    single = value["nchild"] == 0
    primary = value["primary"] == 1
    distance = np.hypot(value["x_u"][:, None] - value["x_u"][primary], value["y_u"][:, None] - value["y_u"][primary])
    return single & (primary | (distance.min(axis=1) > 3.0))


def write_inputs(folder, rows):
    star = value["objc_type"] == 6
    write_csv(folder / "objects.csv",
              {"ID": survey["objid"][rows], "RA": survey["ra"][rows], "DEC": survey["dec"][rows],
               "TYPE": np.where(star, "STAR", "EXP")[rows], "FLUX_u": survey["psfflux_u"][rows]})
    bright = (value["primary"] == 1) & star & (value["psfflux_u"] > 15)
    mag = 22.5 - 2.5 * np.log10(value["psfflux_u"][bright])
    write_csv(folder / "stars.csv",
              {"source_id": survey["objid"][bright], "ra": survey["ra"][bright], "dec": survey["dec"][bright],
               "phot_g_mean_mag": mag, "mag_u": mag})
    write_config(folder / "sdss.toml",
                 {"tile_name": "sdss", "input_catalog": "objects.csv", "gaiaxp_synphot_csv": "stars.csv"},
                 [{"file": image, "zp": 22.5, "skysig_adu": SKY_NMGY, "egain": GAIN / NMGY_PER_COUNT,
                   "mjd": (4558050891.03 + 53.9 / 2) / 86400}],
                 image_scaling={"zp_ref": 22.5}, crop={"enabled": False},
                 zp={"gaia_mag_max": 20.0, "inject_gaia_sources": False})


def light_within(product, radius_arcsec):
    """Share of a star's light within a radius, of the PSF measured in the frame."""
    growth = np.median(table(product, "cells")["growth"], axis=0)
    return np.interp(radius_arcsec / PIXEL_ARCSEC, np.arange(len(growth)), growth)


def compare(how, fit, zero, within):
    """Fluxes, zero point and magnitudes of a fit against the survey's."""
    print("      " + how)
    row = {key: i for i, key in enumerate(survey["objid"])}
    of = {name: column[[row[key] for key in fit["ID"]]] for name, column in value.items()}
    star = (of["objc_type"] == 6) & (of["primary"] == 1)
    bright = star & (of["psfflux_u"] > 30 * of["psfflux_err_u"])
    flux = fit["FLUX_u_fit"]
    total = flux[bright] / of["psfflux_u"][bright] - 1
    ratio = flux[bright] * within / of["psfflux_u"][bright] - 1
    error = fit["FLUXERR_u_fit"][bright] / flux[bright]
    sure = error < 0.01
    check(np.sum(bright) == 18 and np.all(np.abs(ratio[sure]) < 0.03),
          f"{np.sum(bright)} bright stars (18 expected), the {np.sum(sure)} known to 1 % within "
          f"{100 * np.max(np.abs(ratio[sure])):.2f} % of the survey's PSF flux (3 % allowed), "
          f"median of all {100 * np.median(ratio):+.2f} %, scatter {100 * scatter(ratio):.2f} %")
    worst = np.argmax(np.abs(ratio))
    check(np.all(np.abs(ratio) < np.hypot(0.03, error)),
          f"all within 3 % and their own error; {np.sum(np.abs(ratio) < 0.03)} within 3 %, the worst "
          f"{100 * np.abs(ratio[worst]):.2f} % with an error of {100 * error[worst]:.1f} %")
    check(abs(np.median(total)) < 0.03, f"all their light instead of that within 7.4 arcsec: median "
                                        f"{100 * np.median(total):+.2f} % (3 % allowed)")
    pull = ((flux * within - of["psfflux_u"]) / of["psfflux_err_u"])[star]
    check(np.all(np.isfinite(pull)) and abs(np.median(pull)) < 0.3,
          f"{len(pull)} primary stars: median pull {np.median(pull):+.3f} (0.3 allowed), scatter {scatter(pull):.2f}")
    expected = 22.5 - 2.5 * np.log10(within)
    off = zero["zp_median"][0] - expected
    check(abs(off) < 0.02 and zero["n_kept"][0] >= 15,
          f"zero point {zero['zp_median'][0]:.4f} of all light, {expected:.4f} expected: {off:+.4f} mag (0.02 allowed); "
          f"{zero['n_kept'][0]} of {zero['n_raw'][0]} stars")
    mag = fit["MAG_u_fit"][bright] - (22.5 - 2.5 * np.log10(of["psfflux_u"][bright]))
    check(np.all(np.abs(mag) < np.hypot(0.03, error)),
          f"calibrated magnitudes of the bright stars within {np.max(np.abs(mag)):.4f} mag (0.03 and their error allowed), "
          f"median {np.median(mag):+.4f}")
    aperture = np.median(of["sep_aper_u"][bright] / of["psfflux_u"][bright])
    return aperture


def results(run):
    product = run / "photometry.h5"
    return table(product, "catalogue"), table(product, "zeropoints")


with scratch() as folder:
    rows = chosen()
    write_inputs(folder, rows)
    program = Program(os.environ["SKYLOOM"], folder)
    run = folder / "sdss.run"
    program.run("photometry", "run", folder / "sdss.toml", ranks=2, timeout=240)
    fit, zero = results(run)
    psf = table(run / "epsf.h5", "bands")
    within = light_within(run / "epsf.h5", SURVEY_RADIUS_ARCSEC)
    core = light_within(run / "epsf.h5", 3.7)
    for stage in ("fit", "catalogue", "zeropoint"):
        program.run("photometry", stage, folder / "sdss.toml", "--out", run, "--set", "patch_run.forced=true",
                    ranks=2, timeout=120)
    held, held_zero = results(run)
    forced = table(run / "photometry.h5", "forced")

check(list(fit["ID"]) == list(survey["objid"][rows]), f"{len(fit['ID'])} objects in the order of the catalogue")
print(f"      PSF of {psf['n_stars'][0]} stars, FWHM {psf['fwhm_pix'][0] * PIXEL_ARCSEC:.2f} arcsec, "
      f"{100 * within:.2f} % of the light within {SURVEY_RADIUS_ARCSEC} arcsec")
aperture = compare("positions and shapes fitted", fit, zero, within)
check(abs(core / within - aperture) < 0.027,
      f"light within 3.7 arcsec over 7.4 arcsec: PSF {core / within:.3f}, apertures {aperture:.3f} (0.027 allowed)")
good = np.mean(fit["opt_converged"])
check(good > 0.95, f"{100 * good:.1f} % of the fits converged (95 % asked)")
compare("positions and shapes held", held, held_zero, within)
check(len(forced["ID"]) == np.sum(rows) and np.all(np.isfinite(forced["FLUX_fit"])), f"{len(forced['ID'])} forced fluxes")
check.finish()
