"""The simulated field against its truth: with the true PSF, with perturbed starts, with the ePSF."""
import os

import numpy as np
from astropy.io import fits

from runs import Program, scratch as scratch_folder
from survey import Checks, csv, numbers, scatter, table, write_csv

SNR = 20.0
check = Checks()


def perturbed(truth, source, target, seed, pixel_arcsec):
    """Another input catalogue: the truth with other random errors of the same size."""
    rng = np.random.default_rng(seed)
    rows = csv(source)
    index = {key: i for i, key in enumerate(truth["ID"])}
    order = np.array([index[key] for key in rows["ID"]])
    n = len(order)
    shift_deg = np.where(rows["TYPE"] == "STAR", 0.16, 0.3) * pixel_arcsec / 3600.0
    dec = numbers(truth["DEC"])[order]
    columns = dict(rows)
    columns["RA"] = numbers(truth["RA"])[order] + rng.normal(size=n) * shift_deg / np.cos(np.radians(dec))
    columns["DEC"] = dec + rng.normal(size=n) * shift_deg
    for name in rows:
        if name.startswith("FLUX_"):
            columns[name] = numbers(truth[name])[order] * np.exp(0.12 * rng.normal(size=n))
    columns["Re"] = numbers(truth["Re"])[order] * np.exp(0.2 * rng.normal(size=n))
    columns["ELL"] = np.clip(numbers(truth["ELL"])[order] + 0.07 * rng.normal(size=n), 0, 0.95)
    columns["THETA"] = numbers(truth["THETA"])[order] + 8.0 * rng.normal(size=n)
    write_csv(target, columns)


def against_truth(catalogue, truth, bands, crop):
    index = {key: i for i, key in enumerate(truth["ID"])}
    fitted = catalogue["stype_fit"] != ""
    row = np.array([index.get(key, -1) for key in catalogue["ID"]])
    out = {}
    for kind in ("star", "galaxy"):
        pulls, ratio, position = [], [], []
        chosen = fitted & (row >= 0) & ((catalogue["stype_fit"] == "star") == (kind == "star"))
        best = np.zeros(len(row))
        for band in bands:
            flux = catalogue[f"FLUX_{band}_fit"]
            error = catalogue[f"FLUXERR_{band}_fit"]
            true = numbers(truth[f"FLUX_{band}"])[row]
            use = chosen & (true > SNR * error)
            pulls.append(((flux - true) / error)[use])
            ratio.append((flux / true - 1)[use])
            best = np.maximum(best, np.nan_to_num(flux / error))
        use = chosen & (best > SNR)
        for axis in "xy":
            true = numbers(truth[axis])[row] - crop
            position.append(((catalogue[f"{axis}_pix_white_fit"] - true) / catalogue[f"{axis}_pix_err_fit"])[use])
        out[kind] = tuple(map(np.concatenate, (pulls, ratio, position)))
    return out


