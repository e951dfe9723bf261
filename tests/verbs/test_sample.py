"""`python -m stylegen sample` from the command line: bad input is refused before images are generated."""

from pathlib import Path

import numpy as np
import pytest

from stylegen.__main__ import main
from stylegen.checkpoints.snapshot import save_snapshot
from stylegen.latent.sampler import Sampler
from tests.support.runs import refused
from tests.support.tiny import tiny_generator


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("mode=images out=face.png", "Use out=face, or mode=grid for one image"),
        ("mode=images out=x.tiff", "x.tiff: mode=images writes a folder, a .zip or an .npz. Use out=x, or mode=grid"),
        ("mode=images out=x.svg", "x.svg: mode=images writes a folder, a .zip or an .npz. Use out=x, or mode=grid"),
        ("mode=grid out=x.flv", "x.flv: mode=grid writes one .png file. Use out=x.png"),
        (f"mode=images out={'x' * 248}.zip", "its name can have at most 243 bytes"),
        ("mode=images out=x.npz scale=2", "scale=2"),
        ("mode=grid latents=one.npz seeds=0-3", "seeds=3: latents= holds 1 image, numbered from 0. Use seeds=0"),
        ("mode=mixing mix_latents=one.npz mix_seeds=2-3", "mix_seeds=3: mix_latents= holds 1 image"),
        ("mode=mixing layers=5-2", "layers=5-2: this network has the style layers 0 to 5"),
        ("mode=directions", "Run `python -m stylegen directions"),
        ("mode=classes", "this network has no classes"),
    ],
)
def test_bad_input(
    settings: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save_snapshot(tmp_path / "x.safetensors", tiny_generator(), {})
    np.savez(tmp_path / "one.npz", ws=np.zeros((1, 6, 8), np.float32))
    monkeypatch.chdir(tmp_path)
    if "layers" not in settings:
        monkeypatch.delattr(Sampler, "render")
    assert message in refused(["sample", "snapshot=x.safetensors", *settings.split()], tmp_path, capsys)


def test_folders_whose_names_contain_a_dot(tmp_path: Path) -> None:
    """A version is part of a folder's name; so is a suffix, of a folder that exists."""
    save_snapshot(tmp_path / "x.safetensors", tiny_generator(8), {})
    (tmp_path / "mine.old").mkdir()
    for out in (tmp_path / "run.1", tmp_path / "figures.v2", tmp_path / "mine.old"):
        assert main(["sample", f"snapshot={tmp_path / 'x.safetensors'}", "mode=images", "seeds=0", f"out={out}"]) == 0
        assert (out / "seed000000.png").is_file()


def test_the_current_folder_and_its_parent_have_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "mine" / "here"
    folder.mkdir(parents=True)
    save_snapshot(tmp_path / "x.safetensors", tiny_generator(8), {})
    monkeypatch.chdir(folder)
    for out in (".", ".."):
        assert main(["sample", f"snapshot={tmp_path / 'x.safetensors'}", "mode=images", "seeds=0", f"out={out}"]) == 0
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.png"))
    assert files == ["mine/here/seed000000.png", "mine/seed000000.png"]
    assert (tmp_path / "mine" / "here.latents.npz").is_file()
