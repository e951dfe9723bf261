"""Compiles a training step with `torch.compile`.

A compiled region is `terms.evaluate` for one term: forward passes, their derivatives, and the second derivatives of R1
and path length. A compiled function cannot be differentiated twice, so both differentiations are inside the region
(`trace_autograd_ops`, torch 2.11). Shapes are fixed, random inputs are arguments, detached measurements are results.
Terms that cannot be compiled run eagerly. Kernels are kept in the cache folder between runs.
"""

import os
import shutil
import sys
import time
import types
from collections.abc import Callable, Collection, Sequence
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from stylegen.distributed import is_distributed
from stylegen.files import cache_folder
from stylegen.training.micro_batch import MicroBatch
from stylegen.training.phases import Phase
from stylegen.training.run_log import duration
from stylegen.training.step import TrainingStep
from stylegen.training.terms import Evaluate, Measured, Term, evaluate

# Measured on two CPU cores (AVX2) with the main phases of a StyleGAN2 at 32 px, channel_base 2048.
_SECONDS_PER_LAYER = 8.0  # to compile, for each convolution of both networks
_SAVED = 0.06  # of the training time
_MARGIN = 2.0  # both are estimates, and other processes slow the measured passes down
_COMPILERS = {"darwin": "clang++", "win32": "cl"}  # Inductor's choice by platform


class CompiledTerms:
    """`terms.evaluate`, compiled for each term at its first call.

    Args:
        eager: names of terms that are not compiled; see `rare_terms`.
        log: called with one line for each other term: the time of its compilation, or why it is not compiled.
        backend: see `torch.compile`.
    """

    def __init__(self, log: Callable[[str], None], eager: Collection[str] = (), backend: str = "inductor") -> None:
        self._log, self._backend = log, backend
        self._regions: dict[str, Evaluate] = dict.fromkeys(eager, evaluate)

    def __call__(
        self, term: Term, batch: MicroBatch, parameters: Sequence[nn.Parameter], weight: float
    ) -> tuple[Sequence[Tensor | None], Measured]:
        region = self._regions.get(term.name)
        if region is evaluate:
            return evaluate(term, batch, parameters, weight)
        if term.coupled and is_distributed():
            return self._eager(term, "it needs the values of the other processes")(term, batch, parameters, weight)
        begun, first = time.perf_counter(), region is None
        if region is None:
            region = self._regions[term.name] = self._compile(term.name)
        try:  # a later call may compile again
            with torch._dynamo.config.patch(trace_autograd_ops=True):
                result = region(term, batch, parameters, weight)
        except (
            torch._dynamo.exc.TorchDynamoException,
            torch._dynamo.exc.FailOnRecompileLimitHit,
            OSError,  # of the cache folder
        ) as error:
            return self._eager(term, _reason(error))(term, batch, parameters, weight)
        if first:
            self._log(f"compiled {term.name} in {time.perf_counter() - begun:.0f} s")
        return result

    def _compile(self, name: str) -> Evaluate:
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder() / "compiled"))
        # Dynamo limits the number of compilations of one code object, so each region has its own.
        code = evaluate.__code__.replace(co_name=name.replace("/", "_"))
        own: Any = types.FunctionType(code, evaluate.__globals__, code.co_name)
        region: Evaluate = torch.compile(own, fullgraph=True, dynamic=False, backend=self._backend)
        return region

    def _eager(self, term: Term, reason: str) -> Evaluate:
        self._regions[term.name] = evaluate
        self._log(f"{term.name} is not compiled: {reason}")
        return evaluate


def compile_step(step: TrainingStep, log: Callable[[str], None]) -> None:
    """Compile the terms of the main phases at their first call; the others run eagerly.

    Args:
        log: see `CompiledTerms`.
    """
    step.evaluate = CompiledTerms(log, eager=rare_terms(step.phases))


def rare_terms(phases: Sequence[Phase]) -> list[str]:
    """Names of the terms of lazy phases. Differentiated twice, they take longer to compile than the main phases, and
    less than a tenth of the training."""
    return [phase.term.name for phase in phases if phase.weight > 1]


def worth_compiling(step: TrainingStep, seconds: float) -> tuple[bool, str]:
    """Whether compiling clearly saves more time than it takes, and a sentence with both times.

    Args:
        step: the networks.
        seconds: estimated length of the training without compilation.
    """
    weights = [*step.G.parameters(), *step.D.parameters()]
    cost = _SECONDS_PER_LAYER * sum(weight.ndim == 4 for weight in weights)
    saved = _SAVED * seconds
    times = f"compiling takes about {duration(cost)} and saves about {duration(saved)} of {duration(seconds)}"
    return saved > _MARGIN * cost, times


def missing_compiler(device: str) -> str | None:
    """What `torch.compile` lacks on this machine; None if nothing.

    Args:
        device: type of the device.
    """
    if device not in ("cpu", "cuda"):
        return f"torch.compile does not support {device} well enough"
    if device == "cuda" and find_spec("triton") is None:
        return "the package triton, which compiles for GPUs, is not installed"
    compiler = os.environ.get("CXX") or _COMPILERS.get(sys.platform, "g++")
    if shutil.which(compiler) is None:
        return f"the C++ compiler {compiler} is not installed"
    return None


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"[:200]
