"""Random numbers keyed by (seed, purpose, index), without a generator state.

The generator is Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", SC'11). Its key is
(seed, purpose), its counter (index, block). So image number 7 gets the same numbers at any batch size, on any rank, on
CPU and GPU, and a resumed run needs no saved state. Tested with the published known-answer vectors.
"""

import contextlib
import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

_MASK = 0xFFFFFFFF
_MULTIPLIER_0, _MULTIPLIER_1 = 0xD2511F53, 0xCD9E8D57
_WEYL_0, _WEYL_1 = 0x9E3779B9, 0xBB67AE85
_ROUNDS = 10


def philox(counter: tuple[Tensor, Tensor, Tensor, Tensor], key: tuple[int, int]) -> tuple[Tensor, ...]:
    """Philox4x32-10: four counter words and two key words -> four random words.

    All tensors are int64 with values in [0, 2**32). int64 products wrap around; no bit of the 64-bit product is lost.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        product_0, product_1 = c0 * _MULTIPLIER_0, c2 * _MULTIPLIER_1
        high_0, low_0 = (product_0 >> 32) & _MASK, product_0 & _MASK
        high_1, low_1 = (product_1 >> 32) & _MASK, product_1 & _MASK
        c0, c1, c2, c3 = high_1 ^ c1 ^ k0, low_1, high_0 ^ c3 ^ k1, low_0
        k0, k1 = (k0 + _WEYL_0) & _MASK, (k1 + _WEYL_1) & _MASK
    return c0, c1, c2, c3


def key(seed: int, purpose: str) -> tuple[int, int]:
    """Two 32-bit words from a seed and a purpose (``"g_main/z"``); stable across versions."""
    digest = hashlib.blake2b(f"{seed}/{purpose}".encode(), digest_size=8).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:], "little")


def attempt_purpose(purpose: str, attempt: int) -> str:
    """The purpose in the `attempt`-th attempt of a run, after a recovery; attempt 0 is the purpose itself."""
    return f"{purpose}/attempt{attempt}" if attempt else purpose


def random_words(seed: int, purpose: str, indices: Tensor, count: int) -> Tensor:
    """`count` random words for each index: int64 [N, count], uniform in [0, 2**32).

    Args:
        indices: int64 [N], each in [0, 2**63), on the device of the result.
    """
    blocks = torch.arange(-(-count // 4), device=indices.device)
    index = indices.reshape(-1, 1)
    low, high = (index & _MASK).expand(-1, len(blocks)), (index >> 32).expand(-1, len(blocks))
    block = blocks.expand(len(indices), -1)
    words = philox((low, high, block, torch.zeros_like(block)), key(seed, purpose))
    return torch.stack(words, dim=-1).reshape(len(indices), -1)[:, :count]


def uniform(seed: int, purpose: str, indices: Tensor, shape: Sequence[int] = ()) -> Tensor:
    """float32 [N, *shape], uniform in [0, 1), from the upper 24 bits of a word."""
    words = random_words(seed, purpose, indices, math.prod(shape))
    return ((words >> 8).float() * 2.0**-24).reshape(len(indices), *shape)


def normal(seed: int, purpose: str, indices: Tensor, shape: Sequence[int] = ()) -> Tensor:
    """float32 [N, *shape], standard normal, by the Box-Muller transform.

    Computed in float64 and rounded once, so that CPU and GPU give the same result.
    """
    count = math.prod(shape)
    pairs = -(-count // 2)
    words = random_words(seed, purpose, indices, 2 * pairs).to(_float64_device(indices))
    u = (words.double() + 0.5) * 2.0**-32  # open interval: avoids log(0)
    radius, angle = torch.sqrt(-2.0 * torch.log(u[:, :pairs])), 2.0 * math.pi * u[:, pairs:]
    values = torch.cat([radius * torch.cos(angle), radius * torch.sin(angle)], dim=1)[:, :count]
    return values.float().to(indices.device).reshape(len(indices), *shape)


def integers(high: int, seed: int, purpose: str, indices: Tensor, shape: Sequence[int] = ()) -> Tensor:
    """int64 [N, *shape], uniform in [0, high) for high < 2**31 (bias below high / 2**32)."""
    words = random_words(seed, purpose, indices, math.prod(shape))
    return ((words * high) >> 32).reshape(len(indices), *shape)


class Request(NamedTuple):
    """Random numbers of one purpose, for `generate`.

    Attributes:
        kind: "normal", "uniform" or "integers"; see the functions of these names.
        shape: of the numbers of one index.
        high: upper bound of integers, exclusive.
    """

    kind: str
    shape: Sequence[int] = ()
    high: int = 0


def generate(seed: int, indices: Tensor, requests: Mapping[str, Request]) -> dict[str, Tensor]:
    """The random numbers of several purposes at once.

    Args:
        requests: by purpose.

    Returns:
        By purpose, contiguous: float32 or int64 [N, *shape].
    """
    numbers = {}
    for purpose, (kind, shape, high) in requests.items():
        if kind == "integers":
            numbers[purpose] = integers(high, seed, purpose, indices, shape)
        else:
            numbers[purpose] = (normal if kind == "normal" else uniform)(seed, purpose, indices, shape)
    return numbers


def permutation(count: int, seed: int, purpose: str, index: int = 0) -> Tensor:
    """A random permutation of 0 ... count - 1, keyed by (seed, purpose, index): int64 [count]."""
    words = random_words(seed, purpose, torch.tensor([index]), 2 * count)[0].reshape(count, 2)
    return torch.argsort((words[:, 0] << 31) ^ words[:, 1], stable=True)


@contextlib.contextmanager
def seeded_construction(seed: int, purpose: str) -> Iterator[None]:
    """Context manager: seeds torch's CPU generator by (seed, purpose), and restores the previous state on exit.

    Wrap constructors in it: they draw initial weights from that generator.
    """
    with torch.random.fork_rng(devices=[]):
        low, high = key(seed, purpose)
        torch.manual_seed((high << 32 | low) % 2**63)
        yield


def _float64_device(indices: Tensor) -> torch.device:
    """MPS has no float64; the CPU gives the same result."""
    return torch.device("cpu") if indices.device.type == "mps" else indices.device
