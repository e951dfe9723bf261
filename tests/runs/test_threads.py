"""`threads`: what decides the number, and that a run keeps it."""

from pathlib import Path

import pytest
import torch
import yaml

from stylegen.__main__ import main
from stylegen.config.compose import compose_config
from stylegen.runs import auto_settings as module
from stylegen.runs.auto_settings import choose_threads
from stylegen.runs.build import build_dataset, build_step
from stylegen.training.step import TrainingStep
from tests.support.runs import assert_equal, state
from tests.support.tiny import TINY_RUN

RUN = [*TINY_RUN, "regularizers=r1", "logger.mode=disabled", "trainer.accelerator=cpu", "threads=auto"]


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Four cores and no OMP_NUM_THREADS; the probe finds that two threads are fastest -> its arguments.

    Training continues with one thread: two would wait for a core in parallel tests.
    """
    probed: list[tuple[int, int]] = []

    def probe(step: TrainingStep, images: int, cores: int) -> int:
        probed.append((images, cores))
        return 2

    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr("stylegen.cpus.available_cores", lambda: 4)
    monkeypatch.setattr(module, "available_cores", lambda: 4)
    monkeypatch.setattr(module, "fastest_threads", probe)
    monkeypatch.setattr(torch, "set_num_threads", lambda number: None)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    return probed


def choice(*overrides: str) -> tuple[int, list[str]]:
    settings = compose_config("train", [*RUN, *overrides])
    return choose_threads(settings, build_step(settings, build_dataset(settings)))


@pytest.mark.parametrize(
    ("overrides", "threads", "arguments"),
    [
        ([], 2, (8, 4)),
        (["batch_per_device=4"], 2, (4, 4)),
        (["trainer.devices=2"], 2, (4, 2)),
        (["trainer.devices=4", "batch_size=16"], 1, None),  # one core each
        (["threads=3"], 3, None),
        (["threads=null"], 4, None),
        (["threads=null", "trainer.devices=2"], 2, None),
    ],
)
def test_the_number(
    overrides: list[str], threads: int, arguments: tuple[int, int] | None, machine: list[tuple[int, int]]
) -> None:
    assert choice(*overrides)[0] == threads
    assert machine == ([] if arguments is None else [arguments])


def test_omp_num_threads_replaces_the_measurement(
    machine: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert choice() == (3, [])
    assert choice("threads=1") == (1, [])
    assert machine == []


def test_a_gpu_needs_few_threads_and_no_measurement(
    machine: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "device_type", lambda accelerator: "cuda")
    monkeypatch.setattr(module, "available_cores", lambda: 64)
    assert choice() == (4, [])
    assert machine == []


def test_more_threads_than_cores_are_noted() -> None:
    assert choice("threads=5") == (5, ["threads=5 for 4 cores per process: threads wait for each other"])
    assert choice("threads=4") == (4, [])


def train(folder: Path, *overrides: str) -> int:
    return main(["train", *overrides, f"output_dir={folder}"])


def threads_of(folder: Path) -> object:
    return yaml.safe_load((folder / "config.yaml").read_text())["threads"]


def test_a_run_keeps_its_number(
    tmp_path: Path, machine: list[tuple[int, int]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    assert train(folder, *RUN, "total_kimg=0.008") == 0
    assert (threads_of(folder), len(machine)) == (2, 1)
    captured = capsys.readouterr().err
    assert "note: threads=2 of 4 cores, as measured\n" in captured
    assert "1 process, 2 CPU threads, fp32\n" in captured
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for number, more in enumerate(([], ["threads=auto"], ["threads=auto", "experiment=openmoji", *RUN])):
        assert train(folder, *more, f"total_kimg={0.016 + 0.008 * number}") == 0
        assert (threads_of(folder), len(machine)) == (2, 1)
    assert train(folder, "threads=1", "total_kimg=0.04") == 0
    assert threads_of(folder) == 1
    assert train(tmp_path / "other", f"resume={folder}", "threads=auto", "total_kimg=0.048") == 0
    assert threads_of(tmp_path / "other") == 1


def test_a_run_with_the_default_of_pytorch(tmp_path: Path, machine: list[tuple[int, int]]) -> None:
    """Runs before threads=auto may have null in their config.yaml."""
    folder = tmp_path / "run"
    assert train(folder, *RUN, "threads=1", "total_kimg=0.008") == 0
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("\nthreads: 1\n", "\nthreads: null\n"))
    assert train(folder, "threads=auto", "total_kimg=0.016") == 0
    assert (threads_of(folder), machine) == (4, [])


def test_a_measured_number_and_the_same_number_given_train_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(module, "available_cores", lambda: 2)
    monkeypatch.setattr("stylegen.training.thread_probe._SECONDS", 0.0)
    assert train(tmp_path / "measured", *RUN, "total_kimg=0.016") == 0
    threads = threads_of(tmp_path / "measured")
    assert threads in (1, 2)
    assert train(tmp_path / "given", *RUN, f"threads={threads}", "total_kimg=0.016") == 0
    assert_equal(state(tmp_path / "measured"), state(tmp_path / "given"))
