"""The order is a function of seed and image number: no rank, batch or restart changes it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stylegen.data.order import BatchSampler, HalfLabeledOrder, ImageOrder
from stylegen.errors import UserError
from stylegen.randomness import permutation

lengths = st.integers(1, 40)
worlds = st.integers(1, 5)
quick = settings(max_examples=40, deadline=None, derandomize=True)


@quick
@given(lengths, worlds, st.integers(0, 3))
def test_each_image_once_a_permutation_over_all_ranks(length, world_size, epoch):
    order = ImageOrder(length, seed=1)
    shares = [order.indices(epoch * length, length, rank, world_size) for rank in range(world_size)]
    assert sorted(torch.cat(shares).tolist()) == list(range(length))


@quick
@given(lengths, worlds, st.integers(0, 60), st.integers(0, 90))
def test_ranks_interleave_to_the_order_of_one_process(length, world_size, start, count):
    order = ImageOrder(length, seed=2)
    together = order.indices(start, count)
    assert together.dtype == torch.int64
    for rank in range(world_size):
        assert torch.equal(order.indices(start, count, rank, world_size), together[rank::world_size])


@quick
@given(lengths, st.integers(0, 100), st.integers(0, 50))
def test_starting_anywhere_continues_the_same_sequence(length, start, count):
    whole = ImageOrder(length, seed=3).indices(0, start + count)
    assert torch.equal(ImageOrder(length, seed=3).indices(start, count), whole[start:])


def test_the_formula_one_image_at_a_time():
    indices = ImageOrder(7, seed=5).indices(3, 30).tolist()
    assert indices == [int(permutation(7, 5, "data/order", k // 7)[k % 7]) for k in range(3, 33)]


def test_seeds_and_permutations_differ():
    order = ImageOrder(100, seed=0)
    assert not torch.equal(order.indices(0, 100), order.indices(100, 100))
    assert not torch.equal(order.indices(0, 100), ImageOrder(100, seed=1).indices(0, 100))


def test_far_out_in_a_long_training():
    start = 200_000_000_000
    assert sorted(ImageOrder(10, seed=0).indices(start, 10).tolist()) == list(range(10))


@quick
@given(st.integers(6, 30), st.integers(1, 3), st.integers(0, 40), st.integers(0, 40))
def test_restarted_batches_continue(num_items, per_rank, seen_batches, more):
    world_size, batch_size = 2, 2 * per_rank
    seen, total = seen_batches * batch_size, (seen_batches * batch_size) + more

    def batches(rank: int, start: int) -> list[list[int]]:
        sampler = BatchSampler(
            num_items, batch_size, total, seed=4, start_image=start, rank=rank, world_size=world_size
        )
        result = list(sampler)
        assert len(sampler) == len(result)
        assert list(sampler) == result
        return result

    for rank in range(world_size):
        assert batches(rank, 0)[seen_batches:] == batches(rank, seen)


def test_the_last_batch_is_whole():
    sampler = BatchSampler(10, 4, 9, seed=0)
    assert [len(batch) for batch in sampler] == [4, 4, 4]


def test_ranks_make_up_the_same_batches():
    alone = list(BatchSampler(10, 4, 40, seed=0))
    pairs = zip(*(BatchSampler(10, 4, 40, seed=0, rank=r, world_size=2) for r in (0, 1)), strict=True)
    assert [[first[0], second[0], first[1], second[1]] for first, second in pairs] == alone


def test_bad_batches():
    with pytest.raises(UserError, match=r"batch_size=16 with a dataset of 15 images.*batch_size=14 or less"):
        BatchSampler(15, 16, 100, seed=0, world_size=2)
    with pytest.raises(UserError, match=r"batch_size=5 on 2 process.*multiple of 2"):
        BatchSampler(15, 5, 100, seed=0, world_size=2)
    with pytest.raises(ValueError, match="rank=2"):
        BatchSampler(15, 4, 100, seed=0, rank=2, world_size=2)


def test_every_second_image_is_labeled():
    labeled = torch.tensor([1, 4, 6])
    order, start, count = HalfLabeledOrder(labeled, 10, seed=0), 3, 40
    together = order.indices(start, count)
    numbers = torch.arange(start, start + count)
    assert torch.isin(together[numbers % 2 == 0], labeled).all()
    first = order.indices(0, 20)
    assert sorted(first[1::2].tolist()) == list(range(10)), "the others are images of the whole dataset, once each"
    assert sorted(first[:6:2].tolist()) == labeled.tolist()
    for rank in range(3):
        assert torch.equal(order.indices(start, count, rank, 3), together[rank::3])
    assert not torch.equal(HalfLabeledOrder(labeled, 10, seed=0, attempt=1).indices(0, 20), first)
