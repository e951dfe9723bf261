"""The model in the browser: a local server and its page."""

from pathlib import Path

from stylegen.config.view_settings import ViewSettings
from stylegen.cpus import use_default_threads
from stylegen.distributed import choose_device
from stylegen.errors import UserError, import_extra
from stylegen.viewer.catalogue import Catalogue


def run(settings: ViewSettings) -> None:
    """Serve until Ctrl-C.

    Raises:
        UserError: aiohttp is not installed; a snapshot or file that is none; no free port.
    """
    import_extra("aiohttp", "view", rule="the viewer's server needs it")
    from stylegen.viewer.handlers import Handlers
    from stylegen.viewer.security import Guard
    from stylegen.viewer.server import build_app
    from stylegen.viewer.serving import address, listen, open_browser, serve, warning
    from stylegen.viewer.uploads import Uploads

    use_default_threads()
    catalogue, uploads = Catalogue(settings.snapshot), Uploads()
    device, files = choose_device(settings.device), _files(settings.directions)
    handlers = Handlers(catalogue, device, uploads, files, settings.projection_steps)
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
        serve(build_app(guard, catalogue, handlers, uploads), listening, ready)


def _files(text: str | None) -> dict[str, str]:
    """Name -> path of each file of directions.

    Raises:
        UserError: no such file, or a folder without one.
    """
    if text is None:
        return {}
    path = Path(text).expanduser()
    paths = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
    if not paths or not paths[0].is_file():
        fix = "Use a file that `python -m stylegen directions` wrote"
        raise UserError(f"directions={text}", rule="there is no such file", fix=fix)
    return {path.stem: str(path) for path in paths}
