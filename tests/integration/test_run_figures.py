"""metrics.png and samples.webp of a run."""

from pathlib import Path

import pytest
from PIL import Image

from stylegen.__main__ import main
from tests.support.tiny import TINY_RUN

RUN = [*TINY_RUN, "logger.mode=disabled", "figures=true", "sample_every_kimg=0.008"]


def frames(folder: Path) -> int:
    with Image.open(folder / "samples.webp") as animation:
        return animation.n_frames


def test_a_continued_run_has_the_figures_of_all_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *RUN, f"output_dir={tmp_path}", "total_kimg=0.016"]) == 0
    assert frames(tmp_path) == 3
    assert f"figures   {tmp_path / 'metrics.png'}, {tmp_path / 'samples.webp'}\n" in capsys.readouterr().out
    first = (tmp_path / "metrics.png").read_bytes()
    assert main(["train", *RUN, f"output_dir={tmp_path}", "total_kimg=0.024"]) == 0
    assert frames(tmp_path) == 4
    assert (tmp_path / "metrics.png").read_bytes() != first
