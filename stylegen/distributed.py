"""Collectives over the ranks of a run: the one place that calls `torch.distributed`.

Every rank holds the networks and takes samples r, r + R, r + 2R, ... of a batch or an evaluation. Without a process
group, the world size is 1 and a reduction returns its argument.
"""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from stylegen.errors import RunError, Stopped, UserError

T = TypeVar("T")

# Rank 0 compares every pair of images while the others wait: longer than torch's default of ten minutes.
_TIMEOUT = timedelta(hours=6)

# In the messages of Gloo and NCCL if another process ended.
_LOST = ("by peer", "Broken pipe", "gloo", "ncclRemoteError", "remote process")


class LostConnection(RunError):
    """Another rank ended in the middle of a collective."""


def world_size() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    return dist.get_rank() if world_size() > 1 else 0


def is_rank0() -> bool:
    """Whether this is rank 0, which writes files and messages."""
    return rank() == 0


def is_distributed() -> bool:
    return world_size() > 1


def share(count: int) -> list[int]:
    """This rank's indices out of 0 ... count - 1."""
    return list(range(rank(), count, world_size()))


def started_by_torchrun() -> bool:
    return dist.is_available() and dist.is_torchelastic_launched()


def choose_device(name: str) -> torch.device:
    """The device of a name in `bounds.DEVICES`; "auto" is CUDA if available, else MPS, else the CPU.

    Raises:
        UserError: a device that this machine lacks.
    """
    found = [
        *["cuda"] * torch.cuda.is_available(),
        *["mps"] * torch.backends.mps.is_available(),
        "cpu",
    ]
    if name not in ("auto", *found):
        fix = f"Use device={' or device='.join(found)}"
        raise UserError(f"device={name}", rule="this machine has no such device", fix=fix)
    return torch.device(found[0] if name == "auto" else name)


def check_gpus(device: torch.device, processes: int) -> None:
    """Raise UserError for more processes on this machine than GPUs: NCCL needs one for each."""
    count = torch.cuda.device_count()
    if device.type == "cuda" and processes > count:
        raise UserError(
            f"{processes} processes with device=cuda",
            rule=f"each process must have its own GPU, and this machine has {count}",
            fix=f"Use devices={count}, or torchrun --nproc-per-node={count}",
        )


def has_own_gpu() -> bool:
    """Whether the one visible GPU belongs to this task of srun alone (`--gpus-per-task=1`)."""
    return {"SLURM_LOCALID", "SLURM_GPUS_PER_TASK"} <= os.environ.keys() and torch.cuda.device_count() == 1


def _own_gpu() -> torch.device:
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    if has_own_gpu() and os.environ["SLURM_LOCALID"] == str(local_rank):  # otherwise torchrun, inside a task
        local_rank = 0
    check_gpus(torch.device("cuda"), local_rank + 1)
    return torch.device("cuda", local_rank)


@contextmanager
def process_group(device: torch.device) -> Iterator[torch.device]:
    """Context manager: joins the process group that torchrun's variables describe, and yields this rank's device.

    Does nothing for a single process, or if the group exists.

    Raises:
        UserError: incomplete variables, or fewer GPUs than processes.
        LostConnection: another rank ended inside the body.
        RunError: a collective failed for another reason.
    """
    if device.type == "cuda":
        device = _own_gpu()
    if os.environ.get("WORLD_SIZE", "1") in ("0", "1") or dist.is_initialized():
        yield device
        return
    missing = [name for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT") if not os.environ.get(name)]
    if missing or not all(os.environ[name].isdecimal() for name in ("RANK", "WORLD_SIZE", "MASTER_PORT")):
        raise UserError(
            f"WORLD_SIZE={os.environ['WORLD_SIZE']}",
            rule=f"torchrun sets it with RANK, MASTER_ADDR and MASTER_PORT{': missing ' * bool(missing)}"
            + ", ".join(missing),
            fix="Start the command with torchrun, or unset WORLD_SIZE and use devices=2, for example",
        )
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_TIMEOUT)
    left_together = False
    try:
        yield device
        left_together = True
    except Stopped:  # on every rank
        left_together = True
        raise
    except RuntimeError as error:
        if _is_connection_error(error):
            raise LostConnection(
                f"lost the connection to another process ({_cause(error)}); its message has the cause"
            ) from error
        if isinstance(error, dist.DistError):
            raise RunError(f"a collective of the processes failed: {_cause(error)}") from error
        raise
    finally:
        if left_together or device.type != "cuda":  # NCCL waits here for all ranks, and a rank that failed must end
            dist.destroy_process_group()


