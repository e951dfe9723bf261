"""The HTTP server of the viewer: the page, the WebSocket, uploads, and the records of runs."""

import asyncio
import mimetypes
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from stylegen.checkpoints.run_folder import RunFolder
from stylegen.data.prepare.image_conversion import UnusableError
from stylegen.data.prepare.target_images import target_image, target_recipe
from stylegen.errors import UserError
from stylegen.viewer.catalog import Catalog
from stylegen.viewer.connection import Connection
from stylegen.viewer.handlers import Handlers
from stylegen.viewer.inference import Inference
from stylegen.viewer.projecting import warm_up
from stylegen.viewer.run_history import grid_path, run_history
from stylegen.viewer.security import GUARD, Guard, guarded
from stylegen.viewer.uploads import MAX_BYTES, Uploads

PAGE = Path(__file__).with_name("page")
MAX_CONNECTIONS = 32
_UPLOADS, _CONVERSIONS = 8, 2  # that are read, and decoded, at the same time
_UPLOAD_SECONDS = 120.0


@dataclass
class Viewer:
    """What the routes share."""

    guard: Guard
    catalog: Catalog
    handlers: Handlers
    uploads: Uploads
    inference: Inference
    connections: set[Connection]
    reading: asyncio.Semaphore
    decoding: asyncio.Semaphore


VIEWER: web.AppKey[Viewer] = web.AppKey("viewer", Viewer)
routes = web.RouteTableDef()


def build_app(guard: Guard, catalog: Catalog, handlers: Handlers, uploads: Uploads) -> web.Application:
    """The application; its inference thread runs from start to end of the server."""
    app = web.Application(middlewares=[guarded], client_max_size=MAX_BYTES)
    inference = Inference(handlers)
    app[GUARD] = guard
    reading, decoding = asyncio.Semaphore(_UPLOADS), asyncio.Semaphore(_CONVERSIONS)
    app[VIEWER] = Viewer(guard, catalog, handlers, uploads, inference, set(), reading, decoding)
    app.add_routes(routes)
    app.cleanup_ctx.append(_inference)
    app.on_shutdown.append(_close_connections)
    return app


async def _inference(app: web.Application) -> AsyncIterator[None]:
    app[VIEWER].inference.start()
    yield
    await asyncio.to_thread(app[VIEWER].inference.close)


async def _close_connections(app: web.Application) -> None:
    await asyncio.gather(*(connection.close() for connection in set(app[VIEWER].connections)))


@routes.get("/")
async def page(request: web.Request) -> web.StreamResponse:
    """The page, and the cookie with the token; the page then removes the token from the address."""
    viewer = request.app[VIEWER]
    response = _asset("index.html")
    response.set_cookie(viewer.guard.cookie, viewer.guard.token, httponly=True, samesite="Strict")
    return response


@routes.get("/page/{name}")
async def asset(request: web.Request) -> web.StreamResponse:
    """A file of the page."""
    return _asset(request.match_info["name"])


def _asset(name: str) -> web.Response:
    """The name is only compared with the names of files, never joined to a path."""
    found = next((path for path in PAGE.iterdir() if path.name == name), None)
    if found is None:
        raise web.HTTPNotFound
    kind = "text/javascript" if found.suffix == ".js" else mimetypes.guess_type(found.name)[0]
    return web.Response(body=found.read_bytes(), content_type=kind or "text/plain", charset="utf-8")


@routes.get("/models")
async def models(request: web.Request) -> web.Response:
    """The models that there are now, and the runs."""
    catalog = request.app[VIEWER].catalog
    listed, runs = await asyncio.to_thread(lambda: (catalog.listed(), list(catalog.runs())))
    return web.json_response({"models": listed, "runs": runs})


@routes.get("/runs/{run}")
async def run(request: web.Request) -> web.Response:
    """Curves and sample grids of a run."""
    folder = await _run_folder(request)
    return web.json_response(await asyncio.to_thread(run_history, folder))


@routes.get("/runs/{run}/{grid}")
async def run_grid(request: web.Request) -> web.StreamResponse:
    """A sample grid of a run."""
    path = await asyncio.to_thread(grid_path, await _run_folder(request), request.match_info["grid"])
    if path is None:
        raise web.HTTPNotFound
    return web.Response(body=await asyncio.to_thread(path.read_bytes), content_type="image/png")


@routes.get("/socket")
async def socket(request: web.Request) -> web.StreamResponse:
    """The WebSocket; see `viewer.wire`."""
    viewer = request.app[VIEWER]
    if len(viewer.connections) >= MAX_CONNECTIONS:
        raise web.HTTPServiceUnavailable(text=f"{MAX_CONNECTIONS} pages are open already")
    connection = Connection(viewer.inference)
    viewer.connections.add(connection)
    try:
        return await connection.run(request)
    finally:
        viewer.connections.discard(connection)


@routes.post("/uploads")
async def upload(request: web.Request) -> web.Response:
    """An image, the body of the request, for the model `model=`; it is converted as its training images were."""
    viewer, name = request.app[VIEWER], request.query.get("model", "")
    info = viewer.handlers.infos.get(name)
    if info is None:
        raise web.HTTPConflict(text="this model was not opened")
    if request.content_length is not None and request.content_length > MAX_BYTES:
        raise web.HTTPRequestEntityTooLarge(MAX_BYTES, request.content_length)
    if viewer.reading.locked():
        raise web.HTTPServiceUnavailable(text=f"{_UPLOADS} uploads are under way already")
    async with viewer.reading:
        try:
            async with asyncio.timeout(_UPLOAD_SECONDS):
                data = await request.read()  # at most MAX_BYTES, as build_app sets
        except TimeoutError as error:
            raise web.HTTPRequestTimeout from error
        async with viewer.decoding:
            image = await asyncio.to_thread(_convert, data, info)
            await asyncio.to_thread(warm_up, viewer.handlers.device)
    return web.json_response({"upload": viewer.uploads.add(name, image)})


def _convert(data: bytes, info: dict[str, Any]) -> Any:
    try:
        return target_image(data, target_recipe(info["resolution"], info["channels"], info["prepared"]))
    except (UserError, UnusableError) as error:
        raise web.HTTPUnprocessableEntity(text=str(error)) from error


async def _run_folder(request: web.Request) -> RunFolder:
    try:
        return await asyncio.to_thread(request.app[VIEWER].catalog.run, request.match_info["run"])
    except UserError as error:
        raise web.HTTPNotFound(text=str(error)) from error
