"""The skin tone classifier (`python -m tests.support.skin_tones RUN`), and a direction of the packaged model that moves
the skin tone."""

from pathlib import Path

import torch

from stylegen.__main__ import main
from stylegen.checkpoints.snapshot import load_snapshot
from stylegen.data.openmoji import glyphs, render_glyph
from stylegen.images import write_png
from stylegen.latent.directions_file import read_directions
from stylegen.latent.sampler import Sampler
from tests.support.skin_tones import held_out_accuracy, learn, moved, portraits, share_moved


def test_the_judge_is_right_about_real_portraits_and_does_not_mind_outlines() -> None:
    images, classes, names = portraits(32)
    assert len(names) == 6
    assert held_out_accuracy(images, classes) > 0.94
    judge = learn(images, classes)
    flat = judge.colors.round().to(torch.uint8)[:, :, None, None].expand(-1, 3, 32, 32).clone()
    flat[:, :, ::3] = 0  # a third of each image is black
    assert judge(flat).tolist() == list(range(6))


def test_a_labeled_direction_moves_the_tone(tmp_path: Path) -> None:
    """A boundary from two folders of 15 images: at least 80 % of the samples become darker, and lighter backwards."""
    known = sorted(glyphs(), key=lambda glyph: glyph.hexcode)
    chosen = [[glyph for glyph in known if glyph.skin_tone == tone][::10] for tone in range(6)]
    images = [[torch.tensor(render_glyph(g.hexcode, 64)).permute(2, 0, 1) for g in tone] for tone in chosen]
    for name, tone in (("light", 1), ("dark", 5)):
        for i, image in enumerate(images[tone]):
            write_png(tmp_path / name / f"{i}.png", image)
    sides = [f"positive={tmp_path / 'dark'}", f"negative={tmp_path / 'light'}"]
    small = ["labeled_seeds=200", "confident=0.2", "num_samples=2", "w_samples=1000"]
    out = tmp_path / "tone.safetensors"
    assert main(["directions", "method=boundary", *sides, "layers=4-9", *small, f"out={out}"]) == 0
    generator = load_snapshot("portraits64").generator
    directions, sampler = read_directions(out, generator), Sampler(generator, psi=0.7)
    classes = torch.arange(6).repeat_interleave(torch.tensor([len(tone) for tone in images]))
    judge = learn(torch.stack([image for tone in images for image in tone]), classes)
    for strength in (-2, 2):
        before, after = moved(directions, sampler, list(range(10_000, 10_040)), strength)
        assert share_moved(judge, before, after, darker=strength > 0) >= 0.8
