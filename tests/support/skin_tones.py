"""Measures how often a conditional generator produces the requested skin tone, by mean color.

    python -m tests.support.skin_tones RUN_FOLDER

Samples 200 images from the run's newest snapshot (seeds 0 to 199, no truncation, the six classes in turn) and prints
the share with the requested class as nearest class. The classifier is fitted to the real portraits: of the 48 face
pixels with the largest ratio of between-class to within-class variance, it drops the darker half (outlines, eyes,
shadows) and the brightest tenth, and compares the mean color of the rest with the mean of each class. Beards, hats and
hands cover the skin of some portraits, so it is wrong on some real ones: its accuracy on one half of the portraits,
fitted to the other half, is printed as an upper bound.
"""

import sys
from dataclasses import dataclass

import torch
from torch import Tensor

from stylegen.checkpoints.snapshot import load_snapshot
from stylegen.data.dataset import OPENMOJI, ImageDataset
from stylegen.latent.sample_labels import one_class
from stylegen.latent.sampler import Sampler

NUM_PIXELS = 48
KEPT = slice(24, 43)  # of these pixels, by increasing brightness
NUM_SAMPLES = 200


@dataclass(frozen=True)
class Judge:
    """Nearest mean color.

    Attributes:
        pixels: bool [H, W], pixels used.
        colors: [num_classes, 3], mean of each class.
    """

    pixels: Tensor
    colors: Tensor

    def __call__(self, images: Tensor) -> Tensor:
        """uint8 [N, 3, H, W] -> class [N]."""
        return torch.cdist(_skin_color(images, self.pixels), self.colors).argmin(dim=1)


def learn(images: Tensor, classes: Tensor) -> Judge:
    """A classifier from images uint8 [N, 3, H, W] of known classes [N]."""
    x, kinds = images.double(), classes.unique()
    means = torch.stack([x[classes == k].mean(dim=0) for k in kinds])
    between = means.var(dim=0).sum(dim=0)
    within = (x - means[classes]).var(dim=0).sum(dim=0)
    ratio = between / (within + 50)  # the constant, in squared gray levels, excludes nearly constant pixels
    pixels = torch.zeros_like(ratio, dtype=torch.bool)
    pixels.view(-1)[ratio.flatten().topk(NUM_PIXELS).indices] = True
    colors = _skin_color(images, pixels)
    return Judge(pixels, torch.stack([colors[classes == k].mean(dim=0) for k in kinds]))


def held_out_accuracy(images: Tensor, classes: Tensor) -> float:
    """Accuracy on one half of the real images after fitting to the other half."""
    even = torch.arange(len(images)) % 2 == 0
    right = [(learn(images[a], classes[a])(images[~a]) == classes[~a]).double().mean() for a in (even, ~even)]
    return float(torch.stack(right).mean())


def _skin_color(images: Tensor, pixels: Tensor) -> Tensor:
    """[N, 3]: mean color of the `KEPT` of these pixels, per image."""
    colors = images.double()[:, :, pixels]
    kept = colors.sum(dim=1).argsort(dim=1)[:, KEPT]
    return colors.gather(2, kept[:, None].expand(-1, 3, -1)).mean(dim=2)


def portraits(resolution: int) -> tuple[Tensor, Tensor, list[str]]:
    """All portraits uint8 [N, 3, H, W], their classes [N], and the class names."""
    dataset = ImageDataset(OPENMOJI, resolution, use_labels=True)
    images, labels = dataset.batch(range(dataset.num_images))
    return images, labels.argmax(dim=1), dataset.class_names or []


def main(run_folder: str) -> None:
    """Print the classifier's accuracy, the share of each class, and the share of all."""
    generator = load_snapshot(run_folder).generator
    images, classes, names = portraits(generator.resolution)
    judge = learn(images, classes)
    print(f"real portraits put into their class: {held_out_accuracy(images, classes):.3f} (the ceiling)")
    right = 0
    for number, name in enumerate(names):
        seeds = list(range(number, NUM_SAMPLES, len(names)))
        found = judge(Sampler(generator, labels=one_class(number, generator.num_classes)).images(seeds))
        right += (hits := int((found == number).sum()))
        print(f"{name:13s} {hits / len(seeds):.3f} of {len(seeds)}; taken for {found.bincount(minlength=6).tolist()}")
    print(f"requested tone generated: {right / NUM_SAMPLES:.3f} of {NUM_SAMPLES}")


if __name__ == "__main__":
    main(sys.argv[1])
