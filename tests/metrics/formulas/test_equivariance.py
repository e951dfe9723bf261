"""Equivariance: against direct computations in float64, and numbers of the published code."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from stylegen import randomness
from stylegen.checkpoints.importers import stylegan3_names as importer
from stylegen.errors import UserError
from stylegen.features import SquaredError
from stylegen.latent.sampler import Sampler
from stylegen.metrics.engine.fakes import GeneratedImages
from stylegen.metrics.formulas.equivariance import Motion, motion_errors, motions, peak_ratio
from stylegen.metrics.formulas.reference_motions import RADIUS, band_limited, rotated, translated
from stylegen.networks import StyleGenerator
from stylegen.networks.stylegan3 import Generator
from tests.support.golden import files, load
from tests.support.metric_images import Reals, evaluation_of, portraits
from tests.support.tiny import tiny_generator

R = {"channel_base": 512, "channel_max": 8, "num_layers": 6, "conv_kernel": 1, "use_radial_filters": True}
# Of the published code, for the golden networks with these latents and motions: EQ-T, EQ-T_frac and EQ-R of 8 images.
PUBLISHED = {"stylegan3_t_32": (102.21, 72.094, 26.534), "stylegan3_r_32": (112.79, 72.470, 74.286)}


def measured(G: StyleGenerator, kind: str, count: int) -> float:
    parts = motion_errors(G, torch.empty(0, 0), Motion(kind), list(range(count)), 4, SquaredError())
    return peak_ratio(torch.cat(list(parts)))


def test_translations_equal_the_definition() -> None:
    """EQ-T and EQ-T_frac of an untrained R, pixel by pixel in float64."""
    G, count = tiny_generator(32, name="stylegan3", **R), 3
    double = tiny_generator(32, name="stylegan3", **R).double()
    ws = double.mapping(randomness.normal(0, "eq/z", torch.arange(count), (G.z_dim,)).double())
    synthesis, ws = double.synthesis, ws[:, None].expand(-1, G.num_ws, -1)
    for kind in ("whole", "fractional"):
        squares, pixels = 0.0, 0
        for i, (x, y) in enumerate(motions(Motion(kind), torch.arange(count), 32).tolist()):
            synthesis.input.transform.copy_(torch.eye(3))
            still = synthesis(ws[i : i + 1])[0].numpy()
            synthesis.input.transform[:2, 2] = torch.tensor([-x / 32, -y / 32])
            moved = synthesis(ws[i : i + 1])[0].numpy()
            assert max(abs(x), abs(y)) <= 4
            for row in range(32):
                for column in range(32):
                    expected = _shifted(still, row - y, column - x, 0 if kind == "whole" else 3)
                    if expected is not None:
                        squares += float(np.square(moved[:, row, column] - expected).sum())
                        pixels += 3
        direct = 10 * math.log10(4 * pixels / squares)
        assert 20 < direct < 120
        assert measured(G, kind, count) == pytest.approx(direct, abs=0.1)  # float32: 1e-6 of images near 0.1


def _shifted(image: np.ndarray, row: float, column: float, radius: int) -> np.ndarray | None:
    """The signal at a position: Lanczos' sum over the samples within `radius`, None if one is outside."""
    if radius == 0:
        inside = 0 <= row <= 31 and 0 <= column <= 31
        return image[:, int(row), int(column)] if inside else None
    rows, columns = (math.floor(p) + np.arange(1 - radius, radius + 1) for p in (row, column))
    if min(*rows, *columns) < 0 or max(*rows, *columns) > 31:
        return None
    a, b = (np.sinc(p - k) * np.sinc((p - k) / 3) for p, k in ((row, rows), (column, columns)))
    found: np.ndarray = np.einsum("cij,i,j->c", image[:, rows][:, :, columns], a / a.sum(), b / b.sum())
    return found


@pytest.mark.parametrize("path", [path for path in files("stylegan3") if path.id in PUBLISHED])
def test_the_numbers_of_the_published_code(path) -> None:  # type: ignore[no-untyped-def]
    golden = load(path)
    G = Generator(**importer.generator_settings(golden.config["generator"]))
    G.load_state_dict(importer.rename_generator(golden.part("G.")))
    for kind, published in zip(("whole", "fractional", "rotation"), PUBLISHED[path.stem], strict=True):
        # Rounding is 1/10 of the error of whole translations, and smaller for the others.
        assert measured(G, kind, 8) == pytest.approx(published, abs=1.0 if kind == "whole" else 0.1)


