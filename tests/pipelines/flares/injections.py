"""Injections and rates of a tiny simulated survey: the same bits for any number of ranks, any cut into
blocks, any interruption and any sharing out; outcomes and rates against a second implementation from
the definitions."""

import glob
import json
import math
import os
import pathlib
import re
import sys

import h5py
import numpy as np
from products import differences, run_differences
from runs import call_all, kill_one_rank, require, wait_for
from survey import need_data, table

NETWORKS = sorted(glob.glob(need_data("flares") + "/ensemble_*.h5"))
SETTINGS = ("--set", "network.models=[" + ",".join(f'"{n}"' for n in NETWORKS) + "]", "--set",
            "injection.n_inject=60", "--set", "injection.n_repeat=5")


def survey(program, folder):
    program.run("simulate", "flares", "--out", folder / "s", "--size", "tiny", timeout=120)
    return folder / "s" / "flares.toml"


def run(program, config, out, *more, ranks=1, expect=0):
    return program.run("flares", "run", config, "--out", out, *SETTINGS, *more, ranks=ranks,
                       expect=expect, timeout=300)


def require_equal(one, two):
    found = run_differences(one, two)
    for name in sorted(p.relative_to(one) for kind in ("sectors", "stars")
                       for p in (one / kind).glob("*.h5")):
        found += [f"{name}{line}" for line in differences(one / name, two / name)]
    require(not found, "products differ: " + "; ".join(found[:5]))


def rank_counts_agree(program, folder):
    config = survey(program, folder)
    for ranks in (1, 2, 4):
        run(program, config, folder / f"n{ranks}", "--set", "output.per_star=true", ranks=ranks)
    require_equal(folder / "n1", folder / "n2")
    require_equal(folder / "n1", folder / "n4")
    require(len(list((folder / "n1" / "sectors").glob("*.h5"))) == 4, "a file per sector")
    require(len(list((folder / "n1" / "stars").glob("*_final.h5"))) == 2, "a file per star")
    star_files_have_everything(folder / "n1")
    recoveries = table(folder / "n1" / "inject.h5", "recoveries")["recovered"]
    require(recoveries.shape == (240, 5) and 0.05 < recoveries.mean() < 0.95,
            f"{recoveries.shape}, recovered {recoveries.mean():.2f}")


def star_files_have_everything(run_folder):
    rates = table(run_folder / "rates.h5", "star_rates")
    flares = table(run_folder / "gp.h5", "flares")
    for i, tic in enumerate(rates["tic"]):
        with h5py.File(run_folder / "stars" / f"{tic}_final.h5") as f:
            require(len(f["flares/t_peak"]) == (flares["tic"] == tic).sum(), "all flares of the star")
            require(f["metrics/completeness_params"].shape == (2, 2), "a row per sector")
            require(np.array_equal(f["FFD"].attrs["full_sample_slope"], rates["slope"][i],
                                   equal_nan=True), "the slope")
            eds = f["FFD/eds"][:]
            require(np.all(np.diff(eds) <= 0.0), "largest first")
            corrected = f["FFD/corrected_rate"][:]
            require(np.array_equal(corrected == -99.0, f["FFD/corrected_ed"][:] == -99.0), "markers")
            for sector in f["metrics/sector"][:]:
                group = f[f"injection_recovery/sector_{sector}"]
                require(len(group["recovered"]) == len(group["injected_eds"]) == 60, "injections")


def blocks_change_nothing(program, folder):
    config = survey(program, folder)
    for size in (0, 7, 60):
        run(program, config, folder / f"b{size}", "--set", f"injection.block_flares={size}", ranks=2)
    for size in (7, 60):
        for name in ("injections", "recoveries"):
            one = table(folder / "b0" / "inject.h5", name)
            two = table(folder / f"b{size}" / "inject.h5", name)
            for column, values in one.items():
                require(values.tobytes() == two[column].tobytes(), f"{name}/{column} with blocks of {size}")
        found = [d for name in ("rates.h5", "sample.h5")
                 for d in differences(folder / "b0" / name, folder / f"b{size}" / name)
                 if "config_hash" not in d and "stage_hash" not in d]
        require(not found, "; ".join(found[:3]))
    other = folder / "seed"
    run(program, config, other, "--set", "run.seed=99")
    one, two = (table(folder / "b0" / "inject.h5", "injections"), table(other / "inject.h5", "injections"))
    require((one["index"] == two["index"]).mean() < 0.01, "another seed, other cadences")
    require(not np.array_equal(one["fwhm"], two["fwhm"]), "another seed, other durations")


