import pytest
import torch

from stylegen.errors import UserError
from stylegen.latent.sampler import Sampler
from stylegen.latent.style_space import read_styles, style_layers, synthesize_styles
from tests.support.tiny import tiny_generator

NETWORKS = ["stylegan1", "stylegan2", "stylegan3"]


@pytest.mark.parametrize("name", NETWORKS)
def test_each_slot_has_its_layers(name: str) -> None:
    generator = tiny_generator(16, name=name)
    layers = style_layers(generator)
    assert {layer.slot for layer in layers} == set(range(generator.num_ws))
    assert len({layer.name for layer in layers}) == len(layers)
    styles = read_styles(generator, Sampler(generator).ws([0, 1, 2]))
    assert {name: tuple(style.shape) for name, style in styles.items()} == {a.name: (3, a.width) for a in layers}


@pytest.mark.parametrize("name", NETWORKS)
def test_images_of_their_own_styles_are_unchanged(name: str) -> None:
    generator = tiny_generator(16, name=name)
    a, b = Sampler(generator).ws([0, 1])[:, None]
    image = generator.synthesis(a, "const")
    assert torch.equal(synthesize_styles(generator, a, {}), image)
    assert torch.equal(synthesize_styles(generator, b, read_styles(generator, a)), image)


@pytest.mark.parametrize("name", NETWORKS)
def test_one_style_changes_the_image_and_has_a_gradient(name: str) -> None:
    generator = tiny_generator(16, name=name)
    ws = Sampler(generator).ws([0])
    first = style_layers(generator)[2].name
    style = read_styles(generator, ws)[first].clone().requires_grad_()
    image = synthesize_styles(generator, ws, {first: style + torch.eye(style.shape[1])[0]})
    assert (image - generator.synthesis(ws, "const")).abs().max() > 1e-3
    image.square().mean().backward()
    assert style.grad is not None
    assert style.grad.abs().max() > 0


def test_layers_that_do_not_exist_are_refused() -> None:
    generator = tiny_generator()
    ws = Sampler(generator).ws([0])
    with pytest.raises(UserError, match="the layers are"):
        synthesize_styles(generator, ws, {"nothing": torch.zeros(1, 8)})
    with pytest.raises(UserError, match="the layers are"):
        synthesize_styles(generator, ws, {style_layers(generator)[0].name: torch.zeros(2, 8)})
