import json
import random
import stat
import time
from pathlib import Path

import pytest
import safetensors.torch
import torch

from stylegen.checkpoints.snapshot import find_snapshot, kimg_name, load_snapshot, save_snapshot
from stylegen.checkpoints.snapshot_file import NOT_HASHED, write_snapshot_file
from stylegen.errors import UserError
from stylegen.latent.sampler import Sampler
from stylegen.networks import Level
from tests.support.tiny import tiny_generator


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_snapshot(tmp_path / "x.safetensors", tiny_generator(), {"images_seen": 5})
    return tmp_path / "x.safetensors"


def rewrite(path: Path, description: dict | None = None, **changes: torch.Tensor | None) -> None:
    """Change a snapshot's tensors or description and recompute its hash."""
    with safetensors.safe_open(path, "pt") as file:
        whole = json.loads(file.metadata()["stylegen"]) | (description or {})
        tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    del whole["sha256"]
    tensors |= {k.replace("__", "."): v for k, v in changes.items() if v is not None}
    for name, value in changes.items():
        if value is None:
            del tensors[name.replace("__", ".")]
    write_snapshot_file(path, whole, tensors)


def rewrite_text(path: Path, text: str) -> None:
    """Replace the metadata with `text`."""
    with safetensors.safe_open(path, "pt") as file:
        tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    safetensors.torch.save_file(tensors, path, {"stylegen": text})


def test_round_trip_gives_the_same_images(path: Path) -> None:
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
    rewrite(path, {"level": level})
    with pytest.raises(UserError, match="settings are invalid"):
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
        ({"mapping__w_avg": torch.zeros(8).half()}, "dtype torch.float16 instead of torch.float32"),
        ({"mapping__w_avg": torch.full((8,), torch.nan)}, "mapping.w_avg has values that are not finite"),
        ({"mapping__w_avg": torch.full((8,), -torch.inf)}, "mapping.w_avg has values that are not finite"),
    ],
)
def test_tensors_that_do_not_match(path: Path, changes: dict, message: str) -> None:
    rewrite(path, **changes)
    with pytest.raises(UserError, match=message):
        load_snapshot(path)


@pytest.mark.parametrize(
    "settings", [{}, {"resolution": "16"}, [1], {"resolution": 16, "z_dim": -1}, {"resolution": 16, "nonsense": 1}]
)
def test_invalid_settings(path: Path, settings: object) -> None:
    rewrite(path, {"settings": settings})
    with pytest.raises(UserError):
        load_snapshot(path)


def test_missing_file_and_empty_folder(tmp_path: Path) -> None:
    for missing in (tmp_path / "no.safetensors", tmp_path):
        with pytest.raises(UserError, match="snapshot="):
            load_snapshot(missing)


def test_every_flipped_bit_is_noticed_or_changes_nothing(path: Path) -> None:
    good, rng, noticed = path.read_bytes(), random.Random(0), 0
    whole = load_snapshot(path)
    header = 8 * (8 + int.from_bytes(good[:8], "little"))
    places = [rng.randrange(8 * len(good)) for _ in range(200)] + [rng.randrange(header) for _ in range(100)]
    for place in places:
        bad = bytearray(good)
        bad[place // 8] ^= 1 << place % 8
        path.write_bytes(bad)
        try:
            found = load_snapshot(path)
        except UserError:
            noticed += 1
        else:
            state = whole.generator.state_dict()
            assert all(torch.equal(t, state[name]) for name, t in found.generator.state_dict().items()), place
            assert (found.info, found.generator.settings) == (whole.info, whole.generator.settings)
    assert noticed > 290


def test_a_snapshot_without_a_hash(path: Path) -> None:
    with safetensors.safe_open(path, "pt") as file:
        description = json.loads(file.metadata()["stylegen"])
    del description["sha256"]
    rewrite_text(path, json.dumps(description))
    assert load_snapshot(path).info == {"images_seen": 5, "integrity": NOT_HASHED}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mapping_layers": 10**9}, "mapping_layers=1000000000"),
        ({"mapping_layers": 50}, "mapping_layers=50"),
        ({"mapping_layers": "8"}, "mapping_layers='8'"),
        ({"num_classes": 300_000}, "num_classes=300000"),
        ({"resample_taps": [1] * 40_000}, "resample_taps has 40000 entries, more than 64"),
        ({"w_dim": 99_999_999}, "w_dim=99999999"),
        ({"resolution": 2**40}, "settings are invalid"),
    ],
)
def test_settings_are_bounded_before_anything_is_built(path: Path, settings: dict, message: str) -> None:
    rewrite(path, {"settings": tiny_generator().settings | settings})
    begun = time.process_time()
    with pytest.raises(UserError, match=message):
        load_snapshot(path)
    assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    "description",
    [
        *({"network": 5}, {"network": None}, {"network": ["stylegan2"]}, {"settings": None}, {"settings": "x"}),
        *({"info": None}, {"info": []}, {"info": {"images_seen": "5"}}, {"info": {"data": [1]}}, {"level": 3}),
        *({"info": {"fingerprint": 7}}, {"settings": {"resolution": [16]}}, {"settings": {"resolution": {}}}),
    ],
)
def test_metadata_of_other_types(path: Path, description: dict) -> None:
    rewrite(path, description)
    with pytest.raises(UserError, match="snapshot="):
        load_snapshot(path)


@pytest.mark.parametrize("text", ["[" * 100_000, f'{{"a": {"9" * 5000}}}', "null", "[]", "\x1b[31m", "{}", ""])
def test_deeply_nested_metadata(path: Path, text: str) -> None:
    rewrite_text(path, text)
    with pytest.raises(UserError) as caught:
        load_snapshot(path)
    assert str(caught.value).isprintable()


def test_missing_permission_is_not_reported_as_damage(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UserError, match=r"cannot be read \(Permission denied\)"):
        load_snapshot(path)


def test_the_mode_follows_the_umask(path: Path) -> None:
    probe = path.with_name("probe")
    probe.touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(probe.stat().st_mode)


def test_the_generator_has_the_memory_layout_of_training(tmp_path: Path) -> None:
    """In which kernels of an evaluation after training round as in it."""
    save_snapshot(tmp_path / "a.safetensors", tiny_generator(), {})
    generator = load_snapshot(tmp_path / "a.safetensors").on("cpu")
    kernels = [p for p in generator.parameters() if p.ndim == 4 and p.shape[-1] > 1]
    assert kernels
    assert all(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels)
