"""Seeds from text, and z and labels from seeds."""

import operator
import re
from typing import Any

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


def parse_seeds(text: str, setting: str = "seeds") -> list[int]:
    """ "0-3,40" -> [0, 1, 2, 3, 40], in the order given.

    Raises:
        UserError: not numbers and ascending ranges, or a number out of range.
    """
    seeds: list[int] = []
    for part in str(text).split(","):
        match = re.fullmatch(r"\s*(\d{1,19})\s*(?:-\s*(\d{1,19})\s*)?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        noun, shown = (
            "a seed" if "seeds" in setting else "a number",
            repr(brief(part.strip())) if part.strip() else "an empty part",
        )
        if first > last or last > MAX_SEED or len(seeds) + last - first >= MAX_SEEDS:
            raise UserError(
                f"{setting}={brief(text)}",
                rule=f"{shown} is not {noun} from 0 to {MAX_SEED} or an ascending range, {MAX_SEEDS:,} in all",
                fix=f"Use numbers and ranges separated by commas, as in {setting}=0-15,40",
            )
        seeds.extend(range(first, last + 1))
    return seeds


def seed_numbers(seeds: Any) -> list[int]:
    """A number, a sequence of numbers (also NumPy's and torch's), or text -> a checked list.

    Raises:
        UserError: none of these, or a number out of range.
    """
    if isinstance(seeds, str):
        return parse_seeds(seeds)
    try:
        return parse_seeds(str(operator.index(seeds)))
    except TypeError:  # several
        pass
    try:
        return parse_seeds(",".join(str(operator.index(seed)) for seed in seeds))
    except TypeError as error:
        raise UserError(
            f"seeds={brief(seeds)}",
            rule=f"a seed must be an integer from 0 to {MAX_SEED}",
            fix='Use a number, a sequence of numbers, or text such as "0-15,40"',
        ) from error


def positive(name: str, number: int) -> int:
    """The argument `name` as an int.

    Raises:
        UserError: not an integer of at least 1.
    """
    try:
        value = operator.index(number)
    except TypeError:
        value = 0
    if value < 1:
        raise UserError(f"{name}={brief(number)}", rule="must be an integer of at least 1", fix=f"Use {name}=1 or more")
    return value


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
