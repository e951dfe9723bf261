"""Images of stills equal `Model` and `SampleVideo` with the same settings, to the bit."""

import gc
import itertools
import shlex
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from stylegen.__main__ import main
from stylegen.checkpoints import packaged
from stylegen.checkpoints.snapshot import load_snapshot
from stylegen.errors import UserError
from stylegen.features.lpips import RandomLPIPS
from stylegen.latent.interpolation import plane
from stylegen.latent.matching import Matching
from stylegen.latent.mixing import mix
from stylegen.latent.model import Model
from stylegen.latent.project_images import project_images
from stylegen.latent.projection import ProjectionOptions, Projector
from stylegen.latent.sample_video import SampleVideo
from stylegen.latent.sampler import Sampler
from stylegen.viewer.exports import export, video_of
from stylegen.viewer.inference import Client, Inference, Job
from stylegen.viewer.layer_views import feature_maps, thumbnails
from stylegen.viewer.page_state import Keyframe, PageState
from stylegen.viewer.projecting import project, restore
from stylegen.viewer.recipes import recipes
from stylegen.viewer.renderer import Renderer, video_timing
from stylegen.viewer.wire import Request
from tests.support.viewer import still, tiny_model

NETWORKS = ("stylegan1", "stylegan2", "stylegan3")


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
        "none": lambda: model.sample(5, psi=0.7, noise="none" if G.has_noise else "const"),
        "random": lambda: model.sample(5, psi=0.7, noise="random" if G.has_noise else "const"),
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
def test_images_equal_the_librarys(name: str, renderer: Renderer, model: Model) -> None:
    image = renderer.images([still(seed=5, **FIELDS[name])])
    assert torch.equal(image, expected(model, renderer, name))
    if name != "seed" and (renderer.generator.has_noise or name not in ("none", "random")):
        assert not torch.equal(image, renderer.images([still(seed=5)]))


def test_the_strength_of_noise() -> None:
    renderer = Renderer(tiny_model())
    none, half, one = (renderer.images([still(seed=5, noise_strength=s)]).float() for s in (0, 0.5, 1))
    assert torch.equal(none, renderer.images([still(seed=5, noise="none")]))
    assert 0 < (half - none).abs().sum() < (one - none).abs().sum()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_closed_model_is_freed_at_once(name: str) -> None:
    """Weights on a GPU must not wait for the cycles that the garbage collector finds."""
    renderer = Renderer(tiny_model(name))
    renderer.images([still(seed=5)])
    weights = weakref.ref(next(renderer.generator.synthesis.parameters()))
    gc.disable()
    try:
        renderer.close()
        del renderer
        assert weights() is None
    finally:
        gc.enable()


def test_the_networks_products_are_ieee_float32(renderer: Renderer) -> None:
    """PyTorch's default for convolutions on GPUs is TF32."""
    found: list[str] = []
    conv: Any = torch.backends.cudnn.conv
    hook = renderer.generator.synthesis.register_forward_pre_hook(lambda *_: found.append(conv.fp32_precision))
    before = conv.fp32_precision
    renderer.images([still(seed=5)])
    Sampler(renderer.generator).images([0])
    loaded = Model(renderer.snapshot)
    loaded.synthesis(loaded.ws(0))
    options = ProjectionOptions(steps=1, tuning_steps=1, w_samples=2, starts=2)
    image = torch.zeros(3, renderer.generator.resolution, renderer.generator.resolution)
    projector = Projector(renderer.generator, Matching(RandomLPIPS()), options)
    project_images(projector, [("a", image)], "w+")
    hook.remove()
    assert len(found) >= 8
    assert set(found) == {"ieee"}
    assert conv.fp32_precision == before


def test_blocks_run_again_only_from_the_first_change(renderer: Renderer) -> None:
    runs: list[int] = []
    slots = renderer.generator.synthesis.num_ws
    if renderer.generator.name == "stylegan3":
        layers = [layer.affine for layer in renderer.generator.synthesis.layers]
    else:
        blocks = renderer.generator.synthesis.blocks.values()
        layers = [getattr(block, "conv1", None) or block.layer1 for block in blocks]
    renderer.images([still(seed=99)])
    hooks = [m.register_forward_hook(lambda *_, k=k: runs.append(k)) for k, m in enumerate(layers)]
    mixed = [slots - 1]
    stills = [
        still(seed=5),
        still(seed=5, mixed=mixed),
        still(seed=5, mixed=mixed, psi=0.7),
        still(seed=6, mixed=mixed),
    ]
    images = [renderer.images([s]) for s in stills]
    for hook in hooks:
        hook.remove()
    every = list(range(len(layers)))
    assert runs == [*every, every[-1], *every]
    fresh = Renderer(renderer.snapshot)
    assert all(torch.equal(image, fresh.images([s, s])[:1]) for image, s in zip(images, stills, strict=True))


