"""A simulated survey of known truth: the flares that were put in are found as often as the completeness
that the pipeline predicts for their amplitude and duration, and the power law of their energies comes
back without bias after correction. flare_survey.py SIZE [SEED] (small: 20 sectors, full: 200)."""

import math
import os
import sys

import numpy as np
from runs import Program, scratch
from survey import Checks, csv, numbers, table

CADENCE = 120.0 / 86400.0
RANKS = int(os.environ.get("SKYLOOM_TEST_RANKS", "2"))


class Completeness:
    """The completeness_surface of a star."""

    def __init__(self, surfaces, tic):
        row = np.flatnonzero(surfaces["tic"] == tic)[0]
        if not surfaces["converged"][row]:
            raise AssertionError(f"star {tic} has no completeness surface")
        self.centre = surfaces["amp_centre"][row], surfaces["fwhm_centre"][row]
        self.coefficients = surfaces["coefficients"][row]

    def __call__(self, amplitude, duration):
        a, d = np.log(amplitude / self.centre[0]), np.log(duration / self.centre[1])
        terms = np.stack([np.ones_like(a), a, d, a * a, a * d, d * d], axis=1)
        return 1.0 / (1.0 + np.exp(-np.clip(terms @ self.coefficients, -30.0, 30.0)))


def isolated(time, ed):
    """Flares without a larger one within two hours: the others are found, or hidden, with it. Truth
    alone decides, so that nothing is chosen by its outcome."""
    order = np.argsort(time)
    keep = np.ones(len(time), bool)
    for place, k in enumerate(order):
        for way in (-1, 1):
            other = place + way
            while 0 <= other < len(order) and abs(time[order[other]] - time[k]) < 2.0 / 24.0:
                keep[k] &= ed[order[other]] <= ed[k]
                other += way
    return keep


def found_flares(truth, run):
    """Of the isolated true flares at a cadence with a window: predicted completeness and outcome."""
    lc = table(run / "detect.h5", "lc")
    sectors = table(run / "detect.h5", "sectors")
    flares = table(run / "gp.h5", "flares")
    surfaces = table(run / "rates.h5", "completeness_surface")
    predicted, found = [], []
    first, curve, tic = 0, None, None
    for s, n in enumerate(sectors["n_cadences"]):
        time, window = lc["time"][first:first + n], lc["predicted"][first:first + n]
        first += n
        if sectors["tic"][s] != tic:
            tic = sectors["tic"][s]
            curve = Completeness(surfaces, tic)
        rows = np.flatnonzero((truth["tic"] == tic) & (truth["sector"] == sectors["sector"][s]))
        rows = rows[isolated(truth["t_peak"][rows], truth["ed_s"][rows])]
        at = np.searchsorted(time, truth["t_peak"][rows] - 0.5 * CADENCE)
        inside = (at < n - 1) & (np.abs(time[np.minimum(at, n - 1)] - truth["t_peak"][rows]) <= 0.6 * CADENCE)
        inside &= window[np.minimum(at, n - 1)]
        rows, at = rows[inside], at[inside]
        own = (flares["tic"] == tic) & (flares["sector"] == sectors["sector"][s])
        start, stop = flares["start"][own], flares["stop"][own]
        found += [bool(np.any((start <= i + 2) & (stop >= i - 1))) for i in at]
        predicted += list(curve(truth["amplitude"][rows], truth["fwhm_d"][rows]))
    return np.array(predicted), np.array(found)


def main(size, seed):
    check = Checks()
    ensemble = os.path.join(os.environ["SKYLOOM_SOURCE_DIR"], "share", "skyloom", "flares")
    if not os.path.isdir(ensemble):
        print("skipped: no networks in " + ensemble)
        sys.exit(77)
    with scratch() as folder:
        keep = os.environ.get("SKYLOOM_TEST_RUN")
        if keep:
            survey, run = (type(folder)(p) for p in keep.split(","))
        else:
            survey, run = folder / "survey", folder / "run"
            program = Program(os.environ["SKYLOOM"], folder)
            program.run("simulate", "flares", "--out", survey, "--size", size, "--seed", seed, timeout=600)
            program.run("flares", "run", survey / "flares.toml", "--out", run, "--set",
                        "injection.n_inject=1000", "--set", "output.per_sector=false", ranks=RANKS,
                        timeout=3600)
        truth = {k: (numbers(v) if k != "observed" else v) for k, v in csv(survey / "truth.csv").items()}
        recovered_as_predicted(check, truth, run)
        slope_without_bias(check, truth, run)
    check.finish()


def recovered_as_predicted(check, truth, run):
    predicted, found = found_flares(truth, run)
    for low, high in ((0.0, 1.01), (0.05, 0.35), (0.35, 0.65), (0.65, 0.95), (0.95, 1.01)):
        chosen = (predicted >= low) & (predicted < high)
        p = predicted[chosen]
        sigma = math.sqrt((p * (1 - p)).sum())
        difference = (found[chosen].sum() - p.sum()) / sigma
        text = (f"predicted {low:.2f} to {high:.2f}: {chosen.sum()} flares, {found[chosen].sum()} found, "
                f"{p.sum():.1f} expected, {difference:+.1f} sigma")
        if low == 0.0:
            check(chosen.sum() > 100 and abs(difference) < 3.0, text)
        else:
            print("      " + text)


def slope_without_bias(check, truth, run):
    alpha = truth["slope"][0]
    sample = {k: v[0] for k, v in table(run / "sample.h5", "sample_rates").items()}
    pull = (sample["ml_slope"] - (alpha - 1.0)) / sample["ml_slope_err"]
    check(abs(pull) < 3.0, f"sample: slope {sample['ml_slope']:.3f} +- {sample['ml_slope_err']:.3f} of "
          f"{sample['ml_flares']} flares, put in {alpha - 1.0:.3f}: {pull:+.1f} sigma")
    print(f"      straight line through cumulative points {sample['slope']:.3f}")
    stars = table(run / "rates.h5", "star_rates")
    pulls = (stars["ml_slope"] - (alpha - 1.0)) / stars["ml_slope_err"]
    pulls = pulls[stars["ml_flares"] >= 10]
    check(len(pulls) > 1 and abs(pulls.mean()) < 3.0 / math.sqrt(len(pulls)),
          f"stars: mean deviation {pulls.mean():+.2f} sigma of {len(pulls)} slopes")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "1")
