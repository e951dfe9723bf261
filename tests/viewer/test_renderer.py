"""Images of stills are those of `Model` and `SampleVideo` with the same settings, to the bit."""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from stylegen.errors import UserError
from stylegen.latent.interpolation import plane
from stylegen.latent.mixing import mix
from stylegen.latent.model import Model
from stylegen.latent.sample_video import SampleVideo
from stylegen.latent.sampler import Sampler
from stylegen.viewer.layer_views import feature_maps, thumbnails
from stylegen.viewer.page_state import Keyframe, PageState
from stylegen.viewer.recipes import recipes
from stylegen.viewer.renderer import Renderer, video_timing
from tests.support.viewer import still, tiny_model

NETWORKS = ("stylegan1", "stylegan2")


@pytest.fixture(scope="module", params=NETWORKS)
def renderer(request: pytest.FixtureRequest) -> Renderer:
    return Renderer(tiny_model(request.param))


@pytest.fixture(scope="module")
def model(renderer: Renderer) -> Model:
    return Model(renderer.snapshot)


def expected(model: Model, renderer: Renderer, name: str) -> Tensor:
    ws, G = model.ws, model.generator
    cases = {
        "seed": lambda: model.sample(5, psi=0.7),
        "psi": lambda: model.sample(5, psi=-0.4),
        "cutoff": lambda: model.render(model.truncate(ws(5), 0.3, 2)),
        "class": lambda: model.sample(5, psi=0.7, label="dog"),
        "mixture": lambda: model.sample(5, psi=0.7, label="cat:0.25,owl:0.75"),
        "none": lambda: model.sample(5, psi=0.7, noise="none"),
        "random": lambda: model.sample(5, psi=0.7, noise="random"),
        "mixing": lambda: model.render(mix(ws(5, 0.7), ws(9, 0.7), [1, 3])),
        "map": lambda: model.render(
            model.truncate(plane(*corners(ws([5, 6, 7])), torch.tensor([0.25]), torch.tensor([-0.5]))[0, 0], 0.7)
        ),
        "direction": lambda: model.render(renderer.directions("sefa").move(ws(5, 0.7), 1, 2.5, [1, 2])),
        "center": lambda: Sampler(
            G, 0.2, labels=renderer.sampler(still(label="owl")).labels, centers=renderer._centers
        ).images([5]),
    }
    return cases[name]()


def corners(ws: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return ws[:1], ws[1:2] - ws[:1], ws[2:] - ws[:1]


FIELDS: dict[str, dict[str, Any]] = {
    "seed": {},
    "psi": {"psi": -0.4},
    "cutoff": {"psi": 0.3, "cutoff": 2},
    "class": {"label": "dog"},
    "mixture": {"label": "0:0.25,2:0.75"},
    "none": {"noise": "none"},
    "random": {"noise": "random"},
    "mixing": {"mix_seed": 9, "mixed": [1, 3]},
    "map": {"x": 0.25, "y": -0.5},
    "direction": {"moves": [{"set": "sefa", "index": 1, "strength": 2.5, "layers": [1, 2]}]},
    "center": {"psi": 0.2, "label": "owl", "center": "class"},
}


@pytest.mark.parametrize("name", FIELDS)
def test_images_are_those_of_the_library(name: str, renderer: Renderer, model: Model) -> None:
    image = renderer.images([still(seed=5, **FIELDS[name])])
    assert torch.equal(image, expected(model, renderer, name))
    if name != "seed":
        assert not torch.equal(image, renderer.images([still(seed=5)]))


def test_the_strength_of_noise(renderer: Renderer) -> None:
    none, half, one = (renderer.images([still(seed=5, noise_strength=s)]).float() for s in (0, 0.5, 1))
    assert torch.equal(none, renderer.images([still(seed=5, noise="none")]))
    assert 0 < (half - none).abs().sum() < (one - none).abs().sum()


def test_blocks_run_again_only_from_the_first_change(renderer: Renderer) -> None:
    runs: list[str] = []
    blocks = renderer.generator.synthesis.blocks.items()
    layers = {name: getattr(block, "conv1", None) or block.layer1 for name, block in blocks}
    hooks = [m.register_forward_hook(lambda *_, name=name: runs.append(name)) for name, m in layers.items()]
    stills = [still(seed=5), still(seed=5, mixed=[5]), still(seed=5, mixed=[5], psi=0.7), still(seed=6, mixed=[5])]
    images = [renderer.images([s]) for s in stills]
    for hook in hooks:
        hook.remove()
    assert runs == ["4", "8", "16", "16", "4", "8", "16"]
    fresh = Renderer(renderer.snapshot)
    assert all(torch.equal(image, fresh.images([s, s])[:1]) for image, s in zip(images, stills, strict=True))


@pytest.mark.parametrize("loop", [True, False])
def test_frames_are_those_of_the_video(loop: bool, renderer: Renderer) -> None:
    keys = tuple(Keyframe(t, still(seed=s, mixed=[0])) for t, s in ((1.0, 3), (1.5, 8), (2.5, 4)))
    ws = torch.cat([renderer.ws(key.still) for key in keys])
    timing = video_timing(keys, loop, 4.0)
    video = SampleVideo([0, 1, 2], 1, None, timing, ".mp4")
    frames = list(video.generate(Sampler(renderer.generator, batch_size=1, seed_source=ws)))
    found = [renderer.frame(keys, loop, 4.0, k / 4)[0] for k in range(video.length)]
    assert all(torch.equal(a, b) for a, b in zip(frames, found, strict=True))


def test_layers(renderer: Renderer) -> None:
    names, maps = feature_maps(renderer.generator, renderer.ws(still()), "const")
    assert [m.shape[-1] for m in maps] == renderer.generator.synthesis.noise_sizes
    assert len(names) == len(maps)
    _, one = feature_maps(renderer.generator, renderer.ws(still()), "const", layer=1)
    assert torch.equal(torch.stack(one).abs().mean(dim=0), maps[1])
    cells = thumbnails(maps)
    assert cells.shape[1:] == (1, 64, 64)
    assert cells.flatten(1).amin(1).eq(0).all()
    assert cells.flatten(1).amax(1).eq(255).all()


@pytest.mark.parametrize(
    "fields",
    [
        {"source": "image1"},
        {"mixed": [40]},
        {"cutoff": 40},
        {"label": "bird"},
        {"label": "0:x"},
        {"moves": [{"set": "/etc/passwd", "index": 0, "strength": 1}]},
        {"moves": [{"set": "pca", "index": 900, "strength": 1}]},
        {"moves": [{"set": "pca", "index": 0, "strength": 1, "layers": [3, 60]}]},
    ],
)
def test_bad_stills_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        Renderer(tiny_model()).images([still(**fields)])


def test_python_lines_make_the_image(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    from PIL import Image

    import stylegen
    from stylegen.images import to_pil

    snapshot = stylegen.load("portraits64")._snapshot
    renderer = Renderer(snapshot)
    for psi, mixed, x, noise in itertools.product((0.5,), ([], [2, 3]), (0.0, 0.5), ("const", "random")):
        wanted = still(seed=3, psi=psi, mixed=mixed, x=x, noise=noise, noise_strength=0.5)
        code = recipes(PageState("portraits64", wanted), "portraits64")["python"]
        exec(compile(code, "recipe", "exec"), {})
        with Image.open("image.png") as image:
            assert image.tobytes() == to_pil(renderer.images([wanted])[0]).tobytes()
