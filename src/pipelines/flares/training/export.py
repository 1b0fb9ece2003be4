"""From trained networks to the shipped files.

    export.py TRAINED_FOLDER --out share/skyloom/flares/ensemble-1 [--acceptance report.json]

takes every network that train.py left in the folder and writes one file each and ensemble.toml.
"""

import argparse
import hashlib
import json
import math
import pathlib

import torch

from keras_file import write_weights
from network import ScaleFree, folded, unfolded

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
        write_weights(file, folded(unfolded(model), GAIN, OUTPUT_BIAS),
                      {"skyloom_recipe": RECIPE, "seed": result["seed"],
                       "population": result["population"], "b_train": result["b_train"], "gain": GAIN,
                       "threshold": THRESHOLD})
        members.append((result, file))
    report = json.loads(arguments.acceptance.read_text())["summary"] if arguments.acceptance else {}
    write_list(arguments.out / "ensemble.toml", members, report)


if __name__ == "__main__":
    main()
