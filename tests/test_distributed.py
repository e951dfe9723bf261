"""Process groups: one GPU for each process, and the cause of a failed collective."""

from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from stylegen.__main__ import main
from stylegen.config.rules import check_accelerator
from stylegen.distributed import LostConnection, process_group
from stylegen.errors import RunError, UserError

NCCL = """NCCL error in: /pytorch/ProcessGroupNCCL.cpp:3356, invalid usage, NCCL version 2.27.5
ncclInvalidUsage: This usually reflects invalid usage of NCCL library.
Last error:
Duplicate GPU detected : rank 1 and rank 0 both on CUDA device 1000"""
REMOTE = """NCCL error in: /pytorch/ProcessGroupNCCL.cpp:3356, remote process exited or there was a network error
ncclRemoteError: A call failed possibly due to a network error or a remote process exiting prematurely.
Last error:
socketProgress: Connection closed by remote peer"""


@pytest.fixture
def one_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)


@pytest.mark.usefixtures("one_gpu")
def test_each_process_has_its_own_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "devices=2", f"images={tmp_path}", "data.path=openmoji", "metrics=[kid]"]) == 2
    assert "this machine has 1. Use devices=1" in capsys.readouterr().err
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("SLURM_LOCALID", "0")  # torchrun in a task of srun
    with pytest.raises(UserError, match="Use devices=1"), process_group(torch.device("cuda")):
        pass
    with pytest.raises(UserError, match=r"has 1\. Use fewer devices"):
        check_accelerator("gpu", 2)
    monkeypatch.setenv("SLURM_GPUS_PER_TASK", "1")
    check_accelerator("gpu", 2)
    with pytest.raises(UserError, match="Use devices=1"), process_group(torch.device("cuda")):
        pass
    for task in "01":  # srun --gpus-per-task=1
        monkeypatch.setenv("LOCAL_RANK", task)
        monkeypatch.setenv("SLURM_LOCALID", task)
        with process_group(torch.device("cuda")) as device:
            assert device == torch.device("cuda", 0)


@pytest.mark.parametrize(
    ("error", "kind", "cause"),
    [
        (dist.DistBackendError(NCCL), RunError, "Duplicate GPU detected"),
        (dist.DistBackendError(REMOTE), LostConnection, "Connection closed by remote peer"),
        (dist.DistNetworkError("The client socket has timed out"), LostConnection, "timed out"),
        (RuntimeError("[gloo/transport/tcp/pair.cc] Connection reset by peer"), LostConnection, "reset by peer"),
        (RuntimeError("a bug"), RuntimeError, "^a bug$"),
    ],
)
def test_the_cause_of_a_failed_collective(
    error: RuntimeError, kind: type[Exception], cause: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    for name in ("init_process_group", "destroy_process_group"):
        monkeypatch.setattr(dist, name, lambda *_, **__: None)
    with pytest.raises(kind, match=cause) as raised, process_group(torch.device("cpu")):
        raise error
    assert type(raised.value) is kind
