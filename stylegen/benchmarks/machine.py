"""The machine of a measurement: a description, its matrix-multiply rate, and its memory."""

import datetime
import math
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

from stylegen import __version__
from stylegen.benchmarks.stopwatch import timed
from stylegen.cpus import available_cores, cgroup_memory

_SIZES = {"cpu": 1024, "cuda": 8192}  # a side that reaches the peak rate, and takes milliseconds
_ROOT = Path(__file__).resolve().parents[2]


def describe_machine(device: torch.device) -> dict[str, Any]:
    """Names and numbers that a measurement depends on, as plain values."""
    found: dict[str, Any] = {
        "device": device.type,
        "cpu": _cpu_name(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cores": available_cores(),
        "threads": torch.get_num_threads(),
        "memory_bytes": memory_bytes(device),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "stylegen": __version__,
        "commit": _commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        found |= {
            "gpu": properties.name,
            "gpu_capability": f"{properties.major}.{properties.minor}",
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
        }
    return found


def one_line(machine: dict[str, Any]) -> str:
    """The description in a sentence, for tables."""
    chip = machine["gpu"] if "gpu" in machine else f"{machine['cpu']} ({machine['cpu_capability']})"
    return f"{chip}, {machine['threads']} CPU threads of {machine['cores']} cores, torch {machine['torch']}"


def matmul_rate(device: torch.device, dtype: torch.dtype, repetitions: int = 8) -> float:
    """Floating-point operations per second of the fastest of several square matrix products.

    With the current number of threads, and the current precision of float32 products.
    """
    n = _SIZES.get(device.type, 4096)
    left, right = (torch.ones(n, n, device=device, dtype=dtype) for _ in range(2))
    out = torch.empty(n, n, device=device, dtype=dtype)
    return 2 * n**3 / min(timed(lambda: torch.mm(left, right, out=out), device, repetitions=repetitions, warm_up=2))


def copy_rate(device: torch.device, repetitions: int = 8) -> float:
    """Bytes per second, read and written, of the fastest of several copies of a tensor that exceeds the caches."""
    source = torch.ones(2**26, device=device)
    out = torch.empty_like(source)
    seconds = timed(lambda: out.copy_(source), device, repetitions=repetitions, warm_up=2)
    return 2 * source.numel() * source.element_size() / min(seconds)


def memory_bytes(device: torch.device) -> int | None:
    """Size of the device's memory; None if unknown."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    if hasattr(os, "sysconf"):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def available_bytes(device: torch.device) -> int | None:
    """Memory that this process can still allocate; None if unknown."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # kept for new tensors
        return int(free) + unused
    path = Path("/proc/meminfo")
    lines = path.read_text().splitlines() if path.exists() else []
    line = next((line for line in lines if line.startswith("MemAvailable:")), None)
    whole = memory_bytes(device) if line is None else int(line.split()[1]) * 1024
    allowed = cgroup_memory()
    return whole if math.isinf(allowed) else int(min(allowed, whole or allowed))


def _cpu_name() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _commit() -> str | None:
    """The commit of a checkout; None for an installed package."""
    if not (_ROOT / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(_ROOT), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
