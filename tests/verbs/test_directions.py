"""The command `directions`: each method writes a file with its measures; bad input is refused before the work."""

from pathlib import Path

import pytest

from stylegen.__main__ import main
from stylegen.checkpoints.snapshot import load_snapshot, save_snapshot
from stylegen.latent.directions_file import read_directions
from stylegen.latent.latents_file import Latents, write_latents
from stylegen.latent.sampler import Sampler
from tests.support.datasets import encode, write_archive, write_folder
from tests.support.runs import refused
from tests.support.tiny import tiny_generator

SMALL = ["w_samples=50", "num_samples=3", "extractor=random_vgg16", "labeled_seeds=40", "strengths=[-1,2]"]
SIDES = {f"{kind}/{i}.png": encode(i, (40, 24), channels) for kind, channels in (("a", 3), ("b", 1)) for i in range(3)}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Two classes; projected latents; images of another shape and mode, as folders and with labels."""
    path = tmp_path / "g.safetensors"
    generator = tiny_generator(num_classes=2)
    save_snapshot(path, generator, {"class_names": ["cat", "dog"]})
    write_latents(tmp_path / "x.npz", Latents(Sampler(generator).ws(list(range(6))), list("abcdef"), {}))
    write_folder(tmp_path / "sides", SIDES)
    labels = {"labels": [[name, int(name.startswith("b"))] for name in SIDES], "class_names": ["a", "b"]}
    write_archive(tmp_path / "sides.zip", SIDES, labels)
    return path


@pytest.mark.usefixtures("thumbnail")
@pytest.mark.parametrize(
    ("settings", "names", "text"),
    [
        (["method=sefa", "count=2", "layers=middle"], ["sefa0", "sefa1"], "sum of the eigenvalues"),
        (["method=pca", "count=1", "class=dog"], ["pca0"], "variance of w"),
        (["positive=cat", "negative=dog"], ["cat vs dog"], "of 40 positive and 40 negative examples"),
        (["positive=sides/a", "negative=sides/b"], ["a vs b"], "boundary in w: accuracy"),
        (
            ["positive=sides/a", "negative=sides/b", "labels=project", "steps=3"],
            ["a vs b"],
            "3 positive and 3 negative",
        ),
        (["positive=x.npz", "negative=dog"], ["x vs dog"], "6 positive and 40 negative"),
        (["data.path=sides.zip", "positive=b", "negative=a"], ["b vs a"], "boundary in w: accuracy"),
    ],
)
def test_the_command(
    settings: list[str],
    names: list[str],
    text: str,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(model.parent)
    method = [] if settings[0].startswith("method=") else ["method=boundary"]
    command = ["directions", "snapshot=g.safetensors", *method, *settings, *SMALL, "out=d.safetensors"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert text in printed
    assert "next: python sample.py snapshot=g.safetensors mode=directions directions=d.safetensors" in printed
    found = read_directions("d.safetensors", load_snapshot(model).generator)
    assert found.names == names
    assert found.layers == ([4, 5] if "layers=middle" in settings else [0, 1, 2, 3, 4, 5])
    assert found.info["settings"]["snapshot"] == "g.safetensors"
    assert found.info["measure"]["strengths"] == [-1, 2]
    assert all(len(measure["change"]) == 2 and min(measure["change"]) > 0 for measure in found.info["measures"])
    assert ("crossed" in printed) == (found.info["method"] == "boundary")
    assert main(command) == 0, "the same file again"
    assert not list(model.parent.glob(".*")), "nothing half-written"


@pytest.mark.usefixtures("thumbnail")
def test_bad_input(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = model.parent
    save_snapshot(folder / "plain.safetensors", tiny_generator(), {})
    (folder / "empty").mkdir()
    write_folder(folder / "broken", {"a.png": b"no image"})
    boundary = ["method=boundary", "positive=cat", "negative=dog"]
    for settings, message in (
        (["layers=4-6"], "this network has the style layers 0 to 5"),
        (["layers=fine"], "fine layers begin at 64 px"),
        (["count=9"], "w of this network has 8 dimensions"),
        (["method=ica"], "Known: boundary, pca, sefa"),
        (["method=boundary", "positive=cat"], "method=boundary without negative"),
        (["positive=cat"], "method=sefa with positive"),
        ([*boundary, f"snapshot={folder / 'plain.safetensors'}"], "this network has no classes"),
        ([*boundary, "negative=bird"], "negative=bird: no such negative"),
        (["class=2"], "this network has 2 classes"),
        ([*boundary, f"positive={folder / 'empty'}"], "positive="),
        ([*boundary, f"positive={folder / 'broken'}"], "positive="),
        ([*boundary, f"positive={model}"], "positive="),
        ([*boundary, "positive=x.npz"], "cannot be read"),
        (
            [*boundary, f"data.path={folder / 'sides.zip'}"],
            "positive=cat: no such positive. Did you mean a? Known: a, b",
        ),
        ([*boundary, "positive=1", f"data.path={folder / 'sides'}"], "positive for a dataset without labels"),
        (["out=d.npz"], "Use out=d.npz.safetensors"),
    ):
        given = [f"snapshot={model}", f"out={folder / 'd.safetensors'}", *SMALL]
        assert message in refused(["directions", *given, *settings], folder, capsys), settings
