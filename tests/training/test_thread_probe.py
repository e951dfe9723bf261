"""The choice of `threads=auto`, with invented times; what the probe leaves unchanged."""

from collections.abc import Iterator

import pytest
import torch

from stylegen.config.compose import compose_config
from stylegen.runs.build import build_dataset, build_step
from stylegen.training import thread_probe
from stylegen.training.step import TrainingStep
from stylegen.training.thread_probe import choose, fastest_threads, measure, numbers
from tests.support.tiny import TINY_RUN

STYLEGAN1 = ["generator=stylegan1", "discriminator=stylegan1", "growth=stylegan1", "generator.conditioning=batch_film"]


@pytest.mark.parametrize(
    ("rounds", "threads"),
    [
        ([{1: 1.0, 2: 0.6, 4: 0.4}], 4),
        ([{1: 1.0, 2: 0.6, 4: 0.57}], 2),  # no clear gain
        ([{1: 1.0, 2: 0.95}], 1),
        ([{1: 1.0, 2: 10.0}], 1),  # another process is busy
        ([{1: 1.0, 2: 0.6}, {1: 1.0, 2: 8.0}, {1: 1.1, 2: 9.0}], 1),  # one lucky pass
        ([{1: 1.0, 2: 0.6}, {1: 1.0, 2: 8.0}, {1: 1.1, 2: 0.6}], 2),  # one disturbed pass
        ([{8: 0.1, 4: 0.12, 2: 0.3}, {8: 0.1, 4: 0.12, 2: 0.3}], 8),  # 1 was not measured
        ([{8: 0.1, 4: 0.1, 2: 0.3}, {8: 2.0, 4: 0.1, 2: 0.2, 1: 0.4}], 4),
    ],
)
def test_the_choice(rounds: list[dict[int, float]], threads: int) -> None:
    assert choose(rounds) == threads


@pytest.mark.parametrize(("cores", "tried"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])])
def test_the_numbers_tried(cores: int, tried: list[int]) -> None:
    assert numbers(cores) == tried


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time in seconds, of the probe."""
    now = [0.0]
    monkeypatch.setattr(thread_probe.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(torch, "set_num_threads", lambda number: now.__setitem__(slice(1, None), [number]))
    return now


def test_rounds_go_from_most_threads_down_and_leave_out_losers(clock: list[float]) -> None:
    seconds, seen = {1: 0.8, 2: 0.4, 4: 0.1, 8: 0.1}, list[float]()

    def work() -> Iterator[None]:
        seen.append(clock[1])
        clock[0] += seconds[int(clock[1])]
        yield

    rounds = measure(work, [1, 2, 4, 8], limit=1.0)
    assert seen[:6] == [8, 4, 2, 8, 4, 2]
    assert len(rounds) == 3  # of four; the first warms up
    assert all(times == pytest.approx({8: 0.1, 4: 0.1, 2: 0.4}) for times in rounds)
    assert clock[0] == pytest.approx(2.4)


def test_a_number_beyond_the_limit_is_not_finished(clock: list[float]) -> None:
    def work() -> Iterator[None]:
        for _ in range(2):  # parts
            clock[0] += 5.0 if clock[1] == 2 else 0.1
            yield

    assert measure(work, [1, 2], limit=1.0) == [{2: 5.0, 1: pytest.approx(0.2)}]


def built(*overrides: str) -> TrainingStep:
    settings = compose_config("train", [*TINY_RUN, "data.use_labels=true", "regularizers=r1", *overrides])
    return build_step(settings, build_dataset(settings))


@pytest.mark.parametrize("networks", [[], STYLEGAN1], ids=["stylegan2", "growing with batch normalization"])
def test_the_probe_changes_nothing(networks: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thread_probe, "_SECONDS", 0.0)
    numbers_set: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", numbers_set.append)
    step = built(*networks)
    before = {name: tensor.clone() for name, tensor in step.modules.state_dict().items()}
    level, random_state = step.G.level, torch.random.get_rng_state()
    assert fastest_threads(step, images=8, cores=2) in (1, 2)
    assert numbers_set[:2] == [1, 2]
    assert numbers_set[-1] == torch.get_num_threads()
    assert all(torch.equal(tensor, before[name]) for name, tensor in step.modules.state_dict().items())
    assert all(p.grad is None and not p.requires_grad for p in step.modules.parameters())
    assert step.G.level == level
    assert torch.equal(torch.random.get_rng_state(), random_state)
    assert step.G.training
    assert step.D.training


def test_one_core_and_large_networks_need_no_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thread_probe, "measure", lambda *arguments: pytest.fail("measured"))
    step = built()
    assert fastest_threads(step, images=8, cores=1) == 1
    monkeypatch.setattr(thread_probe, "_LARGE", 0.0)
    assert fastest_threads(step, images=8, cores=6) == 6
