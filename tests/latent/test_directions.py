"""Directions of w: known factorizations, components and boundaries; moves, files, and the measure along the walk."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from stylegen.checkpoints.snapshot import Snapshot, save_snapshot
from stylegen.errors import DamagedFile, UserError
from stylegen.latent.direction_methods import (
    Boundary,
    factorize,
    fit_boundary,
    fixed_signs,
    principal_components,
    singular_directions,
)
from stylegen.latent.direction_search import DirectionSearch
from stylegen.latent.directions_file import Directions, read_directions
from stylegen.latent.labeled_directions import Examples, Labeler, LabelOptions, read_examples
from stylegen.latent.projection import sampled_w
from stylegen.latent.sample_labels import one_class
from stylegen.latent.sampler import Sampler
from stylegen.latent.style_space import style_layers
from stylegen.latent.walk_measure import measure_walks
from stylegen.networks import StyleGenerator
from tests.support.metric_images import Thumbnail
from tests.support.tiny import tiny_generator


@pytest.fixture(scope="module")
def generator() -> StyleGenerator:
    return tiny_generator()


def search(generator: StyleGenerator, **settings: int) -> DirectionSearch:
    snapshot = Snapshot(generator, {}, Path("tiny.safetensors"))
    return DirectionSearch(snapshot, Sampler(generator, psi=0.7), range(generator.num_ws), w_samples=200)


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def assert_orthonormal(vectors: Tensor, atol: float) -> None:
    torch.testing.assert_close(vectors @ vectors.T, torch.eye(len(vectors)).to(vectors), rtol=0, atol=atol)


def test_sefa_of_a_hand_made_matrix() -> None:
    """Row q_i, of an orthonormal basis, k_i times with any length: eigenvector q_i with eigenvalue k_i, exactly."""
    basis, _ = torch.linalg.qr(noise(6, 6))
    counts = torch.tensor([2, 6, 1, 3, 5, 4])
    rows = basis.repeat_interleave(counts, dim=0)
    lengths = torch.linspace(0.1, 50, len(rows), dtype=torch.float64)
    vectors, values = singular_directions(rows * lengths[:, None], 4)
    expected = basis[counts.argsort(descending=True)][:4]
    torch.testing.assert_close(vectors, fixed_signs(expected), rtol=0, atol=1e-12)
    torch.testing.assert_close(values, torch.tensor([6, 5, 4, 3], dtype=torch.float64))
    permuted, _ = singular_directions(torch.cat([rows.flip(0), torch.zeros(3, 6)]), 4)
    torch.testing.assert_close(permuted, vectors, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("network", "settings", "maps"),
    [
        ("stylegan2", {}, ["to_rgb", "conv0", "conv1"]),
        ("stylegan2", {"architecture": "resnet"}, ["to_rgb", "conv0", "conv1"]),
        ("stylegan1", {}, ["conditioning"]),
        ("stylegan1", {"const_input": False, "conditioning": "film"}, ["conditioning", "input"]),
        ("stylegan3", {"num_layers": 4}, ["affine"]),
    ],
)
def test_sefa_of_networks(network: str, settings: dict[str, object], maps: list[str]) -> None:
    """The weights found are all affine maps of w; directions are unit, orthogonal and ordered, as by numpy's SVD."""
    G = tiny_generator(name=network, **settings)
    if network == "stylegan3":
        G.synthesis.get_submodule("input.affine").weight.copy_(torch.randn(4, 8))  # initially zero
    named = {
        name: tensor
        for name, tensor in G.synthesis.state_dict().items()
        if name.endswith("weight") and tensor.ndim == 2 and any(part in name for part in maps)
    }
    found = [(layer.slot, layer.matrix) for layer in style_layers(G)]
    assert sorted(w.data_ptr() for _, w in found) == sorted(w.data_ptr() for w in named.values())
    assert {slot for slot, _ in found} == set(range(G.num_ws))
    vectors, shares = factorize(G, range(G.num_ws), 5)
    rows = np.concatenate([w.double().numpy() for w in named.values()])
    values = np.linalg.svd(rows / np.linalg.norm(rows, axis=1, keepdims=True))[1] ** 2
    np.testing.assert_allclose(shares, (values / values.sum())[:5], rtol=1e-9)
    assert (shares.diff() <= 0).all()
    assert_orthonormal(vectors, 1e-12)
    first, _ = factorize(G, [0], 1)
    own = torch.cat([w for slot, w in found if slot == 0])
    torch.testing.assert_close(first, singular_directions(own, 1)[0])


