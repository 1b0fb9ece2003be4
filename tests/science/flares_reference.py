"""The flares pipeline against the reference of two real light curves and three published networks:
probabilities, windows, masks, flares above the median, checksums, periods, Gaussian processes; and the
file of a sector."""

import hashlib
import json
import os

import h5py
import numpy as np

from runs import Program, scratch
from survey import Checks, need_data, table

data = need_data("flares")
check = Checks()
TARGETS = {(2760232, 2): "expected_tic2760232_s2.h5", (188646744, 55): "expected_tic188646744_s55.h5"}
MODELS = [os.path.join(data, f"ensemble_{name}_b0.73.h5") for name in ("s0002_i0200", "s0002_i1000", "s0018_i0350")]
PROBABILITY = 3e-4


def run(program, folder, name, *settings):
    config = folder / f"{name}.toml"
    config.write_text(f"[inputs]\nlight_curves = [{json.dumps(data + '/tess-*_lc.fits')}]\n[network]\n"
                      f"models = {json.dumps(MODELS)}\n[injection]\nn_inject = 20\n")
    options = [word for setting in settings for word in ("--set", setting)]
    program.run("flares", "run", config, "--out", folder / name, *options, ranks=2, timeout=300)
    return folder / name


def same_flares(expected, found, close):
    """Blocks differ only next to a probability that is next to the threshold."""
    return all(close[max(0, a - 20):b + 21].any() for a, b in set(expected) ^ set(found))


def check_sector(key, path, e, mode):
    name = f"TIC {key[0]}, {mode}"
    median = e["prob_median"][...] if mode == "median" else e["prob_mean"][...]
    with h5py.File(path) as f:
        lc = f["lc"]
        check(lc["time"].shape == e["time"].shape and np.array_equal(lc["time"], e["time"]),
              f"{name}: kept cadences")
        predicted = lc["predicted"][...]
        check(np.array_equal(predicted, e["predicted"][...].astype(bool)), f"{name}: windows")
        probability = lc["flare_prob"][...].astype(float)
        worst = np.abs(probability - median)[predicted].max()
        check(worst <= PROBABILITY, f"{name}: probabilities within {worst:.1e}")
        check(np.isnan(probability[~predicted]).all(), f"{name}: none without a window")
        close = np.abs(median - lc.attrs["threshold"]) < PROBABILITY
        mask = lc["flare_mask"][...]
        inside = np.zeros(len(mask), bool)
        for a, b in zip(f["flares/start"], f["flares/stop"]):
            inside[a:b + 1] = True
        check(np.array_equal(mask, inside), f"{name}: the mask is the flares")
        if mode == "median":
            expected = list(zip(e["flare_start"][...].tolist(), e["flare_stop"][...].tolist()))
            found = list(zip(f["flares/start"][...].tolist(), f["flares/stop"][...].tolist()))
            check(same_flares(expected, found, close), f"{name}: {len(found)} flares of {len(expected)}")
        check(len(f["injections/amp"]) == 20 and f["recoveries/recovered"].shape == (20, 10) and
              f["recoveries"].attrs["n_inject_remaining"] == 0 and f.attrs["state"] == 3,
              f"{name}: injections")
        check(list(lc.attrs["models"].astype(str)) == [os.path.basename(m) for m in MODELS],
              f"{name}: names of the networks")
        check(list(lc.attrs["models_sha256"].astype(str)) ==
              [hashlib.sha256(open(m, "rb").read()).hexdigest() for m in MODELS], f"{name}: their checksums")
        check(np.array_equal(lc["gp_sigma"][...] ** 2 > 0, lc["gp_var"][...] > 0), f"{name}: sigma and variance")
        quiet = ~mask & np.isfinite(lc["flux_err"][...])
        error = lc["flux_err"][...][quiet]
        pull = ((lc["flux"][...] - lc["gp_mu"][...])[quiet] / error)
        check(abs(np.median(pull)) < 0.1 and np.isfinite(lc["gp_mu"][...]).all(),
              f"{name}: the process follows the quiet star (median pull {np.median(pull):.3f})")


def check_products(run_folder):
    """Flares above the median, which `detect` measures, and the periods."""
    flares = table(run_folder / "detect.h5", "flares")
    models = table(run_folder / "gp.h5", "models")
    for key, file in TARGETS.items():
        with h5py.File(os.path.join(data, file)) as e:
            rows = flares["tic"] == key[0]
            for column, name in (("t_peak", "flare_t_peak_flat_mu"), ("amplitude", "flare_amp_flat_mu"),
                                 ("equivalent_duration", "flare_ed_flat_mu")):
                if rows.sum() == len(e[name]):
                    worst = np.max(np.abs(flares[column][rows] / e[name][...] - 1), initial=0)
                    check(worst <= 1e-6, f"TIC {key[0]}: {column} above the median within {worst:.1e}")
            period = models["period_ls"][models["tic"] == key[0]][0]
            check(abs(period / e.attrs["ls_period_days"] - 1) < 1e-6, f"TIC {key[0]}: period {period:.5f} d")


with scratch() as folder:
    program = Program(os.environ["SKYLOOM"], folder)
    for mode in ("median", "mean"):
        result = run(program, folder, mode, f"network.combine={mode}")
        for key, file in TARGETS.items():
            with h5py.File(os.path.join(data, file)) as e:
                check_sector(key, result / "sectors" / f"{key[0]}_{key[1]}.h5", e, mode)
        if mode == "median":
            check_products(result)
    result = run(program, folder, "peer", "network.edge=peer", "injection.n_inject=0")
    for key, file in TARGETS.items():
        with h5py.File(os.path.join(data, file)) as e, \
                h5py.File(result / "sectors" / f"{key[0]}_{key[1]}.h5") as f:
            worst = np.abs(f["lc/flare_prob"][...] - e["prob_median"][...]).max()
            check(worst <= PROBABILITY, f"TIC {key[0]}, edge peer: all cadences within {worst:.1e}")
check.finish()
