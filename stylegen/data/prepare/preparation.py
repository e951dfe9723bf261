"""Converts any source to a dataset for training: a zip, a folder or an LMDB. Imports no torch, so workers start fast.

Images are converted by several processes and written in order, so equal sources and settings give equal bytes, on any
number of processes and after any interruption.
"""

import dataclasses
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import PIL

from stylegen.bounds import FilePath, Range, Seed
from stylegen.data.metadata import combine
from stylegen.data.pool import ordered_map
from stylegen.data.prepare.face_alignment import Face
from stylegen.data.prepare.find_labels import Labels, find_labels
from stylegen.data.prepare.image_conversion import Converted, Recipe, UnusableError, why_not_read
from stylegen.data.prepare.landmarks import read_landmarks
from stylegen.data.prepare.prepare_report import Prepared, notices, write_report
from stylegen.data.prepare.spool import Spool
from stylegen.data.sources.folder import FolderSource, write_folder
from stylegen.data.sources.lmdb import package, write_lmdb
from stylegen.data.sources.source import Source
from stylegen.data.sources.zip import archive_stamp
from stylegen.errors import UserError
from stylegen.files import exclusive
from stylegen.progress import show_progress

_KEPT_NOTES = ("licence", "license", "attribution", "source")  # metadata kept with the images
_OTHER_ARCHIVES = (".tar", ".gz", ".tgz", ".7z", ".rar", ".parquet", ".tfrecords", ".h5", ".hdf5", ".mdb")
_CHECK_SPACE_EVERY = 256  # images
_VERSION = 3  # increase if the same image and recipe give other pixels, or if the journal's format changes


@dataclass(frozen=True)
class _Job:
    """Job of the workers: converts the image with this key, or returns the reason why it is left out."""

    source: Source
    recipe: Recipe
    faces: Mapping[str, Face] | None = None

    def __call__(self, key: str) -> Converted | str:
        if self.faces is not None and key not in self.faces:
            return "no landmarks in align="
        try:
            data = self.source.read(key)
            return self.recipe(data) if self.faces is None else self.recipe(data, self.faces[key])
        except UnusableError as error:
            return str(error)
        except UserError as error:  # a damaged, too large or missing file
            return error.problem.removeprefix(f"{self.source.path / key} ")


def prepare(
    source: Source,
    out: Path,
    recipe: Recipe,
    *,
    labels: FilePath = "auto",
    align: FilePath | None = None,
    max_images: Annotated[int, Range(1, 2**40)] | None = None,
    seed: Seed = 0,
    strict: bool = False,
    processes: Annotated[int, Range(1, 256)] | None = None,
) -> Prepared:
    """Convert the images of `source` and write them to `out`, atomically.

    Args:
        out: .zip, .lmdb, or a folder; must not exist.
        labels: auto (from the source), none, folders (the first folder of each path is the class), or a .csv or
            .json file; see docs/datasets.md.
        align: a .csv file with five landmarks of each face, for FFHQ's alignment in place of crop and filter; see
            docs/datasets.md. Images without landmarks are left out.
        max_images: use a random subset of at most this size, in the order of the source; null uses all.
        seed: key of the random choice by `max_images`.
        strict: fail on the first image that would be left out.
        processes: number of worker processes; null for one per core, fewer for few images.

    Raises:
        UserError: an output that exists or cannot be written; a full disk (repeat the command to continue); labels
            or landmarks that do not fit; no usable image; with `strict`, an unusable image.
    """
    _check_out(source, out)
    keys = _choose(source, out, max_images, seed)
    found, faces = find_labels(labels, source), _find_faces(align, source, recipe)
    if strict and source.unread:
        raise _fatal(source.unread[0], why_not_read(source.unread[0]))
    with exclusive(out, wait=False), _unfinished(out, identity(source, recipe, keys, faces), len(keys)) as spool:
        continued = len(spool.entries)
        _fill(spool, _Job(source, recipe, faces), keys, strict, processes)
        metadata = _metadata(spool, source, recipe, keys, found, out)
        metadata["prepared"] |= {} if faces is None else {"aligned": "ffhq"}
        report = write_report(out, spool, source, keys, metadata)
        _finish(spool, out, metadata, report)
    source.close()
    total, unread = len(source.keys()), len(source.unread)
    return Prepared(
        out=out,
        report=report,
        found=total + unread,
        written=len(spool.kept),
        left_out=len(keys) - len(spool.kept) + unread,
        not_chosen=total - len(keys),
        enlarged=sum(entry["enlarged"] for entry in spool.kept),
        continued=continued,
        metadata=metadata,
        notices=notices(spool, source, labels, keys, found),
    )


@contextmanager
def _unfinished(out: Path, identity: str, total: int) -> Iterator[Spool]:
    """Context manager: the spool; deleted on success and on user errors, kept when a later run can continue."""
    spool = Spool(out, identity)
    try:
        yield spool
    except UserError:
        spool.discard()
        raise
    except Exception as error:
        spool.close()
        if _is_full(error):
            raise _no_space(out, f"{len(spool.entries)} of {total} images are done") from error
        raise
    except BaseException:
        spool.close()
        raise
    spool.discard()


def _fill(spool: Spool, job: _Job, keys: Sequence[str], strict: bool, processes: int | None) -> None:
    done = len(spool.entries)
    results = ordered_map(job, keys[done:], processes)
    for key, result in zip(keys[done:], show_progress(results, "preparing", len(keys), done), strict=True):
        if isinstance(result, Converted) and spool.kept and result.side != spool.kept[0]["side"]:
            side, first = result.side, spool.kept[0]["side"]
            result = f"{side}x{side}, the first image is {first}x{first}, and no resolution is given"
        if isinstance(result, Converted):
            spool.add(result)
        elif strict:
            raise _fatal(key, result)
        else:
            spool.leave_out(result)
        if len(spool.entries) % _CHECK_SPACE_EVERY == 0 and spool.kept:
            _check_space(spool, len(keys))
    if not spool.kept:
        first = f"{keys[0]}: {spool.entries[0]['left_out']}"
        raise UserError(
            f"none of {len(keys)} images can be used ({first})",
            rule="a dataset must have at least one image",
            fix="Check the files, or change crop, min_size or resolution",
        )


