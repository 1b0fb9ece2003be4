"""epsf.method = "anderson-king": every step from the pixels of the stars to the arrays against numpy (and
against photutils where it is installed), and the fluxes of stars fitted with them."""
import os
import warnings

import numpy as np
from astropy.io import fits

import stacked_epsf
from runs import Program, scratch as scratch_folder
from survey import Checks, csv, numbers, scatter, table

check = Checks()


def below(text, value, limit):
    check(value < limit, f"{text}: {value:.3g} < {limit:g}")


def configured(survey, name, **keys):
    text = open(os.path.join(survey, "photometry.toml")).read()
    lines = ["[epsf]", 'method = "anderson-king"'] + [f"{key} = {value}" for key, value in keys.items()]
    path = os.path.join(survey, name + ".toml")
    with open(path, "w") as f:
        f.write(text.replace("[epsf]", "\n".join(lines)))
    return path


def scaled_frame(survey, frames, band):
    """Image and noise of a band in the scaled, cropped frame."""
    row = int(np.flatnonzero(frames["band"] == band)[0])
    with fits.open(os.path.join(survey, f"sci_{band}.fits")) as hdus:
        data, header = hdus[0].data.astype(float), hdus[0].header
    scale = 10 ** (-0.4 * (header["ZP_AUTO"] - 25.0))
    bad = ~np.isfinite(data) | (data >= header["SATURATE"] / 2)
    m = int(frames["x0_crop"][row])
    inner = np.s_[m:data.shape[0] - m, m:data.shape[1] - m]
    return np.where(bad, np.nan, data * scale)[inner], header["SKYSIG"] * scale


def stars_of(stamps, chosen, sigma):
    stars = []
    for k in np.flatnonzero(chosen):
        raw = stamps["raw"][k].astype(float)
        x, y = stamps["x"][k] - stamps["x0"][k], stamps["y"][k] - stamps["y0"][k]
        background = stacked_epsf.annulus_background(raw, np.isfinite(raw), x, y, 20.0, 30.0, 3.0, 30)
        check(abs(background - stamps["background"][k]) < 1e-6 * sigma, f"local background of star {k}")
        stars.append(stacked_epsf.Star(raw - background, np.isfinite(raw) / sigma ** 2, x, y))
    return stars


def product_array(grid, size, s):
    n = size * s | 1
    offset = (len(grid) - n) // 2
    square = grid[offset:offset + n, offset:offset + n]
    return square / (square.sum() / s ** 2)


def against_numpy(survey, run, s, rounds, cells):
    stamps = table(os.path.join(run, "epsf.h5"), "star_stamps")
    grids = table(os.path.join(run, "epsf.h5"), "psf_grids")
    found = table(os.path.join(run, "epsf.h5"), "stars")
    frames = table(os.path.join(run, "frames.h5"), "frames")
    for i in cells:
        band, tag = grids["band"][i], grids["epsf_tag"][i]
        image, sigma = scaled_frame(survey, frames, band)
        chosen = (stamps["band"] == band) & (stamps["epsf_tag"] == tag)
        for k in np.flatnonzero(chosen):
            x0, y0 = stamps["x0"][k], stamps["y0"][k]
            pixels = image[y0:y0 + 61, x0:x0 + 61]
            same = np.allclose(stamps["raw"][k], pixels, rtol=1e-6, atol=1e-6 * sigma, equal_nan=True)
            check(same, f"pixels of star {k}")
        stars = stars_of(stamps, chosen, sigma)
        grid = stacked_epsf.build(stars, s, rounds, 9)
        array = product_array(grid, 55, s)
        difference = np.max(np.abs(array - grids["samples"][i])) / array.max()
        below(f"{band} {tag} oversamp {s}: largest difference of the array over its peak", difference, 2e-5)
        used = [row for row in np.flatnonzero((found["band"] == band) & (found["epsf_tag"] == tag))]
        failed = [bool(found["used"][row]) == (not star.failed) for row, star in zip(used, stars)]
        check(all(failed) and len(failed) == len(stars), f"{band} {tag}: the same stars are used")


