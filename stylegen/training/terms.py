"""A term of a loss on a micro-batch: what it measures, and its gradient.

`evaluate` is a function of tensors: networks, images, labels and random inputs in; gradients and detached measurements
out. `training.compilation` compiles it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from stylegen.augment import Augmentation
from stylegen.distributed import gather_over_ranks
from stylegen.networks import StyleGenerator
from stylegen.training.random_inputs import NO_INPUTS, Draws, PhaseInputs, SynthesisInputs


@dataclass(frozen=True)
class MicroBatch:
    """A micro-batch of one step, and the networks for its terms.

    Attributes:
        generator, discriminator: the networks in training.
        real: [N, C, H, W] in [-1, 1]; labels: [N, num_classes]; indices: int64 [N], global image indices.
        draws: generates the random inputs of a phase.
        inputs: the random inputs of the current phase; see `Phase.prepare`.
        augment: applied to every image that the discriminator sees; None for none.
        downscale: final resolution divided by the resolution of `real`; see `CriticBatch`.
    """

    generator: StyleGenerator
    discriminator: nn.Module
    real: Tensor
    labels: Tensor
    indices: Tensor
    draws: Draws
    inputs: PhaseInputs = NO_INPUTS
    augment: Augmentation | None = None
    downscale: int = 1

    def synthesize(self, count: int | None = None, measure: bool = False) -> "Synthesized":
        """Generate the first `count` images of this phase, all by default.

        Args:
            measure: the magnitudes of layer inputs too, for a network that tracks them.
        """
        assert self.inputs.synthesis is not None
        G, inputs = self.generator, self.inputs.synthesis
        if count is not None:
            inputs = inputs.first(count)
        w = G.mapping(inputs.z, inputs.labels)
        ws = w.unsqueeze(1).repeat(1, G.num_ws, 1)
        if inputs.second_z is not None and inputs.first_mixed is not None:
            late = torch.arange(G.num_ws, device=w.device)[None, :, None] >= inputs.first_mixed[:, None, None]
            ws = torch.where(late, G.mapping(inputs.second_z, inputs.labels).unsqueeze(1), ws)
        if not (measure and G.synthesis.measures_magnitudes):
            return Synthesized(G.synthesis(ws, inputs.noise), w, ws, inputs)
        found: list[Tensor] = []
        images = G.synthesis(ws, inputs.noise, magnitudes=found)
        return Synthesized(images, w, ws, inputs, torch.stack(found))

    def critic(self, images: Tensor, c: Tensor, source: str) -> Tensor:
        """Logits [N, 1] of augmented images.

        Real and generated images are augmented independently; all terms of a phase share the augmentation of an image.

        Args:
            images: the first N of this micro-batch; c: [N, num_classes].
            source: "real" or "fake".
        """
        if self.augment is not None:
            images = self.augment(images, getattr(self.inputs, source).first(len(images)))
        return self.discriminator(images, c)


class Synthesized(NamedTuple):
    """Generated images.

    Attributes:
        images: [N, C, H, W].
        w: [N, D], the mapping network's output.
        ws: [N, L, D], with style mixing applied.
        inputs: the random inputs.
        magnitudes: [layers], mean squares of layer inputs; None if not measured.
    """

    images: Tensor
    w: Tensor
    ws: Tensor
    inputs: SynthesisInputs
    magnitudes: Tensor | None = None


class Measured(NamedTuple):
    """What a term measures on a micro-batch of N images.

    Attributes:
        values: the arguments of `Term.combine`, [n, ...], one row for each image.
        reports: for the log, by name.
        w: [N, D], which updates w_avg; None for none.
        real_logits: [N, 1], which adapt the strength of augmentation; None for none.
        magnitudes: [layers], which update the EMA of the magnitudes of G's layer inputs; None for none.
    """

    values: tuple[Tensor, ...]
    reports: Mapping[str, Tensor] = {}
    w: Tensor | None = None
    real_logits: Tensor | None = None
    magnitudes: Tensor | None = None

    def detached(self, reports: Mapping[str, Tensor]) -> "Measured":
        """A copy without graph, with further reports."""
        return Measured(
            values=tuple(value.detach() for value in self.values),
            reports={name: value.detach() for name, value in {**self.reports, **reports}.items()},
            w=None if self.w is None else self.w.detach(),
            real_logits=None if self.real_logits is None else self.real_logits.detach(),
            magnitudes=None if self.magnitudes is None else self.magnitudes.detach(),
        )


@dataclass(frozen=True)
class Term:
    """A term of a loss: combine(measure(batch)).

    Attributes:
        name: the key in the log.
        measure: evaluates the networks on a micro-batch.
        combine: the measurements of the batch -> scalar.
        coupled: whether `combine` needs the whole batch at once, because it is not a mean over images.
        shrink: n, to generate images for the first 1 / n of the batch; 0 for none.
        direction: whether it needs directions for the path length.
        sources: of the images that the discriminator sees, "real" or "fake".
    """

    name: str
    measure: Callable[[MicroBatch], Measured]
    combine: Callable[..., Tensor]
    coupled: bool = False
    shrink: int = 0
    direction: bool = False
    sources: tuple[str, ...] = ()

    def scalar(self, values: Sequence[Tensor]) -> Tensor:
        """The term from this rank's measurements."""
        return self.combine(*map(gather_over_ranks, values)) if self.coupled else self.combine(*values)

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

        The first pass measures all micro-batches without a graph. The derivative of the scalar with respect to each
        measurement then weights a second pass with a graph.
        """
        found = [self.measure(batch).detached({}) for batch in batches]
        whole = [torch.cat(part).requires_grad_() for part in zip(*[m.values for m in found], strict=True)]
        loss = self.scalar(whole)
        found[0] = found[0].detached({self.name: loss})
        weights = [g.chunk(len(batches)) for g in torch.autograd.grad(loss * weight, whole)]
        for k, batch in enumerate(batches):
            values = zip(self.measure(batch).values, weights, strict=True)
            learning = [(value, g[k]) for value, g in values if value.requires_grad]
            outputs, outer = [value for value, _ in learning], [g for _, g in learning]
            accumulate(parameters, torch.autograd.grad(outputs, parameters, outer, allow_unused=True))
        return found


Evaluate = Callable[
    [Term, MicroBatch, Sequence[nn.Parameter], float], tuple[Sequence[Tensor | None], Measured]
]  # `evaluate`, or its compiled form


def evaluate(
    term: Term, batch: MicroBatch, parameters: Sequence[nn.Parameter], weight: float
) -> tuple[Sequence[Tensor | None], Measured]:
    """Gradients of weight * term with respect to `parameters` (None for unused ones), and the measurements."""
    measured = term.measure(batch)
    loss = term.scalar(measured.values)
    gradients = torch.autograd.grad(loss * weight, parameters, allow_unused=True)
    return gradients, measured.detached({term.name: loss})


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
