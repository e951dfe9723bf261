"""One command, several processes that share its work: started here, or by torchrun."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from omegaconf import DictConfig, OmegaConf

from stylegen.distributed import TIMEOUT, own_device
from stylegen.errors import RunError, UserError
from stylegen.files import temporary_folder

Work = Callable[[DictConfig, torch.device], str]


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
    device = own_device(choose_device(config.device), rank)
    # A file for the meeting: a port could be taken by somebody else between being chosen and being used.
    meeting = f"file://{Path(folder) / 'meeting'}"
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, init_method=meeting, rank=rank, world_size=count, timeout=TIMEOUT)
    try:
        result: dict[str, str] = {"text": work(config, device)}
    except UserError as error:  # raised by all of them together
        rule, _, fix = str(error).removeprefix(f"{error.problem}: ").partition(". ")
        result = {"problem": error.problem, "rule": rule, "fix": fix}
    finally:
        dist.destroy_process_group()
    if rank == 0:
        (Path(folder) / "result.json").write_text(json.dumps(result))
