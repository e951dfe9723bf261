"""Each kind of image is converted as expected, or refused with a reason."""

import io
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from stylegen.data.metadata import image_digest
from stylegen.data.prepare.image_conversion import Recipe, UnusableError, _eight_bits
from stylegen.errors import UserError
from tests.support.messy_images import BAD, GOOD, photo, saved


def pixels(data: bytes, **settings) -> np.ndarray:
    converted = Recipe(**settings)(data)
    image = np.asarray(Image.open(io.BytesIO(converted.png)))
    assert converted.side == image.shape[0] == image.shape[1]
    assert converted.crc == zlib.crc32(converted.png)
    chw = image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
    assert converted.digest == image_digest(chw)
    return image


@pytest.mark.parametrize("kind", GOOD)
@pytest.mark.parametrize(("channels", "shape"), [("rgb", (16, 16, 3)), ("gray", (16, 16)), ("rgba", (16, 16, 4))])
def test_every_kind_gives_every_kind(kind, channels, shape):
    assert pixels(GOOD[kind][1](1, 24), resolution=16, channels=channels).shape == shape


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("truncated", "cannot be decoded"),
        ("half", "cannot be decoded"),
        ("empty", "an empty file"),
        ("renamed", "not a PNG, JPEG, WebP, TIFF, GIF or BMP"),
        ("ico", "not a PNG, JPEG, WebP, TIFF, GIF or BMP"),
        ("bomb", "cannot be decoded.*bomb"),
        ("text_bomb", "cannot be decoded.*too large"),
        ("zipped", "not a PNG, JPEG, WebP, TIFF, GIF or BMP"),
    ],
)
def test_bad_images_are_refused_with_a_reason(kind, words):
    with pytest.raises(UnusableError, match=words):
        Recipe(resolution=16)(BAD[kind][1](1, 64))


def test_what_needs_no_change_stays():
    array = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    for settings in ({}, {"resolution": 16}, {"crop": "none"}, {"crop": "pad"}):
        np.testing.assert_array_equal(pixels(saved(Image.fromarray(array)), **settings), array)


def test_sixteen_bits_are_scaled_not_clipped():
    gray = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    out = pixels(saved(Image.fromarray(gray)), channels="gray")
    np.testing.assert_array_equal(out, np.arange(256).reshape(16, 16))


def test_transparent_pixels_get_the_background_not_their_hidden_color():
    hidden = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    assert np.unique(pixels(saved(hidden))).tolist() == [255]
    assert (pixels(saved(hidden), background="#102030") == [16, 32, 48]).all()
    half = Image.new("RGBA", (8, 8), (0, 0, 0, 128))
    assert pixels(saved(half)).flat[0] == 127
    keyed = Image.new("L", (8, 8), 7)
    assert np.unique(pixels(saved(keyed, transparency=7))).tolist() == [255]
    assert pixels(saved(keyed, transparency=7), channels="rgba")[0, 0, 3] == 0


def test_transparent_colors_do_not_bleed_when_resized():
    image = Image.new("RGBA", (16, 16), (0, 255, 0, 0))
    image.paste((255, 0, 0, 255), (0, 0, 7, 16))
    small = pixels(saved(image), resolution=8, channels="rgba", filter="box")
    assert small[0, 3].tolist() == [255, 0, 0, 128]


def test_orientation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees clockwise
    image = Image.new("L", (16, 16))
    image.paste(255, (0, 0, 16, 8))  # white above becomes white on the right
    out = pixels(saved(image, exif=exif), channels="gray")
    assert out[:, 8:].min() == 255
    assert out[:, :8].max() == 0


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_equals_pillow_even_beside_notes_that_cannot_be_written(orientation, monkeypatch):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(photo(1, (16, 16)), exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    monkeypatch.setattr(Image.Exif, "tobytes", None)
    np.testing.assert_array_equal(pixels(data), expected)


def test_sixteen_bits_take_little_memory():
    deep = Image.fromarray(np.zeros((512, 512), np.uint16))
    tracemalloc.start()
    _eight_bits(deep)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 * 512 * 512  # an image may have 64 megapixels, and every core converts one


def test_orientation_that_cannot_be_read_is_ignored():
    data = saved(photo(0, (16, 16)), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff broken")
    assert pixels(data).shape == (16, 16, 3)


def test_crops():
    stripes = np.zeros((16, 32), np.uint8)
    stripes[:, 8:24] = 200
    wide = saved(Image.fromarray(stripes))
    assert np.unique(pixels(wide, channels="gray")).tolist() == [200]
    padded = pixels(wide, crop="pad", channels="gray", background="#0a0a0a")
    assert padded.shape == (32, 32)
    assert (padded[:8] == 10).all()
    np.testing.assert_array_equal(padded[8:24], stripes)
    with pytest.raises(UnusableError, match="32x16 is not square, and crop=none"):
        Recipe(crop="none")(wide)


def test_center_wide_is_four_to_three_between_black_bars():
    white = saved(Image.new("L", (60, 80), 255))
    out = pixels(white, crop="center-wide", resolution=16, channels="gray")
    assert (out[:2] == 0).all()
    assert (out[14:] == 0).all()
    assert (out[2:14] == 255).all()


@pytest.mark.parametrize("filter", ["box", "lanczos", "bicubic"])
def test_filters_equal_pillows_and_differ(filter):
    source = photo(3, (64, 64))
    expected = source.resize((16, 16), Image.Resampling[filter.upper()])
    np.testing.assert_array_equal(pixels(saved(source), resolution=16, filter=filter), np.asarray(expected))


def test_box_is_the_mean_of_the_area():
    array = np.random.default_rng(0).integers(0, 256, (32, 32), dtype=np.uint8)
    mean = array.reshape(8, 4, 8, 4).mean((1, 3))
    out = pixels(saved(Image.fromarray(array)), resolution=8, filter="box", channels="gray")
    assert np.abs(out - mean).max() <= 1


def test_enlarging_is_noted_and_small_ones_refused():
    small = saved(photo(0, (12, 20)))
    assert Recipe(resolution=16)(small).enlarged
    assert not Recipe(resolution=8)(small).enlarged
    with pytest.raises(UnusableError, match="12x20 is below min_size=13"):
        Recipe(resolution=8, min_size=13)(small)


def test_without_a_resolution_sides_are_powers_of_two():
    with pytest.raises(UnusableError, match="a side of 12 pixels is not a power of two"):
        Recipe()(saved(photo(0, (12, 20))))


def test_files_carry_no_notes():
    data = saved(photo(0, (8, 8)), "PNG", icc_profile=b"profile", dpi=(72, 72))
    assert not Image.open(io.BytesIO(Recipe()(data).png)).info


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"crop": "centre"}, "Did you mean center"),
        ({"filter": "nearest"}, "Known: bicubic, box, lanczos"),
        ({"channels": "cmyk"}, "Known: gray, rgb, rgba"),
        ({"resolution": 100}, "a power of two from 8 to 2048"),
        ({"background": "vhite"}, "#rrggbb"),
        ({"min_size": -1}, "min_size=-1"),
    ],
)
def test_settings_that_make_no_sense(settings, words):
    with pytest.raises(UserError, match=words):
        Recipe(**settings)
