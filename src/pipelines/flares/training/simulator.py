"""Simulated light curves for training the flare network, and windows drawn from them.

A piece of light curve ("chunk") is drawn anew each time: noise, rotation, fast variables, transits,
steps, bumps, outliers, dropped cadences and flares, all relative to the median flux (d = x - 1).
Time is in cadences of two minutes. Every cadence gets a label from the noise-free flares.

Flare templates: Tovar Mendoza et al. 2022 and Davenport et al. 2014.
"""

import math
from dataclasses import dataclass, field

import numpy as np

CHUNK = 600    # cadences of a training chunk
WINDOW = 200   # samples the network sees
CENTRE = 100   # position of the labelled cadence in its window
POSITIVE, NEGATIVE, IGNORED = 1, 0, -1


def log_uniform(rng, low, high):
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def mendoza(x):
    """Continuous template of Tovar Mendoza et al. (2022) at one x = (t - peak) / FWHM."""
    a, b, c = 0.9687734504375167, -0.251299705922117, 0.22675974948468916
    parts = ((0.12695865022878844, 0.15551880775110513), (1.0 - 0.12695865022878844, 1.2150539528490194))
    return 0.5 * math.sqrt(math.pi) * a * c * sum(
        f * math.exp(-d * x + (b / c + 0.5 * d * c)**2) * math.erfc((b - x) / c + 0.5 * c * d) for f, d in parts)


def davenport(x):
    """Template of Davenport et al. (2014) at one x = (t - peak) / t_half."""
    if x < -1.0:
        return 0.0
    if x <= 0.0:
        return 1.0 + x * (1.941 + x * (-0.175 + x * (-2.246 - 1.125 * x)))
    return 0.6890 * math.exp(-1.600 * x) + 0.3030 * math.exp(-0.2783 * x)


def _table(function):
    x = np.concatenate([np.linspace(-1.3, 3.0, 861), np.geomspace(3.005, 122.0, 700)])
    y = np.array([function(value) for value in x])
    y /= y.max()
    y[0] = y[-1] = 0.0
    return x, y


TEMPLATES = (_table(mendoza), _table(davenport))
EXPOSURE = np.linspace(-0.4, 0.4, 5)  # points of one exposure, averaged


@dataclass
class Chunk:
    """Noise-free sum of all components but white noise, and what the labels need."""

    d: np.ndarray                 # relative flux - 1 without white noise
    sigma: float                  # white noise per cadence
    sigma_e: float                # with the part of the red noise that hides a flare
    label: np.ndarray             # POSITIVE, NEGATIVE or IGNORED per cadence
    events: list = field(default_factory=list)    # (peak cadence, first, last, peak / sigma_e) of detectable flares
    bumps: list = field(default_factory=list)     # cadence ranges
    outliers: list = field(default_factory=list)  # cadences
    edges: list = field(default_factory=list)     # cadences of ingress and egress


@dataclass(frozen=True)
class Recipe:
    """What a chunk holds. The defaults are the population PLAIN."""

    length: int = CHUNK
    flare_chance: float = 0.75
    flare_every: float = 600.0        # mean distance of flares after the first [cadences]
    active_chance: float = 0.20       # chance of a chunk full of flares
    active_every: float = 90.0
    transit_chance: float = 0.20
    rounded_transits: bool = False    # with limb darkening, and more of short ingress
    edge_windows: int = 6             # drawn near the begin and the end of transits


PLAIN = Recipe()
TRANSITS = Recipe(transit_chance=0.30, rounded_transits=True, edge_windows=12)
POPULATIONS = {"plain": PLAIN, "transits": TRANSITS}


def _rotation(rng, t, sigma):
    if rng.random() < 0.30:
        period, height = log_uniform(rng, 72, 600), min(sigma * log_uniform(rng, 10, 300), 0.3)
    else:
        period = log_uniform(rng, 72, 21600) if rng.random() < 0.60 else log_uniform(rng, 72, 720)
        height = log_uniform(rng, 3e-4, 0.1)
    harmonics = rng.integers(1, 5)
    wave = np.zeros(t.size)
    for k in range(1, harmonics + 1):
        weight = 1.0 if k == 1 else rng.uniform(0.0, 0.7) / (k - 1)
        wave += weight * np.sin(2.0 * np.pi * (k * t / period + rng.random()))
    return 0.5 * height * wave


