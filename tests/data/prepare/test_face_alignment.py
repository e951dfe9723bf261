"""Faces are aligned by the formula of CelebA-HQ and FFHQ; bad landmarks are refused."""

import json
import math
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from stylegen.__main__ import main
from stylegen.data.prepare.face_alignment import Face, align_face, face_square
from tests.support.runs import refused

COLORS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 255, 255)]
FACE = np.array([[-30, -30], [30, -30], [0, 5], [-22, 40], [22, 40]], float)  # eyes 60 apart, the mouth 70 below
# By the formula: half side 1.8 * 70 = 126, center (0, -30 + 7); positions in the result are (p - c) / 126 in [-1, 1].
EXPECTED = (FACE - [0, -23]) / 126
HEADER = "file,left eye x,y,right eye x,y,nose x,y,left mouth x,y,right mouth x,y\n"


def placed(angle: float, scale: float, x: float, y: float) -> np.ndarray:
    """The five points, rotated clockwise in the image, scaled, and moved to (x, y)."""
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return scale * FACE @ np.array([[cos, sin], [-sin, cos]]) + [x, y]


def dots(points: np.ndarray, radius: float, size: tuple[int, int] = (400, 360)) -> Image.Image:
    """An image with a colored dot at each point, sampled 16 times per pixel."""
    image = Image.new("RGB", (size[0] * 4, size[1] * 4), "gray")
    for (x, y), color in zip((points + 0.5) * 4, COLORS, strict=True):
        ImageDraw.Draw(image).ellipse((x - 4 * radius, y - 4 * radius, x + 4 * radius - 1, y + 4 * radius - 1), color)
    return image.reduce(4)


def found(image: Image.Image) -> np.ndarray:
    """Centers of the dots in [-1, 1]."""
    array = np.asarray(image).astype(float)
    near = [np.argwhere(np.abs(array - color).sum(axis=2) < 150).mean(axis=0)[::-1] for color in COLORS]
    return (np.array(near) + 0.5) / image.width * 2 - 1


def face(points: np.ndarray) -> Face:
    return Face(*map(tuple, points.tolist()))


@pytest.mark.parametrize("place", [(0, 1, 200, 200), (35, 0.7, 120, 210), (-80, 1.4, 220, 180), (180, 0.9, 100, 80)])
@pytest.mark.parametrize("side", [64, 128])  # 64: of images that are reduced first
def test_dots_are_where_the_formula_puts_them(place: tuple[float, ...], side: int) -> None:
    """At any rotation, scale and position, to within a pixel; also where the square exceeds the image."""
    points = placed(*place)
    aligned, enlarged = align_face(dots(points, 8 * place[1]), face(points), side)
    assert aligned.size == (side, side)
    assert enlarged == (252 * place[1] < side)
    np.testing.assert_allclose(found(aligned), EXPECTED, atol=2 / side)


def test_two_copies_give_the_same_image() -> None:
    places = [placed(-20, 1, 190, 200), placed(40, 1.1, 210, 190)]
    first, second = (align_face(dots(p, 6 * s), face(p), 64)[0] for p, s in zip(places, (1, 1.1), strict=True))
    difference = np.abs(np.asarray(first).astype(float) - np.asarray(second))
    assert difference.mean() < 1, "gray levels; only edges of the dots differ"


def test_wide_eyes_and_borders() -> None:
    """2 |r - l| where the eyes are far apart; mirrored outside of the image, blurred far from it."""
    square = face_square(Face((0, 0), (10, 0), (5, 2), (3, 4), (7, 4)))
    assert square.side == pytest.approx(40)
    np.testing.assert_allclose(square.center, [5, 0.4])
    checks = np.kron((np.indices((32, 32)).sum(axis=0) % 2) * 255, np.ones((4, 4))).astype(np.uint8)
    aligned = np.asarray(align_face(Image.fromarray(checks), face(FACE * 0.5 + [20, 20]), 128)[0]).astype(float)
    inside, outside = aligned[-30:, -30:], aligned[:12, :12]
    assert inside.std() > 90
    assert outside.std() < 60
    assert outside.mean() == pytest.approx(127, abs=30)
    for mode in ("L", "RGBA"):
        assert align_face(Image.new(mode, (20, 30), 255), face(FACE * 0.1 + [9, 9]), 8)[0].mode == mode