def killed_while_injecting(program, folder):
    config = survey(program, folder)
    many = ("--set", "injection.block_flares=5", "--set", "injection.n_inject=200")
    run(program, config, folder / "ref", *many, ranks=2)
    out = folder / "killed"
    process = program.start("flares", "run", config, "--out", out, *SETTINGS, *many, ranks=2)
    wait_for(lambda: (out / "inject").is_dir() and
             sum(p.stat().st_blocks for p in (out / "inject").glob("journal.g*")) > 0, "journalled blocks", 120)
    kill_one_rank(process)
    program.wait(process, None)
    require(process.returncode not in (0, 75), f"killed, but exit {process.returncode}")
    stage = next(s for s in json.loads(program.run("status", out, "--json"))["stages"] if s["name"] == "inject")
    lines = [line.split(": ", 1) for line in program.run("status", out, "--units", "*/*").splitlines()]
    sectors = {line[0]: line[1] for line in lines if "inject" in line[-1] and "detect done; gp done; " in line[-1]}
    require(len(sectors) * 40 == stage["units"], f"one line per sector: {program.said}")
    remaining = sum(int(n) for n in re.findall(r"(\d+) injections remaining", program.said))
    require(remaining == 5 * (stage["units"] - stage["done"]) > 0, f"{stage}: {program.said}")
    # Cut in another way in between: what the first attempt did does not fit and is done again.
    run(program, config, out, "--set", "injection.block_flares=20", *many[2:], ranks=3)
    require("no longer those of the earlier attempt" in program.said, program.said)
    said = program.run("status", out, "--units")
    require("remaining" not in said and ": 0 with open units" in said and
            said.count("; inject done") == len(sectors), said)
    for stage, name in (("inject", "injections"), ("inject", "recoveries"), ("rates", "sector_rates"),
                        ("rates", "completeness")):
        one, two = (table(f / f"{stage}.h5", name) for f in (folder / "ref", out))
        require(all(values.tobytes() == two[column].tobytes() for column, values in one.items()), name)


def shards_are_rated_together(program, folder):
    """Beside the sectors of one member of a job array, or by a run that has no light curves itself."""
    config = survey(program, folder)
    per_star = ("--set", "output.per_star=true")
    run(program, config, folder / "all", *per_star)
    run(program, config, folder / "one", "--set", "run.shard=\"1/2\"")
    run(program, config, folder / "two", "--set", "run.shard=\"2/2\"", "--set",
        f"inputs.runs=[\"{folder / 'one'}\"]", *per_star)
    own = [len(table(folder / name / "flares.h5", "sectors")["tic"]) for name in ("one", "two")]
    require(sum(own) == 4 and 0 not in own, f"sectors of the shares: {own}")
    require("rates of 4 sectors of 2 stars" in program.said, program.said)
    join = ("--set", "inputs.light_curves=[]", "--set",
            f"inputs.runs=[\"{folder / 'one'}\",\"{folder / 'two'}\"]")
    said = run(program, config, folder / "join", *join, "--dry-run")
    require("stage rates: about 2 units" in said, "a dry run counts the stars of the other runs: " + said)
    run(program, config, folder / "join", *join, *per_star, ranks=2)
    require("0 flares in 0 sectors" in program.said and "rates of 4 sectors of 2 stars" in program.said, program.said)
    for other in ("two", "join"):
        for name in ("sector_rates", "star_rates", "sample_rates", "ffd", "completeness", "completeness_map"):
            one, two = table(folder / "all" / "flares.h5", name), table(folder / other / "flares.h5", name)
            for column, values in one.items():
                require(values.tobytes() == two[column].tobytes(), f"{name}/{column} of {other}")
        for path in sorted((folder / "all" / "stars").glob("*.h5")):
            found = [line for line in differences(path, folder / other / "stars" / path.name)
                     if "config_hash" not in line and "stage_hash" not in line and "run_hash" not in line]
            require(not found, f"{path.name}: " + "; ".join(found[:3]))
    page = (folder / "join" / "report.html").read_text()
    require("sectors in the rates" in page and "those of 2 other runs" in page, "the report says whose rates they are")
    said = run(program, config, folder / "three", "--set", f"inputs.runs=[\"{folder / 'all'}\"]", expect=2)
    require("two runs have the sector" in said, said)


