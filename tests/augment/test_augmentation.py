"""The adaptive controller: steps, clamping, state."""

import pytest
import torch

from stylegen.augment import Augmentation, Controller
from stylegen.augment.pipeline import AdaPipeline
from stylegen.errors import UserError
from tests.support.augment_inputs import keyed, noise_images


def logits(positive: int, of: int = 10) -> torch.Tensor:
    return torch.cat([torch.full((positive, 1), 0.3), torch.full((of - positive, 1), -2.0)])


def run(controller: Controller, steps: int, positive: int) -> list[float]:
    strengths = []
    for _ in range(steps):
        controller.observe(logits(positive))
        controller.end_step()
        strengths.append(controller.p)
    return strengths


def test_p_changes_every_four_steps_by_the_images_seen() -> None:
    """p moves by 0.04 for 40 images, because 1000 images take it from 0 to 1."""
    controller = Controller(target=0.6, every=4, speed_kimg=1)
    assert run(controller, 8, positive=9) == pytest.approx([0, 0, 0, 0.04, 0.04, 0.04, 0.04, 0.08])
    assert run(controller, 4, positive=7)[-1] == pytest.approx(0.04)  # r = 0.4 is below the target
    assert run(controller, 4, positive=8)[-1] == pytest.approx(0.04)  # r = 0.6 is the target


def test_the_mean_is_over_all_steps_since_the_last_change() -> None:
    controller = Controller(target=0.5, every=2, speed_kimg=1)
    controller.observe(logits(10))
    controller.end_step()
    controller.observe(logits(1))
    controller.end_step()  # r = (10 - 8) / 20
    assert controller.p == 0
    assert run(controller, 2, positive=10)[-1] == pytest.approx(0.02)  # the first two steps no longer count


def test_p_is_clamped() -> None:
    assert max(run(Controller(p=0.99, every=1, speed_kimg=0.1), 5, positive=10)) == 1.0
    assert min(run(Controller(p=0.05, every=1, speed_kimg=0.1), 5, positive=0)) == 0.0


def test_the_speed() -> None:
    assert run(Controller(every=4, speed_kimg=0.5), 48, positive=10)[-1] == pytest.approx(480 / 500)


def test_a_fixed_probability_is_constant() -> None:
    assert set(run(Controller(p=0.2, target=None), 20, positive=10)) == {0.2}


@pytest.mark.parametrize("stop", [1, 3, 4, 6])
def test_state_continues_exactly(stop: int) -> None:
    undisturbed, first, second = (Controller(speed_kimg=0.3) for _ in range(3))
    positives = [10, 2, 9, 10, 10, 8, 9, 10, 3, 10, 10, 10]
    for positive in positives:
        run(undisturbed, 1, positive)
    for positive in positives[:stop]:
        run(first, 1, positive)
    second.load_state_dict(first.state_dict())
    for positive in positives[stop:]:
        run(second, 1, positive)
    assert second.state_dict() == undisturbed.state_dict()
    assert all(type(v) in (int, float) for v in second.state_dict().values())


def test_ranks_and_micro_batches_count_as_one_batch() -> None:
    """Two ranks with two micro-batches each adjust p like one process with all four."""
    whole, ranks = Controller(every=1, speed_kimg=1), [Controller(every=1, speed_kimg=1) for _ in range(2)]
    run(whole, 1, positive=10)
    parts = [[logits(3, 3), logits(2, 2)], [logits(2, 2), logits(3, 3)]]
    for rank, micro in zip(ranks, parts, strict=True):
        for part in micro:
            rank.observe(part)
        rank.end_step(lambda signs: 2 * signs)
    assert [rank.p for rank in ranks] == [whole.p] * 2


@pytest.mark.parametrize("settings", [{"p": 1.5}, {"p": -0.1}, {"every": 0}, {"speed_kimg": 0}])
def test_impossible_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(UserError, match=f"augment.{next(iter(settings))}="):
        Controller(**settings)  # type: ignore[arg-type]


def test_the_current_probability_is_used() -> None:
    augment, x = Augmentation(AdaPipeline("brightness"), Controller(every=1, speed_kimg=0.001)), noise_images()
    assert torch.equal(augment(x, keyed()), x)
    run(augment.controller, 1, positive=10)
    assert augment.controller.p == 1
    assert (augment(x, keyed()) != x).flatten(1).any(dim=1).all()
