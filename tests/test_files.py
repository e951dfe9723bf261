"""Atomic writes, locks that end with their process, and the cache folder."""

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from stylegen import files
from stylegen.errors import UserError
from stylegen.files import exclusive, replacing, replacing_folder, write_text

HOLD = """
import sys, time
from pathlib import Path
from stylegen.files import exclusive
with exclusive(Path(sys.argv[1]), wait=False):
    print("held", flush=True)
    time.sleep(1000)
"""


@pytest.mark.parametrize("options", [{}, {"durable": True}, {"locked": True}])
def test_an_error_keeps_the_old_content(tmp_path: Path, options: dict[str, bool]) -> None:
    path = tmp_path / "new" / "x"
    with replacing(path, **options) as partial:
        partial.write_text("old")
    with pytest.raises(IsADirectoryError), replacing(path, **options) as partial:
        (partial.write_text("new"), tmp_path.read_text())
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="no umask there")
def test_the_mode_equals_any_new_files(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with replacing(tmp_path / "x") as partial:
        partial.unlink()
        os.close(os.open(partial, os.O_CREAT | os.O_WRONLY, 0o600))
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_content_reaches_the_disk_before_the_name_and_the_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    visible = []
    monkeypatch.setattr(files.os, "fsync", lambda descriptor: visible.append((tmp_path / "x").exists()))
    write_text(tmp_path / "x", "text", durable=True)
    assert visible == [False, True][: len(visible)]
    assert visible


def test_remains_of_a_killed_writer_are_overwritten_only_under_a_lock(tmp_path: Path) -> None:
    for locked in (True, False):
        killed = replacing(tmp_path / "x", locked=locked)
        remains = killed.__enter__()
        remains.write_text("half")
        with replacing(tmp_path / "x", locked=True) as partial:
            assert partial.read_text() == ""
            assert (partial == remains) == locked


def test_undecodable_names_are_written_as_escapes(tmp_path: Path) -> None:
    write_text(tmp_path / "x", "caf\udce9, é")
    assert (tmp_path / "x").read_bytes() == b"caf\\udce9, \xc3\xa9"


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError), replacing_folder(tmp_path / "x") as partial:
        ((partial / "file").touch(), tmp_path.read_text())
    assert list(tmp_path.iterdir()) == []
    with replacing_folder(tmp_path / "x") as partial:
        (partial / "file").touch()
        assert not (tmp_path / "x").exists()
    assert list(tmp_path.iterdir()) == [tmp_path / "x"]


def test_held_by_another_process_until_it_is_killed(tmp_path: Path) -> None:
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


def test_waiting_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(files, "_QUIET_SECONDS", 0.05)
    held, reported = threading.Event(), threading.Event()

    def hold() -> None:
        with exclusive(tmp_path / "x", wait=False):
            held.set()
            reported.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(60)
    threading.Timer(0.5, reported.set).start()
    with exclusive(tmp_path / "x", wait=True):
        holder.join()
    assert capsys.readouterr().err == f"note: another process is writing {tmp_path / 'x'}; waiting for it\n"


def test_a_cache_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("STYLEGEN_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(UserError, match="STYLEGEN_CACHE"), exclusive(tmp_path / "x", wait=False):
        pass


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {"STYLEGEN_CACHE": "~/here", "XDG_CACHE_HOME": "/xdg"}, Path.home() / "here"),
        ("linux", {"XDG_CACHE_HOME": "/xdg"}, Path("/xdg/stylegen")),
        ("linux", {}, Path.home() / ".cache" / "stylegen"),
        ("darwin", {}, Path.home() / "Library" / "Caches" / "stylegen"),
        ("win32", {"LOCALAPPDATA": "/local"}, Path("/local/stylegen/Cache")),
    ],
)
def test_the_cache_folder(
    platform: str, environment: dict[str, str], expected: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files.sys, "platform", platform)
    for name in ("STYLEGEN_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert files.cache_folder() == expected