def table(folder: Path, rows: dict[str, np.ndarray], header: str = HEADER) -> Path:
    lines = [f"{name},{','.join(f'{v:g}' for v in points.flatten())}\n" for name, points in rows.items()]
    (folder / "faces.csv").write_text(header + "".join(lines), encoding="utf-8")
    return folder / "faces.csv"


def test_prepare_aligns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Images without landmarks, or with some outside, are left out; the report has the reason."""
    source = tmp_path / "photos"
    (source / "a").mkdir(parents=True)
    rows = {f"a/{i}.png": placed(30 * i, 1 + 0.1 * i, 200, 180) for i in range(3)}
    for i, (name, points) in enumerate(rows.items()):
        dots(points, 6 + 0.6 * i).save(source / name)
    Image.new("RGB", (64, 64)).save(source / "none.png")
    rows["a/2.png"] = rows["a/2.png"] + 300
    arguments = ["prepare", f"source={source}", "processes=1", f"align={table(tmp_path, rows)}"]
    assert main([*arguments, f"out={tmp_path / 'x.zip'}", "resolution=64"]) == 0
    report = json.loads((tmp_path / "x.zip.report.json").read_text())
    reasons = {entry["file"]: entry["reason"] for entry in report["left_out"]}
    assert "outside of the image of 400x360 pixels" in reasons["a/2.png"]
    assert reasons["none.png"] == "no landmarks in align="
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        assert json.loads(archive.read("dataset.json"))["prepared"]["aligned"] == "ffhq"
        for name in report["files"]:
            np.testing.assert_allclose(found(Image.open(archive.open(name))), EXPECTED, atol=2 / 64)
    capsys.readouterr()
    small = tmp_path / "small"
    small.mkdir()
    Image.new("RGB", (64, 64)).save(small / "1.png")
    arguments = ["prepare", f"source={small}", f"align={table(tmp_path, {'1.png': FACE * 0.2 + 30})}"]
    assert "resolution=256" in refused([*arguments, f"out={tmp_path / 'y.zip'}"], tmp_path, capsys)


GOOD = "1.png,20,20,40,20,30,30,22,40,38,40\n"
BAD = {
    "another image": (GOOD + GOOD.replace("1.png", "2.png"), "names 2.png, which is not an image"),
    "twice": (GOOD + GOOD, "names 1.png twice"),
    "missing": (HEADER, "no line for 1.png"),
    "columns": (HEADER + "1.png,1,2,3\n", "has 4 columns: there must be 11"),
    "words": (GOOD.replace("30,30", "30,left"), "has left: positions must be numbers"),
    "nan": (GOOD.replace("30,30", "30,nan"), "has nan: positions must be numbers"),
    "empty": (GOOD.replace("30,30", "30,"), "has an empty cell: positions must be numbers"),
    "coincide": (GOOD.replace("40,20,", "20,20,"), "the eyes coincide"),
    "mirrored": (GOOD.replace("20,20,40,20", "40,20,20,20"), "left and right are swapped"),
    "outside": (GOOD.replace("30,30", "30,99"), r"the landmark (30, 99) is outside of the image of 64x64 pixels"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_files(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One message, nothing written."""
    text, message = BAD[kind]
    folder = tmp_path / "images"
    folder.mkdir()
    Image.new("RGB", (64, 64)).save(folder / "1.png")
    (tmp_path / "faces.csv").write_text(text, encoding="utf-8")
    arguments = ["project", f"images={folder}", f"align={tmp_path / 'faces.csv'}", f"out={tmp_path / 'out'}"]
    assert message in refused(arguments, tmp_path, capsys)
