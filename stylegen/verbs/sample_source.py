"""The sampler that the settings of `sample` describe."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor

import stylegen
from stylegen.checkpoints.foreign_file import sha256_of
from stylegen.checkpoints.snapshot import Snapshot
from stylegen.config.sample_settings import SampleSettings
from stylegen.distributed import choose_device
from stylegen.errors import UserError
from stylegen.latent.latents_file import read_latents
from stylegen.latent.sample_labels import parse_labels
from stylegen.latent.sampler import Sampler
from stylegen.latent.truncation import class_centers


def with_defaults(settings: SampleSettings, packaged: bool) -> SampleSettings:
    """The settings with values in place of `auto` and null that others decide."""
    if settings.mode == "auto":
        settings = replace(settings, mode="grid" if packaged else "images")
    if settings.truncation_psi is None:
        settings = replace(settings, truncation_psi=0.7 if settings.latents is None else 1.0)
    return settings


def build_sampler(settings: SampleSettings, snapshot: Snapshot) -> Sampler:
    """A sampler on the device of the settings.

    Raises:
        UserError: a class, layer or latents that the network does not have.
    """
    generator = snapshot.generator.to(choose_device(settings.device)).to(
        memory_format=torch.channels_last
    )  # as trained
    assert settings.truncation_psi is not None
    return Sampler(
        generator,
        psi=settings.truncation_psi,
        cutoff=settings.truncation_cutoff,
        noise=settings.noise,
        labels=parse_labels(settings.label, snapshot),
        batch_size=settings.batch_size,
        seed_source=find_source(settings, snapshot, "latents"),
        centers=_centers(settings, snapshot),
    )


def find_source(settings: SampleSettings, snapshot: Snapshot, setting: str) -> str | Tensor:
    """The source of the styles of `seeds` or `mix_seeds`.

    Args:
        setting: "latents" or "mix_latents".
    """
    if (path := getattr(settings, setting)) is not None:
        return read_latents(path, snapshot.generator, setting).ws
    return snapshot.seed_source if settings.seed_source == "auto" else settings.seed_source


def _centers(settings: SampleSettings, snapshot: Snapshot) -> Tensor | None:
    if settings.truncation_center == "all":
        return None
    conditional = snapshot.generator.num_classes > 0
    if not conditional or settings.latents is not None:
        rule = "latents of a file have no class" if conditional else "this network has no classes"
        raise UserError("truncation_center=class", rule=rule, fix="Use truncation_center=all")
    return class_centers(snapshot.generator, torch.arange(snapshot.generator.num_classes))


def identity(settings: SampleSettings, snapshot: Snapshot) -> str:
    """What the images of a command depend on: settings, weights, latents and library."""
    files = [snapshot.path, *[Path(path).expanduser() for path in (settings.latents, settings.mix_latents) if path]]
    return json.dumps([asdict(settings), [sha256_of(path) for path in files], stylegen.__version__, torch.__version__])
