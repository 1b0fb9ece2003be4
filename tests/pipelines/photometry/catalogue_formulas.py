"""The final catalogue against the formulas it is defined by: order of columns, angles, positions,
magnitudes, exclusion, and which WCS sky positions come from."""

import os
import sys

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from runs import call_all, require
from survey import csv, numbers, table, write_csv

AUDIT = ["excluded_crop", "excluded_saturation", "excluded_any", "excluded_reason", "gaia_source_id",
         "x_pix_white", "y_pix_white", "x_pix_patch", "y_pix_patch", "patch_tag", "epsf_tag",
         "psf_min_epsf_nstars_for_use", "psf_used_epsf_band_count", "psf_fallback_band_count",
         "psf_low_star_band_count", "psf_fallback_bands", "psf_low_star_bands",
         "psf_frozen_bands_for_optimizer", "psf_fallback_reasons_json", "opt_niters", "opt_converged",
         "opt_hit_max_iters", "opt_last_dlnp", "x_pix_patch_fit", "y_pix_patch_fit", "x_pix_white_fit",
         "y_pix_white_fit", "RA_fit", "DEC_fit", "stype_fit", "sersic_n_fit", "re_pix_fit", "ab_fit",
         "phi_deg_fit", "ELL_fit", "Re_fit", "THETA_fit"]
SHAPE = ["re_pix_fit", "ab_fit", "phi_deg_fit", "ELL_fit", "Re_fit", "THETA_fit"]


def survey(program, folder):
    """A tiny field whose catalogue has a row without position, one off the image, a type of each kind."""
    program.run("simulate", "photometry", "--out", folder / "s", "--size", "tiny")
    given = csv(folder / "s" / "catalog.csv")
    given["RA"][3] = ""
    given["RA"][4] = "150.9"
    given["TYPE"][5:9] = ["SERSIC", "GAL", "", "dev "]
    write_csv(folder / "s" / "catalog.csv", given)
    program.run("photometry", "run", folder / "s" / "photometry.toml", "--out", folder / "run", ranks=2)
    return folder / "s", folder / "run"


def columns_follow_their_formulas(program, folder):
    where, run = survey(program, folder)
    bands = [path.stem[len("psf_"):] for path in where.glob("psf_*.fits")]
    rows = csv(run / "output_catalog.csv")
    given = csv(where / "catalog.csv")
    order = [name for name in rows if name in AUDIT]
    require(order == AUDIT, f"order of columns: {order}")
    require(list(rows).index("excluded_crop") == len(given), "the given columns come first")
    for band in bands:
        names = [f"{kind}_{band}_fit" for kind in ("FLUX", "FLUXERR", "MAG", "MAGERR")]
        at = list(rows).index(names[0])
        require(list(rows)[at:at + 4] == names and at > list(rows).index("THETA_fit"), f"columns of {band}")
    require(list(rows["ID"])[:len(given["ID"])] == list(given["ID"]) and given["ID"][0].startswith("0"),
            "IDs keep their zeros")
    n = {name: numbers(rows[name]) for name in SHAPE + ["sersic_n_fit", "x_pix_white_fit", "y_pix_white_fit",
         "x_pix_patch_fit", "y_pix_patch_fit", "x_pix_white", "x_pix_patch", "RA_fit", "DEC_fit"]}
    fitted = rows["stype_fit"] != ""
    star = rows["stype_fit"] == "star"
    galaxy = fitted & ~star
    require(galaxy.sum() > 3 and star.sum() > 3 and (~fitted).sum() >= 2, "all kinds of rows")
    for name in SHAPE:
        require(np.isfinite(n[name][galaxy]).all() and np.isnan(n[name][~galaxy]).all(), f"{name} of galaxies")
    require((np.isfinite(n["sersic_n_fit"]) == (rows["stype_fit"] == "sersic")).all(), "n of SERSIC alone")
    phi, theta = n["phi_deg_fit"][galaxy], n["THETA_fit"][galaxy]
    require(((phi >= 0) & (phi < 180)).all() and np.array_equal(theta, phi - 90), "angles")
    require(np.array_equal(n["ELL_fit"][galaxy], 1 - n["ab_fit"][galaxy]), "ELL = 1 - b/a")
    require(np.array_equal(n["Re_fit"][galaxy], n["re_pix_fit"][galaxy]), "one half-light radius")
    # One origin of the patch for the catalogue's and the fitted position.
    offset = n["x_pix_white"] - n["x_pix_patch"]
    require(np.allclose((n["x_pix_white_fit"] - n["x_pix_patch_fit"])[fitted], offset[fitted], atol=1e-9) and
            np.allclose(offset[fitted], np.round(offset[fitted]), atol=1e-9), "patch pixels")
    types = dict(zip(rows["ID"], rows["stype_fit"]))
    for row, expected in ((5, "sersic"), (6, "exp"), (7, "exp"), (8, "dev")):
        require(types[given["ID"][row]] in ("", expected), f"TYPE {given['TYPE'][row]!r} is {expected}")


