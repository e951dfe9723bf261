"""R3GAN's published files: networks with the golden images and logits; files that ours cannot represent."""

from pathlib import Path

import pytest
import torch

from stylegen.checkpoints.importers.foreign_kinds import import_model
from stylegen.errors import UserError
from stylegen.networks import DISCRIMINATORS, build_generator
from tests.support.golden import assert_output, files, load
from tests.support.r3gan_file import r3gan_file


@pytest.mark.parametrize("path", files("r3gan"))
def test_networks_of_a_published_file(path: Path, tmp_path: Path) -> None:
    golden = load(path)
    model = import_model(r3gan_file(tmp_path / "x.pkl", golden))
    assert model.kind == "R3GAN"
    assert model.notes == ["cur_nimg, training_set_kwargs left out: not needed to sample or to start a training"]
    assert model.D is not None
    assert model.G is not None
    G, D = build_generator("r3gan", **model.G_ema.settings), DISCRIMINATORS["r3gan"](**model.D.settings)
    G.load_state_dict(model.G_ema.tensors)
    D.load_state_dict(model.D.tensors)
    c = golden.tensors.get("in.c")
    images = G(golden["in.z"], c)
    assert_output(images, golden["out.img"])
    assert_output(D(images, c)[:, 0], golden["out.logits_fake"])
    mean = torch.zeros(G.w_dim)
    if c is not None:
        mean[G.z_dim :] = golden["G.Model.EmbeddingLayer.weight"].mean(dim=1)
    torch.testing.assert_close(G.mapping.w_avg, mean)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Model.MainLayers.1.Layers.0.Resampler.Kernel", "filter Model.*resamples bilinearly"),
        ("Model.AggregationLayer.Layer.bias", "do not fit its settings: unexpected Model.AggregationLayer"),
    ],
)
def test_a_network_that_differs(name: str, message: str, tmp_path: Path) -> None:
    golden = load(files("r3gan")[0].values[0])
    with pytest.raises(UserError, match=message):
        import_model(r3gan_file(tmp_path / "x.pkl", golden, {name: torch.ones(4, 4)}))
