"""The generator, Philox4x32-10, as tensor operations of any device, and its keys.

Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", SC'11. The key is (seed, purpose), the counter
(index, block): word j of an index is word j mod 4 of block j div 4. `philox_numpy` and `philox_triton` are the fast
versions for CPUs and GPUs; they give the same numbers.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

_MASK = 0xFFFFFFFF
_MULTIPLIER_0, _MULTIPLIER_1 = 0xD2511F53, 0xCD9E8D57
_WEYL_0, _WEYL_1 = 0x9E3779B9, 0xBB67AE85
_ROUNDS = 10


class Request(NamedTuple):
    """Random numbers of one purpose.

    Attributes:
        kind: "normal", float32, by the Box-Muller transform; "uniform", float32 in [0, 1), from the upper 24 bits of a
            word; "integers", int64 in [0, high), with a bias below high / 2**32.
        shape: dimensions of the numbers of one index.
        high: upper bound of integers, below 2**31.
    """

    kind: str
    shape: Sequence[int] = ()
    high: int = 0

    @property
    def dtype(self) -> torch.dtype:
        """Of the numbers."""
        return torch.int64 if self.kind == "integers" else torch.float32

    @property
    def size(self) -> int:
        """Numbers of one index."""
        return math.prod(self.shape)

    @property
    def pairs(self) -> int:
        """Pairs of normals of one index: number i is a cosine, number `pairs` + i the sine of the same angle. Word i
        gives the radius, word `pairs` + i the angle."""
        return -(-self.size // 2)

    @property
    def words(self) -> int:
        """Random words of one index."""
        return 2 * self.pairs if self.kind == "normal" else self.size


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
    return torch.stack(words, dim=-1).reshape(len(indices), 4 * len(blocks))[:, :count]


def generate_by_tensors(seed: int, indices: Tensor, requests: Mapping[str, Request]) -> dict[str, Tensor]:
    """`randomness.generate`, request by request."""
    return {purpose: _numbers(seed, purpose, indices, request) for purpose, request in requests.items()}


def _numbers(seed: int, purpose: str, indices: Tensor, request: Request) -> Tensor:
    words = random_words(seed, purpose, indices, request.words)
    if request.kind == "uniform":
        values = (words >> 8).float() * 2.0**-24
    elif request.kind == "integers":
        values = (words * request.high) >> 32
    else:
        values = _normals(words, request.pairs)[:, : request.size].to(indices.device)
    return values.reshape(len(indices), *request.shape)


def _normals(words: Tensor, pairs: int) -> Tensor:
    """In float64, rounded once, so that all devices give the same result. MPS has no float64."""
    words = words.cpu() if words.device.type == "mps" else words
    u = (words.double() + 0.5) * 2.0**-32  # open interval: avoids log(0)
    radius, angle = torch.sqrt(-2.0 * torch.log(u[:, :pairs])), 2.0 * math.pi * u[:, pairs:]
    return torch.cat([radius * torch.cos(angle), radius * torch.sin(angle)], dim=1).float()
