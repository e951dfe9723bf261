"""Single images in a folder, zip or npz: the same bytes after an interruption, and latents that read back."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from stylegen.errors import UserError
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
    options = {"keep_both": False, "continues": "settings", "beside": "latents.npz"}
    place(lambda path: images.write(Sampler(generator, batch_size=2), 1, path), whole, **options)
    with pytest.raises(Killed):
        place(lambda path: images.write(KilledSampler(generator, batch_size=2), 1, path), killed, **options)
    assert [path.name for path in killed.parent.iterdir()] == [f".out{suffix}.partial"]
    left = KilledSampler(generator, batch_size=2)
    left.left = 3  # seven batches in all, of which four are complete
    place(lambda path: images.write(left, 1, path), killed, **options)
    assert contents(whole.parent) == contents(killed.parent)
    assert len(contents(whole.parent)) == {"": 15, ".zip": 2, ".npz": 1}[suffix]


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
