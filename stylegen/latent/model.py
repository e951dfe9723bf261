"""`stylegen.load(...)`: a generator with the operations that people use, on tensors."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeGuard

import torch
from PIL.Image import Image
from torch import Tensor

from stylegen.data.prepare.target_images import any_targets, target_recipe
from stylegen.errors import UserError, unknown_choice
from stylegen.images import to_uint8
from stylegen.latent.image_batch import Images
from stylegen.latent.interpolation import cubic, lerp, plane, slerp
from stylegen.latent.loaded_generator import LoadedGenerator
from stylegen.latent.mixing import mix, parse_layers
from stylegen.latent.motion import chosen_motion
from stylegen.latent.project_images import find_styles
from stylegen.latent.projection import ProjectionOptions
from stylegen.latent.sample_labels import parse_labels
from stylegen.latent.sampler import Sampler, check_noise
from stylegen.latent.seeds import latents, positive, seed_numbers
from stylegen.latent.style_space import read_styles, synthesize_styles
from stylegen.latent.truncation import class_centers, label_centers, truncate

Seeds = int | str | Sequence[int] | Tensor
Label = int | str | None


class Model(LoadedGenerator):
    """A trained generator. Seeds give the same images as `sample.py`, at any batch size.

    Where a method takes `seeds`, use a number, a sequence of numbers, text such as "0-15,40", or styles
    [N, L, w_dim], which are used as they are. `psi` truncates (Karras et al. 2019, appendix B):
    w_avg + psi (w - w_avg); 1 for none. `label` is the class, by index or name, several in turn or a mixture (see
    `stylegen.latent.sample_labels.parse_labels`); None for a random class per seed.

    Attributes:
        generator: the network, in evaluation mode; parameters need no gradients.
        path: the snapshot's file.
        info: recorded at training, such as images_seen, dataset, class_names.
        seed_source: random numbers of z, "stylegen" or "numpy"; may be set. Imported networks have "numpy": a seed of
            NVIDIA's figures gives the same image here.

    Raises:
        stylegen.errors.UserError: by all methods, for a seed, class, layer or device that does not exist.
    """

    def z(self, seeds: Seeds) -> Tensor:
        """Latents [N, z_dim] of seeds, of unit variance."""
        numbers = seed_numbers(seeds)
        return latents(numbers, self.generator.z_dim, self.device, self.seed_source).to(self.dtype)

    def w(self, seeds: Seeds, psi: float = 1.0, label: Label = None) -> Tensor:
        """Latents [N, w_dim] of seeds after the mapping network."""
        return self.ws(seed_numbers(seeds), psi, label)[:, 0]

    def ws(self, seeds: Seeds, psi: float = 1.0, label: Label = None) -> Tensor:
        """Styles [N, L, w_dim] of seeds; for each layer the same w."""
        if _are_styles(seeds):
            return self._checked(seeds)
        numbers = seed_numbers(seeds)
        sampler = self._sampler(psi, label)
        return sampler.truncated_ws(numbers)

    def truncate(self, ws: Tensor, psi: float, cutoff: int | None = None, label: int | str | None = None) -> Tensor:
        """Styles [N, L, w_dim] truncated in the first `cutoff` layers, toward the mean of all w, or of a class.

        >>> import stylegen
        >>> model = stylegen.load("portraits64")
        >>> ws = model.ws("0-3")
        >>> model.truncate(ws, psi=1).equal(ws)
        True
        """
        G, center = self.generator, self.generator.mapping.w_avg
        if label is not None:
            row = parse_labels(label, self._snapshot)([0]).to(self.device)
            classes = row[0].nonzero()[:, 0]
            if len(classes):  # else a vector of zeros
                center = label_centers(row[:, classes], class_centers(G, classes), center)
        sampler = Sampler(G, psi=psi, cutoff=cutoff)  # checks them
        return truncate(self._checked(ws), center, sampler.psi, sampler.cutoff)

    def sample(
        self,
        seeds: Seeds,
        psi: float = 0.7,
        label: Label = None,
        noise: str = "const",
        translate: Sequence[float] = (0.0, 0.0),
        rotate: float = 0.0,
        transform: Tensor | None = None,
    ) -> Images:
        """Images of seeds.

        >>> import stylegen
        >>> images = stylegen.load("portraits64").sample("0-7", psi=0.7)
        >>> images.shape, images.dtype
        (torch.Size([8, 3, 64, 64]), torch.uint8)

        Args:
            noise: "const", "none", or "random" for noise that depends on the seed.
            translate, rotate: move the image by x (to the right) and y (down) in units of its width, and rotate it by
                degrees, counter-clockwise, before. StyleGAN3 only.
            transform: any affine motion of the image as a matrix [3, 3], in place of both.
        """
        motion = chosen_motion(self.generator, translate, rotate, transform)
        if _are_styles(seeds):
            return self.render(seeds, noise, motion)
        return self._sampler(psi, label, noise, motion).images(seed_numbers(seeds)).as_subclass(Images)

    def render(self, ws: Tensor, noise: str = "const", transform: Tensor | None = None) -> Images:
        """Styles [N, L, w_dim] -> uint8 images, in batches, without gradients; `transform` as in `sample`."""
        styles, motion = self._checked(ws), chosen_motion(self.generator, transform=transform)
        return self._sampler(1.0, None, noise, motion).render(styles, list(range(len(ws)))).as_subclass(Images)

    def mix(self, seeds: Seeds, styles: Seeds, layers: str = "coarse", psi: float = 0.7, label: Label = None) -> Images:
        """Style mixing (Karras et al. 2019, section 3.1): each image of `seeds` with `layers` of one of `styles`.

        >>> import stylegen
        >>> model = stylegen.load("portraits64")
        >>> model.mix([0, 1], [10, 11], layers="coarse:0.5").shape
        torch.Size([2, 3, 64, 64])

        Args:
            styles: seeds or styles of the other sources; one for each of `seeds`, or one for all.
            layers: "coarse" (4-8 px), "middle" (16-32 px), "fine" (from 64 px), "all", "none", or numbers such as
                "4-7"; with weights such as "coarse:0.5,8".
        """
        ws, others = self.ws(seeds, psi, label), self.ws(styles, psi, label)
        if len(others) not in (1, len(ws)):
            raise UserError(
                f"{len(ws)} seeds with {len(others)} styles",
                rule="each seed is mixed with one source of styles",
                fix=f"Give {len(ws)} seeds of styles, or one",
            )
        return self.render(mix(ws, others, parse_layers(layers, self.generator.slot_resolutions)))

    def interpolate(
        self, start: Seeds, end: Seeds, frames: int = 16, psi: float = 0.7, label: Label = None, space: str = "w"
    ) -> Images:
        """Images along the path from one seed to another, ends included.

        >>> import stylegen
        >>> stylegen.load("portraits64").interpolate(0, 1, frames=5).shape
        torch.Size([5, 3, 64, 64])

        Args:
            space: "w" for the line between their w; "z" for the great circle between their z, on which a linear path
                would leave the sphere of likely z.
        """
        if space not in ("w", "z"):
            raise unknown_choice("space", space, ("w", "z"))
        steps = torch.linspace(0, 1, positive("frames", frames), device=self.device, dtype=self.path_dtype)
        if space == "w":
            a, b = torch.cat([self.ws(start, psi, label)[:1], self.ws(end, psi, label)[:1]])
            return self.render(lerp(a, b, steps))
        a, b = torch.cat([self.z(start)[:1], self.z(end)[:1]])
        path = slerp(a.expand(frames, -1), b.expand(frames, -1), steps[:, None])
        number = seed_numbers(start)[0]
        c = self._sampler(psi, label).c([number]).expand(frames, -1)
        return self.render(self.mapping(path, c, psi))

    def walk(self, seeds: Seeds, frames: int = 24, psi: float = 0.7, label: Label = None) -> Images:
        """Images of a closed walk through the seeds: a cubic in w with continuous velocity, `frames` from seed to seed.

        >>> import stylegen
        >>> stylegen.load("portraits64").walk("0-2", frames=4).shape
        torch.Size([12, 3, 64, 64])
        """
        ws = self.ws(seeds, psi, label)
        steps = torch.arange(len(ws) * positive("frames", frames), device=self.device, dtype=self.path_dtype) / frames
        return self.render(cubic(ws.to(steps), torch.arange(len(ws) + 1.0), steps))

    def plane(self, seeds: Seeds, steps: int = 5, psi: float = 0.7, label: Label = None) -> Images:
        """Images on the plane through the w of three seeds, `steps` x `steps`, row by row.

        The first seed is at the top left, the second at the top right, the third at the bottom left.

        >>> import stylegen
        >>> stylegen.load("portraits64").plane([0, 1, 2], steps=3).shape
        torch.Size([9, 3, 64, 64])
        """
        corners = self.ws(seeds, psi, label)
        if len(corners) != 3:
            raise UserError(f"{len(corners)} seeds", rule="three points span a plane", fix="Give three seeds")
        t = torch.linspace(0, 1, positive("steps", steps), device=self.device, dtype=self.path_dtype)
        origin, right, down = corners
        return self.render(plane(origin, right - origin, down - origin, t, t).flatten(0, 1))

    def project(
        self,
        images: str | Path | Image | Tensor,
        space: str = "w+",
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
            space: "w+", one w for each layer, or "w", one for all layers.
            steps: optimization steps in W, and with "w+" as many again in W+.
            starts: number of w, of which the nearest is the start.
            label: class of these w; None for all classes.
        """
        recipe = target_recipe(self.resolution, self.generator.channels, self.info.get("prepared"))
        options = ProjectionOptions(steps=positive("steps", steps), starts=positive("starts", starts))
        labels = parse_labels(label, self._snapshot)
        return find_styles(self.generator, any_targets(images, recipe), space, options, labels)

    def style_space(self, seeds: Seeds, psi: float = 0.7, label: Label = None) -> dict[str, Tensor]:
        """Style space (arXiv 2011.12799): name of an affine layer -> its styles [N, C], one for each feature map.

        >>> import stylegen
        >>> model = stylegen.load("portraits64")
        >>> model.style_space(2)["blocks.16.conv1.affine"].shape
        torch.Size([1, 64])
        """
        return read_styles(self.generator, self.ws(seeds, psi, label))

    def render_styles(
        self, seeds: Seeds, changes: Mapping[str, Tensor], psi: float = 0.7, label: Label = None
    ) -> Images:
        """Images of seeds with the styles of some layers replaced: name -> [N, C], as from `style_space`."""
        with torch.no_grad():
            images = synthesize_styles(self.generator, self.ws(seeds, psi, label), changes)
        return to_uint8(images).as_subclass(Images)

    def _sampler(self, psi: float, label: Label, noise: str = "const", motion: Tensor | None = None) -> Sampler:
        labels = parse_labels(label, self._snapshot)
        check_noise(self.generator, noise)
        made = Sampler(self.generator, psi=psi, noise=noise, labels=labels, seed_source=self.seed_source)
        return made.replaced(motion=motion)


def _are_styles(seeds: object) -> TypeGuard[Tensor]:
    return isinstance(seeds, Tensor) and seeds.is_floating_point() and seeds.ndim == 3
