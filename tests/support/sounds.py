"""Sound files, and videos read by a decoder that is not the one that wrote them."""

import wave
from pathlib import Path

import numpy as np

RATE = 8000


def clicks(seconds: float, every: float) -> np.ndarray:
    """Single samples, the first at `every` seconds."""
    samples = np.zeros(round(seconds * RATE))
    samples[round(every * RATE) :: round(every * RATE)] = 0.9
    return samples


def write_wav(path: Path, samples: np.ndarray, rate: int = RATE) -> Path:
    """Mono, 16 bits."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


def read_video(path: Path) -> tuple[np.ndarray, float]:
    """Frames, RGB uint8 [N, H, W, 3], and frames per second, by OpenCV."""
    import cv2  # slow to import

    video = cv2.VideoCapture(str(path))
    count, fps = int(video.get(cv2.CAP_PROP_FRAME_COUNT)), video.get(cv2.CAP_PROP_FPS)
    frames = []
    while (found := video.read())[0]:
        frames.append(cv2.cvtColor(found[1], cv2.COLOR_BGR2RGB))
    assert len(frames) == count
    return np.stack(frames), fps
