"""Bad input of the flares pipeline: a light curve that cannot be used fails alone and says why; settings
and networks that cannot be used end the run before anything is written."""

import json
import os
import sys

import h5py
import numpy as np
from light_curves import CADENCE, spoc_name, write_light_curve, write_network
from runs import call_all, require
from survey import csv, table

N = 1500


def quiet(seed=1, n=N):
    return (1000.0 * (1 + 1e-3 * np.random.default_rng(seed).normal(size=n))).astype("f4")


def write_config(folder, light_curves, models, **more):
    lines = ["[inputs]", f"light_curves = {json.dumps([str(p) for p in light_curves])}", "[network]",
             f"models = {json.dumps([str(m) for m in models])}", "[injection]", "n_inject = 3"]
    lines += [f"[{name}]\n{text}" for name, text in more.items()]
    path = folder / "flares.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def bad_light_curves(program, folder):
    lc = folder / "lc"
    lc.mkdir()
    write_network(folder / "w.h5")
    good = [(11, 1), (12, 1)]
    for tic, sector in good:
        write_light_curve(lc / spoc_name(tic, sector), tic, sector, quiet(tic))
    write_light_curve(lc / spoc_name(20, 1), 20, 1, quiet())
    whole = (lc / spoc_name(20, 1)).read_bytes()
    (lc / spoc_name(20, 1)).write_bytes(whole[:len(whole) // 2])
    write_light_curve(lc / spoc_name(21, 1), 21, 1, quiet(n=50))
    write_light_curve(lc / spoc_name(22, 1), 22, 1, np.full(N, np.nan, "f4"))
    (lc / spoc_name(23, 1)).write_text("this is no FITS file\n")
    write_light_curve(lc / spoc_name(24, 1), 99, 1, quiet())
    write_light_curve(lc / spoc_name(25, 1), 25, 1, quiet(), time=1500 - CADENCE * np.arange(N))
    write_light_curve(lc / spoc_name(26, 1), 26, 1, -quiet())
    write_light_curve(lc / spoc_name(27, 1), 27, 1, quiet(), quality=np.full(N, 128))
    write_light_curve(lc / "star_lc.fits", 28, 1, quiet())
    unnamed = (lc / "star_lc.fits").read_bytes()
    (lc / "star_lc.fits").write_bytes(unnamed[:4000])
    config = write_config(folder, [lc], [folder / "w.h5"])
    program.run("flares", "run", config, "--out", folder / "run", ranks=2, expect=3, timeout=200)
    units = table(folder / "run" / "flares.h5", "units")
    detect = {key: (outcome, reason, message) for stage, key, outcome, reason, message in
              zip(*(units[c] for c in ("stage", "key", "outcome", "reason", "message"))) if stage == "detect"}
    expected = {"20/1": "bad_input", "21/1": "no_good_data", "22/1": "no_good_data", "23/1": "bad_input",
                "24/1": "bad_input", "25/1": "bad_input", "26/1": "no_good_data", "27/1": "no_good_data",
                "file/star_lc.fits": "bad_input"}
    for key, reason in expected.items():
        require(detect[key][1] == reason, f"{key}: {detect[key]}, expected {reason}")
        require(detect[key][2], f"{key} says why")
    require("50 good cadences" in detect["21/1"][2], detect["21/1"][2])
    require("99/1" in detect["24/1"][2], detect["24/1"][2])
    require(all(outcome == "ok" for key, (outcome, _, _) in detect.items() if key not in expected), str(detect))
    files = sorted(p.name for p in (folder / "run" / "sectors").iterdir())
    require(files == ["11_1.h5", "12_1.h5"], f"the good ones have files: {files}")
    program.run("flares", "run", config, "--out", folder / "run", "--set", "run.max_failed_fraction=0.9")


def without_errors(program, folder):
    """No Gaussian process without errors: flares stand above the median, and the file says how far it came."""
    write_network(folder / "w.h5")
    write_light_curve(folder / spoc_name(11, 1), 11, 1, quiet(), error=np.full(N, np.nan))
    write_light_curve(folder / spoc_name(12, 1), 12, 1, quiet())
    config = write_config(folder, [folder / spoc_name(11, 1), folder / spoc_name(12, 1)], [folder / "w.h5"],
                          detection="threshold = 0.0", run="max_failed_fraction = 1.0")
    said = program.run("flares", "run", config, "--out", folder / "run", ranks=2, timeout=200)
    require("2 flares in 2 sectors of 2 stars" in said and "rates of 1 sectors of 1 stars, 1 flares" in said, said)
    flares = table(folder / "run" / "flares.h5", "flares")
    require(flares["tic"].tolist() == [11, 12] and flares["quiet_level"].tolist() == ["median", "gp"], str(flares))
    with h5py.File(folder / "run" / "flares.h5") as f:
        mu = f["lc/gp_mu"][...]
        require(np.isnan(mu[:N]).all() and np.isfinite(mu[N:]).all(), "the process is missing where it failed")
    with h5py.File(folder / "run" / "sectors" / "11_1.h5") as f:
        require(f.attrs["state"] == 1 and np.isnan(f["lc/gp_mu"][...]).all() and len(f["flares/start"]) == 1 and
                "values" not in f["lc/gp"].attrs, "mask without a process")
    failed = csv(folder / "run" / "failed.csv")
    gp = [i for i, phase in enumerate(failed["phase"]) if phase == "gp"]
    require(len(gp) == 1 and failed["tic"][gp[0]] == "11" and failed["sector"][gp[0]] == "1" and
            failed["code"][gp[0]] == "no_good_data", str(failed))


def no_injections_without_errors(program, folder):
    """Amplitudes are drawn in units of the error: without one there are none, and no outcomes that would count."""
    write_network(folder / "w.h5")
    write_light_curve(folder / spoc_name(11, 1), 11, 1, quiet(), error=np.full(N, np.nan))
    write_light_curve(folder / spoc_name(12, 1), 12, 1, quiet())
    config = write_config(folder, [folder / spoc_name(tic, 1) for tic in (11, 12)], [folder / "w.h5"],
                          detection="threshold = 0.99", run="max_failed_fraction = 1.0")
    for stage in ("detect", "inject"):
        program.run("flares", stage, config, "--out", folder / "run", ranks=2, timeout=200)
    injections = table(folder / "run" / "inject.h5", "injections")
    require(injections["tic"].tolist() == [12] * 3 and np.isfinite(injections["amp"]).all(), str(injections["amp"]))
    said = program.run("status", folder / "run", "--units", "11/1")
    require("no cadence has a flux error" in said and "3 injections remaining" in said, said)


def refused(program, folder, config, *hints):
    said = program.run("flares", "run", config, "--out", folder / "run", expect=2, ranks=2)
    lines = [line for line in said.splitlines() if line.startswith("skyloom: ")]
    require(len(lines) == 1, "one line: " + said)
    for hint in hints:
        require(hint in lines[0], f"'{hint}' expected in: {lines[0]}")
    require(not (folder / "run").exists(), "nothing is written")


def failed_blocks_remain(program, folder):
    """Energies need a temperature: the blocks of the star without one fail, and status says what is left."""
    write_network(folder / "w.h5")
    paths = [folder / spoc_name(tic, 1) for tic in (11, 12)]
    write_light_curve(paths[0], 11, 1, quiet(), cards={"TEFF": 3400.0, "RADIUS": 0.4})
    write_light_curve(paths[1], 12, 1, quiet())
    config = write_config(folder, paths, [folder / "w.h5"], run="max_failed_fraction = 1.0")
    settings = ("--set", "injection.sample=\"ffd\"", "--set", "injection.n_inject=5", "--set",
                "injection.block_flares=2")
    for stage in ("detect", "gp", "inject"):
        program.run("flares", stage, config, "--out", folder / "run", *settings, timeout=200)
    said = program.run("status", folder / "run", "--units", "1?/1")
    require("11/1: detect done; gp done; inject done\n" in said, said)
    require("12/1: detect done; gp done; inject 0 of 3 done, 3 failed (000000: " in said, said)
    require("), 5 injections remaining\n" in said, said)
    require("1 with failed ones" in said and said.endswith("remains: rates, sample\n"), said)


def bad_networks(program, folder):
    write_light_curve(folder / spoc_name(11, 1), 11, 1, quiet())
    curves = [folder / spoc_name(11, 1)]
    write_network(folder / "wrong.h5", dense_rows=3000)
    refused(program, folder, write_config(folder, curves, [folder / "wrong.h5"]), "wrong.h5", "3200")
    refused(program, folder, write_config(folder, curves, [folder / "absent.h5"]), "absent.h5")
    (folder / "text.h5").write_text("no HDF5\n")
    refused(program, folder, write_config(folder, curves, [folder / "text.h5"]), "text.h5")
    ensemble = folder / "ensemble"
    ensemble.mkdir()
    refused(program, folder, write_config(folder, curves, [ensemble]), "ensemble", "no network")
    write_network(ensemble / "a.h5")
    (ensemble / "ensemble.toml").write_text('recipe = "r"\nthreshold = 0.75\n[[networks]]\nfile = "a.h5"\n'
                                            f'sha256 = "{"0" * 64}"\n')
    refused(program, folder, write_config(folder, curves, [ensemble]), "a.h5", "SHA-256")
    (ensemble / "ensemble.toml").write_text('recipe = "r"\n')
    refused(program, folder, write_config(folder, curves, [ensemble]), "ensemble.toml", "threshold")


def bad_selections(program, folder):
    write_network(folder / "w.h5")
    lc = folder / "lc"
    lc.mkdir()
    models = [folder / "w.h5"]
    refused(program, folder, write_config(folder, [lc], models), "inputs.light_curves", "no light curve")
    refused(program, folder, write_config(folder, [folder / "absent"], models), "absent", "is not there")
    refused(program, folder, write_config(folder, [], models), "inputs.light_curves")
    write_light_curve(lc / spoc_name(11, 1), 11, 1, quiet())
    fast = lc / "tess2020000000000-s0001-0000000000000011-0123-a_fast-lc.fits"
    fast.write_bytes((lc / spoc_name(11, 1)).read_bytes())
    refused(program, folder, write_config(folder, [fast], models), "20 s")
    (folder / "again.csv").write_text("# TICID = 11\n# SECTOR = 1\ntime_btjd,flux,flux_err,quality\n" +
                                      "".join(f"{1500 + i * CADENCE:.8f},1,1,0\n" for i in range(500)))
    refused(program, folder, write_config(folder, [lc, folder / "again.csv"], models), "again.csv", "same star")
    (folder / "t.csv").write_text("TICID,Tmag\n12,1\n")
    config = write_config(folder, [lc], models)
    config.write_text(config.read_text().replace("[network]", 'targets = "t.csv"\n[network]'))
    refused(program, folder, config, "targets")


if __name__ == "__main__":
    sys.exit(call_all(os.environ["SKYLOOM"], [bad_light_curves, without_errors, no_injections_without_errors,
                                              failed_blocks_remain, bad_networks, bad_selections]))
