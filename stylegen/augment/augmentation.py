"""Augmentation of the discriminator's input: a pipeline of operations, and the controller of their probability p.

Adaptive discriminator augmentation (Karras et al. 2020a, arXiv 2006.06676), section 3.1.
"""

from collections.abc import Callable
from typing import Annotated, Any, Protocol

import torch
from torch import Tensor

from stylegen.augment.augment_inputs import AugmentInputs
from stylegen.bounds import Interval, Kimg, Range, Share, check_arguments
from stylegen.cosine_schedule import cosine_schedule
from stylegen.errors import UserError


class Controller:
    """Adjusts p so that the overfitting heuristic r_t = E sign(D(real)) stays at a target (ADA, section 3.1).

    r_t = 0 means no overfitting, r_t = 1 complete overfitting. Every few steps p increases if r_t, averaged since the
    last adjustment, is above the target, and decreases if it is below, at a rate of 1 per `speed_kimg`. Without a
    target, p is constant or moves to `p_to` along a cosine (`stylegen.cosine_schedule`).

    Args:
        p: initial augmentation probability, in [0, 1].
        target: target of r_t = E sign(D(real)); null for a fixed p.
        every: steps between adjustments of p.
        speed_kimg: thousands of real images in which p can go from 0 to 1.
        p_to: p at the end of a schedule, for target=null; null for none.
        p_kimg: length of that schedule.

    Attributes:
        p: current augmentation probability, in [0, 1].
    """

    def __init__(
        self,
        p: Share = 0.0,
        target: Annotated[float, Range(-1, 1)] | None = 0.6,
        every: Interval = 4,
        speed_kimg: Annotated[float, Range(0.001, 1e7)] = 500.0,
        p_to: Share | None = None,
        p_kimg: Kimg = 0.0,
    ) -> None:
        check_arguments("augment", Controller, locals())
        if p_to is not None and target is not None:
            raise UserError(
                f"augment.p_to={p_to:g} augment.target={target:g}",
                rule="p follows either a schedule or the discriminator's overfitting",
                fix="Add augment.target=null, or omit augment.p_to and augment.p_kimg",
            )
        self.schedule = cosine_schedule("augment.p", p, p_to, p_kimg)
        self.p, self.target, self.every, self.speed_kimg = float(p), target, every, speed_kimg
        self._steps = 0
        self._total = torch.zeros(2)  # sum of signs, number of images; over all ranks, since the last adjustment
        self._pending: Tensor | None = None  # the same for this rank and step

    def begin_step(self, images_seen: int) -> None:
        """Set a scheduled p; call before each training step."""
        if not self.schedule.is_constant:
            self.p = self.schedule.at(images_seen)

    def observe(self, real_logits: Tensor) -> None:
        """Add the signs of the logits [N, 1] of this rank's real images; does not synchronize with the device."""
        signs = real_logits.detach().sign()
        counted = torch.stack([signs.sum(), torch.ones_like(signs).sum()]).float()
        self._pending = counted if self._pending is None else self._pending + counted

    def end_step(self, sum_over_ranks: Callable[[Tensor], Tensor] = lambda signs: signs) -> None:
        """Adjust p if it is due. Call once per training step.

        Args:
            sum_over_ranks: sum of a tensor over ranks, so that p is the same on all of them.
        """
        self._steps += 1
        counted, self._pending = self._pending, None
        if self.target is None or counted is None:
            return
        self._total = self._total.to(counted.device) + sum_over_ranks(counted)
        if self._steps % self.every == 0:
            signs, images = self._total.tolist()
            direction = (signs / images > self.target) - (signs / images < self.target)
            self.p = min(max(self.p + direction * images / (self.speed_kimg * 1000), 0.0), 1.0)
            self._total = torch.zeros_like(self._total)

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers; call between steps."""
        signs, images = self._total.tolist()
        return {"p": self.p, "steps": self._steps, "signs": signs, "images": images}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.p, self._steps = state["p"], state["steps"]
        self._total = torch.tensor([state["signs"], state["images"]])


class Pipeline(Protocol):
    """Images [N, C, H, W] in [-1, 1], probability p, random numbers -> images of the same shape.

    Each image is augmented independently. Twice differentiable with respect to the images; the identity at p = 0.

    Attributes:
        uses_image_noise: whether the random numbers must include `image_noise`.
    """

    @property
    def uses_image_noise(self) -> bool: ...

    def __call__(self, images: Tensor, p: float, inputs: AugmentInputs) -> Tensor: ...


class Augmentation:
    """A pipeline and the controller of its probability."""

    def __init__(self, pipeline: Pipeline, controller: Controller) -> None:
        self.pipeline, self.controller = pipeline, controller

    def __call__(self, images: Tensor, inputs: AugmentInputs) -> Tensor:
        """[N, C, H, W] in [-1, 1] -> the same shape, augmented with the current p."""
        return self.pipeline(images, self.controller.p, inputs)
