"""A viewer's server in a thread, and tiny models for it."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from aiohttp import web
from torch import Tensor

from stylegen.checkpoints.snapshot import Snapshot, load_snapshot, save_snapshot
from stylegen.viewer.catalog import Catalog
from stylegen.viewer.handlers import Handlers
from stylegen.viewer.page_state import Still, parse
from stylegen.viewer.renderer import Renderer
from stylegen.viewer.security import Guard
from stylegen.viewer.server import build_app
from stylegen.viewer.serving import address, listen
from stylegen.viewer.uploads import Uploads
from tests.support.tiny import tiny_generator

MODEL = "portraits/000005.000"  # of a `Site`
CLASSES = ["cat", "dog", "owl"]


def tiny_model(name: str = "stylegan2", **settings: Any) -> Snapshot:
    """A conditional network of 16 px with noise."""
    info = {"class_names": CLASSES, "images_seen": 5000, "dataset": "tiny"}
    return Snapshot(tiny_generator(16, name=name, num_classes=3, **settings), info, Path("tiny.safetensors"))


def save_model(path: Path, **settings: Any) -> Path:
    """The file of `tiny_model`."""
    snapshot = tiny_model(**settings)
    save_snapshot(path, snapshot.generator, snapshot.info)
    return path


def still(**fields: Any) -> Still:
    """A still from JSON values."""
    return parse(Still, fields, "still")


@dataclass
class Server:
    """A running server."""

    guard: Guard
    handlers: Handlers

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.guard.port}"

    @property
    def url(self) -> str:
        """With the token."""
        return address(self.guard)

    def renderer(self, model: str) -> Renderer:
        return self.handlers._open[model]


@contextmanager
def serving(snapshot: str | Path | None, **settings: Any) -> Iterator[Server]:
    """Context manager: a server on a free port, ended at exit."""
    uploads = Uploads()
    handlers = Handlers(Catalog(None if snapshot is None else str(snapshot)), torch.device("cpu"), uploads, **settings)
    handlers.open_first()
    with listen("127.0.0.1", 0) as listening:
        guard = Guard("127.0.0.1", listening.getsockname()[1])
        app = build_app(guard, handlers.catalog, handlers, uploads)
        started = threading.Event()
        control: dict[str, Any] = {}

        async def run() -> None:
            control["loop"], control["ended"] = asyncio.get_running_loop(), asyncio.Event()
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
            await runner.setup()
            await web.SockSite(runner, listening).start()
            started.set()
            await control["ended"].wait()
            await runner.cleanup()

        thread = threading.Thread(target=lambda: asyncio.run(run()))
        thread.start()
        try:
            assert started.wait(20)
            yield Server(guard, handlers)
        finally:
            control["loop"].call_soon_threadsafe(control["ended"].set)
            thread.join(20)


@dataclass
class Site:
    """A server with a run of two snapshots, and the library's images of its newest one."""

    server: Server
    run: Path

    def image(self, **fields: Any) -> Tensor:
        """uint8 [C, H, W] of a still."""
        return self.renderer.images([still(**fields)])[0]

    @property
    def snapshot(self) -> Path:
        return self.run / "snapshots" / "000005.000.safetensors"

    def __post_init__(self) -> None:
        snapshot = load_snapshot(self.snapshot)
        snapshot.generator.to(memory_format=torch.channels_last)  # as `sample` and the viewer run it
        self.renderer = Renderer(snapshot)
