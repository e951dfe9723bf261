"""`stylegen.load(...)`: a generator with the operations that people use, on tensors."""

import io
import math
import operator
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor

from stylegen.bounds import DEVICES, brief
from stylegen.checkpoints.snapshot import Snapshot, load_snapshot
from stylegen.data.prepare.target_images import any_targets, target_recipe
from stylegen.distributed import choose_device
from stylegen.errors import UserError, unknown_choice
from stylegen.images import make_grid, to_pil, write_png
from stylegen.latent.interpolation import lerp
from stylegen.latent.project_images import find_styles
from stylegen.latent.projection import ProjectionOptions
from stylegen.latent.sampler import Sampler, mix, truncate
from stylegen.latent.seeds import MAX_SEED, parse_layers, parse_seeds
from stylegen.networks.generator import Noise

Seeds = int | str | Sequence[int]
Label = int | str | None


class Images(Tensor):
    """uint8 images [N, C, H, W] in [0, 255]: a tensor that notebooks show as a grid.

    Operations return plain tensors.
    """

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    def grid(self, columns: int | None = None) -> Tensor:
        """uint8 [C, H, W]: the images row by row, in a square by default."""
        columns = math.ceil(math.sqrt(len(self))) if columns is None else _positive("columns", columns)
        return make_grid(self.as_subclass(Tensor).cpu(), columns)

    def save(self, path: str | Path, columns: int | None = None, scale: int = 1) -> Path:
        """Write the grid as PNG, each pixel as a square of `scale` pixels -> the path, without `~`."""
        path = Path(path).expanduser()
        write_png(path, self.grid(columns), _positive("scale", scale))
        return path

    def _repr_png_(self) -> bytes:
        data = io.BytesIO()
        to_pil(self.grid()).save(data, format="PNG")
        return data.getvalue()


