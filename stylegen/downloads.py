"""Downloads: verified, and under their name only when they are complete."""

import contextlib
import hashlib
import sys
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from stylegen.files import cache_folder, exclusive, replacing
from stylegen.progress import ProgressBars

_TIMEOUT_SECONDS = 30  # a firewall that drops packets must not hang a run
_BLOCK = 2**20


class WrongHash(Exception):
    """The downloaded file is not the published one."""


def is_url(text: str) -> bool:
    """Whether this is a URL, not a path."""
    return text.startswith(("http://", "https://"))


def downloads_folder() -> Path:
    """The folder of downloaded networks, in the cache folder."""
    return cache_folder() / "downloads"


def is_download(path: Path) -> bool:
    """Whether a file is in `downloads_folder`, so that it is downloaded again after it is deleted."""
    return path.absolute().is_relative_to(downloads_folder().absolute())


def download_once(url: str, target: Path) -> None:
    """`download`, unless `target` exists; in one of several processes.

    Raises:
        OSError: see `download`.
        UserError: the cache folder, which has the lock, cannot be written.
    """
    if not target.is_file():
        with exclusive(target, wait=True):
            if not target.is_file():
                download(url, target)


def download(url: str, target: Path, hash_prefix: str = "") -> None:
    """Download to `target`, whose folder is made; with a progress bar in a terminal.

    Args:
        url: http:// or https://.
        hash_prefix: first digits of the SHA-256; empty for any content.

    Raises:
        OSError: no network, refused, timed out, cut short, or a folder that cannot be written.
        WrongHash: another file.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        if not is_url(url):
            raise OSError("the URL does not begin with https://")
        request = Request(url, headers={"User-Agent": "stylegen"})
        with urlopen(request, timeout=_TIMEOUT_SECONDS) as response, replacing(target) as partial:
            with partial.open("wb") as file:
                digest = _copy(response, file, target.name)
            if not digest.startswith(hash_prefix):
                raise WrongHash(f"its SHA-256 begins with {digest[: len(hash_prefix)]}, the published {hash_prefix}")
    except HTTPError as error:
        raise OSError(str(error)) from error
    except URLError as error:
        raise OSError(str(error.reason)) from error
    except (HTTPException, ValueError) as error:  # ValueError: a URL without a host
        raise OSError(str(error)) from error


def _copy(response: HTTPResponse, file: IO[bytes], name: str) -> str:
    """Copy the content; returns its SHA-256."""
    total, done, digest = int(response.headers.get("Content-Length", 0)), 0, hashlib.sha256()
    bars = ProgressBars() if sys.stderr.isatty() else None
    with bars or contextlib.nullcontext():
        while block := response.read(_BLOCK):
            digest.update(block)
            done += file.write(block)
            if bars:
                bars.show(name, done / 2**20, total / 2**20, "MiB")
    if done < total:
        raise OSError(f"the connection ended after {done:,} of {total:,} bytes")
    return digest.hexdigest()
