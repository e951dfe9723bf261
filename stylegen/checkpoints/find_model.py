"""Where trained networks are: a path, a packaged model, a published file, a repository on the Hugging Face Hub, or a
URL. Files of other programs are converted once, into the cache folder.
"""

import difflib
import hashlib
import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from stylegen import __version__
from stylegen.checkpoints import packaged
from stylegen.checkpoints.published_models import PUBLISHED_MODELS, published_file
from stylegen.checkpoints.sealed import is_sealed, load_sealed
from stylegen.downloads import download_once, downloads_folder, is_url
from stylegen.errors import UserError, import_extra
from stylegen.files import cache_folder, exclusive, unwritable_cache

HUB_FILE = "model.safetensors"  # of a repository on the Hub
_PICKLE, _ZIP = b"\x80", b"PK"  # first bytes
_MAX_NAME = 50  # characters of a downloaded file's name, of at most 4 bytes


def find_model(text: str | Path, setting: str = "snapshot") -> Path:
    """The file or folder that `text` names.

    Args:
        text: an existing path; a name that `models` lists; ``hf:USER/NAME``, optionally with ``@REVISION``; a URL.
        setting: name of the setting, for error messages.

    Raises:
        UserError: nothing of that name, with the nearest one; a download that failed, with what to bring where.
    """
    name = str(text)
    if is_url(name):
        return _from_url(name, setting)
    try:
        path = Path(text).expanduser()
    except RuntimeError:  # ~ of an unknown user
        path = Path(text)
    if path.exists():
        return path
    if name in packaged.names():
        return packaged.FOLDER / f"{name}.safetensors"
    if name in PUBLISHED_MODELS:
        return published_file(name)
    if name.startswith("hf:"):
        return _from_hub(name, setting)
    near = difflib.get_close_matches(name, [*packaged.names(), *PUBLISHED_MODELS], n=1)
    raise UserError(
        f"{setting}={text}",
        rule="there is no such file or model",
        fix=f"Did you mean {setting}={near[0]}?"
        if near
        else f"Use {setting}= with a file, a run folder, or a name that `python -m stylegen models` lists",
    )


def find_native(text: str | Path, setting: str = "snapshot", *, all_networks: bool = False) -> Path:
    """`find_model`, and a file of another program as its conversion.

    Args:
        all_networks: prefer a checkpoint with G, D and G_ema, for `init=`, to a snapshot of G_ema.

    Returns:
        A .safetensors file, a .ckpt file, or a folder.

    Raises:
        UserError: see `find_model` and `convert_foreign`.
    """
    path = find_model(text, setting)
    if is_native(path):
        return path
    snapshot = _converted(path, str(text), setting)
    checkpoint = snapshot.with_suffix(".ckpt")
    return checkpoint if all_networks and checkpoint.exists() else snapshot


def is_native(path: Path) -> bool:
    """Whether this is a snapshot, a checkpoint or a run folder, by its content; other files are other programs'."""
    if not path.is_file():  # opening a pipe would wait for its writer
        return path.is_dir()
    return is_snapshot(path) or _is_checkpoint(path)


def is_snapshot(path: Path) -> bool:
    """Whether this is a safetensors file, or a damaged one, by its suffix."""
    start = _first_bytes(path)
    return start[8:] == b"{" or (path.suffix == ".safetensors" and not start.startswith((_PICKLE, _ZIP)))


def _is_checkpoint(path: Path) -> bool:
    """Whether this file has the hash of a checkpoint; an older one has none, and a damaged one has lost it."""
    if is_sealed(path) or path.suffix != ".ckpt" or _first_bytes(path).startswith(_PICKLE):
        return is_sealed(path)
    try:
        content = load_sealed(path)
    except UserError:  # raised again when the file is read
        return True
    return isinstance(content, dict) and "weights" in content


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(9)
    except OSError:  # raised again when the file is read
        return b""


def is_shared(path: Path) -> bool:
    """Whether this file comes with the package or is in a cache, so that nothing should be written beside it."""
    hub = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    caches = cache_folder(), hub, Path(os.environ.get("HF_HUB_CACHE", hub))
    found = path.absolute().parent.resolve()  # the Hub's files are links
    return packaged.is_packaged(path) or any(found.is_relative_to(cache.resolve()) for cache in caches)


def _converted(path: Path, text: str, setting: str) -> Path:
    """The snapshot of a foreign file in the cache, by its content."""
    # Avoids an import cycle; snapshots do not need these modules.
    from stylegen.checkpoints.convert_foreign import convert_foreign
    from stylegen.checkpoints.foreign_file import sha256_of

    folder = cache_folder() / "imported" / f"{sha256_of(path, setting)[:32]}-{__version__}"
    name = path.stem
    if text in PUBLISHED_MODELS:
        name = text.replace("/", "-")
        folder /= name  # of its own, because its network is compared with the published one
    out = next(folder.glob("*.safetensors"), folder / f"{name}.safetensors")
    if out.exists():  # perhaps in a cache that cannot be written
        return out
    try:
        with exclusive(out, wait=True):
            if not out.exists():
                out.with_suffix(".ckpt").unlink(missing_ok=True)  # of a killed process
                convert_foreign(path, out, setting, PUBLISHED_MODELS.get(text))
    except OSError as error:
        raise unwritable_cache(out.parent, error, "imported networks are kept there") from error
    return out


def _from_hub(name: str, setting: str) -> Path:
    repository, _, revision = name.removeprefix("hf:").partition("@")
    hub = import_extra("huggingface_hub", "hub", rule=f"{setting}={name} needs it")
    try:
        return Path(hub.hf_hub_download(repository, HUB_FILE, revision=revision or None))
    except Exception as error:  # the library raises many types
        raise UserError(
            f"{setting}={name}",
            rule=f"{HUB_FILE} of this repository could not be downloaded ({_first_line(error)})",
            fix="Use hf:USER/NAME or hf:USER/NAME@REVISION of a repository that `export format=huggingface` wrote",
        ) from error


def _from_url(url: str, setting: str) -> Path:
    """The file of this URL, in the cache folder."""
    try:
        name = Path(unquote(urlsplit(url).path)).name[-_MAX_NAME:] or "model"
    except ValueError:  # not a URL; `download_once` reports it
        name = "model"
    target = downloads_folder() / hashlib.sha256(url.encode()).hexdigest()[:16] / name
    try:
        download_once(url, target)
    except OSError as error:
        raise UserError(
            f"{setting}={url}",
            rule=f"its download failed ({_first_line(error)})",
            fix=f"Download it elsewhere and use {setting}=FILE",
        ) from error
    return target


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
