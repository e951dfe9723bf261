"""The figure that the settings of `sample` describe."""

import torch

from stylegen.checkpoints.snapshot import Snapshot
from stylegen.config.sample_settings import SampleSettings
from stylegen.errors import UserError
from stylegen.latent.directions_file import read_directions
from stylegen.latent.mixing import parse_layers
from stylegen.latent.sample_figures.class_figure import ClassFigure
from stylegen.latent.sample_figures.direction_figure import DirectionFigure
from stylegen.latent.sample_figures.figure import Figure
from stylegen.latent.sample_figures.interpolation_figure import InterpolationFigure
from stylegen.latent.sample_figures.mixing_figure import MixingFigure
from stylegen.latent.sample_figures.noise_figure import NoiseFigure
from stylegen.latent.sample_figures.seed_grid import SeedGrid
from stylegen.latent.sample_figures.truncation_figure import TruncationFigure
from stylegen.latent.sample_labels import GivenLabels, parse_labels
from stylegen.latent.seeds import parse_seeds
from stylegen.verbs.sample_source import find_source
from stylegen.verbs.sticking_choice import sticking_figure

_STRIP_FRAMES = 8  # from one seed to the next


def choose_figure(settings: SampleSettings, snapshot: Snapshot, seeds: list[int]) -> Figure:
    """The figure of `settings.mode`, a grid by default."""
    captions = settings.captions
    match settings.mode:
        case "truncation":
            return TruncationFigure(seeds=seeds, captions=captions, psis=settings.psis)
        case "mixing":
            return MixingFigure(
                seeds=seeds,
                captions=captions,
                others=parse_seeds(settings.mix_seeds, "mix_seeds"),
                layers=settings.layers,
                other_source=find_source(settings, snapshot, "mix_latents"),
            )
        case "noise":
            return NoiseFigure(seeds=seeds, captions=captions)
        case "interpolation":
            return InterpolationFigure(seeds=seeds, captions=captions, frames=settings.frames or _STRIP_FRAMES)
        case "classes":
            labels = parse_labels(settings.label, snapshot)
            table = labels.table if isinstance(labels, GivenLabels) else torch.eye(snapshot.generator.num_classes)
            return ClassFigure(seeds=seeds, captions=captions, table=table, names=snapshot.info.get("class_names"))
        case "sticking":
            return sticking_figure(settings, snapshot, seeds)
        case "directions":
            return _directions(settings, snapshot, seeds)
    return SeedGrid(seeds=seeds, captions=captions, columns=settings.columns)


def _directions(settings: SampleSettings, snapshot: Snapshot, seeds: list[int]) -> DirectionFigure:
    G = snapshot.generator
    if settings.directions is None:
        raise UserError(
            "mode=directions without directions=",
            rule="it walks along the directions of a file",
            fix="Run `python -m stylegen directions out=FILE.safetensors`, then add directions=FILE.safetensors",
        )
    found, layers = read_directions(settings.directions, G), None
    if settings.direction_layers is not None:
        layers = parse_layers(settings.direction_layers, G.slot_resolutions, "direction_layers")
    return DirectionFigure(
        seeds=seeds,
        captions=settings.captions,
        directions=found,
        indices=found.select(settings.direction),
        strengths=settings.strengths,
        layers=layers,
    )
