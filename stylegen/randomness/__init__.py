"""Random numbers keyed by (seed, purpose, index), without a generator state.

Image number 7 gets the same numbers at any batch size, on any rank, on CPU and GPU, and a resumed run needs no saved
state. `generate` returns the numbers of several purposes in a few launches. Tested with the published known-answer
vectors.
"""

import contextlib
import importlib.util
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

import torch
from torch import Tensor

from stylegen.randomness.philox import Request, generate_by_tensors, key, random_words
from stylegen.randomness.philox_numpy import generate_on_cpu


def generate(seed: int, indices: Tensor, requests: Mapping[str, Request]) -> dict[str, Tensor]:
    """The random numbers of several purposes at once.

    Args:
        indices: int64 [N], each in [0, 2**63), on the device of the result.
        requests: purpose -> kind and shape of its numbers.

    Returns:
        By purpose, [N, *shape], contiguous; see `Request`.
    """
    if type(indices) is not Tensor:  # FakeTensor, which has no memory: one operation per result, as a kernel writes it
        return {
            purpose: indices.new_zeros((len(indices), *request.shape), dtype=request.dtype)
            for purpose, request in requests.items()
        }
    if indices.device.type == "cpu":
        return generate_on_cpu(seed, indices, requests)
    if indices.device.type == "cuda" and _kernel_works(indices.device):
        from stylegen.randomness.philox_triton import generate_on_gpu

        return generate_on_gpu(seed, indices, requests)
    return generate_by_tensors(seed, indices, requests)


@cache
def _kernel_works(device: torch.device) -> bool:
    """Whether Triton compiles the kernel here and its numbers are right: tried once per process and device."""
    if importlib.util.find_spec("triton") is None:  # Windows, and PyTorch built without CUDA
        return False
    indices = torch.arange(2**32 - 2, 2**32 + 2, device=device)
    requests = {f"check/{kind}": Request(kind, (1001,), 1001) for kind in ("normal", "uniform", "integers")}
    try:
        from stylegen.randomness.philox_triton import generate_on_gpu

        found = generate_on_gpu(0, indices, requests)
    except Exception as error:  # of the compiler, the driver or Triton
        warnings.warn(f"random numbers take more launches, because Triton fails: {error}", stacklevel=2)
        return False
    expected = generate_by_tensors(0, indices, requests)
    # One unit in the last place: the compilers' elementary functions may differ by a rounding error of float64.
    if not all(torch.allclose(found[p], expected[p], rtol=2.0**-23, atol=0) for p in requests):
        warnings.warn("random numbers take more launches, because Triton's are wrong on this device", stacklevel=2)
        return False
    return True


def uniform(seed: int, purpose: str, indices: Tensor, shape: Sequence[int] = ()) -> Tensor:
    """float32 [N, *shape], uniform in [0, 1)."""
    return generate(seed, indices, {purpose: Request("uniform", shape)})[purpose]


def normal(seed: int, purpose: str, indices: Tensor, shape: Sequence[int] = ()) -> Tensor:
    """float32 [N, *shape], standard normal."""
    return generate(seed, indices, {purpose: Request("normal", shape)})[purpose]


def integers(high: int, seed: int, purpose: str, indices: Tensor, shape: Sequence[int] = ()) -> Tensor:
    """int64 [N, *shape], uniform in [0, high) for high < 2**31 (bias below high / 2**32)."""
    return generate(seed, indices, {purpose: Request("integers", shape, high)})[purpose]


def permutation(count: int, seed: int, purpose: str, index: int = 0) -> Tensor:
    """A random permutation of 0 ... count - 1, keyed by (seed, purpose, index): int64 [count]."""
    words = random_words(seed, purpose, torch.tensor([index]), 2 * count)[0].reshape(count, 2)
    return torch.argsort((words[:, 0] << 31) ^ words[:, 1], stable=True)


def attempt_purpose(purpose: str, attempt: int) -> str:
    """The purpose in the `attempt`-th attempt of a run, after a recovery; attempt 0 is the purpose itself."""
    return f"{purpose}/attempt{attempt}" if attempt else purpose


@contextlib.contextmanager
def seeded_construction(seed: int, purpose: str) -> Iterator[None]:
    """Context manager: seeds torch's CPU generator by (seed, purpose), and restores the previous state on exit.

    Wrap constructors in it: they sample initial weights from that generator.
    """
    with torch.random.fork_rng(devices=[]):
        low, high = key(seed, purpose)
        torch.manual_seed((high << 32 | low) % 2**63)
        yield
