"""Directions from two sets of examples: images, latents, or classes of a conditional network.

A boundary in w needs w with labels. Two methods find them for images:

- "classify" (Shen et al. 2020, arXiv 2005.09635, section 4.1): a linear classifier of the images' features labels
  sampled images, whose w are known. The most confident ones count.
- "project": w of the images themselves, by optimization. Needs some hundred steps for each image.
"""

from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
from torch import Tensor

from stylegen.bounds import Choice, Count, Range
from stylegen.checkpoints.snapshot import Snapshot
from stylegen.data import openmoji
from stylegen.data.labels import select
from stylegen.data.metadata import class_names
from stylegen.data.prepare.image_conversion import Recipe
from stylegen.data.prepare.target_images import converted, target_images, target_recipe
from stylegen.data.sources import open_source
from stylegen.data.sources.formats import CONVERTIBLE_SUFFIXES
from stylegen.errors import UserError, unknown_choice
from stylegen.features import FeatureExtractor
from stylegen.features.lpips import perceptual_distance
from stylegen.images import to_float, to_uint8
from stylegen.latent.direction_methods import Boundary, fit_boundary
from stylegen.latent.latents_file import read_latents
from stylegen.latent.matching import Matching
from stylegen.latent.projection import ProjectionOptions, Projector, sampled_w, w_statistics
from stylegen.latent.sample_labels import parse_labels
from stylegen.latent.sampler import Sampler

Progress = Callable[[str, float, float, str], None]  # task, done, in all, text
_CHUNK = 64  # images between two steps of a progress bar


@dataclass(frozen=True)
class LabelOptions:
    """How examples become w with labels.

    Args:
        labels: source of labeled w for sets of images; classify: sampled w, labeled by a classifier of features;
            project: the w of the images.
        labeled_seeds: seeds that the classifier labels, and seeds of each class of a conditional network.
        confident: share of the labeled seeds that the boundary is fitted to, on each side.
        max_images: maximum number of images in each set.
        steps: number of steps of the projection of each image.
    """

    labels: Annotated[str, Choice(("classify", "project"))] = "classify"
    labeled_seeds: Annotated[int, Range(20, 1_000_000)] = 2000
    confident: Annotated[float, Range(0, 0.5, above=True)] = 0.1
    max_images: Count = 1000
    steps: Annotated[int, Range(1, 100_000)] = 500


@dataclass(frozen=True)
class Examples:
    """One side of a boundary.

    Attributes:
        images: uint8 [N, C, H, W], or None.
        w: [N, w_dim], or None.
    """

    images: Tensor | None = None
    w: Tensor | None = None


def read_examples(setting: str, text: str, snapshot: Snapshot, dataset: str | None, options: LabelOptions) -> Examples:
    """Examples by what `text` names.

    Args:
        setting: "positive" or "negative".
        text: classes of `dataset` separated by commas; else latents (.npz), a folder or archive of images, an image, or
            a class of the network.
        snapshot: the generator.
        dataset: path of a labeled dataset, or openmoji.

    Raises:
        UserError: nothing of this name; images or latents that cannot be used.
    """
    G, path = snapshot.generator, Path(text).expanduser()
    if dataset is not None:
        return Examples(images=_class_images(setting, text, dataset, snapshot, options.max_images))
    if path.suffix == ".npz":
        return Examples(w=read_latents(text, G, setting).ws.mean(dim=1))
    if path.exists():
        named = target_images(text, _recipe(snapshot), options.max_images, setting=setting)
        return Examples(images=_uint8(named))
    if not G.num_classes:
        raise UserError(
            f"{setting}={text}",
            rule="no file or folder has this name, and this network has no classes",
            fix=f"Use {setting}= with a folder of images or an .npz of latents; or data.path=DATASET and a class of it",
        )
    names = [*map(str, snapshot.info.get("class_names", [])), *map(str, range(G.num_classes))]
    if text not in names:
        raise unknown_choice(setting, text, names)
    return Examples(w=sampled_w(G, options.labeled_seeds, parse_labels(text, snapshot)))


