"""The phases of a training step, as data: which network learns from which terms, and how often.

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
from stylegen.losses import Loss
from stylegen.networks import StyleGenerator
from stylegen.regularizers import CriticBatch, Regularizer, SynthesisBatch
from stylegen.training.draws import Draws
from stylegen.training.strategy import mean_over_ranks


@dataclass(frozen=True)
class Step:
    """What the terms of one step share.

    Attributes:
        generator, discriminator: being trained.
        real: [N, C, H, W] in [-1, 1]; labels: [N, num_classes]; indices: int64 [N], global image indices.
        draws: the step's random inputs.
        report: called with (name, tensor) for what should be logged.
        track_w: called with w [N, D] where the running mean of w is to be moved.
        phase: name of the phase that is running; keys its draws.
        augment: changes whatever the discriminator sees; None where nothing is augmented.
    """

    generator: StyleGenerator
    discriminator: nn.Module
    real: Tensor
    labels: Tensor
    indices: Tensor
    draws: Draws
    report: Callable[[str, Tensor], None]
    track_w: Callable[[Tensor], None]
    phase: str = ""
    augment: Augmentation | None = None

    def synthesize(self, count: int | None = None, track_w: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Generate the phase's pictures -> (pictures [n, C, H, W], ws [n, L, D], labels [n, num_classes])."""
        G, indices = self.generator, self.indices[:count]
        c = self.draws.labels(self.phase, indices)
        w = G.mapping(self.draws.latents(self.phase, indices), c)
        if track_w:
            self.track_w(w.detach())
        ws = w.unsqueeze(1).repeat(1, G.num_ws, 1)
        mixing = self.draws.mixing(self.phase, indices, G.num_ws)
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


Term = Callable[[Step], Tensor]


@dataclass(frozen=True)
class Phase:
    """One optimizer step: `network` ("G" or "D") learns from interval * sum(terms) at every `interval`-th step."""

    name: str
    network: str
    terms: tuple[Term, ...]
    interval: int = 1

    def loss(self, step: Step) -> Tensor:
        step = replace(step, phase=self.name)
        return sum((term(step) for term in self.terms), step.real.new_zeros(())) * self.interval


def generator_term(loss: Loss) -> Term:
    def term(step: Step) -> Tensor:
        images, _, c = step.synthesize()
        logits = step.critic(images, c, "fake")
        value = loss.generator(logits)
        step.report("loss/G", value)
        step.report("score/fake", logits)
        return value

    return term


def discriminator_term(loss: Loss) -> Term:
    def term(step: Step) -> Tensor:
        with torch.no_grad():
            images, _, c = step.synthesize(track_w=True)
        fake_logits, real_logits = step.critic(images, c, "fake"), step.critic(step.real, step.labels, "real")
        value = loss.discriminator(real_logits, fake_logits)
        step.report("loss/D", value)
        step.report("score/real", real_logits)
        if step.augment is not None:
            step.report("augment/sign", real_logits.sign())
            step.augment.controller.observe(real_logits)
        return value

    return term


def regularizer_term(name: str, regularizer: Regularizer) -> Term:
    def term(step: Step) -> Tensor:
        count = max(len(step.indices) // regularizer.batch_shrink, 1)
        if regularizer.network == "D":
            critic = partial(step.critic, source="real")
            value = regularizer(CriticBatch(critic, step.real[:count], step.labels[:count]))
        else:
            images, ws, _ = step.synthesize(count)
            direction = step.draws.direction(step.phase, step.indices[:count], images.shape[1:])
            value = regularizer(SynthesisBatch(ws, images, direction, mean_over_ranks))
        step.report(f"reg/{name}", value)
        return value

    return term


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
