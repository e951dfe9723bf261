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
from stylegen.latent.sampler import Sampler, check_noise, check_numbers
from stylegen.latent.seeds import parse_seeds
from stylegen.latent.truncation import class_centers
from stylegen.verbs.sample_motion import with_motion


def with_defaults(settings: SampleSettings, packaged: bool) -> SampleSettings:
    """The settings with values in place of `auto` and null that others decide."""
    if settings.mode == "auto":
        settings = replace(settings, mode="grid" if packaged else "images")
    if settings.truncation_psi is None:
        read = settings.latents is not None or (settings.mode == "mixing" and settings.mix_latents is not None)
        settings = replace(settings, truncation_psi=1.0 if read else 0.7)
    return settings


def build_sampler(settings: SampleSettings, snapshot: Snapshot) -> Sampler:
    """A sampler on the device of the settings. Raises UserError for what the network does not have."""
    assert settings.truncation_psi is not None
    check_noise(snapshot.generator, settings.noise)
    sampler = Sampler(
        snapshot.on(choose_device(settings.device)),
        psi=settings.truncation_psi,
        cutoff=settings.truncation_cutoff,
        noise=settings.noise,
        labels=parse_labels(settings.label, snapshot),
        batch_size=settings.batch_size,
        seed_source=find_source(settings, snapshot, "latents"),
        centers=_centers(settings, snapshot),
    )
    return with_motion(sampler, settings)


def find_source(settings: SampleSettings, snapshot: Snapshot, setting: str) -> str | Tensor:
    """The source of the styles of `seeds` or `mix_seeds`.

    Args:
        setting: "latents" or "mix_latents".
    """
    if (path := getattr(settings, setting)) is not None:
        ws, seeds = read_latents(path, snapshot.generator, setting).ws, setting.replace("latents", "seeds")
        check_numbers(parse_seeds(getattr(settings, seeds), seeds), len(ws), seeds, setting)
        return ws
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
    """What the images of a command depend on: settings, weights, latents, device and library."""
    files = [snapshot.path, *[Path(path).expanduser() for path in (settings.latents, settings.mix_latents) if path]]
    made_by = [str(choose_device(settings.device)), stylegen.__version__, torch.__version__]
    return json.dumps([asdict(settings), *map(sha256_of, files), *made_by])
