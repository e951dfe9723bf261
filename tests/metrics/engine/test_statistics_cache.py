import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from stylegen.metrics.engine.statistics_cache import StatisticsCache, default_folder

KEY: dict[str, str | int] = {"extractor": "random_vgg16", "kind": "moments", "fingerprint": "abc", "seed": 0}
ARRAYS = {"mean": np.arange(3.0), "count": np.asarray(7)}


def test_what_was_stored_comes_back(tmp_path: Path) -> None:
    cache = StatisticsCache(tmp_path / "new" / "folder")
    assert cache.load(KEY) is None
    cache.store(KEY, ARRAYS)
    loaded = cache.load(KEY)
    assert loaded is not None
    assert set(loaded) == set(ARRAYS)
    np.testing.assert_array_equal(loaded["mean"], ARRAYS["mean"])
    assert [path.suffix for path in (tmp_path / "new" / "folder").iterdir()] == [".npz"]  # no partial files


def test_the_mode_follows_the_umask(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    StatisticsCache(tmp_path / "cache").store(KEY, ARRAYS)
    (path,) = (tmp_path / "cache").iterdir()
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_another_key_is_another_entry(tmp_path: Path) -> None:
    cache = StatisticsCache(tmp_path)
    cache.store(KEY, ARRAYS)
    for name, value in (("fingerprint", "abd"), ("seed", 1), ("kind", "features")):
        assert cache.load({**KEY, name: value}) is None


def test_a_file_under_a_wrong_name_is_not_believed(tmp_path: Path) -> None:
    cache = StatisticsCache(tmp_path)
    cache.store(KEY, ARRAYS)
    other = {**KEY, "fingerprint": "abd"}
    own, others = cache.path(KEY), cache.path(other)
    assert own is not None
    assert others is not None
    own.rename(others)
    assert cache.load(other) is None


@pytest.mark.parametrize("content", [b"", b"no zip", "half"])
def test_a_damaged_file_is_none_and_is_written_anew(
    tmp_path: Path, content: bytes | str, caplog: pytest.LogCaptureFixture
) -> None:
    cache = StatisticsCache(tmp_path)
    cache.store(KEY, ARRAYS)
    path = cache.path(KEY)
    assert path is not None
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if isinstance(content, str) else content)
    with caplog.at_level(logging.WARNING):
        assert cache.load(KEY) is None
    assert "damaged" in caplog.text
    cache.store(KEY, ARRAYS)
    assert cache.load(KEY) is not None


def test_no_flipped_byte_gives_other_numbers_or_an_error(tmp_path: Path) -> None:
    cache = StatisticsCache(tmp_path)
    cache.store(KEY, ARRAYS)
    path = cache.path(KEY)
    assert path is not None
    whole = path.read_bytes()
    noticed = 0
    for place in range(0, len(whole), 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x81]) + whole[place + 1 :])
        loaded = cache.load(KEY)
        noticed += loaded is None
        assert loaded is None or all(np.array_equal(loaded[name], ARRAYS[name]) for name in ARRAYS)
    assert noticed > len(whole) / 6  # the others are times of writing and similar fields


def test_writers_at_the_same_time(tmp_path: Path) -> None:
    """A reader in between gets one of the two files, complete."""
    cache = StatisticsCache(tmp_path)
    cache.store(KEY, {"mean": np.zeros(10_000)})

    def write_and_read(writer: int) -> bool:
        cache.store(KEY, {"mean": np.full(10_000, float(writer))})
        loaded = cache.load(KEY)
        return loaded is not None and len(np.unique(loaded["mean"])) == 1

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(write_and_read, range(64)))
    assert len(list(tmp_path.iterdir())) == 1


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    cache = StatisticsCache(tmp_path)
    path = cache.path(KEY)
    assert path is not None
    np.savez(path, mean=np.array([{"an": "object"}], dtype=object))
    assert cache.load(KEY) is None


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("in the way")
    with caplog.at_level(logging.WARNING):
        StatisticsCache(tmp_path / "file").store(KEY, ARRAYS)
    assert "could not cache" in caplog.text


def test_without_a_folder_nothing_is_kept() -> None:
    cache = StatisticsCache(None)
    cache.store(KEY, ARRAYS)
    assert cache.load(KEY) is None


def test_default_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLEGEN_CACHE", "/a")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    assert default_folder() == Path("/a/metrics")
    monkeypatch.delenv("STYLEGEN_CACHE")
    assert default_folder() == Path("/b/stylegen/metrics")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_folder() == Path.home() / ".cache/stylegen/metrics"
