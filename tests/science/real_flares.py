"""Seven real light curves with flares judged by eye, with the ensemble that ships with the program and
default settings: flares found, blocks without support, none on a quiet star with transits, none in the
transits of DS Tuc A. The published networks on the same files are printed beside it.

An event counts as found when a block overlaps it within 3 cadences; it can be found when one of its
cadences has a window. A block has no support when it overlaps no listed event, accepted or without
verdict, and fewer than 2 points of the block +- 2 lie above 2.5 sigma over a running median of 121
points (61 for UV Ceti, which rotates in 5.4 hours), sigma from the differences of neighbouring points."""

import csv
import json
import os

import numpy as np

from runs import Program, scratch
from survey import Checks, need_data, table

data = need_data("flares_real")
PUBLISHED = {"published s0018": ["s0018_i0350"], "published s0002, s0018": ["s0002_i0200", "s0002_i1000", "s0018_i0350"]}
check = Checks()
UV_CETI = 29928567
NULL_STAR, TRANSITS = 25155310, 410214986
PERIOD, EPOCH, DURATION = 8.138268, 1332.30997, 3.18 / 24


def events():
    """{(tic, sector): [(first cadenceno, last cadenceno, real)]} of the vetted list."""
    out = {}
    with open(os.path.join(data, "vetted_flares.csv"), newline="") as f:
        for row in csv.DictReader(line for line in f if not line.startswith("#")):
            key = int(row["tic"]), int(row["sector"])
            real = int(float(row["real"])) if row["real"] else 0
            out.setdefault(key, []).append((int(float(row["cadence_start"])), int(float(row["cadence_stop"])) - 1, real))
    return out


def running_median(flux, width):
    half = width // 2
    padded = np.pad(flux, half, mode="reflect")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, width), axis=1)


def supported(flux, start, stop, baseline, sigma):
    part = slice(max(0, start - 2), stop + 3)
    return np.sum((flux - baseline)[part] > 2.5 * sigma) >= 2


def score(run_folder, name):
    lc, sectors, flares = (table(run_folder / "detect.h5", t) for t in ("lc", "sectors", "flares"))
    vetted = events()
    first = np.concatenate(([0], np.cumsum(sectors["n_cadences"])))
    total = {"blocks": 0, "found": 0, "valid": 0, "unsupported": 0, "null": 0, "transit": 0}
    for i, (tic, sector) in enumerate(zip(sectors["tic"], sectors["sector"])):
        part = slice(first[i], first[i + 1])
        time, number, predicted = lc["time"][part], lc["cadenceno"][part], lc["predicted"][part]
        flux = lc["flux"][part].astype(float) / sectors["median_flux"][i]
        mine = (flares["tic"] == tic) & (flares["sector"] == sector)
        blocks = list(zip(flares["start"][mine], flares["stop"][mine]))
        listed = vetted.get((tic, sector), [])
        baseline = running_median(flux, 61 if tic == UV_CETI else 121)
        differences = np.diff(flux)
        sigma = 1.4826 * np.median(np.abs(differences - np.median(differences))) / np.sqrt(2)
        found = valid = lonely = 0
        for a, b, real in listed:
            inside = (number >= a) & (number <= b)
            if real == 1 and predicted[inside].any():
                valid += 1
                found += any(number[s] - 3 <= b and number[e] + 3 >= a for s, e in blocks)
        for s, e in blocks:
            overlaps = any(number[s] - 3 <= b and number[e] + 3 >= a for a, b, real in listed if real != -1)
            lonely += not overlaps and not supported(flux, s, e, baseline, sigma)
        in_transit = 0
        if tic == TRANSITS:
            phase = np.abs((time - EPOCH + PERIOD / 2) % PERIOD - PERIOD / 2)
            in_transit = sum((phase[s:e + 1] < DURATION / 2 + 0.02).any() for s, e in blocks)
        print(f"{name}: TIC {tic} S{sector}: {len(blocks)} blocks, {found} of {valid} found, {lonely} unsupported"
              + (f", {in_transit} at transits" if tic == TRANSITS else ""), flush=True)
        for key, value in (("blocks", len(blocks)), ("found", found), ("valid", valid), ("unsupported", lonely),
                           ("null", len(blocks) if tic == NULL_STAR else 0), ("transit", in_transit)):
            total[key] += value
    print(f"{name}: {total}", flush=True)
    return total


def run(program, folder, name, networks):
    config = folder / "flares.toml"
    config.write_text(f"[inputs]\nlight_curves = [{json.dumps(data)}]\n[network]\nmodels = {json.dumps(networks)}\n")
    program.run("flares", "detect", config, "--out", folder / f"run{len(networks)}", ranks=2, timeout=200)
    return score(folder / f"run{len(networks)}", name)


with scratch() as folder:
    program = Program(os.environ["SKYLOOM"], folder)
    for name, networks in PUBLISHED.items():
        run(program, folder, name, [os.path.join(need_data("flares"), f"ensemble_{n}_b0.73.h5") for n in networks])
    ours = run(program, folder, "shipped", [])
    check(ours["valid"] == 49, f"{ours['valid']} events accepted by eye have a window")
    check(ours["found"] >= 42, f"shipped ensemble: {ours['found']} of {ours['valid']} found, at least 42")
    check(ours["unsupported"] <= 4, f"shipped ensemble: {ours['unsupported']} blocks without support, at most 4")
    check(ours["null"] == 0, f"shipped ensemble: {ours['null']} flares on the quiet star")
    check(ours["transit"] <= 1, f"shipped ensemble: {ours['transit']} blocks at transits of DS Tuc A, at most 1")
check.finish()
