"""Files of other StyleGAN code as values: pickles, and both formats of torch.save. Executes nothing of them."""

import contextlib
import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from stylegen.checkpoints.pickle_data import Budget, ByteReader, Refused
from stylegen.checkpoints.pickle_names import NAMES
from stylegen.checkpoints.safe_pickle import Machine
from stylegen.checkpoints.torch_storages import MAGIC, read_legacy, read_zip
from stylegen.errors import DamagedFile, UserError
from stylegen.files import unreadable

MAX_BYTES = 4 * 2**30  # the largest checkpoints, 1024-px networks with optimizer states, have 1 GB
_SAFETENSORS_HEADER = b"{"


def read_foreign(path: Path, setting: str = "source") -> Any:
    """The content of a file: dicts, lists, numbers, texts, CPU tensors and `Record`s.

    Args:
        setting: name of the setting with the path, for error messages.

    Raises:
        UserError: the file cannot be read, is too large, or contains something that is not on the list of names.
        DamagedFile: the file is truncated, damaged, or no such file at all.
    """
    with _opened(path, setting) as stream:
        return read_stream(stream, path.stat().st_size, f"{setting}={path}")


def sha256_of(path: Path, setting: str = "source") -> str:
    """SHA-256 of a file in hexadecimal.

    Raises:
        UserError: the file cannot be read.
    """
    with _opened(path, setting) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextlib.contextmanager
def _opened(path: Path, setting: str) -> Iterator[io.BufferedReader]:
    try:
        if path.exists() and not path.is_file():  # opening a pipe waits for its writer
            raise UserError(f"{setting}={path}", rule="it is a directory or a device, not a file", fix="Use a file")
        with path.open("rb") as stream:
            yield stream
    except OSError as error:
        raise unreadable(setting, path, error) from error


def read_stream(stream: IO[bytes], size: int, name: str) -> Any:
    """The same from a stream of `size` bytes; `name` is for error messages."""
    try:
        if size > MAX_BYTES:
            raise Refused(f"it has {size / 2**30:.1f} GiB, more than {MAX_BYTES / 2**30:.0f}")
        return _read(stream, size)
    except Refused as error:
        program = next((f" ({text})" for start, text in _PROGRAMS.items() if f"names {start}." in str(error)), "")
        raise UserError(name, rule=f"it is not read: {error}{program}", fix=_FIX) from error
    except OSError:
        raise
    except Exception as error:  # a damaged pickle or archive raises many types
        reason = f"{type(error).__name__}: {str(error).partition(os.linesep)[0][:100]}"
        raise DamagedFile(name, rule=f"it is damaged, or no pickle ({reason})", fix=_FIX) from error


# Modules that only programs pickle whose networks are not imported.
_PROGRAMS = {
    "timm": "as in StyleGAN-XL and Projected GAN, which are not supported",
    "pg_modules": "as in StyleGAN-XL and Projected GAN, which are not supported",
    "torch.nn.modules": "a whole module, as in StyleGAN-XL and torch.save(network); state dicts are read",
    "tfutil": "as in ProGAN, which is not supported",
    "lightning": "as in checkpoints of Lightning",
    "pytorch_lightning": "as in checkpoints of Lightning",
    "omegaconf": "as in checkpoints of Lightning with Hydra",
}
_FIX = "Use a .pkl, .pt or .pth file as its authors published it; nothing of this file was executed"


def _read(stream: IO[bytes], size: int) -> Any:
    budget = Budget(size)
    start = stream.read(len(MAGIC))
    stream.seek(0)
    if start.startswith(b"PK\x03\x04"):
        return read_zip(stream, NAMES, budget)
    if start[8:9] == _SAFETENSORS_HEADER:
        raise Refused("it is a safetensors file, not a pickle")
    if start.startswith(b"\x89HDF"):
        raise Refused("it is an HDF5 file, not a pickle")
    reader = ByteReader(stream, size)
    if start == MAGIC:
        return read_legacy(reader, NAMES, budget)
    value = Machine(reader, NAMES, budget).run()
    if reader.left:
        raise Refused("data follow the end of its pickle")
    return value