def test_sefa_needs_linear_maps_of_w() -> None:
    G = tiny_generator(name="stylegan1", num_classes=3, conditioning="cin")
    with pytest.raises(UserError, match="Use method=pca"):
        factorize(G, range(G.num_ws), 2)


def test_principal_components_are_numpys() -> None:
    w = noise(300, 6) @ noise(6, 6) + 3
    vectors, shares = principal_components(w, 4)
    _, values, rows = np.linalg.svd((w - w.mean(dim=0)).numpy(), full_matrices=False)
    np.testing.assert_allclose(shares, (values**2 / (values**2).sum())[:4], rtol=1e-9)
    torch.testing.assert_close(vectors, fixed_signs(torch.from_numpy(rows[:4])), rtol=0, atol=1e-9)


def test_signs_are_fixed() -> None:
    v = torch.tensor([[0.1, -0.9, 0.2], [0.5, 0.1, 0.4]])
    assert torch.equal(fixed_signs(v), fixed_signs(-v))
    assert fixed_signs(v)[:, [1, 0]].diagonal().tolist() == pytest.approx([0.9, 0.5])


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_a_boundary_recovers_the_normal(scale: float) -> None:
    """The side of n x = 0.3 gives n and 0.3, in any unit."""
    x = noise(4000, 8)
    n = functional.normalize(noise(1, 8), dim=1)[0]
    positive = x @ n > 0.3
    found = fit_boundary(x[positive] * scale, x[~positive] * scale)
    assert found.normal @ n > 0.995
    assert math.isclose(found.normal.norm(), 1, rel_tol=1e-12)
    assert math.isclose(found.offset / scale, 0.3, abs_tol=0.1)
    assert found.accuracy > 0.95
    assert found.examples == (int(positive.sum()), int((~positive).sum()))
    opposite = fit_boundary(x[~positive] * scale, x[positive] * scale)
    torch.testing.assert_close(opposite.normal, -found.normal, rtol=0, atol=1e-6)
    with pytest.raises(UserError, match="at least two of each"):
        fit_boundary(x[:1], x)


def test_accuracy_is_of_held_out_examples() -> None:
    """Labels without meaning: 320 examples in 300 dimensions can be separated, and half of those held out are right."""
    x = noise(400, 300)
    assert 0.3 < fit_boundary(x[:200], x[200:]).accuracy < 0.7


def test_moves(generator: StyleGenerator) -> None:
    """A step of strength 1 is one standard deviation of w along the direction, in the direction's layers only."""
    found = search(generator).unlabeled("pca", 3)
    assert_orthonormal(found.vectors, 1e-5)
    along = sampled_w(generator, 200) @ found.vectors.T
    torch.testing.assert_close(found.scales, along.std(dim=0))
    ws = Sampler(generator).ws([0, 1])
    assert torch.equal(found.move(ws, 0, 0.0), ws)
    moved = found.move(ws, 1, -2.0, layers=[1, 2])
    assert torch.equal(moved[:, [0, 3, 4, 5]], ws[:, [0, 3, 4, 5]])
    step = (moved - ws)[:, 1:3] @ found.vectors.T
    torch.testing.assert_close(step[..., 1], (-2 * found.scales[1]).expand(2, 2))
    walk = found.walk(ws, 2, [-1.0, 0.0, 1.0])
    assert torch.equal(walk[1], ws)
    torch.testing.assert_close(walk[0] + walk[2], 2 * ws)


def test_a_file_is_read_back(generator: StyleGenerator, tmp_path: Path) -> None:
    found = search(generator).unlabeled("sefa", 2)
    found.save(tmp_path / "a.safetensors")
    again = read_directions(tmp_path / "a.safetensors", generator)
    assert torch.equal(again.vectors, found.vectors)
    assert torch.equal(again.scales, found.scales)
    assert (again.names, again.layers, again.info) == (found.names, found.layers, found.info)
    assert again.info["snapshot"] == "tiny.safetensors"
    assert len(again.info["generator_sha256"]) == len(again.info["mapping_sha256"]) == 64
    tuned = tiny_generator()
    tuned.synthesis.get_parameter("blocks.4.conv1.bias").add_(1)
    assert len(read_directions(tmp_path / "a.safetensors", tuned)) == 2, "the space of w is the same"
    assert len(read_directions(tmp_path / "a.safetensors", tiny_generator().bfloat16())) == 2


