import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from stylegen import video_file
from stylegen.errors import RunError, UserError
from stylegen.video_file import AUDIO_RATE, Audio, read_audio, write_video
from tests.support.sounds import RATE, clicks, read_video, write_wav

COLORS = ["white", "black", "red", "lime", "blue", "gray", "orange"]


def frames(size: tuple[int, int] = (48, 32)) -> list[Image.Image]:
    return [Image.new("RGB", size, color) for color in COLORS]


@pytest.mark.parametrize("fps", ["24", "23.976", "7.5"])
def test_frames_size_speed_and_colors(fps: str, tmp_path: Path) -> None:
    """Limited range has 219 of 256 levels, and yuv420p is rounded twice: within a few levels."""
    path = tmp_path / "a.mp4"
    assert write_video(path, iter(frames()), Fraction(fps)) == len(COLORS)
    found, speed = read_video(path)
    assert found.shape == (len(COLORS), 32, 48, 3)
    assert speed == pytest.approx(float(fps), rel=1e-6)
    for image, expected in zip(found, frames(), strict=True):
        assert np.abs(image.astype(int) - np.asarray(expected)).max() <= 4
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == Fraction(fps)
        context = stream.codec_context
        # Matrix, primaries and transfer function of BT.709; limited range.
        assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == (1, 1, 1, 1)
    data = path.read_bytes()
    assert data.find(b"moov") < data.find(b"mdat")  # plays while it loads


def test_equal_frames_and_samples_give_equal_bytes(tmp_path: Path) -> None:
    audio = Audio(clicks(0.5, 0.1)[None].astype(np.float32))
    for name in ("a", "b"):
        write_video(tmp_path / name, frames(), Fraction(24), audio)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA"])
def test_odd_sides_grow_by_a_pixel_and_transparency_is_white(mode: str, tmp_path: Path) -> None:
    image = Image.new("RGBA", (21, 17), (0, 0, 0, 0 if "A" in mode else 255)).convert(mode)
    write_video(tmp_path / "a.mp4", [image], Fraction(24))
    found, _ = read_video(tmp_path / "a.mp4")
    assert found.shape == (1, 18, 22, 3)
    assert np.abs(found.astype(int) - (255 if "A" in mode else 0)).max() <= 4


@pytest.mark.parametrize("seconds", [0.1, 3.0])
@pytest.mark.parametrize("channels", [1, 2])
def test_sound_has_the_length_of_the_frames(seconds: float, channels: int, tmp_path: Path) -> None:
    """Shorter and longer sounds; 7 frames at 24 per second are 14,000 samples at 48 kHz."""
    samples = np.zeros((channels, round(seconds * AUDIO_RATE)), np.float32)
    write_video(tmp_path / "a.mp4", frames(), Fraction(24), Audio(samples))
    with av.open(str(tmp_path / "a.mp4")) as container:
        video, sound = container.streams.video[0], container.streams.audio[0]
        assert sound.duration * sound.time_base == video.duration * video.time_base == Fraction(7, 24)
        assert (sound.channels, sound.start_time) == (channels, 0)


def test_sound_is_read_at_its_time_from_files_and_videos(tmp_path: Path) -> None:
    source = read_audio(write_wav(tmp_path / "a.wav", clicks(0.5, 0.2)))
    assert source.samples.dtype == np.float32
    assert source.samples.shape == (1, round(0.5 * AUDIO_RATE))
    assert np.abs(source.mono).argmax() == pytest.approx(0.2 * AUDIO_RATE, abs=AUDIO_RATE / RATE)
    write_video(tmp_path / "a.mp4", frames(), Fraction(14), source)
    again = np.abs(read_audio(tmp_path / "a.mp4").mono)
    assert again.argmax() % (0.2 * AUDIO_RATE) == pytest.approx(0, abs=20)


def test_frames_are_not_kept(tmp_path: Path) -> None:
    """The frames come from an iterator, one at a time; the encoder keeps its own copies."""
    alive = 0

    class Counted(Image.Image):
        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def generate() -> Iterator[Image.Image]:
        nonlocal alive
        for _ in range(20):
            alive += 1
            assert alive <= 3
            image = Image.new("RGB", (16, 16))
            image.__class__ = Counted
            yield image

    write_video(tmp_path / "a.mp4", generate(), Fraction(24))


@pytest.mark.parametrize("content", [b"", b"no sound at all" * 50, "png"])
def test_files_without_sound(content: bytes | str, tmp_path: Path) -> None:
    path = tmp_path / "song.mp3"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        Image.new("RGB", (8, 8)).save(path, format="PNG")
    with pytest.raises(UserError, match=r"audio=.*song\.mp3"):
        read_audio(path)
    with pytest.raises(UserError, match="No such file"):
        read_audio(tmp_path / "none.wav")


def test_long_sounds_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_file, "MAX_AUDIO_SECONDS", 1)
    with pytest.raises(UserError, match="more than 1 seconds"):
        read_audio(write_wav(tmp_path / "a.wav", clicks(1.5, 0.2)))


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UserError, match=r"pip install 'stylegen\[video\]', or use out=FILE\.webp"):
        video_file.find_encoder()


def test_other_encoders_are_found_and_none_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_file, "_ENCODERS", ("libnone", "libx264"))
    assert video_file.find_encoder() == "libx264"
    monkeypatch.setattr(video_file, "_ENCODERS", ("libnone",))
    with pytest.raises(UserError, match=r"no H\.264 encoder"):
        video_file.find_encoder()


def test_errors_name_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OSError, match=r"none.a\.mp4"):
        write_video(tmp_path / "none" / "a.mp4", frames(), Fraction(24))
    monkeypatch.setattr(video_file, "_CRF", "x")
    with pytest.raises(RunError, match=r"b\.mp4 was not written: the encoder libx264 failed"):
        write_video(tmp_path / "b.mp4", frames(), Fraction(24))
