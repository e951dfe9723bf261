"""Philox4x32-10 for CPUs: the words of all requests in one pass of NumPy operations that stay in the cache.

The elementary functions are torch's, so that the numbers equal `philox.generate_by_tensors` to the last bit.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stylegen.randomness.philox import Request, key

Array = NDArray[Any]

_BLOCKS = 2**14  # of one pass, 128 KiB for each word of the counter; a pass has at least one index of one request
_MASK, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
_MULTIPLIER_0, _MULTIPLIER_1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL_0, _WEYL_1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_ROUNDS = 10


class _Part(NamedTuple):
    """Some of the indices of a request. `out` [n, size] is filled, from `words` words in `blocks` blocks per index."""

    key: tuple[int, int]
    request: Request
    words: int
    blocks: int
    indices: Array
    out: Array


def philox_blocks(counter: Sequence[Array], keys: Sequence[Array]) -> Array:
    """Four counter words and two key words, uint64 [T] below 2**32 -> uint32 [T, 4]. The arguments are overwritten."""
    c0, c1, c2, c3 = counter
    k0, k1 = keys
    free_0, free_1 = np.empty_like(c0), np.empty_like(c0)
    for _ in range(_ROUNDS):
        product_0 = np.multiply(c0, _MULTIPLIER_0, out=free_0)
        product_1 = np.multiply(c2, _MULTIPLIER_1, out=free_1)
        np.right_shift(product_1, _HALF, out=c0)
        np.right_shift(product_0, _HALF, out=c2)
        # The upper halves of c1, c3 and the keys are arbitrary: one mask after the sum removes them.
        for word, old, round_key in ((c0, c1, k0), (c2, c3, k1)):
            word ^= old
            word ^= round_key
            word &= _MASK
        c1, c3, free_1, free_0 = product_1, product_0, c1, c3
        k0 += _WEYL_0
        k1 += _WEYL_1
    words = np.empty((len(c0), 4), np.uint32)
    for column, word in enumerate((c0, c1, c2, c3)):
        words[:, column] = word  # keeps the lower half
    return words


def generate_on_cpu(seed: int, indices: Tensor, requests: Mapping[str, Request]) -> dict[str, Tensor]:
    """`randomness.generate` for a CPU tensor of indices."""
    index = indices.numpy().astype(np.uint64)
    arrays = {
        purpose: np.empty((len(index), *request.shape), np.int64 if request.kind == "integers" else np.float32)
        for purpose, request in requests.items()
    }
    wholes = []
    for purpose, request in requests.items():
        if arrays[purpose].size:
            words, out = request.words, arrays[purpose].reshape(len(index), -1)
            wholes.append(_Part(key(seed, purpose), request, words, -(-words // 4), index, out))
    for parts in _passes(wholes):
        _fill(parts)
    return {purpose: torch.from_numpy(array) for purpose, array in arrays.items()}


def _passes(wholes: Sequence[_Part]) -> Iterator[list[_Part]]:
    """Groups of up to `_BLOCKS` blocks."""
    group: list[_Part] = []
    size = 0
    for whole in wholes:
        rows = max(_BLOCKS // whole.blocks, 1)
        for start in range(0, len(whole.indices), rows):
            part = whole._replace(indices=whole.indices[start : start + rows], out=whole.out[start : start + rows])
            blocks = len(part.indices) * part.blocks
            if group and size + blocks > _BLOCKS:
                yield group
                group, size = [], 0
            group.append(part)
            size += blocks
    if group:
        yield group


def _fill(parts: Sequence[_Part]) -> None:
    sizes = [len(part.indices) * part.blocks for part in parts]
    ends = np.cumsum(sizes).tolist()
    counter, keys = np.zeros((4, ends[-1]), np.uint64), np.empty((2, ends[-1]), np.uint64)
    for part, size, end in zip(parts, sizes, ends, strict=True):
        low, high, block = counter[:3, end - size : end].reshape(3, len(part.indices), part.blocks)
        low[:], high[:] = (part.indices & _MASK)[:, None], (part.indices >> _HALF)[:, None]
        block[:] = np.arange(part.blocks)
        keys[:, end - size : end] = np.array(part.key, np.uint64)[:, None]
    words = philox_blocks(list(counter), list(keys))
    normals = []
    for part, size, end in zip(parts, sizes, ends, strict=True):
        own = words[end - size : end].reshape(len(part.indices), -1)[:, : part.words]
        if part.request.kind == "normal":
            normals.append((part, own))
        elif part.request.kind == "uniform":
            np.multiply(own >> np.uint32(8), np.float32(2.0**-24), out=part.out, dtype=np.float32, casting="unsafe")
        else:
            part.out[:] = (own.astype(np.uint64) * np.uint64(part.request.high)) >> _HALF
    if normals:
        _fill_normals(normals)


def _fill_normals(parts: Sequence[tuple[_Part, Array]]) -> None:
    """Box-Muller transform of all words; see `philox`."""
    sizes = [len(part.indices) * part.words // 2 for part, _ in parts]
    ends = np.cumsum(sizes).tolist()
    values = np.empty((3, ends[-1]))
    radius, angle, cosine = values
    for (part, words), size, end in zip(parts, sizes, ends, strict=True):
        pairs = part.words // 2
        radius[end - size : end].reshape(-1, pairs)[:] = words[:, :pairs]
        angle[end - size : end].reshape(-1, pairs)[:] = words[:, pairs:]
    values[:2] += 0.5
    values[:2] *= 2.0**-32
    angle *= 2.0 * math.pi
    torch_radius, torch_angle, torch_cosine = torch.from_numpy(values).unbind()  # the same memory
    torch_radius.log_()
    torch.cos(torch_angle, out=torch_cosine)
    sine = torch_angle.sin_().numpy()
    radius *= -2.0
    np.sqrt(radius, out=radius)
    cosine *= radius
    sine *= radius
    for (part, _), size, end in zip(parts, sizes, ends, strict=True):
        pairs = part.words // 2
        part.out[:, :pairs] = cosine[end - size : end].reshape(-1, pairs)
        part.out[:, pairs:] = sine[end - size : end].reshape(-1, pairs)[:, : part.request.size - pairs]
