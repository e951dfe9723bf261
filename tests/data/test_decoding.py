"""Images are decoded as stored, or refused by name."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from stylegen.data import decoding
from stylegen.data.decoding import Header, decode, read_header
from stylegen.errors import UserError
from tests.support.datasets import encode


def saved(image: Image.Image, format: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_channels_stay_as_they_are(channels):
    data = encode(5, (6, 4), channels)
    assert read_header(data, "x") == Header(6, 4, channels)
    expected = np.random.default_rng(5).integers(0, 256, (4, 6, channels), dtype=np.uint8)
    np.testing.assert_array_equal(decode(data, "x").numpy(), expected.transpose(2, 0, 1))


@pytest.mark.parametrize(("mode", "format"), [("P", "PNG"), ("1", "PNG"), ("I;16", "PNG"), ("CMYK", "JPEG")])
def test_other_modes_need_a_decision(mode, format):
    data = saved(Image.new(mode, (8, 8)), format)
    for read in (read_header, decode):
        with pytest.raises(UserError, match=rf"x\.png has mode {mode}.*Convert it"):
            read(data, "x.png")


def test_other_formats_are_not_even_parsed():
    with pytest.raises(UserError, match="not a PNG, JPEG or WebP image"):
        decode(saved(Image.new("RGB", (8, 8)), "BMP"), "x.png")


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("kept", [0.0, 0.5, 0.95])
def test_truncated_images_are_named(format, kept):
    data = encode(1, (64, 64), format=format)
    with pytest.raises(UserError, match=r"half\.png cannot be decoded"):
        decode(data[: int(len(data) * kept)], "half.png")


@pytest.mark.parametrize("side", [10_000, 20_000])  # Pillow warns about the first and refuses the second
def test_decompression_bombs(side):
    data = bytearray(encode(1))
    data[16:24] = struct.pack(">II", side, side)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    for read in (read_header, decode):
        with pytest.raises(UserError, match=r"bomb\.png"):
            read(bytes(data), "bomb.png")


def test_pixel_limit(monkeypatch):
    monkeypatch.setattr(decoding, "MAX_PIXELS", 63)
    with pytest.raises(UserError, match="has 8x8 pixels"):
        read_header(encode(1), "x")


def test_orientation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees clockwise
    image = Image.new("RGB", (16, 16))
    image.paste((255, 255, 255), (0, 0, 16, 8))  # white above becomes white on the right
    upright = decode(saved(image, "PNG", exif=exif), "x")
    assert upright[:, :, 8:].min() == 255
    assert upright[:, :, :8].max() == 0
