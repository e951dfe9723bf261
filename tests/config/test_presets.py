"""The presets against figures from the papers and the authors' code, and the tables of docs/losses.md against both."""

import inspect
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from stylegen.losses import LOSSES
from stylegen.regularizers import REGULARIZERS

ROOT = Path(__file__).parents[2]
PRESETS = {path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / "conf" / "preset").glob("*.yaml")}
# Published learning rates of G and D, Adam's betas, steps of D for each step of G.
PUBLISHED: dict[str, tuple[float, float, float, float, int]] = {
    "minimax": (2e-4, 2e-4, 0.5, 0.999, 1),  # DCGAN
    "nonsaturating": (2e-4, 2e-4, 0.5, 0.999, 1),
    "lsgan": (1e-3, 1e-3, 0.5, 0.999, 1),  # authors' code, LSUN
    "wgan": (5e-5, 5e-5, 0, 0.99, 5),  # algorithm 1; RMSprop
    "wgan_gp": (1e-4, 1e-4, 0, 0.9, 5),  # algorithm 1
    "wgan_div": (2e-4, 2e-4, 0, 0.9, 4),  # authors' code
    "ctgan": (2e-4, 2e-4, 0, 0.9, 5),  # authors' code, ResNet for CIFAR-10
    "sngan": (2e-4, 2e-4, 0, 0.9, 5),  # authors' code, ResNet for CIFAR-10
    "sagan": (1e-4, 4e-4, 0, 0.9, 1),
    "biggan_hinge": (5e-5, 2e-4, 0, 0.999, 2),  # first author's PyTorch code
    "dragan": (1e-4, 1e-4, 0.5, 0.9, 1),  # authors' notebook
    "roth": (2e-4, 2e-4, 0.5, 0.999, 1),  # authors' code, DCGAN
    "vdb": (1e-4, 1e-4, 0, 0.99, 1),  # authors' code; RMSprop
    "began": (8e-5, 8e-5, 0.9, 0.999, 1),  # a reimplementation
    "gan_qp": (2e-4, 2e-4, 0.5, 0.999, 2),  # author's code
    "r3gan": (2e-4, 2e-4, 0, 0.9, 1),  # authors' code
    "stylegan2": (2e-3, 2e-3, 0, 0.99, 1),
    "stylegan3": (2.5e-3, 2e-3, 0, 0.99, 1),
}
CONSTANTS: dict[str, dict[str, float]] = {
    "wgan": {"weight_clipping.limit": 0.01},
    "wgan_gp": {"wgan_gp.weight": 10},
    "wgan_div": {"wgan_div.k": 2, "wgan_div.p": 6},  # the paper's; its code has k = 10
    "ctgan": {"wgan_gp.weight": 10, "ct.weight": 2, "ct.margin": 0},
    "biggan_hinge": {"orthogonal.weight": 1e-4},
    "dragan": {"dragan.weight": 10, "dragan.target": 1},
    "roth": {"roth.gamma": 0.1},
    "vdb": {"vdb.limit": 0.1, "vdb.beta": 0.1, "vdb.rate": 1e-5, "r1.gamma": 20},  # 10 without the factor 1/2
    "stylegan2": {"r1.gamma": 10, "r1.every": 16},
}


def test_presets_have_the_published_settings() -> None:
    """Learning rates times ten, except for networks with equalized learning rates."""
    assert PRESETS.keys() == PUBLISHED.keys()
    for name, (g_lr, d_lr, beta1, beta2, steps) in PUBLISHED.items():
        optimizer, factor = PRESETS[name]["optimizer"], 1 if name.startswith("stylegan") else 10
        rates = (optimizer["g_lr"], optimizer["d_lr"])
        assert rates == pytest.approx((factor * g_lr, factor * d_lr), rel=1e-12), name
        assert optimizer["g_betas"] == optimizer["d_betas"] == [beta1, beta2], name
        assert PRESETS[name]["d_steps_per_g_step"] == steps, name


def test_presets_have_the_published_constants() -> None:
    for name, constants in CONSTANTS.items():
        regularizers = PRESETS[name]["regularizers"]
        found = {f"{term}.{key}": regularizers[term][key] for term, key in (path.split(".") for path in constants)}
        assert found == pytest.approx(constants), name
    assert PRESETS["began"]["loss"] == {"gamma": 0.5, "k_rate": 0.001}
    assert PRESETS["gan_qp"]["loss"] == {"weight": 10, "distance": "l1"}
    assert PRESETS["ctgan"]["discriminator"]["dropout"] == [0.2, 0.5, 0.5]


def rows(heading: str) -> dict[str, list[str]]:
    """The cells of a section's first table in docs/losses.md, by the names in its first column."""
    section = (ROOT / "docs" / "losses.md").read_text().split(f"\n## {heading}\n")[1]
    table = section[section.index("\n|---") :].strip().split("\n\n")[0].splitlines()[1:]
    cells = [[cell.strip() for cell in line[1:-1].split("|")] for line in table]
    return {name: row for row in cells for name in re.findall(r"`([a-z_0-9]+)`", row[0])}


def test_the_page_has_the_published_learning_rates() -> None:
    table = rows("Presets")
    for name, (g_lr, d_lr, beta1, beta2, steps) in PUBLISHED.items():
        _, _, _, rates, betas, count, _ = table[name]
        numbers = [float(rate) for rate in rates.split(",")]
        assert (numbers[0], numbers[-1]) == (g_lr, d_lr), name
        assert [float(beta) for beta in betas.split(",")[:2]] == [beta1, beta2], name
        assert int(count) == steps, name


@pytest.mark.parametrize(
    ("heading", "classes", "filled"),
    [("Losses", LOSSES, [1, 2, 5]), ("Regularizers", REGULARIZERS, [1, 2, 3, 4, 5, 6])],
)
def test_the_page_has_formula_defaults_cost_and_reference(
    heading: str, classes: Mapping[str, type], filled: list[int]
) -> None:
    """The cost of losses is a sentence below their table."""
    table = rows(heading)
    for name, cls in classes.items():
        assert all(table[name][i] for i in filled), name
        defaults = {key: parameter.default for key, parameter in inspect.signature(cls).parameters.items()}
        named = dict(reversed(re.findall(r"\b([a-z_]+)=([\w.]+)", table[name][3])))  # the first value of a name
        assert bool(named) == bool(defaults), name
        assert {key: type(defaults[key])(yaml.safe_load(value)) for key, value in named.items()} == {
            key: defaults[key] for key in named
        }, name