def runs_with_other_settings_are_not_joined(program, folder):
    config = survey(program, folder)
    few = ("--set", "injection.n_inject=4")
    run(program, config, folder / "other", *few)
    join = (*few, "--set", "inputs.light_curves=[]", "--set", f"inputs.runs=[\"{folder / 'other'}\"]")

    def refused(*settings, says, join=join):
        said = run(program, config, folder / "join", *join, *settings, expect=2)
        lines = [line for line in said.splitlines() if line.startswith("skyloom: ")]
        require(len(lines) == 1 and all(text in lines[0] for text in says), f"{says} expected: {said}")
        require(not (folder / "join").exists(), "nothing is written")

    refused("--set", f"inputs.runs=[\"{folder / 's'}\"]", says=("inputs.runs", "detect"))
    refused("--set", "detection.threshold=0.7", says=("other", "detection.threshold = 0.75", "0.7"))
    refused("--set", "gp.kernel=\"sho2\"", says=("other", "gp.kernel"))
    refused("--set", "injection.n_inject=5", says=("other", "injection.n_inject = 4"))
    models = [",".join(f'"{n}"' for n in some) for some in (NETWORKS[:2], NETWORKS[::-1])]
    refused("--set", f"network.models=[{models[0]}]", says=("other", "network", pathlib.Path(NETWORKS[2]).name))
    refused("--set", f"network.models=[{models[1]}]", says=("other", "3 networks", "order"))
    again = ("--set", "detection.min_cadences=4")
    program.run("flares", "detect", config, "--out", folder / "other", *SETTINGS, *few, *again, "--fresh", timeout=200)
    refused(*again, says=("other", "detect was redone after gp"))
    (folder / "other" / "manifest.json").unlink()
    refused(says=("other", "manifest.json"))


def modes(program, folder):
    config = survey(program, folder)
    base = ("--set", "injection.n_inject=20")
    run(program, config, folder / "base", *base)
    reference = table(folder / "base" / "inject.h5", "recoveries")["recovered"]
    for setting in ("network.mode=\"peer\"", "network.edge=\"peer\"", "network.combine=\"mean\"",
                    "injection.criterion=\"peer\"", "injection.template=\"davenport2014\"",
                    "injection.simultaneous=true", "injection.sample=\"ffd\""):
        out = folder / pathlib.Path(setting.split("=")[0]).name
        run(program, config, out, *base, "--set", setting)
        recovered = table(out / "inject.h5", "recoveries")["recovered"]
        require(recovered.shape == reference.shape, setting)
        require(recovered.any() and not recovered.all(), f"{setting}: {recovered.mean()}")
    run(program, config, folder / "none", "--set", "injection.n_inject=0")
    require(len(table(folder / "none" / "flares.h5", "completeness")["tic"]) == 0, "nothing injected")


def network(path):
    """Weights in the order of layers, by rank."""
    with h5py.File(path) as f:
        group = f["model_weights"]
        out = []
        for layer in group.attrs["layer_names"]:
            layer = layer.decode() if isinstance(layer, bytes) else layer
            for name in group[layer].attrs.get("weight_names", []):
                name = name.decode() if isinstance(name, bytes) else name
                out.append(group[layer][name][...].astype(float))
        return out


