"""Single images in a folder, zip or npz: the same bytes after an interruption, and latents that read back."""

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from stylegen.errors import RunError, Stopped, UserError
from stylegen.latent import sample_images
from stylegen.latent.latents_file import read_latents
from stylegen.latent.sample_images import SampleImages
from stylegen.latent.sample_labels import GivenLabels
from stylegen.latent.sampler import Sampler
from stylegen.placement import place
from tests.support.tiny import tiny_generator


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_images, "_PART", 4)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


class Killed(BaseException):
    """As SIGKILL, nothing handles it."""


class KilledSampler(Sampler):
    """Raises when it has generated some batches."""

    left = 5

    def render(self, *args: object, **kwargs: object) -> torch.Tensor:
        self.left -= 1
        if self.left < 0:
            raise Killed
        return super().render(*args, **kwargs)


@pytest.mark.parametrize("suffix", ["", ".zip", ".npz"])
def test_an_interrupted_command_continues_to_the_same_bytes(suffix: str, tmp_path: Path) -> None:
    generator, images = tiny_generator(num_classes=2), SampleImages(range(14), suffix)
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole, killed = tmp_path / "whole" / f"out{suffix}", tmp_path / "killed" / f"out{suffix}"
    options = {"keep_both": False, "continues": "settings", "companion": "latents.npz"}
    place(lambda path: images.write(Sampler(generator, batch_size=2), 1, path), whole, **options)
    with pytest.raises(Killed):
        place(lambda path: images.write(KilledSampler(generator, batch_size=2), 1, path), killed, **options)
    assert [path.name for path in killed.parent.iterdir()] == [f".out{suffix}.partial"]
    left = KilledSampler(generator, batch_size=2)
    left.left = 3  # seven batches in all, of which four are complete
    place(lambda path: images.write(left, 1, path), killed, **options)
    assert contents(whole.parent) == contents(killed.parent)
    assert len(contents(whole.parent)) == {"": 15, ".zip": 2, ".npz": 1}[suffix]


class Kills:
    """From the n-th call on, functions of `os` that change the disk raise, as if the process had ended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = -1  # negative: no kill
        for name in ("replace", "unlink", "rmdir", "mkdir"):
            monkeypatch.setattr(os, name, self.wrapped(getattr(os, name)))

    def wrapped(self, function: Callable[..., None]) -> Callable[..., None]:
        def call(*args: object, **kwargs: object) -> None:
            if self.left == 0:
                raise Killed
            self.left -= self.left > 0
            function(*args, **kwargs)

        return call


@pytest.mark.parametrize("suffix", ["", ".zip", ".npz"])
def test_a_kill_at_any_change_of_the_disk_loses_nothing(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while files are moved to the output, and while the workspace is deleted."""
    monkeypatch.setattr(os, "sync", lambda: None)
    monkeypatch.setattr(sample_images, "_PART", 2)
    kills, generator, images = Kills(monkeypatch), tiny_generator(8), SampleImages(range(3), suffix)

    def write(folder: Path) -> list[Path]:
        sampler = Sampler(generator, batch_size=2)
        out = folder / "new" / f"out{suffix}"
        return place(lambda path: images.write(sampler, 1, path), out, True, "settings", "latents.npz")

    write(tmp_path / "whole")
    expected = contents(tmp_path / "whole")
    for killed_at in range(0, 200, 2):
        kills.left, folder = killed_at, tmp_path / str(killed_at)
        try:
            write(folder)
        except Killed:
            kills.left = -1
        else:
            break
        assert write(folder)
        assert contents(folder) == expected, killed_at
    assert 20 < killed_at < 198


