"""`bench`: the table of what=data, settings of `train`, output, and bad input."""

import dataclasses
import io
import json
import shlex
import sys

import numpy as np
import pytest
from PIL import Image

from stylegen.__main__ import main
from stylegen.benchmarks import reading_speed
from stylegen.config.bench_composition import gather_training
from stylegen.config.compose import compose_config
from stylegen.config.help import groups
from stylegen.config.settings import BenchSettings
from stylegen.config.train_settings import TrainSettings
from stylegen.verbs import bench
from tests.support.runs import refused


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
    config = compose_config("bench", ["resolutions=[16]", "seconds=0.01", *settings])
    return [(rate["source"], rate["images_per_second"]) for rate in bench.run(config).values["rates"]]


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
        ("what=everything", "Known: data, memory, roofline, sample, startup, train"),
        ("out=table.txt", "must be a .json file in an existing folder"),
        ("out=nowhere/a.json", "must be a .json file in an existing folder"),
        ("vs=threads=1", "two configurations are compared by what=train or what=sample"),
        ("batch_size=8", "bench has no setting or group of this name"),
        ("resolutions=[100]", "a power of two"),
        ("resolutions=[]", "a list of 1 to 16 values, not 0"),
        ("workers=[-1]", "an integer from 0 to 256"),
        ("seconds=0", "seconds=0"),
    ],
)
def test_bad_settings(tmp_path, capsys, setting, words):
    assert words in refused(["bench", setting], tmp_path, capsys)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["batchsize=8"], "train has no setting or group of this name. Did you mean batch_size"),
        (["batch_size=7"], "mbstd_group_size=4"),
        (["vs=batch_size=7"], "mbstd_group_size=4"),
        (["vs=foo=7"], "train has no setting or group of this name"),
        (["vs=run='a"], "vs=run='a: quotes must come in pairs"),
        (["set=run='a", "batch_size=8"], "set=run='a: quotes must come in pairs"),
        (["experiment=none", "data=images"], "data.path is missing"),
        (["synthetic=100"], "a power of two"),
        (["repetitions=0"], "an integer from 1"),
    ],
)
def test_bad_training_settings(tmp_path, capsys, overrides, words):
    assert words in refused(["bench", "what=train", *overrides], tmp_path, capsys)


def test_settings_of_train_are_gathered():
    typed = ["what=train", "experiment=none", "repetitions=3", "+x.y='a b'", "~regularizers.path_length"]
    gathered = gather_training(typed)
    assert gathered[:2] == ["what=train", "repetitions=3"]
    assert shlex.split(gathered[2].removeprefix("set=")) == [
        "experiment=none",
        "+x.y='a b'",
        "~regularizers.path_length",
    ]
    settings = compose_config("bench", ["what=memory", "set='seed=1'", "batch_size=8"])
    assert settings.set == "seed=1 batch_size=8"
    assert compose_config("bench", ["what=train", "set=seed=1"]).set == "seed=1"


def test_no_setting_is_both_of_bench_and_of_train():
    own = {field.name for field in dataclasses.fields(BenchSettings)}
    assert not own & ({field.name for field in dataclasses.fields(TrainSettings)} | set(groups()))


def test_results_are_written(tmp_path):
    out = tmp_path / "data.json"
    assert main(["bench", "resolutions=[16]", "workers=[0]", "seconds=0.01", f"out={out}"]) == 0
    values = json.loads(out.read_text())
    assert values["what"] == "data"
    assert {"resolution": 16, "workers": 0, "source": "zip"}.items() <= values["rates"][1].items()
