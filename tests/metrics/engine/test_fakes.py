"""Generated images: precision of the generator, and the sampling recorded on the card."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest
import torch

from stylegen.features import ieee_float32
from stylegen.metrics.engine import fakes
from stylegen.metrics.engine.fakes import default_batch_size
from stylegen.metrics.protocol.evaluation_settings import Protocol
from stylegen.spec import ImageSpec
from tests.support.metric_images import Reals, evaluation_of, portraits
from tests.support.metrics_on_ranks import Conditional
from tests.support.tiny import tiny_generator

FD = "fd_random_vgg16"
ON_ROUNDING = {"tf32", "bf16"}


@pytest.fixture
def rounding() -> Iterator[None]:
    """Enables TF32, as PyTorch's defaults and `precision=tf32` do."""
    state = switches()
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True
    yield
    torch.backends.cudnn.allow_tf32 = state[0]
    torch.set_float32_matmul_precision("high" if state[1] else "highest")


def switches() -> list[bool]:
    """TF32 switches of convolutions and products, in PyTorch's older and newer interface.

    The older one raises if the two disagree, as a product on a GPU would.
    """
    newer = [torch.backends.cudnn.conv, torch.backends.cudnn.rnn, torch.backends.cuda.matmul]
    return [
        torch.backends.cudnn.allow_tf32,
        torch.backends.cuda.matmul.allow_tf32,
        *(switch.fp32_precision in ON_ROUNDING for switch in (*newer, torch.backends.mkldnn.matmul)),
    ]


@pytest.mark.usefixtures("thumbnail", "rounding")
@pytest.mark.parametrize("metric_id", [FD, "ppl2_wend_random_vgg16"])
def test_the_generator_runs_in_full_precision(metric_id: str) -> None:
    before = switches()
    assert all(before)
    generator, seen = tiny_generator(), []

    def record(*arguments: Any) -> None:
        seen.append((switches(), torch.is_autocast_enabled("cpu")))

    generator.mapping.register_forward_pre_hook(record)
    generator.synthesis.register_forward_pre_hook(record)
    with torch.autocast("cpu", torch.bfloat16):
        card = evaluation_of(
            [metric_id], 4, Reals(portraits(8, side=16)), cache=False, calibrate=False
        ).measure_generator(generator)
    assert len(seen) >= 2
    assert all(not any(rounded) and not autocast for rounded, autocast in seen)
    assert switches() == before
    assert (card.device, card.sampling["precision"]) == ("cpu", "float32")
    assert card.sampling["seeds"] == "0 to 3"


@pytest.mark.usefixtures("thumbnail")
def test_batches_of_large_images_are_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    """32 channels of a batch in float32 take at most 2 GiB, also for an evaluation in training."""
    assert [default_batch_size(2**k) for k in (4, 9, 10, 11, 13)] == [64, 64, 16, 4, 1]
    monkeypatch.setattr(fakes, "_BATCH_PIXELS", 3 * 16**2)
    generator, sizes = tiny_generator(), set[int]()
    generator.synthesis.register_forward_pre_hook(lambda _, inputs: sizes.add(len(inputs[0])))
    evaluation = evaluation_of([FD], 6, Reals(portraits(8, side=16)), cache=False, calibrate=False)
    evaluation.measure_generator(generator)
    assert sizes == {3}


@pytest.mark.usefixtures("thumbnail")
def test_the_card_records_where_labels_come_from() -> None:
    """An unconditional generator has no labels, and the setting for them does not change the metric's name."""
    uniform = Protocol(labels="uniform")
    conditional = Conditional(portraits(8, side=16))
    conditional.spec = ImageSpec(16, 3, num_classes=3)
    words = []
    for reals, generator in (
        (Reals(portraits(8, side=16)), tiny_generator()),
        (conditional, tiny_generator(num_classes=3)),
    ):
        for protocol in (Protocol(), uniform):
            card = evaluation_of([FD], 4, reals, **asdict(protocol), cache=False, calibrate=False).measure_generator(
                generator
            )
            words.append((card.sampling["labels"], *card.metrics))
    assert words == [
        ("none: the generator is unconditional", FD),
        ("none: the generator is unconditional", FD),
        ("sampled from the dataset", FD),
        ("uniform over classes", f"{FD}_labels-uniform"),
    ]


def test_switches_are_restored_after_an_error(rounding: None) -> None:
    before = switches()
    with pytest.raises(ZeroDivisionError), ieee_float32(torch.device("cpu")):
        raise ZeroDivisionError
    assert switches() == before
