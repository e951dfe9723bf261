"""A static page of a tiny model, and a web server for it."""

import functools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from stylegen.files import cache_folder
from stylegen.viewer import web_runtime

GIVEN = "STYLEGEN_ONNXRUNTIME_WEB"  # a folder with the package, where tests without it are an error
_CACHED = cache_folder()  # the user's; tests redirect it later


def local_runtime() -> Path | None:
    """The files of onnxruntime-web on this machine: tests download nothing."""
    if given := os.environ.get(GIVEN):
        return web_runtime.find_runtime(given)
    folder = _CACHED / f"{web_runtime.NAME}-{web_runtime.VERSION}"
    return folder if all((folder / name).is_file() for name in web_runtime.SHA256) else None


def runtime_or_skip() -> Path:
    """`local_runtime`; skips the test if there is none."""
    found = local_runtime()
    if found is None:
        pytest.skip(f"there is no onnxruntime-web: `python -m stylegen view export=` downloads it, or set {GIVEN}")
    return found


def empty_runtime(folder: Path) -> Path:
    """Empty files in place of onnxruntime-web, for pages that no browser opens."""
    folder.mkdir()
    for name in web_runtime.SHA256:
        (folder / name).write_bytes(b"")
    return folder


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def web_server(folder: Path) -> Iterator[str]:
    """Context manager: the address of a server of files, as `python -m http.server` runs it."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(20)