@pytest.mark.parametrize("loop", [True, False])
def test_frames_equal_the_videos(loop: bool, renderer: Renderer) -> None:
    keys = tuple(Keyframe(t, still(seed=s, mixed=[0])) for t, s in ((1.0, 3), (1.5, 8), (2.5, 4)))
    ws = torch.cat([renderer.ws(key.still) for key in keys])
    timing = video_timing(keys, loop, 4.0)
    video = SampleVideo([0, 1, 2], 1, None, timing, ".mp4")
    frames = list(video.generate(Sampler(renderer.generator, batch_size=1, seed_source=ws)))
    found = [renderer.frame(keys, loop, 4.0, k / 4)[0] for k in range(video.length)]
    assert all(torch.equal(a, b) for a, b in zip(frames, found, strict=True))


def test_layers(renderer: Renderer) -> None:
    names, maps = feature_maps(renderer.generator, renderer.ws(still()), "const")
    G = renderer.generator
    sizes = [s.size for s in G.synthesis.signals] if G.name == "stylegan3" else G.synthesis.noise_sizes
    assert [m.shape[-1] for m in maps] == sizes
    assert names[-1].startswith(f"layer {len(maps) - 1}, 16 px, ")
    _, one = feature_maps(renderer.generator, renderer.ws(still()), "const", layer=1)
    torch.testing.assert_close(torch.stack(one).abs().mean(dim=0), maps[1])
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


def job() -> Job:
    """Of a server without other requests."""
    inference = Inference(lambda job: job.answer("done"))
    return Job(inference, Client(lambda data: None), Request("export", "job", 1))


def test_a_png_has_the_bytes_that_sample_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    renderer = Renderer(load_snapshot(packaged.FOLDER / "portraits64.safetensors"))
    state = PageState("portraits64", still(seed=2**32, psi=-0.3125, cutoff=3, noise="random"))
    command = recipes(state, "portraits64", renderer.generator.has_noise)["command"]
    assert main(["sample", *shlex.split(command)[2:]]) == 0
    (path,) = tmp_path.glob("image/**/*.png")
    assert path.read_bytes() == export(job(), state, renderer, {"format": "png"}).payload


@pytest.mark.parametrize("fields", [{"noise": "random"}, {"noise_strength": 0.5}])
def test_a_video_has_the_noise_of_its_first_keyframe(fields: dict[str, Any]) -> None:
    renderer = Renderer(tiny_model())
    keys = tuple(Keyframe(t, still(seed=s, **fields)) for t, s in ((0.0, 3), (0.5, 8)))
    video = video_of(job(), PageState("tiny", keyframes=keys, fps=4.0), renderer, ".mp4")
    frames = list(video.generate(renderer.sampler(still())))
    assert len(frames) == 4
    assert torch.equal(frames[0], renderer.images([keys[0].still])[0])


def test_a_projection_pauses_within_its_steps_and_its_styles_can_be_restored() -> None:
    renderer, pauses = Renderer(tiny_model()), []
    projecting_job = job()
    projecting_job.pause = lambda: pauses.append(0)  # type: ignore[method-assign]
    found = project(projecting_job, renderer, "image1-00000000", torch.zeros(3, 16, 16), 2)
    assert len(pauses) >= 3 * 4  # forwards and backwards, two steps in W and two in W+
    other = Renderer(renderer.snapshot)
    assert restore(job(), other, "image1-00000000", found.payload).header["sources"] == ["image1-00000000"]
    wanted = still(source="image1-00000000")
    assert torch.equal(other.images([wanted]), renderer.images([wanted]))
    nan = np.full(len(found.payload) // 4, np.nan, "<f4").tobytes()
    for data in (b"", found.payload[:-4], nan):
        with pytest.raises(UserError, match="not styles"):
            restore(job(), other, "image2-00000000", data)


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
