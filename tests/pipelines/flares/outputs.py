"""What a run of the flares pipeline leaves: the file of every sector with its groups, types and units, the
run file with links to the products, exports, and a report with its figures."""

import os
import sys

import h5py
import numpy as np
from astropy.io import fits
from report_page import blocks, page, pixels, problems
from runs import call_all, require
from survey import csv, table

COLUMNS = {
    "lc": {"time": "f8", "flux": "f4", "flux_err": "f4", "cadenceno": "i4", "flare_prob": "f4", "predicted": "bool",
           "flare_mask": "bool", "gp_mu": "f8", "gp_sigma": "f8", "gp_var": "f8"},
    "flares": {"start": "i4", "stop": "i4", "t_start": "f8", "t_stop": "f8", "t_peak": "f8", "amplitude": "f8",
               "prob_max": "f8", "equivalent_duration": "f8", "equivalent_duration_err": "f8", "log10_energy": "f8"},
    "injections": {"amp": "f8", "fwhm": "f8", "time": "f8", "index": "i4"},
    "recoveries": {"recovered": "bool"}}
LC_FACTS = {"tic": "i8", "sector": "i4", "camera": "i4", "ccd": "i4", "teff": "f8", "tmag": "f8", "ra": "f8",
            "dec": "f8", "source": "S", "quality_bitmask": "i4", "median_flux": "f8", "threshold": "f8", "merge": "i4",
            "min_points": "i4", "models": "S", "models_sha256": "S", "combine": "S", "edge": "S"}
GP_FACTS = {"kernel", "names", "values", "neg_log_like", "iterations", "converged", "period_ls", "power_ls"}
N_INJECT, N_REPEAT = 40, 5


def run(program, folder, *options):
    program.run("simulate", "flares", "--out", folder / "s", "--size", "tiny")
    program.run("flares", "run", folder / "s" / "flares.toml", "--out", folder / "run", *options, ranks=2, timeout=200)
    return folder / "run"


def files_of_sectors(program, folder):
    where = run(program, folder)
    sectors = table(where / "flares.h5", "sectors")
    names = {f"{t}_{s}.h5" for t, s in zip(sectors["tic"], sectors["sector"])}
    require(names == {p.name for p in (where / "sectors").iterdir()}, "one file per sector")
    for i, (tic, sector) in enumerate(zip(sectors["tic"], sectors["sector"])):
        with h5py.File(where / "sectors" / f"{tic}_{sector}.h5") as f:
            require(f.attrs["format"] == b"skyloom-flares-1" and f.attrs["state"] == 3, dict(f.attrs))
            require(len(f.attrs["config_hash"]) == 16 and f.attrs["seed"].dtype == np.uint64, dict(f.attrs))
            require(set(f) == {*COLUMNS, "provenance"}, sorted(f))
            for group, columns in COLUMNS.items():
                members = {n for n in f[group] if isinstance(f[group][n], h5py.Dataset)}
                require(members == set(columns), f"{group}: {sorted(members)}")
                for name, dtype in columns.items():
                    data = f[group][name]
                    require(data.dtype == np.dtype(dtype), f"{group}/{name}: {data.dtype}")
                    require(data.chunks is None and "unit" in data.attrs and data.attrs["description"], name)
            for name, kind in LC_FACTS.items():
                value = np.asarray(f["lc"].attrs[name])
                require(value.dtype.kind == "S" if kind == "S" else value.dtype == np.dtype(kind),
                        f"lc@{name}: {value.dtype}")
            require(GP_FACTS <= set(f["lc/gp"].attrs), sorted(f["lc/gp"].attrs))
            require(f["injections/time"].shape == f["recoveries/recovered"].shape == (N_INJECT, N_REPEAT), "repeats")
            require(f["recoveries"].attrs["n_inject_remaining"] == 0, "all injected")
            lc = {name: data[...] for name, data in f["lc"].items() if isinstance(data, h5py.Dataset)}
            require(np.array_equal(f["injections/time"][...], lc["time"][f["injections/index"][...]]), "times of peaks")
            require(not lc["flare_mask"][f["injections/index"][...]].any() and
                    lc["predicted"][f["injections/index"][...]].all(), "injected where one can look")
        with h5py.File(where / "flares.h5") as f:
            part = slice(sectors["first_cadence"][i], sectors["first_cadence"][i] + sectors["n_cadences"][i])
            for name in ("time", "flux", "flare_mask", "gp_mu"):
                require(f[f"lc/{name}"][part].tobytes() == lc[name].tobytes(), f"the run file has the same {name}")


def exports_and_switches(program, folder):
    where = run(program, folder, "--set", "output.per_sector=false", "--set", "injection.n_inject=0")
    require(not (where / "sectors").exists(), "no files of sectors")
    flares = csv(where / "flares.csv")
    require(list(flares["tic"]) == [str(t) for t in table(where / "flares.h5", "flares")["tic"]], "flares.csv")
    require(list(csv(where / "failed.csv")) == ["tic", "sector", "phase", "code", "message"], "failed.csv")
    require(len(csv(where / "sectors.csv")["tic"]) == 4, "sectors.csv")
    for name, more in (("lc", {"flux", "gp_mu"}), ("recoveries", {"recovered"})):
        program.run("export", where, "--table", name, "--format", "fits", "--out", folder / f"{name}.fits")
        with fits.open(folder / f"{name}.fits") as f:
            require(more <= set(f[1].columns.names), f"linked columns of {name}: {f[1].columns.names}")
    program.run("export", where, "--table", "models", "--format", "fits", "--out", folder / "m.fits")


def report(program, folder):
    where = run(program, folder)
    data = page(where / "report.html")
    require(problems(data) == [], problems(data))
    titles = [section["title"] for section in data["sections"]]
    require(titles == ["Light curves", "Largest flares", "Completeness", "Rates", "Sectors"], titles)
    charts = {b["file"]: b for b in blocks(data, "chart")}
    curves = [name for name in charts if name.startswith("light_curve_")]
    require(len(curves) == 3, sorted(charts))
    labels = {series["label"] for series in charts[curves[0]]["series"]}
    require({"flux", "flare", "Gaussian process"} <= labels, labels)
    require(any(name.startswith("flare_") for name in charts), sorted(charts))
    require({"completeness_amplitude", "completeness_equivalent_duration", "flare_frequency"} <= set(charts), sorted(charts))
    shown = [p for b in blocks(data, "pictures") for p in b["pictures"]]
    require(len(shown) == 1 and shown[0]["file"] == "completeness_map", "the map")
    values = pixels(data, shown[0])
    require(np.nanmin(values) > -0.01 and np.nanmax(values) < 1.01, "fractions")
    # Large flares are recovered more often than small ones.
    rows = np.nanmean(values, axis=1)
    rows = rows[np.isfinite(rows)]
    require(rows[-2:].mean() > rows[:2].mean() + 0.3, f"completeness rises with amplitude: {rows}")


if __name__ == "__main__":
    sys.exit(call_all(os.environ["SKYLOOM"], [files_of_sectors, exports_and_switches, report]))