def broadcast_from_rank0(make: Callable[[], T]) -> T:
    """Runs `make` on rank 0 and broadcasts its result, or its UserError, to every rank."""
    if not is_distributed():
        return make()
    box: list[Any] = [None, None]
    if is_rank0():
        try:
            box[0] = make()
        except UserError as error:
            box[1] = error
    dist.broadcast_object_list(box, src=0, device=_device())
    return _result(*box)


def run_on_all_ranks(work: Callable[[], T]) -> T:
    """Runs `work` on every rank; a UserError on any rank is raised on all ranks, so that none of them hangs."""
    if not is_distributed():
        return work()
    result: Any = None
    error: UserError | None = None
    try:
        result = work()
    except UserError as raised:
        error = raised
    errors: list[UserError | None] = [None] * world_size()
    dist.all_gather_object(errors, error)
    return _result(result, next((found for found in errors if found is not None), None))


def gather_to_rank0(tensor: Tensor) -> list[Tensor]:
    """The tensors of all ranks, of one shape, on rank 0's CPU; an empty list on the others."""
    if not is_distributed():
        return [tensor]
    tensor = tensor.to(_device()).contiguous()
    parts = [torch.empty_like(tensor) for _ in range(world_size())] if is_rank0() else None
    dist.gather(tensor, parts, dst=0)
    return [part.cpu() for part in parts or []]


def gather_rows(rows: Tensor, count: int) -> Tensor:
    """All `count` rows on rank 0, in order, from each rank's `share(count)`; `rows` on the other ranks."""
    if not is_distributed():
        return rows
    longest = -(-count // world_size())
    parts = gather_to_rank0(torch.cat([rows, rows.new_zeros(longest - len(rows), rows.shape[1])]))
    return torch.stack(parts, dim=1).flatten(0, 1)[:count] if parts else rows


class _GatherOverRanks(torch.autograd.Function):
    """All-gather with a backward pass that needs no communication.

    Every rank computes the same loss of all rows, and gradients are averaged over ranks afterwards. The gradient of a
    rank's rows is therefore multiplied by the number of ranks.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        parts = [torch.empty_like(rows) for _ in range(world_size())]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        return grad_outputs[0].chunk(world_size())[rank()] * world_size()


def gather_over_ranks(rows: Tensor) -> Tensor:
    """The rows of all ranks, rank by rank, once differentiable: [n, ...] -> [ranks * n, ...]."""
    return _GatherOverRanks.apply(rows) if is_distributed() else rows


class _SumOverRanks(torch.autograd.Function):
    """Every rank's loss depends on every rank's tensor, so backward sums the gradients over ranks.

    It uses the same function, and so is differentiable any number of times."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return sum_over_ranks(value)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        return _SumOverRanks.apply(grad_outputs[0])


def differentiable_sum_over_ranks(value: Tensor) -> Tensor:
    """The sum of `value` over ranks, differentiable any number of times."""
    return _SumOverRanks.apply(value) if is_distributed() else value


def sum_over_ranks(value: Tensor) -> Tensor:
    """The sum of `value` over ranks; not differentiable."""
    if is_distributed():
        value = value.clone()
        dist.all_reduce(value)
    return value


def mean_over_ranks(value: Tensor) -> Tensor:
    """The mean of `value` over ranks; not differentiable."""
    return sum_over_ranks(value) / world_size() if is_distributed() else value


def largest_over_ranks(value: float, device: torch.device) -> float:
    """The largest of the ranks' values, on every rank."""
    tensor = torch.tensor(value, device=device)
    if is_distributed():
        dist.all_reduce(tensor, op=dist.ReduceOp.MAX)
    return tensor.item()


@torch.no_grad()
def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replaces every gradient by its mean over ranks: one all-reduce of one flat tensor."""
    if not is_distributed():
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    if not gradients:
        return
    flat = torch.cat([g.flatten() for g in gradients])
    dist.all_reduce(flat)
    flat /= world_size()
    for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


def _is_connection_error(error: RuntimeError) -> bool:
    lost = isinstance(error, dist.DistNetworkError | dist.DistStoreError)
    return lost or any(text in str(error) for text in _LOST)


def _cause(error: RuntimeError) -> str:
    """The first line of a message; of NCCL's, also what follows "Last error:"."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    last = [line for before, line in itertools.pairwise(lines) if before == "Last error:"]
    return "; ".join([lines[0], *last[-1:]])


def _result(value: Any, error: UserError | None) -> Any:
    if error is not None:
        raise error
    return value


def _device() -> torch.device:
    """The device for messages between ranks: NCCL moves GPU memory only."""
    return torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else torch.device("cpu")