def probability(weights, windows):
    """Section 3.1, layer by layer, of windows (n, 200) of relative flux."""
    k1, b1, k2, b2, w3, b3, w4, b4 = weights

    def convolve(x, kernel, bias):
        half = kernel.shape[0] // 2
        padded = np.pad(x, ((0, 0), (half, half), (0, 0)))
        return np.maximum(0.0, bias + sum(padded[:, j:j + x.shape[1]] @ kernel[j]
                                          for j in range(kernel.shape[0])))

    def pool(x):
        return np.maximum(x[:, 0::2], x[:, 1::2])

    hidden = pool(convolve(pool(convolve(windows[:, :, None], k1, b1)), k2, b2))
    dense = np.maximum(0.0, hidden.reshape(len(windows), -1) @ w3 + b3)
    return 1.0 / (1.0 + np.exp(-(dense @ w4 + b4)[:, 0]))


def template(x):
    """Section 7.1."""
    a, b, c = 0.9687734504375167, -0.251299705922117, 0.22675974948468916
    d = (0.15551880775110513, 1.2150539528490194)
    f1 = 0.12695865022878844
    x = np.maximum(x, -6.0)
    erfc = np.vectorize(math.erfc)
    total = sum(f * np.exp(-dk * x + (b / c + dk * c / 2) ** 2) * erfc((b - x) / c + c * dk / 2)
                for f, dk in zip((f1, 1 - f1), d))
    return math.sqrt(math.pi) / 2 * a * c * total


def outcomes_by_definition(program, folder):
    config = survey(program, folder)
    run(program, config, folder / "r")
    models = [network(path) for path in NETWORKS]
    lc = table(folder / "r" / "detect.h5", "lc")
    sectors = table(folder / "r" / "detect.h5", "sectors")
    injections = table(folder / "r" / "inject.h5", "injections")
    recovered = table(folder / "r" / "inject.h5", "recoveries")["recovered"]
    first, checked, different = 0, 0, 0
    for s, n in enumerate(sectors["n_cadences"]):
        time, flux = lc["time"][first:first + n], lc["flux"][first:first + n].astype(float)
        predicted, mask = lc["predicted"][first:first + n], lc["flare_mask"][first:first + n]
        first += n
        rows = np.flatnonzero((injections["tic"] == sectors["tic"][s]) &
                              (injections["sector"] == sectors["sector"][s]))
        eligible = predicted & ~mask
        require(eligible[injections["index"][rows]].all(), "injected outside flares, with a window")
        require(np.array_equal(time[injections["index"][rows]], injections["time"][rows]), "times")
        quiet, median = np.median(flux[~mask]), np.median(flux)
        for row in rows[::6]:
            at = injections["index"][row, 0]
            points = (np.arange(11) + 0.5) / 11 - 0.5  # as the survey's configuration has it
            x = ((time - time[at])[:, None] + points * np.median(np.diff(time))) / injections["fwhm"][row]
            near = slice(max(0, at - 300), at + 400)
            changed = flux.copy()
            changed[near] += quiet * injections["amp"][row] * template(x[near]).mean(axis=1)
            reach = [i for i in range(at - 40, at + 41) if 0 <= i < n and predicted[i]]
            windows = np.array([changed[i - 100:i + 100] for i in reach]) / median
            p = np.median([probability(w, windows) for w in models], axis=0)
            hits = [i for i, value in zip(reach, p) if value > 0.75]
            blocks = []
            for i in hits:
                if blocks and i - blocks[-1][1] < 20:
                    blocks[-1][1] = i
                else:
                    blocks.append([i, i])
            found = any(b - a + 1 >= 3 and a <= at + 2 and b >= at - 1 for a, b in blocks)
            marginal = np.any(np.abs(p - 0.75) < 3e-4)
            checked += 1
            different += found != recovered[row, 0] and not marginal
    require(checked == 40 and different == 0, f"{different} of {checked} outcomes differ")


