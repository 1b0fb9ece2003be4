"""The choices of a PSF model: what the products say about them, and that they change what they should."""

import json
import os
import sys

import numpy as np
from products import run_differences
from runs import call_all, require
from survey import table


def fitted(program, folder, *changes, ranks=1):
    """Patches, sources and Gaussians of the stage fit with other keys."""
    sets = [part for change in changes for part in ("--set", change)]
    run = folder / "run"
    if not run.exists():
        program.run("simulate", "photometry", "--out", folder / "s", "--size", "tiny")
        program.run("photometry", "run", folder / "s" / "photometry.toml", "--out", run)
    program.run("photometry", "fit", folder / "s" / "photometry.toml", "--out", run, *sets, ranks=ranks)
    return [table(run / "fit.h5", name) for name in ("fit_patches", "fit", "psf_mixtures")]


def bands_of(patches):
    return sorted(name[len("psf_model_"):] for name in patches if name.startswith("psf_model_"))


def require_model(patches, fit, model, held):
    bands = bands_of(patches)
    for band in bands:
        require(set(patches["psf_model_" + band]) == {model}, f"{band} is fitted with {model}")
    expected = ",".join(bands) if held else ""
    require(set(fit["psf_frozen_bands_for_optimizer"]) == {expected}, f"held PSFs: {expected!r}")


def require_mixtures(patches, fit, mixtures, terms, light):
    cells = set(fit["epsf_tag"])
    for band in bands_of(patches):
        for cell in cells:
            rows = (mixtures["band"] == band) & (mixtures["epsf_tag"] == cell)
            require(list(mixtures["component"][rows]) == list(range(terms)), f"{terms} Gaussians in {cell}")
            require(abs(mixtures["weight"][rows].sum() - 1) < light, "with the light of the PSF")
    require(np.all(mixtures["cxx"] * mixtures["cyy"] > mixtures["cxy"] ** 2), "covariances")


def models_of_a_fitted_psf(program, folder):
    patches, plain, mixtures = fitted(program, folder)
    require_model(patches, plain, "pixelized", False)
    require(len(mixtures["weight"]) == 0, "no Gaussians")
    for model, terms, held in (("hybrid", 5, False), ("gaussian_mixture_from_stamp", 3, True)):
        patches, fit, mixtures = fitted(
            program, folder, f'patch_run.psf_model="{model}"', "patch_run.hybrid_psf_n=5",
            "patch_run.gaussian_mixture_n=3")
        require_model(patches, fit, model, held)
        require_mixtures(patches, fit, mixtures, terms, 0.03)
        require(set(fit["psf_fallback_bands"]) == {""}, "no fallback")
        bright = (plain["stype_fit"] == "star") & (plain["FLUX_r_fit"] > 30 * plain["FLUXERR_r_fit"])
        ratio = fit["FLUX_r_fit"][bright] / plain["FLUX_r_fit"][bright]
        require(bright.sum() >= 3, f"{bright.sum()} bright stars")
        require(abs(np.median(ratio) - 1) < 0.01, f"{model}: fluxes {np.median(ratio)}")
        # Stars of a hybrid feel it only through the wide terms of galaxies around them.
        worst = np.abs(ratio - 1).max()
        require(worst < 1e-4 if model == "hybrid" else worst > 1e-4, f"{model}: stars change by {worst}")


def models_of_a_fallback(program, folder):
    few = "patch_run.min_epsf_nstars_for_use=100000"
    fits = {}
    for name, changes, model, terms in (
            ("stamp", (), "moffat", 0),
            ("mixture", ('patch_run.galaxy_psf_fallback="mixture"',), "moffat+gaussian_mixture", 3),
            ("circular", ('patch_run.psf_fallback_model="ncircular_gaussian"',), "ncircular_gaussian", 0),
            ("fitted", ('patch_run.psf_fallback_model="gaussian_mixture"', "patch_run.gaussian_mixture_n=2"),
             "gaussian_mixture", 2)):
        # What is said of ePSFs must not reach a fallback.
        patches, fit, mixtures = fitted(program, folder, few, 'patch_run.psf_model="hybrid"', *changes)
        require_model(patches, fit, model, model in ("ncircular_gaussian", "gaussian_mixture"))
        bands = bands_of(patches)
        require(set(fit["psf_fallback_bands"]) == {",".join(bands)}, "all bands fall back")
        require(set(fit["psf_low_star_bands"]) == {",".join(bands)}, "for want of stars")
        require(set(fit["psf_used_epsf_band_count"]) == {0}, "no ePSF is used")
        reasons = json.loads(fit["psf_fallback_reasons_json"][0])
        require(sorted(reasons) == bands and all(
            r.startswith("low-star ePSF (nstars_used=") and r.endswith("< min_epsf_nstars_for_use=100000)")
            for r in reasons.values()), str(reasons))
        if terms:
            require_mixtures(patches, fit, mixtures, terms, 0.001)
        else:
            require(len(mixtures["weight"]) == 0, "no Gaussians are fitted")
        fits[name] = fit
    differs = fits["mixture"]["FLUX_r_fit"] != fits["stamp"]["FLUX_r_fit"]
    galaxies = fits["stamp"]["stype_fit"] != "star"
    require(differs[galaxies].all(), "Gaussians change galaxies")


def ranks_agree(program, folder):
    """Every rank fits the Gaussians of a cell by itself."""
    change = ("--set", 'patch_run.psf_model="gaussian_mixture_from_stamp"')
    program.run("simulate", "photometry", "--out", folder / "s", "--size", "tiny")
    for ranks in (1, 3):
        program.run("photometry", "run", folder / "s" / "photometry.toml", "--out", folder / f"n{ranks}",
                    *change, ranks=ranks)
    found = run_differences(folder / "n1", folder / "n3")
    require(not found, "products differ: " + "; ".join(found[:5]))


if __name__ == "__main__":
    sys.exit(call_all(os.environ["SKYLOOM"], [
        models_of_a_fitted_psf,
        models_of_a_fallback,
        ranks_agree,
    ]))
