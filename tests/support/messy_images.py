"""Realistic user images: every format, mode and defect; the same number always gives the same file."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from tests.support.datasets import encode

Maker = Callable[[int, int], bytes]


def saved(image: Image.Image, format: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=format, **options)
    return buffer.getvalue()


def photo(number: int, size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    """Smooth colors, enlarged noise."""
    noise = np.random.default_rng(number).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).convert(mode)


def deep(number: int, side: int) -> bytes:
    """16-bit gray over the full range."""
    ramp = np.linspace(0, 65535, side * side).reshape(side, side).astype(np.uint16)
    return saved(Image.fromarray(np.roll(ramp, number)))


def rotated(number: int, side: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 2 + number % 7
    return saved(photo(number, (side, 2 * side)), "JPEG", exif=exif)


def animated(number: int, side: int) -> bytes:
    frames = [photo(number + i, (side, side)) for i in range(3)]
    format = "WEBP" if number % 2 else "PNG"
    return saved(frames[0], format, save_all=True, append_images=frames[1:])


def bomb(side: int = 20_000) -> bytes:
    """A PNG with a header that claims side x side pixels."""
    data = bytearray(encode(1))
    data[16:24] = struct.pack(">II", side, side)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


def text_bomb(megabytes: int = 80) -> bytes:
    """A PNG with a compressed text chunk that unpacks to `megabytes`."""
    data = encode(1)
    body = b"Comment\0\0" + zlib.compress(bytes(megabytes * 2**20), 9)
    chunk = b"zTXt" + body
    note = struct.pack(">I", len(body)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return data[:33] + note + data[33:]


GOOD: dict[str, tuple[str, Maker]] = {
    "rgb": (".png", lambda n, s: saved(photo(n, (s, s)))),
    "landscape": (".jpg", lambda n, s: saved(photo(n, (2 * s, s)), "JPEG")),
    "portrait": (".webp", lambda n, s: saved(photo(n, (s, s + 7)), "WEBP")),
    "gray": (".png", lambda n, s: saved(photo(n, (s, s), "L"))),
    "gray_jpeg": (".JPEG", lambda n, s: saved(photo(n, (s, s), "L"), "JPEG")),
    "rgba": (".png", lambda n, s: saved(photo(n, (s, s)).convert("RGBA").rotate(30))),
    "deep": (".png", deep),
    "cmyk": (".jpg", lambda n, s: saved(photo(n, (s, s), "CMYK"), "JPEG")),
    "palette": (".png", lambda n, s: saved(photo(n, (s, s)).quantize(16))),
    "clear_palette": (".png", lambda n, s: saved(photo(n, (s, s)).quantize(16), transparency=bytes(range(0, 256, 16)))),
    "bilevel": (".png", lambda n, s: saved(photo(n, (s, s), "1"))),
    "rotated": (".jpg", rotated),
    "animated": (".webp", animated),
    "naïve — 写真": (".png", lambda n, s: saved(photo(n, (s, s)))),
}
BAD: dict[str, tuple[str, Maker]] = {
    "truncated": (".jpg", lambda n, s: saved(photo(n, (s, s)), "JPEG")[:-40]),
    "half": (".png", lambda n, s: (data := encode(n, (s, s)))[: len(data) // 2]),
    "empty": (".png", lambda n, s: b""),
    "renamed": (".jpg", lambda n, s: b"These are no pixels.\n" * 9),
    "ico": (".png", lambda n, s: saved(photo(n, (s, s)), "ICO")),
    "bomb": (".png", lambda n, s: bomb()),
    "text_bomb": (".png", lambda n, s: text_bomb()),
    "zipped": (".png", lambda n, s: _zipped()),
}


def messy_images(count: int, side: int) -> Iterator[tuple[str, bytes, bool]]:
    """Name, file and usability of `count` images; one in forty is unusable, 320 contain every kind."""
    good, bad = list(GOOD.items()), list(BAD.items())
    for number in range(count):
        usable = number % 40 != 39
        kind, (suffix, make) = good[number % len(good)] if usable else bad[number // 40 % len(bad)]
        yield f"{number % 5}/{kind}-{number:05d}{suffix}", make(number, side), usable


def _zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(10 * 2**20))
    return buffer.getvalue()