def _metadata(
    spool: Spool, source: Source, recipe: Recipe, keys: Sequence[str], found: Labels, out: Path
) -> dict[str, Any]:
    used = [key for key, entry in zip(keys, spool.entries, strict=True) if "name" in entry]
    labels = [None if found.of is None else found.of[key] for key in used]
    names = [entry["name"] for entry in spool.kept]
    return {
        **{note: source.metadata[note] for note in _KEPT_NOTES if note in source.metadata},
        "name": out.stem,
        "labels": None if found.of is None else [list(pair) for pair in zip(names, labels, strict=True)],
        **({"class_names": found.names} if found.names else {}),
        "fingerprint": combine((entry["digest"] for entry in spool.kept), labels),
        "digests": [entry["digest"] for entry in spool.kept],
        "stamp": archive_stamp((entry["name"], entry["bytes"], entry["crc"]) for entry in spool.kept),
        "prepared": {**dataclasses.asdict(recipe), "resolution": spool.kept[0]["side"]},
    }


def _finish(spool: Spool, out: Path, metadata: dict[str, Any], report: Path) -> None:
    try:
        if out.suffix.lower() == ".lmdb":
            write_lmdb(out, spool.images(), metadata, spool.kept[-1]["end"])
        elif out.suffix.lower() == ".zip":
            spool.finish_zip(out, metadata)
        else:
            write_folder(out, spool.images(), metadata)
    except BaseException:
        report.unlink()  # the dataset does not exist
        raise


def _choose(source: Source, out: Path, max_images: int | None, seed: int) -> list[str]:
    keys = source.keys()
    if not keys:
        raise no_images("source", source)
    if max_images is None or max_images >= len(keys):
        return keys
    if max_images < 1:
        raise UserError(f"max_images={max_images}", rule="must be at least 1", fix="Omit it to use all")
    from stylegen.randomness import permutation  # imports torch, which the workers do not need

    chosen = permutation(len(keys), seed, "prepare/subset")[:max_images]
    return [keys[i] for i in sorted(chosen.tolist())]


def no_images(setting: str, source: Source) -> UserError:
    """The error for a source without images in a format that is read."""
    others = f" (but {len(source.unread)} of other formats)" if source.unread else ""
    return UserError(
        f"{setting}={source.path} contains no images{others}",
        rule="images are .png, .jpg, .jpeg, .webp, .tif, .gif or .bmp files, at any depth",
        fix="Give the path of a folder or archive of images",
    )


def _find_faces(align: str | None, source: Source, recipe: Recipe) -> dict[str, Face] | None:
    if align is not None and recipe.resolution is None:
        raise UserError(f"align={align}", rule="aligned faces must have one resolution", fix="Use resolution=256")
    return None if align is None else read_landmarks(align, set(source.keys()))


def identity(source: Source, recipe: Recipe, keys: Sequence[str], faces: Mapping[str, Face] | None = None) -> str:
    """Hash of everything that determines the images; labels do not."""
    parts = [
        _VERSION,
        PIL.__version__,
        dataclasses.asdict(recipe),
        source.stamp(),
        len(keys),
        *([faces] if faces else []),
    ]
    text = json.dumps(parts) + "\n".join(keys)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _check_out(source: Source, out: Path) -> None:
    if out.exists() or out.is_symlink():
        raise UserError(f"out={out} exists", rule="nothing is overwritten", fix="Name another output, or remove it")
    if out.suffix.lower() in _OTHER_ARCHIVES:
        raise UserError(f"out={out}", rule="must be a .zip file, an .lmdb file or a folder", fix="Use one of these")
    folder = out.suffix.lower() not in (".zip", ".lmdb")
    if isinstance(source, FolderSource) and folder and source.path.resolve() in out.resolve().parents:
        raise UserError(f"out={out}", rule="must not be inside its own source", fix="Name another folder")
    existing = next(parent for parent in out.absolute().parents if parent.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise UserError(
            f"out={out}", rule=f"{existing} is not a writable folder", fix="Name an output in a writable folder"
        )
    if out.suffix.lower() == ".lmdb":
        package()  # fail now rather than at the end


def _check_space(spool: Spool, total: int) -> None:
    """Fail early if the disk will be full, extrapolating from the images so far. A folder or LMDB is a second copy."""
    used, share = spool.kept[-1]["end"], len(spool.entries) / total
    copies = 1 if spool.path.name.endswith(".zip.partial") else 2
    needed, free = int(used / share * copies - used), shutil.disk_usage(spool.path.parent).free
    if needed > free:
        raise OSError(errno.ENOSPC, f"about {needed / 2**30:.1f} GiB more are needed, {free / 2**30:.1f} are free")


def _is_full(error: Exception) -> bool:
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return full or "No space left" in str(error)


def _no_space(out: Path, done: str) -> UserError:
    return UserError(
        f"no space left for out={out} ({done})",
        rule="the output needs space, twice its size while a folder or LMDB is finished",
        fix="Free some space and repeat the command: it continues",
    )


def _fatal(key: str, reason: str) -> UserError:
    return UserError(
        f"{key}: {reason}", rule="strict=true leaves nothing out", fix="Repair or remove the file, or use strict=false"
    )
