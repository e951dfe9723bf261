"""The user's cache folder: what can be made again at any time."""

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """`$STYLEGEN_CACHE`, else the platform's place for caches, in a folder `stylegen`; may not exist yet.

    That place is `$XDG_CACHE_HOME` or `~/.cache` on Linux, `~/Library/Caches` on macOS, and `%LOCALAPPDATA%`
    on Windows.
    """
    if chosen := os.environ.get("STYLEGEN_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "stylegen"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "stylegen" / "Cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stylegen"
