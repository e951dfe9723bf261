"""The table has a number for each source and cache, and a dash if a package is missing."""

import io
import sys

import numpy as np
import pytest
from PIL import Image

from stylegen.__main__ import main
from stylegen.studies import reading_speed
from stylegen.verbs import bench


def test_a_table_of_images_per_second(capsys):
    assert main(["bench", "what=data", "resolutions=[16,32]", "workers=[0]", "seconds=0.01"]) == 0
    head, *rows, _ = capsys.readouterr().out.splitlines()
    assert head.split() == ["images/s", "16px", "0w", "32px", "0w"]
    assert [row.split()[0] for row in rows] == ["folder", "zip", "lmdb", "parquet", "memmap", "memory"]
    assert all(int(cell.replace(",", "")) > 0 for row in rows for cell in row.split()[1:])


def test_workers_read_too(monkeypatch):
    monkeypatch.setattr(reading_speed, "SET_BYTES", 2**14)
    with_workers = [rate for source, rate in rates(["workers=[1]"]) if source in ("zip", "memmap")]
    assert all(rate > 0 for rate in with_workers)


def rates(settings):
    from stylegen.config.compose import compose_config

    config = compose_config("bench", ["resolutions=[16]", "seconds=0.01", *settings])
    return [(source, rate) for (source, _, _), rate in bench.run(config).rates.items()]


def test_missing_extras_are_a_dash(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    assert main(["bench", "resolutions=[16]", "workers=[0]", "seconds=0.01"]) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines() if "parquet" in line] == [["parquet", "-"]]


def test_the_images_are_the_same_each_time_and_like_photographs():
    first, second = reading_speed.synthetic_images(64, 2), reading_speed.synthetic_images(64, 2)
    assert first == second
    assert first[0] != first[1]
    pixels = np.asarray(Image.open(io.BytesIO(first[0][1])))
    assert pixels.shape == (64, 64, 3)
    assert 20 < pixels.std() < 80
    assert 0.3 < len(first[0][1]) / pixels.size < 0.8, "they compress like photographs"


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("what=everything", "Known: data"),
        ("resolutions=[100]", "powers of two"),
        ("resolutions=[]", "a list of 1 to 16 values, not 0"),
        ("workers=[-1]", "a whole number from 0 to 256"),
        ("seconds=0", "seconds=0"),
    ],
)
def test_bad_settings(capsys, setting, words):
    assert main(["bench", setting]) == 2
    assert words in capsys.readouterr().err
