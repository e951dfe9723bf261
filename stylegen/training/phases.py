"""The phases of a training step, as data: network, terms and interval.

A term evaluates the networks on images and combines the results into a scalar. A batch may be spread over ranks and
over consecutive micro-batches; the gradient is the gradient of the whole batch.

Lazy regularization (Karras et al. 2020b, arXiv 1912.04958, section 3.1): a term evaluated only every k-th step is
multiplied by k, and becomes a phase with its own optimizer step. Adam then takes 1 + 1/k steps per
training step, so lr and betas are corrected by c = 1 / (1 + sum 1/k), which is k / (k + 1) for one term.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from stylegen.augment import Augmentation
from stylegen.distributed import gather_over_ranks
from stylegen.losses import Loss
from stylegen.networks import StyleGenerator
from stylegen.regularizers import CriticBatch, Regularizer, SynthesisBatch
from stylegen.training.random_inputs import NO_INPUTS, Draws, InputSpec, PhaseInputs, SynthesisInputs


@dataclass(frozen=True)
class MicroBatch:
    """A micro-batch of one step, and the networks for its terms.

    Attributes:
        generator, discriminator: the networks in training.
        real: [N, C, H, W] in [-1, 1]; labels: [N, num_classes]; indices: int64 [N], global image indices.
        draws: generates the random inputs of a phase.
        report: called with (name, tensor) for the log.
        track_w: called with w [N, D], which updates w_avg.
        observe: called with the logits [N, 1] of real images, which adapt the strength of augmentation.
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
    report: Callable[[str, Tensor], None]
    track_w: Callable[[Tensor], None]
    observe: Callable[[Tensor], None]
    inputs: PhaseInputs = NO_INPUTS
    augment: Augmentation | None = None
    downscale: int = 1

    def synthesize(self, count: int | None = None, track_w: bool = False) -> tuple[Tensor, Tensor, SynthesisInputs]:
        """Generate the first `count` images of this phase, all by default.

        Returns:
            images [n, C, H, W], ws [n, L, D] with style mixing applied, and their random inputs.
        """
        assert self.inputs.synthesis is not None
        G, inputs = self.generator, self.inputs.synthesis
        if count is not None:
            inputs = inputs.first(count)
        w = G.mapping(inputs.z, inputs.labels)
        if track_w:
            self.track_w(w.detach())
        ws = w.unsqueeze(1).repeat(1, G.num_ws, 1)
        if inputs.second_z is not None and inputs.first_mixed is not None:
            late = torch.arange(G.num_ws, device=w.device)[None, :, None] >= inputs.first_mixed[:, None, None]
            ws = torch.where(late, G.mapping(inputs.second_z, inputs.labels).unsqueeze(1), ws)
        return G.synthesis(ws, inputs.noise), ws, inputs

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

    def without_reports(self) -> "MicroBatch":
        """A copy for a second pass, without reports."""
        ignore: Callable[..., None] = lambda *values: None  # noqa: E731
        return replace(self, report=ignore, track_w=ignore, observe=ignore)


@dataclass(frozen=True)
class Term:
    """A term of a loss: combine(measure(batch)).

    Attributes:
        name: the key in the log.
        measure: evaluates the networks on a micro-batch; tensors [n, ...], one row for each image.
        combine: the measurements of the batch -> scalar.
        coupled: whether `combine` needs the whole batch at once, because it is not a mean over images.
        shrink: n, to generate images for the first 1 / n of the batch; 0 for none.
        direction: whether it needs directions for the path length.
        sources: of the images that the discriminator sees, "real" or "fake".
    """

    name: str
    measure: Callable[[MicroBatch], tuple[Tensor, ...]]
    combine: Callable[..., Tensor]
    coupled: bool = False
    shrink: int = 0
    direction: bool = False
    sources: tuple[str, ...] = ()

    def backward(self, batches: Sequence[MicroBatch], weight: float) -> None:
        """Accumulate the gradient of weight * term over the batch that consists of `batches`."""
        if self.coupled and len(batches) > 1:
            return self._backward_twice(batches, weight)
        for batch in batches:
            values = self.measure(batch)
            loss = self.combine(*map(gather_over_ranks, values)) if self.coupled else self.combine(*values)
            batch.report(self.name, loss)
            (loss * (weight / len(batches))).backward()

    def _backward_twice(self, batches: Sequence[MicroBatch], weight: float) -> None:
        """Gradient caching (Gao et al. 2021, arXiv 2101.06983, section 3.2), in the memory of one micro-batch.

        The first pass measures all micro-batches without a graph. The derivative of the scalar with respect to each
        measurement then weights a second pass with a graph.
        """
        parts = [[value.detach() for value in self.measure(batch)] for batch in batches]
        whole = [torch.cat(part).requires_grad_() for part in zip(*parts, strict=True)]
        loss = self.combine(*map(gather_over_ranks, whole))
        batches[0].report(self.name, loss)
        gradients = [g.chunk(len(batches)) for g in torch.autograd.grad(loss * weight, whole)]
        for k, batch in enumerate(batches):
            values = zip(self.measure(batch.without_reports()), gradients, strict=True)
            learning = [(value, g[k]) for value, g in values if value.requires_grad]
            torch.autograd.backward([value for value, _ in learning], [g for _, g in learning])


