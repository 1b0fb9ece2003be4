"""From a light curve to flare blocks as `skyloom flares` finds them, in plain NumPy and PyTorch.

A second implementation on purpose: it evaluates every window by itself, and judges the ensemble without
the program.
"""

from dataclasses import dataclass

import numpy as np
from astropy.io import fits

from network import logits

THRESHOLD, MERGE, SHORTEST = 0.75, 20, 3
QUALITY_BITS = 175


@dataclass
class LightCurve:
    name: str
    tic: int
    sector: int
    time: np.ndarray   # kept cadences [BTJD]
    d: np.ndarray      # flux / median - 1
    window: np.ndarray # True where the cadence has a window
    gaps: np.ndarray   # j: gap between j and j + 1


def read(path):
    with fits.open(path) as file:
        table, cards = file[1].data, file[0].header
        time, flux = np.asarray(table["TIME"], float), np.asarray(table["PDCSAP_FLUX"], float)
        keep = np.isfinite(time) & ((table["QUALITY"] & QUALITY_BITS) == 0) & np.isfinite(flux)
        return light_curve(path.name, cards["TICID"], cards["SECTOR"], time[keep], flux[keep])


def light_curve(name, tic, sector, time, flux):
    step = np.diff(time)
    threshold = max(np.median(step) + 1.5 * np.std(step), 1.5 * np.median(step))
    gaps = np.flatnonzero(step >= threshold)
    window = np.ones(time.size, dtype=bool)
    window[:100] = window[-100:] = False
    for gap in gaps:
        window[max(gap - 100, 0):gap + 100] = False
    return LightCurve(name, tic, sector, time, flux / np.median(flux) - 1.0, window, gaps)


def series_probability(models, series, window, **options):
    """Median over models at the cadences with a window, NaN elsewhere. @param series as models want it"""
    cadences = np.flatnonzero(window)
    result = np.full(window.size, np.nan)
    each = [0.5 + 0.5 * np.tanh(0.5 * logits(model, series, cadences - 100, **options)) for model in models]
    result[cadences] = np.median(each, axis=0)
    return result


def blocks(probability, gaps=(), threshold=THRESHOLD):
    """First and last cadence of every block, both inside."""
    gaps, result = set(int(gap) for gap in gaps), []
    with np.errstate(invalid="ignore"):
        above = np.flatnonzero(probability > threshold)
    for i in above:
        if result and i - result[-1][1] < MERGE and not gaps.intersection(range(result[-1][1], i)):
            result[-1][1] = int(i)
        else:
            result.append([int(i), int(i)])
    return [tuple(block) for block in result if block[1] - block[0] + 1 >= SHORTEST]
