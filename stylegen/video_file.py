"""MP4 files through PyAV (FFmpeg): H.264 and AAC, written frame by frame; and the sound of any file that FFmpeg reads.

Equal frames and samples give equal bytes with the same version of FFmpeg.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stylegen.errors import RunError, UserError, import_extra

SUFFIX = ".mp4"
MAX_SIDE = 16384  # pixels, of x264
AUDIO_RATE = 48000  # Hz, of all sound after reading
MAX_AUDIO_SECONDS = 3600  # samples are in memory, 1.4 GB at most
_CRF = 17  # x264's constant quality, close to lossless for the eye
_BITS_PER_PIXEL = 0.3  # of encoders without constant quality
_THREADS = 4  # x264's output depends on their number
# The first one that the installed FFmpeg contains; then the encoders of macOS and Windows.
_ENCODERS = ("libx264", "libopenh264", "h264_videotoolbox", "h264_mf")
_BT709 = 1  # of matrix, primaries and transfer function (ITU-T H.273); also limited range, in FFmpeg's numbers
_FULL_RANGE = 2


@dataclass(frozen=True)
class Audio:
    """Sound.

    Args:
        samples: float32 [C, N] in [-1, 1], C = 1 or 2, at `AUDIO_RATE`.
    """

    samples: np.ndarray

    @property
    def seconds(self) -> float:
        return float(self.samples.shape[1] / AUDIO_RATE)

    @property
    def mono(self) -> np.ndarray:
        """float32 [N], the mean of the channels."""
        return np.asarray(self.samples.mean(axis=0))

    def fitted(self, count: int) -> "Audio":
        """The first `count` samples, followed by silence if there are fewer."""
        samples = self.samples[:, :count]
        return Audio(np.pad(samples, ((0, 0), (0, count - samples.shape[1]))))


def find_encoder() -> str:
    """The name of the H.264 encoder.

    Raises:
        UserError: PyAV is not installed, or its FFmpeg contains no H.264 encoder.
    """
    av = _import_av("it writes MP4 files", ", or use out=FILE.webp")
    found = next((name for name in _ENCODERS if name in av.codecs_available and _encodes(av, name)), None)
    if found is None:
        raise UserError(
            "the FFmpeg of the package av contains no H.264 encoder",
            rule=f"MP4 files need one of {', '.join(_ENCODERS)}",
            fix="Run pip install --force-reinstall --only-binary av av, or use out=FILE.webp",
        )
    return found


def write_video(path: Path, frames: Iterable[Image.Image], fps: Fraction, audio: Audio | None = None) -> int:
    """Write an MP4, not atomically, that plays while it loads -> the number of frames.

    H.264 in yuv420p with the matrix of BT.709 in limited range, and marked so. One frame at a time is in memory. An odd
    width or height is padded by one pixel, a copy of its neighbor.

    Args:
        frames: frames of one size; at least one. Transparent pixels become white.
        fps: frames per second, exact.
        audio: cut, or followed by silence, to the length of the frames.

    Raises:
        UserError: see `find_encoder`.
        OSError: the file cannot be written.
        RunError: the encoder fails.
    """
    encoder, av = find_encoder(), _import_av("it writes MP4 files")
    # The unit of the edit lists, which hold the lengths of the streams; FFmpeg's default is a millisecond.
    options = {"movflags": "+faststart", "fflags": "+bitexact", "movie_timescale": str(AUDIO_RATE)}
    try:
        with av.open(str(path), "w", format="mp4", options=options) as container:
            return _Writer(av, container, encoder, fps, audio).write(frames)
    except OSError as error:  # the error of a full disk does not name the file
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    except av.error.FFmpegError as error:
        raise RunError(f"{path} was not written: the encoder {encoder} failed ({error.strerror or error})") from error


def read_audio(path: Path, setting: str = "audio") -> Audio:
    """The sound of an audio or video file in any format of FFmpeg, with one or two channels at `AUDIO_RATE`.

    Raises:
        UserError: the file cannot be read, contains no sound, or lasts more than an hour.
    """
    av = _import_av(f"{setting}= needs it")
    try:
        with path.open("rb") as file, av.open(file) as container:  # FFmpeg takes some paths for addresses
            parts, count = [], 0
            for part in _decoded(av, container):
                parts.append(part)
                count += part.shape[1]
                if count > MAX_AUDIO_SECONDS * AUDIO_RATE:
                    raise UserError(
                        f"{setting}={path} lasts more than {MAX_AUDIO_SECONDS:,} seconds",
                        rule="the whole sound is in memory",
                        fix="Use a shorter part of it",
                    )
    except (av.error.FFmpegError, OSError) as error:
        reason = error.strerror or str(error)
        raise UserError(
            f"{setting}={path} cannot be read ({reason})",
            rule="must be a sound file, or a video with sound, that FFmpeg reads",
            fix=f"Use {setting}= with a .wav, .mp3, .flac, .m4a or .ogg file",
        ) from error
    if count == 0:
        raise UserError(f"{setting}={path}", rule="the file contains no sound", fix=f"Use {setting}= with a sound file")
    return Audio(np.concatenate(parts, axis=1))


class _Writer:
    """Encodes frames, and the samples of each frame after it, into an open container."""

    def __init__(self, av: Any, container: Any, encoder: str, fps: Fraction, audio: Audio | None) -> None:
        self._av, self._container, self._encoder, self._fps, self._audio = av, container, encoder, fps, audio
        self._video = container.add_stream(encoder, rate=fps)
        self._sound: Any = None
        if audio is not None:
            layout = "mono" if len(audio.samples) == 1 else "stereo"
            self._sound = container.add_stream("aac", rate=AUDIO_RATE, layout=layout, bit_rate=192_000)

    def write(self, frames: Iterable[Image.Image]) -> int:
        count = 0
        for frame in frames:
            pixels = _even(np.asarray(_opaque(frame)))
            if count == 0:
                self._configure(pixels.shape[1], pixels.shape[0])
            self._mux(self._video, self._video_frame(pixels, count))
            if self._audio is not None:
                self._mux(self._sound, self._audio_frame(self._audio, count))
            count += 1
        for stream in (self._video, self._sound):
            if stream is not None:
                self._mux(stream, None)
        return count

    def _configure(self, width: int, height: int) -> None:
        stream, context = self._video, self._video.codec_context
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = context.time_base = 1 / self._fps
        context.color_range = context.colorspace = context.color_primaries = context.color_trc = _BT709
        if self._encoder == "libx264":
            stream.options = {"crf": str(_CRF)}
            context.thread_count = _THREADS
        else:
            context.bit_rate = max(500_000, int(width * height * self._fps * _BITS_PER_PIXEL))

    def _video_frame(self, pixels: np.ndarray, number: int) -> Any:
        frame = self._av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(
            format="yuv420p", src_color_range=_FULL_RANGE, dst_colorspace=_BT709, dst_color_range=_BT709
        )
        frame.pts, frame.time_base = number, 1 / self._fps
        return frame

    def _audio_frame(self, audio: Audio, number: int) -> Any:
        """The samples from frame `number` to the next."""
        start, end = (round(k * AUDIO_RATE / self._fps) for k in (number, number + 1))
        samples = np.ascontiguousarray(Audio(audio.samples[:, start:end]).fitted(end - start).samples)
        frame = self._av.AudioFrame.from_ndarray(samples, format="fltp", layout=self._sound.layout.name)
        frame.sample_rate, frame.pts, frame.time_base = AUDIO_RATE, start, Fraction(1, AUDIO_RATE)
        return frame

    def _mux(self, stream: Any, frame: Any) -> None:
        for packet in stream.encode(frame):
            self._container.mux(packet)


def _decoded(av: Any, container: Any) -> Iterable[np.ndarray]:
    """float32 [C, n], one after the other; nothing if the container has no sound."""
    if not container.streams.audio:
        return
    stream = container.streams.audio[0]
    resampler = av.AudioResampler(format="fltp", layout="mono" if stream.channels == 1 else "stereo", rate=AUDIO_RATE)
    for frame in container.decode(stream):
        yield from (part.to_ndarray() for part in resampler.resample(frame))
    yield from (part.to_ndarray() for part in resampler.resample(None))


def _opaque(image: Image.Image) -> Image.Image:
    """RGB, transparent pixels over white."""
    if image.mode in ("LA", "RGBA"):
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def _even(pixels: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3] with even sides, the last row or column twice if needed."""
    height, width = pixels.shape[:2]
    return np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def _encodes(av: Any, name: str) -> bool:
    try:
        av.codec.Codec(name, "w")
    except av.error.FFmpegError:  # a build may contain the decoder only
        return False
    except ValueError:  # UnknownCodecError
        return False
    return True


def _import_av(rule: str, otherwise: str = "") -> Any:
    return import_extra("av", "video", rule=rule, otherwise=otherwise)
