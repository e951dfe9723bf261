"""Networks and runs small enough for a test."""

from typing import Any

from stylegen import randomness
from stylegen.networks import StyleGenerator, build_generator

SMALL = {"z_dim": 8, "w_dim": 8, "mapping_layers": 2, "channel_base": 128, "channel_max": 8}


def tiny_generator(resolution: int = 16, seed: int = 0, name: str = "stylegan2", **settings: Any) -> StyleGenerator:
    """A generator with random weights; noise strengths, biases and w_avg are not zero."""
    with randomness.seeded_construction(seed, "tiny"):
        generator = build_generator(name, resolution=resolution, **(SMALL | settings)).eval()
        for key, tensor in generator.state_dict().items():
            if key.endswith(("noise_strength", "noise.strength", "w_avg", "bias")):
                tensor.add_(0.3 * tensor.new_empty(tensor.shape).normal_())
    return generator.requires_grad_(False)


# Overrides that reduce the default experiment to seconds, with noise inputs and constant rates.
TINY_RUN = [
    "compile=false",
    "data.resolution=16",
    "data.max_images=96",
    "batch_size=8",
    "generator.z_dim=8",
    "generator.w_dim=8",
    "generator.channel_base=128",
    "generator.channel_max=8",
    "generator.use_noise=true",
    "discriminator.channel_base=128",
    "discriminator.channel_max=8",
    "optimizer.g_lr=0.0025",
    "optimizer.decay=none",
    "optimizer.decay_start_kimg=0",
    "optimizer.decay_kimg=0",
    "optimizer.decay_to=0",
    "sample_count=4",
    "evaluation=none",
    "figures=false",
    "threads=1",
]
