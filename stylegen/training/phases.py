"""The phases of a training step, as data: network, term and interval.

A term is a sum of parts, the adversarial loss and regularizers. It evaluates the networks on images and combines the
results into a scalar. A batch may be spread over ranks and over consecutive micro-batches; the gradient is the gradient
of the whole batch.

Lazy regularization (Karras et al. 2020b, arXiv 1912.04958, section 3.1): a term evaluated only every k-th step is
multiplied by k, and becomes a phase with its own optimizer step. Adam then takes 1 + 1/k steps per
training step, so lr and betas are corrected by c = 1 / (1 + sum 1/k), which is k / (k + 1) for one term.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from torch import Tensor, nn

from stylegen.discriminator_outputs import DiscriminatorOutputs
from stylegen.losses import Loss
from stylegen.randomness import Request
from stylegen.regularizers import CriticBatch, Regularizer, SynthesisBatch, WeightBatch
from stylegen.training.micro_batch import MicroBatch, Passes
from stylegen.training.random_inputs import InputSpec
from stylegen.training.terms import Evaluate, Measured, Part, Recorded, Term, evaluate


@dataclass(frozen=True)
class Phase:
    """One optimizer step of `network` ("G" or "D") on weight * term.

    Attributes:
        interval: steps between evaluations.
        weight: evaluations of the network's main phase in an interval.
        offset: the first step, counted from 0.
    """

    name: str
    network: str
    term: Term
    interval: int = 1
    weight: int = 1
    offset: int = 0

    def is_due(self, steps: int) -> bool:
        """Whether the phase is part of the step after `steps` steps."""
        return steps % self.interval == self.offset

    def backward(
        self, batches: Sequence[MicroBatch], parameters: Sequence[nn.Parameter], evaluate: Evaluate = evaluate
    ) -> list[Measured]:
        """Accumulate the gradient over the batch that consists of `batches` in the network's learning `parameters`.

        Args:
            evaluate: computes a term and its gradient on one micro-batch.

        Returns:
            the measurements of each micro-batch.
        """
        return self.term.backward([self.prepare(batch) for batch in batches], parameters, self.weight, evaluate)

    def prepare(self, batch: MicroBatch) -> MicroBatch:
        """A copy of the micro-batch with the random inputs of this phase."""
        G, D, term, image_shape = batch.generator, batch.discriminator, self.term, batch.real.shape[1:]
        further = {f"{view}/{name}": request for view in term.views for name, request in D.random_inputs.items()}
        spec = InputSpec(
            generated=max(len(batch.indices) // term.shrink, 1) if term.shrink else 0,
            num_ws=G.num_active_ws,
            noise_sizes=G.synthesis.noise_sizes,
            image_shape=image_shape,
            views=term.views,
            augmented=batch.augment is not None,
            image_noise=batch.augment is not None and batch.augment.pipeline.uses_image_noise,
            further=further | term.requests(image_shape, G.z_dim),
        )
        inputs = batch.random_inputs.generate(self.name, batch.indices, spec)
        if term.pairs_labels and inputs.synthesis is not None:
            labels = batch.labels.to(inputs.synthesis.labels)
            inputs = inputs._replace(synthesis=inputs.synthesis._replace(labels=labels))
        return replace(batch, inputs=inputs)


def generator_part(loss: Loss) -> Part:
    """The generator's adversarial loss."""
    kinds = ("fake", "real") if loss.generator_sees_real else ("fake",)

    def measure(passes: Passes) -> tuple[Tensor, ...]:
        return tuple(value for kind in kinds for value in _fields(loss, passes.seen_by_generator(kind)))

    def combine(*values: Tensor) -> Tensor:
        return loss.generator(*_records(loss, values))

    return Part("loss/G", measure, combine, loss.coupled)


def discriminator_part(loss: Loss) -> Part:
    """The discriminator's adversarial loss."""

    def measure(passes: Passes) -> tuple[Tensor, ...]:
        batch = passes.critic_batch("loss", generate=True)
        return tuple(value for kind in ("real", "fake") for value in _fields(loss, batch.outputs(kind)))

    def combine(*values: Tensor) -> Tensor:
        return loss.discriminator(*_records(loss, values))

    return Part("loss/D", measure, combine, loss.coupled, lambda *values: loss.reports(*_records(loss, values)))


