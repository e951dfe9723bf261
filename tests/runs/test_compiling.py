"""The choice of `compile`: when it saves time, what a resumed run keeps, what is refused."""

from functools import partial
from pathlib import Path

import pytest

from stylegen.checkpoints.run_folder import RunFolder
from stylegen.config.compose import compose_config
from stylegen.config.train_composition import read_run_settings
from stylegen.runs import auto_settings
from stylegen.runs.auto_settings import choose_compile
from stylegen.runs.build import build_dataset, build_step
from stylegen.runs.start import Start
from stylegen.training import compilation
from tests.support.runs import assert_equal, refused, state, train
from tests.support.tiny import TINY_RUN


@pytest.fixture(autouse=True)
def compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """A C++ compiler that is not used."""
    monkeypatch.setenv("CXX", "true")


def choice(minutes: float, monkeypatch: pytest.MonkeyPatch, *overrides: str) -> tuple[bool, str]:
    """Of a default run of this length -> compile, and the note."""
    monkeypatch.setattr(auto_settings, "seconds_left", lambda *arguments: minutes * 60)
    settings = compose_config("train", ["trainer.accelerator=cpu", *overrides])
    step = build_step(settings, build_dataset(settings))
    compiled, (note,) = choose_compile(settings, step, Start(RunFolder(Path("runs"))))
    return compiled, note


def test_a_long_run_earns_the_compilation_back(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [choice(minutes, monkeypatch)[0] for minutes in (3, 12, 180)] == [False, False, True]
    assert choice(180, monkeypatch)[1].startswith("compile=true: compiling takes about 3 min and saves about 11 min")


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (["augment=ada"], "strength of augmentation"),
        (["generator=stylegan1", "discriminator=stylegan1", "growth=stylegan1"], "while the networks grow"),
    ],
)
def test_what_is_never_compiled(overrides: list[str], reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled, note = choice(1e6, monkeypatch, *overrides)
    assert not compiled
    assert reason in note


def test_a_run_keeps_its_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    assert train(run, "total_kimg=0.048", "compile=auto") == 0
    assert read_run_settings(run / "config.yaml").compile is False
    monkeypatch.setattr(auto_settings, "seconds_left", lambda *arguments: 1e9)
    assert train(run, "total_kimg=0.096", "compile=auto") == 0
    assert read_run_settings(run / "config.yaml").compile is False
    settings = compose_config("train", [*TINY_RUN, "compile=auto", "trainer.accelerator=cpu"])
    start = Start(RunFolder(run), run / "checkpoints" / "last.ckpt")
    assert choose_compile(settings, build_step(settings, build_dataset(settings)), start) == (False, [])


def test_compile_without_a_compiler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    command = ["train", *TINY_RUN, "trainer.accelerator=cpu", f"output_dir={tmp_path / 'run'}"]
    message = refused([*command, "compile=true"], tmp_path, capsys)
    assert "compile=true: the C++ compiler no-such-compiler is not installed. Use compile=auto" in message
    assert "compile=1: " in refused([*command, "compile=1"], tmp_path, capsys)


def test_a_compiled_run_is_continued_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Traced by Dynamo, without generating kernels."""
    monkeypatch.setattr(compilation, "CompiledTerms", partial(compilation.CompiledTerms, backend="eager"))
    small = ("generator.mapping_layers=1", "compile=true")
    assert train(tmp_path / "whole", "total_kimg=0.064", *small) == 0
    assert train(tmp_path / "parts", "total_kimg=0.048", *small) == 0
    assert train(tmp_path / "parts", "total_kimg=0.064", "compile=auto") == 0
    assert_equal(state(tmp_path / "parts"), state(tmp_path / "whole"))
    for folder in ("whole", "parts"):
        log = (tmp_path / folder / "log.txt").read_text()
        assert "note: compiled loss/G in " in log
        assert "not compiled" not in log
    assert read_run_settings(tmp_path / "parts" / "config.yaml").compile is True