class Model:
    """A trained generator. Seeds give the same images as `sample.py`, at any batch size.

    Where a method takes `seeds`, use a number, a sequence of numbers, or text such as "0-15,40". `psi` truncates
    (Karras et al. 2019, appendix B): w_avg + psi (w - w_avg); 1 for none. `label` is the class, by index or name; None
    for a random one per seed.

    Attributes:
        generator: the network, in evaluation mode; parameters need no gradients.
        path: of the snapshot.
        info: recorded at training, such as images_seen, dataset, class_names.
        seed_source: of z, "stylegen" or "numpy"; may be set. Imported networks have "numpy": a seed of NVIDIA's figures
            gives the same image here.

    Raises:
        stylegen.errors.UserError: by all methods, for a seed, class, layer or device that does not exist.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self.generator, self.path, self.info = snapshot.generator, snapshot.path, snapshot.info
        self.seed_source = snapshot.seed_source

    @classmethod
    def load(
        cls, path_or_name: str | Path, device: torch.device | str = "auto", dtype: torch.dtype | None = None
    ) -> "Model":
        """See `stylegen.load`."""
        chosen = _existing(device)
        return cls(load_snapshot(path_or_name)).to(chosen, dtype)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "Model":
        """Move or convert the network in place, and return the model.

        Raises:
            UserError: a device that this machine lacks; a dtype that is not floating-point.
        """
        if dtype is not None and not dtype.is_floating_point:
            raise UserError(f"dtype={dtype}", rule="weights are floating-point", fix="Use dtype=torch.float32")
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

    def ws(self, seeds: Seeds, psi: float = 1.0, label: Label = None) -> Tensor:
        """Styles [N, L, w_dim] of seeds."""
        sampler, numbers = self._sampler(psi, label), _numbers(seeds)
        return truncate(sampler.ws(numbers), self.generator.mapping.w_avg, psi)

    def mapping(self, z: Tensor, c: Tensor | None = None, psi: float = 1.0) -> Tensor:
        """z [N, z_dim], labels c [N, num_classes] -> styles [N, L, w_dim]; differentiable."""
        G = self.generator
        labels = z.new_zeros(len(z), G.num_classes) if c is None else c
        ws = G.mapping(z.to(self.device, self.dtype), labels.to(self.device)).unsqueeze(1).repeat(1, G.num_ws, 1)
        return truncate(ws, G.mapping.w_avg, psi)

    def synthesis(self, ws: Tensor, noise: Noise = "const") -> Tensor:
        """Styles [N, L, w_dim] -> images [N, C, H, W], about in [-1, 1]; differentiable.

        Args:
            noise: "const" for the noise stored with the weights, "none", or one [N, 1, r, r] for each r in
                `generator.synthesis.noise_sizes`.
        """
        if isinstance(noise, str) and noise not in ("const", "none"):  # "random" needs seeds: see `sample`
            raise unknown_choice("noise", noise, ("const", "none"))
        return self.generator.synthesis(ws.to(self.device, self.dtype), noise)

    def sample(self, seeds: Seeds, psi: float = 0.7, label: Label = None, noise: str = "const") -> Images:
        """Images of seeds.

        >>> import stylegen
        >>> images = stylegen.load("portraits64").sample("0-7", psi=0.7)
        >>> images.shape, images.dtype
        (torch.Size([8, 3, 64, 64]), torch.uint8)

        Args:
            noise: "const", "none", or "random" for noise that depends on the seed.
        """
        return self._sampler(psi, label, noise).images(_numbers(seeds)).as_subclass(Images)

    def render(self, ws: Tensor, noise: str = "const") -> Images:
        """Styles [N, L, w_dim] -> uint8 images, in batches, without gradients."""
        styles = ws.to(self.device, self.dtype)
        return self._sampler(1.0, None, noise).render(styles, list(range(len(ws)))).as_subclass(Images)

    def mix(self, seeds: Seeds, styles: Seeds, layers: str = "coarse", psi: float = 0.7, label: Label = None) -> Images:
        """Style mixing (Karras et al. 2019, section 3.1): each image of `seeds` with `layers` of one of `styles`.

        >>> import stylegen
        >>> model = stylegen.load("portraits64")
        >>> model.mix([0, 1], [10, 11], layers="coarse").shape
        torch.Size([2, 3, 64, 64])

        Args:
            styles: seeds of the other sources; one for each of `seeds`, or one for all.
            layers: "coarse" (4-8 px), "middle" (16-32 px), "fine" (from 64 px), or numbers such as "4-7".
        """
        ws, others = self.ws(seeds, psi, label), self.ws(styles, psi, label)
        if len(others) not in (1, len(ws)):
            raise UserError(
                f"{len(ws)} seeds with {len(others)} styles",
                rule="each seed is mixed with one source of styles",
                fix=f"Give {len(ws)} seeds of styles, or one",
            )
        return self.render(mix(ws, others, parse_layers(layers, self.resolution, self.generator.num_active_ws)))

    def interpolate(self, start: int, end: int, frames: int = 16, psi: float = 0.7, label: Label = None) -> Images:
        """Images on the line between the w of two seeds, ends included.

        >>> import stylegen
        >>> stylegen.load("portraits64").interpolate(0, 1, frames=5).shape
        torch.Size([5, 3, 64, 64])
        """
        a, b = self.ws([start, end], psi, label)
        steps = torch.linspace(0, 1, _positive("frames", frames), device=self.device, dtype=self.dtype)
        return self.render(lerp(a, b, steps))

    def project(
        self,
        images: str | Path | Image | Tensor,
        space: str = "w",
        steps: int = 500,
        starts: int = 256,
        label: Label = None,
    ) -> Tensor:
        """Styles [N, L, w_dim] with which the model gives images, by optimization; see docs/latent.md.

        >>> import stylegen
        >>> model = stylegen.load("portraits64")
        >>> model.project(model.sample([3]), steps=2, starts=1).shape
        torch.Size([1, 10, 128])

        Args:
            images: a path of an image, folder or archive, or a Pillow image: cropped and resized as the training
                images; or a tensor [N, C, H, W] of the model's size, uint8 or float in [-1, 1].
            space: "w", one w for all layers, or "w+", one for each.
            steps: in each of the two.
            starts: number of w, of which the nearest is the start.
            label: class whose mean w is the start; None for the mean of all.
        """
        sampler = self._sampler(1.0, label)
        recipe = target_recipe(self.resolution, self.generator.channels, self.info.get("prepared"))
        options = ProjectionOptions(steps=_positive("steps", steps), starts=_positive("starts", starts))
        return find_styles(self.generator, any_targets(images, recipe), space, options, sampler.label)

    def __repr__(self) -> str:
        size = sum(p.numel() for p in self.generator.parameters())
        return (
            f"Model({self.generator.name}, {self.resolution} px, {size / 1e6:.1f} M parameters, "
            f"{self.info.get('dataset', 'unknown data')}, {self.device}, {self.dtype})"
        )

    def _sampler(self, psi: float, label: Label, noise: str = "const") -> Sampler:
        label = self._snapshot.class_index(label)
        return Sampler(self.generator, psi=psi, noise=noise, label=label, seed_source=self.seed_source)


def _existing(device: torch.device | str) -> torch.device:
    """The device of a name, such as "auto" or "cuda:1"; UserError if this machine lacks it."""
    if device in DEVICES:
        return choose_device(str(device))
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:  # the latter: this torch is built without such devices
        fix = "Use device=auto or device=cpu"
        raise UserError(f"device={device}", rule="this machine has no such device", fix=fix) from error


def _positive(name: str, number: int) -> int:
    try:
        value = operator.index(number)
    except TypeError:
        value = 0
    if value < 1:
        raise UserError(f"{name}={brief(number)}", rule="it is a whole number from 1", fix=f"Use {name}=1 or more")
    return value


def _numbers(seeds: Any) -> list[int]:
    """`Seeds`, also those of NumPy and torch, as a checked list."""
    if isinstance(seeds, str):
        return parse_seeds(seeds)
    try:
        return parse_seeds(str(operator.index(seeds)))
    except TypeError:  # several
        pass
    try:
        return parse_seeds(",".join(str(operator.index(seed)) for seed in seeds))
    except TypeError as error:
        raise UserError(
            f"seeds={brief(seeds)}",
            rule=f"a seed is a whole number from 0 to {MAX_SEED}",
            fix='Use a number, a sequence of numbers, or text such as "0-15,40"',
        ) from error