def test_files_that_were_deleted_after_an_interruption_are_generated_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interrupted call has moved some of its images, and their copies in the workspace are gone."""
    generator, out = tiny_generator(), tmp_path / "out"
    sampler, replace = Sampler(generator, batch_size=4), os.replace

    def killed(source: Path, target: Path) -> None:
        if Path(target) == out / "seed000003.png":
            raise Killed
        replace(source, target)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(Killed):
        place(lambda path: SampleImages(range(6)).write(sampler, 1, path), out, False, "settings")
    monkeypatch.setattr(os, "replace", replace)
    shutil.rmtree(out)
    assert len(place(lambda path: SampleImages(range(6)).write(sampler, 1, path), out, False, "settings")) == 6
    assert len(list(out.iterdir())) == 6


def test_an_interruption_tells_how_to_continue(tmp_path: Path) -> None:
    for error, raised in ((KeyboardInterrupt(), Stopped), (OSError(28, "No space left on device"), RunError)):

        def write(path: Path, error: BaseException = error) -> None:
            raise error

        with pytest.raises(raised, match=r"Finished parts are in .*\.out\.partial; the same command continues"):
            place(write, tmp_path / "out", False, "settings")
    with pytest.raises(UserError, match="bad"):
        place(lambda path: refuse(), tmp_path / "new" / "out", False, "settings")
    assert [path.name for path in tmp_path.iterdir()] == [".out.partial"]


def refuse() -> None:
    raise UserError("bad", rule="rule", fix="fix")


def test_images_are_kept_when_the_output_exists_with_other_content(tmp_path: Path) -> None:
    out, sampler = tmp_path / "out.zip", Sampler(tiny_generator(), batch_size=4)
    out.write_text("other")
    with pytest.raises(UserError, match=r"exists with other content.* the same command continues"):
        place(lambda path: SampleImages(range(6), ".zip").write(sampler, 1, path), out, False, "settings")
    out.unlink()
    without_network = KilledSampler(tiny_generator())
    without_network.left, without_network.batch_size = 0, 4
    place(lambda path: SampleImages(range(6), ".zip").write(without_network, 1, path), out, False, "settings")
    assert len(zipfile.ZipFile(out).namelist()) == 6


def test_other_settings_start_anew(tmp_path: Path) -> None:
    generator, out = tiny_generator(), tmp_path / "out.zip"
    with pytest.raises(Killed):
        place(
            lambda path: SampleImages(range(14)).write(KilledSampler(generator, batch_size=1), 1, path), out, False, "a"
        )
    write = SampleImages(range(3), ".zip").write
    place(lambda path: write(Sampler(generator), 1, path), out, False, continues="b")
    with zipfile.ZipFile(out) as archive:
        assert archive.namelist() == [f"seed{k:06d}.png" for k in range(3)]


@pytest.mark.parametrize("cutoff", [None, 2])
def test_latents_give_the_images_again(cutoff: int | None, tmp_path: Path) -> None:
    generator = tiny_generator()
    sampler = Sampler(generator, psi=0.5, cutoff=cutoff)
    SampleImages([3, 1, 8], ".npz").write(sampler, 1, tmp_path / "a.npz")
    found = read_latents(tmp_path / "a.npz", generator)
    with np.load(tmp_path / "a.npz") as arrays:
        images = torch.from_numpy(arrays["arr_0"]).permute(0, 3, 1, 2)
        assert arrays["seeds"].tolist() == [3, 1, 8]
    assert torch.equal(images, sampler.images([3, 1, 8]))
    assert torch.equal(Sampler(generator, seed_source=found.ws).images([0, 1, 2]), images)


def test_a_zip_of_a_conditional_network_is_a_dataset(tmp_path: Path) -> None:
    labels = GivenLabels(torch.eye(3)[[2, 0]])
    sampler = Sampler(tiny_generator(num_classes=3), labels=labels)
    SampleImages([0, 1, 4], ".zip", class_names=["a", "b", "c"]).write(sampler, 1, tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        metadata = json.loads(archive.read("dataset.json"))
    assert metadata["labels"] == [["seed000000.png", 2], ["seed000001.png", 0], ["seed000004.png", 2]]
    assert metadata["class_names"] == ["a", "b", "c"]
    with np.load(tmp_path / "latents.npz") as arrays:
        assert arrays["labels"].tolist() == [2, 0, 2]


def test_an_npz_has_no_scale(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="as they are"):
        SampleImages([0], ".npz").write(Sampler(tiny_generator()), 2, tmp_path / "a.npz")
