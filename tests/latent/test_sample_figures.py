from pathlib import Path

import pytest
import torch

from stylegen.captions import Captions
from stylegen.errors import UserError
from stylegen.images import make_grid, write_png
from stylegen.latent.directions_file import Directions
from stylegen.latent.sample_figures.class_figure import ClassFigure
from stylegen.latent.sample_figures.direction_figure import DirectionFigure
from stylegen.latent.sample_figures.figure import Figure
from stylegen.latent.sample_figures.interpolation_figure import InterpolationFigure
from stylegen.latent.sample_figures.mixing_figure import MixingFigure
from stylegen.latent.sample_figures.seed_grid import SeedGrid
from stylegen.latent.sample_figures.truncation_figure import TruncationFigure
from stylegen.latent.sample_labels import GivenLabels
from stylegen.latent.sampler import Sampler
from tests.support.tiny import tiny_generator


def captions(made: Figure, **settings: object) -> Captions:
    return made.cells(Sampler(tiny_generator(), **{"psi": 0.7, **settings})).captions


def test_consecutive_seeds_are_labeled_by_row() -> None:
    assert captions(SeedGrid(seeds=list(range(8, 16)), columns=3)) == Captions(
        rows=["8-10", "11-13", "14-15"], note="seeds 8-15, psi 0.7"
    )
    assert captions(SeedGrid(seeds=[4])) == Captions(rows=["4"], note="seeds 4, psi 0.7")
    assert captions(SeedGrid(seeds=[4]), seed_source="numpy").note == "seeds 4, psi 0.7, NumPy's seeds"


@pytest.mark.parametrize("seeds", [[0, 5, 9], [3, 2, 1], [1, 1, 2]])
def test_other_seeds_are_labeled_one_by_one(seeds: list[int]) -> None:
    assert captions(SeedGrid(seeds=seeds)).cells == [str(seed) for seed in seeds]


def test_truncation_names_psi_and_seeds() -> None:
    assert captions(TruncationFigure(seeds=[0, 3], psis=[-1, 0.5]), cutoff=2) == Captions(
        rows=["seed 0", "seed 3"], columns=["psi -1", "psi 0.5"], note="truncation in the first 2 layers"
    )


@pytest.mark.parametrize(
    ("layers", "named"),
    [
        ("coarse", "coarse styles (4-8 px, layers 0-3)"),
        ("2-3", "styles of layers 2-3"),
        ("0,2-3", "styles of layers 0,2,3"),
    ],
)
def test_mixing_names_the_layers(layers: str, named: str) -> None:
    found = captions(MixingFigure(seeds=[0], others=[5, 7], layers=layers), noise="none")
    assert found.rows == ["", "seed 0"]
    assert found.columns == ["", "seed 5", "seed 7"]
    assert found.note == f"{named} from the column, all others from the row, psi 0.7, noise none"


def test_without_captions_the_file_is_the_bare_grid(tmp_path: Path) -> None:
    sampler = Sampler(tiny_generator())
    SeedGrid(seeds=[0, 1, 2, 3], captions=False).write(sampler, 3, tmp_path / "bare.png")
    write_png(tmp_path / "grid.png", make_grid(sampler.images([0, 1, 2, 3]), 2), scale=3)
    assert (tmp_path / "bare.png").read_bytes() == (tmp_path / "grid.png").read_bytes()


def test_captions_are_the_same_bytes_again(tmp_path: Path) -> None:
    for name in ("a", "b"):
        with torch.no_grad():
            MixingFigure(seeds=[0, 1], others=[5, 7], layers="coarse").write(
                Sampler(tiny_generator()), 3, tmp_path / name
            )
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_interpolation_goes_from_seed_to_seed() -> None:
    sampler = Sampler(tiny_generator(), psi=0.7)
    cells = InterpolationFigure(seeds=[0, 3, 7]).cells(sampler)
    assert cells.columns == 9
    assert cells.captions.rows == ["0 to 3", "3 to 7"]
    assert cells.captions.columns[:3] == ["0", "0.125", "0.25"]
    ends = cells.images[[0, 8, 9, 17]]
    assert (ends.int() - sampler.images([0, 3, 3, 7]).int()).abs().max() <= 1
    ws = sampler.ws([0, 3])
    middle = sampler.render(ws.mean(dim=0, keepdim=True), [0])
    assert (cells.images[4].int() - middle[0].int()).abs().max() <= 1


def test_columns_take_styles_from_another_source() -> None:
    sampler = Sampler(tiny_generator())
    styles = sampler.ws([8, 9])
    made = MixingFigure(seeds=[0], others=[1], layers="all", other_source=styles)
    cells = made.cells(sampler).images
    assert (cells[1].int() - sampler.images([9])[0].int()).abs().max() <= 1
    assert (cells[3].int() - cells[1].int()).abs().max() <= 1


def test_classes_are_the_columns() -> None:
    sampler = Sampler(tiny_generator(num_classes=3))
    table = torch.tensor([[0.0, 0, 1], [0.5, 0.5, 0]])
    made = ClassFigure(seeds=[4, 5], table=table, names=["a", "b", "c"]).cells(sampler)
    assert (made.captions.columns, made.captions.rows) == (["c", "0:0.5,1:0.5"], ["seed 4", "seed 5"])
    expected = sampler.replaced(labels=GivenLabels(table[1:])).images([4, 5])
    assert (made.images[[1, 3]].int() - expected.int()).abs().max() <= 1
    with pytest.raises(UserError, match="has no classes"):
        ClassFigure(seeds=[0], table=torch.zeros(1, 0))


def test_too_large_figures_are_refused() -> None:
    SeedGrid(seeds=list(range(64))).check_size(1024)
    with pytest.raises(UserError, match="million pixels"):
        SeedGrid(seeds=list(range(300))).check_size(1024)


def test_directions_are_rows_and_strengths_columns() -> None:
    sampler = Sampler(tiny_generator(), psi=0.5)
    vectors = torch.eye(8)[[3, 5]]
    directions = Directions(vectors, torch.tensor([2.0, 1.0]), ["a", "b"], [1, 2])
    figure = DirectionFigure(
        seeds=[4, 7], directions=directions, indices=directions.select("b,a"), strengths=[0.0, 1.5], layers={0: 1.0}
    )
    made = figure.cells(sampler)
    assert made.captions.rows == ["b, seed 4", "b, seed 7", "a, seed 4", "a, seed 7"]
    assert made.captions.columns == ["0", "+1.5"]
    assert (made.images[::2].int() - sampler.images([4, 7, 4, 7]).int()).abs().max() <= 1
    ws = sampler.truncated(sampler.ws([7]), [7])
    ws[:, 0] += 1.5 * 2.0 * vectors[0]
    assert (made.images[7].int() - sampler.render(ws, [7], psi=1)[0].int()).abs().max() <= 1


@pytest.mark.parametrize("text", ["2", "c", "a,c", "", "1-0"])
def test_directions_that_are_not_in_the_file_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="direction="):
        Directions(torch.eye(8)[:2], torch.ones(2), ["a", "b"], [0]).select(text)
