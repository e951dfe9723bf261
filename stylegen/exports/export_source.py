"""What an export starts from: a snapshot and the choices of the exported function."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from stylegen import __version__
from stylegen.checkpoints.foreign_file import sha256_of
from stylegen.checkpoints.packaged import LICENSE, is_packaged
from stylegen.checkpoints.snapshot import Snapshot
from stylegen.latent.sampler import check_noise
from stylegen.networks import StyleGenerator

INPUTS = ("z", "ws")
NOISES = ("const", "none")


@dataclass(frozen=True)
class Source:
    """A trained generator, on the CPU in float32, and the choices of an export.

    Args:
        snapshot: see `load_snapshot`.
        input: "z" for latents, psi and, of a conditional network, labels; "ws" for styles.
        noise: "const" for the noise stored with the weights, or "none".
        license: identifier for a model card, such as "cc-by-4.0"; None for a packaged model's own, or none.
        out: path of the result, for messages.
    """

    snapshot: Snapshot
    input: str = "z"
    noise: str = "const"
    license: str | None = None
    out: Path = Path("out")

    def __post_init__(self) -> None:
        check_noise(self.generator, self.noise)

    @property
    def generator(self) -> StyleGenerator:
        """The network."""
        return self.snapshot.generator

    @cached_property
    def origin(self) -> dict[str, Any]:
        """Metadata: the snapshot's file and its SHA-256, the network, its resolution and settings, and our version."""
        G, path = self.generator, self.snapshot.path
        return {
            "source": path.name,
            "sha256": sha256_of(path, "snapshot"),
            "stylegen": __version__,
            "network": G.name,
            "resolution": G.level.resolution,
            "settings": G.settings,
        }

    @property
    def card_license(self) -> str | None:
        """The license of the model card."""
        return LICENSE if self.license is None and is_packaged(self.snapshot.path) else self.license

    @property
    def function(self) -> dict[str, Any]:
        """Metadata of an exported function."""
        names = self.snapshot.info.get("class_names")
        classes = {"class_names": names} if isinstance(names, list) else {}
        return self.origin | {"input": self.input, "noise": self.noise, **classes}
