"""A term of a loss on a micro-batch: what it measures, and its gradient.

`evaluate` is a function of tensors: networks, images, labels and random inputs in; gradients and detached measurements
out. `training.compilation` compiles it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor, nn

from stylegen.distributed import gather_over_ranks
from stylegen.randomness import Request
from stylegen.training.micro_batch import MicroBatch, Passes


class Measured(NamedTuple):
    """What a term measures on a micro-batch of N images.

    Attributes:
        values: arguments of `Part.combine` for each part of the term: [n, ...], one row for each image.
        reports: name -> values for the log.
        w: [N, D], which updates w_avg; None for none.
        real_logits: [N, 1], which adapt the strength of augmentation; None for none.
        magnitudes: [layers], which update the EMA of the magnitudes of G's layer inputs; None for none.
    """

    values: tuple[tuple[Tensor, ...], ...]
    reports: Mapping[str, Tensor] = {}
    w: Tensor | None = None
    real_logits: Tensor | None = None
    magnitudes: Tensor | None = None

    def detached(self, reports: Mapping[str, Tensor]) -> "Measured":
        """A copy without graph, with further reports."""
        return Measured(
            values=tuple(tuple(value.detach() for value in part) for part in self.values),
            reports={name: value.detach() for name, value in {**self.reports, **reports}.items()},
            w=None if self.w is None else self.w.detach(),
            real_logits=None if self.real_logits is None else self.real_logits.detach(),
            magnitudes=None if self.magnitudes is None else self.magnitudes.detach(),
        )


class Recorded(NamedTuple):
    """The further fields of `Measured`, from the passes of a term; see there."""

    reports: Mapping[str, Tensor] = {}
    w: Tensor | None = None
    real_logits: Tensor | None = None
    magnitudes: Tensor | None = None


@dataclass(frozen=True)
class Part:
    """A summand of a term: combine(*measure(passes)).

    Attributes:
        name: the key in the log.
        measure: evaluates the networks; forward passes are shared with the other parts of the term.
        combine: the measurements of the batch -> scalar.
        coupled: whether `combine` needs the whole batch at once, because it is not a mean over images.
        reports: further values for the log, from the measurements of the batch.
    """

    name: str
    measure: Callable[[Passes], tuple[Tensor, ...]]
    combine: Callable[..., Tensor]
    coupled: bool = False
    reports: Callable[..., Mapping[str, Tensor]] | None = None

    def scalar(self, values: Sequence[Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The summand from this rank's measurements, and what to log."""
        whole = tuple(map(gather_over_ranks, values)) if self.coupled else tuple(values)
        value = self.combine(*whole)
        further = {} if self.reports is None else self.reports(*(v.detach() for v in whole))
        return value, {self.name: value, **further}


@dataclass(frozen=True)
class Term:
    """The sum of parts that share forward passes and are differentiated together.

    Attributes:
        parts: the summands.
        record: collects what to report and to average, from the passes.
        shrink: n, to generate images for the first 1 / n of the batch; 0 for none.
        views: the passes of the discriminator; see `CriticBatch`.
        differentiates: sources, "real" and "fake", by whose images a part differentiates.
        pairs_labels: generated images take the labels of the real ones; see `Loss`.
        requests: the random inputs of parts, by "<regularizer>/<name>", for images of a shape and latents of a width.
    """

    parts: tuple[Part, ...]
    record: Callable[[Passes], Recorded] = lambda passes: Recorded()
    shrink: int = 0
    views: tuple[str, ...] = ()
    differentiates: frozenset[str] = frozenset()
    pairs_labels: bool = False
    requests: Callable[[Sequence[int], int], dict[str, Request]] = lambda image_shape, z_dim: {}

    @property
    def name(self) -> str:
        """The first part's."""
        return self.parts[0].name

    @property
    def coupled(self) -> bool:
        """Whether a part is."""
        return any(part.coupled for part in self.parts)

    def measure(self, batch: MicroBatch) -> Measured:
        """Evaluate the networks on a micro-batch."""
        passes = Passes(batch, self.differentiates)
        values = tuple(part.measure(passes) for part in self.parts)
        return Measured(values, *self.record(passes))

    def scalar(self, values: Sequence[Sequence[Tensor]]) -> tuple[Tensor, dict[str, Tensor]]:
        """The term from this rank's measurements, and what to log."""
        found = [part.scalar(rows) for part, rows in zip(self.parts, values, strict=True)]
        return torch.stack([value for value, _ in found]).sum(), dict(chain(*(r.items() for _, r in found)))

    def backward(
        self, batches: Sequence[MicroBatch], parameters: Sequence[nn.Parameter], weight: float, evaluate: "Evaluate"
    ) -> list[Measured]:
        """Accumulate the gradient of weight * term over the batch that consists of `batches` -> the measurements."""
        if self.coupled and len(batches) > 1:
            return self._backward_twice(batches, parameters, weight)
        found = []
        for batch in batches:
            gradients, measured = evaluate(self, batch, parameters, weight / len(batches))
            accumulate(parameters, gradients)
            found.append(measured)
        return found

    def _backward_twice(
        self, batches: Sequence[MicroBatch], parameters: Sequence[nn.Parameter], weight: float
    ) -> list[Measured]:
        """Gradient caching (Gao et al. 2021, arXiv 2101.06983, section 3.2), in the memory of one micro-batch.

        The first pass measures all micro-batches and discards the graph of each. The derivative of the scalar with
        respect to each measurement then weights a second pass, which keeps one graph at a time.
        """
        found = [self.measure(batch).detached({}) for batch in batches]
        whole = [
            tuple(torch.cat(rows).requires_grad_() for rows in zip(*part, strict=True))
            for part in zip(*(m.values for m in found), strict=True)
        ]
        leaves = [rows for part in whole for rows in part]
        loss, reports = self.scalar(whole)
        found[0] = found[0].detached(reports)
        outer = torch.autograd.grad(loss * weight, leaves, allow_unused=True)
        weights = [None if g is None else g.chunk(len(batches)) for g in outer]
        for k, batch in enumerate(batches):
            values = chain(*self.measure(batch).values)
            learning = [(value, g[k]) for value, g in zip(values, weights, strict=True) if g and value.requires_grad]
            outputs, gradients = [value for value, _ in learning], [g for _, g in learning]
            accumulate(parameters, torch.autograd.grad(outputs, parameters, gradients, allow_unused=True))
        return found


Evaluate = Callable[
    [Term, MicroBatch, Sequence[nn.Parameter], float], tuple[Sequence[Tensor | None], Measured]
]  # `evaluate`, or its compiled form


def evaluate(
    term: Term, batch: MicroBatch, parameters: Sequence[nn.Parameter], weight: float
) -> tuple[Sequence[Tensor | None], Measured]:
    """Gradients of weight * term with respect to `parameters` (None for unused ones), and the measurements."""
    measured = term.measure(batch)
    loss, reports = term.scalar(measured.values)
    gradients = torch.autograd.grad(loss * weight, parameters, allow_unused=True)
    return gradients, measured.detached(reports)


@torch.no_grad()
def accumulate(parameters: Sequence[nn.Parameter], gradients: Sequence[Tensor | None]) -> None:
    """Add gradients to `.grad`, in the memory layout of their parameter, as fused optimizers require."""
    for parameter, gradient in zip(parameters, gradients, strict=True):
        if gradient is None:
            continue
        if parameter.grad is not None:
            parameter.grad = parameter.grad + gradient  # not in place: parameters may share a gradient
        elif gradient.stride() == parameter.stride():
            parameter.grad = gradient
        else:
            parameter.grad = torch.empty_like(parameter).copy_(gradient)
