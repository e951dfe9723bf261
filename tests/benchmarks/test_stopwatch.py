"""Repetitions, quartiles and the peak of memory."""

import torch

from stylegen.benchmarks.stopwatch import PeakMemory, Spread, Stopwatch, timed

CPU = torch.device("cpu")


def test_repetitions_follow_the_warm_up() -> None:
    calls: list[int] = []
    assert len(timed(lambda: calls.append(1), CPU, repetitions=3, warm_up=2)) == 3
    assert len(calls) == 5


def test_a_measurement_lasts_its_time() -> None:
    assert sum(timed(lambda: None, CPU, seconds=0.01)) >= 0.009


def test_a_stopwatch_measures_between_marks() -> None:
    watch = Stopwatch(CPU)
    for _ in range(4):
        watch.mark()
    assert len(watch.seconds()) == 3


def test_quartiles_and_rates() -> None:
    spread = Spread.of([4.0, 1.0, 2.0, 3.0, 5.0])
    assert (spread.median, spread.low, spread.high, spread.count) == (3.0, 2.0, 4.0, 5)
    assert spread.of_rate(12) == Spread(4.0, 3.0, 6.0, 5)
    assert spread.times(2) == Spread(6.0, 4.0, 8.0, 5)
    assert Spread.of([2.0]) == Spread(2.0, 2.0, 2.0, 1)


def test_the_peak_of_memory_includes_what_was_freed() -> None:
    memory = PeakMemory(CPU)
    before = memory.in_use()
    memory.reset()
    large = torch.ones(2**24)  # 64 MiB, above malloc's threshold for returning memory
    del large
    assert memory.bytes() - before > 2**25 or before == memory.bytes(), "or only the peak of the process is known"
