"""Processes share the work, and the number does not depend on how many they are."""

import json
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp

from stylegen import features
from stylegen.metrics import ranks
from tests.metrics import shared_work


def flat(values: object, name: str = "") -> dict[str, float]:
    if not isinstance(values, dict):
        return {name: values}  # type: ignore[dict-item]
    return {k: v for key, value in values.items() for k, v in flat(value, f"{name}/{key}").items()}


def test_two_processes_score_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(features.EXTRACTORS, "random_vgg16", features.EXTRACTORS["random_vgg16"])  # is put back
    alone = shared_work.scores(tmp_path / "alone")
    mp.start_processes(shared_work.process, args=(2, str(tmp_path)), nprocs=2, start_method="spawn")
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    assert first == second  # every process knows the card
    assert "features of some pictures are not finite" in first.pop("failure")
    one, two = flat(json.loads(json.dumps(alone))), flat(first)
    assert one.keys() == two.keys()
    assert "/classes/mean over classes/fd_random_vgg16" in one
    for key, value in one.items():
        # A path length divides the difference of two nearly equal pictures by 1e-8: batches' rounding shows.
        assert two[key] == pytest.approx(value, rel=2e-2 if "ppl" in key else 1e-6), key
    assert len(list((tmp_path / "cache2").iterdir())) == len(list((tmp_path / "alone").iterdir()))


def test_alone_everything_is_handed_back() -> None:
    rows = torch.arange(6.0).reshape(3, 2)
    assert ranks.num_ranks() == 1
    assert ranks.share(3) == [0, 1, 2]
    assert ranks.gather_rows(rows, 3) is rows


def test_a_stream_cannot_be_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    from stylegen.metrics import evaluate

    monkeypatch.setattr(ranks, "num_ranks", lambda: 2)
    with pytest.raises(TypeError, match="by number"):
        evaluate._numbered([])
