"""A trained generator as a network: its device, its sizes, and differentiable calls."""

from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from stylegen.bounds import DEVICES
from stylegen.checkpoints.snapshot import Snapshot, load_snapshot
from stylegen.distributed import choose_device
from stylegen.errors import UserError, unknown_choice
from stylegen.features.extractor import ieee_float32
from stylegen.latent.truncation import truncate
from stylegen.networks.generator import Noise


class LoadedGenerator:
    """The generator of a snapshot. `stylegen.Model` documents its attributes and has operations on seeds."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self.generator, self.path, self.info = snapshot.generator, snapshot.path, snapshot.info
        self.seed_source = snapshot.seed_source

    @classmethod
    def load(
        cls, path_or_name: str | Path, device: torch.device | str = "auto", dtype: torch.dtype | None = None
    ) -> Self:
        """See `stylegen.load`."""
        chosen = _existing(device)
        return cls(load_snapshot(path_or_name)).to(chosen, dtype)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Self:
        """Move or convert the network in place, and return the model.

        Raises:
            UserError: a device that this machine lacks; a dtype that is not floating-point.
        """
        if dtype is not None and not dtype.is_floating_point:
            raise UserError(f"dtype={dtype}", rule="must be a floating-point type", fix="Use dtype=torch.float32")
        chosen = None if device is None else _existing(device)
        self.generator.to(device=chosen, dtype=dtype).to(memory_format=torch.channels_last)
        return self

    @property
    def device(self) -> torch.device:
        """Of the weights."""
        return next(self.generator.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return next(self.generator.parameters()).dtype

    @property
    def path_dtype(self) -> torch.dtype:
        """Of positions on paths: at least float32, because half precision has too few numbers for many frames."""
        return torch.promote_types(self.dtype, torch.float32)

    @property
    def resolution(self) -> int:
        """Side of the images in pixels."""
        return self.generator.level.resolution

    @property
    def class_names(self) -> list[str]:
        """Names of the classes; empty for an unconditional model."""
        return list(self.info.get("class_names", []))

    @property
    def num_ws(self) -> int:
        """Number of styles L of an image."""
        return self.generator.num_ws

    def mapping(self, z: Tensor, c: Tensor | None = None, psi: float = 1.0) -> Tensor:
        """z [N, z_dim], labels c [N, num_classes] -> styles [N, L, w_dim]; differentiable."""
        G = self.generator
        labels = z.new_zeros(len(z), G.num_classes) if c is None else c
        ws = (
            G.mapping(z.to(self.device, self.dtype), labels.to(self.device, self.dtype))
            .unsqueeze(1)
            .repeat(1, G.num_ws, 1)
        )
        return truncate(ws, G.mapping.w_avg, psi)

    def synthesis(self, ws: Tensor, noise: Noise = "const") -> Tensor:
        """Styles [N, L, w_dim] -> images [N, C, H, W], about in [-1, 1]; differentiable. Without TF32 and autocast.

        Args:
            noise: "const" for the noise stored with the weights, "none", or one [N, 1, r, r] for each r in
                `generator.synthesis.noise_sizes`.
        """
        if isinstance(noise, str) and noise not in ("const", "none"):  # "random" needs seeds: see `sample`
            raise unknown_choice("noise", noise, ("const", "none"))
        with ieee_float32(self.device):
            return self.generator.synthesis(ws.to(self.device, self.dtype), noise)

    def __repr__(self) -> str:
        size = sum(p.numel() for p in self.generator.parameters())
        return (
            f"Model({self.generator.name}, {self.resolution} px, {size / 1e6:.1f} M parameters, "
            f"{self.info.get('dataset', 'unknown data')}, {self.device}, {self.dtype})"
        )

    def _checked(self, ws: Tensor) -> Tensor:
        """Raise UserError for styles of another network, or none."""
        if len(ws) == 0 or ws.shape[1:] != (self.num_ws, self.generator.mapping.w_avg.shape[0]):
            raise UserError(
                f"styles of shape {list(ws.shape)}",
                rule=f"this network has styles [N, {self.num_ws}, {self.generator.mapping.w_avg.shape[0]}]",
                fix="Use styles that `ws` or `project` returned for it",
            )
        return ws.to(self.device, self.dtype)


def _existing(device: torch.device | str) -> torch.device:
    """The device of a name, such as "auto" or "cuda:1"; UserError if this machine lacks it."""
    if device in DEVICES:
        return choose_device(str(device))
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:  # the latter: this torch is built without such devices
        fix = "Use device=auto or device=cpu"
        raise UserError(f"device={device}", rule="this machine has no such device", fix=fix) from error
