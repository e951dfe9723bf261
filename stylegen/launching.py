"""One command, several processes that share its work: started here, or by torchrun."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from omegaconf import DictConfig, OmegaConf

from stylegen.errors import RunError, UserError
from stylegen.files import temporary_folder

# The others wait while the first compares every pair of pictures, which can take longer than the usual ten minutes.
_PATIENCE = timedelta(hours=6)

Work = Callable[[DictConfig, torch.device], str]


@contextmanager
def process_group(device: torch.device) -> Iterator[torch.device]:
    """This process's device, as one of those that torchrun has started; `device` itself where it has started none."""
    if os.environ.get("WORLD_SIZE", "1") in ("0", "1") or dist.is_initialized():
        yield device
        return
    missing = [name for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT") if not os.environ.get(name)]
    if missing or not all(os.environ[name].isdecimal() for name in ("RANK", "WORLD_SIZE", "MASTER_PORT")):
        raise UserError(
            f"WORLD_SIZE={os.environ['WORLD_SIZE']}",
            rule=f"torchrun sets it with RANK, MASTER_ADDR and MASTER_PORT{': missing ' * bool(missing)}"
            + ", ".join(missing),
            fix="Start the command with torchrun, or unset WORLD_SIZE and use devices=2, say",
        )
    device = _own(device, int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
    try:
        yield device
    finally:
        dist.destroy_process_group()


def in_processes(work: Work, config: DictConfig, count: int) -> str:
    """Do `work` in `count` new processes of this machine, and return what the first one returns.

    Raises:
        UserError: what any of them raised.
        RunError: one of them died.
    """
    with temporary_folder() as folder:
        content = OmegaConf.to_container(config, resolve=True)
        threads = max(1, torch.get_num_threads() // count)
        try:
            mp.start_processes(
                _process, args=(count, threads, work, content, str(folder)), nprocs=count, start_method="spawn"
            )
        except mp.ProcessExitedException as error:
            raise RunError(f"a process of devices={count} has died ({error})") from error
        result = json.loads((folder / "result.json").read_text())
    if "problem" in result:
        raise UserError(result["problem"], rule=result["rule"], fix=result["fix"])
    return str(result["text"])


def _process(rank: int, count: int, threads: int, work: Work, content: dict[str, Any], folder: str) -> None:
    from stylegen.device import choose_device

    torch.set_num_threads(threads)
    config = OmegaConf.create(content)
    device = _own(choose_device(config.device), rank)
    # A file for the meeting: a port could be taken by somebody else between being chosen and being used.
    meeting = f"file://{Path(folder) / 'meeting'}"
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, init_method=meeting, rank=rank, world_size=count, timeout=_PATIENCE)
    try:
        result: dict[str, str] = {"text": work(config, device)}
    except UserError as error:  # raised by all of them together
        rule, _, fix = str(error).removeprefix(f"{error.problem}: ").partition(". ")
        result = {"problem": error.problem, "rule": rule, "fix": fix}
    finally:
        dist.destroy_process_group()
    if rank == 0:
        (Path(folder) / "result.json").write_text(json.dumps(result))


def _own(device: torch.device, local_rank: int) -> torch.device:
    if device.type != "cuda":
        return device
    device = torch.device("cuda", local_rank % torch.cuda.device_count())
    torch.cuda.set_device(device)
    return device
