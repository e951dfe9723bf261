"""Damaged files of every kind that the commands read: one line and status 2, or no effect; nothing is deleted.

Damage is seeded: flipped bits; truncated, overwritten, copied and inserted parts; contents that are valid in no format.
Checkpoints, snapshots, decoded caches and journals are damaged in their own tests, which compare accepted contents with
what was written.
"""

import json
import random
import resource
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from stylegen.checkpoints.snapshot import load_snapshot, save_snapshot
from stylegen.checkpoints.transfer import read_weights
from stylegen.config.compose import compose_config
from stylegen.config.sections import as_dict
from stylegen.config.train_composition import read_run_settings
from stylegen.config.yaml_file import dump_yaml
from stylegen.data.dataset import ImageDataset
from stylegen.data.prepare.find_labels import find_labels
from stylegen.data.prepare.image_conversion import Recipe
from stylegen.data.prepare.preparation import prepare
from stylegen.data.sources import open_source
from stylegen.data.sources.lmdb import _opened as opened_lmdb
from stylegen.data.sources.lmdb import write_lmdb
from stylegen.data.sources.parquet import write_parquet
from stylegen.errors import UserError
from stylegen.metrics.engine.statistics_cache import StatisticsCache
from stylegen.metrics.engine.statistics_file import read_statistics
from stylegen.spec import ImageSpec
from tests.support.datasets import encode, write_archive, write_folder
from tests.support.tiny import TINY_RUN, tiny_generator

FILES = {f"{i}.png": encode(i) for i in range(4)} | {"4.jpg": encode(4, format="JPEG")} | {"5.webp": encode(5)}
LABELS = {"labels": [[key, i % 2] for i, key in enumerate(FILES)], "class_names": ["a", "b"]}
KEY = {"extractor": "x", "kind": "moments"}
MUTANTS = 60
SLOW = {"config.yaml": 4}  # reading these composes a configuration: every 4th mutant only
ODD = [b"", b"\0" * 100, b"\xff" * 100, b"[" * 50_000, b'{"a":' * 50_000, b"9" * 5000, b"NaN", b"{}", b"[]"]
ODD += [b'"\x1b[31m\n"']


def mutants(good: bytes) -> Iterator[bytes]:
    rng = random.Random(0)
    for number in range(MUTANTS):
        bad, at = bytearray(good), rng.randrange(len(good))
        if number % 5 == 0:
            bad[at] ^= 1 << rng.randrange(8)
        elif number % 5 == 1:
            del bad[at:]
        elif number % 5 == 2:
            bad[at : at + 4] = rng.choice([bytes(4), b"\xff" * 4, b"\xff\xff\xff\x7f", b"\0\0\0\x80"])
        elif number % 5 == 3:
            bad[at : at + 64] = bad[: rng.randrange(1, len(good))][-64:]
        else:
            bad[at:at] = bytes(rng.randrange(256) for _ in range(8))
        yield bytes(bad)
    yield from ODD


def dataset(path: Path) -> None:
    for options in ({"cache": "off", "use_labels": True}, {"cache": "auto"}):
        found = ImageDataset(path, **options)  # type: ignore[arg-type]
        found.batch(range(len(found)))
        assert len(found.fingerprint) == 32
        found.source.close()


def lmdb_dataset(path: Path) -> None:
    try:
        dataset(path)
    finally:  # the next file has the same name, and a process may open a file only once
        for environment, _ in opened_lmdb.values():
            environment.close()
        opened_lmdb.clear()


def prepared(path: Path) -> None:
    out = path.with_name("out.zip")
    for old in (out, out.with_name("out.zip.report.json")):
        old.unlink(missing_ok=True)
    prepare(open_source(path), out, Recipe(), processes=1)


def zipped(top: Path) -> Path:
    return write_archive(top / "data.zip", FILES, LABELS)


def lmdb(top: Path) -> Path:
    pytest.importorskip("lmdb")
    write_lmdb(top / "data.lmdb", FILES.items(), LABELS, 10_000)
    return top / "data.lmdb"


def parquet(top: Path) -> Path:
    pytest.importorskip("pyarrow")
    write_parquet(top / "data.parquet", FILES.items(), [0, 1] * 3)
    return top / "data.parquet"


def snapshot(top: Path) -> Path:
    save_snapshot(top / "x.safetensors", tiny_generator(), {"images_seen": 5})
    return top / "x.safetensors"


def statistics(top: Path) -> Path:
    np.savez(top / "x.npz", mu=np.zeros(4), sigma=np.eye(4))
    return top / "x.npz"


def cached(top: Path) -> Path:
    cache = StatisticsCache(top)
    cache.store(KEY, {"mean": np.arange(9.0)})
    return next(top.glob("*.npz"))


def labels_csv(top: Path) -> Path:
    write_folder(top / "data", FILES)
    (top / "l.csv").write_text("file,class\n" + "".join(f"{key},cat|dog\n" for key in FILES))
    return top / "l.csv"


def labels_json(top: Path) -> Path:
    write_folder(top / "data", FILES)
    (top / "l.json").write_text(json.dumps(LABELS))
    return top / "l.json"


def folder_file(name: str) -> Callable[[Path], Path]:
    return lambda top: write_folder(top / "data", FILES, LABELS) / name


def run_config(top: Path) -> Path:
    (top / "config.yaml").write_text(dump_yaml(as_dict(compose_config("train", TINY_RUN))))
    return top / "config.yaml"


def labeled(path: Path) -> None:
    find_labels(str(path), open_source(path.parent / "data"))


KINDS: dict[str, tuple[Callable[[Path], Path], Callable[[Path], object]]] = {
    "zip": (zipped, dataset),
    "prepare": (zipped, prepared),
    "lmdb": (lmdb, lmdb_dataset),
    "parquet": (parquet, dataset),
    "png": (folder_file("0.png"), lambda path: dataset(path.parent)),
    "jpeg": (folder_file("4.jpg"), lambda path: dataset(path.parent)),
    "webp": (folder_file("5.webp"), lambda path: dataset(path.parent)),
    "dataset.json": (folder_file("dataset.json"), lambda path: dataset(path.parent)),
    "labels.csv": (labels_csv, labeled),
    "labels.json": (labels_json, labeled),
    "config.yaml": (run_config, read_run_settings),
    "snapshot": (snapshot, load_snapshot),
    "init": (snapshot, read_weights),
    "statistics": (statistics, lambda path: read_statistics(path, ImageSpec(8))),
    "cached statistics": (cached, lambda path: StatisticsCache(path.parent).load(KEY)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_one_line_and_quick(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLEGEN_CACHE", str(tmp_path / "cache"))
    make, use = KINDS[kind]
    path = make(tmp_path)
    use(path)
    before, memory, refused = path.read_bytes(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, 0
    for bad in islice(mutants(before), 0, None, SLOW.get(kind, 1)):
        path.write_bytes(bad)
        begun = time.process_time()
        try:
            use(path)
        except UserError as error:
            refused += 1
            message = str(error)
        else:
            message = ""
        assert message.isprintable()
        assert time.process_time() - begun < 5
        assert path.read_bytes() == bad
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 10**6  # KiB
    assert refused or kind == "cached statistics"
