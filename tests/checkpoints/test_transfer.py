"""Initialization from trained weights: copied tensors, kept tensors, errors."""

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from stylegen.checkpoints.snapshot import save_snapshot
from stylegen.checkpoints.transfer import TrainedWeights, label_dependent, read_weights, transfer
from stylegen.config.compose import compose_config
from stylegen.errors import UserError
from stylegen.networks import DISCRIMINATORS, GENERATORS
from stylegen.runs.build import new_discriminator, new_generator
from stylegen.runs.initial import initialize
from stylegen.spec import ImageSpec
from tests.support.tiny import tiny_generator

TINY_SIZES = ["generator.z_dim=8", "generator.w_dim=8", "generator.channel_base=128", "discriminator.channel_base=128"]
SMALL = {"channel_base": 128, "channel_max": 8}


def discriminator(classes: int = 0, resolution: int = 16, name: str = "stylegan2") -> nn.Module:
    return DISCRIMINATORS[name](resolution=resolution, num_classes=classes, **SMALL)


def networks(resolution: int = 16, classes: int = 0, seed: int = 0) -> dict[str, nn.Module]:
    G, G_ema = (tiny_generator(resolution, seed + k, num_classes=classes) for k in (0, 1))
    return {"G": G, "D": discriminator(classes, resolution), "G_ema": G_ema}


def labels() -> dict[str, set[str]]:
    generator = label_dependent(lambda classes: tiny_generator(num_classes=classes))
    return {"G": generator, "G_ema": generator, "D": label_dependent(discriminator)}


def checkpoint(path: Path, nets: dict[str, nn.Module]) -> Path:
    state = {f"{part}.{name}": t for part, net in nets.items() for name, t in net.state_dict().items()}
    torch.save({"weights": state, "clock": {"images_seen": 5}}, path)
    return path


def equal(a: nn.Module, b: nn.Module) -> bool:
    other = b.state_dict()
    return all(torch.equal(t, other[name]) for name, t in a.state_dict().items())


def test_a_checkpoint_holds_three_networks(tmp_path: Path) -> None:
    old, new = networks(), networks(seed=5)
    weights = read_weights(checkpoint(tmp_path / "last.ckpt", old))
    assert "generator and discriminator" in transfer(weights, new, labels(), {})
    assert all(equal(old[part], new[part]) for part in old)
    assert not equal(new["G"], new["G_ema"])


def test_a_snapshot_initializes_both_generators_from_the_ema(tmp_path: Path) -> None:
    generator, new = tiny_generator(seed=3), networks()
    save_snapshot(tmp_path / "a.safetensors", generator, {})
    sentence = transfer(read_weights(tmp_path / "a.safetensors"), new, labels(), {})
    assert equal(generator, new["G"])
    assert equal(generator, new["G_ema"])
    assert "no discriminator" in sentence


def test_tensors_that_depend_on_labels() -> None:
    generator, critic = labels()["G"], labels()["D"]
    assert generator == {"mapping.embed.weight", "mapping.embed.bias", "mapping.layers.0.weight"}
    assert {n for n in critic if not n.startswith("mapping.")} == {"epilogue.out.weight", "epilogue.out.bias"}


@pytest.mark.parametrize("name", sorted(GENERATORS.keys() & DISCRIMINATORS.keys()))
def test_every_network_has_tensors_that_depend_on_labels(name: str) -> None:
    assert label_dependent(lambda classes: GENERATORS[name](resolution=16, num_classes=classes))
    assert label_dependent(lambda classes: discriminator(classes, name=name))


