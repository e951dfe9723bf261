"""The random inputs of training: latents, labels, style mixing, noise, augmentation, discriminator, regularizers.

All inputs of one phase are generated at once, before the phase computes anything. They are keyed by (seed, phase and
purpose, global image index), independent of the number of ranks and micro-batches, and of interruptions.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from stylegen import randomness
from stylegen.augment import AugmentInputs
from stylegen.augment.augment_inputs import augment_inputs, augment_requests
from stylegen.one_hot import OneHot
from stylegen.randomness import Request, attempt_purpose


@dataclass(frozen=True)
class InputSpec:
    """The random inputs that a phase needs.

    Attributes:
        generated: number of generated images, the first of the micro-batch.
        num_ws: active style slots; no style mixing for 1.
        noise_sizes: side r of each layer's noise.
        image_shape: (C, H, W).
        views: passes of the discriminator, "real", "fake" or one of `Regularizer.views`.
        augmented: whether the images of every view are augmented.
        image_noise: whether the augmentation adds noise.
        further: requests of the discriminator by "<view>/<name>", and of regularizers by "<regularizer>/<name>".
    """

    generated: int = 0
    num_ws: int = 1
    noise_sizes: Sequence[int] = ()
    image_shape: Sequence[int] = ()
    views: Collection[str] = ()
    augmented: bool = False
    image_noise: bool = False
    further: Mapping[str, Request] = field(default_factory=dict)


class SynthesisInputs(NamedTuple):
    """Inputs of the generator for N images.

    Attributes:
        z: [N, z_dim]; labels: [N, num_classes].
        second_z: [N, z_dim], for the layers from `first_mixed` [N] on, which is `num_ws` without mixing; None and None
            if style mixing is off.
        noise: one [N, 1, r, r] for each r of `noise_sizes`.
    """

    z: Tensor
    labels: Tensor
    second_z: Tensor | None = None
    first_mixed: Tensor | None = None
    noise: tuple[Tensor, ...] = ()

    def first(self, count: int) -> "SynthesisInputs":
        """The inputs of the first `count` images."""
        if count == len(self.z):
            return self
        return SynthesisInputs(
            z=self.z[:count],
            labels=self.labels[:count],
            second_z=None if self.second_z is None else self.second_z[:count],
            first_mixed=None if self.first_mixed is None else self.first_mixed[:count],
            noise=tuple(layer[:count] for layer in self.noise),
        )


class PhaseInputs(NamedTuple):
    """The random inputs of one phase and micro-batch.

    Attributes:
        synthesis: inputs of the generated images; None if there are none.
        augment: inputs of the augmentation of each view's images; empty without augmentation.
        further: see `InputSpec`.
    """

    synthesis: SynthesisInputs | None = None
    augment: Mapping[str, AugmentInputs] = {}
    further: Mapping[str, Tensor] = {}

    def own(self, owner: str, count: int) -> dict[str, Tensor]:
        """The further inputs of a view or regularizer, by name, for the first `count` images."""
        prefix = f"{owner}/"
        return {
            key.removeprefix(prefix): numbers[:count]
            for key, numbers in self.further.items()
            if key.startswith(prefix) and "/" not in key.removeprefix(prefix)
        }


NO_INPUTS = PhaseInputs()


class RandomInputs(Protocol):
    """Random inputs of a training step.

    Attributes:
        attempt: part of every key; see `TrainingStep.attempt`.
    """

    attempt: int

    def generate(self, phase: str, indices: Tensor, spec: InputSpec) -> PhaseInputs:
        """The inputs of a phase and the images with global indices [N]."""


class KeyedRandomInputs:
    """`RandomInputs` from the counter-based random number generator.

    Args:
        seed: key of all inputs, the seed of the run.
        z_dim: width of z.
        label_table: [M, num_classes], the labels of the dataset, sampled for generated images.
        mixing_prob: probability of style mixing for an image (Karras et al. 2019, section 3.1).
    """

    def __init__(self, seed: int, z_dim: int, label_table: Tensor | OneHot, mixing_prob: float = 0.9) -> None:
        self.seed, self.z_dim, self.label_table, self.mixing_prob = seed, z_dim, label_table, mixing_prob
        self.attempt = 0

    def generate(self, phase: str, indices: Tensor, spec: InputSpec) -> PhaseInputs:
        indices = indices if spec.views else indices[: spec.generated]
        augmented = spec.views if spec.augmented else ()
        requests = {**(self._synthesis_requests(spec) if spec.generated else {}), **spec.further}
        keyed = {self._purpose(phase, what): request for what, request in requests.items()}
        noise_shape = spec.image_shape if spec.image_noise else None
        for view in augmented:
            keyed |= augment_requests(self._purpose(phase, view), noise_shape)
        numbers = randomness.generate(self.seed, indices, keyed)
        named = {what: numbers[self._purpose(phase, what)] for what in requests}
        return PhaseInputs(
            self._synthesis(spec, named).first(spec.generated) if spec.generated else None,
            {view: augment_inputs(self._purpose(phase, view), numbers) for view in augmented},
            {what: named[what] for what in spec.further},
        )

    def _purpose(self, phase: str, what: str) -> str:
        return attempt_purpose(f"{phase}/{what}", self.attempt)

    def _synthesis_requests(self, spec: InputSpec) -> dict[str, Request]:
        requests = {"z": Request("normal", (self.z_dim,))}
        if self.label_table.shape[1]:
            requests["label"] = Request("integers", high=len(self.label_table))
        if self.mixing_prob and spec.num_ws > 1:
            requests["mixing_z"] = Request("normal", (self.z_dim,))
            requests["mixing_layer"] = Request("integers", high=spec.num_ws - 1)
            requests["mixing"] = Request("uniform")
        requests |= {f"noise{k}": Request("normal", (1, r, r)) for k, r in enumerate(spec.noise_sizes)}
        return requests

    def _synthesis(self, spec: InputSpec, numbers: dict[str, Tensor]) -> SynthesisInputs:
        first_mixed = None
        if "mixing" in numbers:
            mixed = numbers["mixing"] < self.mixing_prob
            first_mixed = torch.where(mixed, 1 + numbers["mixing_layer"], spec.num_ws)
        return SynthesisInputs(
            z=numbers["z"],
            labels=self._labels(numbers.get("label"), numbers["z"]),
            second_z=numbers.get("mixing_z"),
            first_mixed=first_mixed,
            noise=tuple(numbers[f"noise{k}"] for k in range(len(spec.noise_sizes))),
        )

    def _labels(self, items: Tensor | None, z: Tensor) -> Tensor:
        if items is None:
            return z.new_zeros(len(z), 0)
        if self.label_table.device != items.device:
            self.label_table = self.label_table.to(items.device)  # once
        return self.label_table[items]
