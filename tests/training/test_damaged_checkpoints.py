"""A damaged checkpoint is detected before any of it is loaded, and the message names the damage."""

import copy
import random
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from stylegen.errors import DamagedFile, UserError
from stylegen.losses import LOSSES
from stylegen.networks import DISCRIMINATORS
from stylegen.regularizers import REGULARIZERS
from stylegen.training.checkpoint_io import read_checkpoint, write_checkpoint
from stylegen.training.random_inputs import KeyedRandomInputs
from stylegen.training.step import Objective, TrainingStep
from tests.support.tiny import tiny_generator

FLIPS = 200


@pytest.fixture(scope="module")
def step() -> TrainingStep:
    discriminator = DISCRIMINATORS["stylegan2"](resolution=8, channels=3, num_classes=0, channel_base=64, channel_max=8)
    objective = Objective(LOSSES["nonsaturating"](), {"r1": REGULARIZERS["r1"](gamma=1.0)})
    return TrainingStep(tiny_generator(8), discriminator, objective, KeyedRandomInputs(0, 8, torch.empty(4, 0)))


@pytest.fixture(scope="module")
def whole(step: TrainingStep) -> dict[str, Any]:
    """The content that a run saves after a step."""
    step(torch.zeros(8, 3, 8, 8), torch.zeros(8, 0))
    evaluation = {
        "best": {"metric": "fid", "value": 5.0, "kimg": 0.008},
        "pending": False,
        "spent": 1.0,
        "elapsed": 2.0,
    }
    return step.state_dict() | {
        "fingerprint": "00",
        "observers": {"log": {"offset": 0}, "evaluation": evaluation},
    }


@pytest.fixture
def path(whole: dict[str, Any], tmp_path: Path) -> Path:
    write_checkpoint(whole, tmp_path / "checkpoints" / "000000.008.ckpt")
    return tmp_path / "checkpoints" / "000000.008.ckpt"


def same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(torch.equal(a, b)) if isinstance(a, torch.Tensor) else bool(a == b)


def test_a_whole_checkpoint_is_read_by_anyone(path: Path, whole: dict[str, Any], step: TrainingStep) -> None:
    assert same(read_checkpoint(path, step), whole)
    assert same(torch.load(path, weights_only=True), whole)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.comment.startswith(b"sha256:")


