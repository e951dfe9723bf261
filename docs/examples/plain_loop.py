"""Trains a StyleGAN2 in a plain loop: `python docs/examples/plain_loop.py`. See docs/plain-loop.md."""

from pathlib import Path

import torch

from stylegen.checkpoints.snapshot import save_snapshot
from stylegen.data.dataset import ImageDataset
from stylegen.losses import LOSSES
from stylegen.networks import DISCRIMINATORS, build_generator
from stylegen.regularizers import REGULARIZERS
from stylegen.training.batches import TrainingData
from stylegen.training.random_inputs import KeyedRandomInputs
from stylegen.training.step import Objective, TrainingStep

CPU = torch.device("cpu")


def train(out: Path, total_images: int = 100_000, device: torch.device = CPU, **size: int) -> None:
    """`size`: arguments of both networks' constructors, such as channel_base and channel_max."""
    dataset = ImageDataset("openmoji", resolution=32)
    generator = build_generator("stylegan2", **vars(dataset.spec), **size)
    discriminator = DISCRIMINATORS["stylegan2"](**vars(dataset.spec), **size)
    objective = Objective(LOSSES["nonsaturating"](), {"r1": REGULARIZERS["r1"](gamma=0.1)})
    random_inputs = KeyedRandomInputs(seed=0, z_dim=generator.z_dim, label_table=dataset.labels())
    step = TrainingStep(generator, discriminator, objective, random_inputs).to(device)
    data = TrainingData(dataset, batch_size=16, total_images=total_images, seed=0)
    for images, labels in data.batches(step.images_seen, step.attempt, device):
        step(images.to(device), labels.to(device))
    save_snapshot(out, step.G_ema, {"images_seen": step.images_seen})


if __name__ == "__main__":
    train(Path("plain.safetensors"), channel_base=1024, channel_max=64)
