"""Several processes: each takes the pictures r, r + R, r + 2R, ... and the first one gathers what they saw.

The number of processes moves no score: picture i is a function of i, moments are joined in float64, and rows of
features come back in the order of the pictures. In a single process every function here hands back what it got.
"""

from collections.abc import Callable
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from stylegen.errors import UserError
from stylegen.metrics.formulas.frechet import Moments

T = TypeVar("T")


def num_ranks() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    return dist.get_rank() if num_ranks() > 1 else 0


def is_first() -> bool:
    return rank() == 0


def share(count: int) -> list[int]:
    """This process's numbers of 0 to count - 1."""
    return list(range(rank(), count, num_ranks()))


def from_first(make: Callable[[], T]) -> T:
    """What `make` gives on the first process, on all of them; its UserError too."""
    if num_ranks() == 1:
        return make()
    box: list[object] = [None]
    if is_first():
        try:
            box = [make()]
        except UserError as error:
            box = [_Failure(error)]
    dist.broadcast_object_list(box, src=0, device=_device())
    return _unpacked(box[0])  # type: ignore[return-value]


def together(work: Callable[[], T]) -> T:
    """Do each process's own work; when it fails on one with a UserError, all raise that, and none waits for ever."""
    if num_ranks() == 1:
        return work()
    result: T | None = None
    failure: _Failure | None = None
    try:
        result = work()
    except UserError as error:
        failure = _Failure(error)
    failures: list[_Failure | None] = [None] * num_ranks()
    dist.all_gather_object(failures, failure)
    for found in failures:
        _unpacked(found)
    return result  # type: ignore[return-value]


def gather_moments(moments: Moments) -> Moments:
    """On the first process the moments of all processes' pictures, joined in the order of ranks."""
    if num_ranks() == 1:
        return moments
    counts = _gather(torch.tensor([moments.count]))
    means, scatters = _gather(moments.mean), _gather(moments.scatter)
    whole = Moments(len(moments.mean))
    for count, mean, scatter in zip(counts, means, scatters, strict=True):
        whole.merge(Moments.of(int(count), mean, scatter))
    return whole


def gather_rows(rows: Tensor, count: int) -> Tensor:
    """On the first process all rows [count, dim] in the order of the pictures, from every process's own."""
    if num_ranks() == 1:
        return rows
    longest = -(-count // num_ranks())
    padded = torch.cat([rows, rows.new_zeros(longest - len(rows), rows.shape[1])])
    parts = _gather(padded)
    if not parts:
        return rows
    return torch.stack(parts, dim=1).flatten(0, 1)[:count]


class _Failure:
    """A UserError on its way between processes."""

    def __init__(self, error: UserError) -> None:
        rule = str(error).removeprefix(f"{error.problem}: ")
        self.problem, (self.rule, _, self.fix) = error.problem, rule.partition(". ")

    def error(self) -> UserError:
        return UserError(self.problem, rule=self.rule, fix=self.fix)


def _unpacked(value: object) -> object:
    if isinstance(value, _Failure):
        raise value.error()
    return value


def _device() -> torch.device:
    """Where the processes' own messages live: NCCL knows GPUs only."""
    return torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else torch.device("cpu")


def _gather(tensor: Tensor) -> list[Tensor]:
    """All processes' tensors of one shape, on the first; an empty list elsewhere."""
    tensor = tensor.to(_device()).contiguous()
    parts = [torch.empty_like(tensor) for _ in range(num_ranks())] if is_first() else None
    dist.gather(tensor, parts, dst=0)
    return [part.cpu() for part in parts or []]