@pytest.mark.parametrize(
    ("classes", "overrides"),
    [
        (10, ["discriminator.head=projection"]),
        (10, ["discriminator.head=classes"]),
        (10, ["generator.conditioning=cin"]),
        (0, ["generator.mapping_layers=0"]),
    ],
)
def test_networks_that_need_labels_and_networks_that_need_none(
    classes: int, overrides: list[str], tmp_path: Path
) -> None:
    """Some networks cannot be built for 0 classes, others only for 0."""
    base = ["experiment=none", "data.path=x", "generator=stylegan1", "discriminator=stylegan1"]
    settings, spec = compose_config("train", [*base, *TINY_SIZES, *overrides]), ImageSpec(16, 3, classes)
    G, G_ema = (new_generator(settings.generator, spec) for _ in range(2))
    source = new_generator(settings.generator, spec)
    save_snapshot(tmp_path / "a.safetensors", source, {})
    step: Any = SimpleNamespace(G=G, G_ema=G_ema, D=new_discriminator(settings.discriminator, spec))
    note = initialize(replace(settings, init=str(tmp_path / "a.safetensors")), step, spec)
    assert note is not None
    assert "not copied" not in note
    assert equal(G, source)
    assert equal(G_ema, source)


@pytest.mark.parametrize(("before", "after"), [(0, 3), (3, 0), (3, 5)])
def test_other_labels_keep_the_rest(before: int, after: int, tmp_path: Path) -> None:
    old, new = networks(classes=before), networks(classes=after, seed=5)
    fresh = {name: t.clone() for name, t in new["G"].state_dict().items()}
    sentence = transfer(read_weights(checkpoint(tmp_path / "last.ckpt", old)), new, labels(), {})
    assert "G.mapping.embed.weight" in sentence
    own, source = new["G"].state_dict(), old["G"].state_dict()
    for name, tensor in own.items():
        fits = name in source and source[name].shape == tensor.shape
        assert torch.equal(tensor, source[name] if fits else fresh[name])
        assert fits or name in labels()["G"]


@pytest.mark.parametrize(
    ("resolution", "settings", "message"),
    [
        (32, {}, r"G.synthesis.blocks.32.* is missing; .*and \d+ more"),
        (8, {}, "is unexpected"),
        (16, {"generator": {"activation": "relu", "conv_clamp": 256}}, "generator.activation is lrelu in the file"),
        (16, {"generator": {"mapping_lr_multiplier": 0.1}}, "mapping_lr_multiplier is 0.01 in the file and 0.1 here"),
    ],
)
def test_other_networks_are_refused(resolution: int, settings: dict, message: str, tmp_path: Path) -> None:
    save_snapshot(tmp_path / "a.safetensors", tiny_generator(seed=3), {})
    new = networks(resolution)
    before = {name: t.clone() for name, t in new["G"].state_dict().items()}
    with pytest.raises(UserError, match=message):
        transfer(read_weights(tmp_path / "a.safetensors"), new, labels(), settings)
    assert all(torch.equal(t, before[name]) for name, t in new["G"].state_dict().items())


def test_a_discriminator_of_another_shape_is_named() -> None:
    weights = TrainedWeights(Path("x"), {"D": discriminator(resolution=16).state_dict()})
    other = DISCRIMINATORS["stylegan2"](resolution=16, channel_base=128, channel_max=4)
    with pytest.raises(UserError, match=r"D.blocks.16.* has shape \[8.* instead of \[4"):
        transfer(weights, {"D": other}, labels(), {})


class Malicious:
    def __reduce__(self) -> tuple:
        return os.mkdir, ("executed",)


def test_nothing_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"weights": Malicious()}, tmp_path / "last.ckpt")
    with pytest.raises(UserError, match="contains code, which was not run"):
        read_weights(tmp_path / "last.ckpt")
    assert not (tmp_path / "executed").exists()


def test_files_that_are_no_weights(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"no")
    (tmp_path / "b.ckpt").write_bytes(b"no")
    torch.save({"weights": {"G.x": torch.zeros(1)}}, tmp_path / "c.ckpt")
    for name, message in (("a.safetensors", "truncated"), ("b.ckpt", "truncated"), ("c.ckpt", "lacks D")):
        with pytest.raises(UserError, match=message):
            read_weights(tmp_path / name)
    with pytest.raises(UserError, match=r"there is no file .*last.ckpt"):
        read_weights(tmp_path)
