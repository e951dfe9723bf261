"""Weights & Biases, checked through the files it writes."""

import warnings
from pathlib import Path

import pytest
import torch

from stylegen.errors import UserError
from stylegen.images import write_png
from stylegen.training.observers.wandb import WandbRun, check_logger
from tests.support.wandb_file import read_run


def log_something(run: WandbRun, folder: Path, kimg: float) -> None:
    run.start()
    run.log({"kimg": kimg, "loss/G": 0.5})
    write_png(folder / "grid.png", torch.zeros(3, 8, 8, dtype=torch.uint8))
    run.log_grid(kimg, folder / "grid.png")
    run.close()


@pytest.fixture(autouse=True)
def _no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "config"))
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    warnings.filterwarnings("ignore", category=ResourceWarning)


def test_without_a_key_a_run_is_offline_and_can_be_read_back(tmp_path: Path) -> None:
    folder = tmp_path / "00003-faces"
    folder.mkdir()
    for kimg in (1.0, 2.0):  # the second is a resumed run
        log_something(WandbRun(folder, {"generator": {"z_dim": 8}}), folder, kimg)
    files = sorted(folder.glob("wandb/offline-run-*/*.wandb"))
    runs = [read_run(path) for path in files]
    assert len(runs) == 2
    assert runs[0]["id"] == runs[1]["id"] == (folder / "wandb" / "run_id.txt").read_text()
    assert runs[0]["name"] == "00003-faces"
    assert runs[0]["config"]["generator"] == {"z_dim": 8}
    scalars = [h for r in runs for h in r["history"] if "loss/G" in h]
    assert [(h["kimg"], h["loss/G"]) for h in scalars] == [(1.0, 0.5), (2.0, 0.5)]
    grids = [h for r in runs for h in r["history"] if any("samples" in key for key in h)]
    assert [h["kimg"] for h in grids] == [1.0, 2.0]
    assert list(folder.glob("wandb/offline-run-*/files/media/images/samples*.png"))


def test_an_unreachable_server_turns_the_run_offline_with_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    run = WandbRun(tmp_path, {}, mode="auto", init_timeout=2)
    with pytest.warns(UserWarning, match="cannot be reached") as caught:
        log_something(run, tmp_path, 1.0)
    assert len([w for w in caught if "cannot be reached" in str(w.message)]) == 1
    (path,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    assert any(h.get("loss/G") == 0.5 for h in read_run(path)["history"])


def test_disabled_writes_nothing(tmp_path: Path) -> None:
    log_something(WandbRun(tmp_path, {}, mode="disabled"), tmp_path, 1.0)
    assert [p.name for p in tmp_path.iterdir()] == ["grid.png"]


def test_unknown_mode() -> None:
    with pytest.raises(UserError, match="offline"):
        WandbRun(Path(), {}, mode="ofline")


def test_the_variable_is_named_where_it_is_the_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "ofline")
    with pytest.raises(UserError, match=r"^WANDB_MODE=ofline.*Did you mean offline"):
        check_logger("auto")
    check_logger("offline")


@pytest.mark.parametrize("project", ["a/b", "a:b", "x" * 129, ""])
def test_a_project_that_cannot_be(project: str) -> None:
    with pytest.raises(UserError, match=r"^logger\.project="):
        check_logger("offline", project)


@pytest.mark.parametrize("address", ["not a url", "http://[::1", "ftp://x"])
def test_a_bad_address_turns_the_run_offline_with_one_warning(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", address)
    with pytest.warns(UserWarning, match="WANDB_BASE_URL=") as caught:
        log_something(WandbRun(tmp_path, {}), tmp_path, 1.0)
    assert len([w for w in caught if "offline" in str(w.message)]) == 1
    assert list(tmp_path.glob("wandb/offline-run-*/*.wandb"))
