"""How strongly to augment (Karras et al. 2020a, arXiv 2006.06676, section 3.1)."""

from collections.abc import Callable
from typing import Annotated, Any

import torch
from torch import Tensor

from stylegen.bounds import Interval, Range, Share, check_arguments


class Controller:
    """Moves p so that r_t = E sign(D(real)) stays at the target.

    r_t is 0 where the discriminator cannot tell and 1 where it is sure of every real picture: it overfits. Every few
    steps p moves up if r_t, the mean since the last time, lies above the target, and down if below, at a rate that
    takes p from 0 to 1 within `speed_kimg` thousand pictures.

    Args:
        p: strength at the start, in [0, 1].
        target: of r_t; None keeps p as it is.
        every: steps from one move of p to the next.
        speed_kimg: thousands of real pictures in which p can go from 0 to 1.

    Attributes:
        p: strength now, in [0, 1].
    """

    def __init__(
        self,
        p: Share = 0.0,
        target: Annotated[float, Range(-1, 1)] | None = 0.6,
        every: Interval = 4,
        speed_kimg: Annotated[float, Range(0.001, 1e7)] = 500.0,
    ) -> None:
        check_arguments("augment", Controller, locals())
        self.p, self.target, self.every, self.speed_kimg = float(p), target, every, speed_kimg
        self._steps = 0
        self._total = torch.zeros(2)  # sum of signs, pictures; of all ranks, since the last move
        self._pending: Tensor | None = None  # the same, of this rank, in this step

    def observe(self, real_logits: Tensor) -> None:
        """Count the signs of the discriminator's logits [N, 1] on this rank's real pictures; waits for no device."""
        signs = real_logits.detach().sign()
        counted = torch.stack([signs.sum(), signs.new_tensor(signs.numel())]).float()
        self._pending = counted if self._pending is None else self._pending + counted

    def end_step(self, sum_over_ranks: Callable[[Tensor], Tensor] = lambda signs: signs) -> None:
        """Call once a training step; moves p when it is time.

        Args:
            sum_over_ranks: adds up a tensor over all ranks, so that p is the same on each.
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
        """Plain numbers, between steps."""
        signs, images = self._total.tolist()
        return {"p": self.p, "steps": self._steps, "signs": signs, "images": images}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.p, self._steps = state["p"], state["steps"]
        self._total = torch.tensor([state["signs"], state["images"]])
