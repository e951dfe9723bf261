"""The commands of a page in small: tiny networks, few images, stand-ins for files that the page does not make."""

import re
import shlex
from pathlib import Path

from stylegen.checkpoints.snapshot import save_snapshot
from stylegen.latent.latents_file import Latents, write_latents
from stylegen.latent.model import Model
from tests.support.datasets import encode, write_archive, write_folder
from tests.support.foreign_files import nvidia_file
from tests.support.golden import files, load
from tests.support.sounds import clicks, write_wav
from tests.support.tiny import TINY_RUN, tiny_generator

BLOCK = re.compile(r"```(?:bash|sh)\n(.*?)```", re.DOTALL)
CAPTION = re.compile(r"^\*(?!\*).*?\*$(?=\n\n)", re.MULTILINE | re.DOTALL)  # of a figure, with its commands
IMAGES = {f"{kind}/{i}.png": encode(i, (16, 16)) for kind in "ab" for i in range(4)}
FACES = "".join(f"{name},5,5,10,5,8,7,6,10,9,10\n" for name in IMAGES)  # landmarks
LABELS = {"labels": [[name, int(name.startswith("b"))] for name in IMAGES]}


def block_commands(text: str) -> list[list[str]]:
    """Each command of captions and shell blocks as arguments of `stylegen`; without the two set-up lines."""
    captions = [command for caption in CAPTION.findall(text) for command in re.findall("`([^`]+)`", caption)]
    found = []
    for block in captions + BLOCK.findall(text):
        for line in re.sub(r"\s*\\\n\s*", " ", block).strip().splitlines():
            words = shlex.split(line, comments=True)
            if words and words[0] == "python":
                found.append(words[3:] if words[1] == "-m" else [Path(words[1]).stem, *words[2:]])
    return found


def in_small(command: list[str], run: Path) -> list[str]:
    """The command for the current folder; `run` stands in for runs and snapshots that are not there."""
    verb, *settings = command
    settings = [_stand_in(setting, run) for setting in settings]
    return [verb, *_SMALL.get(verb, list)(settings)]


def _stand_in(setting: str, run: Path) -> str:
    name, _, value = setting.partition("=")
    make = {
        "snapshot": {"runs/animals": _conditional, "runs/stylegan3": _stylegan3}.get(value, lambda: run),
        "compare": _stylegan3,
        "run": lambda: run,
        "blend": lambda: "portraits64",
        "init": lambda: run,
        "data.path": lambda: write_archive(Path("stand-in.zip"), IMAGES, LABELS),
        "images": lambda: write_archive(Path("stand-in.zip"), IMAGES, LABELS),
        "align": _landmarks,
        "source": lambda: write_folder(Path("stand-in"), IMAGES, LABELS),
        "latents": _latents,
        "mix_latents": _latents,
        "audio": lambda: write_wav(Path("stand-in.wav"), clicks(1.0, 0.25)),
    }.get(name)
    if name == "source" and value.endswith(".pkl"):
        make = _foreign
    if make is None or value in ("openmoji", "portraits64") or any(Path().glob(value)):
        return setting
    return f"{name}={make()}"


def _conditional() -> Path:
    path = Path("stand-in.safetensors")
    save_snapshot(path, tiny_generator(num_classes=2), {"class_names": ["dog", "cat"]})
    return path


def _stylegan3() -> Path:
    path = Path("stand-in-3.safetensors")
    generator = tiny_generator(name="stylegan3", num_layers=4)
    save_snapshot(path, generator, {"data": {"path": "openmoji", "resolution": 16}})
    return path


def _latents() -> Path:
    """Of the packaged model."""
    path = Path("stand-in.npz")
    write_latents(path, Latents(Model.load("portraits64").ws("0-1"), ["a", "b"], {}))
    return path


def _landmarks() -> Path:
    path = Path("stand-in.csv")
    path.write_text(FACES)
    return path


def _foreign() -> Path:
    """A file of another program."""
    return nvidia_file(load(next(f.values[0] for f in files("stylegan2") if "resnet" in f.id)), Path("stand-in.pkl"))


def _train(settings: list[str]) -> list[str]:
    kept = [s for s in settings if not s.startswith("total_kimg=")]
    own = any(s.startswith("data.path=") for s in kept) and not any(s.startswith("experiment=") for s in kept)
    small = ["compile=false", "threads=1", "evaluation=none"] if own else TINY_RUN
    if any(s.startswith(("experiment=", "generator=")) and "stylegan3" in s for s in kept):
        small = [*(s for s in TINY_RUN if not s.startswith("generator.use_noise")), "generator.num_layers=4"]
    growth = ["growth.stable_kimg=0.004", "growth.fade_kimg=0.004"] if "experiment=openmoji_stylegan1" in kept else []
    return [*kept, *small, *growth, "total_kimg=0.016"]


def _sample(settings: list[str]) -> list[str]:
    slow = any(s.startswith("keyframes=") for s in settings)
    settings = [re.sub(r"^seeds=0-\d{3,}$", "seeds=0-7", setting) for setting in settings]
    return [*settings, *["frames=2"] * any(s.startswith("frames=") for s in settings), *["fps=2"] * slow]


def _evaluate(settings: list[str]) -> list[str]:
    motion = any(s.startswith("metrics=[eqt_") for s in settings)  # of StyleGAN3, for any number of images
    kept = [s for s in settings if not s.startswith("num_samples=")]
    if not motion:
        kept = [*(s for s in kept if not s.startswith("metrics=")), "metrics=[fd_random_vgg16]"]
    return [*kept, "num_samples=8", "evaluation.calibrate=false"]


def _project(settings: list[str]) -> list[str]:
    return [*settings, "steps=2", "tuning_steps=2", "w_samples=50", "distance=random", "max_images=2"]


def _directions(settings: list[str]) -> list[str]:
    """A labeled archive with the classes of the page in place of the portraits."""
    if "data.path=openmoji" in settings:
        images = {name: encode(i, (16, 16)) for i, name in enumerate(IMAGES)}
        tones = write_archive(Path("tones.zip"), images, LABELS | {"class_names": ["light", "dark"]})
        settings = [f"data.path={tones}" if s == "data.path=openmoji" else s for s in settings]
    return [*settings, "extractor=random_vgg16", "labeled_seeds=20", "w_samples=50", "num_samples=2"]


_SMALL = {"train": _train, "project": _project, "directions": _directions, "sample": _sample, "evaluate": _evaluate}
