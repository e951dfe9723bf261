"""Projection of a dropped image, with the generator's image on the page while it is optimized."""

import functools
import time

from torch import Tensor

from stylegen.features.lpips import perceptual_distance
from stylegen.images import to_uint8
from stylegen.latent.matching import Matching
from stylegen.latent.project_images import project_images
from stylegen.latent.projection import ProjectionOptions, Projector
from stylegen.viewer.inference import Job
from stylegen.viewer.renderer import Renderer
from stylegen.viewer.wire import Answer, encode_image

_SECONDS = 0.15  # between two images of the optimization
_STARTS = 16  # w that are compared first; nothing else is answered meanwhile


@functools.cache
def _matching(device: str) -> Matching:
    return Matching(perceptual_distance("auto", None, device))


def project(job: Job, renderer: Renderer, name: str, target: Tensor, steps: int) -> Answer:
    """Project an image [C, H, W] in [-1, 1], in W and then in W+; it becomes the source `name`."""
    G = renderer.generator.requires_grad_(False)
    matching = _matching(str(next(G.parameters()).device))
    latest: list[Tensor] = []
    shown = time.monotonic()

    def watch(images: Tensor) -> None:
        latest[:] = [images.detach()]

    def progress(phase: str, done: int, total: int, text: str) -> None:
        nonlocal shown
        job.pause()
        if latest and time.monotonic() - shown > _SECONDS:
            shown = time.monotonic()
            image = encode_image(to_uint8(latest[0])[0], "jpeg")
            job.report("projecting", image, phase=phase, done=done, total=total, text=text)

    projector = Projector(G, matching, ProjectionOptions(steps=steps, starts=_STARTS), progress, watch)
    renderer.add_source(name, project_images(projector, [(name, target)], "w+").ws.to(next(G.parameters())))
    return job.answer("source", name=name, sources=list(renderer.sources))
