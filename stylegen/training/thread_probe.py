"""`threads=auto`: the number of CPU threads for these networks, from about two seconds of forward and backward passes.

A second thread may gain 1.6 times, nothing at small sizes, or lose time while another process is busy. The numbers
are therefore measured in alternation, by their medians, and a larger one must be clearly faster.
"""

import copy
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from stylegen.training.step import TrainingStep

_SECONDS = 2.0  # of all passes
_GAIN = 1.1  # more threads must be this much faster
_SLOW = 2.0  # times the fastest: fewer threads are not measured in this round
_LIMIT = 3.0  # times the estimated pass with one thread, which is then not finished
_MAX_IMAGES = 16
_PASS = 0.5  # seconds of a pass with one thread, approximately
_LARGE = 0.1  # seconds of the discriminator for one image with one thread: layers so large that every core helps


def fastest_threads(step: TrainingStep, images: int, cores: int) -> int:
    """The number of threads, from 1 to `cores`, with the fastest passes of copies of the networks.

    Changes neither the networks nor random states; the current number of threads is restored.

    Args:
        step: the networks to measure, on the CPU.
        images: size of a micro-batch.
        cores: available to this process.
    """
    if cores == 1:
        return 1
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        passes = _Passes(step, images)
        return cores if passes.seconds_per_image > _LARGE else choose(measure(passes, numbers(cores), passes.limit))
    finally:
        torch.set_num_threads(before)


def numbers(cores: int) -> list[int]:
    """1, 2, 4, ... and `cores`."""
    return sorted({cores, *(2**i for i in range(cores.bit_length()))})


def choose(rounds: Sequence[Mapping[int, float]]) -> int:
    """The smallest number whose median time is at most `_GAIN` times the smallest median.

    Args:
        rounds: number of threads -> seconds; a round may lack slow numbers.
    """
    tried = sorted({number for times in rounds for number in times})
    medians = {n: statistics.median(times[n] for times in rounds if n in times) for n in tried}
    return min(n for n in tried if medians[n] <= _GAIN * min(medians.values()))


def measure(work: Callable[[], Iterator[None]], tried: Sequence[int], limit: float) -> list[dict[int, float]]:
    """Time `work` in rounds of about two seconds together, with each number of threads in turn, from the largest down.

    The first round creates threads and kernels, and counts only if it is the only one.

    Args:
        work: yields between its parts.
        limit: seconds after which no further part begins: this number of threads is too slow.
    """
    begun, rounds = time.perf_counter(), list[dict[int, float]]()
    while not rounds or time.perf_counter() - begun < _SECONDS:
        rounds.append({})
        for number in sorted(tried, reverse=True):
            torch.set_num_threads(number)
            start = time.perf_counter()
            for _ in work():
                if time.perf_counter() - start > limit:
                    break
            rounds[-1][number] = time.perf_counter() - start
            if rounds[-1][number] > _SLOW * min(rounds[-1].values()):
                break
    return rounds[1:] or rounds


class _Passes:
    """Forward and backward passes of G and D on copies, at the final resolution, in evaluation mode: no rank waits for
    another one.

    Attributes:
        seconds_per_image: seconds of a forward pass of D with one thread.
        limit: seconds of a pass that is much slower than with one thread, because other processes use the cores.
    """

    def __init__(self, step: TrainingStep, images: int) -> None:
        self._G, self._D = _copied(step.G), _copied(step.D)
        for network in (self._G, self._D) if step.growth else ():
            network.set_level(self._G.resolution)
        self.seconds_per_image = self._time_discriminator()
        both = 6 * self.seconds_per_image  # forward and backward passes of both networks for one image
        count = min(images, _MAX_IMAGES, int(_PASS / both))
        count = max(1, count - count % min(self._D.mbstd_group_size, images))  # whole groups of minibatch statistics
        self.limit = _LIMIT * both * count
        self._z = torch.linspace(-1, 1, count * self._G.z_dim).view(count, -1)
        self._labels = torch.zeros(count, self._G.num_classes)

    def __call__(self) -> Iterator[None]:
        ws = self._G.mapping(self._z, self._labels).unsqueeze(1).repeat(1, self._G.num_ws, 1)
        images = self._G.synthesis(ws, "const")
        yield
        logits = self._D(images, self._labels)
        yield
        torch.autograd.backward(logits.sum())

    @torch.no_grad()
    def _time_discriminator(self) -> float:
        size = self._G.resolution
        image = torch.zeros(1, self._G.channels, size, size).contiguous(memory_format=torch.channels_last)
        seconds = list[float]()
        while not seconds or (len(seconds) < 2 and seconds[0] < 2 * _LARGE):  # the first pass creates kernels
            start = time.perf_counter()
            self._D(image, torch.zeros(1, self._G.num_classes))
            seconds.append(time.perf_counter() - start)
        return min(seconds)


def _copied(network: nn.Module) -> Any:
    return copy.deepcopy(network).eval().requires_grad_(True)
