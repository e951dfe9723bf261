"""Measures how often a conditional generator produces the requested skin tone, by mean color.

    python -m tests.support.skin_tones RUN_FOLDER
    python -m tests.support.skin_tones SNAPSHOT DIRECTIONS.safetensors

Samples 200 images from the run's newest snapshot (seeds 0 to 199, no truncation, the six classes in turn) and prints
the share with the requested class as nearest class. The classifier is fitted to the real portraits: of the 48 face
pixels with the largest ratio of between-class to within-class variance, it drops the darker half (outlines, eyes,
shadows) and the brightest tenth, and compares the mean color of the rest with the mean of each class. Beards, hats and
hands cover the skin of some portraits, so it is wrong on some real ones: its accuracy on one half of the portraits,
fitted to the other half, is printed as an upper bound.

With a file of directions, the second command measures how its first direction moves the tone, which is ordered from
none (yellow) to dark, of 200 images (seeds 10000 to 10199, psi 0.7), and how much skin, hair and clothes change: mean
absolute difference of pixels, relative to the difference between two seeds.
"""

import sys
from dataclasses import dataclass

import torch
from torch import Tensor

from stylegen.checkpoints.snapshot import load_snapshot
from stylegen.data.dataset import OPENMOJI, ImageDataset
from stylegen.latent.directions_file import Directions, read_directions
from stylegen.latent.sample_labels import one_class
from stylegen.latent.sampler import Sampler
from stylegen.latent.truncation import truncate

NUM_PIXELS = 48
KEPT = slice(24, 43)  # of these pixels, by increasing brightness
NUM_SAMPLES = 200
HAIR, CLOTHES = slice(0, 18), slice(52, 64)  # rows of 64: above the face, and below the neck


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


def moved(directions: Directions, sampler: Sampler, seeds: list[int], strength: float) -> tuple[Tensor, Tensor]:
    """Images before and after a move along the first direction."""
    ws = truncate(sampler.ws(seeds), sampler.generator.mapping.w_avg, sampler.psi)
    after = directions.move(ws, 0, strength)
    return sampler.render(ws, seeds, psi=1), sampler.render(after, seeds, psi=1)


def share_moved(judge: Judge, before: Tensor, after: Tensor, darker: bool) -> float:
    """Share of the images that change to a darker (or lighter) tone, of those that can."""
    a, b = judge(before), judge(after)
    able = a < len(judge.colors) - 1 if darker else a > 0
    return ((b > a) if darker else (b < a))[able].double().mean().item()


def measure_directions(snapshot: str, path: str) -> None:
    """Print the share of images whose tone moves, and the changes of regions, at each strength."""
    generator = load_snapshot(snapshot).generator
    directions, sampler = read_directions(path, generator), Sampler(generator, psi=0.7)
    images, classes, _ = portraits(generator.resolution)
    judge, seeds = learn(images, classes), list(range(10_000, 10_000 + NUM_SAMPLES))
    for strength in (-3, -2, -1, 1, 2, 3):
        before, after = (x.double() for x in moved(directions, sampler, seeds, strength))
        regions = {
            "skin": (..., judge.pixels),
            "hair": (..., HAIR, slice(None)),
            "clothes": (..., CLOTHES, slice(None)),
        }
        others = before.roll(1, dims=0)
        changes = {k: (after - before)[r].abs().mean() / (others - before)[r].abs().mean() for k, r in regions.items()}
        share = share_moved(judge, before, after, strength > 0)
        print(f"{strength:+d}: moved {share:.3f}; " + ", ".join(f"{k} {v:.2f}" for k, v in changes.items()))


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
    main(sys.argv[1]) if len(sys.argv) == 2 else measure_directions(sys.argv[1], sys.argv[2])
