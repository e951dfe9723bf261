"""What the server does for each kind of request; all of it in the inference thread."""

import base64
import contextlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import torch
from torch import Tensor

from stylegen.bounds import Choice, Range
from stylegen.checkpoints.snapshot import load_snapshot
from stylegen.errors import UserError, unknown_choice
from stylegen.latent.directions_file import Directions, read_directions
from stylegen.networks import StyleGenerator
from stylegen.viewer import exports, grids, layer_views, projecting
from stylegen.viewer.catalog import Catalog
from stylegen.viewer.inference import Job
from stylegen.viewer.page_state import MAX_SECONDS, PageState, parse, parse_state
from stylegen.viewer.recipes import recipes
from stylegen.viewer.renderer import Renderer
from stylegen.viewer.uploads import Uploads
from stylegen.viewer.wire import Answer, encode_image

MAX_OPEN = 3  # models in memory
MAX_PROJECTED = 64  # models whose projected images are kept


@dataclass(frozen=True)
class ImageOptions:
    """How an image is wanted: `encoding`, and the time of a video's frame, None for the still."""

    encoding: Annotated[str, Choice(("jpeg", "png"))] = "png"
    seconds: Annotated[float, Range(0, MAX_SECONDS)] | None = None


@dataclass
class Handlers:
    """Answers requests.

    Args:
        catalog: the models that the page lists.
        device: GPU or CPU that runs the generators.
        uploads: images to project.
        direction_files: paths of directions, by name.
        projection_steps: optimization steps in W, and again in W+.

    Attributes:
        infos: `info` of each model that is or was open, by name; read by other threads.
    """

    catalog: Catalog
    device: torch.device
    uploads: Uploads
    direction_files: Mapping[str, str] = field(default_factory=dict)
    projection_steps: int = 200
    infos: dict[str, dict[str, Any]] = field(default_factory=dict, init=False)
    _open: OrderedDict[str, Renderer] = field(default_factory=OrderedDict, init=False)
    _sources: OrderedDict[str, OrderedDict[str, Tensor]] = field(default_factory=OrderedDict, init=False)

    def __call__(self, job: Job) -> Answer:
        """The answer to a request.

        Raises:
            UserError: an unknown kind, or content that is refused.
        """
        kinds: dict[str, Callable[[Job, PageState, Renderer, dict[str, Any]], Answer]] = {
            "open": self._opened,
            "image": self._image,
            "grid": lambda job, state, renderer, rest: grids.grid(job, state, renderer),
            "map": lambda job, state, renderer, rest: grids.walking_map(job, state, renderer),
            "keyframes": lambda job, state, renderer, rest: grids.keyframes(job, state, renderer),
            "layers": lambda job, state, renderer, rest: layer_views.layers(job, state, renderer, rest),
            "directions": self._directions,
            "recipes": self._recipes,
            "export": lambda job, state, renderer, rest: exports.export(job, state, renderer, rest),
            "project": self._project,
            "restore": self._restore,
        }
        handle = kinds.get(job.request.kind)
        if handle is None:
            raise unknown_choice("kind", job.request.kind[:60], kinds)
        content = dict(job.request.content)
        state = parse_state(content.pop("state", None))
        return handle(job, state, self._renderer(state.model), content)

    def open_first(self) -> None:
        """Open the first model of the list, so that a bad one is refused before the server starts.

        Raises:
            UserError: a damaged snapshot, or directions of another model.
        """
        first = next(iter(self.catalog.entries()))
        renderer = self._renderer(first)
        for path in self.direction_files.values():
            read_directions(path, renderer.generator)

    def _renderer(self, name: str) -> Renderer:
        """The model, loaded if it is not open; the one that was used longest ago is closed."""
        if name not in self._open:
            snapshot = load_snapshot(self.catalog.entry(name).path)
            snapshot.on(self.device)
            sources = self._sources.setdefault(name, OrderedDict())  # kept when the model is closed
            while len(self._sources) > MAX_PROJECTED:
                self._sources.popitem(last=False)
            self._open[name] = Renderer(snapshot, self._sets(snapshot.generator), sources)
            self.infos[name] = self._open[name].info() | {"prepared": snapshot.info.get("prepared", {})}
            while len(self._open) > MAX_OPEN:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(name)
        return self._open[name]

    def _sets(self, generator: StyleGenerator) -> dict[str, Directions]:
        """The directions of the files that belong to this model."""
        found = {}
        for name, path in self.direction_files.items():
            with contextlib.suppress(UserError):
                found[name] = read_directions(path, generator)
        return found

    def _opened(self, job: Job, state: PageState, renderer: Renderer, rest: dict[str, Any]) -> Answer:
        return job.answer("info", **renderer.info())

    def _image(self, job: Job, state: PageState, renderer: Renderer, rest: dict[str, Any]) -> Answer:
        options = parse(ImageOptions, rest, "image")
        start = time.perf_counter()
        if options.seconds is not None and len(state.keyframes) > 1:
            images = renderer.frame(state.keyframes, state.loop, state.fps, options.seconds)
        else:
            images = renderer.images([state.still])
        data = encode_image(images[0], options.encoding)
        milliseconds = round(1000 * (time.perf_counter() - start), 2)
        return job.answer("image", data, encoding=options.encoding, milliseconds=milliseconds)

    def _directions(self, job: Job, state: PageState, renderer: Renderer, rest: dict[str, Any]) -> Answer:
        name = rest.get("set")
        if not isinstance(name, str):
            raise UserError("directions without a set", rule="the set must be a name", fix="Use sefa or pca")
        job.pause()
        found = renderer.directions(name)
        return job.answer("directions", set=name, names=list(found.names), layers=list(found.layers))

    def _recipes(self, job: Job, state: PageState, renderer: Renderer, rest: dict[str, Any]) -> Answer:
        text, noise = self.catalog.entry(state.model).text, renderer.generator.has_noise
        return job.answer("recipes", **recipes(state, text, noise))

    def _project(self, job: Job, state: PageState, renderer: Renderer, rest: dict[str, Any]) -> Answer:
        name, target = self.uploads.take(rest.get("upload"), state.model)
        return projecting.project(job, renderer, name, target, self.projection_steps)

    def _restore(self, job: Job, state: PageState, renderer: Renderer, rest: dict[str, Any]) -> Answer:
        try:
            data = base64.b64decode(rest.get("ws", ""), validate=True)
        except (TypeError, ValueError) as error:
            raise UserError(
                "a source without its styles", rule="styles must be base64", fix="Drop the image again"
            ) from error
        return projecting.restore(job, renderer, self.uploads.resume(rest.get("name")), data)
