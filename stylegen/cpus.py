"""The CPU cores and the memory that this process may use, its number of threads, and its allocator. Imports no torch
at the top.

PyTorch counts cores; a container may have a quota of their time only.
"""

import ctypes
import math
import os
from collections.abc import Iterator
from pathlib import Path

_CGROUPS, _OWN_CGROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
_SIBLINGS = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_MMAP_THRESHOLDS = (2**30, 2**25)  # older versions of glibc refuse more than 32 MiB


def available_cores() -> int:
    """Physical cores of this process's affinity mask, at most the cgroup's quota rounded down; at least 1."""
    cpus = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return max(1, int(min(len({_core(cpu) for cpu in cpus}), cgroup_quota())))


def default_threads(processes: int = 1) -> int:
    """Threads of a process without a measurement: OMP_NUM_THREADS, or its share of the available cores.

    Args:
        processes: that share the cores.
    """
    return threads_from_environment() or max(1, available_cores() // processes)


def use_default_threads() -> None:
    """Let PyTorch compute with `default_threads`; its own default ignores quotas."""
    import torch

    torch.set_num_threads(default_threads())


def threads_from_environment() -> int | None:
    """The first number of OMP_NUM_THREADS; None if it is not set, or not a positive number."""
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) else None


def cgroup_quota(root: Path = _CGROUPS, own: Path = _OWN_CGROUPS) -> float:
    """CPUs' worth of time that this process's cgroup (version 1 or 2) and its parents allow; infinity for no limit."""
    return min((_limit(folder) for folder in _cgroups("cpu", root, own)), default=math.inf)


def cgroup_memory(root: Path = _CGROUPS, own: Path = _OWN_CGROUPS) -> float:
    """Bytes that this process's cgroup and its parents still allow; infinity for no limit."""
    return min((_unused_memory(folder) for folder in _cgroups("memory", root, own)), default=math.inf)


def keep_freed_memory() -> bool:
    """Let glibc's allocator keep freed memory for the next tensor -> whether it does; False on other systems.

    It returns large blocks to the kernel otherwise, and every tensor then costs a page fault per 4 KiB: a tenth of the
    time of a training step on a CPU. The peak of the process's memory does not change.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # TypeError on Windows
        return False
    return any(mallopt(_M_MMAP_THRESHOLD, size) for size in _MMAP_THRESHOLDS) and bool(
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    )


def _cgroups(controller: str, root: Path, own: Path) -> Iterator[Path]:
    """The folders of this process's cgroup and its parents."""
    try:
        lines = own.read_text().splitlines()
    except OSError:  # no cgroups on this system
        return
    for _, controllers, path in (line.split(":", 2) for line in lines if line.count(":") >= 2):
        if not controllers or controller in controllers.split(","):
            base = root / controllers
            inner = base / path.lstrip("/")  # in a container, the path of the host may not exist: the base counts
            yield from (folder for folder in (inner, *inner.parents) if folder.is_relative_to(base))


def _unused_memory(folder: Path) -> float:
    """The limit without what is in use, except for pages of files, which the kernel frees."""
    names = ("max", "current") if (folder / "memory.max").exists() else ("limit_in_bytes", "usage_in_bytes")
    try:
        limit, used = (int((folder / f"memory.{name}").read_text()) for name in names)
        statistics = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # no limit: no file, or "max"
        return math.inf
    return limit - used + int(statistics.get("total_inactive_file", statistics.get("inactive_file", 0)))


def _limit(folder: Path) -> float:
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(quota) / int(period) if int(quota) > 0 else math.inf
    except (OSError, ValueError):  # no limit: no file, or "max"
        return math.inf


def _core(cpu: int) -> str:
    """The hardware threads of a logical CPU's core; the CPU itself if they are unknown."""
    try:
        return Path(_SIBLINGS.format(cpu)).read_text().strip()
    except OSError:
        return str(cpu)