def _fast_variable(rng, t):
    kind = rng.integers(3)
    if kind == 0:
        base = log_uniform(rng, 12, 150)
        wave = np.zeros(t.size)
        for _ in range(rng.integers(1, 6)):
            period, height = base * rng.uniform(0.6, 1.5), log_uniform(rng, 3e-4, 0.03)
            wave += 0.5 * height * np.sin(2.0 * np.pi * (t / period + rng.random()))
        return wave
    if kind == 1:
        period, height, rise = log_uniform(rng, 40, 600), log_uniform(rng, 0.003, 0.5), rng.uniform(0.1, 0.4)
        phase = np.mod(t / period + rng.random(), 1.0)
        angle = np.where(phase < rise, phase / rise - 1.0, (phase - rise) / (1.0 - rise))
        return 0.5 * height * np.cos(np.pi * angle)
    period, height = log_uniform(rng, 100, 500), log_uniform(rng, 0.005, 0.4)
    return height * (np.abs(np.sin(np.pi * (t / period + rng.random())))**rng.uniform(0.6, 1.5) - 0.5)


def _transits(rng, t, sigma_e, rounded):
    """@return the dips and the cadences at which they begin and end."""
    depth = min(sigma_e * log_uniform(rng, 1, 40), 0.3) if rng.random() < 0.80 else log_uniform(rng, 0.02, 0.5)
    duration, period = log_uniform(rng, 20, 220), log_uniform(rng, 150, 4000)
    part = log_uniform(rng, 0.04, 0.50) if rounded else rng.uniform(0.04, 0.50)
    ingress = max(part * duration, 1.0)
    period = max(period, 1.5 * duration)
    # The piece looks at a random phase, but always so that one transit can be in it.
    first = rng.uniform(0.0, min(period, t[-1]))
    away = np.abs(np.mod(t - first + 0.5 * period, period) - 0.5 * period)
    dip = -depth * np.clip((0.5 * duration - away) / ingress, 0.0, 1.0)
    if rounded:
        inside = np.sqrt(np.clip(1.0 - (2.0 * away / duration)**2, 0.0, 1.0))
        dip *= 1.0 - rng.uniform(0.0, 0.4) * (1.0 - inside)
    borders = np.concatenate([first + side + period * np.arange(-4, 5) for side in (-0.5 * duration, 0.5 * duration)])
    borders = borders[(borders > t[0]) & (borders < t[-1])]
    return dip, np.searchsorted(t, borders).tolist()


def _steps(rng, t, jumps, sigma_e):
    wave = np.zeros(t.size)
    for _ in range(rng.integers(1, 3)):
        start = int(rng.choice(jumps)) if jumps and rng.random() < 0.60 else int(rng.integers(t.size))
        height = sigma_e * log_uniform(rng, 1, 15) * rng.choice((-1.0, 1.0))
        after = t[start:] - t[start]
        wave[start:] += height * (np.exp(-after / log_uniform(rng, 60, 600)) if rng.random() < 0.60 else 1.0)
    return wave


def _bumps(rng, t, sigma_e):
    wave, ranges = np.zeros(t.size), []
    for _ in range(rng.integers(1, 3)):
        centre, width = rng.uniform(t[0], t[-1]), log_uniform(rng, 8, 150)
        power = 2 if rng.random() < 2.0 / 3.0 else 4
        wave += sigma_e * log_uniform(rng, 2, 60) * np.exp(-np.abs((t - centre) / width)**power / 2.0)
        ranges.append((int(np.searchsorted(t, centre - 2.0 * width)), int(np.searchsorted(t, centre + 2.0 * width))))
    return wave, ranges


def _outliers(rng, n, sigma_e):
    wave = np.zeros(n)
    places = rng.integers(0, n, rng.poisson(n / 250.0))
    for place in places:
        height = sigma_e * log_uniform(rng, 3, 60) * (1.0 if rng.random() < 0.75 else -1.0)
        wave[place] += height
        if rng.random() < 0.12 and place + 1 < n:
            wave[place + 1] += height * rng.uniform(0.1, 1.0)
    return wave, places.tolist()