def _class_images(setting: str, text: str, path: str, snapshot: Snapshot, limit: int) -> Tensor:
    """uint8 images of classes of a dataset, converted as the training images were; at most `limit`, at random."""
    resolution = snapshot.generator.level.resolution
    file = openmoji.dataset_path(resolution) if path == openmoji.NAME else Path(path).expanduser()
    with closing(open_source(file, "data.path", CONVERTIBLE_SUFFIXES)) as source:
        keys = source.keys()
        labels = [source.label(key) for key in keys]
        classes = [name.strip() for name in text.split(",")]
        chosen = [keys[k] for k in select(labels, class_names(source.metadata), classes, limit, 0, setting)]
        encoded = ((key, source.read(key)) for key in chosen)
        return _uint8(converted(encoded, _recipe(snapshot), f"data.path={path}"))


def _recipe(snapshot: Snapshot) -> Recipe:
    G = snapshot.generator
    return target_recipe(G.level.resolution, G.channels, snapshot.info.get("prepared"))


def _uint8(named: Iterable[tuple[str, Tensor]]) -> Tensor:
    """[N, C, H, W] of images in [-1, 1] with names."""
    return to_uint8(torch.stack([image for _, image in named]))


@dataclass(frozen=True)
class LabeledSpace:
    """A boundary in w and the same distinction in the space of images.

    Attributes:
        boundary: hyperplane in w between images of both kinds.
        classifier: hyperplane between the features of both kinds.
    """

    boundary: Boundary
    classifier: Boundary


@dataclass(frozen=True)
class Labeler:
    """Finds the boundary in w between two sets of examples.

    Args:
        sampler: its psi truncates the sampled images.
        features: space of the classifier.
        options: see `LabelOptions`.
        progress: called after each chunk of images.
    """

    sampler: Sampler
    features: FeatureExtractor
    options: LabelOptions
    progress: Progress

    def __call__(self, positive: Examples, negative: Examples) -> LabeledSpace:
        """Label w by the classifier, if both sets are images; else by the examples' own w."""
        sides = (positive, negative)
        classifier = fit_boundary(*(self.features(self._images(side)) for side in sides))
        if self.options.labels == "classify" and all(side.images is not None for side in sides):
            return LabeledSpace(self._classified(classifier), classifier)
        return LabeledSpace(fit_boundary(*(self._w(side) for side in sides)), classifier)

    def _images(self, side: Examples) -> Tensor:
        if side.images is not None:
            return side.images
        assert side.w is not None
        ws = side.w.to(self.sampler.device, self.sampler.dtype)[: self.options.max_images]
        ws = ws.unsqueeze(1).repeat(1, self.sampler.generator.num_ws, 1)
        return self.sampler.render(ws, list(range(len(ws))))

    def _w(self, side: Examples) -> Tensor:
        """[N, w_dim]; images are projected, each by itself."""
        if side.w is not None:
            return side.w.cpu()
        assert side.images is not None
        perceptual = perceptual_distance("auto", device=self.sampler.device)
        options = ProjectionOptions(steps=self.options.steps, starts=1)
        projector = Projector(self.sampler.generator, Matching(perceptual), options, self.progress)
        start = w_statistics(self.sampler.generator, options.w_samples, self.sampler.labels)
        parts = []
        for batch in side.images.split(self.sampler.batch_size):
            targets = to_float(batch.to(self.sampler.device)).to(self.sampler.dtype)
            parts.append(projector.to_w(targets, start)[:, 0].cpu())
            self.progress("projected images", sum(map(len, parts)), len(side.images), "")
        return torch.cat(parts)

    def _classified(self, classifier: Boundary) -> Boundary:
        """Boundary between the w of the most confident sampled images on each side."""
        count, sampler = self.options.labeled_seeds, self.sampler
        found, scores = [], []
        for seeds in torch.arange(count).split(_CHUNK):
            ws = sampler.ws(seeds.tolist())
            scores.append(classifier(self.features(sampler.render(ws, seeds.tolist()))))
            found.append(sampler.truncated(ws, seeds.tolist())[:, 0].cpu())
            self.progress("labeled images", int(seeds[-1]) + 1, count, "")
        w, order = torch.cat(found), torch.cat(scores).argsort(stable=True)
        kept = max(2, int(count * self.options.confident))
        # In the order of seeds, so that the held-out fifth is as confident as the rest.
        return fit_boundary(w[order[-kept:].sort().values], w[order[:kept].sort().values])
