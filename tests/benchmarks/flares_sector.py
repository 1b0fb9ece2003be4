"""CPU time of one sector on one core, beside PyTorch (when it is installed) evaluating the same networks
window by window. Usage: flares_sector.py SKYLOOM LIGHT_CURVE WEIGHTS...; networks are taken in turn until
there are ten. PYTHONPATH must hold tests/support when PyTorch is there."""

import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np

CADENCES = 20000


def sector_seconds(skyloom, light_curve, networks, *settings):
    """User and system time of a whole run: reading, detection, process, injections, writing."""
    with tempfile.TemporaryDirectory(prefix="skyloom-") as folder:
        folder = pathlib.Path(folder)
        names = []
        for i, network in enumerate(networks):
            (folder / f"n{i:02d}.h5").symlink_to(pathlib.Path(network).resolve())
            names.append(f'"{folder}/n{i:02d}.h5"')
        config = folder / "flares.toml"
        config.write_text(f'[inputs]\nlight_curves = ["{pathlib.Path(light_curve).resolve()}"]\n'
                          f'[network]\nmodels = [{", ".join(names)}]\n')
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([skyloom, "flares", "run", config, "--out", folder / "run", *settings],
                       check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def weights_of(path):
    import h5py
    with h5py.File(path) as f:
        group = f["model_weights"]
        text = lambda name: name.decode() if isinstance(name, bytes) else name
        return [group[text(layer)][text(name)][...] for layer in group.attrs["layer_names"]
                for name in group[text(layer)].attrs.get("weight_names", [])]


def torch_seconds(networks, batch=256):
    import torch
    torch.set_num_threads(1)
    flux = torch.from_numpy(1.0 + 1e-3 * np.random.default_rng(1).standard_normal(CADENCES)).float()
    windows = flux.unfold(0, 200, 1)
    seconds = 0.0
    with torch.no_grad():
        for path in networks:
            k1, b1, k2, b2, w3, b3, w4, b4 = (torch.from_numpy(w) for w in weights_of(path))
            k1, k2 = k1.permute(2, 1, 0).contiguous(), k2.permute(2, 1, 0).contiguous()
            begin = time.process_time()
            for first in range(0, len(windows), batch):
                x = windows[first:first + batch].unsqueeze(1)
                x = torch.max_pool1d(torch.relu(torch.conv1d(x, k1, b1, padding=k1.shape[2] // 2)), 2)
                x = torch.max_pool1d(torch.relu(torch.conv1d(x, k2, b2, padding=1)), 2)
                x = x.permute(0, 2, 1).reshape(len(x), -1)
                torch.sigmoid(torch.relu(x @ w3 + b3) @ w4 + b4)
            seconds += time.process_time() - begin
    return seconds


def main():
    skyloom, light_curve, *files = sys.argv[1:]
    networks = [files[i % len(files)] for i in range(10)]
    print(f"one sector, end to end:               {sector_seconds(skyloom, light_curve, networks):7.2f} s")
    print(f"  without injections:                 "
          f"{sector_seconds(skyloom, light_curve, networks, '--set', 'injection.n_inject=0'):7.2f} s")
    try:
        print(f"PyTorch, 10 networks, {CADENCES} cadences: {torch_seconds(networks):7.2f} s")
    except ImportError as missing:
        print(f"PyTorch: {missing}")


if __name__ == "__main__":
    main()
