"""From trained networks to the shipped files.

    export.py TRAINED_FOLDER --out share/skyloom/flares/ensemble-1 [--acceptance report.json]

takes every network that train.py left in the folder and writes one file each and ensemble.toml.
"""

import argparse
import hashlib
import json
import math
import pathlib

import numpy as np
import torch

from keras_file import write_weights
from network import ScaleFree, Weights, folded, logits, unfolded
from simulator import simulate_chunk

RECIPE = "scale-free-1"
GAIN = 1.0 / 0.0015          # p is about calibrated for noise of 1.5 ppt per cadence
OUTPUT_BIAS = math.log(3.0)  # h = 0 is the probability 0.75
THRESHOLD = 0.75


def trained(folder):
    """(result of training, network) of every network in a folder, by population and seed."""
    for path in sorted(folder.glob("*.pt")):
        model = ScaleFree()
        model.load_state_dict(torch.load(path))
        yield json.loads(path.with_suffix(".json").read_text()), model.eval()


def check_folding(plain, shipped):
    """The shipped network on flux / median says what the trained one says on flux / median - 1."""
    scaled = Weights(**{**vars(plain), "first": (GAIN * plain.first).astype(np.float32),
                        "output_bias": shipped.output_bias})
    probability = lambda h: 1.0 / (1.0 + np.exp(-np.clip(h, -50.0, 50.0)))
    rng = np.random.default_rng(1)
    for _ in range(20):
        chunk = simulate_chunk(rng)
        d = chunk.d + chunk.sigma * rng.standard_normal(chunk.d.size)
        starts = np.arange(0, d.size - 200, 7)
        direct = logits(scaled, d.astype(np.float32), starts)
        through = logits(shipped, (1.0 + d).astype(np.float32), starts)
        worst = float(np.max(np.abs(probability(direct) - probability(through))))
        if worst > 3e-4:
            raise SystemExit(f"folding changes a probability by {worst}")


def toml_value(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value) if isinstance(value, (str, int)) else repr(round(value, 6))


def write_list(path, members, report):
    """ensemble.toml: the files in order with their checksums, the recipe, and how the ensemble did."""
    head = {"recipe": RECIPE, "gain": GAIN, "threshold": THRESHOLD, "combine": "median"}
    lines = [f"{key} = {toml_value(value)}" for key, value in head.items()]
    for result, file in members:
        lines += ["", "[[networks]]", f'file = "{file.name}"',
                  f'sha256 = "{hashlib.sha256(file.read_bytes()).hexdigest()}"', f"seed = {result['seed']}",
                  f"population = \"{result['population']}\"", f"b_train = {result['b_train']}"]
        lines += [f"validation_{key} = {toml_value(result[key])}" for key in ("loss", "recall", "precision")]
    if report:
        lines += ["", "[acceptance]"] + [f"{key} = {toml_value(value)}" for key, value in report.items()]
    path.write_text("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("trained", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--acceptance", type=pathlib.Path, help="what acceptance.py --json wrote")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    members = []
    for result, model in trained(arguments.trained):
        file = arguments.out / f"ensemble_s{result['seed']:04d}_i{result['epochs']:04d}_b{result['positive']:.2f}.h5"
        plain = unfolded(model)
        shipped = folded(plain, GAIN, OUTPUT_BIAS)
        check_folding(plain, shipped)
        write_weights(file, shipped,
                      {"skyloom_recipe": RECIPE, "seed": result["seed"],
                       "population": result["population"], "b_train": result["b_train"], "gain": GAIN,
                       "threshold": THRESHOLD})
        members.append((result, file))
    report = json.loads(arguments.acceptance.read_text())["summary"] if arguments.acceptance else {}
    write_list(arguments.out / "ensemble.toml", members, report)


if __name__ == "__main__":
    main()
