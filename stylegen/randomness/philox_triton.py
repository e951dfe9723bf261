"""Philox4x32-10 and the Box-Muller transform for GPUs: one Triton kernel that generates all requests in one launch."""

from collections.abc import Mapping
from functools import lru_cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from stylegen.randomness.philox import Request, key

_KINDS = {"normal": 0, "uniform": 1, "integers": 2}
_COLUMNS = 8  # of the table of requests
_BLOCK = 256  # units of one program; a unit is a pair of normals or one other number
_ALIGNMENT = 64  # numbers; every result starts at a multiple


@triton.jit
def _word(round_key, low, high, position):  # type: ignore[no-untyped-def]  # Triton resolves annotations as globals
    """Word `position` of an index."""
    zero = position * 0
    w0, w1, w2, w3 = tl.philox(round_key, low, high, (position // 4).to(tl.uint32), zero.to(tl.uint32))
    lane = position % 4
    return tl.where(lane == 0, w0, tl.where(lane == 1, w1, tl.where(lane == 2, w2, w3)))


@triton.jit
def _generate(  # type: ignore[no-untyped-def]
    out, indices, table, num_indices, num_requests, rows: tl.constexpr, columns: tl.constexpr, block: tl.constexpr
):
    """Fill `out`; see `_plan` for the table. Integers are written as the bits of an int32."""
    program = tl.program_id(0)
    row = tl.arange(0, rows)
    starts = tl.load(table + row * columns, mask=row < num_requests, other=2**62)
    request = table + (tl.sum((starts <= program).to(tl.int32), axis=0) - 1) * columns
    kind, count, units = tl.load(request + 2), tl.load(request + 3), tl.load(request + 4)
    round_key = tl.load(request + 1)
    position = (program - tl.load(request)) * block + tl.arange(0, block)
    item, unit = position // units, position % units
    inside = item < num_indices
    index = tl.load(indices + item, mask=inside, other=0)
    low, high = (index & 0xFFFFFFFF).to(tl.uint32), (index >> 32).to(tl.uint32)
    place = out + tl.load(request + 5) + item * count + unit
    word = _word(round_key, low, high, unit)
    if kind == 0:
        tau = tl.full([], 6.283185307179586, tl.float64)  # a literal would be rounded to float32
        u = (word.to(tl.float64) + 0.5) * 2.3283064365386963e-10  # 2^-32
        v = (_word(round_key, low, high, units + unit).to(tl.float64) + 0.5) * 2.3283064365386963e-10
        radius = tl.sqrt(-2.0 * tl.log(u))
        angle = v * tau
        tl.store(place, (radius * tl.cos(angle)).to(tl.float32), mask=inside)
        tl.store(place + units, (radius * tl.sin(angle)).to(tl.float32), mask=inside & (units + unit < count))
    elif kind == 1:
        tl.store(place, (word >> 8).to(tl.float32) * 5.960464477539063e-08, mask=inside)  # 2^-24
    else:
        value = (word.to(tl.uint64) * tl.load(request + 6).to(tl.uint64)) >> 32
        tl.store(place, value.to(tl.int32).to(tl.float32, bitcast=True), mask=inside)


@lru_cache(maxsize=256)
def _plan(
    seed: int, requests: tuple[tuple[str, str, tuple[int, ...], int], ...], num_indices: int, device: torch.device
) -> tuple[Tensor, tuple[int, ...], int, int]:
    """Table of requests [R, 8] on the device, their offsets in the result, its length, and the number of programs.

    Columns: first program, key, kind, numbers per index, units per index, offset, upper bound of integers, unused.
    Kept, because a copy to the device waits for it.
    """
    table, offsets, program, offset = [], [], 0, 0
    for purpose, kind, shape, high in requests:
        request = Request(kind, shape, high)
        units = request.pairs if kind == "normal" else request.size
        low_word, high_word = key(seed, purpose)
        signed = (high_word << 32 | low_word) - (high_word >> 31 << 64)  # the same bits as int64
        table.append([program, signed, _KINDS[kind], request.size, units, offset, high, 0])
        offsets.append(offset)
        program += triton.cdiv(num_indices * units, _BLOCK)
        offset += triton.cdiv(num_indices * request.size, _ALIGNMENT) * _ALIGNMENT
    return torch.tensor(table, dtype=torch.int64, device=device), tuple(offsets), offset, program


def generate_on_gpu(seed: int, indices: Tensor, requests: Mapping[str, Request]) -> dict[str, Tensor]:
    """`randomness.generate` for indices on a GPU; the results are views of one tensor."""
    described = tuple((purpose, r.kind, tuple(r.shape), r.high) for purpose, r in requests.items())
    table, offsets, length, programs = _plan(seed, described, len(indices), indices.device)
    out = torch.empty(length, dtype=torch.float32, device=indices.device)
    if programs:
        sizes = {"rows": triton.next_power_of_2(len(described)), "columns": _COLUMNS, "block": _BLOCK}
        arguments = (out, indices.contiguous(), table, len(indices), len(described))
        with torch.cuda.device_of(out):  # Triton launches on the current device
            _generate[(programs,)](*arguments, **sizes, enable_fp_fusion=False)
    results = {}
    for (purpose, request), offset in zip(requests.items(), offsets, strict=True):
        numbers = out[offset : offset + len(indices) * request.size].view(len(indices), *request.shape)
        results[purpose] = numbers.view(torch.int32).long() if request.kind == "integers" else numbers
    return results
