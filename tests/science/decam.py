"""Real DECam pixels (inverse variance, PSFEx, TPV) against the Tractor's optimum, four set-ups."""
import os

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from runs import Program, scratch
from survey import Checks, csv, need_data, numbers, table

data = need_data("decam")
image = os.path.join(data, "decam-520206-S16-image-sub.fits")
reference = csv(os.path.join(data, "tractor_reference_fit.csv"))
scale = 0.262


def theta_of(ra, dec, e1, e2):
    """Angle of the major axis from +x, from the Tractor's (e1, e2): position angle east of north."""
    wcs = WCS(fits.getheader(image, 1))
    pa = 0.5 * np.arctan2(e2, e1)
    step = 1.0 / 3600.0
    x0, y0 = wcs.all_world2pix(ra, dec, 0)
    x1, y1 = wcs.all_world2pix(ra + step * np.sin(pa) / np.cos(np.radians(dec)), dec + step * np.cos(pa), 0)
    return np.degrees(np.arctan2(y1 - y0, x1 - x0))


def catalogue(path, with_star):
    e = np.hypot(-0.027, 0.540)
    rows = ["ID,RA,DEC,TYPE,FLUX_z,ELL,THETA,Re",
            f"a,181.6324465,32.5403676,DEV,62.73,{1 - (1 - e) / (1 + e)},"
            f"{theta_of(181.6324465, 32.5403676, -0.027, 0.540)},{6.39 / scale}",
            f"b,181.6296355,32.5397334,EXP,8.16,0,0,{0.45 / scale}"]
    if with_star:
        rows.append("c,181.63131,32.53927,STAR,10,,,")
    with open(path, "w") as f:
        f.write("\n".join(rows) + "\n")


def config(path, sky):
    with open(path, "w") as f:
        f.write(f"""
[inputs]
input_catalog = "sources.csv"
[[inputs.images]]
file = "{image}"
invvar = "{os.path.join(data, 'decam-520206-S16-invvar-sub.fits')}"
psf = "{os.path.join(data, 'decam-520206-S16-psfex.fits')}"
psf_origin_pix = [34.0, 1464.0]
filter = "z"
zp = 30.3355
egain = 3.9
sky = {sky}
[image_scaling]
zp_ref = 22.5
[crop]
enabled = false
[source_saturation_cut]
enabled = false
[epsf]
epsf_ngrid = 1
ngrid = 1
evaluate = "patch"
[patch_run]
shape_prior = "none"
truncation_sigma = 0.02
""")


check = Checks()
setups = {"catalog2_sky_fixed_median": (False, "8238.2461"), "catalog2_sky_free": (False, '"fit"'),
          "catalog2_plus_star_sky_fixed_median": (True, "8238.2461"), "catalog2_plus_star_sky_free": (True, '"fit"')}
with scratch() as folder:
    program = Program(os.environ["SKYLOOM"], folder)
    for name, (with_star, sky) in setups.items():
        work = os.path.join(folder, name)
        os.mkdir(work)
        catalogue(os.path.join(work, "sources.csv"), with_star)
        config(os.path.join(work, "decam.toml"), sky)
        program.run("photometry", "run", os.path.join(work, "decam.toml"))
        product = os.path.join(work, "decam.run", "fit.h5")
        patch = table(product, "fit_patches")
        fit = table(product, "fit")
        rows = reference["run"] == name
        expected = float(reference["chi2"][rows][0])
        chi2 = float(patch["chi2_z"][0])
        check(int(patch["npix_z"][0]) == 4270, f"{name}: {int(patch['npix_z'][0])} pixels, 4270 expected")
        check(chi2 <= expected + 1, f"{name}: chi2 {chi2:.1f}, the Tractor's optimum {expected:.1f}")
        flux = numbers(reference["flux_nmgy"][rows])
        error = numbers(reference["fluxerr_marg"][rows])
        for i in range(1, len(flux)):
            off = (fit["FLUX_z_fit"][i] - flux[i]) / error[i]
            check(abs(off) < 0.2, f"{name}: {fit['stype_fit'][i]} flux {fit['FLUX_z_fit'][i]:.3f}, "
                                  f"{flux[i]:.3f} expected, {off:+.2f} of its marginal error")
check.finish()
