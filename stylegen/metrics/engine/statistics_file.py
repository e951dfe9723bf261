"""Statistics of real images: .npz files with `mu` and `sigma`, as in TTUR, pytorch-fid and EDM.

sigma is divided by N - 1. Files written here also hold `stylegen`, a JSON record of the extractor, its weights and the
images. Other files do not record their origin, and their numbers may not be comparable: pytorch-fid resizes images
with half-pixel centers, unlike TensorFlow's Inception, which changes FID by up to 18 %. A metric against a file without
the record therefore has `_foreign-statistics` in its name.
"""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stylegen.errors import UserError
from stylegen.features.weights import sha256
from stylegen.files import replacing
from stylegen.metrics.engine.real_sets import PublishedReals
from stylegen.metrics.formulas.frechet import Moments
from stylegen.metrics.protocol.evaluation_settings import PROTOCOL_VERSION
from stylegen.spec import ImageSpec

_RECORD = "stylegen"


def read_statistics(path: str | Path, spec: ImageSpec) -> PublishedReals:
    """The file as the real side of a Frechet distance.

    Args:
        spec: `ImageSpec` of the images to compare.

    Raises:
        UserError: no such file; not an .npz with a finite `mu` [dim] and symmetric `sigma` [dim, dim]; a record with
            another image size or protocol.
    """
    path = Path(path).expanduser()
    problem = f"statistics={path}"
    fix = "Use an .npz file with mu and sigma, as written by export=, or omit it"
    if not path.is_file():
        raise UserError(problem, rule="there is no such file", fix=fix)
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            mean, covariance = (torch.from_numpy(np.asarray(file[key], dtype=np.float64)) for key in ("mu", "sigma"))
            record = json.loads(str(file[_RECORD])) if _RECORD in file.files else None
    except (OSError, ValueError, EOFError, KeyError, TypeError, RecursionError, zipfile.BadZipFile) as error:
        raise UserError(problem, rule=f"it holds no mu and sigma ({error})", fix=fix) from error
    if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)):
        shapes = f"mu {list(mean.shape)} and sigma {list(covariance.shape)}"
        raise UserError(problem, rule=f"{shapes} are not the mean and covariance of one feature vector", fix=fix)
    if not (mean.isfinite().all() and covariance.isfinite().all() and torch.allclose(covariance, covariance.T)):
        raise UserError(problem, rule="its values are not finite, or sigma is not symmetric", fix=fix)
    if record is not None:
        _check_record(record, spec, problem)
    return PublishedReals(spec, path.name, f"sha256:{sha256(path)[:32]}", mean, covariance, record=record)


def write_statistics(path: Path, moments: Moments, made: Mapping[str, object] | None = None) -> None:
    """`mu` float64 [dim] and `sigma` float64 [dim, dim], divided by N - 1; atomic.

    Args:
        made: origin of the statistics: extractor, weights_id, dataset, fingerprint, resolution, channels.
    """
    record = {"protocol_version": PROTOCOL_VERSION, "num_images": moments.count, **(made or {})}
    arrays = {"mu": moments.mean.numpy(), "sigma": moments.covariance(1).numpy(), _RECORD: np.array(json.dumps(record))}
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def _check_record(record: Any, spec: ImageSpec, problem: str) -> None:
    if not isinstance(record, dict) or not isinstance(record.get("num_images"), int):
        raise UserError(problem, rule="its record is damaged", fix="Export the statistics again")
    if record.get("protocol_version") != PROTOCOL_VERSION:
        rule = f"it follows protocol {record.get('protocol_version')}, and this version computes {PROTOCOL_VERSION}"
        raise UserError(problem, rule=rule, fix="Export the statistics again, with export=")
    for name, value in (("resolution", spec.resolution), ("channels", spec.channels)):
        if record.get(name, value) != value:
            raise UserError(
                problem,
                rule=f"its images have {name} {record[name]}, the evaluated ones {value}",
                fix="Use statistics of images of the same size",
            )
