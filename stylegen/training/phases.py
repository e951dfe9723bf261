"""The phases of a training step, as data: network, terms and interval.

A term evaluates the networks on images and combines the results into a scalar. A batch may be spread over ranks and
over consecutive micro-batches; the gradient is the gradient of the whole batch.

Lazy regularization (Karras et al. 2020b, arXiv 1912.04958, section 3.1): a term evaluated only every k-th step is
multiplied by k, and becomes a phase with its own optimizer step. Adam then takes 1 + 1/k steps per
training step, so lr and betas are corrected by c = 1 / (1 + sum 1/k), which is k / (k + 1) for one term.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import nn

from stylegen.losses import Loss
from stylegen.regularizers import CriticBatch, Regularizer, SynthesisBatch
from stylegen.training.random_inputs import InputSpec
from stylegen.training.terms import Evaluate, Measured, MicroBatch, Term, evaluate


@dataclass(frozen=True)
class Phase:
    """One optimizer step of `network` ("G" or "D") on interval * sum(terms), at every `interval`-th step."""

    name: str
    network: str
    terms: tuple[Term, ...]
    interval: int = 1

    def backward(
        self, batches: Sequence[MicroBatch], parameters: Sequence[nn.Parameter], evaluate: Evaluate = evaluate
    ) -> list[Measured]:
        """Accumulate the gradient over the batch that consists of `batches` in the network's learning `parameters`.

        Args:
            evaluate: computes a term and its gradient on one micro-batch.

        Returns:
            the measurements of each term and micro-batch.
        """
        batches = [self.prepare(batch) for batch in batches]
        return [m for term in self.terms for m in term.backward(batches, parameters, self.interval, evaluate)]

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
    def measure(batch: MicroBatch) -> Measured:
        generated = batch.synthesize()
        fake_logits = batch.critic(generated.images, generated.inputs.labels, "fake")
        reports = {"score/fake": fake_logits}
        if not loss.generator_sees_real:
            return Measured((fake_logits,), reports)
        with torch.no_grad():  # independent of the generator
            real_logits = batch.critic(batch.real, batch.labels, "real")
        return Measured((real_logits, fake_logits), reports)

    sources = ("fake", "real") if loss.generator_sees_real else ("fake",)
    return Term("loss/G", measure, loss.generator, loss.coupled, shrink=1, sources=sources)


def discriminator_term(loss: Loss) -> Term:
    def measure(batch: MicroBatch) -> Measured:
        with torch.no_grad():
            generated = batch.synthesize(measure=True)
        fake_logits = batch.critic(generated.images, generated.inputs.labels, "fake")
        real_logits = batch.critic(batch.real, batch.labels, "real")
        reports = {"score/real": real_logits}
        return Measured((real_logits, fake_logits), reports, generated.w, real_logits, generated.magnitudes)

    return Term("loss/D", measure, loss.discriminator, loss.coupled, shrink=1, sources=("fake", "real"))


def regularizer_term(name: str, regularizer: Regularizer) -> Term:
    def measure(batch: MicroBatch) -> Measured:
        count = max(len(batch.indices) // regularizer.batch_shrink, 1)
        if regularizer.network == "D":
            critic = partial(batch.critic, source="real")
            reals = CriticBatch(critic, batch.real[:count], batch.labels[:count], batch.downscale)
            return Measured((regularizer.measure(reals),))
        generated = batch.synthesize(count)
        direction = generated.inputs.direction
        assert direction is not None
        return Measured((regularizer.measure(SynthesisBatch(generated.ws, generated.images, direction)),))

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