def waves(x: Tensor, y: Tensor) -> Tensor:
    """A signal with frequencies up to 0.2 cycles per pixel: [1, 1, H, W]."""
    u, v = torch.tensor([0.17, -0.06, 0.11]), torch.tensor([0.05, 0.19, -0.12])
    phase = u[:, None, None] * x + v[:, None, None] * y + torch.tensor([0.1, 0.4, 0.8])[:, None, None]
    return torch.cos(2 * math.pi * phase).sum(dim=0)[None, None]


@pytest.mark.parametrize("angle", [0.4, -2.0, math.pi / 2])
def test_rotations_of_a_band_limited_signal(angle: float) -> None:
    """The rotated image is the rotated signal's, and the band of both is passed: to 1/100, the filters' ripple."""
    y, x = torch.meshgrid(*2 * [torch.arange(40.0) - 19.5], indexing="ij")
    image, angles = waves(x, y), torch.tensor([angle])
    found, valid = rotated(image, angles)
    cos, sin = math.cos(angle), math.sin(angle)
    expected = waves(cos * x - sin * y, sin * x + cos * y)  # counter-clockwise: y points down
    assert ((found - expected) * valid).abs().max() < 0.03
    kept, inside = band_limited(image, angles)
    assert ((kept - image) * inside).abs().max() < 0.03
    assert valid.sum() > 500
    assert inside[0, 0, RADIUS - 1, RADIUS - 1] == 1
    assert inside[0, 0, RADIUS - 2].sum() == 0


def test_a_whole_translation_moves_pixels() -> None:
    image = torch.rand(1, 2, 8, 8)
    found, valid = translated(image, torch.tensor([[2.0, -1.0]]), whole=True)
    assert torch.equal(found[:, :, :7, 2:], image[:, :, 1:, :6])
    expected = torch.zeros(8, 8)
    expected[:7, 2:] = 1
    assert torch.equal(valid[0, 0], expected)


def test_image_i_depends_on_i_only_and_labels_are_used() -> None:
    images = GeneratedImages(Sampler(tiny_generator(16, name="stylegan3", num_layers=4, num_classes=3), batch_size=4))
    for kind in ("whole", "fractional", "rotation"):
        whole = torch.cat(list(images.motion_errors(Motion(kind), [0, 1, 2, 3, 4], SquaredError())))
        again = torch.cat(list(images.motion_errors(Motion(kind), [3, 1], SquaredError())))
        assert whole.shape == (5, 2)
        torch.testing.assert_close(again, whole[[3, 1]], rtol=0.05, atol=1e-9)


def test_a_card_has_the_three_numbers() -> None:
    G, reals = tiny_generator(32, name="stylegan3", **R), Reals(portraits(4))
    card = evaluation_of(["eqt_int", "eqt_frac", "eqr"], 5, reals, truncation_psi=0.5).measure_generator(G)
    assert list(card.metrics) == ["eqt_int", "eqt_frac", "eqr"]  # psi does not apply
    assert set(card.better.values()) == {"higher"}
    assert card.metrics["eqt_int"] == pytest.approx(measured(G, "whole", 5), abs=0.5)
    assert card.metrics["eqr"] > measured(tiny_generator(32, name="stylegan3", num_layers=6), "rotation", 5) + 10
    assert reals.images_read == 0


def test_other_networks_and_other_numbers_are_refused() -> None:
    reals, G = Reals(portraits(4, side=16)), tiny_generator(16, name="stylegan3", num_layers=4)
    with pytest.raises(UserError, match=r"metrics=eqr: it moves the input .* stylegan2 is fixed\. Omit eqr"):
        evaluation_of(["fd_random_vgg16", "eqr"], 4, reals).measure_generator(tiny_generator())
    with pytest.raises(UserError, match=r"evaluation\.noise=const: this network is stylegan3, without noise inputs"):
        evaluation_of(["eqr"], 4, reals, noise="const").measure_generator(G)
    with pytest.raises(UserError, match="eqt50k_frac is defined for exactly 50000"):
        evaluation_of(["eqt50k_frac"], 4, reals).check()
    with pytest.raises(UserError, match="equivariance is a property of a generator"):
        evaluation_of(["eqt_int"], 4, reals).check(paths=False)
