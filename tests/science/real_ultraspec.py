"""Ten 30-second frames with a transient that flares within minutes: one PSF per frame from its own stars,
forced photometry at held positions, light curves, against the published one."""

import os

import numpy as np
from astropy.io import fits

from configuration import write_config
from runs import Program, scratch
from survey import Checks, csv, need_data, numbers, scatter, table

data = need_data("ultraspec")
published = csv(os.path.join(data, "at2022tsd_published_flux.csv"))
TRANSIENT = (50.045308, 8.7488721)
SATURATE = 48072.0
check = Checks()


def noise(pixels):
    good = pixels[pixels != 0]
    return scatter(good[np.abs(good) < 300])


def images():
    out = []
    for name in published["file"]:
        path = os.path.join(data, name)
        out.append({"file": path, "filter": "r", "zp": 25.0, "egain": 1.0, "skysig_adu": float(noise(fits.getdata(path))),
                    # Pixels count as saturated from half of this on; these are linear up to the card's value.
                    "saturate_adu": 2 * SATURATE, "blank_adu": 0.0, "fwhm_pix": 1.9})
    return out


def catalogue(path, rows):
    with open(path, "w") as f:
        f.write("ID,RA,DEC,TYPE,ELL,THETA,Re,FLUX_r\n")
        for row in rows:
            f.write(",".join(str(c) for c in row) + "\n")


def sources():
    """The objects of the stack's catalogue, compact ones as stars, and the transient at its known position."""
    objects = fits.getdata(os.path.join(data, "master.cat.fits"))
    rows = []
    for o in objects[(objects["FLUX_AUTO"] > 0) & (objects["FLUX_RADIUS"] > 0.3) & (objects["FLUX_RADIUS"] < 12)]:
        if o["NUMBER"] == 74:  # the transient
            continue
        at = (o["NUMBER"], o["ALPHA_J2000"], o["DELTA_J2000"])
        if o["FLUX_RADIUS"] < 1.35 or o["FLAGS"] >= 4:
            rows.append((*at, "STAR", "", "", "", o["FLUX_AUTO"]))
        else:
            radius = np.sqrt(max(o["FLUX_RADIUS"]**2 - 1.3**2, 0.25))
            rows.append((*at, "EXP", 1 - o["B_IMAGE"] / o["A_IMAGE"], o["THETA_IMAGE"], radius, o["FLUX_AUTO"]))
    return rows + [("AT2022tsd", *TRANSIENT, "STAR", "", "", "", 1000)]


def saturated_in(image):
    objects = fits.getdata(os.path.join(data, image.replace(".subc.fits.gz", ".cat.fits")))
    return objects["NUMBER"][objects["FLAGS"] & 4 != 0]


with scratch() as folder:
    catalogue(folder / "objects.csv", sources())
    write_config(folder / "frames.toml", {"input_catalog": "objects.csv"}, images(), image_scaling={"zp_ref": 25.0},
                 crop={"enabled": False}, source_saturation_cut={"radius_pix": 3.0}, zp={"enabled": False},
                 # A dozen stars of 1.8 pixels do not tell how the PSF varies over a frame.
                 epsf={"epsf_ngrid": 1, "ngrid": 4, "poly_order_max": 0, "local_variation": "off"},
                 patch_run={"forced": True, "noise": "total"})
    program = Program(os.environ["SKYLOOM"], folder)
    program.run("photometry", "run", folder / "frames.toml", ranks=2, timeout=240)
    product = folder / "frames.run" / "photometry.h5"
    forced = table(product, "forced")
    frames = table(product, "frames")

middle = numbers(published["mjd_utc_header"]) + numbers(published["exptime_s"]) / 172800
check(np.all(np.abs(frames["mjd"] - middle) < 1e-6), "the middles of the exposures, from MJDUTC at their start")
names = list(dict.fromkeys(forced["ID"]))
curve = {}
for name in names:
    rows = np.flatnonzero(forced["ID"] == name)
    rows = rows[np.argsort(forced["frame"][rows])]
    if len(rows) == len(frames["band"]) and np.all(np.isfinite(forced["FLUX_fit"][rows])):
        curve[name] = forced["FLUX_fit"][rows], forced["FLUXERR_fit"][rows]

# The six brightest unsaturated ones of the field's description and the next that stand alone.
STARS = ("117", "35", "44", "40", "77", "39", "66", "57")
relative = np.array([curve[name][0] / np.mean(curve[name][0]) for name in STARS])
scale = np.median(relative, axis=0)
check(np.std(scale) < 0.01, f"scale from frame to frame: rms {100 * np.std(scale):.2f} % (1 % allowed)")
def reduced_chi2(name):
    flux, error = (values / scale for values in curve[name])
    error = np.hypot(error, 0.01 * flux)
    mean = np.sum(flux / error**2) / np.sum(1 / error**2)
    return np.sum(((flux - mean) / error)**2) / (len(flux) - 1)


for name in STARS:
    flux, error = (values / scale for values in curve[name])
    check(reduced_chi2(name) < 1.6, f"star {name}: {np.mean(flux):.0f} counts, rms {100 * np.std(flux, ddof=1) / np.mean(flux):.2f} %, "
          f"error {100 * np.mean(error) / np.mean(flux):.2f} %; reduced chi2 with 1 % added {reduced_chi2(name):.2f} (1.6 allowed)")
together = np.mean([reduced_chi2(name) for name in STARS])
check(together < 1.1, f"constant within 1 % and their errors: reduced chi2 of the eight {together:.2f} (1.1 allowed)")
flux, error = curve["AT2022tsd"]
micro_jansky = numbers(published["published_flux_ujy"])
correlation = np.corrcoef(flux, micro_jansky)[0, 1]
check(correlation >= 0.97, f"transient: correlation with the published light curve {correlation:.4f} (0.97 asked), "
      f"{np.polyfit(micro_jansky, flux, 1)[0]:.0f} counts per uJy (116 in an aperture)")
check(np.max(error) < 265, f"its errors {np.min(error):.0f} to {np.max(error):.0f} counts (265 allowed)")
bright = sorted(published["file"][flux > 5 * error])
check([name[12:15] for name in bright] == ["143", "151", "155"], "bright in the frames " +
      ", ".join(name[12:15] for name in bright) + " (143, 151, 155 expected)")
saturated = {str(number) for path in published["file"] for number in saturated_in(path)}
ranking = sorted(curve, key=reduced_chi2, reverse=True)
unsaturated = [name for name in ranking if name not in saturated]
check(unsaturated[0] == "AT2022tsd" and reduced_chi2(unsaturated[1]) < 0.5 * reduced_chi2(unsaturated[0]),
      "the most variable object that is never saturated; reduced chi2 " +
      ", ".join(f"{name} {reduced_chi2(name):.1f}" for name in unsaturated[:4]))
check.finish()
