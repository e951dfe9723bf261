"""`ls`: entropies and classifiers against independent formulas, and images whose attribute is known."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from stylegen import randomness
from stylegen.errors import UserError
from stylegen.features import PairDistance, SquaredError
from stylegen.latent.sampler import Sampler
from stylegen.latent.seeds import latents
from stylegen.metrics.engine import continuation
from stylegen.metrics.engine.fakes import GeneratedImages
from stylegen.metrics.formulas import linear_classifiers
from stylegen.metrics.formulas.equivariance import Motion
from stylegen.metrics.formulas.linear_classifiers import fit, logistic, squared_hinge, with_ones
from stylegen.metrics.formulas.linear_separability import conditional_entropy, linear_separability, svm_prediction
from stylegen.metrics.formulas.perceptual_path_length import Walk
from stylegen.metrics.protocol.card import MetricCard, describe
from tests.support.metric_images import Reals, evaluation_of
from tests.support.tiny import tiny_generator

ID = "ls_random_vgg16"


def normals(count: int, dim: int, purpose: str = "tests/ls") -> Tensor:
    return randomness.normal(0, purpose, torch.arange(count), (dim,))


@pytest.mark.parametrize(
    "table", [[[5, 0], [0, 7]], [[0, 5], [7, 0]], [[2, 4], [3, 6]], [[1, 9], [4, 2]], [[0, 0], [3, 5]]]
)
def test_conditional_entropy_equals_the_joint_tables(table: list[list[int]]) -> None:
    """Perfect and reversed predictions have H = 0; independent ones H(Y)."""
    pairs = [(x, y) for x in (0, 1) for y in (0, 1) for _ in range(table[x][y])]
    x, y = torch.tensor(pairs).bool().T
    p = np.array(table) / np.sum(table)
    expected = -sum(p[i, j] * np.log(p[i, j] / p[i].sum()) for i in (0, 1) for j in (0, 1) if p[i, j] > 0)
    assert conditional_entropy(x, y) == pytest.approx(expected, abs=1e-12)
    if np.linalg.matrix_rank(p) == 1:
        marginal = p.sum(axis=0)
        assert expected == pytest.approx(-(marginal * np.log(marginal)).sum())


@pytest.mark.parametrize("c", [0.1, 1.0])
@pytest.mark.parametrize("loss", [squared_hinge, logistic])
@pytest.mark.parametrize("noise", [0.0, 1.0])
@pytest.mark.parametrize("direct", [True, False])
def test_classifiers_minimize_their_function(
    loss: Any, c: float, noise: float, direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The function is 1-strongly convex, so |v - v*| is at most the gradient's norm, here in NumPy.

    Columns of scales 0.01 to 10; without noise the labels are separable.
    """
    monkeypatch.setattr(linear_classifiers, "_MAX_DIRECT", 1024 if direct else 0)
    x = normals(300, 6) * torch.logspace(-2, 1, 6)
    label = x[:, 4] + noise * normals(300, 1, "tests/ls/noise")[:, 0] > 0.3
    v = fit(with_ones(x), label, loss, c).numpy()
    rows, sign = np.concatenate([x.double().numpy(), np.ones((300, 1))], axis=1), np.where(label, 1, -1)
    margins = sign * (rows @ v)
    slope = -2 * np.maximum(0, 1 - margins) if loss is squared_hinge else -1 / (1 + np.exp(margins))
    assert np.linalg.norm(v + c * rows.T @ (sign * slope)) < 1e-4 < 1e-3 * np.linalg.norm(v)


def test_many_columns_of_few_images_converge() -> None:
    rows, label = with_ones(normals(40, 200)), normals(40, 1, "tests/ls/label")[:, 0] > 0
    assert torch.equal(rows @ fit(rows, label, squared_hinge) > 0, label)


def test_the_less_confident_half_is_dropped() -> None:
    """Features from -2 to 3, classified by their sign: half of them are above 1.25, three in ten of these negative."""
    feature = torch.linspace(-2, 3, 200)[:, None]
    reals = torch.linspace(-2, 2, 50)[:, None]
    found = linear_separability(feature, reals, reals > 0, {"w": feature, "z": normals(200, 1)})
    (term,) = found.attributes
    assert found.values[0] == 1
    assert term["share_of_samples"] == pytest.approx(0.7, abs=0.02)
    assert term["share_of_reals"] == 0.5
    assert term["entropy_w"] == 0 < term["entropy"]


def test_an_attribute_that_no_sample_has_counts_nothing() -> None:
    reals = torch.linspace(-2, 2, 50)[:, None]
    attributes = torch.cat([reals > 0, torch.zeros(50, 1, dtype=torch.bool)], dim=1)
    found = linear_separability(torch.full((9, 1), 3.0), reals, attributes, {"w": normals(9, 2), "z": normals(9, 2)})
    assert found.values == (1, 1, 1)
    assert [term["share_of_samples"] for term in found.attributes] == [1, 0]
    assert torch.equal(svm_prediction(normals(4, 2), torch.ones(4, dtype=torch.bool)), torch.ones(4, dtype=torch.bool))


