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

data = need_data("sdss_frame")
image = os.path.join(data, "frame-u-003900-6-0269.fits.bz2")
survey = csv(os.path.join(data, "photoobj_and_sep_aperture.csv"))
value = {name: numbers(column) for name, column in survey.items() if name != "objid"}
check = Checks()


def inputs(folder):
    """Catalogue of all objects that are not split further, and calibration stars from the survey."""
    leaf = value["nchild"] == 0
    star = value["objc_type"] == 6
    write_csv(folder / "objects.csv",
              {"ID": survey["objid"][leaf], "RA": survey["ra"][leaf], "DEC": survey["dec"][leaf],
               "TYPE": np.where(star, "STAR", "EXP")[leaf], "FLUX_u": survey["psfflux_u"][leaf]})
    bright = (value["primary"] == 1) & star & (value["psfflux_u"] > 15)
    mag = 22.5 - 2.5 * np.log10(np.where(bright, value["psfflux_u"], 1.0))
    write_csv(folder / "stars.csv",
              {"source_id": survey["objid"][bright], "ra": survey["ra"][bright], "dec": survey["dec"][bright],
               "phot_g_mean_mag": mag[bright], "mag_u": mag[bright]})
    write_config(folder / "sdss.toml",
                 {"tile_name": "sdss", "input_catalog": "objects.csv", "gaiaxp_synphot_csv": "stars.csv"},
                 [{"file": image, "zp": 22.5, "skysig_adu": SKY_NMGY, "egain": GAIN / NMGY_PER_COUNT,
                   "mjd": (4558050891.03 + 53.9 / 2) / 86400}],
                 image_scaling={"zp_ref": 22.5}, crop={"enabled": False},
                 zp={"gaia_mag_max": 20.0, "inject_gaia_sources": False})
    return int(np.sum(leaf))


with scratch() as folder:
    count = inputs(folder)
    program = Program(os.environ["SKYLOOM"], folder)
    print(program.run("photometry", "run", folder / "sdss.toml", ranks=2, timeout=400))
    product = folder / "sdss.run" / "photometry.h5"
    fit = table(product, "catalogue")
    zero = table(product, "zeropoints")
    E = os.environ.get("KEEP")
    if E:
        import shutil
        shutil.copytree(folder, E, dirs_exist_ok=True)
