"""SLURM: ranks of the processes that srun starts, and requeueing of the job."""

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from stylegen.errors import UserError

if TYPE_CHECKING:
    from lightning.fabric.plugins.environments import SLURMEnvironment

_PATIENCE = 60.0  # seconds for scontrol


def slurm_environment(devices: int, num_nodes: int) -> "SLURMEnvironment | None":
    """The job of this process; None if srun did not start it.

    Args:
        devices, num_nodes: the settings; must agree with the job.

    Raises:
        UserError: the job has another number of tasks or nodes.
    """
    if "SLURM_NTASKS" not in os.environ and shutil.which("srun") is None:
        return None  # importing Lightning takes seconds
    from lightning.fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment

    if TorchElasticEnvironment.detect() or not SLURMEnvironment.detect():  # torchrun may run inside a job
        return None
    try:
        environment = SLURMEnvironment(auto_requeue=False)
        environment.validate_settings(devices, num_nodes)
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"trainer.devices={devices} trainer.num_nodes={num_nodes}",
            rule=f"the SLURM job was submitted with other numbers ({str(error).splitlines()[0]})",
            fix="Submit it with --nodes=NODES --ntasks-per-node=DEVICES and use trainer=slurm, which reads both",
        ) from error
    return environment


def export_slurm_ranks(devices: int, num_nodes: int) -> None:
    """Set torchrun's variables from srun's, for `stylegen.distributed.process_group`; does nothing without srun."""
    environment = slurm_environment(devices, num_nodes)
    if environment is None or devices * num_nodes == 1:
        return
    values = {
        "RANK": environment.global_rank(),
        "LOCAL_RANK": environment.local_rank(),
        "WORLD_SIZE": environment.world_size(),
        "MASTER_ADDR": environment.main_address,
        "MASTER_PORT": environment.main_port,
    }
    os.environ |= {name: str(value) for name, value in values.items()}


def requeue_job() -> str | None:
    """Requeue this job -> None, or the reason for the failure."""
    job = os.environ.get("SLURM_JOB_ID")
    if "SLURM_ARRAY_JOB_ID" in os.environ:
        job = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ.get('SLURM_ARRAY_TASK_ID', '')}"
    if not job:
        return "SLURM_JOB_ID is not set"
    try:
        done = subprocess.run(
            ["scontrol", "requeue", job], capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return None if done.returncode == 0 else (done.stderr.strip() or f"scontrol ended with status {done.returncode}")