class Labeled(Reals):
    """Two classes of gray levels, for an unconditional model."""

    class_names = ("dark", "light")

    def stored_labels(self) -> Tensor:
        return torch.eye(2)[(self.images[:, 0, 0, 0] > 127).long()]


class Product:
    """w_0 = z_0 z_1 is the gray level: linear in w; each of z_0 and z_1 alone is independent of its sign."""

    def latents(self, numbers: list[int]) -> dict[str, Tensor]:
        z = latents(numbers, 3)
        return {"z": z, "w": torch.stack([z[:, 0] * z[:, 1], z[:, 0] + z[:, 2], z[:, 2]], dim=1)}

    def batches(self, numbers: list[int]) -> Iterator[Tensor]:
        level = 128 + 120 * self.latents(numbers)["w"][:, 0].clamp(-1, 1)
        yield level.to(torch.uint8)[:, None, None, None].expand(-1, 3, 8, 8)

    def path_distances(self, walk: Walk, numbers: list[int], distance: PairDistance) -> Iterator[Tensor]:
        raise NotImplementedError

    def motion_errors(self, motion: Motion, numbers: list[int], error: SquaredError) -> Iterator[Tensor]:
        raise NotImplementedError


@pytest.fixture
def reals() -> Labeled:
    return Labeled(torch.linspace(0, 255, 60).to(torch.uint8)[:, None, None, None].expand(-1, 3, 8, 8).contiguous())


@pytest.mark.usefixtures("thumbnail")
@pytest.mark.parametrize("mirror", [False, True])
def test_an_attribute_that_is_linear_in_w_only(reals: Labeled, mirror: bool) -> None:
    """Two classes that exclude each other are two attributes of at most log 2 each, so `ls` is between 1 and 4."""
    card = evaluation_of([ID], 2000, reals, cache=False, mirror_reals=mirror).measure(Product())
    w, z, independent = card.metrics.values()
    name = f"{ID}_{{}}{'_mirrored-reals' * mirror}"
    assert list(card.metrics) == [name.format(key) for key in ("w", "z", "independent")]
    assert list(card.better.values()) == ["lower", "lower", None]
    assert w < 1.05 < 3.8 < min(z, independent) <= max(z, independent) <= 4
    assert card.references == {}
    assert list(card.attributes) == [ID]
    assert list(card.attributes[ID]) == ["dark", "light"]
    for numbers in card.attributes[ID].values():
        assert numbers["held_out_accuracy"] > 0.9
        assert numbers["share_of_samples"] == pytest.approx(0.5, abs=0.1)
        assert numbers["share_of_reals"] == 0.5
    assert np.log(w) == pytest.approx(sum(numbers["entropy_w"] for numbers in card.attributes[ID].values()))
    assert describe(card.to_dict())[-1].startswith(f"{ID}: 2 attributes, held-out accuracy of the classifier ")


def test_latents_belong_to_the_images() -> None:
    """Also for a part of the images, at another batch size."""
    generator = tiny_generator(num_classes=3)
    images = GeneratedImages(Sampler(generator, psi=0.5, batch_size=4))
    whole, part = images.latents(list(range(6))), images.latents([4, 1])
    labels = images.sampler.c([4, 1])
    assert torch.equal(part["z"], whole["z"][[4, 1]])
    torch.testing.assert_close(part["w"], whole["w"][[4, 1]])
    torch.testing.assert_close(part["w"], generator.mapping(part["z"], labels))
    assert images.latents([])["w"].shape == (0, generator.w_dim)


@pytest.mark.usefixtures("thumbnail")
def test_an_interrupted_evaluation_continues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(continuation, "SECONDS", 0.0)
    reals = Labeled(torch.linspace(0, 255, 40).to(torch.uint8)[:, None, None, None].expand(-1, 3, 16, 16).contiguous())
    generated: list[int] = []

    class Killed(GeneratedImages):
        stop = 99

        def batches(self, numbers: list[int]) -> Iterator[Tensor]:
            for number, part in zip(numbers[::8], super().batches(numbers), strict=True):
                if number >= self.stop:
                    raise SystemError("killed")
                generated.append(number)
                yield part

    def card(images: GeneratedImages, folder: str) -> MetricCard:
        return evaluation_of([ID], 64, reals, cache_dir=str(tmp_path / folder)).measure(images, identity="a")

    sampler = Sampler(tiny_generator(), batch_size=8)
    whole = card(GeneratedImages(sampler), "whole")
    killed = Killed(sampler)
    killed.stop = 24
    with pytest.raises(SystemError):
        card(killed, "continued")
    assert card(Killed(sampler), "continued") == whole
    assert generated == list(range(0, 64, 8))


def test_what_has_no_separability(reals: Labeled) -> None:
    with pytest.raises(
        UserError, match=r"needs images with different labels, and procedural has no labels\. .*labels="
    ):
        evaluation_of([ID], 100, Reals(reals.images)).check()
    with pytest.raises(UserError, match="procedural has equal labels for all images"):
        evaluation_of([ID], 100, Labeled(reals.images[:20])).check()
    with pytest.raises(UserError, match="linear separability is a property of a generator"):
        evaluation_of([ID], 100, reals).check(paths=False)
