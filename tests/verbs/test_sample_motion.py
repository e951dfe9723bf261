"""`sample.py` with a moving StyleGAN3: settings, names of files, settings that do not fit."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from stylegen.__main__ import main
from stylegen.checkpoints.snapshot import save_snapshot
from tests.support.pillow import from_pil
from tests.support.tiny import tiny_generator


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    path = tmp_path / "a.safetensors"
    save_snapshot(path, tiny_generator(32, name="stylegan3", num_layers=4), {})
    return path


def test_a_translated_figure(snapshot: Path) -> None:
    """Half of the image to the right: its left half is now on the right."""
    command = ["sample", f"snapshot={snapshot}", "mode=grid", "seeds=3", "scale=1", "captions=false"]
    assert main(command) == main([*command, "translate=0.5,0"]) == 0
    names = ["a-grid-psi0.7-raw-seeds3.png", "a-grid-psi0.7-translate0.5,0-raw-seeds3.png"]
    assert sorted(path.name for path in (snapshot.parent / "sampled").iterdir()) == names
    images = []
    for name in names:
        with Image.open(snapshot.parent / "sampled" / name) as figure:
            images.append(from_pil(figure).int())
    assert (images[1][:, :, 16:] - images[0][:, :, :16]).abs().max() <= 1
    assert not torch.equal(*images)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["mode=grid", "motion=rotate"], "motion=rotate with mode=grid: motion is a setting of mode=video"),
        (["mode=grid", "compare=portraits64"], "compare=portraits64 with mode=grid: compare is a setting of"),
        (["mode=video", "motion_size=2"], "motion_size=2 with motion=none: motion_size is the radius of motion=circle"),
        (
            ["mode=sticking", "compare=portraits64"],
            "compare=portraits64 of 64 px and 3 channels: must match the first network, 32 px and 3 channels",
        ),
        (["transform=0,0,0,0,0,0,0,0,1"], "a singular matrix has no inverse"),
    ],
)
def test_settings_that_do_not_fit(
    snapshot: Path, settings: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sample", f"snapshot={snapshot}", "seeds=0-1", *settings]) == 2
    assert message in capsys.readouterr().err
    assert list(snapshot.parent.iterdir()) == [snapshot]


def test_sticking_beside_gray_images_is_refused(snapshot: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gray = snapshot.with_name("gray.safetensors")
    save_snapshot(gray, tiny_generator(32, channels=1), {})
    assert main(["sample", f"snapshot={snapshot}", "mode=sticking", f"compare={gray}", "seeds=0-1"]) == 2
    assert f"compare={gray} of 32 px and 1 channel: must match the first network" in capsys.readouterr().err
    assert sorted(snapshot.parent.iterdir()) == [snapshot, gray]