def test_every_flipped_bit_is_noticed_or_changes_nothing(path: Path, whole: dict[str, Any]) -> None:
    good, rng, noticed = path.read_bytes(), random.Random(0), 0
    places = [rng.randrange(8 * len(good)) for _ in range(FLIPS)] + list(range(8 * len(good) - 800, 8 * len(good), 7))
    for place in places:
        bad = bytearray(good)
        bad[place // 8] ^= 1 << place % 8
        path.write_bytes(bad)
        try:
            assert same(read_checkpoint(path), whole), f"bit {place}"
        except UserError:
            noticed += 1
    assert noticed > FLIPS


def test_a_truncated_file(path: Path) -> None:
    good = path.read_bytes()
    for length in (0, 1, 100, len(good) // 2, len(good) - 80):
        path.write_bytes(good[:length])
        with pytest.raises(DamagedFile, match="truncated"):
            read_checkpoint(path)


def test_a_checkpoint_from_before_there_were_hashes(path: Path, whole: dict[str, Any], step: TrainingStep) -> None:
    """It has an earlier name of a field, too."""
    evaluation = {**whole["observers"]["evaluation"]}
    evaluation["owed"] = evaluation.pop("pending")
    torch.save(whole | {"observers": whole["observers"] | {"evaluation": evaluation}}, path)
    assert same(read_checkpoint(path, step), whole)


def optimizer_state(network: str, number: int, **values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda c: c["optimizers"][network]["state"][number].update(values)


def without(*keys: str) -> Callable[[dict[str, Any]], None]:
    def remove(checkpoint: Any) -> None:
        for key in keys[:-1]:
            checkpoint = checkpoint[key]
        del checkpoint[keys[-1]]

    return remove


def changed(value: Any, *keys: Any) -> Callable[[dict[str, Any]], None]:
    def change(checkpoint: Any) -> None:
        for key in keys[:-1]:
            checkpoint = checkpoint[key]
        checkpoint[keys[-1]] = value

    return change


GROUP = ("optimizers", "G", "param_groups", 0)
DAMAGE = {
    "moments of shape [1]": optimizer_state("G", 2, exp_avg=torch.ones(1), exp_avg_sq=torch.ones(1)),
    "one moment": optimizer_state("D", 0, exp_avg=torch.ones(1)),
    "half moments": optimizer_state("G", 1, exp_avg=torch.ones(8).half(), exp_avg_sq=torch.ones(8).half()),
    "integer moments": optimizer_state("G", 1, exp_avg=torch.ones(8).long(), exp_avg_sq=torch.ones(8).long()),
    "NaN moments": optimizer_state("G", 1, exp_avg=torch.full((8,), torch.nan)),
    "negative squares": optimizer_state("G", 1, exp_avg_sq=-torch.ones(8)),
    "a vector of steps": optimizer_state("G", 1, step=torch.ones(3)),
    "a plain step": optimizer_state("G", 1, step=1),
    "a terabyte": optimizer_state("G", 1, exp_avg=torch.ones(1).expand(2**20, 2**20)),
    "a third moment": optimizer_state("G", 1, max_exp_avg_sq=torch.ones(8)),
    "amsgrad": changed(True, *GROUP, "amsgrad"),
    "another kernel": changed(True, *GROUP, "capturable"),
    "no rate": changed(None, *GROUP, "lr"),
    "fewer parameters": changed([0, 1], *GROUP, "params"),
    "one optimizer": without("optimizers", "D"),
    "no weights": without("weights"),
    "a weight less": without("weights", "G.mapping.w_avg"),
    "a weight more": changed(torch.ones(1), "weights", "zzz"),
    "another shape": changed(torch.ones(3), "weights", "G.mapping.w_avg"),
    "another dtype": changed(torch.ones(8).long(), "weights", "G.mapping.w_avg"),
    "NaN weights": changed(torch.full((8,), torch.nan), "weights", "G.mapping.w_avg"),
    "infinite weights": changed(torch.full((8,), torch.inf), "weights", "G_ema.mapping.w_avg"),
    "text for a weight": changed("x", "weights", "G.mapping.w_avg"),
    "no clock": without("clock"),
    "no images": without("clock", "images_seen"),
    "negative images": changed(-8, "clock", "images_seen"),
    "images of a float": changed(8.5, "clock", "images_seen"),
    "too few streaks": changed([], "clock", "streaks"),
    "a third optimizer": changed({}, "optimizers", "E"),
    "no statistics": without("statistics"),
    "statistics of another shape": changed(torch.ones(1), "statistics", "loss/G"),
    "integer statistics": changed(torch.ones(1, 2).long(), "statistics", "loss/G"),
    "no observers": without("observers"),
    "observers of another type": changed([1], "observers"),
    "an observer without its state": changed({}, "observers", "log"),
    "a negative offset": changed(-1, "observers", "log", "offset"),
    "a best metric of text": changed("x", "observers", "evaluation", "best", "value"),
    "pending as a number": changed(1, "observers", "evaluation", "pending"),
    "infinite time": changed(float("inf"), "observers", "evaluation", "spent"),
    "no data": without("fingerprint"),
    "data of a number": changed(0, "fingerprint"),
    "a list": lambda c: c.clear(),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_content_that_does_not_fit_is_refused(
    damage: str, path: Path, whole: dict[str, Any], step: TrainingStep
) -> None:
    """Files with a valid hash and invalid content."""
    checkpoint = copy.deepcopy(whole)
    DAMAGE[damage](checkpoint)
    write_checkpoint(checkpoint, path)
    with pytest.raises(DamagedFile, match="is damaged") as caught:
        read_checkpoint(path, step)
    assert len(str(caught.value).splitlines()) == 1


def test_code_is_refused_without_advice_on_how_to_run_it(path: Path) -> None:
    torch.save({"weights": Path("x")}, path)
    with pytest.raises(UserError, match="contains code, which was not run") as caught:
        read_checkpoint(path)
    assert not {"weights_only", "add_safe_globals", "arbitrary"} & set(str(caught.value).replace("`", " ").split())


def test_missing_permission_is_not_called_damage(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UserError, match=r"cannot be read \(Permission denied\)") as caught:
        read_checkpoint(path)
    assert not isinstance(caught.value, DamagedFile)


def test_names_with_escape_sequences_are_shown_as_text(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        read_checkpoint(tmp_path / "\x1b[31mred\n.ckpt")
    assert r"\x1b[31mred\n.ckpt" in str(caught.value)


def test_the_mode_follows_the_umask(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~_umask(path.parent)


def _umask(folder: Path) -> int:
    probe = folder / "probe"
    probe.touch()
    return 0o666 & ~stat.S_IMODE(probe.stat().st_mode)
