"""Available cores: affinity, hardware threads of one core, quotas of cgroups; OMP_NUM_THREADS."""

import ctypes
import math
import os
import platform
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from stylegen import cpus


def written(folder: Path, own: str, files: dict[str, str]) -> tuple[Path, Path]:
    """The folder of all cgroups, with these files, and the file that names this process's own."""
    (folder / "own").write_text(f"{own}\n")
    for name, content in files.items():
        path = folder / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder / "groups", folder / "own"


@pytest.mark.parametrize(
    ("own", "files", "quota"),
    [
        ("0::/", {"cpu.max": "max 100000\n"}, math.inf),
        ("0::/", {"cpu.max": "250000 100000\n"}, 2.5),
        ("0::/a/b", {"a/b/cpu.max": "max 100000", "a/cpu.max": "50000 100000", "cpu.max": "400000 100000"}, 0.5),
        ("4:cpu,cpuacct:/x", {"cpu,cpuacct/cpu.cfs_quota_us": "300000", "cpu,cpuacct/cpu.cfs_period_us": "100000"}, 3),
        ("4:cpu:/x", {"cpu/x/cpu.cfs_quota_us": "-1", "cpu/x/cpu.cfs_period_us": "100000"}, math.inf),
        ("4:memory:/x", {"memory/x/cpu.max": "100000 100000"}, math.inf),
        ("0::/", {"cpu.max": "no numbers at all"}, math.inf),
        ("nonsense", {}, math.inf),
    ],
)
def test_the_smallest_quota_of_a_cgroup_and_its_parents_counts(
    own: str, files: dict[str, str], quota: float, tmp_path: Path
) -> None:
    assert cpus.cgroup_quota(*written(tmp_path, own, files)) == quota


def test_a_system_without_cgroups(tmp_path: Path) -> None:
    assert cpus.cgroup_quota(tmp_path, tmp_path / "absent") == math.inf
    assert cpus.cgroup_memory(tmp_path, tmp_path / "absent") == math.inf


@pytest.mark.parametrize(
    ("own", "files", "unused"),
    [
        ("0::/", {"memory.max": "max\n", "memory.current": "5\n", "memory.stat": ""}, math.inf),
        ("0::/", {"memory.max": "100\n", "memory.current": "70\n", "memory.stat": "anon 50\ninactive_file 20\n"}, 50),
        ("0::/a", {"a/memory.max": "max", "memory.max": "9", "memory.current": "2", "memory.stat": ""}, 7),
        (
            "3:memory:/x",
            {
                "memory/x/memory.limit_in_bytes": "100",
                "memory/x/memory.usage_in_bytes": "60",
                "memory/x/memory.stat": "inactive_file 1\ntotal_inactive_file 10",
            },
            50,
        ),
        ("3:cpu:/x", {"cpu/x/memory.max": "1", "cpu/x/memory.current": "0", "cpu/x/memory.stat": ""}, math.inf),
    ],
)
def test_the_memory_that_cgroups_still_allow(own: str, files: dict[str, str], unused: float, tmp_path: Path) -> None:
    assert cpus.cgroup_memory(*written(tmp_path, own, files)) == unused


@pytest.mark.parametrize(("quota", "expected"), [(math.inf, 3), (2.9, 2), (0.5, 1)])
def test_a_core_counts_once_and_the_quota_limits(
    quota: float, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for cpu, siblings in enumerate(["0,2", "1,3", "0,2", "1,3"]):
        (tmp_path / f"{cpu}").write_text(siblings)
    monkeypatch.setattr(cpus, "_SIBLINGS", str(tmp_path / "{}"))
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 7}, raising=False)  # nothing is known of 7
    monkeypatch.setattr(cpus, "cgroup_quota", lambda: quota)
    assert cpus.available_cores() == expected


@pytest.mark.parametrize(("variable", "threads"), [("3", 3), ("4,2", 4), ("0", 5), ("many", 5), ("", 5)])
def test_omp_num_threads_comes_before_the_share(variable: str, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpus, "available_cores", lambda: 10)
    monkeypatch.setenv("OMP_NUM_THREADS", variable)
    assert cpus.default_threads(2) == threads
    assert cpus.default_threads(20) == (threads if threads != 5 else 1)


def test_older_allocators_take_the_lower_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, int]] = []

    def mallopt(option: int, value: int) -> int:
        calls.append((option, value))
        return int(option != cpus._M_MMAP_THRESHOLD or value <= 2**25)

    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace(mallopt=mallopt))
    assert cpus.keep_freed_memory()
    mmap, trim = cpus._M_MMAP_THRESHOLD, cpus._M_TRIM_THRESHOLD
    assert calls == [(mmap, 2**30), (mmap, 2**25), (trim, 2**31 - 1)]


def test_freed_memory_is_kept() -> None:
    """After a first pass, tensors of 16 MiB cause no page faults: 4,096 each without `keep_freed_memory`."""
    code = """if True:
        import resource
        import sys
        import torch
        from stylegen.cpus import keep_freed_memory

        def faults():
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            for _ in range(10):
                torch.zeros(2**22).add(1)
            return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

        kept = keep_freed_memory()
        faults()
        print(int(kept), faults())
    """
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    kept, faults = map(int, run.stdout.split())
    assert not kept or faults < 4096
    assert kept == (platform.libc_ver()[0] == "glibc")