def rates_by_definition(program, folder):
    config = survey(program, folder)
    run(program, config, folder / "r", "--set", "injection.n_inject=400", ranks=2)
    injections = table(folder / "r" / "inject.h5", "injections")
    recovered = table(folder / "r" / "inject.h5", "recoveries")["recovered"]
    rates = {name: table(folder / "r" / "flares.h5", name)
             for name in ("completeness", "star_rates", "sample_rates", "sector_rates", "ffd")}
    completeness_by_definition(injections, recovered, rates["completeness"])
    sectors = table(folder / "r" / "detect.h5", "sectors")
    flares = table(folder / "r" / "gp.h5", "flares")
    for i, tic in enumerate(rates["star_rates"]["tic"]):
        own = sectors["tic"] == tic
        days = (sectors["n_predicted"] * sectors["cadence"])[own].sum()
        require(abs(rates["star_rates"]["duration"][i] / days - 1.0) < 1e-12, "live time")
        ed = flares["equivalent_duration"][flares["tic"] == tic]
        ed = np.sort(ed[ed > 0])[::-1]
        points = {k: v[rates["ffd"]["tic"] == tic] for k, v in rates["ffd"].items()}
        number = np.arange(1, len(ed) + 1)
        require(np.allclose(points["log10_ed"], np.log10(ed)), "equivalent durations, largest first")
        require(np.allclose(points["log10_rate"], np.log10(number / days)), "cumulative rates")
        error = (np.sqrt(number + 0.75) + 1) / days
        require(np.allclose(points["log10_rate_err"], error / (math.log(10) * number / days)), "Gehrels")
        star = {k: v[i] for k, v in rates["star_rates"].items()}
        curve = star["ceiling"] / (1 + np.exp(-star["kappa"] * (np.log10(ed) - star["x0"])))
        above = np.log10(ed) > star["log10_ed50"]
        require(np.array_equal(np.isfinite(points["log10_corrected"]), above), "corrected above ED50")
        corrected = points["log10_rate"] - np.log10(curve)
        require(np.allclose(points["log10_corrected"][above], corrected[above]), "correction")
        if above.sum() >= 2:
            slope, intercept = np.polyfit(np.log10(ed)[above], corrected[above], 1,
                                          w=1.0 / points["log10_rate_err"][above])
            require(abs(star["slope"] + slope) < 1e-8 and abs(star["intercept"] - intercept) < 1e-8,
                    f"straight line {star['slope']} {-slope}")
    sample = rates["sample_rates"]
    require(sample["n_stars"][0] == 2 and sample["n_sectors"][0] == 4, "sample")
    require(sample["n_flares"][0] == len(flares["tic"]), "flares of the sample")


def completeness_by_definition(injections, recovered, completeness):
    ed = 86400 * injections["amp"] * injections["fwhm"] * 2.0408740
    require(np.allclose(injections["equivalent_duration"], ed, rtol=1e-6), "injected ED")
    for quantity, values in (("amplitude", injections["amp"]), ("duration", injections["fwhm"]),
                             ("equivalent_duration", injections["equivalent_duration"])):
        for tic, stars in ((0, np.ones(len(ed), bool)),
                           (injections["tic"][0], injections["tic"] == injections["tic"][0])):
            rows = np.flatnonzero((completeness["quantity"] == quantity) & (completeness["tic"] == tic))
            require(completeness["n_injected"][rows].sum() == stars.sum() * 5, f"{quantity}: every trial once")
            for row in rows:
                low, high = completeness["low"][row], completeness["high"][row]
                inside = stars & (values >= low * (1 - 1e-12)) & (values < high * (1 - 1e-12))
                n, k = inside.sum() * 5, recovered[inside].sum()
                c = k / n
                require(n == completeness["n_injected"][row] and k == completeness["n_recovered"][row],
                        f"{quantity} {low} to {high}: {k} of {n}")
                require(abs(completeness["completeness_err"][row] -
                            math.sqrt((c * (1 - c) + 0.5 / n) / n)) < 1e-12, "binomial error")


if __name__ == "__main__":
    sys.exit(call_all(os.environ["SKYLOOM"],
                      [rank_counts_agree, blocks_change_nothing, killed_while_injecting,
                       shards_are_rated_together, runs_with_other_settings_are_not_joined, modes,
                       outcomes_by_definition, rates_by_definition]))