with scratch_folder() as folder:
    program = Program(os.environ["SKYLOOM"], folder)
    seeds = (1, 2)
    collected = {kind: [[], [], []] for kind in ("star", "galaxy")}
    for seed in seeds:
        survey = os.path.join(folder, f"survey{seed}")
        program.run("simulate", "photometry", "--out", survey, "--size", "small", "--seed", seed)
        program.run("photometry", "run", os.path.join(survey, "photometry_true_psf.toml"), ranks=2, timeout=600)
        product = os.path.join(survey, "photometry_true_psf.run", "photometry.h5")
        catalogue = table(product, "catalogue")
        truth = csv(os.path.join(survey, "truth.csv"))
        frames = table(product, "frames")
        bands = list(frames["band"])
        fitted = catalogue["stype_fit"] != ""
        converged = np.mean(catalogue["opt_converged"][fitted])
        check(converged >= 0.98, f"seed {seed}: {100 * converged:.1f} % of {fitted.sum()} sources converged, 98 % asked")
        for kind, values in against_truth(catalogue, truth, bands, frames["x0_crop"][0]).items():
            for i in range(3):
                collected[kind][i].append(values[i])
    for kind, values in collected.items():
        pulls, ratio, position = map(np.concatenate, values)
        s, p = scatter(pulls), scatter(position)
        check(0.9 <= s <= 1.2, f"true PSF, {kind}: flux pull scatter {s:.3f} of {len(pulls)} values, 0.9 to 1.2 asked "
                               f"(median {np.median(pulls):+.3f})")
        check(0.9 <= p <= 1.2, f"true PSF, {kind}: position pull scatter {p:.3f} of {len(position)} values, 0.9 to 1.2 asked")
        if kind == "star":
            check(abs(np.median(ratio)) < 0.005, f"true PSF: star flux bias {100 * np.median(ratio):+.3f} %, 0.5 % allowed")
        else:
            print(f"      true PSF: galaxy flux bias {100 * np.median(ratio):+.3f} %")

    # Another draw of the input catalogue's errors: the fit must forget where it started.
    survey = os.path.join(folder, "survey1")
    truth = csv(os.path.join(survey, "truth.csv"))
    image = next(f for f in sorted(os.listdir(survey)) if f.endswith(".fits") and not f.startswith("psf"))
    header = fits.getheader(os.path.join(survey, image))
    pixel_arcsec = 3600 * abs(header.get("CD1_1", header.get("CDELT1")))
    config = open(os.path.join(survey, "photometry_true_psf.toml")).read()
    name = next(line.split('"')[1] for line in config.splitlines() if line.startswith("input_catalog"))
    fluxes = []
    for seed in (11, 12):
        target = f"perturbed{seed}.csv"
        perturbed(truth, os.path.join(survey, name), os.path.join(survey, target), seed, pixel_arcsec)
        toml = os.path.join(survey, f"perturbed{seed}.toml")
        with open(toml, "w") as f:
            f.write(config.replace(f'"{name}"', f'"{target}"'))
        program.run("photometry", "run", toml, ranks=2, timeout=600)
        fluxes.append(table(os.path.join(survey, f"perturbed{seed}.run", "photometry.h5"), "catalogue"))
    both = (fluxes[0]["stype_fit"] != "") & (fluxes[1]["stype_fit"] != "")
    worst = np.zeros(len(both))
    snr = np.zeros(len(both))
    for band in bands:
        a, b = fluxes[0][f"FLUX_{band}_fit"], fluxes[1][f"FLUX_{band}_fit"]
        error = fluxes[0][f"FLUXERR_{band}_fit"]
        snr = np.maximum(snr, np.nan_to_num(a / error))
        worst = np.fmax(worst, np.abs(a - b) / error)
    bright = both & (snr > SNR)
    share = np.mean(worst[bright] < 0.05)
    check(share >= 0.99, f"two starts: {100 * share:.2f} % of {bright.sum()} sources (S/N > 20) within 0.05 of the error "
                         f"in every band, 99 % asked; 99th percentile {np.quantile(worst[bright], 0.99):.4f}")
    print(f"      all sources: {100 * np.mean(worst[both] < 0.05):.2f} % within 0.05")

    # The PSF built from the field.
    program.run("photometry", "run", os.path.join(survey, "photometry.toml"), ranks=2, timeout=600)
    product = os.path.join(survey, "photometry.run", "photometry.h5")
    catalogue = table(product, "catalogue")
    index = {key: i for i, key in enumerate(truth["ID"])}
    row = np.array([index.get(key, -1) for key in catalogue["ID"]])
    ratios = []
    for band in bands:
        flux, error = catalogue[f"FLUX_{band}_fit"], catalogue[f"FLUXERR_{band}_fit"]
        use = (catalogue["stype_fit"] == "star") & (row >= 0) & (flux > 100 * error)
        r = flux[use] / numbers(truth[f"FLUX_{band}"])[row[use]] - 1
        ratios.append(r - np.median(r))
        print(f"      ePSF, {band}: {use.sum()} stars, bias {100 * np.median(r):+.3f} %, scatter {100 * scatter(r):.3f} %")
    bright = np.concatenate(ratios)
    check(scatter(bright) < 0.015, f"ePSF from the field: bright-star scatter {100 * scatter(bright):.3f} % of {len(bright)} "
                                   "values, 1.5 % allowed")
check.finish()
