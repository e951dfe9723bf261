"""Published statistics of real pictures: .npz files with `mu` and `sigma`, as TTUR, pytorch-fid and EDM share them.

sigma is divided by N - 1 there, and the files do not say N, the extractor or the pictures; so a card names the file
and its hash in place of a dataset, and only scores against the same file can be compared.
"""

import zipfile
from pathlib import Path

import numpy as np
import torch

from stylegen.errors import UserError
from stylegen.features.weights import sha256
from stylegen.metrics.frechet import Moments
from stylegen.metrics.real_sets import PublishedReals
from stylegen.spec import ImageSpec


def read_statistics(path: str | Path, spec: ImageSpec) -> PublishedReals:
    """The file as the real side of a Frechet distance.

    Args:
        spec: of the pictures that will be compared, for the file does not say.

    Raises:
        UserError: no such file; no .npz with a finite `mu` [dim] and symmetric `sigma` [dim, dim].
    """
    path = Path(path).expanduser()
    problem = f"statistics={path}"
    fix = "Give an .npz file with mu and sigma, as pytorch-fid --save-stats writes it, or leave it out"
    if not path.is_file():
        raise UserError(problem, rule="there is no such file", fix=fix)
    try:
        with np.load(path, allow_pickle=False) as file:
            mean, covariance = (torch.from_numpy(np.asarray(file[key], dtype=np.float64)) for key in ("mu", "sigma"))
    except (OSError, ValueError, EOFError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise UserError(problem, rule=f"it holds no mu and sigma ({error})", fix=fix) from error
    if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)):
        shapes = f"mu {list(mean.shape)} and sigma {list(covariance.shape)}"
        raise UserError(problem, rule=f"{shapes} are no mean and covariance of one width", fix=fix)
    if not (mean.isfinite().all() and covariance.isfinite().all() and torch.allclose(covariance, covariance.T)):
        raise UserError(problem, rule="its values are not finite, or sigma is not symmetric", fix=fix)
    return PublishedReals(spec, path.name, f"sha256:{sha256(path)[:32]}", mean, covariance)


def write_statistics(path: Path, moments: Moments) -> None:
    """`mu` float64 [dim] and `sigma` float64 [dim, dim], divided by N - 1; the file appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        np.savez(file, mu=moments.mean.numpy(), sigma=moments.covariance(1).numpy())
    partial.replace(path)
