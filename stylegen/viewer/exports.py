"""Files of the page: images, videos and latents."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch
from torch import Tensor

from stylegen.bounds import Choice
from stylegen.errors import UserError
from stylegen.files import temporary_folder
from stylegen.images import make_grid, save_png, to_pil
from stylegen.latent.latents_file import Latents, write_latents
from stylegen.latent.sample_video import SampleVideo
from stylegen.latent.sampler import Sampler
from stylegen.viewer.inference import Job
from stylegen.viewer.page_state import PageState, parse
from stylegen.viewer.renderer import Renderer, video_timing
from stylegen.viewer.wire import Answer, encode_image

FORMATS = ("png", "webp", "npz", "mp4", "animation")
MAX_FRAMES = 3000


@dataclass(frozen=True)
class ExportOptions:
    """The file: an image, latents, an MP4, or an animated WebP."""

    format: Annotated[str, Choice(FORMATS)] = "png"


@dataclass(frozen=True)
class _PausedVideo(SampleVideo):
    """A video whose frames are those that the page plays, and leave time for other requests."""

    job: Job = field(kw_only=True)
    frame: Callable[[float], Tensor] = field(kw_only=True)  # seconds -> uint8 [1, C, H, W]

    def generate(self, sampler: Sampler) -> Iterator[Tensor]:
        for number in range(self.length):
            self.job.pause()
            self.job.report("progress", done=number + 1, total=self.length, text="frames")
            yield make_grid(self.frame(number / float(self.timing.rate)).cpu(), 1)


def export(job: Job, state: PageState, renderer: Renderer, rest: dict[str, Any]) -> Answer:
    """A file with the still, or with the video through the keyframes.

    Raises:
        UserError: a video of fewer than two keyframes, or one that cannot be encoded.
    """
    kind = parse(ExportOptions, rest, "export").format
    if kind == "webp":
        data = encode_image(renderer.images([state.still])[0], kind)
    else:
        names = {"png": "image.png", "npz": "latents.npz", "mp4": "video.mp4", "animation": "video.webp"}
        data = _file(job, state, renderer, names[kind])
    suffix = "webp" if kind == "animation" else kind
    return job.answer("file", data, name=f"{_stem(state, kind)}.{suffix}")


def _stem(state: PageState, kind: str) -> str:
    what = "video" if kind in ("mp4", "animation") else state.still.source or f"seed{state.still.seed}"
    return f"{state.model.replace('/', '-')}-{what}"


def _file(job: Job, state: PageState, renderer: Renderer, name: str) -> bytes:
    with temporary_folder() as folder:
        path = folder / name
        if name.endswith(".npz"):
            write_latents(path, _latents(state, renderer))
        elif name.endswith(".png"):
            save_png(to_pil(renderer.images([state.still])[0]), path)  # the bytes that `sample` writes
        else:
            _write_video(job, state, renderer, path)
        return path.read_bytes()


def _latents(state: PageState, renderer: Renderer) -> Latents:
    """Styles of the still, then of the keyframes."""
    stills = [state.still, *(keyframe.still for keyframe in state.keyframes)]
    names = ["still", *(f"keyframe{k}" for k in range(len(state.keyframes)))]
    ws = torch.cat([renderer.ws(still) for still in stills])
    return Latents(ws, names, {"snapshot": renderer.snapshot.path.name, "model": state.model})


def video_of(job: Job, state: PageState, renderer: Renderer, suffix: str) -> SampleVideo:
    """The video through the keyframes.

    Raises:
        UserError: fewer than two keyframes, times that do not increase, or too many frames.
    """
    if len(state.keyframes) < 2:
        raise UserError(
            "a video of one keyframe", rule="a video needs at least two keyframes", fix="Add keyframes on the timeline"
        )
    timing = video_timing(state.keyframes, state.loop, state.fps)
    frame = functools.partial(renderer.frame, state.keyframes, state.loop, state.fps)
    video = _PausedVideo(list(range(len(state.keyframes))), 1, None, timing, suffix, job=job, frame=frame)
    if video.length > MAX_FRAMES:
        rule = f"at most {MAX_FRAMES} are written"
        raise UserError(f"a video of {video.length} frames", rule=rule, fix="Use less time between keyframes")
    return video


def _write_video(job: Job, state: PageState, renderer: Renderer, path: Path) -> None:
    video = video_of(job, state, renderer, path.suffix)
    side = renderer.generator.level.resolution
    scale = max(1, 256 // side)
    video.check_size(side * scale)
    video.write(renderer.sampler(state.keyframes[0].still), scale, path)
