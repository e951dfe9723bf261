"""Adam for both networks (Kingma and Ba 2015, arXiv 1412.6980), and the schedule of its learning rates."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from stylegen.bounds import Choice, Kimg, Range, Share, check_arguments
from stylegen.cosine_schedule import cosine_schedule
from stylegen.errors import UserError

DECAYS = ("none", "linear", "cosine")


@torch.no_grad()
def nonfinite_gradients(parameters: Sequence[nn.Parameter]) -> Tensor:
    """1.0 if any gradient contains an infinity or NaN, else 0.0; on the device of the parameters."""
    largest = torch._foreach_norm([p.grad for p in parameters if p.grad is not None], float("inf"))
    return 1 - torch.stack(list(largest)).isfinite().all().float()


@dataclass(frozen=True)
class AdamSettings:
    """Adam's settings, before the correction for lazy regularization.

    The rates are multiplied by `factor(images_seen)`: the schedule has no state to save.

    Attributes:
        g_lr, d_lr: learning rates of generator and discriminator.
        g_betas, d_betas: Adam's two decay rates for each network.
        eps: added to the denominator; its bound keeps it above 0 in float32.
        rampup_kimg: thousands of images over which the rates rise linearly from 0; 0 for no ramp-up.
        decay: "none", "linear" or "cosine".
        decay_start_kimg: start of the decay.
        decay_kimg: length of the decay; afterwards the rates stay at `decay_to`.
        decay_to: factor on the rates at the end of the decay.
        beta2_to: the second of `g_betas` and `d_betas` moves to this value along a cosine; null for no schedule.
        beta2_kimg: length of that schedule.

    Raises:
        UserError: a value out of bounds, an unknown decay, or a schedule of length 0.
    """

    g_lr: Annotated[float, Range(0, 1, above=True)] = 0.002
    d_lr: Annotated[float, Range(0, 1, above=True)] = 0.002
    g_betas: Annotated[Sequence[float], Range(0, 1, below=True, count=(2, 2))] = (0.0, 0.99)
    d_betas: Annotated[Sequence[float], Range(0, 1, below=True, count=(2, 2))] = (0.0, 0.99)
    eps: Annotated[float, Range(1e-30, 1)] = 1e-8
    rampup_kimg: Kimg = 0.0
    decay: Annotated[str, Choice(DECAYS)] = "none"
    decay_start_kimg: Kimg = 0.0
    decay_kimg: Kimg = 0.0
    decay_to: Share = 0.0
    beta2_to: Annotated[float, Range(0, 1, below=True)] | None = None
    beta2_kimg: Kimg = 0.0

    def __post_init__(self) -> None:
        check_arguments("optimizer", AdamSettings, vars(self))
        if self.decay != "none" and self.decay_kimg == 0:
            raise UserError(
                f"optimizer.decay={self.decay} optimizer.decay_kimg=0",
                rule="a decay needs a length above 0",
                fix="Add optimizer.decay_kimg=KIMG, for example the length of the run",
            )
        cosine_schedule("optimizer.beta2", 0.0, self.beta2_to, self.beta2_kimg)

    @property
    def is_scheduled(self) -> bool:
        """Whether the rates ever differ from `g_lr` and `d_lr`."""
        return self.rampup_kimg > 0 or self.decay != "none"

    def factor(self, images_seen: int) -> float:
        """Factor on the rates, from 0 to 1: ramp-up times decay.

        ramp-up = min(t / rampup, 1), with t the images seen before the step;
        decay = to + (1 - to) * (1 - s) (linear), or to + (1 - to) * (1 + cos(pi s)) / 2 (cosine; Loshchilov and
        Hutter 2017, arXiv 1608.03983, equation 5), with s = (t - start) / length, clamped to [0, 1].
        """
        kimg = images_seen / 1000
        factor = min(kimg / self.rampup_kimg, 1.0) if self.rampup_kimg else 1.0
        if self.decay == "none":
            return factor
        s = min(max((kimg - self.decay_start_kimg) / self.decay_kimg, 0.0), 1.0)
        left = 1 - s if self.decay == "linear" else (1 + math.cos(math.pi * s)) / 2
        return factor * (self.decay_to + (1 - self.decay_to) * left)

    def rates(self, images_seen: int, growth: float | None = None) -> dict[str, float]:
        """The rates of "G" and "D", before the correction for lazy regularization.

        Args:
            growth: factor of the current resolution; None without growth.
        """
        factor = self.factor(images_seen) * (1.0 if growth is None else growth)
        return {"G": self.g_lr * factor, "D": self.d_lr * factor}

    def set_rate(self, optimizer: torch.optim.Optimizer, images_seen: int, growth: float | None = None) -> None:
        """Set rate and beta2 of an optimizer from `build` for the next step; does nothing without a schedule.

        Args:
            growth: see `rates`.
        """
        first = optimizer.defaults  # the constructor's values; the group's are overwritten by checkpoints
        for group in optimizer.param_groups:
            if self.is_scheduled or growth is not None:
                group["lr"] = first["lr"] * self.factor(images_seen) * (1.0 if growth is None else growth)
            if self.beta2_to is not None:
                beta2 = cosine_schedule("optimizer.beta2", first["beta2"], self.beta2_to, self.beta2_kimg)
                group["betas"] = (first["betas"][0], beta2.at(images_seen) ** first["correction"])

    def build(self, network: str, parameters: Iterable[nn.Parameter], correction: float) -> torch.optim.Adam:
        """Adam with lr * c and beta^c.

        Args:
            network: "G" or "D".
            correction: c of `training.phases.lazy_correction`.
        """
        rate, (beta1, beta2) = {"G": (self.g_lr, self.g_betas), "D": (self.d_lr, self.d_betas)}[network]
        betas = (beta1**correction, beta2**correction)
        optimizer = torch.optim.Adam(parameters, lr=rate * correction, betas=betas, eps=self.eps, fused=True)
        optimizer.defaults |= {"beta2": beta2, "correction": correction}  # for `set_rate`
        return optimizer
