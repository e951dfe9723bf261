"""StyleGAN3's generator reproduces the reference implementation: filters, outputs, transforms; gradients by a twin."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from stylegen.checkpoints.importers import stylegan3_names as importer
from stylegen.latent.truncation import truncate
from stylegen.networks import stylegan3
from stylegen.networks.stylegan3 import Generator
from tests.support.golden import Golden, assert_gradient, assert_output, files, load
from tests.support.slow_filtered_lrelu import slow_filtered_lrelu

TRANSFORM = [[0.8, -0.6, 0.1], [0.6, 0.8, -0.2], [0.0, 0.0, 1.0]]


class Network:
    """The generator of a golden file, with its weights."""

    def __init__(self, golden: Golden) -> None:
        self.golden = golden
        self.settings = importer.generator_settings(golden.config["generator"])
        self.G = Generator(**self.settings)
        self.G.load_state_dict(importer.rename_generator(golden.part("G.")))

    def ws(self) -> Tensor:
        w = self.G.mapping(self.golden["in.z"], self.golden.tensors.get("in.c"))
        return w.unsqueeze(1).repeat(1, self.G.num_ws, 1)


@pytest.fixture(params=files("stylegan3"))
def network(request: pytest.FixtureRequest) -> Network:
    path: Path = request.param
    return Network(load(path))


def test_filters(network: Network) -> None:
    """Tap by tap; the reference stores None, and no tensor, for a layer that does not resample."""
    found = dict(network.G.synthesis.named_buffers())
    filters = {name for name in network.golden.part("G.synthesis.") if name.endswith("_filter")}
    ours = {name for name in found if name.endswith("_filter")}
    assert len(filters) == len(ours)
    importer.check_filters(network.golden.part("G."), network.settings)
    for name in filters:
        layer, kind = name.split(".")
        own = found[f"layers.{layer.partition('_')[0].removeprefix('L')}.{kind}"]
        torch.testing.assert_close(own, network.golden[f"G.synthesis.{name}"], rtol=1e-6, atol=1e-7)


@torch.no_grad()
def test_outputs(network: Network) -> None:
    golden, G, ws = network.golden, network.G, network.ws()
    assert_output(ws, golden["out.ws"])
    assert_output(G.synthesis(ws), golden["out.img"])
    assert_output(G.synthesis(truncate(ws, G.mapping.w_avg, psi=0.6)), golden["out.img_truncated"])
    before = G.synthesis.input.transform.clone()
    G.synthesis.input.transform.copy_(torch.tensor(TRANSFORM))
    assert_output(G.synthesis(ws), golden["out.img_transformed"])
    G.synthesis.input.transform.copy_(before)


def gradients(network: Network) -> dict[str, Tensor]:
    """Of a scalar of the image, by every parameter."""
    inputs = [network.golden[name] for name in ("in.z", "in.c") if name in network.golden.tensors]
    images = network.G(*(value.to(network.G.mapping.w_avg.dtype) for value in inputs))
    named = dict(network.G.named_parameters())
    weights = torch.linspace(-1, 1, images.numel(), dtype=torch.float64).view_as(images).to(images.dtype)
    found = torch.autograd.grad((images * weights).sum() + images.square().sum(), list(named.values()))
    return dict(zip(named, found, strict=True))


def test_gradients_equal_the_definition_in_float64(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    found = gradients(network)
    network.G.double()
    monkeypatch.setattr(stylegan3, "filtered_lrelu", slow_filtered_lrelu)
    for name, expected in gradients(network).items():
        assert_gradient(found[name].double(), expected, name)


@torch.no_grad()
def test_one_percent_on_any_weight_is_noticed(network: Network) -> None:
    """Of every other number of a tensor: demodulation cancels a factor on the whole tensor."""
    found = []
    for name, tensor in [*network.G.named_parameters(), *network.G.named_buffers()]:
        if not tensor.any() or name.endswith("transform") or (name.startswith("mapping") and name.endswith("bias")):
            continue
        original = tensor.clone()
        tensor.view(-1)[::2] *= 1.01
        found += [] if _notices(network) else [f"{name} of magnitude {original.abs().max():.2g}"]
        tensor.copy_(original)
    assert not found, found


def _notices(network: Network) -> bool:
    try:
        test_outputs(network)
        test_filters(network)
    except AssertionError:
        return True
    return False
