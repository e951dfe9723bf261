"""Seed and layer ranges from text, and z and labels from seeds."""

import re

import numpy as np
import torch
from torch import Tensor

from stylegen import randomness
from stylegen.bounds import brief
from stylegen.errors import UserError
from stylegen.one_hot import OneHot

MAX_SEED = 2**63 - 1
_MAX_NUMPY_SEED = 2**32 - 1
MAX_SEEDS = 1_000_000
LAYER_RANGES = {"coarse": (4, 8), "middle": (16, 32), "fine": (64, 2048)}  # resolutions in pixels, inclusive


def parse_seeds(text: str, setting: str = "seeds") -> list[int]:
    """ "0-3,40" -> [0, 1, 2, 3, 40], in the order given.

    Raises:
        UserError: not numbers and ascending ranges, or a number out of range.
    """
    seeds: list[int] = []
    for part in str(text).split(","):
        match = re.fullmatch(r"\s*(\d{1,19})\s*(?:-\s*(\d{1,19})\s*)?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last or last > MAX_SEED or len(seeds) + last - first >= MAX_SEEDS:
            raise UserError(
                f"{setting}={brief(text)}",
                rule=f"{brief(part.strip()) or 'an empty part'!r} is not a seed from 0 to {MAX_SEED} or an ascending "
                f"range, {MAX_SEEDS:,} seeds in all",
                fix=f"Use numbers and ranges separated by commas, as in {setting}=0-15,40",
            )
        seeds.extend(range(first, last + 1))
    return seeds


def parse_layers(text: str, resolution: int, num_ws: int) -> list[int]:
    """Style slots by name or number: "coarse" (4-8 px), "middle" (16-32 px), "fine" (from 64 px), "4-7", "0,2-3".

    Each resolution from 4 px on has two slots; StyleGAN2 has one more, for the last RGB layer.

    Raises:
        UserError: an unknown name, a number out of range, or a name above the network's resolution.
    """
    existing = [name for name, (low, _) in LAYER_RANGES.items() if low <= resolution]
    if text in LAYER_RANGES:
        low, high = LAYER_RANGES[text]
        if text not in existing:
            raise UserError(
                f"layers={text}",
                rule=f"{text} layers begin at {low} px and this network ends at {resolution} px",
                fix=f"Use layers={'|'.join(existing)} or numbers from 0 to {num_ws - 1}",
            )
        return [k for k in range(num_ws) if low <= slot_resolution(k, resolution) <= high]
    layers = parse_seeds(text, "layers") if re.fullmatch(r"[\d\s,-]+", str(text)) else None
    if layers is None or max(layers) >= num_ws:
        raise UserError(
            f"layers={text}",
            rule=f"this network has the style layers 0 to {num_ws - 1}",
            fix=f"Use layers={'|'.join(existing)} or numbers from 0 to {num_ws - 1}, as in layers=4-{num_ws - 1}",
        )
    return sorted(set(layers))


def slot_resolution(slot: int, resolution: int) -> int:
    """Resolution in pixels of style slot `slot`, numbered as in the style-mixing figures of StyleGAN 1 and 2.

    Two slots per resolution; slots 0 and 1 (4x4 convolution, first up-sampling one) count as 4 px. StyleGAN2's last
    slot belongs to the last RGB layer.
    """
    return min(4 * 2 ** (slot // 2), resolution)


def latents(seeds: list[int], z_dim: int, device: torch.device | str = "cpu", source: str = "stylegen") -> Tensor:
    """z [N, z_dim], row i from seed i.

    Args:
        source: "stylegen" for the counter-based generator, on any device; "numpy" for ``RandomState(seed).randn``, the
            z of this seed in NVIDIA's published figures.

    Raises:
        UserError: a seed that NumPy refuses.
    """
    if source == "stylegen":
        return randomness.normal(0, "sample/z", torch.tensor(seeds, device=device), (z_dim,))
    if seeds and max(seeds) > _MAX_NUMPY_SEED:
        raise UserError(
            f"seeds={brief(max(seeds))}",
            rule=f"seed_source=numpy has the seeds 0 to {_MAX_NUMPY_SEED}",
            fix="Use smaller seeds, or seed_source=stylegen",
        )
    rows = [np.random.RandomState(seed).randn(z_dim) for seed in seeds]
    return torch.from_numpy(np.stack(rows) if rows else np.empty((0, z_dim))).to(device, torch.float32)


def random_labels(seeds: list[int], table: Tensor | OneHot) -> Tensor:
    """A random row of `table` [M, num_classes] for each seed, keyed by the seed: [N, num_classes]."""
    rows = randomness.integers(max(len(table), 1), 0, "sample/label", torch.tensor(seeds))
    return table[rows] if table.shape[1] else torch.zeros(len(seeds), 0)