def _flare(rng, t, sigma_e, peak_time):
    """One flare, with further peaks in 30 %."""
    width = log_uniform(rng, 0.5, 15) if rng.random() < 0.80 else log_uniform(rng, 5, 60)
    kind = rng.random()
    height = sigma_e * (log_uniform(rng, 2, 30) if kind < 0.60 else
                        log_uniform(rng, 10, 300) if kind < 0.90 else log_uniform(rng, 100, 2e4))
    height = min(height, 6.0)
    x_table, y_table = TEMPLATES[0 if rng.random() < 0.60 else 1]
    stretch = log_uniform(rng, 0.6, 3)
    parts = [(peak_time, width, height)]
    if rng.random() < 0.30:
        for _ in range(rng.integers(1, 4)):
            parts.append((peak_time + width * rng.uniform(0.5, 6.0), width * rng.uniform(0.3, 2.0),
                          height * rng.uniform(0.15, 1.1)))
    flux = np.zeros(t.size)
    for when, fwhm, ampl in parts:
        first, last = np.searchsorted(t, (when - 1.3 * stretch * fwhm - 1.0, when + 122.0 * fwhm + 1.0))
        if first == last:
            continue
        x = (t[first:last, None] + EXPOSURE - when) / fwhm
        x = np.where(x < 0.0, x / stretch, x)
        flux[first:last] += ampl * np.interp(x, x_table, y_table, left=0.0, right=0.0).mean(axis=1)
    return flux


def _mark(label, f, sigma_e):
    """Labels of one event. @return (peak, first, last, peak / sigma_e) of a detectable one"""
    peak = int(np.argmax(f))
    relative = f / sigma_e
    detectable = (relative[peak] > 4.0 and np.count_nonzero(relative > 2.0) >= 3 and math.sqrt(relative @ relative) > 9.0)
    unsure = relative > 0.4
    if not detectable:
        if relative[peak] > 1.0:
            unsure[max(peak - 4, 0):peak + 5] = True
        label[unsure & (label == NEGATIVE)] = IGNORED
        return None
    above = f > max(1.5 * sigma_e, 0.01 * f[peak])
    first, last = peak, peak
    while first > 0 and above[first - 1]:
        first -= 1
    while last + 1 < f.size and above[last + 1]:
        last += 1
    first, last = max(min(first, peak - 1), 0), min(min(max(last, peak + 3), peak + 95), f.size - 1)
    label[unsure & (label == NEGATIVE)] = IGNORED
    label[first:last + 1] = POSITIVE
    return peak, first, last, float(relative[peak])


def _time(rng, n, jump):
    """Times of n kept cadences, and the first cadence after each jump."""
    steps = np.ones(n)
    places = []
    if jump:
        for _ in range(rng.integers(1, 4)):
            place = int(rng.integers(1, n))
            steps[place] += rng.integers(1, 13) if rng.random() < 0.90 else rng.integers(13, 61)
            places.append(place)
    steps[0] = 0.0
    return np.cumsum(steps), places


def _red_noise(rng, n, rms, tau):
    phi = math.exp(-1.0 / tau)
    kicks = rng.standard_normal(n) * math.sqrt(1.0 - phi * phi)
    kicks[0] = rng.standard_normal()
    noise = np.empty(n)
    carry, block = 0.0, max(1, int(500.0 * tau))  # phi**-block stays far from overflow
    for start in range(0, n, block):
        scale = phi**np.arange(1, min(block, n - start) + 1)
        noise[start:start + block] = scale * (carry + np.cumsum(kicks[start:start + block] / scale))
        carry = noise[min(start + block, n) - 1]
    return rms * noise


