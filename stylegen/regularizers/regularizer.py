"""Base class of regularizers, and the records that they receive."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from stylegen.discriminator_outputs import DiscriminatorOutputs
from stylegen.randomness import Request

Critic = Callable[[Tensor, Tensor, str], DiscriminatorOutputs]


@dataclass(frozen=True)
class CriticBatch:
    """Input of a discriminator regularizer.

    Attributes:
        critic: images [N, C, H, W], labels [N, K], view -> outputs, including augmentation. A view is "real" or "fake",
            with its own random augmentation and dropout, or one of `Regularizer.views`.
        real: images in [-1, 1] with `labels`, leaves of the graph that require gradients if a regularizer of the phase
            differentiates by them.
        fake: generated images, detached, with `fake_labels`; None for a regularizer whose `sources` lack "fake".
        downscale: R / r for images at resolution r of final resolution R; 1 without progressive growing.
        random: the regularizer's `random_inputs` for N images, by name.
        resynthesize: z [N, z_dim] -> images for the labels, style mixing and noise of `fake`, without gradient; `z` is
            theirs. None as for `fake`.
    """

    critic: Critic
    real: Tensor
    labels: Tensor
    fake: Tensor | None = None
    fake_labels: Tensor | None = None
    downscale: int = 1
    random: Mapping[str, Tensor] = field(default_factory=dict)
    z: Tensor | None = None
    resynthesize: Callable[[Tensor], Tensor] | None = None
    known: dict[str, DiscriminatorOutputs] = field(default_factory=dict, repr=False)

    def images(self, source: str) -> Tensor:
        """The images of a source, "real" or "fake"."""
        images = self.real if source == "real" else self.fake
        assert images is not None, f"{source} is not among the sources"
        return images

    def outputs(self, view: str) -> DiscriminatorOutputs:
        """The outputs for the images of a view, computed once and shared by all terms of the phase."""
        if view not in self.known:
            self.known[view] = self.outputs_for(self.images("real" if view.startswith("real") else "fake"), view)
        return self.known[view]

    def outputs_for(self, images: Tensor, view: str) -> DiscriminatorOutputs:
        """The outputs for images made from the images of the view's source, with the same labels; not shared."""
        labels = self.labels if view.startswith("real") else self.fake_labels
        assert labels is not None
        return self.critic(images, labels, view)._replace(labels=labels, images=images)


@dataclass(frozen=True)
class SynthesisBatch:
    """Input of a generator regularizer.

    Attributes:
        ws: [N, L, D], part of the graph of `images`.
        images: [N, C, H, W], synthesized from `ws`.
        random: the regularizer's `random_inputs` for N images, by name.
        z: [N, z_dim], the latents of `ws`.
        resynthesize: z [N, z_dim] -> images for the same labels, style mixing and noise.
    """

    ws: Tensor
    images: Tensor
    random: Mapping[str, Tensor] = field(default_factory=dict)
    z: Tensor | None = None
    resynthesize: Callable[[Tensor], Tensor] | None = None


@dataclass(frozen=True)
class WeightBatch:
    """Input of a regularizer of the weights alone, which has no `sources`.

    Attributes:
        network: the trained one, G or D.
        count: N, the images of the micro-batch: `measure` returns N equal values.
    """

    network: nn.Module
    count: int


class Regularizer(nn.Module, ABC):
    """Values for each image (`measure`), reduced to a scalar (`combine`).

    `measure` receives one process's micro-batch, `combine` the values of the whole batch. State, such as a moving
    average, is a buffer that `combine` updates; such a regularizer is `coupled`. A subclass annotates its arguments
    with bounds and calls `check_arguments` first.

    Args:
        every: steps between evaluations of the term, which is then multiplied by this number (lazy regularization,
            Karras et al. 2020b, section 3.1); 1 adds it to the main loss, whose forward passes it shares.
        batch_shrink: n, to use only the first 1 / n of the batch; of generator regularizers.

    Attributes:
        network: "G" or "D", the network that the term trains; selects `SynthesisBatch` or `CriticBatch`.
        coupled: `combine` is not a mean over images, so it needs the values of the whole batch.
        sources: kinds of images that a discriminator regularizer uses, "real" and "fake"; () for a term of the weights
            alone, of either network, which receives `WeightBatch` and costs no forward pass.
        views: further passes of the discriminator with their own augmentation and dropout: "real/<name>",
            "fake/<name>".
        differentiates: sources and views by whose images `measure` differentiates; () if it is not a gradient penalty.
        needs: fields of `DiscriminatorOutputs` that a discriminator regularizer uses.
        has_term: whether `measure` and `combine` exist; False for a constraint, which acts in `begin_step` or
            `end_step`.
    """

    network: str
    coupled: bool = False
    sources: tuple[str, ...] = ("real",)
    views: tuple[str, ...] = ()
    differentiates: tuple[str, ...] = ()
    needs: tuple[str, ...] = ("logits",)
    has_term: bool = True

    def __init__(self, every: int = 1, batch_shrink: int = 1) -> None:
        super().__init__()
        self.every, self.batch_shrink = every, batch_shrink

    def random_inputs(self, image_shape: Sequence[int], z_dim: int) -> Mapping[str, Request]:
        """The random numbers that `measure` uses, by name, for one image.

        Args:
            image_shape: (C, H, W).
        """
        return {}

    def attach(self, network: nn.Module) -> None:
        """Parametrize the weights of the trained network; once, before its optimizer exists."""

    def begin_step(self, images_seen: int) -> None:
        """Set scheduled values, before each step; tensors, because the step may be compiled."""

    def observe(self, real: Sequence[Tensor]) -> None:
        """Update statistics of the whole batch of real images, before each step.

        Args:
            real: this rank's micro-batches, [n, C, H, W] each.
        """

    def end_step(self, network: nn.Module) -> None:
        """Constrain the weights of the trained network, after each of its optimizer steps."""

    def reports(self) -> Mapping[str, Tensor]:
        """State for the log, by name, after `combine`."""
        return {}

    @abstractmethod
    def measure(self, batch: Any) -> Tensor | tuple[Tensor, ...]:
        """`CriticBatch`, `SynthesisBatch` or `WeightBatch` -> [N, ...], differentiable; several if `combine` takes
        several."""

    @abstractmethod
    def combine(self, *values: Any, **named: Any) -> Tensor:
        """[N, ...], ... -> scalar."""

    def forward(self, batch: Any) -> Tensor:
        """The term for a whole batch."""
        values = self.measure(batch)
        return self.combine(*(values if isinstance(values, tuple) else (values,)))


class Constraint(Regularizer):
    """A regularizer without a term, which changes the weights themselves."""

    sources = ()
    has_term = False

    def measure(self, batch: Any) -> Tensor:
        raise NotImplementedError

    def combine(self, *values: Any, **named: Any) -> Tensor:
        raise NotImplementedError
