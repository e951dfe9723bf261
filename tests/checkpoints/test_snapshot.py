import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from stylegen.checkpoints.snapshot import find_snapshot, kimg_name, load_snapshot, save_snapshot
from stylegen.errors import UserError
from stylegen.latent.sampler import Sampler
from stylegen.networks import Level
from tests.tiny import tiny_generator


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_snapshot(tmp_path / "x.safetensors", tiny_generator(), {"images_seen": 5})
    return tmp_path / "x.safetensors"


def rewrite(path: Path, **changes: torch.Tensor | None) -> None:
    """Change tensors of a snapshot, keeping its metadata."""
    with safetensors.safe_open(path, "pt") as file:
        metadata, tensors = file.metadata(), {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    tensors |= {k.replace("__", "."): v for k, v in changes.items() if v is not None}
    for name, value in changes.items():
        if value is None:
            del tensors[name.replace("__", ".")]
    safetensors.torch.save_file(tensors, path, metadata)


def test_round_trip_gives_the_same_pictures(path: Path) -> None:
    loaded = load_snapshot(path)
    assert loaded.info == {"images_seen": 5}
    assert not loaded.generator.training
    assert torch.equal(Sampler(loaded.generator).images([1, 2]), Sampler(tiny_generator()).images([1, 2]))
    assert loaded.generator.settings == tiny_generator().settings | {"resample_taps": [1, 3, 3, 1]}


def test_a_snapshot_samples_at_the_level_at_which_it_was_saved(tmp_path: Path) -> None:
    generator, path = tiny_generator(32, name="stylegan1"), tmp_path / "x.safetensors"
    for level in (Level(8), Level(16, 0.1), Level(32, 0.75), Level(32)):
        generator.set_level(level.resolution, level.alpha)
        save_snapshot(path, generator, {})
        loaded = load_snapshot(path).generator
        assert loaded.level == level
        assert torch.equal(Sampler(loaded).images([1, 2]), Sampler(generator).images([1, 2]))
        assert loaded.settings["resolution"] == 32


@pytest.mark.parametrize("level", [{"resolution": 64}, {"resolution": 16, "alpha": 2}, {"side": 8}, [8], {}, "8"])
def test_a_level_outside_the_network(tmp_path: Path, level: object) -> None:
    path = tmp_path / "x.safetensors"
    save_snapshot(path, tiny_generator(32, name="stylegan1"), {})
    with safetensors.safe_open(path, "pt") as file:
        description = json.loads(file.metadata()["stylegen"]) | {"level": level}
        tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    safetensors.torch.save_file(tensors, path, {"stylegen": json.dumps(description)})
    with pytest.raises(UserError, match="make no network"):
        load_snapshot(path)


def test_the_newest_snapshot_of_a_run_folder(tmp_path: Path) -> None:
    for images in (9_000, 100_000, 20_500):
        save_snapshot(tmp_path / "snapshots" / f"{kimg_name(images)}.safetensors", tiny_generator(), {})
    assert find_snapshot(tmp_path).stem == kimg_name(100_000) == "000100.000"


def test_nothing_is_left_when_writing_fails(tmp_path: Path) -> None:
    generator = tiny_generator()
    generator.settings = {"not json": object()}
    with pytest.raises(TypeError):
        save_snapshot(tmp_path / "x.safetensors", generator, {})
    assert not list(tmp_path.iterdir())


def test_truncated_file(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match="truncated"):
        load_snapshot(path)


def test_file_of_another_kind(tmp_path: Path) -> None:
    torch.save({}, tmp_path / "a.ckpt")
    safetensors.torch.save_file({"x": torch.zeros(1)}, tmp_path / "b.safetensors")
    for name in ("a.ckpt", "b.safetensors"):
        with pytest.raises(UserError, match=name):
            load_snapshot(tmp_path / name)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"extra": torch.zeros(1)}, "extra is unexpected"),
        ({"mapping__w_avg": None}, "mapping.w_avg is missing"),
        ({"mapping__w_avg": torch.zeros(3)}, r"shape \[3\] instead of \[8\]"),
    ],
)
def test_tensors_that_do_not_fit(path: Path, changes: dict, message: str) -> None:
    rewrite(path, **changes)
    with pytest.raises(UserError, match=message):
        load_snapshot(path)


@pytest.mark.parametrize(
    "settings", [{}, {"resolution": "16"}, [1], {"resolution": 16, "z_dim": -1}, {"resolution": 16, "nonsense": 1}]
)
def test_settings_that_make_no_network(path: Path, settings: object) -> None:
    with safetensors.safe_open(path, "pt") as file:
        description = json.loads(file.metadata()["stylegen"]) | {"settings": settings}
        tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    safetensors.torch.save_file(tensors, path, {"stylegen": json.dumps(description)})
    with pytest.raises(UserError):
        load_snapshot(path)


def test_missing_file_and_empty_folder(tmp_path: Path) -> None:
    for missing in (tmp_path / "no.safetensors", tmp_path):
        with pytest.raises(UserError, match="snapshot="):
            load_snapshot(missing)
