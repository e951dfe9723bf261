"""Runs or compiles the random number kernel without a GPU, in a process of its own: Triton reads TRITON_INTERPRET once.

TRITON_INTERPRET=1 python -m tests.support.triton_kernel interpret
TRITON_INTERPRET=0 python -m tests.support.triton_kernel compile
"""

import sys

import torch
import triton
import triton.language as tl

from stylegen.randomness import generate
from stylegen.randomness.philox_triton import _generate, generate_on_gpu
from tests.support.philox_cases import INDICES, KNOWN_ANSWERS, REQUESTS


@triton.jit
def _philox(out, words):
    c0, c1, c2, c3 = tl.load(words), tl.load(words + 1), tl.load(words + 2), tl.load(words + 3)
    round_key = tl.load(words + 4) | (tl.load(words + 5) << 32)
    w0, w1, w2, w3 = tl.philox(round_key, c0.to(tl.uint32), c1.to(tl.uint32), c2.to(tl.uint32), c3.to(tl.uint32))
    tl.store(out, w0.to(tl.int64))
    tl.store(out + 1, w1.to(tl.int64))
    tl.store(out + 2, w2.to(tl.int64))
    tl.store(out + 3, w3.to(tl.int64))


def interpret() -> None:
    for counter, key, expected in KNOWN_ANSWERS:
        out = torch.zeros(4, dtype=torch.int64)
        _philox[(1,)](out, torch.tensor([*counter, *key]))
        assert tuple(out.tolist()) == expected
    for indices in (INDICES[::2], INDICES[:0]):
        found, expected = generate_on_gpu(7, indices, REQUESTS), generate(7, indices, REQUESTS)
        for purpose in REQUESTS:
            assert found[purpose].dtype == expected[purpose].dtype
            assert found[purpose].is_contiguous()
            # NumPy's and torch's elementary functions in float64 may differ before both are rounded to float32.
            torch.testing.assert_close(found[purpose], expected[purpose], rtol=2.0**-23, atol=0)


def compile_for_gpus() -> None:
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    pointers = {"out": "*fp32", "indices": "*i64", "table": "*i64", "num_indices": "i32", "num_requests": "i32"}
    sizes = {"rows": 16, "columns": 8, "block": 256}
    source = ASTSource(_generate, signature=pointers | dict.fromkeys(sizes, "constexpr"), constexprs=sizes)
    kernel = triton.compile(source, target=GPUTarget("cuda", 80, 32), options={"enable_fp_fusion": False})
    assert "0d401921FB54442D18" in kernel.asm["ptx"]  # 2 pi in float64


if __name__ == "__main__":
    {"interpret": interpret, "compile": compile_for_gpus}[sys.argv[1]]()
