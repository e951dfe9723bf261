"""Projection of a dropped image, with the generator's image on the page while it is optimized."""

import functools
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stylegen.errors import UserError
from stylegen.features.lpips import perceptual_distance
from stylegen.images import to_uint8
from stylegen.latent.matching import Embedding, Matching
from stylegen.latent.project_images import project_images
from stylegen.latent.projection import ProjectionOptions, Projector
from stylegen.viewer.inference import Job
from stylegen.viewer.renderer import Renderer
from stylegen.viewer.wire import Answer, encode_image

_SECONDS = 0.15  # between two images of the optimization
_STARTS = 16  # w that are compared first, while the page shows nothing new


@functools.cache
def _perceptual(device: str) -> Embedding:
    return perceptual_distance("auto", None, device)


def warm_up(device: torch.device) -> None:
    """Load what the first projection needs, in another thread than the inference thread: seconds, mostly imports."""
    _perceptual(str(torch.empty(0, device=device).device))
    torch.optim.Adam([torch.zeros(1, requires_grad=True)]).zero_grad()


@dataclass(frozen=True)
class _Paused:
    """An embedding with pauses before and after it, forwards and backwards: it is most of a step's time."""

    embedding: Embedding
    job: Job

    def embed(self, images: Tensor) -> Tensor:
        self.job.pause()
        if images.requires_grad:
            images.register_hook(lambda gradient: self.job.pause())
        found = self.embedding.embed(images)
        self.job.pause()
        return found


def project(job: Job, renderer: Renderer, name: str, target: Tensor, steps: int) -> Answer:
    """Project an image [C, H, W] in [-1, 1], in W and then in W+; it becomes the source `name`."""
    G = renderer.generator.requires_grad_(False)
    matching = Matching(_Paused(_perceptual(str(next(G.parameters()).device)), job))
    known: dict[str, Any] = {"phase": "w", "done": 0, "total": steps, "text": "start"}
    shown = 0.0

    def progress(phase: str, done: int, total: int, text: str) -> None:
        known.update(phase=phase, done=done, total=total, text=text)

    def watch(images: Tensor) -> None:
        nonlocal shown
        if time.monotonic() - shown > _SECONDS:
            shown = time.monotonic()
            job.report("projecting", encode_image(to_uint8(images.detach())[0], "jpeg"), **known)

    projector = Projector(G, matching, ProjectionOptions(steps=steps, starts=_STARTS), progress, watch)
    ws = project_images(projector, [(name, target)], "w+").ws.to(next(G.parameters()))
    renderer.add_source(name, ws)
    data = ws.cpu().numpy().astype("<f4").tobytes()
    return job.answer("source", data, name=name, sources=list(renderer.sources))


def restore(job: Job, renderer: Renderer, name: str, data: bytes) -> Answer:
    """Keep the styles of an earlier answer again: the page has them, and the server ended in the meantime.

    Raises:
        UserError: not the size of this network's styles, or not finite.
    """
    G = renderer.generator
    size = G.num_ws * G.w_dim
    values = np.frombuffer(data, "<f4") if len(data) == 4 * size else np.empty(0)
    if len(values) != size or not np.isfinite(values).all():
        rule = "these are not styles of this network"
        raise UserError(f"source={name}", rule=rule, fix="Drop the image again")
    if name not in renderer.sources:
        renderer.add_source(
            name, torch.from_numpy(values.reshape(1, G.num_ws, G.w_dim).copy()).to(next(G.parameters()))
        )
    return job.answer("info", sources=list(renderer.sources))
