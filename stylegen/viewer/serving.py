"""Runs the server until Ctrl-C: a free port, the address, the browser."""

import asyncio
import contextlib
import errno
import signal
import socket
import webbrowser
from collections.abc import Callable

from aiohttp import web

from stylegen.errors import UserError
from stylegen.viewer.security import LOOPBACK, Guard

PORTS = 20  # that are tried
_SHUTDOWN_SECONDS = 2.0


def listen(host: str, port: int) -> socket.socket:
    """A listening socket at `port`, or at the next free one of `PORTS`.

    Raises:
        UserError: no free port, or an address that this machine does not have.
    """
    for candidate in range(port, min(port + PORTS, 65536)):
        try:
            family = socket.getaddrinfo(host, candidate, type=socket.SOCK_STREAM)[0][0]
            return socket.create_server((host, candidate), family=family, backlog=128)
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                continue
            raise UserError(
                f"host={host}",
                rule=f"this machine cannot listen there ({_reason(error)})",
                fix="Use host=127.0.0.1, or host=0.0.0.0 for all its addresses",
            ) from error
    raise UserError(f"port={port}", rule=f"{PORTS} ports from it on are in use", fix="Use another port=")


def _reason(error: OSError) -> str:
    """Without the address that `create_server` adds."""
    return (error.strerror or str(error)).partition(" (while")[0]


def address(guard: Guard) -> str:
    """For the browser, with the token."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(guard.host, guard.host)
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{guard.port}/?token={guard.token}"


def warning(guard: Guard) -> str | None:
    """Who can reach the server; None if it is this machine only."""
    if guard.host in LOOPBACK:
        return None
    whom = "Every machine that reaches this one" if guard.host in ("0.0.0.0", "::") else "Machines that reach this one"
    name = socket.gethostname()
    return (
        f"warning: host={guard.host}: {whom} over the network can open the viewer with the token in the address, and "
        f"traffic is not encrypted. Others need http://{name}:{guard.port}/?token={guard.token}. For one remote user, "
        f"ssh -L {guard.port}:127.0.0.1:{guard.port} with host=127.0.0.1 is safer."
    )


def serve(app: web.Application, listening: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until SIGINT or SIGTERM; `ready` is called when the server answers."""
    asyncio.run(_serve(app, listening, ready))


async def _serve(app: web.Application, listening: socket.socket, ready: Callable[[], None]) -> None:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
    await runner.setup()
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError, RuntimeError):  # Windows; not the main thread
            loop.add_signal_handler(number, ended.set)
    try:
        await web.SockSite(runner, listening).start()
        await asyncio.to_thread(ready)  # some browsers block until they have a window
        await ended.wait()
    finally:
        await runner.cleanup()


def open_browser(url: str) -> bool:
    """Open the address in a browser with a window -> whether there is one."""
    with contextlib.suppress(webbrowser.Error):
        browser = webbrowser.get()
        if type(browser) is not webbrowser.GenericBrowser:  # of a terminal, such as lynx
            return bool(browser.open(url))
    return False