@dataclass(frozen=True)
class Phase:
    """One optimizer step of `network` ("G" or "D") on interval * sum(terms), at every `interval`-th step."""

    name: str
    network: str
    terms: tuple[Term, ...]
    interval: int = 1

    def backward(self, batches: Sequence[MicroBatch]) -> None:
        """Accumulate the gradient over the batch that consists of `batches`."""
        batches = [self.prepare(batch) for batch in batches]
        for term in self.terms:
            term.backward(batches, self.interval)

    def prepare(self, batch: MicroBatch) -> MicroBatch:
        """A copy of the micro-batch with the random inputs of this phase, which all its terms share."""
        G, count = batch.generator, len(batch.indices)
        spec = InputSpec(
            generated=max((max(count // term.shrink, 1) for term in self.terms if term.shrink), default=0),
            num_ws=G.num_active_ws,
            noise_sizes=G.synthesis.noise_sizes,
            image_shape=batch.real.shape[1:],
            direction=any(term.direction for term in self.terms),
            augmented=sorted({source for term in self.terms for source in term.sources}) if batch.augment else (),
            image_noise=batch.augment is not None and batch.augment.pipeline.uses_image_noise,
        )
        return replace(batch, inputs=batch.draws.inputs(self.name, batch.indices, spec))


def generator_term(loss: Loss) -> Term:
    def measure(batch: MicroBatch) -> tuple[Tensor, ...]:
        images, _, inputs = batch.synthesize()
        fake_logits = batch.critic(images, inputs.labels, "fake")
        batch.report("score/fake", fake_logits)
        if not loss.generator_sees_real:
            return (fake_logits,)
        with torch.no_grad():  # independent of the generator
            real_logits = batch.critic(batch.real, batch.labels, "real")
        return real_logits, fake_logits

    sources = ("fake", "real") if loss.generator_sees_real else ("fake",)
    return Term("loss/G", measure, loss.generator, loss.coupled, shrink=1, sources=sources)


def discriminator_term(loss: Loss) -> Term:
    def measure(batch: MicroBatch) -> tuple[Tensor, ...]:
        with torch.no_grad():
            images, _, inputs = batch.synthesize(track_w=True)
        fake_logits = batch.critic(images, inputs.labels, "fake")
        real_logits = batch.critic(batch.real, batch.labels, "real")
        batch.report("score/real", real_logits)
        batch.observe(real_logits)
        return real_logits, fake_logits

    return Term("loss/D", measure, loss.discriminator, loss.coupled, shrink=1, sources=("fake", "real"))


def regularizer_term(name: str, regularizer: Regularizer) -> Term:
    def measure(batch: MicroBatch) -> tuple[Tensor, ...]:
        count = max(len(batch.indices) // regularizer.batch_shrink, 1)
        if regularizer.network == "D":
            critic = partial(batch.critic, source="real")
            return (
                regularizer.measure(CriticBatch(critic, batch.real[:count], batch.labels[:count], batch.downscale)),
            )
        images, ws, inputs = batch.synthesize(count)
        assert inputs.direction is not None
        return (regularizer.measure(SynthesisBatch(ws, images, inputs.direction)),)

    generates = regularizer.network == "G"
    return Term(
        name=f"reg/{name}",
        measure=measure,
        combine=regularizer.combine,
        coupled=regularizer.coupled,
        shrink=regularizer.batch_shrink if generates else 0,
        direction=generates,
        sources=() if generates else ("real",),
    )


def build_phases(loss: Loss, regularizers: Sequence[tuple[str, Regularizer]]) -> list[Phase]:
    """Main and lazy phases of G, then D. Regularizers with `every` = 1 are terms of the main phase."""
    phases = []
    for network, main in (("G", generator_term(loss)), ("D", discriminator_term(loss))):
        own = [(name, r) for name, r in regularizers if r.network == network]
        eager = tuple(regularizer_term(name, r) for name, r in own if r.every == 1)
        phases.append(Phase(f"{network}_main", network, (main, *eager)))
        phases += [Phase(f"{network}_{n}", network, (regularizer_term(n, r),), r.every) for n, r in own if r.every > 1]
    return phases


def lazy_correction(phases: Sequence[Phase], network: str) -> float:
    """c, main steps per optimizer step of a network: Adam with lr * c and beta^c (appendix B)."""
    return 1 / sum(1 / phase.interval for phase in phases if phase.network == network)
