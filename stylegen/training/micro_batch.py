"""A micro-batch of a training step, and the forward passes of the networks on it."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from stylegen.augment import Augmentation
from stylegen.discriminator_outputs import DiscriminatorOutputs
from stylegen.networks import StyleDiscriminator, StyleGenerator
from stylegen.regularizers import CriticBatch, SynthesisBatch
from stylegen.training.blur import blur
from stylegen.training.random_inputs import NO_INPUTS, PhaseInputs, RandomInputs, SynthesisInputs


@dataclass(frozen=True)
class MicroBatch:
    """A micro-batch of one step, and the networks for its terms.

    Attributes:
        generator, discriminator: the networks in training.
        real: [N, C, H, W] in [-1, 1]; labels: [N, num_classes]; indices: int64 [N], global image indices.
        random_inputs: generates the random inputs of a phase.
        inputs: the random inputs of the current phase; see `Phase.prepare`.
        augment: applied to every image that the discriminator sees; None for none.
        blur_sigma: sigma of the blur of every image that the discriminator sees, before `augment`; see `training.blur`.
        downscale: final resolution divided by the resolution of `real`; see `CriticBatch`.
    """

    generator: StyleGenerator
    discriminator: StyleDiscriminator
    real: Tensor
    labels: Tensor
    indices: Tensor
    random_inputs: RandomInputs
    inputs: PhaseInputs = NO_INPUTS
    augment: Augmentation | None = None
    blur_sigma: float = 0.0
    downscale: int = 1

    def synthesize(self, count: int | None = None, measure: bool = False, z: Tensor | None = None) -> "Synthesized":
        """Generate the first `count` images of this phase, all by default.

        Args:
            measure: the magnitudes of layer inputs too, for a network that tracks them.
            z: [count, z_dim], in place of the phase's latents.
        """
        assert self.inputs.synthesis is not None
        G, inputs = self.generator, self.inputs.synthesis
        if count is not None:
            inputs = inputs.first(count)
        if z is not None:
            inputs = inputs._replace(z=z)
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

    def critic(self, images: Tensor, c: Tensor, view: str) -> DiscriminatorOutputs:
        """The discriminator's outputs for blurred and augmented images.

        Views are augmented independently; all terms of a phase share the augmentation of a view.

        Args:
            images: the first N of this micro-batch; c: [N, num_classes].
            view: "real", "fake", or another pass of the phase.
        """
        images = blur(images, self.blur_sigma)
        if self.augment is not None:
            images = self.augment(images, self.inputs.augment[view].first(len(images)))
        return self.discriminator.outputs(images, c, self.inputs.own(view, len(images)))


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


class Passes:
    """The forward passes of a term on a micro-batch, each computed once and shared by the term's parts.

    Args:
        batch: the micro-batch, with the random inputs of its phase.
        differentiated: sources, "real" and "fake", by whose images a part differentiates.

    Attributes:
        generated: the images of the discriminator's term, without gradient, once `critic_batch` has generated them.
    """

    def __init__(self, batch: MicroBatch, differentiated: Collection[str] = ()) -> None:
        self.batch, self.differentiated = batch, differentiated
        self.generated: Synthesized | None = None
        self._critic: CriticBatch | None = None
        self._synthesized: dict[int, Synthesized] = {}
        self._seen: dict[str, DiscriminatorOutputs] = {}

    def synthesized(self, count: int | None = None) -> Synthesized:
        """The first `count` images, all by default, in the graph of the generator."""
        count = len(self.batch.indices) if count is None else count
        if count not in self._synthesized:
            self._synthesized[count] = self.batch.synthesize(count)
        return self._synthesized[count]

    def seen_by_generator(self, source: str) -> DiscriminatorOutputs:
        """The discriminator's outputs in the generator's term: for generated images in the generator's graph, and for
        real images without gradient.

        Args:
            source: "real" or "fake".
        """
        if source not in self._seen:
            batch = self.batch
            if source == "fake":
                made = self.synthesized()
                images, labels = made.images, made.inputs.labels
                outputs = batch.critic(images, labels, source)
            else:
                images, labels = batch.real, batch.labels
                with torch.no_grad():  # independent of the generator
                    outputs = batch.critic(images, labels, source)
            self._seen[source] = outputs._replace(images=images, labels=labels)
        return self._seen[source]

    def critic_batch(self, name: str, generate: bool) -> CriticBatch:
        """The record of a discriminator regularizer, or of the discriminator's loss.

        Args:
            name: selects the random inputs.
            generate: whether it uses generated images.
        """
        batch = self.batch
        if self._critic is None:
            real = batch.real.detach().requires_grad_("real" in self.differentiated)
            self._critic = CriticBatch(batch.critic, real, batch.labels, downscale=batch.downscale)
        if generate and self.generated is None:
            with torch.no_grad():
                self.generated = batch.synthesize(measure=True)
            inputs = self.generated.inputs
            self._critic = replace(
                self._critic,
                fake=self.generated.images.requires_grad_("fake" in self.differentiated),
                fake_labels=inputs.labels,
                z=inputs.z,
                resynthesize=self._resynthesize,
            )
        return replace(self._critic, random=batch.inputs.own(name, len(batch.real)))

    def synthesis_batch(self, name: str, count: int) -> SynthesisBatch:
        """The record of a generator regularizer for the first `count` images."""
        made, batch = self.synthesized(count), self.batch
        return SynthesisBatch(
            ws=made.ws,
            images=made.images,
            random=batch.inputs.own(name, count),
            z=made.inputs.z,
            resynthesize=lambda z: batch.synthesize(count, z=z).images,
        )

    @torch.no_grad()
    def _resynthesize(self, z: Tensor) -> Tensor:
        return self.batch.synthesize(z=z).images