def _fields(loss: Loss, outputs: DiscriminatorOutputs) -> tuple[Tensor, ...]:
    found = tuple(getattr(outputs, name) for name in loss.needs)
    missing = [name for name, value in zip(loss.needs, found, strict=True) if value is None]
    assert not missing, f"the discriminator has no {missing}"  # refused when the settings are checked
    return found


def _records(loss: Loss, values: Sequence[Tensor]) -> list[DiscriminatorOutputs]:
    """The inverse of `_fields`, for the fields of several records in a row."""
    count = len(loss.needs)
    return [
        DiscriminatorOutputs(**dict(zip(loss.needs, values[k : k + count], strict=True)))
        for k in range(0, len(values), count)
    ]


def regularizer_part(name: str, regularizer: Regularizer) -> Part:
    def measure(passes: Passes) -> tuple[Tensor, ...]:
        batch: CriticBatch | SynthesisBatch | WeightBatch
        if not regularizer.sources:
            step = passes.batch
            network = step.generator if regularizer.network == "G" else step.discriminator
            batch = WeightBatch(network, len(step.indices))
        elif regularizer.network == "D":
            batch = passes.critic_batch(name, generate="fake" in regularizer.sources)
        else:
            batch = passes.synthesis_batch(name, max(len(passes.batch.indices) // regularizer.batch_shrink, 1))
        values = regularizer.measure(batch)
        return values if isinstance(values, tuple) else (values,)

    reports = lambda *values: regularizer.reports()  # noqa: E731
    return Part(f"reg/{name}", measure, regularizer.combine, regularizer.coupled, reports)


def _generator_record(passes: Passes) -> Recorded:
    return Recorded({"score/fake": passes.seen_by_generator("fake").logits})


def _discriminator_record(passes: Passes) -> Recorded:
    logits, made = passes.critic_batch("loss", generate=True).outputs("real").logits, passes.generated
    assert made is not None
    return Recorded({"score/real": logits}, made.w, logits, made.magnitudes)


def _term(network: str, regularizers: Sequence[tuple[str, Regularizer]], loss: Loss | None = None) -> Term:
    """The adversarial loss of a network, if any, and regularizers."""
    parts = [regularizer_part(name, regularizer) for name, regularizer in regularizers]
    own = [regularizer for _, regularizer in regularizers]
    views = {view for r in own if network == "D" for view in (*r.sources, *r.views)}
    shrinks = [r.batch_shrink for r in own if (network == "G" and r.sources) or "fake" in r.sources]
    record: Callable[[Passes], Recorded] = lambda passes: Recorded()  # noqa: E731
    if loss is not None:
        main, record = (
            (generator_part, _generator_record) if network == "G" else (discriminator_part, _discriminator_record)
        )
        parts, shrinks = [main(loss), *parts], [1]
        views |= {"fake", "real"} if network == "D" or loss.generator_sees_real else {"fake"}

    def requests(image_shape: Sequence[int], z_dim: int) -> dict[str, Request]:
        return {
            f"{name}/{what}": request
            for name, r in regularizers
            for what, request in r.random_inputs(image_shape, z_dim).items()
        }

    return Term(
        parts=tuple(parts),
        record=record,
        shrink=min(shrinks, default=0),
        views=tuple(sorted(views)),
        differentiates=frozenset(source for r in own for source in r.differentiates),
        pairs_labels=loss is not None and loss.pairs_labels,
        requests=requests,
    )


def build_phases(loss: Loss, regularizers: Mapping[str, Regularizer], d_steps_per_g_step: int = 1) -> list[Phase]:
    """Main and lazy phases of G, then D. Regularizers with `every` = 1 are parts of the main phase.

    Args:
        d_steps_per_g_step: n, steps of D for each step of G, whose phases are part of every n-th step.
    """
    phases = []
    for network, interval in (("G", d_steps_per_g_step), ("D", 1)):
        own = [(name, r) for name, r in regularizers.items() if r.network == network and r.has_term]
        eager = [(name, r) for name, r in own if r.every == 1]
        phases.append(Phase(f"{network}_main", network, _term(network, eager, loss), interval, 1, interval - 1))
        phases += [
            Phase(f"{network}_{name}", network, _term(network, [(name, r)]), r.every * interval, r.every, interval - 1)
            for name, r in own
            if r.every > 1
        ]
    return phases


def lazy_correction(phases: Sequence[Phase], network: str) -> float:
    """c, main steps per optimizer step of a network: Adam with lr * c and beta^c (appendix B)."""
    return 1 / sum(1 / phase.weight for phase in phases if phase.network == network)
