"""State dicts under published names: equal to the golden files', and importable again."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from stylegen.checkpoints.importers import r3gan_names, stylegan1_names, stylegan2_names, stylegan3_names
from stylegen.checkpoints.importers.foreign_model import Inexpressible
from stylegen.errors import UserError
from stylegen.exports.reference_names import REFERENCES
from stylegen.layers.resample import fir_filter
from stylegen.networks import build_generator
from tests.support.golden import files, load
from tests.support.tiny import tiny_generator

IMPORTERS: dict[str, Any] = {
    "stylegan1": stylegan1_names,
    "stylegan2": stylegan2_names,
    "stylegan3": stylegan3_names,
    "r3gan": r3gan_names,
}
FILTERS = ("resample_filter", "blur.kernel", "Resampler.Kernel")


@pytest.mark.parametrize("path", [*files("stylegan1"), *files("stylegan2"), *files("stylegan3"), *files("r3gan")])
def test_golden_networks_come_out_as_they_came_in(path: Path) -> None:
    golden, name = load(path), path.stem.partition("_")[0]
    importer, state = IMPORTERS[name], golden.part("G.")
    generator = build_generator(name, **importer.generator_settings(golden.config["generator"]))
    generator.load_state_dict(importer.rename_generator(state), strict=name != "r3gan")  # it has no w_avg
    found = REFERENCES[name](generator)
    assert {key for key in found.tensors if not key.endswith(FILTERS)} == set(state)
    for key, tensor in state.items():
        if not key.endswith("lod"):
            tolerance = 1e-6 if key.endswith("_filter") else 0  # filters are computed again
            torch.testing.assert_close(found.tensors[key], tensor, rtol=tolerance, atol=0.1 * tolerance)
    assert found.arguments.items() >= {k: v for k, v in golden.config["generator"].items() if k in _TOP}.items()


_TOP = ("z_dim", "c_dim", "w_dim", "img_resolution", "img_channels", "resolution", "fused_scale", "fmaps_base")
CASES: list[dict[str, Any]] = [
    {"resolution": 16, "num_classes": 3, "activation": "relu", "use_noise": False, "conv_clamp": 256.0},
    {"resolution": 16, "architecture": "resnet", "channels": 1, "resample_taps": [1, 2, 1, 2, 1, 1, 2, 3, 1]},
    {"name": "stylegan1", "resolution": 16, "num_classes": 2, "mapping_dim": 6},
    {"name": "stylegan1", "resolution": 16, "fused_from": 4},
    {"name": "stylegan3", "resolution": 16, "num_layers": 4, "num_classes": 2, "use_radial_filters": True},
]


@pytest.mark.parametrize("case", CASES)
def test_round_trip(case: dict[str, Any]) -> None:
    """Through the importer's tables: the same settings, the same tensors."""
    generator = tiny_generator(**case)
    importer, found = IMPORTERS[generator.name], REFERENCES[generator.name](generator)
    settings = importer.generator_settings(json.loads(json.dumps(found.arguments)))
    again = build_generator(generator.name, **settings)
    implied = {"const_input": True, "mapping_dim": 8, "fused_from": None} if generator.name == "stylegan1" else {}
    expected = {k: case.get(k, implied.get(k, value)) for k, value in generator.settings.items()}
    found_settings = {k: implied[k] if k == "const_input" else value for k, value in again.settings.items()}
    assert json.dumps(found_settings) == json.dumps(expected)
    tensors = {key: value for key, value in found.tensors.items() if not key.endswith("blur.kernel")}
    again.load_state_dict(importer.rename_generator(tensors))
    z, c = torch.randn(2, 8), torch.eye(max(generator.num_classes, 1))[:1].repeat(2, 1)[:, : generator.num_classes]
    assert torch.equal(again.eval()(z, c), generator(z, c))


@pytest.mark.parametrize("taps", [[0.1, 0.3, 0.3, 0.1], [1e-9, 3e-9, 3e-9, 1e-9], [0.1, 0.4, 0.7, 0.7, 0.4, 0.1]])
def test_decimal_taps_of_r3gan(taps: list[float]) -> None:
    """Those that are [1, 1] * f up to rounding; a part in a million is no rounding."""
    sizes = {"resolution": 8, "z_dim": 8, "channel_base": 128, "channel_max": 16}
    found = REFERENCES["r3gan"](build_generator("r3gan", **sizes, resample_taps=taps)).arguments["ResamplingFilter"]
    repeated = [a + b for a, b in zip([0, *found], [*found, 0], strict=True)]
    assert repeated == pytest.approx(taps, rel=1e-12)
    with pytest.raises(Inexpressible, match="repeats pixels"):
        REFERENCES["r3gan"](build_generator("r3gan", **sizes, resample_taps=[taps[0] * (1 + 1e-6), *taps[1:]]))


def test_filters_equal_the_reference() -> None:
    """Where a layer does not resample, NVIDIA's code keeps its default; long filters are one row."""
    taps = [1, 2, 1, 2, 1, 1, 2, 3, 1]
    found = REFERENCES["stylegan2"](tiny_generator(16, architecture="resnet", resample_taps=taps)).tensors
    names = {key for key in found if key.endswith("resample_filter")}
    inner = [".conv0", ".conv1", ".skip", ""]
    blocks = {f"synthesis.b{r}{part}.resample_filter" for r in (8, 16) for part in inner}
    assert names == blocks | {"synthesis.b4.conv1.resample_filter", "synthesis.b4.resample_filter"}
    assert torch.allclose(found["synthesis.b8.conv0.resample_filter"], torch.tensor(taps) / 14)
    assert torch.equal(found["synthesis.b8.conv1.resample_filter"], fir_filter([1, 3, 3, 1]))
    blurs = REFERENCES["stylegan1"](tiny_generator(16, name="stylegan1")).tensors
    assert blurs["synthesis.layer4.blur.kernel"].shape == (8, 1, 3, 3)
    assert {key for key in blurs if "blur" in key} == {f"synthesis.layer{k}.blur.kernel" for k in (2, 4)}


def test_the_level_is_the_level_of_detail() -> None:
    generator = tiny_generator(32, name="stylegan1")
    assert REFERENCES["stylegan1"](generator).tensors["synthesis.lod"] == 0
    generator.set_level(16, 0.25)
    assert REFERENCES["stylegan1"](generator).tensors["synthesis.lod"] == 1.75


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"conditioning": "film"}, "conditioning=film: the published StyleGAN has adain"),
        ({"use_noise": False}, "use_noise=False"),
        ({"const_input": False}, "const_input=False"),
        ({"blur_taps": [1]}, "blur_taps"),
        ({"fused_from": 16}, "fused_from=16: .*fuses all layers, none, or those from 128 px"),
    ],
)
def test_networks_that_the_published_code_lacks(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        REFERENCES["stylegan1"](tiny_generator(32, name="stylegan1", **settings))
