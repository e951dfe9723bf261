"""One process at a time, and never a lock that outlives its process."""

import subprocess
import sys

import pytest

from stylegen.data import lock
from stylegen.data.lock import exclusive
from stylegen.errors import UserError

HOLD = """
import sys, time
from pathlib import Path
from stylegen.data.lock import exclusive
with exclusive(Path(sys.argv[1]), wait=False):
    print("held", flush=True)
    time.sleep(1000)
"""


def test_held_by_another_process_until_it_is_killed(tmp_path):
    target = tmp_path / "x"
    child = subprocess.Popen([sys.executable, "-c", HOLD, str(target)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    with pytest.raises(UserError, match="another process is writing"), exclusive(target, wait=False):
        pass
    with exclusive(tmp_path / "y", wait=False):
        pass
    child.kill()
    child.wait()
    child.stdout.close()
    with exclusive(target, wait=True):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_cache_folder_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("STYLEGEN_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(UserError, match="STYLEGEN_CACHE"), exclusive(tmp_path / "x", wait=False):
        pass


def test_whoever_waits_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(lock, "_QUIET_SECONDS", 0.0)
    held = iter([False, False, True])
    monkeypatch.setattr(lock, "_try", lambda file: next(held))
    with exclusive(tmp_path / "x", wait=True):
        pass
    assert capsys.readouterr().err == f"note: another process is writing {tmp_path / 'x'}; waiting for it\n"
