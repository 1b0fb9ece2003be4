"""DES cut-outs in four bands on one grid, with weights: a star before a large spiral galaxy, which is
fitted as bulge and disc. Aperture magnitudes of the same images are the reference."""

import os

import h5py
import numpy as np
from astropy.io import fits

from configuration import write_config
from runs import Program, scratch
from survey import Checks, csv, need_data, numbers, scatter, table

PIXEL_ARCSEC = 0.263
# No other star is there to tell the PSF: Moffat profiles of this width, from the star itself.
FWHM_PIX = {"g": 6.2, "r": 5.3, "i": 4.7, "z": 4.6}
GALAXY, STAR = 2, 3

data = need_data("survey_cutouts")
reference = csv(os.path.join(need_data("ps1_real"), "sep_reference.csv"))
check = Checks()


def of_reference(source, band, column):
    row = (reference["survey"] == "DES") & (reference["band"] == band) & (reference["source"] == str(source))
    return float(reference[column][row][0])


def image(band):
    path = os.path.join(data, f"DES_{band}.fits")
    return {"file": path, "hdu": 0, "invvar": path, "invvar_hdu": 1, "filter": band, "fwhm_pix": FWHM_PIX[band],
            "zp": 30.0, "egain": float(fits.getheader(path)["GAIN"])}


def write_inputs(folder):
    rows = ["ID,RA,DEC,TYPE,ELL,THETA,Re"]
    for name, source, shape in (("bulge", GALAXY, "SERSIC,0.2,0,8"), ("disc", GALAXY, "EXP,0.2,0,45"),
                                ("star", STAR, "STAR,,,"), ("faint", 0, "EXP,0,0,3")):
        rows.append(f"{name},{of_reference(source, 'i', 'ra_deg')},{of_reference(source, 'i', 'dec_deg')},{shape}")
    (folder / "sources.csv").write_text("\n".join(rows) + "\n")
    write_config(folder / "des.toml", {"input_catalog": "sources.csv"}, [image(band) for band in FWHM_PIX],
                 image_scaling={"zp_ref": 30.0}, crop={"enabled": False}, epsf={"epsf_ngrid": 1, "ngrid": 1},
                 moffat_psf={"beta": 2.5, "radius_pix": 40.0}, zp={"enabled": False})


def slab(file, name):
    with h5py.File(file, "r") as f:
        return f[name][...].astype(float)


def aperture(pixels, source):
    """Sum within 2 arcsec, pixels on the rim by the share of their 25 parts inside."""
    y, x = np.mgrid[:pixels.shape[0], :pixels.shape[1]]
    parts = (np.arange(5) - 2) / 5
    share = np.mean([np.hypot(x + u - of_reference(source, "i", "x"), y + v - of_reference(source, "i", "y"))
                     < 2 / PIXEL_ARCSEC for u in parts for v in parts], axis=0)
    return np.sum(share * pixels)


with scratch() as folder:
    write_inputs(folder)
    program = Program(os.environ["SKYLOOM"], folder)
    program.run("photometry", "run", folder / "des.toml", timeout=120)
    run = folder / "des.run"
    fit = table(run / "photometry.h5", "catalogue")
    patch = table(run / "fit.h5", "fit_patches")
    white = slab(run / "frames.slabs.h5", "white/image")
    sigma = slab(run / "frames.slabs.h5", "white/sigma")
    model = slab(run / "fit.slabs.h5", "white_model/image")

star = list(fit["ID"]).index("star")
mag = {band: 30 - 2.5 * np.log10(fit[f"FLUX_{band}_fit"][star]) for band in FWHM_PIX}
given = {band: of_reference(STAR, band, "mag_ab") for band in FWHM_PIX}
off = {band: mag[band] - given[band] for band in FWHM_PIX}
check(all(abs(d) < 0.15 for d in off.values()), "star, PSF minus aperture in the galaxy's light (0.15 mag allowed): " +
      ", ".join(f"{band} {mag[band]:.3f} {d:+.3f}" for band, d in off.items()))
colours = [off[a] - off[b] for a, b in ("gr", "ri", "iz")]
check(np.max(np.abs(colours)) < 0.06, "its colours g-r, r-i, i-z off by " +
      ", ".join(f"{d:+.3f}" for d in colours) + " mag (0.06 allowed)")
for name, source, allowed in (("galaxy's centre", GALAXY, 0.02), ("star", STAR, 0.05)):
    d = -2.5 * np.log10(aperture(model, source) / aperture(white, source))
    check(abs(d) < allowed, f"light within 2 arcsec of the {name}, model over image: {d:+.4f} mag ({allowed} allowed)")
corner = (white / sigma)[:40, :60]
check(0.85 < scatter(corner) < 1.05, f"empty corner: scatter {scatter(corner):.3f} in units of the noise of the weights "
                                     "(0.85 to 1.05 allowed)")
check(all(patch[f"npix_{band}"][0] == 241 * 241 for band in FWHM_PIX), "every pixel of every band used")
check.finish()
