"""The flare network: its scale-free form for training, and any weight file evaluated window by window.

Scale-free: no bias in the convolutions and the first dense layer, no weights from the pooled positions
that the zero padding at the borders of a window reaches, and a fixed output bias. The sign of the
bias-free part h does not change when relative flux - 1 is multiplied by a positive number.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

FILTERS, CHANNELS, POSITIONS, HIDDEN = 16, 64, 50, 32
BORDER = (0, 1, POSITIONS - 2, POSITIONS - 1)  # pooled positions that see the padding


class ScaleFree(nn.Module):
    """h of windows z, (m, 200), zero at the median flux."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv1d(1, FILTERS, 7, padding=3, bias=False)
        self.second = nn.Conv1d(FILTERS, CHANNELS, 3, padding=1, bias=False)
        self.dense = nn.Linear(CHANNELS * POSITIONS, HIDDEN, bias=False)
        self.output = nn.Linear(HIDDEN, 1, bias=False)
        mask = torch.ones(1, CHANNELS, POSITIONS)
        mask[:, :, list(BORDER)] = 0.0
        self.register_buffer("mask", mask)
        self.dropout = nn.Dropout(0.1)

    def forward(self, z):
        a = self.dropout(functional.max_pool1d(functional.relu(self.first(z[:, None, :])), 2))
        a = self.dropout(functional.max_pool1d(functional.relu(self.second(a)), 2)) * self.mask
        return self.output(self.dropout(functional.relu(self.dense(a.flatten(1))))).squeeze(1)


@dataclass
class Weights:
    """As a Keras file holds them: kernels (taps, in, out), dense rows position-major."""

    first: np.ndarray        # (K, 1, 16)
    first_bias: np.ndarray   # (16)
    second: np.ndarray       # (3, 16, 64)
    second_bias: np.ndarray  # (64)
    dense: np.ndarray        # (3200, 32)
    dense_bias: np.ndarray   # (32)
    output: np.ndarray       # (32, 1)
    output_bias: np.ndarray  # (1)


def unfolded(model):
    """Weights of a trained network for input relative flux - 1 divided by a scale, output bias 0."""
    state = {name: value.detach().numpy().astype(np.float32) for name, value in model.state_dict().items()}
    dense = state["dense.weight"].reshape(HIDDEN, CHANNELS, POSITIONS).copy()
    dense[:, :, list(BORDER)] = 0.0
    return Weights(
        state["first.weight"].transpose(2, 1, 0), np.zeros(FILTERS, np.float32),
        state["second.weight"].transpose(2, 1, 0), np.zeros(CHANNELS, np.float32),
        dense.transpose(2, 1, 0).reshape(POSITIONS * CHANNELS, HIDDEN), np.zeros(HIDDEN, np.float32),
        state["output.weight"].T, np.zeros(1, np.float32))


def folded(weights, gain, output_bias):
    """The same network for input flux / median: gain * W, biases that take the level 1 away."""
    first = (np.float64(gain) * weights.first).astype(np.float32)
    bias = -first.astype(np.float64).sum(axis=(0, 1))
    return Weights(first, bias.astype(np.float32), weights.second, weights.second_bias, weights.dense,
                   weights.dense_bias, weights.output, np.full(1, output_bias, np.float32))


def logits(weights, series, starts, dtype=torch.float32):
    """Logits of the windows of `series` (n) that begin at `starts`, every window by itself."""
    kernel = lambda k: torch.as_tensor(np.ascontiguousarray(k.transpose(2, 1, 0)), dtype=dtype)
    tensor = lambda a: torch.as_tensor(np.ascontiguousarray(a), dtype=dtype)
    first, second = kernel(weights.first), kernel(weights.second)
    dense, output = tensor(weights.dense.T), tensor(weights.output.T)
    first_bias, second_bias = tensor(weights.first_bias), tensor(weights.second_bias)
    dense_bias, output_bias = tensor(weights.dense_bias), tensor(weights.output_bias)
    windows = torch.as_tensor(series, dtype=dtype).unfold(0, 200, 1)
    result = []
    with torch.no_grad():
        for part in torch.as_tensor(starts).split(256):
            a = functional.conv1d(windows[part][:, None, :], first, first_bias, padding=weights.first.shape[0] // 2)
            a = functional.max_pool1d(functional.relu(a), 2)
            a = functional.max_pool1d(functional.relu(functional.conv1d(a, second, second_bias, padding=1)), 2)
            a = functional.relu(functional.linear(a.transpose(1, 2).flatten(1), dense, dense_bias))
            result.append(functional.linear(a, output, output_bias)[:, 0])
    return torch.cat(result).double().numpy() if result else np.empty(0)