def simulate_chunk(rng, recipe=PLAIN):
    n = recipe.length
    sigma = 1e-3 * log_uniform(rng, 0.04, 20)
    red = rng.random() < 0.7
    rms, tau = sigma * log_uniform(rng, 0.1, 2.5), log_uniform(rng, 5, 400)
    sigma_e = math.sqrt(sigma**2 + (rms**2 * min(1.0, 12.0 / tau) if red else 0.0))
    t, jumps = _time(rng, n, rng.random() < 0.20)

    d = _red_noise(rng, n, rms, tau) if red else np.zeros(n)
    chunk = Chunk(d, sigma, sigma_e, np.full(n, NEGATIVE, dtype=np.int8))
    if rng.random() < 0.85:
        d += _rotation(rng, t, sigma)
    if rng.random() < 0.10:
        d += _fast_variable(rng, t)
    if rng.random() < recipe.transit_chance:
        dips, chunk.edges = _transits(rng, t, sigma_e, recipe.rounded_transits)
        d += dips
    if rng.random() < 0.12:
        d += _steps(rng, t, jumps, sigma_e)
    if rng.random() < 0.15:
        wave, chunk.bumps = _bumps(rng, t, sigma_e)
        d += wave
    if rng.random() < 0.35:
        wave, chunk.outliers = _outliers(rng, n, sigma_e)
        d += wave
    if rng.random() < 0.5:
        d += rng.standard_normal() * log_uniform(rng, 1e-4, 0.02)
    if rng.random() < recipe.flare_chance:
        every = recipe.active_every if rng.random() < recipe.active_chance else recipe.flare_every
        for _ in range(1 + rng.poisson(n / every)):
            f = _flare(rng, t, sigma_e, rng.uniform(-40.0, t[-1] + 5.0))
            if f.max() > 0.0:
                d += f
                event = _mark(chunk.label, f, sigma_e)
                if event:
                    chunk.events.append(event)
    return chunk


def robust_noise(x):
    """Point-to-point noise: 1.4826 MAD of first differences / sqrt 2."""
    steps = np.diff(x)
    return 1.4826 * np.median(np.abs(steps - np.median(steps))) / math.sqrt(2.0)


def _draw(rng, chunk, edge_windows):
    """Cadences whose windows are used, without IGNORED ones."""
    inside = np.zeros(chunk.label.size, dtype=bool)
    inside[CENTRE:chunk.label.size - (WINDOW - CENTRE) + 1] = True
    positive = np.flatnonzero(inside & (chunk.label == POSITIVE))
    negative = inside & (chunk.label == NEGATIVE)

    def pick(candidates, count):
        if candidates.size > count:
            return rng.choice(candidates, count, replace=False)
        return candidates

    def near(ranges):
        mask = np.zeros(inside.size, dtype=bool)
        for first, last in ranges:
            mask[max(first, 0):max(last + 1, 0)] = True
        return np.flatnonzero(negative & mask)

    return np.concatenate([
        pick(positive, 6),
        pick(near([(i - 100, i + 100) for i in positive]), 3) if positive.size else positive,
        pick(np.flatnonzero(negative), 7),
        pick(near(chunk.bumps), 4),
        pick(near([(i - 2, i + 2) for i in chunk.outliers]), 3),
        pick(near([(i - 12, i + 12) for i in chunk.edges]), edge_windows),
    ])


def training_set(seed, chunks, recipe=PLAIN):
    """Windows without white noise, (m, 200) float32; noise per window; sigma_pp of its chunk; labels (m)."""
    rng = np.random.default_rng(seed)
    windows, noise, scale, labels = [], [], [], []
    for _ in range(chunks):
        chunk = simulate_chunk(rng, recipe)
        cadences = _draw(rng, chunk, recipe.edge_windows)
        sigma_pp = robust_noise(chunk.d + chunk.sigma * rng.standard_normal(chunk.d.size))
        views = np.lib.stride_tricks.sliding_window_view(chunk.d, WINDOW)
        windows.append(views[cadences - CENTRE].astype(np.float32))
        noise.append(np.full(cadences.size, chunk.sigma, dtype=np.float32))
        scale.append(np.full(cadences.size, sigma_pp, dtype=np.float32))
        labels.append(chunk.label[cadences].astype(np.float32))
    return tuple(np.concatenate(part) for part in (windows, noise, scale, labels))
