"""Frames of one field that differ in grid, size, seeing, zero point and time, of stars and galaxies
whose truth is known: fitted jointly (one flux per band), forced (one flux per frame), band by band,
and as two fields of one survey."""

import os
import pathlib
import tempfile

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

import runs
import survey

SIDE = 330
BETA = 3.5
SCALE_DEG = 0.4 / 3600
# band, offset of the frame's centre (pix), rotation (deg), mirrored, FWHM (pix), zero point, sigma,
# side, MJD
FRAMES = [("g", (0.0, 0.0), 0.0, False, 3.2, 25.0, 4.0, SIDE, 60000.0),
          ("g", (6.3, -4.8), 0.0, False, 4.1, 25.4, 5.0, SIDE, 60001.0),
          ("g", (-3.7, 8.2), 32.0, False, 2.8, 24.7, 4.0, 370, 60002.0),
          ("g", (2.1, 1.4), 181.5, True, 3.6, 25.1, 6.0, 350, 60003.0),
          ("r", (1.5, -2.5), -7.0, False, 3.0, 25.2, 5.0, 360, 60001.5)]


def make_wcs(offset, angle, mirrored, side):
    """A TAN plane around one point of the sky, turned and shifted about the centre of the frame."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [150.0, 20.0]
    wcs.wcs.crpix = [(side + 1) / 2 + offset[0], (side + 1) / 2 + offset[1]]
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    flip = np.diag([-1.0 if mirrored else 1.0, 1.0])
    wcs.wcs.cd = SCALE_DEG * np.diag([-1.0, 1.0]) @ np.array([[c, -s], [s, c]]) @ flip
    return wcs


def moffat(fwhm, dx, dy):
    """Light per pixel, the profile sampled at pixel centres (as the given PSF stamp is)."""
    alpha = fwhm / (2 * np.sqrt(2 ** (1 / BETA) - 1))
    return (BETA - 1) / (np.pi * alpha**2) * (1 + (dx**2 + dy**2) / alpha**2) ** -BETA


def stamp(fwhm, half=24, over=3):
    """PSF stamp with `over` samples per pixel."""
    axis = np.arange(-half * over, half * over + 1) / over
    return moffat(fwhm, axis[None, :], axis[:, None])


def galaxy_parts(re_pix):
    """An exponential disc as six round Gaussians (Hogg & Lang 2013)."""
    amplitude = np.array([2.34853813e-03, 3.07995260e-02, 2.23364214e-01, 1.17949102, 4.33873750,
                          5.99820770])
    variance = np.array([1.20078965e-03, 8.84526493e-03, 3.91463084e-02, 1.39976817e-01,
                         4.60962500e-01, 1.50159566])
    return amplitude / amplitude.sum(), variance * re_pix**2


def galaxy(fwhm, re_pix, q, angle_deg, dx, dy):
    """Elliptical exponential under a Moffat PSF: the convolution by Gauss-Hermite quadrature."""
    node, weight = np.polynomial.hermite_e.hermegauss(15)
    weight = weight / weight.sum()
    c, s = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    out = np.zeros_like(dx)
    for a, v in zip(*galaxy_parts(re_pix)):
        major, minor = np.sqrt(v), np.sqrt(v) * q
        for ti, wi in zip(node, weight):
            for tj, wj in zip(node, weight):
                u, t = major * ti, minor * tj
                out += a * wi * wj * moffat(fwhm, dx - (u * c - t * s), dy - (u * s + t * c))
    return out


def truth(rng):
    """Positions on a jittered grid, in pixels of the first frame; every fifth is a galaxy."""
    grid = np.arange(30, SIDE - 29, 33.0)
    x, y = (v.ravel() + rng.uniform(-4, 4, v.size) for v in np.meshgrid(grid, grid))
    n = x.size
    kind = np.where(np.arange(n) % 5 == 2, "EXP", "STAR")
    flux = {"g": 10 ** rng.uniform(3.0, 4.6, n), "r": 10 ** rng.uniform(3.0, 4.6, n)}
    flux["g"][kind == "EXP"] += 2e4
    flux["r"][kind == "EXP"] += 2e4
    return {"x": x, "y": y, "kind": kind, "flux": flux, "re": np.full(n, 3.0),
            "q": np.full(n, 0.6), "theta": rng.uniform(0, 180, n)}


def write_frames(folder, sources, rng):
    """Images, their PSF stamps, and the [[inputs.images]] tables."""
    reference = make_wcs(*FRAMES[0][1:4], FRAMES[0][7])
    ra, dec = reference.wcs_pix2world(sources["x"], sources["y"], 0)
    tables = ""
    for number, (band, offset, angle, mirrored, fwhm, zp, sigma, side, mjd) in enumerate(FRAMES):
        wcs = make_wcs(offset, angle, mirrored, side)
        x, y = wcs.wcs_world2pix(ra, dec, 0)
        step = np.radians(sources["theta"])
        x1, y1 = wcs.wcs_world2pix(
            *reference.wcs_pix2world(sources["x"] + np.cos(step), sources["y"] + np.sin(step), 0), 0)
        angles = np.degrees(np.arctan2(y1 - y, x1 - x))
        flux = sources["flux"][band] * variability(number, len(x))
        image = np.full((side, side), 2.5)
        rows, columns = np.mgrid[0:side, 0:side].astype(float)
        for i in range(len(x)):
            near = (slice(max(0, int(y[i]) - 26), max(0, int(y[i]) + 27)),
                    slice(max(0, int(x[i]) - 26), max(0, int(x[i]) + 27)))
            dx, dy = columns[near] - x[i], rows[near] - y[i]
            if dx.size == 0:
                continue
            shape = (moffat(fwhm, dx, dy) if sources["kind"][i] == "STAR" else
                     galaxy(fwhm, sources["re"][i], sources["q"][i], angles[i], dx, dy))
            image[near] += flux[i] * shape
        adu = image * 10 ** (0.4 * (zp - 25.0))
        gain = 4.0
        adu += rng.normal(0, 1, adu.shape) * np.sqrt(sigma**2 + np.maximum(adu, 0) / gain)
        header = wcs.to_header()
        header.update(FILTER=band, ZP_AUTO=zp, SKYSIG=sigma, EGAIN=gain, EXPTIME=60.0)
        header["MJD-OBS"] = mjd
        fits.PrimaryHDU(adu.astype(np.float32), header).writeto(folder / f"frame{number}.fits")
        psf = fits.PrimaryHDU(stamp(fwhm).astype(np.float32))
        psf.header["OVERSAMP"] = 3
        psf.writeto(folder / f"psf{number}.fits")
        tables += f'[[inputs.images]]\nfile = "frame{number}.fits"\npsf = "psf{number}.fits"\n'
    return ra, dec, tables


def variability(frame, n):
    """Source 3 changes from frame to frame, the others do not."""
    factor = np.ones(n)
    factor[3] = 1.0 + 0.3 * frame
    return factor


def pulls(values, errors, true):
    ok = np.isfinite(values) & np.isfinite(errors)
    return (values[ok] - true[ok]) / errors[ok]


def check_pulls(check, name, pull, least):
    """Median and rms of unit normal deviates within four of their own standard errors."""
    n = len(pull)
    rms, middle = np.sqrt(np.mean(pull**2)), np.median(pull)
    check(n >= least and abs(rms - 1) < 4 / np.sqrt(2 * n) and abs(middle) < 4 * 1.25 / np.sqrt(n),
          f"{name}: {n} pulls, median {middle:+.2f}, rms {rms:.2f}, largest {np.abs(pull).max():.1f}")


def main():
    check = survey.Checks()
    rng = np.random.default_rng(20261)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        program = runs.Program(os.environ["SKYLOOM"], folder)
        sources = truth(rng)
        ra, dec, tables = write_frames(folder, sources, rng)
        n = len(ra)
        constant = np.arange(n) != 3
        survey.write_csv(folder / "catalog.csv", {
            "ID": [f"s{i:03d}" for i in range(n)], "RA": list(ra), "DEC": list(dec),
            "TYPE": list(sources["kind"]), "Re": list(sources["re"]),
            "ELL": list(1 - sources["q"]), "THETA": list(sources["theta"])})
        common = ("[crop]\nenabled = false\n[zp]\nenabled = false\n[checks]\n"
                  "require_wcs_alignment = false\nrequire_same_shape = false\n"
                  "[epsf]\nepsf_ngrid = 2\nngrid = 2\n")
        inputs = '[inputs]\ninput_catalog = "catalog.csv"\n'
        (folder / "run.toml").write_text(inputs + tables + common)

        program.run("photometry", "run", "run.toml", "--out", "joint", ranks=2, timeout=200)
        joint = survey.table(folder / "joint" / "photometry.h5", "catalogue")
        frames = survey.table(folder / "joint" / "photometry.h5", "frames")
        check(list(frames["on_grid"]) == [1, 0, 0, 0, 0], "one frame is on the white grid")
        for band in "gr":
            pull = pulls(joint[f"FLUX_{band}_fit"], joint[f"FLUXERR_{band}_fit"],
                         sources["flux"][band])
            check_pulls(check, f"joint flux {band}", pull[constant], n - 2)
        stars = (sources["kind"] == "STAR") & constant
        for axis in "xy":
            pull = pulls(joint[f"{axis}_pix_white_fit"], joint[f"{axis}_pix_err_fit"],
                         sources[axis])
            check_pulls(check, f"joint {axis}", pull[constant], n - 2)
        q = 1 - joint["ELL_fit"][~stars & constant]
        check(abs(np.median(q) - 0.6) < 0.03, f"axis ratio of galaxies {np.median(q):.3f}")
        turn = (joint["THETA_fit"] - sources["theta"] + 90) % 180 - 90
        check(abs(np.median(turn[~stars & constant])) < 2.0 and
              survey.scatter(turn[~stars & constant]) < 4.0,
              f"position angles {np.median(turn[~stars & constant]):+.2f} deg")

        program.run("photometry", "run", "run.toml", "--out", "forced", "--set",
                    "patch_run.forced=true", timeout=200)
        forced = survey.table(folder / "forced" / "photometry.h5", "forced")
        check(len(forced["ID"]) == n * len(FRAMES), f"forced: {len(forced['ID'])} fluxes")
        order = list(zip(forced["ID"], forced["band"], forced["mjd"]))
        check(order == sorted(order), "forced rows are in the order of source, band and time")
        number = forced["source"].astype(int)
        expected = np.array([sources["flux"][b][i] * variability(f, n)[i] for b, i, f in
                             zip(forced["band"], number, forced["frame"].astype(int))])
        check_pulls(check, "forced flux per frame",
                    pulls(forced["FLUX_fit"], forced["FLUXERR_fit"], expected), 4 * n)
        mag = 25.0 - 2.5 * np.log10(forced["FLUX_fit"])
        check(np.allclose(mag, forced["MAG_fit"]), "magnitudes in the nominal system")
        series = forced["FLUX_fit"][(number == 3) & (forced["band"] == "g")]
        check(np.all(np.diff(series) > 0), f"the variable source rises: {np.round(series)}")
        mean = survey.table(folder / "forced" / "photometry.h5", "catalogue")
        check_pulls(check, "mean of forced fluxes",
                    pulls(mean["FLUX_g_fit"], mean["FLUXERR_g_fit"], sources["flux"]["g"])[constant],
                    n - 2)

        program.run("photometry", "run", "run.toml", "--out", "apart", "--set",
                    "patch_run.enable_multi_band_simultaneous_fitting=false", timeout=200)
        apart = survey.table(folder / "apart" / "photometry.h5", "catalogue")
        for band in "gr":
            check_pulls(check, f"flux of {band} fitted alone",
                        pulls(apart[f"FLUX_{band}_fit"], apart[f"FLUXERR_{band}_fit"],
                              sources["flux"][band])[constant], n - 2)
            check_pulls(check, f"x of {band} fitted alone",
                        pulls(apart[f"x_pix_white_{band}_fit"], apart[f"x_pix_err_{band}_fit"],
                              sources["x"])[constant], n - 2)
            off = np.hypot(apart[f"RA_{band}_fit"] - ra, apart[f"DEC_{band}_fit"] - dec) * 3600
            check(np.nanmax(off) < 0.4, f"{band}: sky positions within {np.nanmax(off):.3f} arcsec")
        check(np.all(apart["x_pix_err_g_fit"] >= 0.999 * joint["x_pix_err_fit"]),
              "one band knows positions no better than all")

        fields = "".join(f'[[fields]]\ntile_name = "{tile}"\ninput_catalog = "catalog.csv"\n' +
                         tables.replace("inputs.images", "fields.images") for tile in ("one", "two"))
        (folder / "two.toml").write_text(fields + common)
        program.run("photometry", "run", "two.toml", "--out", "two", ranks=2, timeout=300)
        two = survey.table(folder / "two" / "photometry.h5", "catalogue")
        for tile in ("one", "two"):
            rows = two["field"] == tile
            check(np.array_equal(two["FLUX_g_fit"][rows], joint["FLUX_g_fit"], equal_nan=True),
                  f"field {tile} of a survey of two is fitted as alone")
    check.finish()


main()
