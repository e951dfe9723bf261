"""Where the cache folder is."""

from pathlib import Path

import pytest

from stylegen.data import cache


@pytest.fixture
def system(monkeypatch):
    def choose(platform: str, **environment: str) -> Path:
        monkeypatch.setattr(cache.sys, "platform", platform)
        for name in ("STYLEGEN_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return cache.cache_folder()

    return choose


def test_the_users_choice_comes_first(system):
    assert system("linux", STYLEGEN_CACHE="~/here", XDG_CACHE_HOME="/xdg") == Path.home() / "here"


def test_the_usual_places(system):
    assert system("linux", XDG_CACHE_HOME="/xdg") == Path("/xdg/stylegen")
    assert system("linux") == Path.home() / ".cache" / "stylegen"
    assert system("darwin") == Path.home() / "Library" / "Caches" / "stylegen"
    assert system("win32", LOCALAPPDATA="/local") == Path("/local/stylegen/Cache")
