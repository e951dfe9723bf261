"""The phases of a training step, as data: which network learns from which terms, and how often.

A term measures pictures with the networks and combines the measurements into a scalar. The batch of a step may be
spread over processes and, one after another, over micro-batches: the gradient is that of the whole batch.

Lazy regularisation (Karras et al. 2020b, arXiv 1912.04958, section 3.1): a term that is evaluated at every k-th step
only is multiplied by k there, and becomes a phase with an optimizer step of its own. Adam then takes 1 + 1/k steps
where it took one, so lr and betas are corrected by c = 1 / (1 + sum 1/k) = k / (k + 1) for one term.
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
from stylegen.training.random_inputs import Draws


@dataclass(frozen=True)
class Step:
    """What the terms of one step share: one micro-batch of it.

    Attributes:
        generator, discriminator: being trained.
        real: [N, C, H, W] in [-1, 1]; labels: [N, num_classes]; indices: int64 [N], global image indices.
        draws: the step's random inputs.
        report: called with (name, tensor) for what should be logged.
        track_w: called with w [N, D] from which the running mean of w moves.
        observe: called with the logits [N, 1] of real pictures from which the augmentation's strength adapts.
        phase: name of the phase that is running; keys its draws.
        augment: changes whatever the discriminator sees; None where nothing is augmented.
        downscale: final resolution over that of `real`; see `CriticBatch`.
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
    phase: str = ""
    augment: Augmentation | None = None
    downscale: int = 1

    def synthesize(self, count: int | None = None, track_w: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Generate the phase's pictures -> (pictures [n, C, H, W], ws [n, L, D], labels [n, num_classes])."""
        G, indices = self.generator, self.indices[:count]
        c = self.draws.labels(self.phase, indices)
        w = G.mapping(self.draws.latents(self.phase, indices), c)
        if track_w:
            self.track_w(w.detach())
        ws = w.unsqueeze(1).repeat(1, G.num_ws, 1)
        mixing = self.draws.mixing(self.phase, indices, G.num_active_ws)
        if mixing is not None:
            z2, layer = mixing
            late = torch.arange(G.num_ws, device=w.device)[None, :, None] >= layer[:, None, None]
            ws = torch.where(late, G.mapping(z2, c).unsqueeze(1), ws)
        noise = self.draws.noise(self.phase, indices, G.synthesis.noise_sizes)
        return G.synthesis(ws, noise), ws, c

    def critic(self, images: Tensor, c: Tensor, source: str) -> Tensor:
        """Logits [N, 1] of pictures as the discriminator sees them: augmented.

        Real and fake pictures are augmented apart; terms of one phase see a picture augmented alike.

        Args:
            images: the first N of the step's pictures; c: [N, num_classes].
            source: "real" or "fake".
        """
        if self.augment is not None:
            draws = self.draws.augmentation(self.phase, source, self.indices[: len(images)])
            images = self.augment(images, draws)
        return self.discriminator(images, c)

    def in_silence(self) -> "Step":
        """The same once more, unseen by what watches."""
        ignore: Callable[..., None] = lambda *values: None  # noqa: E731
        return replace(self, report=ignore, track_w=ignore, observe=ignore)


@dataclass(frozen=True)
class Term:
    """Part of a loss.

    Attributes:
        name: under which its value is logged.
        measure: the networks' part, a micro-batch at a time: tensors [n, ...] with a row for each picture.
        combine: the measurements of the batch -> scalar.
        coupled: `combine` is more than a mean over pictures, so that it needs the whole batch at once.
    """

    name: str
    measure: Callable[[Step], tuple[Tensor, ...]]
    combine: Callable[..., Tensor]
    coupled: bool = False

    def backward(self, steps: Sequence[Step], weight: float) -> None:
        """Accumulate the gradient of weight * term over the batch whose micro-batches are `steps`."""
        if self.coupled and len(steps) > 1:
            return self._backward_twice(steps, weight)
        for step in steps:
            values = self.measure(step)
            loss = self.combine(*map(gather_over_ranks, values)) if self.coupled else self.combine(*values)
            step.report(self.name, loss)
            (loss * (weight / len(steps))).backward()

    def _backward_twice(self, steps: Sequence[Step], weight: float) -> None:
        """Gradient caching (Gao et al. 2021, arXiv 2101.06983, section 3.2), which needs one micro-batch's memory.

        All is measured first; the scalar's derivative with respect to each measurement then weights a second,
        differentiated measuring.
        """
        parts = [[value.detach() for value in self.measure(step)] for step in steps]
        whole = [torch.cat(part).requires_grad_() for part in zip(*parts, strict=True)]
        loss = self.combine(*map(gather_over_ranks, whole))
        steps[0].report(self.name, loss)
        gradients = [g.chunk(len(steps)) for g in torch.autograd.grad(loss * weight, whole)]
        for k, step in enumerate(steps):
            values = zip(self.measure(step.in_silence()), gradients, strict=True)
            learning = [(value, g[k]) for value, g in values if value.requires_grad]
            torch.autograd.backward([value for value, _ in learning], [g for _, g in learning])


@dataclass(frozen=True)
class Phase:
    """One optimizer step: `network` ("G" or "D") learns from interval * sum(terms) at every `interval`-th step."""

    name: str
    network: str
    terms: tuple[Term, ...]
    interval: int = 1

    def backward(self, steps: Sequence[Step]) -> None:
        """Accumulate the gradient over the batch whose micro-batches are `steps`."""
        steps = [replace(step, phase=self.name) for step in steps]
        for term in self.terms:
            term.backward(steps, self.interval)


def generator_term(loss: Loss) -> Term:
    def measure(step: Step) -> tuple[Tensor, ...]:
        images, _, c = step.synthesize()
        fake_logits = step.critic(images, c, "fake")
        step.report("score/fake", fake_logits)
        if not loss.generator_sees_real:
            return (fake_logits,)
        with torch.no_grad():  # nothing of the generator is in them
            real_logits = step.critic(step.real, step.labels, "real")
        return real_logits, fake_logits

    return Term("loss/G", measure, loss.generator, loss.coupled)


def discriminator_term(loss: Loss) -> Term:
    def measure(step: Step) -> tuple[Tensor, ...]:
        with torch.no_grad():
            images, _, c = step.synthesize(track_w=True)
        fake_logits, real_logits = step.critic(images, c, "fake"), step.critic(step.real, step.labels, "real")
        step.report("score/real", real_logits)
        step.observe(real_logits)
        return real_logits, fake_logits

    return Term("loss/D", measure, loss.discriminator, loss.coupled)


def regularizer_term(name: str, regularizer: Regularizer) -> Term:
    def measure(step: Step) -> tuple[Tensor, ...]:
        count = max(len(step.indices) // regularizer.batch_shrink, 1)
        if regularizer.network == "D":
            critic = partial(step.critic, source="real")
            batch = CriticBatch(critic, step.real[:count], step.labels[:count], step.downscale)
            return (regularizer.measure(batch),)
        images, ws, _ = step.synthesize(count)
        direction = step.draws.direction(step.phase, step.indices[:count], images.shape[1:])
        return (regularizer.measure(SynthesisBatch(ws, images, direction)),)

    return Term(f"reg/{name}", measure, regularizer.combine, regularizer.coupled)


def build_phases(loss: Loss, regularizers: Sequence[tuple[str, Regularizer]]) -> list[Phase]:
    """Main and lazy phases of G, then of D. Regularisers with `every` = 1 join the main phase's terms."""
    phases = []
    for network, main in (("G", generator_term(loss)), ("D", discriminator_term(loss))):
        own = [(name, r) for name, r in regularizers if r.network == network]
        eager = tuple(regularizer_term(name, r) for name, r in own if r.every == 1)
        phases.append(Phase(f"{network}_main", network, (main, *eager)))
        phases += [Phase(f"{network}_{n}", network, (regularizer_term(n, r),), r.every) for n, r in own if r.every > 1]
    return phases


def lazy_correction(phases: Sequence[Phase], network: str) -> float:
    """c, the number of main steps per optimizer step: lr * c and beta^c keep Adam's speed (appendix B)."""
    return 1 / sum(1 / phase.interval for phase in phases if phase.network == network)
