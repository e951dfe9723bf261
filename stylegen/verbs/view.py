"""The model in the browser: a local server and its page, or a static page."""

import dataclasses
from pathlib import Path

from stylegen.config.view_settings import ViewSettings
from stylegen.cpus import use_default_threads
from stylegen.distributed import choose_device
from stylegen.errors import UserError, import_extra
from stylegen.latent.directions_file import direction_files, read_directions
from stylegen.viewer.catalog import Catalog

_OF_SERVER = ("host", "port", "projection_steps", "device")


def run(settings: ViewSettings) -> object:
    """Serve until Ctrl-C, or write the static page of the first model.

    Raises:
        UserError: a missing package; a path that is not a snapshot; no free port; see `write_site`.
    """
    _check(settings)
    use_default_threads()
    if settings.export is not None:
        return _export(settings, Path(settings.export).expanduser())
    _serve(settings)
    return None


def _check(settings: ViewSettings) -> None:
    """Raise UserError for a setting of the server with `export`, or the reverse."""
    if settings.export is None and settings.runtime is not None:
        raise UserError(f"runtime={settings.runtime}", rule="runtime is a setting of export=", fix="Omit runtime")
    for field in dataclasses.fields(settings) if settings.export is not None else ():
        value = getattr(settings, field.name)
        if field.name in _OF_SERVER and value != field.default:
            rule = "a static page has no server"
            raise UserError(f"{field.name}={value} with export=", rule=rule, fix=f"Omit {field.name}")


def _export(settings: ViewSettings, out: Path) -> object:
    from stylegen.checkpoints.snapshot import load_snapshot
    from stylegen.viewer.static_site import check_site, write_site
    from stylegen.viewer.web_runtime import find_runtime

    check_site(out)
    entry = next(iter(Catalog(settings.snapshot).entries().values()))
    snapshot = load_snapshot(entry.path)
    files = direction_files(settings.directions)
    sets = {name: read_directions(path, snapshot.generator) for name, path in files.items()}
    return write_site(snapshot, entry.name, out, find_runtime(settings.runtime), sets)


def _serve(settings: ViewSettings) -> None:
    import_extra("aiohttp", "view", rule="the viewer's server needs it")
    from stylegen.viewer.handlers import Handlers
    from stylegen.viewer.security import Guard
    from stylegen.viewer.server import build_app
    from stylegen.viewer.serving import address, listen, open_browser, serve, warning
    from stylegen.viewer.uploads import Uploads

    catalog, uploads = Catalog(settings.snapshot), Uploads()
    device, files = choose_device(settings.device), direction_files(settings.directions)
    handlers = Handlers(catalog, device, uploads, files, settings.projection_steps)
    handlers.open_first()
    listening = listen(settings.host, settings.port)
    guard = Guard(settings.host, listening.getsockname()[1])

    def ready() -> None:
        if guard.port != settings.port:
            print(f"port {settings.port} is in use; the viewer has port {guard.port}")
        if text := warning(guard):
            print(text)
        print(f"{address(guard)}\nCtrl-C ends the viewer.", flush=True)
        if settings.browser and not open_browser(address(guard)):
            print("There is no browser to open; copy the address into one.", flush=True)

    with listening:
        serve(build_app(guard, catalog, handlers, uploads), listening, ready)
