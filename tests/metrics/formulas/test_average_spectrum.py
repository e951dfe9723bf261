"""The average spectrum, against NumPy's full transform and known signals."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stylegen import randomness
from stylegen.__main__ import main
from stylegen.checkpoints.snapshot import save_snapshot
from stylegen.images import write_png
from stylegen.metrics.formulas.average_spectrum import (
    Whitening,
    decibels,
    pixel_sums,
    power_sum,
    slices,
    whitening_of,
)
from tests.support.metric_images import portraits
from tests.support.tiny import tiny_generator


def test_the_definition() -> None:
    """Window, whitening, four times the frequencies, power, mean; the center is frequency 0."""
    images = portraits(3, side=8)
    whitening = whitening_of(pixel_sums(images[:2]) + pixel_sums(images[2:]))
    pixels = images.numpy().astype(np.float64)
    assert whitening.mean == pytest.approx(pixels.mean(), rel=1e-12)
    assert whitening.deviation == pytest.approx(pixels.std(), rel=1e-9)
    window = np.outer(np.kaiser(8, 8), np.kaiser(8, 8))
    window /= np.sqrt(np.square(window).sum())
    spectrum = np.fft.fft2((pixels - pixels.mean()) / pixels.std() * window, (32, 32))
    power = np.square(np.abs(spectrum)).mean(axis=(0, 1))
    expected = 10 * np.log10(np.fft.fftshift(power))
    found = decibels((power_sum(images[:1], whitening) + power_sum(images[1:], whitening)) / 3)
    assert found.shape == (33, 33)
    np.testing.assert_allclose(found[:32, :32].numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(found[32, :32].numpy(), expected[0], atol=1e-6)  # periodic
    np.testing.assert_allclose(found[:32, 32].numpy(), expected[:, 0], atol=1e-6)


def test_a_wave_has_its_frequency_and_white_noise_0_db() -> None:
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    wave = (127.5 + 100 * torch.cos(2 * math.pi * (6 * x + 6 * y) / 32)).round().to(torch.uint8)[None, None]
    straight, diagonal = slices(decibels(power_sum(wave, Whitening(127.5, 50))))
    assert len(straight) == len(diagonal) == 65
    assert int(diagonal.argmax()) == 4 * 6
    assert diagonal.max() > straight.max() + 40
    noise = randomness.integers(256, 0, "tests/spectrum", torch.arange(200), (3, 16, 16)).to(torch.uint8)
    flat = power_sum(noise, whitening_of(pixel_sums(noise))) / 200
    assert flat.mean() == pytest.approx(1, abs=0.02)
    assert [len(part) for part in slices(decibels(flat), most=33)] == [33, 33]


def test_evaluate_writes_a_figure_and_the_slices(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], thumbnail: None
) -> None:
    for i, image in enumerate(portraits(6, side=16)):
        write_png(tmp_path / "data" / f"{i}.png", image)
    save_snapshot(tmp_path / "a.safetensors", tiny_generator(), {"data": {"path": str(tmp_path / "data")}})
    command = ["evaluate", f"snapshot={tmp_path / 'a.safetensors'}", "metrics=[fd_random_vgg16]", "num_samples=4"]
    assert main([*command, "spectrum=true", "evaluation.calibrate=false"]) == 0
    card = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert json.loads((tmp_path / "a.metrics.json").read_text()) == card
    spectrum = card["spectrum"]
    assert (spectrum["num_images"], spectrum["num_reals"]) == (4, 4)
    assert spectrum["cycles_per_image"] == [k / 4 for k in range(33)]
    assert len(spectrum["images"]["45_degrees"]) == len(spectrum["reals"]["0_degrees"]) == 33
    with Image.open(tmp_path / "a.spectrum.png") as figure:
        assert figure.width > 1000


def test_reals_of_one_value_have_no_spectrum(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], thumbnail: None
) -> None:
    for i in range(4):
        write_png(tmp_path / "data" / f"{i}.png", torch.full((3, 16, 16), 9, dtype=torch.uint8))
    same = f"{tmp_path / 'data'}"
    command = ["evaluate", f"images={same}", f"data.path={same}", "spectrum=true", "evaluation.calibrate=false"]
    assert main([*command, "metrics=[fd_random_vgg16]", f"out={tmp_path / 'card.json'}"]) == 2
    assert "error: spectrum=true: spectra are relative to the deviation" in capsys.readouterr().err
    assert not (tmp_path / "card.json").exists()