def exclusions(program, folder):
    where, run = survey(program, folder)
    rows = csv(run / "output_catalog.csv")
    crop, saturation = rows["excluded_crop"] == "True", rows["excluded_saturation"] == "True"
    require(crop[3] and crop[4], "no position, or one off the image, is outside of the crop")
    require(((rows["excluded_any"] == "True") == (crop | saturation)).all(), "excluded_any")
    reason = np.where(crop & saturation, "crop+saturation",
                      np.where(crop, "crop", np.where(saturation, "saturation", "")))
    require((rows["excluded_reason"] == reason).all(), "excluded_reason")
    unfitted = rows["excluded_any"] == "True"
    require((rows["stype_fit"][unfitted] == "").all(), "excluded rows have no fit")
    for name in ("RA_fit", "x_pix_patch", "FLUX_g_fit", "MAG_g_fit", "FLUXERR_g_cond", "patch_tag"):
        require((rows[name][unfitted] == "").all(), f"{name} is missing there")


def magnitudes(program, folder):
    _, run = survey(program, folder)
    catalogue = table(run / "photometry.h5", "catalogue")
    summary = csv(run / "ZP" / "zp_summary.csv")
    for band, zp, error in zip(summary["band"], numbers(summary["zp_median"]), numbers(summary["zp_err_mad"])):
        flux, flux_error = catalogue[f"FLUX_{band}_fit"], catalogue[f"FLUXERR_{band}_fit"]
        good = flux > 0
        mag = zp - 2.5 * np.log10(flux[good])
        mag_error = np.hypot(2.5 / np.log(10) * flux_error[good] / flux[good], error)
        require(np.allclose(catalogue[f"MAG_{band}_fit"][good], mag, rtol=0, atol=1e-9), f"MAG of {band}")
        require(np.allclose(catalogue[f"MAGERR_{band}_fit"][good], mag_error, rtol=1e-9), f"MAGERR of {band}")
        require(np.isnan(catalogue[f"MAG_{band}_fit"][~good]).all(), "no magnitude without a positive flux")
        # The star by star table: ZP_i = mag + 2.5 log FLUX.
        stars = csv(run / "ZP" / "zp_all_bands__per_object.csv")
        mine = stars["band"] == band
        star = {name: numbers(stars[name][mine]) for name in ("gaiaxp_mag", "flux", "fluxerr", "zp", "zp_err")}
        require(np.allclose(star["zp"], star["gaiaxp_mag"] + 2.5 * np.log10(star["flux"]), atol=1e-9), "ZP_i")
        require(np.allclose(star["zp_err"], 1.0857362047581296 * star["fluxerr"] / star["flux"], rtol=1e-9), "e_i")


def sky_positions(program, folder):
    """From the cropped frame, whichever file says what the uncropped or the cropped frame is."""
    where, run = survey(program, folder)
    image = sorted(where.glob("sci_*.fits"))[0]
    margin = 16
    with fits.open(image) as f:
        data, header = f[0].data, f[0].header
    default = table(run / "photometry.h5", "catalogue")
    ra, dec = WCS(header).all_pix2world(default["x_pix_white_fit"] + margin, default["y_pix_white_fit"] + margin, 0)
    fitted = default["stype_fit"] != ""
    require(np.allclose(default["RA_fit"][fitted], ra[fitted], rtol=0, atol=1e-10), "RA_fit of the cropped frame")
    require(np.allclose(default["DEC_fit"][fitted], dec[fitted], rtol=0, atol=1e-10), "DEC_fit")
    moved = header.copy()
    moved["CRVAL2"] += 0.01
    cropped = moved.copy()
    cropped["CRPIX1"] -= margin
    cropped["CRPIX2"] -= margin
    inner = slice(margin, -margin)
    for name, pixels, cards in (("whole", data, moved), ("cropped", data[inner, inner], cropped)):
        fits.PrimaryHDU(pixels, cards).writeto(folder / f"{name}.fits")
        program.run("photometry", "catalogue", where / "photometry.toml", "--out", run, "--set",
                    f'merge.wcs_fits="{folder}/{name}.fits"')
        given = table(run / "catalogue.h5", "catalogue")
        require(np.allclose((given["DEC_fit"] - default["DEC_fit"])[fitted], 0.01, atol=1e-6), f"{name} frame")
    fits.PrimaryHDU(data[1:], moved).writeto(folder / "odd.fits")
    said = program.run("photometry", "catalogue", where / "photometry.toml", "--out", run, "--set",
                       f'merge.wcs_fits="{folder}/odd.fits"', expect=2)
    require("odd.fits" in said and "x" in said, said)


if __name__ == "__main__":
    sys.exit(call_all(os.environ["SKYLOOM"], [
        columns_follow_their_formulas,
        exclusions,
        magnitudes,
        sky_positions,
    ]))