def test_files_that_cannot_be_used(generator: StyleGenerator, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    search(generator).unlabeled("sefa", 2).save(path)
    for other, message in (
        (tiny_generator(seed=1), "another mapping network"),
        (tiny_generator(w_dim=16), "width 8.* w of this network has width 16"),
        (tiny_generator(resolution=8), "layers 0 to 3"),
    ):
        with pytest.raises(UserError, match=f"{message}.*Use snapshot=tiny.safetensors"):
            read_directions(path, other)
    whole = bytearray(path.read_bytes())
    (tmp_path / "short.safetensors").write_bytes(whole[:-5])
    whole[-1] ^= 1
    (tmp_path / "flipped.safetensors").write_bytes(whole)
    Directions(torch.full((1, 8), math.nan), torch.ones(1), ["a"], [0]).save(tmp_path / "nan.safetensors")
    for name in ("short", "flipped", "nan"):
        with pytest.raises(DamagedFile, match=r"directions=.*it is damaged"):
            read_directions(tmp_path / f"{name}.safetensors", generator)
    save_snapshot(tmp_path / "g.safetensors", generator, {})
    with pytest.raises(UserError, match="stylegen-directions-1"):
        read_directions(tmp_path / "g.safetensors", generator)
    with pytest.raises(UserError, match="cannot be read"):
        read_directions(tmp_path / "nowhere.safetensors", generator)


def test_the_measure_is_its_formula(generator: StyleGenerator) -> None:
    sampler, features = Sampler(generator, psi=0.7), Thumbnail()
    found = search(generator).unlabeled("sefa", 2)
    middle = features(sampler.images(list(range(6)))).double()
    classifier = Boundary(functional.normalize(noise(1, middle.shape[1]), dim=1)[0], 0.0, 1.0, (1, 1))
    classifier = Boundary(classifier.normal, classifier(middle).median().item(), 1.0, (1, 1))
    measures = measure_walks(found, sampler, features, range(6), [-2.0, 0.0, 3.0], classifier)
    apart = [(middle[i] - middle[j]).norm() for i in range(6) for j in range(i)]
    w_avg, ws = generator.mapping.w_avg, sampler.ws(list(range(6)))
    for index, measure in enumerate(measures):
        moved = w_avg + 0.7 * (ws - w_avg) + 3 * found.scales[index] * found.vectors[index]
        after = features(sampler.render(moved, list(range(6)), psi=1)).double()
        expected = (after - middle).norm(dim=1).mean() / torch.stack(apart).mean()
        assert measure.change[1] == 0
        assert math.isclose(measure.change[2], expected, rel_tol=1e-3)
        other = classifier(middle) <= 0
        assert measure.crossed[2] == pytest.approx((classifier(after)[other] > 0).double().mean())


def test_labeled_images_give_a_boundary_in_w(generator: StyleGenerator) -> None:
    """Bright against dark images: sampled images that are moved along the boundary become brighter; both methods."""
    sampler = Sampler(generator)
    images = sampler.images(list(range(100, 200)))
    order = images.float().mean(dim=(1, 2, 3)).argsort()
    sides = [Examples(images=images[order[-20:]]), Examples(images=images[order[:20]])]
    ws = sampler.ws(list(range(100, 200)))[:, 0]
    known = [Examples(w=ws[order[-20:]]), Examples(w=ws[order[:20]])]
    for examples in (sides, known):
        labeler = Labeler(sampler, Thumbnail(), LabelOptions(labeled_seeds=200), lambda *progress: None)
        space = labeler(*examples)
        found = search(generator).labeled("bright", space)
        assert space.classifier.accuracy >= 0.75
        start = sampler.ws(list(range(20)))
        dark, bright = (
            sampler.render(w, list(range(20))).float().mean(dim=(1, 2, 3)) for w in found.walk(start, 0, [-1.0, 1.0])
        )
        assert (bright > dark).double().mean() >= 0.8


def test_examples_of_classes() -> None:
    """w of a class of the network, by name or index; a name that it lacks, and a network without classes."""
    G = tiny_generator(num_classes=3)
    snapshot, options = Snapshot(G, {"class_names": ["a", "b", "c"]}, Path("g")), LabelOptions(labeled_seeds=30)
    found = read_examples("positive", "b", snapshot, None, options)
    assert found.w is not None
    assert torch.equal(found.w, sampled_w(G, 30, one_class(1, 3)))
    with pytest.raises(UserError, match=r"positive=d.*a, b, c"):
        read_examples("positive", "d", snapshot, None, options)
    with pytest.raises(UserError, match=r"negative=d: no file or folder.*no classes"):
        read_examples("negative", "d", Snapshot(tiny_generator(), {}, Path("g")), None, options)
