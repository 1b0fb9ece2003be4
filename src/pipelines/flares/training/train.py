"""Trains one network of the shipped ensemble on simulated windows.

    train.py --seed 1 --population plain --out FOLDER

writes FOLDER/plain-0001.pt (weights) and FOLDER/plain-0001.json (how it did on the validation set).
Every epoch sees a new simulated set; the last epoch is kept. Runs on one core, about three minutes.
"""

import argparse
import json
import math
import pathlib
import time

import torch
from torch.nn import functional

from network import ScaleFree
from simulator import POPULATIONS, training_set

EPOCHS, CHUNKS, BATCH, RATE = 7, 8000, 128, 2e-3
# Output bias: the decision boundary is a flare probability of 1 / (1 + exp(-bias)) among the windows of
# training. The other population has fewer flares among its windows, which moves the boundary as much.
B_TRAIN = {"plain": 0.70, "transits": 0.55}
VALIDATION_SEED, VALIDATION_CHUNKS = 20261, 800


def scaled(windows, noise, scale, generator):
    """Network input: white noise added, divided by a scale that only weighs the windows."""
    d = windows + noise[:, None] * torch.randn(windows.shape, generator=generator)
    spread = torch.clamp(d.std(dim=1, unbiased=False) / (4.0 * scale), min=1.0)**0.7
    return d / (scale * spread)[:, None]


def rate(step, steps):
    """Learning rate: 3 % linear warm-up, then half a cosine down to 1e-6."""
    warm = max(1, round(0.03 * steps))
    if step < warm:
        return RATE * (step + 1) / warm
    return 1e-6 + 0.5 * (RATE - 1e-6) * (1.0 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def validate(model, population):
    """Loss, recall and precision at the decision boundary h = 0 on the validation set of the population."""
    windows, noise, scale, labels = map(
        torch.from_numpy, training_set(VALIDATION_SEED, VALIDATION_CHUNKS, POPULATIONS[population]))
    model.eval()
    with torch.no_grad():
        z = scaled(windows, noise, scale, torch.Generator().manual_seed(VALIDATION_SEED))
        h = torch.cat([model(part) for part in z.split(1024)])
    loss = functional.binary_cross_entropy_with_logits(h + B_TRAIN[population], labels).item()
    found, flare = h > 0.0, labels > 0.5
    both = (found & flare).sum().item()
    return {"loss": loss, "recall": both / flare.sum().item(), "precision": both / max(1, found.sum().item()),
            "windows": len(labels)}


def train(seed, population, epochs=EPOCHS, chunks=CHUNKS):
    """@return the network, the fraction of positive windows"""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = ScaleFree()
    optimiser = torch.optim.Adam(model.parameters(), lr=RATE)
    positive = windows_seen = 0
    for epoch in range(epochs):
        start = time.process_time()
        windows, noise, scale, labels = map(
            torch.from_numpy, training_set(seed * 1000 + 1 + 10 * epoch, chunks, POPULATIONS[population]))
        order = torch.randperm(len(labels), generator=generator).split(BATCH)
        model.train()
        total = 0.0
        for step, pick in enumerate(order):
            fraction = rate(epoch * len(order) + step, epochs * len(order))
            for group in optimiser.param_groups:
                group["lr"] = fraction
            loss = functional.binary_cross_entropy_with_logits(
                model(scaled(windows[pick], noise[pick], scale[pick], generator)) + B_TRAIN[population], labels[pick])
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            total += loss.item() * len(pick)
        positive += labels.sum().item()
        windows_seen += len(labels)
        print(f"seed {seed} epoch {epoch + 1}: training loss {total / len(labels):.4f}, "
              f"{time.process_time() - start:.0f} s", flush=True)
    return model, positive / windows_seen


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--population", choices=POPULATIONS, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model, positive = train(arguments.seed, arguments.population)
    result = {"seed": arguments.seed, "population": arguments.population, "epochs": EPOCHS, "positive": positive,
              "b_train": B_TRAIN[arguments.population], **validate(model, arguments.population)}
    arguments.out.mkdir(parents=True, exist_ok=True)
    name = arguments.out / f"{arguments.population}-{arguments.seed:04d}"
    torch.save(model.state_dict(), name.with_suffix(".pt"))
    name.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