def against_photutils(run, cells):
    """Cells without bad pixels: gaps are filled by another interpolation there."""
    try:
        from astropy.stats import SigmaClip
        from photutils.psf import EPSFBuilder, EPSFFitter, EPSFStar, EPSFStars
        from photutils.psf import epsf_stars, models
    except ImportError:
        print("photutils is not installed: not compared")
        return
    # photutils 1.6 caches data / flux at the first flux, the sum of the stamp, and goes on with it.
    epsf_stars.EPSFStar._data_values_normalized = property(lambda self: self._data_values / self.flux)
    # Its circle of norm, and in the first round its centre, are half a pixel off.
    from photutils.aperture import CircularAperture

    def light(self):
        circle = CircularAperture(((self._nx - 1) / 2, (self._ny - 1) / 2), r=self._norm_radius)
        return circle.do_photometry(self._data, method="exact")[0][0]
    models.EPSFModel._compute_raw_image_norm = light
    first = EPSFBuilder._create_initial_epsf

    def centred(self, stars):
        psf = first(self, stars)
        psf.origin = None
        return psf
    EPSFBuilder._create_initial_epsf = centred
    stamps = table(os.path.join(run, "epsf.h5"), "star_stamps")
    grids = table(os.path.join(run, "epsf.h5"), "psf_grids")
    for i in cells:
        chosen = np.flatnonzero((stamps["band"] == grids["band"][i]) & (stamps["epsf_tag"] == grids["epsf_tag"][i]))
        if not np.all(np.isfinite(stamps["raw"][chosen])):
            continue
        stars = EPSFStars([EPSFStar(stamps["raw"][k] - stamps["background"][k],
                                    cutout_center=(stamps["x"][k] - stamps["x0"][k], stamps["y"][k] - stamps["y0"][k]))
                           for k in chosen])
        builder = EPSFBuilder(oversampling=1, maxiters=30, progress_bar=False, recentering_boxsize=9,
                              recentering_maxiters=30, sigma_clip=SigmaClip(sigma=5, cenfunc="median", maxiters=5),
                              fitter=EPSFFitter(fit_boxsize=5))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            array = product_array(builder(stars)[0]._data, 55, 1)
        difference = np.max(np.abs(array - grids["samples"][i])) / array.max()
        below(f"{grids['band'][i]} {grids['epsf_tag'][i]}: difference from photutils over the peak", difference,
              1e-5)


def star_errors(run, truth):
    catalogue = table(os.path.join(run, "photometry.h5"), "catalogue")
    index = {key: i for i, key in enumerate(truth["ID"])}
    row = np.array([index.get(key, -1) for key in catalogue["ID"]])
    out = []
    for band in "grizy":
        flux, error = catalogue[f"FLUX_{band}_fit"], catalogue[f"FLUXERR_{band}_fit"]
        use = (catalogue["stype_fit"] == "star") & (row >= 0) & (flux > 100 * error)
        out.append(flux[use] / numbers(truth[f"FLUX_{band}"])[row[use]] - 1)
    return np.concatenate(out)


with scratch_folder() as folder:
    program = Program(os.environ["SKYLOOM"], folder)
    survey = os.path.join(folder, "survey")
    program.run("simulate", "photometry", "--out", survey, "--size", "small", "--seed", 1)
    truth = csv(os.path.join(survey, "truth.csv"))
    plain = {"wing_model": '"none"', "background_subtract_patch": "false"}
    for s, rounds, cells in ((1, 30, (0, 2, 4, 5)), (2, 2, (0,))):
        config = configured(survey, f"plain{s}", oversamp=s, maxiters=rounds, **plain)
        program.run("photometry", "epsf", config, ranks=2, timeout=300)
        against_numpy(survey, config[:-5] + ".run", s, rounds, cells)
    against_photutils(os.path.join(survey, "plain1.run"), (0, 2, 4))
    spread = {}
    for name, keys in (("none", {"wing_model": '"none"'}), ("radial", {}), ("between", {"interpolate": "true"})):
        config = configured(survey, name, **keys)
        program.run("photometry", "run", config, ranks=2, timeout=600)
        error = star_errors(config[:-5] + ".run", truth)
        spread[name] = scatter(error)
        print(f"{name}: {len(error)} stars with S/N > 100, bias {100 * np.median(error):.2f} %, "
              f"scatter {100 * spread[name]:.2f} %")
        below(f"{name}: |bias| of bright stars", abs(np.median(error)), 0.04 if name == "none" else 0.01)
        below(f"{name}: scatter of bright stars", spread[name], 0.06 if name == "none" else 0.015)
    check(spread["radial"] < 0.5 * spread["none"], "a smooth wing halves the scatter")
    config = configured(survey, "low")
    with open(config, "a") as f:
        f.write("\n[patch_run]\nmin_epsf_nstars_for_use = 6\n")
    program.run("photometry", "run", config, ranks=2, timeout=600)
    run = config[:-5] + ".run"
    cells = table(os.path.join(run, "epsf.h5"), "cells")
    catalogue = table(os.path.join(run, "photometry.h5"), "catalogue")
    few = {(cells["epsf_tag"][i], cells["band"][i]) for i in range(len(cells["band"])) if cells["nstars_used"][i] < 6}
    fitted = catalogue["stype_fit"] != ""
    said = {(tag, band) for tag, text in zip(catalogue["epsf_tag"][fitted], catalogue["psf_low_star_bands"][fitted])
            for band in text.split(",") if band}
    tags = set(catalogue["epsf_tag"][fitted])
    check(0 < len(few) < len(cells["band"]) and said == {c for c in few if c[0] in tags},
          "cells of too few stars fall back, the others do not")
check.finish()
