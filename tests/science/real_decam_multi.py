"""Six DECam exposures of one small field, two per band and none aligned with another: TPV, spline sky,
weights, codes, PSFEx with its parameters in columns.

The field holds one star of Gaia (G 10.5) whose core and bleed trail are masked: the two bright groups in
sep_reference.csv, 8.3 arcsec apart, are the two sides of its mask. Its PSF models are noise where it is
not masked, so its wings stand as two exponential discs. The second source of the origin's own test is a
faint red star 15 arcsec away, in g and r of one CCD on a diffraction spike of the first."""

import os

import numpy as np
from astropy.io import fits

from configuration import write_config
from runs import Program, scratch
from survey import Checks, csv, need_data, table

data = need_data("decam_multi")
exposures = csv(os.path.join(data, "exposures.csv"))
gaia = {name: values[0] for name, values in csv(os.path.join(data, "gaia_in_field.csv")).items()}
check = Checks()


def image(i):
    file = os.path.join(data, exposures["image_file"][i])
    sky = os.path.join(data, exposures["sky_file"][i])
    cut = fits.getdata(sky, 1)[0]  # where the cut-out lies on its CCD
    return {"file": file, "invvar": file.replace("_ooi_", "_oow_"), "mask": file.replace("_ooi_", "_ood_"),
            "sky_model": sky, "psf": os.path.join(data, exposures["psfex_file"][i]),
            "psf_origin_pix": [float(cut["x0"]), float(cut["y0"])], "filter": exposures["filter"][i],
            "zp": float(exposures["ccdzpt"][i]) + 2.5 * np.log10(float(exposures["exptime"][i])),
            "egain": float(fits.getheader(file, 1)["GAINA"])}


def write_inputs(folder):
    at = f"{gaia['ra']},{gaia['dec']}"
    (folder / "sources.csv").write_text(
        "ID,RA,DEC,TYPE,ELL,THETA,Re,FLUX_g,FLUX_r,FLUX_z\n"
        f"wing,{at},EXP,0,0,6,4000,5000,7000\nouter,{at},EXP,0,0,20,1000,1000,1500\n"
        "faint,110.30854,23.91678,STAR,,,,1,2,6\n")
    for name, aligned, forced in (("aligned", True, False), ("joint", False, False), ("forced", False, True)):
        write_config(folder / f"{name}.toml", {"input_catalog": "sources.csv"},
                     [image(i) for i in range(len(exposures["filter"]))],
                     image_scaling={"zp_ref": 22.5}, crop={"enabled": False},
                     checks={"require_same_shape": aligned, "require_wcs_alignment": aligned},
                     source_saturation_cut={"enabled": False}, epsf={"epsf_ngrid": 1, "ngrid": 1},
                     patch_run={"forced": forced}, zp={"enabled": False})


def offset_arcsec(fit, row, ra, dec):
    return np.hypot((fit["RA_fit"][row] - ra) * np.cos(np.radians(dec)), fit["DEC_fit"][row] - dec) * 3600


with scratch() as folder:
    write_inputs(folder)
    program = Program(os.environ["SKYLOOM"], folder)
    said = program.run("photometry", "run", folder / "aligned.toml", expect=2)
    check("c4d_" in said and "mismatch" in said, "frames that must be aligned and are not: " + said.splitlines()[0][-150:])
    for name in ("joint", "forced"):
        program.run("photometry", "run", folder / f"{name}.toml", ranks=2)
    frames = table(folder / "joint.run" / "photometry.h5", "frames")
    joint = table(folder / "joint.run" / "photometry.h5", "catalogue")
    held = table(folder / "forced.run" / "photometry.h5", "catalogue")
    forced = table(folder / "forced.run" / "photometry.h5", "forced")

check(list(frames["on_grid"]) == [True] + 5 * [False], "six frames, five with a grid of their own")
middle = np.array([float(m) + float(t) / 172800 for m, t in zip(exposures["mjd_obs"], exposures["exptime"])])
check(np.all(np.abs(frames["mjd"] - middle) < 1e-6), "the middles of the exposures")
distance = offset_arcsec(joint, 0, float(gaia["ra"]), float(gaia["dec"]))
check(distance < 0.1, f"the bright star's wings are centred {distance:.3f} arcsec from Gaia's position (0.1 allowed; "
                      "without the distortion terms it would be 3 to 5)")
FAINT = 2
check(joint["opt_converged"][FAINT] == 1, "the faint star's joint fit converged")
flux, error = forced["FLUX_fit"], forced["FLUXERR_fit"]
for band in "grz":
    rows = np.flatnonzero((forced["ID"] == "faint") & (forced["band"] == band))
    one, two = flux[rows]
    both = np.hypot(*error[rows])
    text = (f"{band}: faint star {one:.3f} and {two:.3f} nmgy, {100 * (one / two - 1):+.1f} %, "
            f"{(one - two) / both:+.2f} of the error")
    if band == "z":
        check(len(rows) == 2 and abs(one / two - 1) < 0.03, text + " (3 % allowed)")
        check(np.all(forced["chi2"][rows] < 1.3), "its residuals are noise: chi2 " +
              ", ".join(f"{c:.2f}" for c in forced["chi2"][rows]) + " (1.3 allowed)")
    else:
        print("      " + text)
    mean = np.sum(flux[rows] / error[rows]**2) / np.sum(1 / error[rows]**2)
    check(abs(held[f"FLUX_{band}_fit"][FAINT] - mean) < 1e-6 * abs(mean),
          f"{band}: the catalogue's forced flux {held[f'FLUX_{band}_fit'][FAINT]:.4f} is the mean of the frames', {mean:.4f}")
    off = joint[f"FLUX_{band}_fit"][FAINT] - held[f"FLUX_{band}_fit"][FAINT]
    print(f"      {band}: joint minus forced {off:+.3f} nmgy, {off / held[f'FLUXERR_{band}_fit'][FAINT]:+.1f} of the error")
check.finish()
